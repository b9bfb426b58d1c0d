package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// sample is a file with what the oracle says of its signatures and time-stamps.
type sample struct {
	File, SHA256    string
	Format          string   `json:"-"` // of the list beside it
	Detached        []string `json:"-"` // of the same
	Signatures      []oracleSignature
	Timestamps      []oracleTimestamp
	EvidenceRecords []struct{ Timestamps []oracleTimestamp } `json:"evidence_records"`
}

type oracleSignature struct {
	Certificate   string `json:"signer_certificate_sha256"`
	SigningTime   string `json:"claimed_signing_time"`
	Format        string
	Indication    string
	SubIndication string `json:"sub_indication"`
	Qualification string
	Intact        bool  `json:"signature_intact"`
	Valid         bool  `json:"signature_valid"`
	DataFound     *bool `json:"reference_data_found"`
	DataIntact    *bool `json:"reference_data_intact"`
	NotIntact     []any `json:"references_not_intact"`
	Timestamps    []oracleTimestamp
}

// later reports whether the signature, or a time-stamp of it, is from after the validation time: the oracle does not look.
func (o *oracleSignature) later(at time.Time) bool {
	return o.SigningTime > at.Format(time.RFC3339) ||
		slices.ContainsFunc(o.Timestamps, func(t oracleTimestamp) bool { return t.ProductionTime > at.Format(time.RFC3339) })
}

// figures are numbers of signatures that agree with the oracle.
type figures struct{ matched, intact, indication, subIndication, level, qualification, passed int }

// trial is one set of lists with the oracle's verdicts by them.
type trial struct {
	lists, oracle string
	at            time.Time
	least         map[string]figures // by policy; may only grow
	// most are the time-stamps of a type that have another indication than the oracle's, under dss-default; may only
	// shrink. Those from after the validation time are left out.
	most map[string]int
}

// trials leave out DDOC, and what was signed after the validation time.
var trials = []trial{
	{"eu-2023-10", "dss-6.4-2023.jsonl", time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC), map[string]figures{
		policy.DSSDefault: {400, 395, 392, 385, 396, 393, 35}, policy.Strict: {400, 395, 383, 376, 396, 384, 29},
	}, map[string]int{"CONTAINER_TIMESTAMP": 4, "CONTENT_TIMESTAMP": 1, "EVIDENCE_RECORD_TIMESTAMP": 5, "INDIVIDUAL_DATA_OBJECTS_TIMESTAMP": 1}},
	{"eu-2025-08", "dss-6.4-2025.jsonl", time.Date(2025, 8, 12, 0, 0, 0, 0, time.UTC), map[string]figures{
		policy.DSSDefault: {478, 473, 470, 462, 474, 471, 41}, policy.Strict: {478, 473, 462, 454, 474, 463, 37},
	}, map[string]int{"CONTAINER_TIMESTAMP": 5, "CONTENT_TIMESTAMP": 1, "EVIDENCE_RECORD_TIMESTAMP": 10, "INDIVIDUAL_DATA_OBJECTS_TIMESTAMP": 1,
		"SIGNATURE_TIMESTAMP": 1, "ARCHIVE_TIMESTAMP": 1}},
}

// mustPass are samples of a XAdES, a CAdES and a PAdES signature with everything in them.
var mustPass = []string{"singleValidSignatureTS.asice", "Signature-C-HU_POL-3.p7m", "reason_and_location_Test.pdf"}

// TestConformance judges every sample under two sets of lists and both policies. None may pass that the oracle does not
// pass, every difference belongs to a kind that docs/conformance.md has, and the figures may only grow.
func TestConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	seen := map[string]bool{}
	for _, run := range trials {
		t.Run(run.lists, func(t *testing.T) {
			c := &conformance{trial: run, corpus: corpus, evidence: corpusEvidence(t, corpus, run.lists),
				relaxed: relaxations(t), got: map[string]*figures{policy.DSSDefault: {}, policy.Strict: {}}, stamps: map[string]*stampFigures{}, seen: seen}
			for _, s := range samples(t, corpus, run.oracle) {
				c.sample(t, s)
			}
			c.check(t)
		})
	}
	for name := range differences {
		if !seen[name] {
			t.Errorf("%s agrees with the oracle: take it out of the list of differences", name)
		}
	}
}

