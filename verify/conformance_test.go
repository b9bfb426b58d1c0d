package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// sample is a file with what the oracle says of its signatures.
type sample struct {
	File       string
	SHA256     string
	Detached   []string
	Signatures []oracleSignature
}

type oracleSignature struct {
	Certificate   string `json:"signer_certificate_sha256"`
	SigningTime   string `json:"claimed_signing_time"`
	Indication    string
	SubIndication string `json:"sub_indication"`
	Qualification string
	Intact        bool  `json:"signature_intact"`
	Valid         bool  `json:"signature_valid"`
	DataFound     *bool `json:"reference_data_found"`
	DataIntact    *bool `json:"reference_data_intact"`
	NotIntact     []any `json:"references_not_intact"`
}

// figures are numbers of signatures that agree with the oracle.
type figures struct{ matched, intact, indication, subIndication, qualification, passed int }

// leastAgreement may only grow. Where we are below the oracle on purpose: it asks for no freshness of revocation
// information, takes evidence and time-stamps from after the time of validation, and leaves out manifest
// entries whose file is absent. JAdES is not read yet (30 signatures).
var leastAgreement = []struct {
	lists, oracle string
	at            time.Time
	least         figures
}{
	{"eu-2023-10", "dss-6.4-2023.jsonl", time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC), figures{495, 489, 450, 422, 444, 26}},
	{"eu-2025-08", "dss-6.4-2025.jsonl", time.Date(2025, 8, 12, 0, 0, 0, 0, time.UTC), figures{494, 489, 465, 435, 458, 35}},
}

// mustPass are samples of a XAdES, a CAdES and a PAdES signature with everything in them.
var mustPass = []string{"singleValidSignatureTS.asice", "Signature-C-HU_POL-3.p7m", "reason_and_location_Test.pdf"}

// TestConformance judges every sample under two sets of lists. None may pass that the oracle does not pass.
func TestConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	for _, run := range leastAgreement {
		t.Run(run.lists, func(t *testing.T) {
			ev := corpusEvidence(t, corpus, run.lists)
			var got figures
			for _, s := range samples(t, corpus, run.oracle) {
				r := judgeSample(t, corpus, s, ev, run.at)
				if r == nil {
					continue
				}
				compare(t, s, r, &got)
				for _, name := range mustPass {
					if run.lists == "eu-2023-10" && filepath.Base(s.File) == name && (r.Signatures[0].Indication != TotalPassed || r.Signatures[0].Qualification != "QESig") {
						t.Errorf("%s: %s %s %s %q", name, r.Signatures[0].Indication, r.Signatures[0].SubIndication, r.Signatures[0].Qualification, r.Signatures[0].Reasons)
					}
				}
			}
			t.Logf("%+v", got)
			for name, pair := range map[string][2]int{
				"matched": {got.matched, run.least.matched}, "intact": {got.intact, run.least.intact}, "indication": {got.indication, run.least.indication},
				"sub-indication": {got.subIndication, run.least.subIndication}, "qualification": {got.qualification, run.least.qualification}, "passed": {got.passed, run.least.passed},
			} {
				if pair[0] < pair[1] {
					t.Errorf("%s: %d signatures agree, fewer than %d", name, pair[0], pair[1])
				}
			}
		})
	}
}

func corpusEvidence(t testing.TB, corpus, lists string) *Evidence {
	t.Helper()
	snapshot, err := trustlist.Load(t.Context(), trustlist.Sources{
		Dir: filepath.Join(corpus, "trustlists", lists), LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers"),
		Extra: []string{filepath.Join(corpus, "trustlists", "test", "EE_T.xml.gz")},
	})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := cache.New(cache.Config{Certificates: 10_000, Verdicts: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	return &Evidence{Lists: snapshot, Cache: cache}
}

// samples reads the oracle's verdicts, and from the list beside it which detached files belong to a sample.
func samples(t testing.TB, corpus, oracle string) []sample {
	t.Helper()
	detached := map[string][]string{}
	lines(t, filepath.Join(corpus, "signatures", "expected.jsonl"), func(line []byte) error {
		var e struct {
			SHA256 string
			Cases  []struct {
				Detached []string `json:"detached_contents"`
			}
		}
		err := json.Unmarshal(line, &e)
		for _, c := range e.Cases {
			detached[e.SHA256] = append(detached[e.SHA256], c.Detached...)
		}
		return err
	})
	var list []sample
	lines(t, filepath.Join(corpus, "signatures", oracle), func(line []byte) error {
		var s sample
		err := json.Unmarshal(line, &s)
		s.Detached = detached[s.SHA256]
		list = append(list, s)
		return err
	})
	return list
}

func lines(t testing.TB, file string, read func(line []byte) error) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		if err := read(scanner.Bytes()); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
}

// judgeSample returns nil for a file that holds nothing to judge.
func judgeSample(t testing.TB, corpus string, s sample, ev *Evidence, at time.Time) *Report {
	t.Helper()
	data, detached := readSample(t, corpus, s)
	b := budget.New(t.Context(), len(data))
	doc, err := Open(b, data, detached...)
	if err != nil {
		return nil
	}
	r, err := Judge(b, doc, ev, DefaultPolicy(), at)
	if err != nil {
		t.Errorf("%s: %v", s.File, err)
		return nil
	}
	return r
}

// openSample returns nil for a file that nothing can be read of.
func openSample(t testing.TB, corpus string, s sample) *signature.Document {
	t.Helper()
	data, detached := readSample(t, corpus, s)
	doc, err := Open(budget.New(t.Context(), len(data)), data, detached...)
	if err != nil {
		return nil
	}
	return doc
}

func readSample(t testing.TB, corpus string, s sample) ([]byte, []signature.Detached) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, "signatures", s.File))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != s.SHA256 {
		t.Fatalf("%s is another file than the oracle saw", s.File)
	}
	var detached []signature.Detached
	seen := map[string]bool{}
	for _, name := range s.Detached {
		if seen[name] {
			continue
		}
		seen[name] = true
		content, err := os.ReadFile(filepath.Join(corpus, "signatures", name))
		if err != nil {
			t.Fatal(err)
		}
		detached = append(detached, signature.Detached{Name: filepath.Base(name), Content: content})
	}
	return data, detached
}

