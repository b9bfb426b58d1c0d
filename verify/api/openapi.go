package api

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/internal/problem"
)

// Route is one that somebody else serves beside the API's own, with what its description says. Errors of its handler
// are problems; what follows a last "/" of the path in braces is the parameter of the address.
type Route struct {
	Method, Path string
	Handler      http.Handler
	ID, Summary  string
	Media        string       // of the body, which is octets; "" for none
	Answer       reflect.Type // of the JSON
}

// documentation describes a route in OpenAPI 3.1. Documents travel outside of huma's own handlers (a megabyte of base64
// costs it 50 ms and more); of huma the description alone is used, so that its schemas are those of the Go types.
type documentation struct {
	id, tag    string
	summary    string
	parameters []*huma.Param
	bodies     map[string]reflect.Type // by media type; nil for octets
	answer     reflect.Type            // nil: there is none
	lines      reflect.Type            // of each line of an answer in lines; nil: there is no such answer
	files      []string                // media types of answers that are octets
	more       map[string]string       // further statuses, answered as 200 is
}

// Tags, in the order of the description.
const (
	tagDocuments    = "documents"
	tagCertificates = "certificates"
	tagServices     = "services"
	tagTrust        = "trust"
	tagDSS          = "DSS"
	tagSiva         = "SiVa"
)

var tags = []*huma.Tag{
	{Name: tagDocuments, Description: "Signed documents, judged at once or once more later."},
	{Name: tagCertificates, Description: "Certificates, judged for themselves."},
	{Name: tagServices,
		Description: "Services that documents are handed in for, and the kinds of signatures that they accept."},
	{Name: tagTrust, Description: "Trusted lists in use."},
	{Name: tagDSS, Description: "For clients of the Commission's DSS."},
	{Name: tagSiva,
		Description: "For clients of SiVa. What is wrong with a request is told as SiVa does, with status 400."},
}

// maxPart is the largest part of an identifier in an address that is described; nothing longer is found.
const maxPart = 100

// failures are the statuses that a route may answer with a problem (RFC 9457); those from 405 to 428 one that takes a body,
// the others any.
var failures = map[string]string{
	"400": "the request is broken: field says where",
	"408": "the request came in too slowly",
	"413": "the request is too large",
	"415": "the body is compressed otherwise than with gzip, or of a type that is not taken",
	"422": "the content could not be judged",
	"500": "a fault of this daemon",
	"503": "too much to do, or no trusted list is in use; Retry-After says when to come again",
}

// failuresOf are the statuses of who is not let in, or asks too much.
func (c Callers) failuresOf() map[string]string {
	failures := map[string]string{}
	if c >= Certified {
		failures["403"] = "what is shown may not use this"
		failures["429"] = "a quota is used up: Retry-After says when to come again, where waiting helps"
	}
	if c == Applications {
		failures["401"] = "neither a client certificate nor a token that counts"
	}
	return failures
}

// security is what callers have to show, and the ways of showing it.
func (c Callers) security() (needed []map[string][]string, schemes map[string]*huma.SecurityScheme) {
	if c == Anybody {
		return []map[string][]string{{}}, nil
	}
	needed = []map[string][]string{{"certificate": {}}}
	schemes = map[string]*huma.SecurityScheme{
		"certificate": {Type: "mutualTLS", Description: "a client certificate of the data centre's authority"}}
	if c == Applications {
		needed = append(needed, map[string][]string{"token": {}})
		schemes["token"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", Description: "a token of the application"}
	}
	return needed, schemes
}

// description is what is added to: the paths, with the schemas that they name.
type description struct {
	schemas  huma.Registry
	paths    map[string]*huma.PathItem
	failures map[string]string // that every route may answer with
}

// describe returns the description of the routes, JSON.
func (s *Server) describe() ([]byte, error) {
	d := s.description()
	needed, schemes := s.cfg.Callers.security()
	data, err := json.Marshal(&huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "verifyd", Version: "1",
			Description: "Judges signed documents and certificates. A bad signature is a report with status 200; " +
				"an error means that nothing could be judged. Problems are told in Polish to who asks by Accept-Language: pl."},
		Servers: []*huma.Server{{URL: "/", Description: "the verifyd that this description comes from"}},
		Tags:    tags, Paths: d.paths,
		Components: &huma.Components{Schemas: d.schemas, SecuritySchemes: schemes}, Security: needed,
	})
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return data, nil
}

