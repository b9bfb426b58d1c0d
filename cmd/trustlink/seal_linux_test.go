package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	for content, want := range map[string]contentKind{
		smallPDF(): kindPDF, "\xef\xbb\xbf%PDF-1.4": kindPDF, "junk\n%PDF-1.4": kindPDF, strings.Repeat(" ", 1020) + "%PDF-": kindOther,
		"<a/>": kindXML, "\xef\xbb\xbf \r\n<?xml version='1.0'?><a/>": kindXML, "<!-- %PDF-1.4 --><a/>": kindXML,
		"\xff\xfe<\x00a\x00/\x00>\x00": kindXML, "\xfe\xff\x00<\x00a\x00/\x00>": kindXML, "<html>": kindXML,
		`{"a": 1}`: kindJSON, ` [1]`: kindJSON, `{"a": 1`: kindOther, "{\\rtf1}": kindOther, "[section]\na=1": kindOther, "{\"a\": \"\xff\"}": kindOther,
		"PK\x03\x04": kindOther, "text": kindOther, "\x00": kindOther,
	} {
		if got := kindOf([]byte(content)); got != want {
			t.Errorf("%.40q is %s, want %s", content, got, want)
		}
	}
}

// TestSealFilesAndFolders seals each kind by its content, whatever its name, once, and tells of each in a line; what
// can't be sealed ends nothing, and a second run replaces nothing.
func TestSealFilesAndFolders(t *testing.T) {
	w := newSealWorld(t)
	dir := t.TempDir()
	at := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
	put(t, smallPDF(), dir, "in", "a.pdf")
	put(t, smallPDF(), dir, "in", "misnamed.xml")
	put(t, "<pismo>treść</pismo>", dir, "in", "b.xml")
	put(t, `{"kwota": 12.50}`, dir, "in", "c.json")
	put(t, "tekst", dir, "in", "d.txt")
	put(t, "<broken", dir, "in", "e.xml")
	put(t, "", dir, "in", "empty.xml")
	put(t, "<p/>", dir, "in", "deep", "f.xml")
	put(t, "<p/>", dir, "in", ".hidden.xml")
	put(t, "<p/>", dir, "listed.xml")
	list := put(t, at("listed.xml")+"\r\n\n"+at("none.xml")+"\n"+at("in", "b.xml")+"\n", dir, "list.txt")

	out, err := w.run("seal", "--json", "--list", list, at("in"))
	if !errors.Is(err, exitCode(1)) { // none.xml is not there
		t.Errorf("%v\n%s", err, out)
	}
	told := lines(t, out)
	for file, want := range map[string]struct{ status, out string }{
		at("in", "a.pdf"): {isSealed, at("in", "a-sealed.pdf")}, at("in", "misnamed.xml"): {isSealed, at("in", "misnamed-sealed.xml")},
		at("in", "b.xml"): {isSealed, at("in", "b-sealed.xml")}, at("in", "c.json"): {isSealed, at("in", "c-sealed.json")},
		at("in", "d.txt"): {isSealed, at("in", "d.txt.p7s")}, at("in", "e.xml"): {isRefused, at("in", "e-sealed.xml")},
		at("in", "empty.xml"): {isRefused, ""}, at("listed.xml"): {isSealed, at("listed-sealed.xml")}, at("none.xml"): {isNotDone, ""},
	} {
		if l := told[file]; l.Status != want.status || l.Out != want.out || (l.Error == nil) != (l.Status == isSealed) {
			t.Errorf("%s: %+v", file, l)
		}
	}
	if len(told) != 9 {
		t.Errorf("lines about %q", slices.Sorted(maps.Keys(told)))
	}
	for name, format := range map[string]string{"a-sealed.pdf": "PAdES", "misnamed-sealed.xml": "PAdES", "b-sealed.xml": "XAdES", "c-sealed.json": "JAdES"} {
		if r := w.judge(at("in", name), "B-LT"); len(r.Signatures) == 1 && string(r.Signatures[0].Format) != format {
			t.Errorf("%s: %s", name, r.Signatures[0].Format)
		}
	}
	w.judge(at("in", "d.txt.p7s"), "B-LT", at("in", "d.txt"))
	if info, err := os.Stat(at("in", "b-sealed.xml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("who may not read a document may read it sealed: %v, %v", info.Mode(), err)
	}
	if uses := w.uses(6); uses != 6 {
		t.Errorf("%d uses of the key for 6 seals", uses)
	}
	w.sealAgain(at)
}

// sealAgain runs over a folder that was sealed before.
func (w *sealWorld) sealAgain(at func(...string) string) {
	w.t.Helper()
	before, err := os.ReadFile(at("in", "b-sealed.xml"))
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := w.run("seal", "--json", at("in"))
	if told := lines(w.t, out); !errors.Is(err, exitCode(3)) || told[at("in", "b.xml")].Status != isRefused || len(told) != 7 {
		w.t.Errorf("a second run: %v\n%s", err, out)
	}
	out, err = w.run("seal", "--json", "--resume", at("in", "b.xml"), at("in", "a.pdf"))
	if told := lines(w.t, out); err != nil || told[at("in", "b.xml")].Status != isThere {
		w.t.Errorf("--resume: %v\n%s", err, out)
	}
	out, err = w.run("seal", "--json", "--recursive", "--resume", at("in"))
	if told := lines(w.t, out); !errors.Is(err, exitCode(3)) || told[at("in", "deep", "f.xml")].Status != isSealed || len(told) != 8 {
		w.t.Errorf("--recursive: %v\n%s", err, out)
	}
	if uses := w.uses(7); uses != 7 {
		w.t.Errorf("%d uses of the key: what is there already was sealed again", uses)
	}
	if now, err := os.ReadFile(at("in", "b-sealed.xml")); err != nil || string(now) != string(before) {
		w.t.Errorf("a result was replaced: %v", err)
	}
	if out, err := w.run("seal", "--force", at("in", "b.xml")); err != nil {
		w.t.Errorf("--force: %v\n%s", err, out)
	}
	if now, err := os.ReadFile(at("in", "b-sealed.xml")); err != nil || string(now) == string(before) {
		w.t.Errorf("--force replaced nothing: %v", err)
	}
}

// TestSealLevelsAndPlaces: levels with evidence, containers, and results elsewhere.
func TestSealLevelsAndPlaces(t *testing.T) {
	w := newSealWorld(t)
	dir := t.TempDir()
	pdf, text := put(t, smallPDF(), dir, "a.pdf"), put(t, "tekst", dir, "d.txt")
	same := put(t, "tekst", dir, "other", "d.txt")
	target := filepath.Join(dir, "out")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := w.run("seal", "--level", "B-LT", "--out", filepath.Join(dir, "lt.pdf"), pdf); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.judge(filepath.Join(dir, "lt.pdf"), "B-LT")
	out, err := w.run("seal", "--json", "--other", "asics", "--no-timestamp", "--out-dir", target, "--parallel", "1", text, same)
	if told := lines(t, out); !errors.Is(err, exitCode(3)) || told[text].Status != isSealed || told[same].Status != isRefused {
		t.Errorf("two of one name: %v\n%s", err, out)
	}
	w.judge(filepath.Join(target, "d.txt.asics"), "B-B")
}

// TestSealWithoutTheDataCentre: nobody's document is blamed, and the next run goes on.
func TestSealWithoutTheDataCentre(t *testing.T) {
	w := newSealWorld(t)
	file := put(t, "<p/>", t.TempDir(), "a.xml")
	w.unstamped.Store(true)
	out, err := w.run("seal", "--json", file)
	if l := lines(t, out)[file]; !errors.Is(err, exitCode(1)) || l.Status != isNotDone {
		t.Errorf("%v\n%s", err, out)
	}
	w.unstamped.Store(false)
	if out, err := w.run("seal", "--json", "--resume", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSealRefusesWrongFlags(t *testing.T) {
	dir := t.TempDir()
	file := put(t, "<p/>", dir, "a.xml")
	facts := put(t, "sender: {name: X, nick: Y}\n", dir, "facts.yaml")
	for says, args := range map[string][]string{
		"--level":                   {"--level", "B-X", file},
		"--other":                   {"--other", "zip", file},
		"leave out --level":         {"--no-timestamp", "--level", "B-LT", file},
		"not both: the one":         {"--force", "--resume", file},
		"--out or --out-dir":        {"--out", "x", "--out-dir", dir, file},
		"--parallel":                {"--parallel", "0", file},
		"no document":               {"--list", os.DevNull},
		"for one document":          {"--out", "x", file, facts},
		"go with --receipt":         {"--sender", "X", file},
		"goes with --receipt":       {"--facts", facts, file},
		"upo, upp or upd":           {"--receipt", "npp", file},
		"field nick not found":      {"--receipt", "upp", "--facts", facts, file},
		"such as 2026":              {"--receipt", "upp", "--received", "yesterday", file},
		"each receipt has its own":  {"--receipt", "upp", "--document-id", "1", file, facts},
		"is not enrolled":           {file},
		"no such file or directory": {"--list", filepath.Join(dir, "none"), file},
		"--facts: open":             {"--receipt", "upp", "--facts", filepath.Join(dir, "none"), file},
	} {
		if out, err := trustlink(t.Context(), append([]string{"--state", filepath.Join(dir, "state"), "seal"}, args...)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v\n%s; want %q", args, err, out, says)
		}
	}
}

// TestSealReceipts makes receipts of documents: facts of all, those beside a document and those of flags, the later
// over the earlier.
func TestSealReceipts(t *testing.T) {
	w := newSealWorld(t)
	dir := t.TempDir()
	facts := put(t, "addressee: {name: Urząd Miasta Przykładowo, id: \"000000000\", id_type: REGON}\nsender: {name: Nikt}\nreceived: 2026-05-29T10:16:03+02:00\n", dir, "office.yaml")
	one, two := put(t, "wniosek 1", dir, "in", "1.txt"), put(t, "wniosek 2", dir, "in", "2.txt")
	put(t, `{"sender": {"name": "Anna <Testowa> & syn"}, "document": {"id": "RPW/7/2026"}}`, dir, "in", "2.txt.facts.json")
	wrong := put(t, "wniosek 3", dir, "in", "3.txt")
	put(t, "document: {sha256: "+strings.Repeat("0", 64)+"}\n", dir, "in", "3.txt.facts.yaml")

	out, err := w.run("seal", "--json", "--receipt", "upp", "--facts", facts, filepath.Join(dir, "in"))
	told := lines(t, out)
	if !errors.Is(err, exitCode(3)) || len(told) != 3 || told[one].Status != isSealed || told[two].Status != isSealed ||
		told[wrong].Status != isRefused || !strings.Contains(*told[wrong].Error, "document.sha256") {
		t.Fatalf("%v\n%s", err, out)
	}
	for file, says := range map[string][]string{
		one: {"<pos:Nazwa>Nikt</pos:Nazwa>", "<pos:IdentyfikatorDokumentu>1.txt</pos:", "<pos:DataDoreczenia>2026-05-29T10:16:03+02:00</pos:"},
		two: {"<pos:Nazwa>Anna &lt;Testowa&gt; &amp; syn</pos:Nazwa>", "<pos:IdentyfikatorDokumentu>RPW/7/2026</pos:"},
	} {
		text, err := os.ReadFile(file + ".upp.xml")
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range append(says, ">"+hexDigest(content)+"</pos:InformacjaUzupelniajaca>", ` TypIdentyfikatora="REGON">000000000</pos:`) {
			if !strings.Contains(string(text), s) {
				t.Errorf("%s: no %q in\n%.1500s", file, s, text)
			}
		}
		with := w.judge(file+".upp.xml", "B-LT", file).Signatures[0].Notes // which proves that it is the one
		alone := w.judge(file+".upp.xml", "B-LT").Signatures[0].Notes
		if absent := "not at hand"; strings.Contains(strings.Join(with, "\n"), absent) || !strings.Contains(strings.Join(alone, "\n"), absent) {
			t.Errorf("%s: its document: %q, %q", file, with, alone)
		}
		if r := w.judge(file+".upp.xml", "B-LT"); r.DocumentType != "upp" {
			t.Errorf("%s: %q", file, r.DocumentType)
		}
	}
	out, err = w.run("seal", "--receipt", "upd", "--issuer", "Urząd", "--issuer-id", "REGON:1", "--addressee", "Jan", "--case", "OR.1", "--out", filepath.Join(dir, "upd.xml"), one)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r := w.judge(filepath.Join(dir, "upd.xml"), "B-LT"); r.DocumentType != "upd" {
		t.Errorf("%q", r.DocumentType)
	}
	if out, err := w.run("seal", "--json", "--receipt", "upo", one); !errors.Is(err, exitCode(3)) || !strings.Contains(out, "issuer.name: it is missing") {
		t.Errorf("without facts: %v\n%s", err, out)
	}
}

// TestSealWithoutEvidence: what is sealed while nobody says whether certificates count is sealed at B-T, which is
// said; who asks for B-LT by name gets that, or nothing.
func TestSealWithoutEvidence(t *testing.T) {
	w := newSealWorld(t)
	dir := t.TempDir()
	a := put(t, "<pismo/>", dir, "a.xml")
	w.silent.Store(true)
	out, err := w.run("seal", "--json", a)
	if line := lines(t, out)[a]; err != nil || line.Status != isSealed || !strings.Contains(line.Note, "level B-T, not B-LT: no evidence can be had now (") {
		t.Errorf("%v\n%s", err, out)
	}
	w.silent.Store(false)
	w.judge(filepath.Join(dir, "a-sealed.xml"), "B-T")
	if uses := w.uses(1); uses != 1 {
		t.Errorf("%d uses of the key for one seal", uses)
	}
	w.silent.Store(true)
	b := put(t, "<pismo/>", dir, "b.xml")
	out, err = w.run("seal", "--json", "--level", "B-LT", b)
	if line := lines(t, out)[b]; !errors.Is(err, exitCode(1)) || line.Status != isNotDone {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "b-sealed.xml")); err == nil {
		t.Error("it was sealed at another level than was asked for")
	}
}
