package batch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/internal/problem"
)

// operation describes a route in OpenAPI 3.1. The schemas are those of the Go types; nothing else of huma is used.
type operation struct {
	method, path, id string
	summary          string
	query            []*huma.Param
	bodies           map[string]reflect.Type // by media type; a nil type is octets
	status           int
	answer           reflect.Type // nil: there is none
	lines            bool         // the answer has one of them a line
	example          example
}

// example is a request with its answer, which a test sends and holds against the description.
type example struct{ media, request, answer string }

const ndjson = "application/x-ndjson"

// documentsForm describes the parts of an upload.
type documentsForm struct {
	Document [][]byte `json:"document" contentEncoding:"binary" doc:"documents, each with its name as file name"`
	Detached [][]byte `json:"detached,omitempty" doc:"behind a document: the files that it signs"`
}

// wanted is what a batch begins with.
type wanted struct {
	Name string `json:"name,omitempty" maxLength:"1024" doc:"for people"`
	Wish
}

// secretAnswer has a secret that is told once.
type secretAnswer struct {
	Secret string `json:"secret" doc:"whsec_ and base64"`
}

// resultLine describes a row of results.
type resultLine struct {
	N       int64          `json:"n" doc:"the document's number in its batch, from 0"`
	Name    string         `json:"name"`
	Report  map[string]any `json:"report,omitempty" doc:"as verifyd gives it: see its own description"`
	Problem *Refusal       `json:"problem,omitempty" doc:"why there is no report"`
}

const infoExample = `{"id":"B5JPA2IRRUNPQ3REQ5HVBJWPQX","name":"wnioski","created":"2026-03-03T12:00:00Z",` +
	`"policy":"strict","state":"open","documents":2,"judged":1,"refused":0}`

// operations are in the order in which a batch goes through them.
func operations() []operation {
	infoOf, addedOf := reflect.TypeFor[Info](), reflect.TypeFor[added]()
	all := []operation{
		{method: http.MethodPost, path: "/v1/batches", id: "create", summary: "Begin a batch.",
			bodies: map[string]reflect.Type{"application/json": reflect.TypeFor[wanted]()},
			status: http.StatusCreated, answer: infoOf,
			example: example{"application/json", `{"name":"wnioski","policy":"strict"}`, infoExample}},
		{method: http.MethodGet, path: "/v1/batches", id: "list", summary: "The own batches, newest first.",
			status: http.StatusOK, answer: reflect.TypeFor[[]Info](), example: example{answer: "[" + infoExample + "]"}},
		{method: http.MethodGet, path: "/v1/batches/{id}", id: "tell", summary: "How far a batch is.",
			status: http.StatusOK, answer: infoOf, example: example{answer: infoExample}},
		{method: http.MethodPut, path: "/v1/batches/{id}/documents/{name}", id: "put",
			summary: "Bring one document; the same again changes nothing. A name may have slashes.",
			bodies:  map[string]reflect.Type{"application/octet-stream": nil}, status: http.StatusOK, answer: addedOf,
			example: example{"application/octet-stream", "Wniosek o ulgę.\n", `{"documents":1}`}},
		{method: http.MethodPost, path: "/v1/batches/{id}/documents", id: "upload",
			summary: "Bring many documents, or say where they lie, a line each. All of them come in, or none.",
			query: []*huma.Param{{Name: "first", In: "query", Schema: &huma.Schema{Type: "integer"},
				Description: "the number that the first of them has to get: an upload that came through before is refused"}},
			bodies: map[string]reflect.Type{"multipart/form-data": reflect.TypeFor[documentsForm](),
				ndjson: reflect.TypeFor[Source]()},
			status: http.StatusOK, answer: addedOf,
			example: example{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=document; " +
				"filename=a.pdf\r\n\r\nWniosek\r\n--x--\r\n", `{"documents":2}`}},
	}
	for _, c := range []struct{ name, summary string }{
		{"pause", "Hand no more documents over until the batch is resumed."}, {"resume", "Go on."},
		{"close", "Say that no more documents come."},
		{"cancel", "Erase the documents that have no result; they get none."},
	} {
		all = append(all, operation{method: http.MethodPost, path: "/v1/batches/{id}/" + c.name, id: c.name,
			summary: c.summary, status: http.StatusOK, answer: infoOf, example: example{answer: infoExample}})
	}
	return append(all,
		operation{method: http.MethodGet, path: "/v1/batches/{id}/results", id: "results",
			summary: "What is there of the results, as documents were judged: a range of bytes goes on, since it only grows.",
			query: []*huma.Param{{Name: "from", In: "query", Schema: &huma.Schema{Type: "integer"},
				Description: "in the order of the documents in place of that, from this number on, as far as there is no gap"}},
			status: http.StatusOK, answer: reflect.TypeFor[resultLine](), lines: true,
			example: example{answer: `{"n":0,"name":"a.pdf","problem":{"status":422,"detail":"it holds no signature"}}`}},
		operation{method: http.MethodDelete, path: "/v1/batches/{id}", id: "erase",
			summary: "Erase a batch with its documents and results.", status: http.StatusNoContent},
		operation{method: http.MethodPost, path: "/v1/webhook-secret", id: "webhookSecret",
			summary: "Make the secret that signs the own webhooks, told once; the one before ends.",
			status:  http.StatusOK, answer: reflect.TypeFor[secretAnswer](),
			example: example{answer: `{"secret":"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}`}})
}

