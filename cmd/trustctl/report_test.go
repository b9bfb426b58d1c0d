package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
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
