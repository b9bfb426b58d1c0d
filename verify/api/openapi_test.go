package api

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"trustcore/internal/problem"
	"trustcore/verify/chain"
	"trustcore/verify/path"
	"trustcore/verify/poland"
)

var update = flag.Bool("update", false, "write the answers of the examples as they are")

// operations of a description, by method and path.
func operations(d description) map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for address, item := range d.paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "DELETE": item.Delete} {
			if op != nil {
				all[method+" "+address] = op
			}
		}
	}
	return all
}

// newDescribed is the API with a route of somebody else's, services, and certificates judged by the root of the
// identity cards.
func newDescribed(t *testing.T) *service {
	t.Helper()
	var anchors []path.Anchor
	for _, national := range poland.Shipped().Anchors() {
		anchor, err := path.AnchorFrom(national.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, anchor)
	}
	trusted, err := path.NewAnchors(anchors...)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{anchors: trusted}
	return newService(t, func(c *Config) {
		c.Judge, c.Certificate, c.Cards, c.MaxDocument = judgeForReal, a.judge, cardsOf(t, officeCards), 1<<20
		c.Callers = Applications
		c.Beside = []Route{{Method: http.MethodGet, Path: "/v1/beside/{key}", ID: "beside", Summary: "Somebody else's.",
			Handler: http.NotFoundHandler(), Answer: reflect.TypeFor[chain.Status]()}}
	})
}

// TestDescription is what a linter asks: every operation is named once, told, tagged and secured, and says what it
// answers, errors too; parameters of the address are there; nothing points nowhere.
func TestDescription(t *testing.T) {
	s := newDescribed(t)
	response, err := http.Get(s.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI    string
		Servers    []struct{ URL string }
		Tags       []struct{ Name, Description string }
		Security   []map[string][]string
		Components struct {
			Schemas         map[string]any
			SecuritySchemes map[string]struct{ Type string }
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || len(doc.Tags) != len(tags) || len(doc.Security) != 2 ||
		doc.Components.SecuritySchemes["certificate"].Type != "mutualTLS" || doc.Components.SecuritySchemes["token"].Type != "http" {
		t.Errorf("%+v", doc)
	}
	for _, part := range strings.Split(string(data), `"$ref":"#/components/schemas/`)[1:] {
		if name, _, _ := strings.Cut(part, `"`); doc.Components.Schemas[name] == nil {
			t.Errorf("%s is pointed to and not there", name)
		}
	}
	ids := map[string]bool{}
	all := operations(s.api.description())
	for route, op := range all {
		if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 ||
			!slices.ContainsFunc(tags, func(tag *huma.Tag) bool { return tag.Name == op.Tags[0] }) {
			t.Errorf("%s: %q %q %v", route, op.OperationID, op.Summary, op.Tags)
		}
		ids[op.OperationID] = true
		checkOperation(t, route, op)
	}
	for _, r := range s.api.routes() {
		if all[r.method+" "+r.path] == nil {
			t.Errorf("%s %s is not described", r.method, r.path)
		}
	}
}

// TestCallersAreDescribed: what is to be shown stands in the description, and so does what follows from it, as it is here.
func TestCallersAreDescribed(t *testing.T) {
	for callers, want := range map[Callers]string{
		Anybody:      `[{}] 400 408 413 415 422 500 503`,
		Certified:    `[{"certificate":[]}] 400 403 408 413 415 422 429 500 503`,
		Applications: `[{"certificate":[]},{"token":[]}] 400 401 403 408 413 415 422 429 500 503`,
	} {
		s := newService(t, func(c *Config) { c.Callers = callers })
		var doc struct {
			Security json.RawMessage
			Paths    map[string]struct {
				Post struct{ Responses map[string]any }
			}
		}
		if status, data := s.send(http.MethodGet, "/openapi.json", "", ""); status != http.StatusOK || json.Unmarshal(data, &doc) != nil {
			t.Fatalf("%d %s", status, data)
		}
		statuses := slices.Sorted(maps.Keys(doc.Paths["/v1/validations"].Post.Responses))
		statuses = slices.DeleteFunc(statuses, func(status string) bool { return status < "400" })
		if got := string(doc.Security) + " " + strings.Join(statuses, " "); got != want {
			t.Errorf("%d: %s", callers, got)
		}
	}
}

func checkOperation(t *testing.T, route string, op *huma.Operation) {
	t.Helper()
	if op.Responses["200"] == nil && op.Responses["204"] == nil {
		t.Errorf("%s answers nothing", route)
	}
	wanted := []string{"400", "401", "403", "429", "500", "503"}
	if strings.HasPrefix(route, "POST") && op.RequestBody != nil {
		wanted = append(wanted, "408", "413", "415", "422")
	}
	if strings.Contains(route, "{") {
		wanted = append(wanted, "404")
		if p := op.Parameters[0]; p.In != "path" || !p.Required || !strings.HasSuffix(route, "{"+p.Name+"}") {
			t.Errorf("%s: %+v", route, p)
		}
	}
	for _, status := range wanted {
		r := op.Responses[status]
		if r == nil || r.Description == "" || r.Content[problem.MediaType] == nil && (op.Tags[0] != tagSiva || status != "400") {
			t.Errorf("%s: %s is not described as a problem", route, status)
		}
	}
	for _, p := range op.Parameters {
		if p.In != "path" && p.Description == "" && p.Name != "Prefer" {
			t.Errorf("%s: the parameter %s is not told", route, p.Name)
		}
	}
}

// without are the operations that need no example: the one needs an earlier request, the other is a part of the test.
var without = []string{"laterResult", "forget", "beside"}

// TestExamples: each example is sent as it stands; it and its answer, the one of the example and the one that comes,
// are as the description says.
func TestExamples(t *testing.T) {
	s := newDescribed(t)
	d := s.api.description()
	for route, op := range operations(d) {
		if slices.Contains(without, op.OperationID) {
			continue
		}
		e := exampleOf(op.OperationID)
		if len(e.Answer) == 0 {
			t.Errorf("%s has no example", op.OperationID)
			continue
		}
		method, address, _ := strings.Cut(route, " ")
		body := ""
		if text, is := e.Request.(string); is {
			body = text
		} else if e.Request != nil {
			data, err := json.Marshal(e.Request)
			if err != nil {
				t.Fatal(err)
			}
			body = string(data)
			conforms(t, d, op.OperationID+": the request", op.RequestBody.Content[e.Media].Schema, e.Request)
		}
		status, answer := s.send(method, address+e.Query, e.Media, body)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", op.OperationID, status, answer)
			continue
		}
		schema := op.Responses["200"].Content["application/json"].Schema
		for name, text := range map[string][]byte{"the answer of the example": e.Answer, "the answer": answer} {
			var value any
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatal(err)
			}
			conforms(t, d, op.OperationID+": "+name, schema, value)
		}
		if *update {
			e.Answer = answer
			writeExample(t, op.OperationID, e)
		}
	}
}

