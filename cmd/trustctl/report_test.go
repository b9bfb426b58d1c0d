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
	for _, args := range [][]string{{"--report", "pdf", file}, {"--report", "etsi", "--json", file}, {"--report", "etsi", file, file},
		{"--report", "etsi", "--jobs", file}, {"--report", "etsi", filepath.Join(file, "none")}} {
		if out, err := runVerify(t, args...); err == nil || err == error(exitCode(notPassed)) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
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