func (s *Server) description() description {
	d := description{newSchemas(), map[string]*huma.PathItem{}, s.cfg.Callers.failuresOf()}
	maps.Copy(d.failures, failures)
	for _, r := range s.routes() {
		d.add(r.method, r.path, &r.doc)
	}
	for _, r := range s.cfg.Beside {
		doc := documentation{id: r.ID, tag: tagTrust, summary: r.Summary, answer: r.Answer}
		if r.Media != "" {
			doc.bodies = map[string]reflect.Type{r.Media: nil}
		}
		d.add(r.Method, r.Path, &doc)
	}
	d.asEncoded()
	for _, t := range lenient {
		schema := d.schemas.Map()[schemaName(t, "")]
		schema.Required = nil
		schema.PrecomputeMessages()
	}
	return d
}

// lenient are requests of which clients leave out what they have nothing to say about.
var lenient = []reflect.Type{reflect.TypeFor[dssRequest](), reflect.TypeFor[dssDocument](),
	reflect.TypeFor[dssCertificateRequest](), reflect.TypeFor[dssEncoded]()}

func (d *description) add(method, address string, doc *documentation) {
	item := d.paths[address]
	if item == nil {
		item = new(huma.PathItem)
		d.paths[address] = item
	}
	op := d.operation(address, doc)
	switch method {
	case http.MethodGet:
		item.Get = op
	case http.MethodDelete:
		item.Delete = op
	default:
		item.Post = op
	}
}

func (d *description) operation(address string, doc *documentation) *huma.Operation {
	op := &huma.Operation{OperationID: doc.id, Tags: []string{doc.tag}, Summary: doc.summary, Parameters: doc.parameters,
		Responses: map[string]*huma.Response{}}
	name, named := strings.CutSuffix(path.Base(address), "}")
	if named {
		most := maxPart
		op.Parameters = append([]*huma.Param{{Name: name[1:], In: "path", Required: true,
			Schema: &huma.Schema{Type: "string", MaxLength: &most}}}, op.Parameters...)
	}
	shown := exampleOf(doc.id)
	if len(doc.bodies) > 0 {
		op.RequestBody = d.body(doc, shown)
	}
	d.answers(op, doc, shown)
	fault := d.schemas.Schema(reflect.TypeFor[problem.Problem](), true, "")
	for status, text := range d.failures {
		if op.RequestBody == nil && status > "404" && status < "429" {
			continue
		}
		op.Responses[status] = &huma.Response{Description: text,
			Content: map[string]*huma.MediaType{problem.MediaType: {Schema: fault}}}
	}
	if named {
		op.Responses["404"] = &huma.Response{Description: "there is nothing under this name",
			Content: map[string]*huma.MediaType{problem.MediaType: {Schema: fault}}}
	}
	if doc.tag == tagSiva {
		op.Responses["400"] = &huma.Response{Description: "the request can't be answered",
			Content: map[string]*huma.MediaType{"application/json": {Schema: d.schemas.Schema(reflect.TypeFor[sivaErrors](), true, "")}}}
	}
	return op
}

func (d *description) body(doc *documentation, shown example) *huma.RequestBody {
	body := &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
	for media, t := range doc.bodies {
		content := &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
		if t != nil {
			content.Schema = d.schemas.Schema(t, true, "")
		}
		if media == shown.Media {
			content.Example = shown.Request
		}
		body.Content[media] = content
	}
	return body
}

// answers describes what comes back when the request was answered.
func (d *description) answers(op *huma.Operation, doc *documentation, shown example) {
	if doc.answer == nil {
		op.Responses["204"] = &huma.Response{Description: "done"}
		return
	}
	schema := d.schemas.Schema(doc.answer, true, "")
	content := map[string]*huma.MediaType{"application/json": {Schema: schema, Example: shown.Answer}}
	if doc.lines != nil {
		content[ndjson] = &huma.MediaType{Schema: d.schemas.Schema(doc.lines, true, "")}
	}
	for _, media := range doc.files {
		content[media] = &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
	}
	op.Responses["200"] = &huma.Response{Description: "the answer", Content: content}
	for status, text := range doc.more {
		op.Responses[status] = &huma.Response{Description: text,
			Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
	}
}

// example is a request with its answer, of which a test sends the one and holds the other against the description.
type example struct {
	Media   string          `json:"media,omitempty"`
	Query   string          `json:"query,omitempty"`
	Request any             `json:"request,omitempty"` // JSON, or the text that is sent
	Answer  json.RawMessage `json:"answer"`
}

//go:embed examples/*.json
var examples embed.FS

// exampleOf is the example of an operation; one without has none.
func exampleOf(id string) (e example) {
	data, err := examples.ReadFile("examples/" + cmp.Or(id, "none") + ".json")
	if err != nil {
		return example{}
	}
	if err := json.Unmarshal(data, &e); err != nil {
		panic("api: the example of " + id + ": " + err.Error()) // it is a part of the program
	}
	return e
}
