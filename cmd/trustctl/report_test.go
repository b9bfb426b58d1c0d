package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyReport writes the report of ETSI on a document without a signature, with the exit status of the verdict.
func TestVerifyReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain.xml")
	if err := os.WriteFile(file, []byte("<a/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runVerify(t, "--report", "etsi", file)
	if err != error(exitCode(notPassed)) {
		t.Errorf("%v", err)
	}
	var report struct {
		XMLName    xml.Name
		Indication string `xml:"SignatureValidationReport>SignatureValidationStatus>MainIndication"`
	}
	if err := xml.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report.XMLName.Space != "http://uri.etsi.org/19102/v1.4.1#" || report.Indication != "urn:cef:dss:mainindication:noSignatureFound" {
		t.Errorf("%s", out)
	}
	there := filepath.Join(filepath.Dir(file), "there.pdf")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--report", "doc", file}, {"--report", "etsi", "--json", file}, {"--report", "etsi", file, file},
		{"--report", "etsi", "--jobs", file}, {"--report", "etsi", filepath.Join(file, "none")}, {"--report-file", there + "x", file},
		{"--report", "bundle", file}, {"--report", "bundle", "--report-file", there + "x", "--bundle", there + "y", file},
		{"--report", "pdf", "--report-file", there, file}, {"--report", "pdf", "--report-file", there, file, file}} {
		if out, err := runVerify(t, args...); err == nil || err == error(exitCode(notPassed)) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

// TestVerifyReportFiles: of one document a file, of several a folder with one each, also where two bear one name; the
// verdict is told as ever, and no file is written over.
func TestVerifyReportFiles(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a", "pismo.xml"), filepath.Join(dir, "b", "pismo.xml")
	for _, file := range []string{first, second} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(unsigned), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for form, head := range map[string]string{"pdf": "%PDF-1.7", "html": "<!doctype html>", "etsi-xml": "<?xml", "bundle": "PK"} {
		file := filepath.Join(dir, "one-"+form)
		out, err := runVerify(t, "--json", "--report", form, "--report-file", file, first)
		if err != error(exitCode(notPassed)) || strings.Count(out, "\n") != 1 || strings.Contains(out, `"trace"`) {
			t.Errorf("%s: %v\n%s", form, err, out)
		}
		if data, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(data), head) {
			t.Errorf("%s: %v %.40q", form, err, data)
		}
	}
	many := filepath.Join(dir, "many")
	if out, err := runVerify(t, "--report", "pdf", "--report-file", many, first, second); err != error(exitCode(notPassed)) {
		t.Errorf("%v\n%s", err, out)
	}
	kept := filepath.Join(many, "pismo.xml.report.pdf")
	before, err := os.ReadFile(kept)
	if _, other := os.Stat(filepath.Join(many, "pismo.xml.report-2.pdf")); err != nil || other != nil {
		t.Fatal(err, other)
	}
	if out, err := runVerify(t, "--report", "pdf", "--report-file", many, second, first); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("once more: %v\n%s", err, out)
	}
	if after, err := os.ReadFile(kept); err != nil || string(after) != string(before) {
		t.Error("a report was written over")
	}
}

// TestVerifyLanguage: people read reasons in Polish, or in the language they ask for; programs get them as they are
// written unless they ask.
func TestVerifyLanguage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bare.xml")
	if err := os.WriteFile(file, []byte(unsigned), 0o600); err != nil {
		t.Fatal(err)
	}
	const english, polish = "the document holds no certificate of the signer", "w dokumencie nie ma certyfikatu podpisującego"
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, polish}, {[]string{"--language", "en"}, english}, {[]string{"--language", "pl"}, polish},
		{[]string{"--json"}, english}, {[]string{"--json", "--language", "pl"}, polish}, {[]string{"--report", "etsi"}, english},
	} {
		out, _ := runVerify(t, append(c.args, file)...)
		if !strings.Contains(out, c.want) || c.want == english && strings.Contains(out, polish) {
			t.Errorf("%q:\n%s", c.args, out)
		}
	}
	if out, err := runVerify(t, "--language", "de", file); err == nil {
		t.Errorf("German:\n%s", out)
	}
}

// unsigned is an XML signature that no certificate goes with.
const unsigned = `<a><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="s"><ds:SignedInfo>` +
	`<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
	`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><ds:Reference URI="">` +
	`<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></ds:Transforms>` +
	`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>` +
	`</ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue></ds:Signature></a>`
