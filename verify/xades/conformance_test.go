package xades

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

// oracleLine is what the Commission's DSS says of one sample.
type oracleLine struct {
	File       string
	Detached   []string
	Signatures []oracleSignature
}

type oracleSignature struct {
	DocumentID      string `json:"document_id"`
	Format          string
	Intact          bool   `json:"signature_intact"`
	Found           bool   `json:"reference_data_found"`
	ReferenceIntact bool   `json:"reference_data_intact"`
	NotIntact       []any  `json:"references_not_intact"`
	Signer          string `json:"signer_certificate_sha256"`
	SigningTime     string `json:"claimed_signing_time"`
	Timestamps      []struct {
		Type    string
		Intact  bool
		Imprint bool `json:"message_imprint_intact"`
	}
}

// stricter are samples that the oracle takes and we do not, each read.
var stricter = map[string]string{
	"Signature-X-CZ_SEF-5.xml": "the files that its manifest names are absent; the oracle leaves absent entries out",
	"TSL_BE.nocert.xml":        "no certificate of the signer: the oracle finds it among the trusted ones",
}

// levels are samples whose level we name otherwise, each read.
var levels = map[string]string{
	"Signature-X-RO_TRA-4.xml": "has refs, values and an archive time-stamp: A by the tables",
	"Signature-X-UK_ELD-4.xml": "has refs, SigAndRefs and values: XL by the tables",
	"Signature-X-ES-100.xml":   "has refs, SigAndRefs and values: XL by the tables",
	"dss-2506.xml":             "properties of B-B; the oracle finds no signing certificate and calls it BES",
}

// TestConformance compares every XML sample with the oracle. The minima may only grow.
func TestConformance(t *testing.T) {
	root := os.Getenv("TRUSTCORE_CORPUS")
	if root == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples")
	}
	root = filepath.Join(root, "signatures")
	f, err := os.Open(filepath.Join(root, "dss-6.4-2023.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	score := &score{t: t}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line oracleLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(line.File, ".xml") && len(line.Signatures) > 0 {
			score.file(root, line)
		}
	}
	t.Logf("of %d signatures agree: intactness %d, level %d, signer %d; of %d time-stamps %d",
		score.all, score.intact, score.level, score.signer, score.stamps, score.stampsAgree)
	if score.intact < 99 || score.level < 97 || score.signer < 101 || score.stampsAgree < 73 {
		t.Error("fewer agree than before")
	}
}

type score struct {
	t                          *testing.T
	all, intact, level, signer int
	stamps, stampsAgree        int
}

func (s *score) file(root string, line oracleLine) {
	name := filepath.Base(line.File)
	var detached []signature.Detached
	for _, d := range line.Detached {
		content, err := os.ReadFile(filepath.Join(root, d))
		if err != nil {
			s.t.Fatal(err)
		}
		detached = append(detached, signature.Detached{Name: filepath.Base(d), Content: content})
	}
	data, err := os.ReadFile(filepath.Join(root, line.File))
	if err != nil {
		s.t.Fatal(err)
	}
	doc, err := Open(budget.New(s.t.Context(), len(data)), data, detached)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
		return
	}
	if len(doc.Signatures) != len(line.Signatures) {
		s.t.Errorf("%s: %d signatures, the oracle has %d", name, len(doc.Signatures), len(line.Signatures))
		return
	}
	for i, got := range doc.Signatures {
		want := line.Signatures[i]
		for _, other := range line.Signatures {
			if other.DocumentID == got.ID {
				want = other
			}
		}
		s.compare(name, got, want)
	}
}

func (s *score) compare(name string, got *signature.Signature, want oracleSignature) {
	s.all++
	ours := got.Intact && got.ReferencesIntact()
	theirs := want.Intact && want.Found && want.ReferenceIntact && len(want.NotIntact) == 0
	switch {
	case ours == theirs:
		s.intact++
	case ours:
		s.t.Errorf("%s %s: we say intact, the oracle does not", name, got.ID)
	case stricter[name] == "":
		s.t.Errorf("%s %s: not intact (value %v, references %+v)", name, got.ID, got.Intact, got.References)
	}
	level := strings.Replace(string(got.Format)+"-"+got.Level, "XAdES-B-", "XAdES-BASELINE-", 1)
	switch {
	case level == want.Format, got.Format == signature.XMLDSig && want.Format == "XML-NOT-ETSI":
		s.level++
	case levels[name] == "":
		s.t.Errorf("%s %s: level %s, the oracle says %s", name, got.ID, level, want.Format)
	}
	sum := sha256.Sum256(got.Signer)
	if want.Signer == "" || hex.EncodeToString(sum[:]) == want.Signer {
		s.signer++
	} else if stricter[name] == "" {
		s.t.Errorf("%s %s: another signer", name, got.ID)
	}
	for i, stamp := range got.Timestamps {
		if s.stamps++; i >= len(want.Timestamps) {
			continue
		}
		if w := want.Timestamps[i]; string(stamp.Type) == w.Type && stamp.Intact == w.Intact && stamp.Imprint == w.Imprint {
			s.stampsAgree++
		} else if stamp.Imprint && !w.Imprint {
			s.t.Errorf("%s %s: the imprint of %s matches, the oracle says it does not", name, got.ID, stamp.Type)
		}
	}
}
