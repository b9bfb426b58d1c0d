package ers_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// verdict is what the oracle says of one file.
type verdict struct {
	File     string
	Detached []string
	Records  []struct {
		Origin     string
		Intact     bool `json:"reference_data_intact"`
		Timestamps []struct {
			Sub string `json:"sub_indication"`
		}
	} `json:"evidence_records"`
}

// withoutData are records whose data object is not at hand and whose tree is the imprint itself: the oracle calls the
// time-stamp broken, we the data object not found.
var withoutData = map[string]bool{
	"er-no-hashtree.xml": true, "1_2_Renew_Unsorted.er": true, "er-asn1-chain-renewal-invalid.ers": true,
}

// minRecords is how many records of the samples stand alone.
const minRecords = 25

// TestConformance holds the records of the samples that stand alone against the oracle: whether the data objects are
// proved, and which time-stamp first breaks the chain.
func TestConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of samples")
	}
	n := 0
	for _, v := range verdicts(t, corpus) {
		if len(v.Records) != 1 || v.Records[0].Origin != "EXTERNAL" {
			continue
		}
		n++
		data := sample(t, corpus, v.File)
		var files []signature.Detached
		for _, name := range v.Detached {
			files = append(files, signature.Detached{Name: name, Content: sample(t, corpus, name)})
		}
		doc, err := ers.Open(budget.New(t.Context(), len(data)), data, files)
		if err != nil {
			t.Errorf("%s: %v", v.File, err)
			continue
		}
		compare(t, v, doc.EvidenceRecords[0])
	}
	if n < minRecords {
		t.Errorf("%d records, at least %d expected", n, minRecords)
	}
}

func compare(t *testing.T, v verdict, r *signature.EvidenceRecord) {
	t.Helper()
	want := v.Records[0]
	intact := len(r.References) > 0
	for _, ref := range r.References {
		intact = intact && ref.Intact
	}
	if intact != want.Intact || len(r.Structure) > 0 || r.Unchecked != "" {
		t.Errorf("%s: intact %v, oracle %v; %v %s", v.File, intact, want.Intact, r.Structure, r.Unchecked)
	}
	if len(r.Timestamps) != len(want.Timestamps) {
		t.Errorf("%s: %d time-stamps, oracle %d", v.File, len(r.Timestamps), len(want.Timestamps))
		return
	}
	for i, stamp := range r.Timestamps {
		broken, oracle := stamp.Found && !stamp.Imprint, want.Timestamps[i].Sub == "HASH_FAILURE"
		if broken != oracle && !withoutData[filepath.Base(v.File)] {
			t.Errorf("%s: time-stamp %d broken %v, oracle %v", v.File, i, broken, oracle)
		}
	}
}

func sample(t *testing.T, corpus, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, "signatures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func verdicts(t *testing.T, corpus string) []verdict {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus, "signatures", "dss-6.4-2025.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []verdict
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<26); lines.Scan(); {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
