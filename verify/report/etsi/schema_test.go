package etsi_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// imports are the addresses by which the schema of TS 119 102-2 and those that it imports name others, with where they
// lie.
var imports = [][2]string{
	{"http://www.w3.org/TR/2002/REC-xmldsig-core-20020212/xmldsig-core-schema.xsd", "w3c/xmldsig-core-schema.xsd"},
	{"http://uri.etsi.org/01903/v1.3.2/XAdES.xsd", "etsi/XAdES01903v132-202407.xsd"},
	{"http://uri.etsi.org/19612/v2.2.1/ts_119612v020201_201601xsd.xsd", "etsi/ts_119612v020101_xsd.xsd"},
	{"http://www.w3.org/2001/xml.xsd", "w3c/xml.xsd"},
}

// valid checks reports against the schema of TS 119 102-2, which lies in a folder beside the public samples and is not
// ours to keep. Without it, or without xmllint, nothing is checked, and the log says so.
func valid(t testing.TB, reports map[string][]byte) {
	t.Helper()
	schemas := filepath.Join(os.Getenv("TRUSTCORE_CORPUS"), "..", "schemas")
	schema := filepath.Join(schemas, "etsi", "TS119102-2-v141.xsd")
	if _, err := os.Stat(schema); os.Getenv("TRUSTCORE_CORPUS") == "" || err != nil {
		t.Log("not checked against the schema: there is no folder schemas beside that of TRUSTCORE_CORPUS")
		return
	}
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Log("not checked against the schema: xmllint is not installed")
		return
	}
	dir := t.TempDir()
	args := []string{"--nonet", "--noout", "--huge", "--schema", schema}
	names := map[string]string{}
	for name, report := range reports {
		file := filepath.Join(dir, fmt.Sprintf("%d.xml", len(names)))
		if err := os.WriteFile(file, report, 0o600); err != nil {
			t.Fatal(err)
		}
		names[file], args = name, append(args, file)
	}
	c := exec.CommandContext(t.Context(), lint, args...)
	c.Env = append(os.Environ(), "XML_CATALOG_FILES="+catalog(t, dir, schemas))
	out, err := c.CombinedOutput()
	passed := strings.Count(string(out), " validates\n")
	if err == nil && passed == len(reports) {
		return
	}
	text := string(out)
	for file, name := range names {
		text = strings.ReplaceAll(text, file, name)
	}
	t.Errorf("%d of %d reports are valid (%v):\n%s", passed, len(reports), err, withoutPassed(text))
}

func withoutPassed(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, " validates\n") && !strings.Contains(line, "Skipping import") && len(kept) < 40 {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func catalog(t testing.TB, dir, schemas string) string {
	t.Helper()
	text := `<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">`
	for _, i := range imports {
		text += `<system systemId="` + i[0] + `" uri="file://` + filepath.Join(schemas, i[1]) + `"/>`
	}
	file := filepath.Join(dir, "catalog.xml")
	if err := os.WriteFile(file, []byte(text+"</catalog>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