// conformance is one trial that runs.
type conformance struct {
	trial
	corpus   string
	evidence *Evidence
	relaxed  []relaxation
	got      map[string]*figures
	stamps   map[string]*stampFigures
	archived int             // signatures with archive time-stamps that the oracle passes
	seen     map[string]bool // names of the list of differences that differ
}

// sample judges a file under both policies.
func (c *conformance) sample(t *testing.T, s sample) {
	loose := judgeBy(t, c, s, policy.DSSDefault)
	if loose == nil {
		return
	}
	c.countStamps(t, s, loose)
	pairs := c.compare(t, s, loose)
	for _, p := range pairs {
		c.count(t, s, p, policy.DSSDefault)
		if bad := p.differs(); bad != "" && s.Format != ddoc && !p.theirs.later(c.at) {
			c.listed(t, s, bad)
		}
	}
	strict := judgeBy(t, c, s, policy.Strict)
	for _, p := range c.compare(t, s, strict) {
		c.count(t, s, p, policy.Strict)
		if bad := p.differs(); bad != "" && s.Format != ddoc && !p.theirs.later(c.at) {
			c.explained(t, s, p, loose, bad)
		}
		if c.lists == "eu-2023-10" && slices.Contains(mustPass, filepath.Base(s.File)) && (p.ours.Indication != TotalPassed || p.ours.Qualification != "QESig") {
			t.Errorf("%s: %s %s %s %q", s.File, p.ours.Indication, p.ours.SubIndication, p.ours.Qualification, p.ours.Reasons)
		}
	}
}

// check holds the figures against the floors.
func (c *conformance) check(t *testing.T) {
	for name, least := range c.least {
		got := *c.got[name]
		t.Logf("%s: %+v", name, got)
		for field, pair := range map[string][2]int{
			"matched": {got.matched, least.matched}, "intact": {got.intact, least.intact}, "indication": {got.indication, least.indication},
			"sub-indication": {got.subIndication, least.subIndication}, "level": {got.level, least.level},
			"qualification": {got.qualification, least.qualification}, "passed": {got.passed, least.passed},
		} {
			if pair[0] < pair[1] {
				t.Errorf("%s, %s: %d signatures agree, fewer than %d", name, field, pair[0], pair[1])
			}
		}
	}
	c.checkStamps(t)
}