func writeExample(t *testing.T, id string, e example) {
	t.Helper()
	data, err := json.MarshalIndent(e, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join("examples", id+".json"), append(data, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *service) send(method, path, media, body string) (int, []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", media)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, data
}

// conforms fails unless a value is as a schema says.
func conforms(t *testing.T, d description, what string, schema *huma.Schema, value any) {
	t.Helper()
	var found huma.ValidateResult
	huma.Validate(d.schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, &found)
	for i, err := range found.Errors {
		if d, is := err.(*huma.ErrorDetail); is && d.Value == "" && d.Message == validation.MsgExpectedBase64String {
			continue // no octets are base64 too, which this library does not know
		}
		if i == 10 {
			t.Errorf("%s: and %d more", what, len(found.Errors)-i)
			break
		}
		t.Errorf("%s: %v", what, err)
	}
}

// TestAnswersAreAsDescribed holds answers about a signed letter against the description: all that a report has.
func TestAnswersAreAsDescribed(t *testing.T) {
	w := newTown(t)
	letter := w.letter(t)
	encoded := base64.StdEncoding.EncodeToString(letter)
	d := w.api.description()
	all := operations(d)
	for _, test := range []struct{ route, media, body string }{
		{"POST /v1/validations", "", string(letter)},
		{"POST " + dssSignaturePath, "application/json", fmt.Sprintf(`{"signedDocument":{"bytes":%q,"name":"a"}}`, encoded)},
		{"POST /services/rest/validation/getOriginalDocuments", "application/json", fmt.Sprintf(`{"signedDocument":{"bytes":%q,"name":"a"}}`, encoded)},
		{"POST /validate", "application/json", fmt.Sprintf(`{"document":%q,"filename":"a","reportType":"Detailed"}`, encoded)},
		{"POST /validate", "application/json", fmt.Sprintf(`{"document":%q,"filename":"a","reportType":"Diagnostic"}`, encoded)},
		{"POST /getDataFiles", "application/json", fmt.Sprintf(`{"document":%q,"filename":"a"}`, encoded)},
	} {
		method, address, _ := strings.Cut(test.route, " ")
		status, answer := w.send(method, address, test.media, test.body)
		var value any
		if err := json.Unmarshal(answer, &value); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %v", test.route, status, err)
		}
		conforms(t, d, test.route, all[test.route].Responses["200"].Content["application/json"].Schema, value)
	}
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	_, answer := s.send(http.MethodPost, certificates+"?trace=true&revocation=none", "", a.pem(a.leaf, a.issuing))
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		t.Fatal(err)
	}
	conforms(t, d, certificates, all["POST "+certificates].Responses["200"].Content["application/json"].Schema, value)
}