// failures are what every operation may answer with a problem; those of a batch that is not there, of its state, and of
// bodies come to it.
var failures = map[int]string{
	400: "the request is broken: field says where",
	401: "neither a client certificate nor a token that counts",
	403: "what is shown may not use this",
	429: "a quota is used up: Retry-After says when to come again, where waiting helps",
	500: "a fault of this daemon",
	503: "the database, or who may come in, is not known now: Retry-After says when to come again",
}

var (
	failuresOfBatch = map[int]string{404: "there is no such batch of the caller's", 409: "the batch is in no state for it"}
	failuresOfBody  = map[int]string{408: "the request came in too slowly", 413: "the request is too large",
		415: "the body is compressed otherwise than with gzip, or of a type that is not taken"}
)

// describe returns the description of the routes, JSON.
func describe() ([]byte, error) {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	paths := map[string]*huma.PathItem{}
	for _, o := range operations() {
		item := paths[o.path]
		if item == nil {
			item = new(huma.PathItem)
			paths[o.path] = item
		}
		*map[string]**huma.Operation{http.MethodGet: &item.Get, http.MethodPost: &item.Post, http.MethodPut: &item.Put,
			http.MethodDelete: &item.Delete}[o.method] = o.describe(schemas)
	}
	data, err := json.Marshal(&huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "batchd", Version: "1",
			Description: "Has batches of many documents verified by verifyd. Each document gets exactly one result."},
		Servers: []*huma.Server{{URL: "/", Description: "the batchd that this description comes from"}},
		Tags:    []*huma.Tag{{Name: "batches", Description: "Sets of documents, judged one and all."}}, Paths: paths,
		Components: &huma.Components{Schemas: schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
			"certificate": {Type: "mutualTLS", Description: "a client certificate of the data centre's authority"},
			"token":       {Type: "http", Scheme: "bearer", Description: "a token of the application"}}},
		Security: []map[string][]string{{"certificate": {}}, {"token": {}}},
	})
	if err != nil {
		return nil, fmt.Errorf("batch: description: %w", err)
	}
	return data, nil
}

func (o *operation) describe(schemas huma.Registry) *huma.Operation {
	op := &huma.Operation{OperationID: o.id, Tags: []string{"batches"}, Summary: o.summary, Parameters: o.query,
		Responses: map[string]*huma.Response{}}
	most := maxName
	for _, part := range strings.Split(o.path, "/") {
		if name, is := strings.CutPrefix(part, "{"); is {
			op.Parameters = append(op.Parameters, &huma.Param{Name: strings.TrimSuffix(name, "}"), In: "path", Required: true,
				Schema: &huma.Schema{Type: "string", MaxLength: &most}})
		}
	}
	if len(o.bodies) > 0 {
		op.RequestBody = o.body(schemas)
	}
	answer := &huma.Response{Description: "done"}
	if o.answer != nil {
		media := "application/json"
		if o.lines {
			media = ndjson
		}
		answer.Content = map[string]*huma.MediaType{media: {Schema: schemas.Schema(o.answer, true, ""),
			Example: json.RawMessage(o.example.answer)}}
	}
	op.Responses[strconv.Itoa(o.status)] = answer
	o.fail(op, schemas.Schema(reflect.TypeFor[problem.Problem](), true, ""))
	return op
}

func (o *operation) body(schemas huma.Registry) *huma.RequestBody {
	body := &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
	for media, t := range o.bodies {
		content := &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
		if t != nil {
			content.Schema = schemas.Schema(t, true, "")
		}
		if media == o.example.media && t != nil {
			content.Example = json.RawMessage(o.example.request)
		} else if media == o.example.media {
			content.Example = o.example.request
		}
		body.Content[media] = content
	}
	return body
}

func (o *operation) fail(op *huma.Operation, schema *huma.Schema) {
	add := func(all map[int]string) {
		for status, text := range all {
			op.Responses[strconv.Itoa(status)] = &huma.Response{Description: text,
				Content: map[string]*huma.MediaType{problem.MediaType: {Schema: schema}}}
		}
	}
	add(failures)
	if strings.Contains(o.path, "{id}") {
		add(failuresOfBatch)
	}
	if len(o.bodies) > 0 {
		add(failuresOfBody)
	}
}

// Schema describes a state with those that there are.
func (State) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Enum: []any{string(Taking), string(Closed), string(Finished), string(Cancelled)}}
}

// tellRoutes answers GET /openapi.json.
func (b *Batches) tellRoutes(w http.ResponseWriter, _ *http.Request, _ string) error {
	data, err := describe()
	if err == nil {
		problem.Send(w, http.StatusOK, "application/json", data)
	}
	return err
}