// ddoc is the format that is not read.
const ddoc = "DIGIDOC-XML"

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
	detached, formats := map[string][]string{}, map[string]string{}
	lines(t, filepath.Join(corpus, "signatures", "expected.jsonl"), func(line []byte) error {
		var e struct {
			SHA256, Format string
			Cases          []struct {
				Detached []string `json:"detached_contents"`
			}
		}
		err := json.Unmarshal(line, &e)
		formats[e.SHA256] = e.Format
		for _, c := range e.Cases {
			detached[e.SHA256] = append(detached[e.SHA256], c.Detached...)
		}
		return err
	})
	var list []sample
	lines(t, filepath.Join(corpus, "signatures", oracle), func(line []byte) error {
		var s sample
		err := json.Unmarshal(line, &s)
		s.Detached, s.Format = detached[s.SHA256], formats[s.SHA256]
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
	return judgeUnder(t, corpus, s, ev, DefaultPolicy(), at)
}

// judgeUnder is judgeSample under a policy.
func judgeUnder(t testing.TB, corpus string, s sample, ev *Evidence, p *Policy, at time.Time) *Report {
	t.Helper()
	data, detached := readSample(t, corpus, s)
	b := budget.New(t.Context(), len(data))
	doc, err := Open(b, data, detached...)
	if err != nil {
		return nil
	}
	r, err := Judge(b, doc, ev, p, at)
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

// judgeBy is judgeSample under a policy.
func judgeBy(t testing.TB, c *conformance, s sample, name string) *Report {
	t.Helper()
	p, err := policy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return judgeUnder(t, c.corpus, s, c.evidence, p, c.at)
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

// pair is a signature as we and the oracle see it.
type pair struct {
	ours   *SignatureReport
	theirs *oracleSignature
}

// differs names what is not the same, "" for nothing.
func (p pair) differs() string {
	var bad []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"indication", sameIndication(p.ours, p.theirs)}, {"sub-indication", sameVerdict(p.ours, p.theirs)}, {"level", sameLevel(p.ours, p.theirs)},
		{"qualification", canonical(p.ours.Qualification) == canonical(p.theirs.Qualification)},
	} {
		if !f.same {
			bad = append(bad, f.name)
		}
	}
	return strings.Join(bad, ", ")
}

// compare pairs the signatures of a file by certificate, claimed time and verdict, then less strictly.
func (c *conformance) compare(t *testing.T, s sample, r *Report) []pair {
	t.Helper()
	var pairs []pair
	ours := make([]*SignatureReport, len(r.Signatures))
	for i := range r.Signatures {
		ours[i] = &r.Signatures[i]
	}
	theirs := make([]*oracleSignature, len(s.Signatures))
	for i := range s.Signatures {
		theirs[i] = &s.Signatures[i]
	}
	for _, alike := range []func(*SignatureReport, *oracleSignature) bool{
		func(a *SignatureReport, b *oracleSignature) bool {
			return sameSigner(a, b) && sameTime(a, b) && sameVerdict(a, b)
		},
		func(a *SignatureReport, b *oracleSignature) bool { return sameSigner(a, b) && sameTime(a, b) },
		sameSigner,
		func(*SignatureReport, *oracleSignature) bool { return true },
	} {
		var rest []*oracleSignature
		for _, o := range theirs {
			i := slices.IndexFunc(ours, func(a *SignatureReport) bool { return alike(a, o) })
			if i < 0 {
				rest = append(rest, o)
				continue
			}
			pairs = append(pairs, pair{ours[i], o})
			ours = slices.Delete(ours, i, i+1)
		}
		theirs = rest
	}
	for _, o := range ours {
		if o.Indication == TotalPassed {
			t.Errorf("%s: %s passes, and the oracle has no such signature", s.File, o.ID)
		}
	}
	return pairs
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

// sameLevel compares with the level in the oracle's format, such as "XAdES-BASELINE-LT", "PKCS7-T" or "XML-NOT-ETSI".
func sameLevel(a *SignatureReport, b *oracleSignature) bool {
	_, level, _ := strings.Cut(strings.ReplaceAll(b.Format, "_", "-"), "-")
	return a.Level == strings.Replace(strings.TrimPrefix(level, "NOT-ETSI"), "BASELINE-", "B-", 1)
}

func (c *conformance) count(t *testing.T, s sample, p pair, policy string) {
	t.Helper()
	a, b, got := p.ours, p.theirs, c.got[policy]
	if a.Indication == TotalPassed && b.Indication != "TOTAL_PASSED" {
		t.Errorf("%s, %s: %s passes, for the oracle it is %s %s", s.File, policy, a.ID, b.Indication, b.SubIndication)
	}
	if s.Format == ddoc || b.SigningTime > c.at.Format(time.RFC3339) {
		return
	}
	whole := b.Intact && b.Valid && (b.DataFound == nil || *b.DataFound) && (b.DataIntact == nil || *b.DataIntact) && len(b.NotIntact) == 0
	for _, f := range []struct {
		figure *int
		agrees bool
	}{
		{&got.matched, true}, {&got.intact, (a.SignatureIntact && a.ReferencesIntact) == whole}, {&got.indication, sameIndication(a, b)},
		{&got.subIndication, sameVerdict(a, b)}, {&got.level, sameLevel(a, b)},
		{&got.qualification, canonical(a.Qualification) == canonical(b.Qualification)},
		{&got.passed, sameIndication(a, b) && a.Indication == TotalPassed},
	} {
		if f.agrees {
			*f.figure++
		}
	}
}
