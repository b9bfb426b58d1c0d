package api

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/chain"
	"trustcore/verify/report/dss"
)

// documentation describes a route in OpenAPI 3.1. Documents travel outside of huma's own handlers (a megabyte of base64
// costs it 50 ms and more); of huma the description alone is used, so that its schemas are those of the Go types.
type documentation struct {
	summary    string
	parameters []*huma.Param
	bodies     map[string]reflect.Type // by media type; nil for octets
	answer     reflect.Type
}

var (
	parameterAt = &huma.Param{Name: "at", In: "query", Description: "time of validation, RFC 3339; now when absent", Schema: &huma.Schema{Type: "string", Format: "date-time"}}

	parameterPolicy = &huma.Param{Name: "policy", In: "query", Schema: &huma.Schema{Type: "string"},
		Description: "name of a validation policy that can be chosen here, such as strict; " +
			"the configured one when absent. The report names it"}

	docValidations = documentation{
		summary: "Judge every signature of a document. With multipart/form-data detached contents, " +
			"or digests of them, and passwords of an encrypted PDF are sent beside it.",
		parameters: []*huma.Param{parameterAt, parameterPolicy},
		bodies:     map[string]reflect.Type{"application/octet-stream": nil, "multipart/form-data": reflect.TypeFor[documentForm]()},
		answer:     reflect.TypeFor[verify.Report](),
	}
	docCertificates = documentation{
		summary: "Judge a certificate: its path to an anchor, revocation, qualification.",
		parameters: []*huma.Param{parameterAt,
			{Name: "revocation", In: "query", Description: "require when absent", Schema: &huma.Schema{Type: "string", Enum: []any{string(chain.None), string(chain.IfAvailable), string(chain.Require)}}},
			{Name: "policy", In: "query", Description: "object identifier; may be repeated", Schema: &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}}},
		bodies: map[string]reflect.Type{"application/json": reflect.TypeFor[certificateRequest](), "application/pkix-cert": nil, "application/x-pem-file": nil},
		answer: reflect.TypeFor[chain.Report](),
	}
	docDSSSignature = documentation{
		summary: "DSS-compatible validateSignature: SimpleReport, DetailedReport, DiagnosticData and the ETSI validation report.",
		bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[dssRequest]()},
		answer:  reflect.TypeFor[dss.Reports](),
	}
	docDSSOriginals = documentation{
		summary: "DSS-compatible getOriginalDocuments: what the signature with the id, or the first one, is about.",
		bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[dssRequest]()},
		answer:  reflect.TypeFor[[]remoteDocument](),
	}
	docDSSCertificate = documentation{
		summary: "DSS-compatible validateCertificate: its three reports.",
		bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[dssCertificateRequest]()},
		answer:  reflect.TypeFor[dssCertificateAnswer](),
	}
)

// documentForm describes the parts of a multipart request.
type documentForm struct {
	Document []byte   `json:"document" contentEncoding:"binary" doc:"the signed document"`
	Detached [][]byte `json:"detached,omitempty" doc:"contents that a detached signature is about, with their file names"`
	Digest   []string `json:"digest,omitempty" doc:"digests in place of such contents: [NAME=]ALGORITHM:VALUE, in hexadecimal or base64; SHA-256 or longer"`
	Password []string `json:"password,omitempty" maxLength:"512" doc:"for a PDF that is encrypted; stands in no log and no report"`
	At       string   `json:"at,omitempty" format:"date-time" doc:"time of validation"`
	Policy   string   `json:"policy,omitempty" doc:"name of a validation policy, as the parameter"`
}

// Schema describes the time in huma's words.
func (dssTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Format: "date-time", Nullable: true}
}

// failures are the statuses that every route may answer with a problem (RFC 9457).
var failures = map[string]string{
	"400": "the request is broken: field says where", "408": "the request came in too slowly", "413": "the request is too large",
	"415": "the body is compressed", "422": "the content could not be judged", "500": "a fault of this daemon", "503": "too much to do; Retry-After says when to come again",
}

// describe returns the description of the routes, JSON.
func describe(routes []route) ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	doc := huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "verifyd", Version: "1",
			Description: "Judges signed documents and certificates. A bad signature is a report with status 200; an error means that nothing could be judged."},
		Paths:      map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: registry},
	}
	for _, r := range routes {
		doc.Paths[r.path] = &huma.PathItem{Post: r.doc.operation(registry, r.path)}
	}
	data, err := json.Marshal(&doc)
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return data, nil
}

// schemaName keeps types of one name in several packages apart.
func schemaName(t reflect.Type, hint string) string {
	named := t
	for named.Kind() == reflect.Pointer || named.Kind() == reflect.Slice {
		named = named.Elem()
	}
	pkg := path.Base(named.PkgPath())
	return strings.ToUpper(pkg[:min(1, len(pkg))]) + pkg[min(1, len(pkg)):] + huma.DefaultSchemaNamer(t, hint)
}

func (d *documentation) operation(registry huma.Registry, address string) *huma.Operation {
	op := &huma.Operation{OperationID: path.Base(address), Summary: d.summary, Parameters: d.parameters,
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}, Responses: map[string]*huma.Response{}}
	if strings.HasPrefix(address, "/v1/certificates") {
		op.OperationID = "certificateValidations"
	}
	for media, t := range d.bodies {
		schema := &huma.Schema{Type: "string", Format: "binary"}
		if t != nil {
			schema = registry.Schema(t, true, "")
		}
		op.RequestBody.Content[media] = &huma.MediaType{Schema: schema}
	}
	op.Responses["200"] = &huma.Response{Description: "the report", Content: map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(d.answer, true, "")}}}
	fault := registry.Schema(reflect.TypeFor[problem.Problem](), true, "")
	for status, description := range failures {
		op.Responses[status] = &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: fault}}}
	}
	return op
}
