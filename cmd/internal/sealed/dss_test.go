package sealed

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/hsm/seal"
)

// sample is a sealed document in a folder, and what is expected of it.
type sample struct {
	file     string
	detached []string
	form     form
	level    seal.Level
	count    int // signatures
}

// samples seals every form at every level into a folder; of B-LTA a renewed one too, and of some forms one with two
// seals.
func samples(t *testing.T, h *house, dir string) []sample {
	t.Helper()
	var list []sample
	put := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	add := func(f form, level seal.Level, what string, sealed []byte, count int) {
		folder := strings.ReplaceAll(fmt.Sprintf("%s %s%s", f, level, what), " ", "-")
		s := sample{file: put(folder+"/sealed"+f.extension(), sealed), form: f, level: level, count: count}
		if f.detached {
			for _, d := range f.documents {
				s.detached = append(s.detached, put(folder+"/"+d.Name, d.Content))
			}
		}
		list = append(list, s)
	}
	short := map[string]seal.Signer{}
	for kind := range h.signers {
		short[kind] = h.short(t, kind)
	}
	only := os.Getenv("TRUSTCORE_SEALED_ONLY")
	for _, f := range forms() {
		for _, level := range levels {
			if !strings.Contains(fmt.Sprint(f, level), only) {
				continue
			}
			if f.packaging == seal.Compact && level != seal.LevelB {
				continue
			}
			if !reaches(level, seal.LevelLT) {
				add(f, level, "", h.sealBy(t, f, level, short[f.key]), 1)
				continue
			}
			sealed := h.seal(t, f, level)
			add(f, level, "", sealed, 1)
			if level != seal.LevelLTA {
				continue
			}
			renewed, err := seal.Extend(t.Context(), sealed, f.documents, h.options(form{}, seal.LevelLTA))
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			add(f, level, " renewed", renewed, 1)
		}
	}
	for _, level := range levels {
		if !strings.Contains("receipt", only) {
			break
		}
		by := short["RSA"]
		if reaches(level, seal.LevelLT) {
			by = h.signers["RSA"]
		}
		for what, beside := range map[string][]string{"alone": nil, "with": {receivedName}, "renamed": {"inna nazwa.pdf"}} {
			f := form{format: seal.FormatXAdES, packaging: seal.Enveloped}
			s := sample{form: f, level: level, count: 1, file: put("receipt-"+string(level)+"-"+what+"/upo.xml", h.receipt(t, level, by))}
			for _, name := range beside {
				s.detached = append(s.detached, put("receipt-"+string(level)+"-"+what+"/"+name, pdfDocument()))
			}
			list = append(list, s)
		}
	}
	for _, f := range besideForms() {
		if strings.Contains(fmt.Sprint(f, " two seals"), only) {
			add(f, seal.LevelLT, " two", h.sealTwice(t, f, seal.LevelLT), 2)
			add(f, seal.LevelLTA, " two", h.sealTwice(t, f, seal.LevelLTA), 2)
		}
	}
	return list
}

// verdict is what DSS says of one file (peers/dss).
type verdict struct {
	File       string `json:"file"`
	Error      string `json:"error"`
	Signatures []struct {
		Format        string   `json:"format"`
		Indication    string   `json:"indication"`
		SubIndication string   `json:"sub_indication"`
		Valid         bool     `json:"signature_valid"`
		Errors        []string `json:"errors"`
	} `json:"signatures"`
	Timestamps []json.RawMessage `json:"timestamps"`
}

// TestDSSPassesEverySeal: the Commission's DSS, offline, with the anchor and nothing else beside the documents.
func TestDSSPassesEverySeal(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples, beside which peers/dss lies")
	}
	peer := filepath.Join(corpus, "..", "peers", "dss")
	built := cmp.Or(os.Getenv("DSS_PEER_BUILD"), filepath.Join(os.TempDir(), "dss-peer"))
	if _, err := os.Stat(filepath.Join(built, ".built")); err != nil {
		t.Skip("DSS is not built: run.sh of peers/dss beside the public samples builds it")
	}
	h, dir := newHouse(t), t.TempDir()
	list := samples(t, h, dir)
	var lines bytes.Buffer
	for _, s := range list {
		line := map[string]any{"file": s.file, "format": string(s.form.format), "origin": "sealed:" + s.file,
			"cases": []any{map[string]any{"detached_contents": s.detached}}}
		if err := json.NewEncoder(&lines).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "expected.jsonl"), lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "verdicts.jsonl")
	command := exec.CommandContext(t.Context(), filepath.Join(peer, "run.sh"), "oracle", "--anchors", h.anchor,
		"--expected", filepath.Join(dir, "expected.jsonl"), "--out", out)
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.4000s", err, text)
	}
	verdicts, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if keep := os.Getenv("TRUSTCORE_SEALED_OUT"); keep != "" {
		if err := os.CopyFS(keep, os.DirFS(dir)); err != nil {
			t.Error(err)
		}
	}
	scanner := bufio.NewScanner(bytes.NewReader(verdicts))
	scanner.Buffer(nil, 16<<20)
	for _, s := range list {
		var v verdict
		if !scanner.Scan() || json.Unmarshal(scanner.Bytes(), &v) != nil || v.File != s.file {
			t.Fatalf("%s: no verdict", s.file)
		}
		s.judge(t, v)
	}
}

// profiles are the names that DSS gives levels.
var profiles = map[seal.Level]string{seal.LevelB: "B", seal.LevelT: "T", seal.LevelLT: "LT", seal.LevelLTA: "LTA"}

// judge compares DSS's verdict with what was made.
func (s sample) judge(t *testing.T, v verdict) {
	t.Helper()
	if v.Error != "" || len(v.Signatures) != s.count {
		t.Errorf("%s: error %q, %d signatures, want %d", s.file, v.Error, len(v.Signatures), s.count)
		return
	}
	for _, got := range v.Signatures {
		want := fmt.Sprintf("%s_BASELINE_%s", s.form.format, profiles[s.level])
		format := strings.NewReplacer("-", "_").Replace(got.Format)
		if !strings.EqualFold(format, want) || !got.Valid || got.Indication != "TOTAL_PASSED" {
			t.Errorf("%s: DSS says %s %s, %s, valid %v, want %s\n%s", s.file, got.Indication, got.SubIndication,
				got.Format, got.Valid, want,
				strings.Join(got.Errors, "\n"))
		}
	}
}
