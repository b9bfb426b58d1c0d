package vectors

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A suite is a set of public vectors as cases with the verdicts of their publisher.
type suite struct {
	t      *testing.T
	folder string // certpath of the corpus
	cases  []any
	want   map[string]expectation

	published map[string]bool // verdicts of PKITS by id, there before a case is changed
}

type expectation struct {
	valid    bool
	policies []string // nil: not judged
}

// tolerated are the cases that we judge otherwise than their publisher, with the reason; docs/conformance.md tells
// them. The list may only shrink.
var tolerated = map[string]string{
	"signed-data/rsa-pkcs1-sha1-key-params-absent": "real CA keys lack the NULL; the key itself is unambiguous",
}

func newSuite(t *testing.T) *suite {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is unset: the public vectors are not at hand")
	}
	return &suite{t: t, folder: filepath.Join(corpus, "certpath"), want: map[string]expectation{}, published: map[string]bool{}}
}

func (s *suite) read(parts ...string) []byte {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{s.folder}, parts...)...))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

func (s *suite) readJSON(into any, parts ...string) {
	s.t.Helper()
	if err := json.Unmarshal(s.read(parts...), into); err != nil {
		s.t.Fatal(err)
	}
}

// object returns the DER of a file that is DER, or PEM after prose and a private key.
func (s *suite) object(parts ...string) []byte {
	data := s.read(parts...)
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		return data
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.Contains(block.Type, "PRIVATE") {
			return block.Bytes
		}
	}
	s.t.Fatalf("%v holds no object", parts)
	return nil
}

// blocks returns the PEM blocks of a text by their type. Unlike encoding/pem it takes whatever stands between them.
func blocks(text []byte) map[string][][]byte {
	found := map[string][][]byte{}
	for _, m := range pemBlock.FindAllSubmatch(text, -1) {
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(m[2])), ""))
		if err == nil {
			found[string(m[1])] = append(found[string(m[1])], der)
		}
	}
	return found
}

var pemBlock = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----\s*\n(.*?)-----END [A-Z0-9 ]+-----`)

// newChain returns a case of kind chain with nothing asked.
func newChain(id string, target []byte, untrusted, anchors [][]byte, at string) *chainLine {
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return &chainLine{Kind: "chain", chainCase: chainCase{ID: id, Certificate: target, Untrusted: untrusted, Anchors: anchors, Time: when}}
}

// A chainLine is a chainCase as it stands in a file.
type chainLine struct {
	Kind string `json:"kind"`
	chainCase
}

func (s *suite) add(id string, line any, want expectation) {
	s.cases, s.want[id] = append(s.cases, line), want
}

// drop takes cases out of the suite.
func (s *suite) drop(ids ...string) {
	s.cases = slices.DeleteFunc(s.cases, func(line any) bool { return slices.Contains(ids, line.(*chainLine).ID.(string)) })
}

// judge runs the cases and fails for each that differs from its publisher's verdict and is not tolerated.
func (s *suite) judge(minimum int) {
	s.t.Helper()
	var in, out bytes.Buffer
	for _, c := range s.cases {
		line, err := json.Marshal(c)
		if err != nil {
			s.t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	if err := Run(context.Background(), &in, &out); err != nil {
		s.t.Fatal(err)
	}
	lines, right := 0, 0
	for scanner := bufio.NewScanner(&out); scanner.Scan(); lines++ {
		var r struct {
			ID           string
			Valid        *bool
			Reason       string
			Error        string
			UserPolicies []string `json:"user_policies"`
		}
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			s.t.Fatal(err)
		}
		want := s.want[r.ID]
		switch {
		case tolerated[r.ID] != "":
		case r.Valid == nil || *r.Valid != want.valid:
			s.t.Errorf("%s: %s, want valid %v", r.ID, scanner.Text(), want.valid)
		case want.policies != nil && !slices.Equal(sorted(want.policies), sorted(r.UserPolicies)):
			s.t.Errorf("%s: policies %v, want %v", r.ID, r.UserPolicies, want.policies)
		default:
			right++
		}
	}
	if lines != len(s.cases) || right < minimum {
		s.t.Errorf("%d cases, %d answers, %d right; at least %d were right before", len(s.cases), lines, right, minimum)
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// pkitsCase is an entry of pkits/expected.json.
type pkitsCase struct {
	ID             string
	Section        string
	Path, CRLs     []string
	Anchor         string   `json:"trust_anchor"`
	Time           string   `json:"validation_time"`
	Initial        []string `json:"initial_policy_set"`
	Explicit       bool     `json:"initial_explicit_policy"`
	InhibitMapping bool     `json:"initial_policy_mapping_inhibit"`
	InhibitAny     bool     `json:"initial_inhibit_any_policy"`
	Valid          bool     `json:"should_validate"`
	Policies       []string `json:"user_constrained_policy_set"`
}

const anyPolicy = "2.5.29.32.0"

// pkits adds NIST's PKITS; change may rearrange a case.
func (s *suite) pkits(change func(*chainLine)) {
	var list []pkitsCase
	s.readJSON(&list, "pkits", "expected.json")
	files := func(folder string, names []string) (found [][]byte) {
		for _, name := range names {
			found = append(found, s.read("pkits", folder, name))
		}
		return found
	}
	for _, t := range list {
		certs := files("certs", t.Path)
		last := len(certs) - 1
		c := newChain(t.ID, certs[last], certs[:last], files("certs", []string{t.Anchor}), t.Time)
		c.Revocation, c.CRLs = "require", files("crls", t.CRLs)
		c.Policies = policyCase{t.Initial, t.Explicit, t.InhibitMapping, t.InhibitAny}
		want := expectation{valid: t.Valid}
		if t.Valid || len(t.Policies) == 0 {
			want.policies = []string{}
			for _, p := range t.Policies {
				want.policies = append(want.policies, strings.Replace(p, anyPolicy, "any", 1))
			}
		}
		s.published[t.ID] = t.Valid
		change(c)
		s.add(t.ID, c, want)
	}
}

func TestPKITS(t *testing.T) {
	s := newSuite(t)
	s.pkits(func(*chainLine) {})
	s.judge(249)
}

// TestPKITSInDisorder gives every case the intermediates and lists of all others too, doubled and shuffled.
func TestPKITSInDisorder(t *testing.T) {
	s := newSuite(t)
	random := rand.New(rand.NewPCG(1, 2))
	glob := func(pattern string) (found [][]byte) {
		names, err := filepath.Glob(filepath.Join(s.folder, "pkits", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, data)
		}
		return found
	}
	certs, crls := glob("certs/*.crt"), glob("crls/*.crl")
	shuffle := func(list [][]byte) [][]byte {
		list = slices.Clone(list)
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	s.pkits(func(c *chainLine) {
		decoys := shuffle(certs)[:100]
		c.Untrusted = shuffle(slices.Concat(c.Untrusted, c.Untrusted, decoys, [][]byte{c.Certificate}))
		c.CRLs = shuffle(slices.Concat(c.CRLs, shuffle(crls)[:40]))
	})
	s.judge(249)
}

// TestMirroredHeap gives the intermediates in both orders.
func TestMirroredHeap(t *testing.T) {
	s := newSuite(t)
	s.pkits(func(c *chainLine) { slices.Reverse(c.Untrusted); slices.Reverse(c.CRLs) })
	s.judge(249)
}

func boringTime(utc string) string {
	if utc == "DEFAULT" {
		utc = "211005120000Z"
	}
	return fmt.Sprintf("20%s-%s-%sT%s:%s:%sZ", utc[0:2], utc[2:4], utc[4:6], utc[6:8], utc[8:10], utc[10:12])
}
