package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/internal/problem"
	"trustcore/internal/store"
)

// described are the operations by method and path, their schemas, and the description as it is served.
func described(t *testing.T) (all map[string]*huma.Operation, schemas huma.Registry, text string) {
	t.Helper()
	schemas = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	all = map[string]*huma.Operation{}
	for _, o := range operations() {
		all[o.method+" "+o.path] = o.describe(schemas)
	}
	data, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	return all, schemas, string(data)
}

// TestDescription is what a linter asks, as of verifyd's: every operation is named once, told and tagged, and says what
// it answers, errors too; parameters of the address are there; nothing points nowhere; every route is described.
func TestDescription(t *testing.T) {
	all, _, text := described(t)
	var doc struct {
		OpenAPI    string
		Servers    []struct{ URL string }
		Tags       []struct{ Name, Description string }
		Security   []map[string][]string
		Paths      map[string]map[string]any
		Components struct {
			Schemas         map[string]any
			SecuritySchemes map[string]struct{ Type, Scheme string }
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || len(doc.Tags) != 1 || len(doc.Security) != 2 ||
		doc.Components.SecuritySchemes["certificate"].Type != "mutualTLS" ||
		doc.Components.SecuritySchemes["token"].Scheme != "bearer" {
		t.Errorf("%+v", doc)
	}
	for _, part := range strings.Split(text, `"$ref":"#/components/schemas/`)[1:] {
		if name, _, _ := strings.Cut(part, `"`); doc.Components.Schemas[name] == nil {
			t.Errorf("%s is pointed to and not there", name)
		}
	}
	ids := map[string]bool{}
	for route, op := range all {
		if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 {
			t.Errorf("%s: %q %q %v", route, op.OperationID, op.Summary, op.Tags)
		}
		ids[op.OperationID] = true
		checkDescribed(t, route, op)
	}
	var b *Batches
	for pattern := range b.Routes(problem.Door{}) {
		pattern = strings.Replace(pattern, "...}", "}", 1)
		if pattern != "GET /openapi.json" && !strings.Contains(pattern, "{change}") && all[pattern] == nil {
			t.Errorf("%s is not described", pattern)
		}
	}
	for name := range changes {
		if all["POST /v1/batches/{id}/"+name] == nil {
			t.Errorf("to %s is not described", name)
		}
	}
}

func checkDescribed(t *testing.T, route string, op *huma.Operation) {
	t.Helper()
	wanted := []string{"400", "401", "403", "429", "500", "503"}
	if strings.Contains(route, "{id}") {
		wanted = append(wanted, "404", "409")
	}
	if op.RequestBody != nil {
		wanted = append(wanted, "408", "413", "415")
	}
	for _, status := range wanted {
		if r := op.Responses[status]; r == nil || r.Description == "" || r.Content[problem.MediaType] == nil {
			t.Errorf("%s: %s is not described as a problem", route, status)
		}
	}
	for part := range strings.SplitSeq(route, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		if !slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool {
			return p.In == "path" && p.Required && "{"+p.Name+"}" == part
		}) {
			t.Errorf("%s: the parameter %s is not described", route, part)
		}
	}
	for _, p := range op.Parameters {
		if p.In != "path" && p.Description == "" {
			t.Errorf("%s: the parameter %s is not told", route, p.Name)
		}
	}
}

// TestExamples: each example is sent as it stands, in the order of the description; it and its answer, the one of the
// example and the one that comes, are as the description says.
func TestExamples(t *testing.T) {
	b := openForExamples(t)
	mux := http.NewServeMux()
	for pattern, do := range b.Routes(problem.Door{}) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { do(w, r, "application:ezd") })
	}
	_, schemas, _ := described(t)
	id := ""
	for _, o := range operations() {
		address := strings.NewReplacer("{id}", id, "{name}", "wniosek.pdf").Replace(o.path)
		r := httptest.NewRequestWithContext(t.Context(), o.method, address, strings.NewReader(o.example.request))
		r.Header.Set("Content-Type", o.example.media)
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != o.status {
			t.Errorf("%s: %d %s", o.id, w.Code, w.Body)
			continue
		}
		if o.id == "create" {
			var made Info
			if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
				t.Fatal(err)
			}
			id = made.ID
		}
		if o.example.media == "application/json" {
			conforms(t, schemas, o.id+": the request", o.bodies[o.example.media], o.example.request)
		}
		if o.answer == nil {
			continue
		}
		conforms(t, schemas, o.id+": the answer of the example", o.answer, o.example.answer)
		for line := range strings.Lines(w.Body.String()) {
			conforms(t, schemas, o.id+": the answer", o.answer, line)
		}
	}
}

// TestResultsAreAsDescribed holds the lines that are kept against the description.
func TestResultsAreAsDescribed(t *testing.T) {
	_, schemas, _ := described(t)
	for _, o := range []outcome{{task: task{n: 3, name: "a.pdf"}, report: []byte(`{"signatures":[]}`)},
		{task: task{name: "b.pdf"}, refusal: &Refusal{422, "it holds no signature"}}} {
		var line bytes.Buffer
		o.write(&line)
		conforms(t, schemas, o.name, reflect.TypeFor[resultLine](), line.String())
	}
}

// openForExamples is a queue that hands nothing over: what comes in stays until it is cancelled.
func openForExamples(t *testing.T) *Batches {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(dir, "batches.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b, err := Open(t.Context(), Config{DB: db, Dir: filepath.Join(dir, "spool"), Now: time.Now,
		Judge:  func(context.Context, Document) (Verdict, error) { return Verdict{}, nil },
		Ready:  func(context.Context) error { return nil },
		Record: func(context.Context, Act) error { return nil },
		Terms:  func(string) Terms { return Terms{Webhooks: []string{"https://ezd.gmina.pl/"}} },
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// conforms fails unless a JSON text is as the schema of a type says.
func conforms(t *testing.T, schemas huma.Registry, what string, of reflect.Type, text string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v: %s", what, err, text)
	}
	schema := schemas.Schema(of, true, "")
	for _, s := range schemas.Map() {
		s.PrecomputeMessages()
	}
	var found huma.ValidateResult
	huma.Validate(schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, &found)
	for _, err := range found.Errors {
		t.Errorf("%s: %v", what, err)
	}
}

// TestDescriptionIsServed to who may ask.
func TestDescriptionIsServed(t *testing.T) {
	var b *Batches
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil)
	b.Routes(problem.Door{})["GET /openapi.json"](w, r, "")
	if w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) ||
		w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
