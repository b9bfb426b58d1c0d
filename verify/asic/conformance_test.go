package asic

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

// verdict is what the oracle says of one file.
type verdict struct {
	File       string
	Error      string
	Container  string
	Signatures []struct {
		Format          string
		Certificate     string    `json:"signer_certificate_sha256"`
		SigningTime     string    `json:"claimed_signing_time"`
		Intact          bool      `json:"signature_intact"`
		Valid           bool      `json:"signature_valid"`
		ReferenceIntact bool      `json:"reference_data_intact"`
		NotIntact       []any     `json:"references_not_intact"`
		Timestamps      []stamped `json:"timestamps"`
	}
	Timestamps []stamped
}

type stamped struct {
	Type    string
	Intact  bool
	Imprint bool `json:"message_imprint_intact"`
}

// Figures that may only grow.
const (
	minCounts = 195 // more than the oracle: broken signature files and tokens are reported, not refused
	// two files name their data by another name than the container: not found, as their publishers want
	minAgree      = 171
	minLevels     = 150 // the readers of the formats have their own tests
	minTimestamps = 368 // of removed-doc.asice the oracle tells the imprint alone, ours what its manifest names, too
)

// intactWithReason are the files where we find a signature intact and the oracle does not.
var intactWithReason = map[string]string{}

// TestConformance holds what is read from the container samples against the oracle: number of signatures,
// intactness of value and references, format and level, time-stamps.
func TestConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of samples")
	}
	var files, counts, signatures, agree, levels, stamps int
	for _, v := range verdicts(t, corpus) {
		data, err := os.ReadFile(filepath.Join(corpus, "signatures", v.File))
		if err != nil {
			t.Fatal(err)
		}
		files++
		doc, err := Open(budget.New(t.Context(), len(data)), data, nil)
		if err != nil {
			t.Logf("%s: %v (oracle: %q)", v.File, err, v.Error)
			continue
		}
		if len(doc.Signatures) == len(v.Signatures) && len(doc.Timestamps) == len(v.Timestamps) {
			counts++
		} else {
			t.Logf("%s: %d signatures and %d time-stamps, oracle %d and %d", v.File, len(doc.Signatures), len(doc.Timestamps),
				len(v.Signatures), len(v.Timestamps))
		}
		left := doc.Signatures
		if !sameStamps(doc.Timestamps, v.Timestamps) {
			t.Logf("%s: time-stamps of the container %s, oracle %v", v.File, describe(doc.Timestamps), v.Timestamps)
		} else {
			stamps++
		}
		for _, want := range v.Signatures {
			whole := want.ReferenceIntact && len(want.NotIntact) == 0
			signatures++
			s := take(&left, want.Certificate, want.SigningTime)
			if s == nil {
				t.Logf("%s: no signature by %s", v.File, want.Certificate)
				continue
			}
			if (s.Intact && s.ReferencesIntact()) == (want.Intact && whole) {
				agree++
			} else {
				t.Logf("%s: intact %v, references %v; oracle %v, %v; %v %v", v.File, s.Intact, s.References, want.Intact, whole,
					s.Structure, s.Notes)
			}
			if s.Intact && s.ReferencesIntact() && !(want.Intact && whole) && intactWithReason[filepath.Base(v.File)] == "" {
				t.Errorf("%s: taken for intact where the oracle does not", v.File)
			}
			if got := named(s); got == want.Format {
				levels++
			} else {
				t.Logf("%s: level %s, oracle %s", v.File, got, want.Format)
			}
			if sameStamps(s.Timestamps, want.Timestamps) {
				stamps++
			} else {
				t.Logf("%s: time-stamps %s, oracle %v", v.File, describe(s.Timestamps), want.Timestamps)
			}
		}
	}
	t.Logf("%d files: counts %d; of %d signatures: intactness %d, format and level %d, time-stamps %d", files, counts,
		signatures, agree, levels, stamps)
	if counts < minCounts || agree < minAgree || levels < minLevels || stamps < minTimestamps {
		t.Error("fewer than before")
	}
}

// verdicts are the oracle's lines for ZIP files, each file once.
func verdicts(t *testing.T, corpus string) []verdict {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus, "signatures", "dss-6.4-2023.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []verdict
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if isZIP(t, filepath.Join(corpus, "signatures", v.File)) && !seen[v.File] {
			seen[v.File] = true
			list = append(list, v)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func isZIP(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.Read(magic[:])
	return err == nil && string(magic[:]) == "PK\x03\x04"
}

// take removes the signature that the oracle speaks of: by certificate and time, else by certificate, else the first.
func take(left *[]*signature.Signature, certificate, signingTime string) *signature.Signature {
	for _, match := range []func(s *signature.Signature) bool{
		func(s *signature.Signature) bool {
			return fingerprint(s) == certificate && s.SigningTime.Format("2006-01-02T15:04:05Z") == signingTime
		},
		func(s *signature.Signature) bool { return fingerprint(s) == certificate },
		func(s *signature.Signature) bool { return true },
	} {
		for i, s := range *left {
			if match(s) {
				*left = append((*left)[:i:i], (*left)[i+1:]...)
				return s
			}
		}
	}
	return nil
}

func fingerprint(s *signature.Signature) string {
	sum := sha256.Sum256(s.Signer)
	return hex.EncodeToString(sum[:])
}

// named writes format and level as the oracle does.
func named(s *signature.Signature) string {
	switch {
	case s.Format == signature.XMLDSig:
		return "XML-NOT-ETSI"
	case s.Format == signature.CMS:
		return "CMS-NOT-ETSI"
	case strings.HasPrefix(s.Level, "B-"):
		return string(s.Format) + "-BASELINE-" + s.Level[2:]
	}
	return string(s.Format) + "-" + s.Level
}

// sameStamps compares without regard to the order, which is that of the files here and of the times there.
func sameStamps(ours []*signature.Timestamp, theirs []stamped) bool {
	count := map[stamped]int{}
	for _, o := range ours {
		count[stamped{string(o.Type), o.Intact, o.Imprint}]++
	}
	for _, t := range theirs {
		count[t]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func describe(list []*signature.Timestamp) string {
	var b strings.Builder
	for _, t := range list {
		b.WriteString(string(t.Type))
		if t.Intact {
			b.WriteString(" intact")
		}
		if t.Imprint {
			b.WriteString(" imprint")
		}
		b.WriteString(strings.Join(t.Structure, "; ") + ", ")
	}
	return b.String()
}
