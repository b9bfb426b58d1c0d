package jades

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

// oracleLine is what the Commission's DSS says of one sample.
type oracleLine struct {
	File       string
	Detached   []string
	Error      string
	Signatures []struct {
		Format      string
		Intact      bool   `json:"signature_intact"`
		Found       bool   `json:"reference_data_found"`
		DataIntact  bool   `json:"reference_data_intact"`
		Signer      string `json:"signer_certificate_sha256"`
		SigningTime string `json:"claimed_signing_time"`
		Timestamps  []oracleStamp
	}
}

type oracleStamp struct {
	Type    string
	Time    string `json:"production_time"`
	Intact  bool
	Found   bool `json:"message_imprint_found"`
	Imprint bool `json:"message_imprint_intact"`
}

// otherwise are samples of which we say something else, each read.
var otherwise = map[string]string{
	"jades-detached-by-uri-encoded-pars.json": "the oracle does not find the files by the names in escaped URIs",
	"double-lta-in-container.json":            "all components of B-LTA; whether the evidence serves is judged elsewhere",
}

// TestConformance compares every JSON sample with the oracle in all fields that depend on no trust.
func TestConformance(t *testing.T) {
	root := os.Getenv("TRUSTCORE_CORPUS")
	if root == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples")
	}
	root = filepath.Join(root, "signatures")
	f, err := os.Open(filepath.Join(root, "dss-6.4-2025.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, all, agree := bufio.NewScanner(f), 0, 0
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line oracleLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(line.File, ".json") {
			continue
		}
		name := filepath.Base(line.File)
		got, want := ours(t, root, line), theirs(line)
		for i := range max(len(got), len(want)) {
			all++
			switch {
			case i < len(got) && i < len(want) && got[i] == want[i]:
				agree++
			case otherwise[name] == "":
				t.Errorf("%s %d\nours   %v\noracle %v", name, i, got, want)
			}
		}
	}
	t.Logf("%d of %d signatures agree in every field", agree, all)
	if agree < 28 {
		t.Error("fewer agree than before")
	}
}

// line writes the fields that are compared.
func line(format string, intact, data bool, signer string, at string, stamps []oracleStamp) string {
	signer = strings.TrimLeft(signer, "0") // which the oracle leaves out
	text, err := json.Marshal([]any{format, intact, data, signer, at, stamps})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func theirs(l oracleLine) []string {
	if l.Error != "" {
		return []string{"refused"}
	}
	var all []string
	for _, s := range l.Signatures {
		format := strings.Replace(s.Format, "BASELINE", "B", 1)
		if format == "JSON-NOT-ETSI" {
			format = "JWS-"
		}
		all = append(all, line(format, s.Intact, s.DataIntact, s.Signer, s.SigningTime, s.Timestamps))
	}
	return all
}

func ours(t *testing.T, root string, l oracleLine) []string {
	data := read(t, root, l.File)
	var files []signature.Detached
	for _, d := range l.Detached {
		files = append(files, signature.Detached{Name: filepath.Base(d), Content: read(t, root, d)})
	}
	doc, err := Open(budget.New(t.Context(), len(data)), data, files)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range doc.Signatures {
		if len(s.Structure) > 0 {
			all = append(all, "refused")
			continue
		}
		var stamps []oracleStamp
		for _, ts := range s.Timestamps {
			stamps = append(stamps, oracleStamp{string(ts.Type), ts.Time.Format(time.RFC3339), ts.Intact, ts.Found, ts.Imprint})
		}
		if stamps == nil {
			stamps = []oracleStamp{}
		}
		signer, at := "", ""
		if s.Signer != nil {
			sum := sha256.Sum256(s.Signer)
			signer = hex.EncodeToString(sum[:])
		}
		if !s.SigningTime.IsZero() {
			at = s.SigningTime.Format(time.RFC3339)
		}
		all = append(all, line(string(s.Format)+"-"+s.Level, s.Intact, s.ReferencesIntact(), signer, at, stamps))
	}
	return all
}

func read(t *testing.T, root, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
