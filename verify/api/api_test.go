package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
)

// asked is what the judge under the test was given.
type asked struct {
	data     string
	detached []string
	at       time.Time
}

// service is the API over a judge that notes what it was given; do, where set, takes its place.
type service struct {
	t    *testing.T
	url  string
	api  *Server
	last asked
	do   func(ctx context.Context) (*verify.Report, error)
}

func newService(t *testing.T, change func(*Config)) *service {
	t.Helper()
	s := &service{t: t}
	cfg := Config{Judge: s.judge, Certificate: newAuthority(t).judge, Logger: slog.New(slog.DiscardHandler), MaxDocument: 1000, Concurrency: 1, Waiting: 1, SpoolDir: t.TempDir()}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.api, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	door := problem.Door{Name: "api", Logger: cfg.Logger, Body: Bodies(cfg.MaxDocument), Speak: Speak}
	server := httptest.NewServer(door.Guard(s.api))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *service) judge(ctx context.Context, r verify.Request) (*verify.Report, error) {
	if s.do != nil {
		return s.do(ctx)
	}
	s.last = asked{data: string(r.Document), at: r.At}
	for _, d := range r.Detached {
		s.last.detached = append(s.last.detached, d.Name+"="+string(d.Content))
	}
	time0 := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	return &verify.Report{Policy: "strict", SHA256: strings.Repeat("0", 64), ValidationTime: time0, Timestamps: []verify.TimestampReport{}, Signatures: []verify.SignatureReport{{
		ID: "S-1", Format: "XAdES", Level: "B-T", Indication: verify.Indeterminate, SubIndication: verify.TryLater, Qualification: "N/A",
		Sentence: map[string]string{"en": "not known yet"}, Scopes: []verify.Scope{{Name: "a", Scope: "all", Full: true}},
		Timestamps: []verify.TimestampReport{{ID: "T-1", Indication: verify.Passed, Time: &time0}},
		Chain:      []verify.Certificate{{SHA256: "ab", Subject: "CN=a"}, {SHA256: "cd", Subject: "CN=b", Anchor: true}},
	}}}, nil
}

// post sends a body and returns the status and the answer, which must be JSON.
func (s *service) post(path, media string, body io.Reader) (int, map[string]any, http.Header) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", media)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		s.t.Fatalf("%s: %s: %v", path, response.Status, err)
	}
	want := "application/json"
	if response.StatusCode != http.StatusOK {
		want = "application/problem+json"
		if answer["status"] != float64(response.StatusCode) || answer["title"] == "" || answer["detail"] == "" {
			s.t.Errorf("%s: no problem: %v", path, answer)
		}
	}
	if got := response.Header.Get("Content-Type"); got != want {
		s.t.Errorf("%s: Content-Type %s, want %s", path, got, want)
	}
	return response.StatusCode, answer, response.Header
}

// wantProblem fails unless the answer has the status and names the field.
func (s *service) wantProblem(path, media, body string, status int, field string) {
	s.t.Helper()
	got, answer, _ := s.post(path, media, strings.NewReader(body))
	if name, _ := answer["field"].(string); got != status || name != field {
		s.t.Errorf("%s %.60q: %d field %q (%v), want %d field %q", path, body, got, name, answer["detail"], status, field)
	}
}

