package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/verify"
	"trustcore/verify/chain"
	"trustcore/verify/client"
	"trustcore/verify/report/dss"
)

// text is a parameter of the address.
func text(name, description string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: description, Schema: &huma.Schema{Type: "string"}}
}

// texts is one that may be repeated.
func texts(name, description string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: description,
		Schema: &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}}
}

func yesOrNo(name, description string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: description, Schema: &huma.Schema{Type: "boolean"}}
}

var (
	parameterAt = &huma.Param{Name: "at", In: "query", Description: "time of validation, RFC 3339; now when absent",
		Schema: &huma.Schema{Type: "string", Format: "date-time"}}
	parameterPolicy = text("policy", "name of a validation policy that can be chosen here, such as strict; "+
		"the configured one when absent. The report names it")
	parameterRevocation = &huma.Param{Name: "revocation", In: "query", Description: "require when absent",
		Schema: &huma.Schema{Type: "string",
			Enum: []any{string(chain.None), string(chain.IfAvailable), string(chain.Require)}}}
)

// What each route is about.
var (
	docValidations = documentation{
		id: "validate", tag: tagDocuments,
		summary: "Judge every signature of a document. With multipart/form-data detached contents, " +
			"or digests of them, and passwords of an encrypted PDF are sent beside it.",
		parameters: []*huma.Param{parameterAt, parameterPolicy,
			text("service", "id of a service card: the report says whether the document is accepted for it"),
			yesOrNo("active", "also tell what the document does besides being read: scripts, macros, attachments"),
			yesOrNo("later", "keep a document whose verdict may be another one soon (try_again) and judge it again then: "+
				"Location says where the result is. Prefer: respond-async says the same"),
			{Name: "report", In: "query", Description: "answer with a report that can be kept, in the language of " +
				"Accept-Language, in place of JSON", Schema: &huma.Schema{Type: "string", Enum: []any{"pdf", "html", "etsi-xml"}}},
			yesOrNo("seal", "whether the report bears the seal of the data centre; absent, it does where it can. One that can't be "+
				"sealed now is a problem with status 503"),
			{Name: "Prefer", In: "header", Description: "respond-async is later=true", Schema: &huma.Schema{Type: "string"}}},
		bodies: map[string]reflect.Type{"application/octet-stream": nil,
			"multipart/form-data": reflect.TypeFor[documentForm]()},
		answer: reflect.TypeFor[verify.Report](),
		files:  []string{"application/pdf", "text/html", "application/xml"},
	}
	docLater = documentation{
		id: "laterResult", tag: tagDocuments, summary: "The newest report on a document that was kept, to who brought it.",
		answer: reflect.TypeFor[verify.Report](),
		more:   map[string]string{"202": "the newest report; the document is judged again when Retry-After says"},
	}
	docForget = documentation{id: "forget", tag: tagDocuments,
		summary: "Erase a document that was kept, and its result."}
	docServices = documentation{id: "services", tag: tagServices,
		summary: "The services that documents may be handed in for.",
		answer:  reflect.TypeFor[client.Services]()}
	docCertificates = documentation{
		id: "certificate", tag: tagCertificates,
		summary: "Judge a certificate: its path to an anchor, revocation, qualification; or, as lines of JSON, " +
			"up to 1,000 of them, each line answered by one.",
		parameters: []*huma.Param{parameterAt, parameterPolicy, parameterRevocation,
			texts("purpose", "extended key usage that the path must allow, such as serverAuth; may be repeated"),
			texts("certificate_policy", "object identifier; may be repeated"),
			yesOrNo("trace", "answer with every step and the certificates")},
		bodies: map[string]reflect.Type{"application/json": reflect.TypeFor[client.CertificateQuestion](),
			ndjson: reflect.TypeFor[client.CertificateQuestion](), "application/pkix-cert": nil, "application/x-pem-file": nil},
		answer: reflect.TypeFor[client.CertificateAnswer](), lines: reflect.TypeFor[client.CertificateLine](),
	}
	docDSSSignature = documentation{
		id: "validateSignature", tag: tagDSS,
		summary: "DSS-compatible validateSignature: SimpleReport, DetailedReport, DiagnosticData and " +
			"the ETSI validation report.",
		bodies: map[string]reflect.Type{"application/json": reflect.TypeFor[dssRequest]()},
		answer: reflect.TypeFor[dss.Reports](),
	}
	docDSSOriginals = documentation{
		id: "getOriginalDocuments", tag: tagDSS,
		summary: "DSS-compatible getOriginalDocuments: what the signature with the id, or the first one, is about.",
		bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[dssRequest]()},
		answer:  reflect.TypeFor[[]remoteDocument](),
	}
	docDSSCertificate = documentation{
		id: "validateCertificate", tag: tagDSS, summary: "DSS-compatible validateCertificate: its three reports.",
		bodies: map[string]reflect.Type{"application/json": reflect.TypeFor[dssCertificateRequest]()},
		answer: reflect.TypeFor[dssCertificateAnswer](),
	}
	docSivaValidate = documentation{
		id: "sivaValidate", tag: tagSiva, summary: "SiVa-compatible validate: Simple, Detailed or Diagnostic.",
		bodies: map[string]reflect.Type{"application/json": reflect.TypeFor[sivaRequest]()},
		answer: reflect.TypeFor[sivaAnswer](),
	}
	docSivaHashcode = documentation{
		id: "sivaValidateHashcode", tag: tagSiva,
		summary: "SiVa-compatible validateHashcode: signatures about files of which digests are sent.",
		bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[sivaHashRequest]()},
		answer:  reflect.TypeFor[sivaAnswer](),
	}
	docSivaDataFiles = documentation{
		id: "sivaGetDataFiles", tag: tagSiva,
		summary: "SiVa-compatible getDataFiles: the files that a document's signatures are about.",
		bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[sivaFilesRequest]()},
		answer:  reflect.TypeFor[sivaFiles](),
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
	Service  string   `json:"service,omitempty" doc:"id of a service card, as the parameter"`
}

// Schema describes the time in huma's words.
func (dssTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Format: "date-time", Nullable: true}
}
