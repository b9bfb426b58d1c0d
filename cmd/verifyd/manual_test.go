package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"testing"

	"trustcore/verify/client"
)

// TestCommandsOfTheManual runs every curl of docs/api.md and docs/reports.md, as it is told, against a verifyd.
func TestCommandsOfTheManual(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err == nil {
		_, err = exec.LookPath("curl")
	}
	if err != nil {
		t.Skip(err)
	}
	var manual []byte
	for _, name := range []string{"api", "reports"} {
		text, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		manual = append(manual, text...)
	}
	o := newOffice(t)
	o.manualFiles()
	cfg := o.daemonConfig()
	cfg.ServiceCards = o.path("cards.yaml")
	asks := o.serveFor(cfg)
	o.wait("the daemon", func() bool { return get(asks, "https://"+cfg.Listen+"/v1/services", new(client.Services)) })
	ran := 0
	for line := range strings.Lines(string(manual)) {
		command, told := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    curl ")
		if !told {
			continue
		}
		ran++
		command = strings.ReplaceAll(command, "127.0.0.1:8444", cfg.Listen)
		run := exec.CommandContext(t.Context(), bash, "-c", "curl --fail-with-body -sS "+command)
		run.Dir, run.Env = o.dir, append(os.Environ(), "id=NOSUCHIDNOSUCHIDNOSUCHID")
		out, err := run.CombinedOutput()
		if _, file, saved := strings.Cut(command, " -o "); saved && err == nil {
			file, _, _ = strings.Cut(file, " ")
			if kept, err := os.ReadFile(o.path(file)); err != nil || !strings.HasPrefix(string(kept), "%PDF") && !strings.HasPrefix(string(kept), "<!doctype html>") {
				t.Errorf("curl %s: %v %.40q", command, err, kept)
			}
			continue
		}
		gone := strings.Contains(command, "$id") && strings.Contains(string(out), `"status":404`)
		if (err != nil || !json.Valid(out) && !strings.Contains(command, "ndjson")) && !gone {
			t.Errorf("curl %s: %v\n%s", command, err, out)
		}
		if strings.Contains(command, "ndjson") && strings.Count(string(out), "\n") != 2 {
			t.Errorf("curl %s: %s", command, out)
		}
	}
	if ran < 18 {
		t.Errorf("%d commands ran: are they still found?", ran)
	}
}

// manualFiles are those that the manual names.
func (o *office) manualFiles() {
	o.t.Helper()
	leaf := o.leaf(10)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	encode := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			o.t.Fatal(err)
		}
		return string(data)
	}
	question := encode(client.CertificateQuestion{Certificate: string(certificate), Trace: true})
	document := base64.StdEncoding.EncodeToString([]byte("<a/>"))
	hash := map[string]any{"signature": document, "datafiles": []any{map[string]any{"filename": "a", "hashAlgo": "SHA256",
		"hash": base64.StdEncoding.EncodeToString(make([]byte, 32))}}}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write([]byte(plainPDF)); err != nil {
		o.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		o.t.Fatal(err)
	}
	for name, content := range map[string]string{
		"contract.pdf.gz": compressed.String(),
		"cards.yaml":      oneCard, "letter.txt": "wniosek", "contract.pdf": plainPDF,
		"signature.p7s": "<a/>", "data.bin": "test", "password.txt": "tajne",
		"ca.pem":        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.root.Raw})),
		"officer-1.pem": string(certificate), "question.json": question, "questions.ndjson": question + "\n" + question + "\n",
		"signed.json":    encode(map[string]any{"signedDocument": map[string]any{"bytes": document}}),
		"siva.json":      encode(map[string]any{"document": document, "filename": "a.xml", "reportType": "Detailed"}),
		"sivafiles.json": encode(map[string]any{"document": document, "filename": "a.xml"}),
		"sivahash.json":  encode(map[string]any{"signatureFiles": []any{hash}}),
	} {
		if err := os.WriteFile(o.path(name), []byte(content), 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
}

// plainPDF is a PDF without signatures.
const plainPDF = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n" +
	"xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \ntrailer<</Size 3/Root 1 0 R>>\nstartxref\n96\n%%EOF\n"