// form makes a multipart body; parts are "name=content" or "name:file name=content".
func form(t *testing.T, parts ...string) (media string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for _, p := range parts {
		name, content, _ := strings.Cut(p, "=")
		var part io.Writer
		var err error
		if name, file, isFile := strings.Cut(name, ":"); isFile {
			part, err = w.CreateFormFile(name, file)
		} else {
			part, err = w.CreateFormField(name)
		}
		if err == nil {
			_, err = io.WriteString(part, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

const validations = "/v1/validations"

func TestValidations(t *testing.T) {
	s := newService(t, nil)
	status, _, header := s.post(validations, "application/octet-stream", strings.NewReader("document"))
	if status != http.StatusOK || s.last.data != "document" || !s.last.at.IsZero() {
		t.Errorf("%d %v", status, s.last)
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", header)
	}

	s.post(validations+"?at=2026-03-03T12:00:00Z", "application/pdf", strings.NewReader("document"))
	if want := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC); !s.last.at.Equal(want) {
		t.Errorf("at %s", s.last.at)
	}

	media, body := form(t, "detached:a.txt=first", "document:a.p7s=signature", "at=2026-03-03T13:00:00+01:00\n", "detached:b.txt=second")
	if status, _, _ := s.post(validations, media, body); status != http.StatusOK {
		t.Errorf("multipart: %d", status)
	}
	if got := fmt.Sprint(s.last.data, s.last.detached, s.last.at.UTC()); got != "signature[a.txt=first b.txt=second] 2026-03-03 12:00:00 +0000 UTC" {
		t.Errorf("multipart: %s", got)
	}

	// A body without a length travels in chunks.
	if status, _, _ := s.post(validations, "application/octet-stream", io.MultiReader(strings.NewReader("docu"), strings.NewReader("ment"))); status != http.StatusOK || s.last.data != "document" {
		t.Errorf("chunked: %d %q", status, s.last.data)
	}
}

func TestValidationsRefused(t *testing.T) {
	s := newService(t, nil)
	s.wantProblem(validations, "application/octet-stream", "", 400, "document")
	s.wantProblem(validations+"?at=yesterday", "application/octet-stream", "x", 400, "at")
	s.wantProblem(validations, "multipart/form-data; boundary=x", "--x\r\nno end", 400, "")
	media, body := form(t, "document:a.p7s=signature", "detached:a.txt=what it signs")
	for cut, field := range map[string]string{"Content-Disposition: form-data; name=\"detached\"": "", "what it signs": "detached", "--\r\n": ""} {
		s.wantProblem(validations, media, body.String()[:strings.LastIndex(body.String(), cut)], 400, field) // never as a document alone
	}
	for field, parts := range map[string][]string{"document": {"detached:a=b"}, "file": {"file:a=b"}, "at": {"document:a=b", "at=never"}, "": {"=a"}} {
		media, body := form(t, parts...)
		s.wantProblem(validations, media, body.String(), 400, field)
	}
	var many []string
	for range maxParts + 1 {
		many = append(many, "detached=")
	}
	large := newService(t, func(c *Config) { c.MaxDocument = 1 << 20 })
	media, body = form(t, many...)
	large.wantProblem(validations, media, body.String(), 400, "")

	s.do = func(context.Context) (*verify.Report, error) { return nil, errors.New("no format that is known") }
	s.wantProblem(validations, "application/octet-stream", "x", 422, "document")
}

// TestTooLarge refuses by the announced length before anything is read, and by the bytes that come.
func TestTooLarge(t *testing.T) {
	s := newService(t, nil)
	body := &countingReader{left: 1001}
	request, err := http.NewRequest(http.MethodPost, s.url+validations, body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 1001
	request.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge || body.read != 0 {
		t.Errorf("%s after %d bytes", response.Status, body.read)
	}
	chunked := func(media string) int {
		status, _, _ := s.post(validations, media, io.MultiReader(strings.NewReader("--x\r\nContent-Disposition: form-data; name=document\r\n\r\n"), &countingReader{left: 5000}))
		return status
	}
	for _, media := range []string{"application/octet-stream", "multipart/form-data; boundary=x"} {
		if status := chunked(media); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s in chunks: %d", media, status)
		}
	}
	for _, path := range []string{dssSignaturePath, certificates, dssCertificatePath} {
		status, _, _ := s.post(path, "application/json", io.MultiReader(strings.NewReader(`{"x":"`), &countingReader{left: 5 << 20}))
		if status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// countingReader gives so many letters.
type countingReader struct{ left, read int }

func (r *countingReader) Read(p []byte) (int, error) {
	n := min(len(p), r.left)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range p[:n] {
		p[i] = 'A'
	}
	r.left, r.read = r.left-n, r.read+n
	return n, nil
}

// TestJudgingThatIsGivenUp tells the content's fault from the time that was over.
func TestJudgingThatIsGivenUp(t *testing.T) {
	s := newService(t, nil)
	s.do = func(ctx context.Context) (*verify.Report, error) {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return nil, fmt.Errorf("judging was given up: %w", ctx.Err())
	}
	s.wantProblem(validations, "application/octet-stream", "x", 422, "document")
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	var p *problem.Problem
	if err := unjudged(ctx, "document", ctx.Err()); !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := unjudged(ctx, "document", errors.New("anything")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestOtherMethodsAndPaths(t *testing.T) {
	s := newService(t, nil)
	for path, want := range map[string]int{validations: 405, "/": 404, "/v2/validations": 404} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %s", path, response.Status)
		}
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	for _, cfg := range []Config{{}, {Judge: (&service{}).judge, Logger: slog.Default()}} {
		if _, err := New(cfg); err == nil {
			t.Error("taken")
		}
	}
}

const (
	dssSignaturePath   = "/services/rest/validation/validateSignature"
	dssCertificatePath = "/services/rest/certificate-validation/validateCertificate"
)

func TestDSSSignature(t *testing.T) {
	s := newService(t, func(c *Config) { c.MaxDocument = 10_000 })
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	body := `{"signedDocument":{"bytes":"` + b64("document") + `","digestAlgorithm":null,"name":"a.xml"},"originalDocuments":[{"bytes":"` + b64("first") + `","digestAlgorithm":null,"name":"b"}],
		"policy":null,"cryptographicSuite":null,"evidenceRecords":null,"validationTime":%s,"tokenExtractionStrategy":"NONE","signatureId":null}`
	for text, want := range map[string]time.Time{`null`: {}, `"2026-03-03T12:00:00Z"`: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC), `1772539200000`: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)} {
		status, answer, _ := s.post(dssSignaturePath, "application/json", strings.NewReader(fmt.Sprintf(body, text)))
		if status != http.StatusOK || s.last.data != "document" || fmt.Sprint(s.last.detached) != "[b=first]" || !s.last.at.Equal(want) {
			t.Errorf("%s: %d %v", text, status, s.last)
		}
		report := answer["SimpleReport"].(map[string]any)
		tokens := report["signatureOrTimestampOrEvidenceRecord"].([]any)
		sig := tokens[0].(map[string]any)["Signature"].(map[string]any)
		if sig["Indication"] != "INDETERMINATE" || sig["SubIndication"] != "TRY_LATER" || sig["SignatureFormat"] != "XAdES-BASELINE-T" || report["SignaturesCount"] != 1.0 || report["DocumentName"] != "a.xml" {
			t.Errorf("%v", report)
		}
	}
	doc := `{"signedDocument":{"bytes":"eA==","digestAlgorithm":%s,"name":"a"}%s}`
	s.wantProblem(dssSignaturePath, "application/json", fmt.Sprintf(doc, `"SHA9"`, ""), 400, "signedDocument.digestAlgorithm")
	s.wantProblem(dssSignaturePath, "application/json", fmt.Sprintf(doc, `null`, `,"originalDocuments":[{"bytes":"eA==","digestAlgorithm":"SHA256"}]`), 400, "originalDocuments[0].bytes")
	s.wantProblem(dssSignaturePath, "application/json", fmt.Sprintf(doc, `null`, `,"validationTime":"soon"`), 400, "validationTime")
	for _, body := range []string{"", "{", "[]", "null", "{}", `{"signedDocument":{"bytes":"%%%"}}`, `{"signedDocument":{"bytes":""}}`, "{} {}", strings.Repeat("[", 9000)} {
		status, _, _ := s.post(dssSignaturePath, "application/json", strings.NewReader(body))
		if status != http.StatusBadRequest {
			t.Errorf("%.20q: %d", body, status)
		}
	}
}