// compare pairs the signatures of a file by certificate, claimed time and verdict, then less strictly, and counts what agrees.
func compare(t *testing.T, s sample, r *Report, got *figures) {
	t.Helper()
	ours := make([]*SignatureReport, len(r.Signatures))
	for i := range r.Signatures {
		ours[i] = &r.Signatures[i]
	}
	theirs := s.Signatures
	for _, alike := range []func(*SignatureReport, *oracleSignature) bool{
		func(a *SignatureReport, b *oracleSignature) bool {
			return sameSigner(a, b) && sameTime(a, b) && sameVerdict(a, b)
		},
		func(a *SignatureReport, b *oracleSignature) bool { return sameSigner(a, b) && sameTime(a, b) },
		sameSigner,
		func(*SignatureReport, *oracleSignature) bool { return true },
	} {
		var rest []oracleSignature
		for k := range theirs {
			i := 0
			for i < len(ours) && !alike(ours[i], &theirs[k]) {
				i++
			}
			if i == len(ours) {
				rest = append(rest, theirs[k])
				continue
			}
			count(t, s.File, ours[i], &theirs[k], got)
			ours = append(ours[:i:i], ours[i+1:]...)
		}
		theirs = rest
	}
	for _, o := range ours {
		if o.Indication == TotalPassed {
			t.Errorf("%s: %s passes, and the oracle has no such signature", s.File, o.ID)
		}
	}
}

func sameSigner(a *SignatureReport, b *oracleSignature) bool {
	return a.Signer.CertificateSHA256 == b.Certificate
}

func sameTime(a *SignatureReport, b *oracleSignature) bool {
	if a.SigningTime == nil || b.SigningTime == "" {
		return a.SigningTime == nil && b.SigningTime == ""
	}
	return strings.HasPrefix(b.SigningTime, a.SigningTime.Format("2006-01-02T15:04:05"))
}

func sameVerdict(a *SignatureReport, b *oracleSignature) bool {
	return sameIndication(a, b) && string(a.SubIndication) == b.SubIndication
}

func sameIndication(a *SignatureReport, b *oracleSignature) bool {
	return strings.ReplaceAll(string(a.Indication), "-", "_") == b.Indication
}

// canonical gives names of qualifications one spelling, as the judges' program does.
func canonical(name string) string {
	words := strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool { return r < 'A' || r > 'Z' })
	var b strings.Builder
	for _, w := range words {
		if w != "BUT" && w != "WITH" {
			b.WriteString(w)
		}
	}
	return b.String()
}

func count(t *testing.T, file string, a *SignatureReport, b *oracleSignature, got *figures) {
	t.Helper()
	got.matched++
	whole := b.Intact && b.Valid && (b.DataFound == nil || *b.DataFound) && (b.DataIntact == nil || *b.DataIntact) && len(b.NotIntact) == 0
	if (a.SignatureIntact && a.ReferencesIntact) == whole {
		got.intact++
	}
	if sameIndication(a, b) {
		got.indication++
		if a.Indication == TotalPassed {
			got.passed++
		}
	}
	if sameVerdict(a, b) {
		got.subIndication++
	}
	if canonical(a.Qualification) == canonical(b.Qualification) {
		got.qualification++
	}
	if a.Indication == TotalPassed && b.Indication != "TOTAL_PASSED" {
		t.Errorf("%s: %s passes, for the oracle it is %s %s", file, a.ID, b.Indication, b.SubIndication)
	}
}
