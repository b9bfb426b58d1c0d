package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"trustcore/internal/problem"
)

// TestKeptReports: the report comes in the form and the language that the caller asks for, with the name of the document
// and of the data centre, as a file to be saved, in which nothing can run.
func TestKeptReports(t *testing.T) {
	w := newTown(t)
	w.api.cfg.Name = "Centrum danych <Łódź>"
	document := w.letter(t)
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("document", "<umowa> 44051401359.xml")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(document)
	_ = parts.Close()
	for _, c := range []struct{ form, language, media, begins, says string }{
		{"pdf", "pl", "application/pdf", "%PDF-1.7", "/Lang <FEFF0070006C>"},
		{"html", "pl", "text/html; charset=utf-8", "<!doctype html>", "verifyd: Centrum danych &lt;Łódź&gt;"},
		{"html", "", "text/html; charset=utf-8", "<!doctype html>", "&lt;umowa&gt; *******1359.xml"},
		{"html", "en", "text/html; charset=utf-8", "<!doctype html>", "Signature verification report"},
		{"etsi-xml", "pl", "application/xml", "<?xml", "ValidationReport"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+validations+"?report="+c.form,
			bytes.NewReader(form.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", parts.FormDataContentType())
		if c.language != "" {
			request.Header.Set("Accept-Language", c.language)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		body := string(data)
		if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != c.media ||
			!strings.HasPrefix(body, c.begins) || !strings.Contains(body, c.says) {
			t.Errorf("%s in %q: %v %d %v, it does not say %q: %.300s", c.form, c.language, err, answer.StatusCode,
				answer.Header, c.says, body)
		}
		for name, want := range map[string]string{"Content-Disposition": "attachment",
			"Content-Security-Policy": "sandbox; default-src 'none'"} {
			if got := answer.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", c.form, name, got)
			}
		}
	}
	for _, query := range []string{"?report=doc", "?report=", "?report=pdf&later=true"} {
		w.wantProblem(validations+query, "application/xml", string(document), 400, "report")
	}
}

// TestSealedReports: a report is sealed where it can be, and says so, unless the caller wants none; what can't be sealed
// is refused, and no report leaves that says that it is sealed and is not.
func TestSealedReports(t *testing.T) {
	w := newTown(t)
	document := string(w.letter(t))
	w.wantProblem(validations+"?report=pdf&seal=true", "application/xml", document, 400, "seal")
	w.wantProblem(validations+"?seal=true", "application/xml", document, 400, "seal")
	w.wantProblem(validations+"?report=html&seal=sometimes", "application/xml", document, 400, "seal")

	var failed error
	w.api.cfg.Name = "Centrum danych"
	w.api.cfg.Seal = func(_ context.Context, form string, report []byte) ([]byte, error) {
		return fmt.Appendf(nil, "sealed %s %s sealed to here", form, report), failed
	}
	w.wantProblem(validations+"?report=html&seal=true", "application/xml", document, 400, "seal")
	for query, sealed := range map[string]bool{"report=pdf": true, "report=pdf&seal=true": true, "report=pdf&seal=false": false,
		"report=etsi-xml": true, "report=html": false, "report=html&seal=false": false} {
		status, body := w.text(t, "?"+query, document)
		if form, found := strings.CutPrefix(body, "sealed "); status != 200 || found != sealed ||
			sealed && !strings.HasPrefix(query, "report="+strings.Fields(form)[0]) {
			t.Errorf("%s: %d %.40q, want it sealed: %v", query, status, body, sealed)
		}
		if sealed && !strings.HasSuffix(body, " sealed to here") {
			t.Errorf("%s: something follows the seal: %q", query, body[len(body)-20:])
		}
	}
	failed = problem.Refuse(http.StatusServiceUnavailable, "no seal")
	if status, body := w.text(t, "?report=pdf", document); status != 503 || strings.Contains(body, "%PDF") {
		t.Errorf("without its seal: %d %.40q", status, body)
	}
	if status, _ := w.text(t, "?report=pdf&seal=false", document); status != 200 {
		t.Errorf("one that needs none: %d", status)
	}
}

// text posts a document and returns the answer.
func (w *town) text(t *testing.T, query, document string) (status int, body string) {
	t.Helper()
	answer, err := http.Post(w.url+validations+query, "application/xml", strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data)
}
