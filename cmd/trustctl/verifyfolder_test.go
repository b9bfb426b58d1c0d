package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"trustcore/verify"
)

// write makes a file with the folders that it lies in.
func writeDeep(t *testing.T, content, dir string, path ...string) string {
	t.Helper()
	file := filepath.Join(append([]string{dir}, path...)...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Dir(file), filepath.Base(file), content)
	return file
}

// TestVerifyFolder: every file of a folder is told of once, in order; a signature beside its file is about it.
func TestVerifyFolder(t *testing.T) {
	m, anchor, host := newMinting(t)
	detached, err := m.cades(t.Context(), m.ec, []byte("dane"), nil)
	if err != nil {
		t.Fatal(err)
	}
	attached, err := m.cades(t.Context(), m.ec, []byte("list"), []byte("list"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeDeep(t, "dane", dir, "a", "dane.bin")
	writeDeep(t, string(detached), dir, "a", "dane.bin.P7S")
	writeDeep(t, "inne", dir, "b", "inne.bin")
	writeDeep(t, string(detached), dir, "b", "inne.bin.sig") // of another file
	writeDeep(t, string(attached), dir, "c", "list.p7m")
	writeDeep(t, "<a/>", dir, "d.xml")
	writeDeep(t, "", dir, ".hidden", "x.xml")
	writeDeep(t, "", dir, ".lock")
	if err := os.Symlink(anchor, filepath.Join(dir, "link.pem")); err != nil {
		t.Fatal(err)
	}
	settings := []string{"--anchors", anchor, "--offline=false", "--fetch-allow", host}
	out, err := runVerify(t, append(settings, "--json", dir)...)
	if !errors.Is(err, exitCode(notPassed)) {
		t.Errorf("%v", err)
	}
	var got []string
	for line := range strings.Lines(out) {
		var o struct {
			File       string
			Signatures []struct{ Indication string }
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, o.File)
		got = append(got, fmt.Sprint(name, o.Signatures))
	}
	want := []string{"a/dane.bin.P7S[{TOTAL-PASSED}]", "b/inne.bin.sig[{TOTAL-FAILED}]", "c/list.p7m[{TOTAL-PASSED}]", "d.xml[]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	out, _ = runVerify(t, append(settings, "--language", "en", dir)...)
	lines := strings.Split(out, "\n")
	for i, want := range []string{"verdict", "valid ", "not valid", "valid ", "unsigned", "documents: 4, passed: 2, did not pass: 2"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d: want %q\n%s", i, want, out)
		}
	}
}

// TestFileSignedBesideAndInside: a file with a signature inside is told of, though another one lies beside it.
func TestFileSignedBesideAndInside(t *testing.T) {
	m, anchor, _ := newMinting(t)
	inside, err := m.cades(t.Context(), m.ec, []byte("list"), []byte("list"))
	if err != nil {
		t.Fatal(err)
	}
	beside, err := m.cades(t.Context(), m.ec, inside, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeDeep(t, string(inside), dir, "list.p7m")
	writeDeep(t, string(beside), dir, "list.p7m.p7s")
	out, _ := runVerify(t, "--json", "--anchors", anchor, dir)
	if n := strings.Count(out, `"file":`); n != 2 {
		t.Errorf("%d documents, want 2:\n%s", n, out)
	}
}

func TestVerifyReadsWhatIsNamed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.xml", "a.xml", "[1].xml", "c.pdf"} {
		writeFile(t, dir, name, "<a/>")
	}
	empty := t.TempDir()
	in := func(names ...string) (files []string) {
		for _, name := range names {
			files = append(files, filepath.Join(dir, name))
		}
		return files
	}
	for _, c := range []struct{ args, want []string }{
		{in("*.xml"), in("[1].xml", "a.xml", "b.xml")},
		{in("[1].xml"), in("[1].xml")}, // a file that is called so
		{in("none.*"), in("none.*")},   // its line says that there is no such file
		{in("[a-.xml"), in("[a-.xml")}, // no pattern
		{in("b.xml", "?.xml"), in("b.xml", "a.xml", "b.xml")},
		{[]string{"-"}, []string{"-"}},
	} {
		jobs, err := new(verifyOptions).read(c.args, verify.Request{}.At)
		var files []string
		for _, j := range jobs {
			files = append(files, j.File)
		}
		if err != nil || !reflect.DeepEqual(files, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.args, files, err, c.want)
		}
	}
	for want, args := range map[string][]string{
		"standard input holds one": {"-", "-"}, "a password": {"--password-file", "-", "-"}, "there is no file in": {empty},
		"--report: name one file": {"--report", "etsi", dir}, "--table": {"--table", "--json", dir},
	} {
		if _, err := runVerify(t, append([]string{"--settings", "none"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// TestVerifyStandardInput: a document need not lie in a file.
func TestVerifyStandardInput(t *testing.T) {
	file, anchor, host := fetchable(t)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := os.Stdin
	os.Stdin = f
	defer func() { os.Stdin = before }()
	out, err := runVerify(t, "--json", "--anchors", anchor, "--offline=false", "--fetch-allow", host, "-")
	if err != nil || !strings.Contains(out, `"file":"-"`) || !strings.Contains(out, "TOTAL-PASSED") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnreadableFolder: what can't be looked through is told, and the rest is judged.
func TestUnreadableFolder(t *testing.T) {
	jobs := []job{{File: "gone", unread: errors.New("permission denied")}, {File: writeDeep(t, "<a/>", t.TempDir(), "a.xml")}}
	if _, err := jobs[0].open(); err == nil {
		t.Error("it is judged")
	}
	if _, err := jobs[1].open(); err != nil {
		t.Error(err)
	}
}
