package api

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
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
