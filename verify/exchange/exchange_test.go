package exchange_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/evidence"
	"trustcore/verify/exchange"
	"trustcore/verify/internal/mint"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// found is a gatherer that has gathered already.
type found evidence.Found

func (f found) Gather(*budget.Budget, *signature.Document, evidence.Trust, time.Time) evidence.Found {
	return evidence.Found(f)
}

// office judges where the document is, and server where it would be sent to.
type office struct {
	*testing.T
	source exchange.Source
	pieces exchange.Pieces
	sent   []byte // the last question
	came   []byte // the last answer
}

func open(t *testing.T, lists *trustlist.Snapshot, gatherer verify.Gatherer, at time.Time) *office {
	t.Helper()
	memory, err := cache.New(cache.Config{Certificates: 10_000, Verdicts: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	return &office{T: t, source: exchange.Source{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy,
		Pins: poland.ShippedSource(), Gatherer: gatherer, Cache: memory, Now: func() time.Time { return at }}}
}

// server is the report on a document that was sent.
func (o *office) server(r verify.Request) string {
	o.Helper()
	return o.judge(r, verify.Config{Lists: o.source.Lists, Gatherer: o.source.Gatherer, Cache: o.source.Cache, Policy: o.source.Policy(), Now: o.source.Now})
}

// apart is the report on a document that stayed.
func (o *office) apart(r verify.Request) string {
	o.Helper()
	var answer exchange.Answer
	r.Beside = func(doc *signature.Document) (*verify.Evidence, error) {
		var err error
		if answer, err = o.ask(exchange.About(doc)); err != nil {
			return nil, err
		}
		return answer.Evidence()
	}
	rules, err := o.ask(exchange.About(&signature.Document{}))
	if err != nil {
		o.Fatal(err)
	}
	answer = rules
	p, err := policy.Parse(rules.Policy.Data)
	if err != nil {
		o.Fatal(err)
	}
	pins, err := poland.Parse(rules.Pins.Data)
	if err != nil {
		o.Fatal(err)
	}
	return o.judge(r, verify.Config{Lists: func() *trustlist.Snapshot { return nil }, Policy: p, Pins: pins, Now: func() time.Time { return answer.Time }})
}

func (o *office) judge(r verify.Request, cfg verify.Config) string {
	o.Helper()
	v, err := verify.New(cfg)
	if err != nil {
		o.Fatal(err)
	}
	report, err := v.Verify(o.Context(), r)
	if err != nil {
		return "error: " + err.Error()
	}
	data, err := json.Marshal(report.In("pl"))
	if err != nil {
		o.Fatal(err)
	}
	return string(data)
}

// ask sends a question and its answer as JSON.
func (o *office) ask(q *exchange.Question) (a exchange.Answer, err error) {
	q.Have = o.pieces.Have()
	if o.sent, err = json.Marshal(q); err != nil {
		return a, err
	}
	heard := new(exchange.Question)
	if err := json.Unmarshal(o.sent, heard); err != nil {
		return a, err
	}
	answer, err := o.source.Answer(o.Context(), heard, nil)
	if err != nil {
		return a, err
	}
	if o.came, err = json.Marshal(answer); err != nil {
		return a, err
	}
	if err := json.Unmarshal(o.came, &a); err != nil {
		return a, err
	}
	return a, o.pieces.Fill(&a)
}

const letter = `<list><treść>Wypłacić 100 zł.</treść></list>`

// world is a list of one country with two authorities and a time-stamping service.
type world struct {
	lists                *trustlist.Snapshot
	ca, other, tsa, unit mint.Party
	signer               mint.Party
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{ca: mint.Root(t, "CA"), other: mint.Root(t, "Other CA"), tsa: mint.Root(t, "TSA root")}
	w.signer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Anna Kowalska"}, Extensions: []pkix.Extension{mint.Qualified(t)}})
	w.unit = w.tsa.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "TSU"}, TSU: true})
	granted := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}
	eu, pl := mint.Root(t, "EU"), mint.Root(t, "PL")
	lotl := mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: 3, Pointers: []mint.Pointer{{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{pl}}}}
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 7, Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: w.ca, Periods: granted}, {Name: "Other", Type: mint.CAQC, By: w.other, Periods: granted},
		{Name: "QTST", Type: mint.QTST, By: w.tsa, Periods: granted}}}
	s := trustlist.NewSet([]trustlist.Signers{{Certificates: [][]byte{eu.Cert.Raw}}})
	for _, data := range [][]byte{lotl.Sign(t, eu), list.Sign(t, pl)} {
		c, err := trustlist.Check(t.Context(), data)
		if err == nil {
			err = s.Take(c, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Set: s, National: poland.Shipped().Anchors()}); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestTheSameVerdict judges documents here and there: by a list, without anybody on one, with evidence that was found besides, and
// with what was not found yet.
func TestTheSameVerdict(t *testing.T) {
	w := newWorld(t)
	at := mint.Day.AddDate(0, 1, 0)
	later := evidence.Found{Later: map[[32]byte]time.Time{sha256.Sum256(w.signer.Cert.Raw): at.Add(time.Hour)}}
	crls := evidence.Found{CRLs: [][]byte{w.ca.CRL(t, at.Add(-time.Hour), nil), w.tsa.CRL(t, at.Add(-time.Hour), nil)}}
	stamped := mint.XML{Signer: w.signer, At: mint.Day, Stamps: []mint.Stamp{{By: w.unit, At: mint.Day.Add(time.Minute)}}}
	stranger := mint.Root(t, "stranger").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "stranger"}})
	for name, c := range map[string]struct {
		gatherer verify.Gatherer
		document []byte
		holds    string
	}{
		"passed":              {found(crls), stamped.Sign(t, letter), `"qualification":"QESig"`},
		"try later":           {found(later), stamped.Sign(t, letter), `"try_again":"2026-04-01T13:00:00Z"`},
		"nobody gathers":      {nil, stamped.Sign(t, letter), `"sub_indication":"CERTIFICATE_CHAIN_GENERAL_FAILURE"`},
		"on no list":          {found(crls), mint.XML{Signer: stranger, At: mint.Day}.Sign(t, letter), `"sub_indication":"NO_CERTIFICATE_CHAIN_FOUND"`},
		"changed":             {found(crls), bytes.Replace(stamped.Sign(t, letter), []byte("100"), []byte("900"), 1), `"sub_indication":"HASH_FAILURE"`},
		"unsigned":            {found(crls), []byte(letter), `"signatures":[]`},
		"nothing to be read":  {found(crls), []byte("no document"), "error: "},
		"detached, not given": {found(crls), w.signer.CMS(t, []byte("x"), mint.Day), `"signatures":[{`},
	} {
		o := open(t, w.lists, c.gatherer, at)
		want, got := o.server(verify.Request{Document: c.document}), o.apart(verify.Request{Document: c.document})
		if got != want {
			t.Errorf("%s: apart\n%s\nthe server says\n%s", name, got, want)
		}
		if !strings.Contains(want, c.holds) {
			t.Errorf("%s: %s is not in %s", name, c.holds, want)
		}
	}
}

// TestNothingOfTheDocumentIsAsked looks for its content, its digests and its signature value in the question, as they are and in
// base64.
func TestNothingOfTheDocumentIsAsked(t *testing.T) {
	w := newWorld(t)
	o := open(t, w.lists, nil, mint.Day)
	document := mint.XML{Signer: w.signer, At: mint.Day}.Sign(t, letter)
	o.apart(verify.Request{Document: document})
	if !bytes.Contains(o.sent, []byte(base64.StdEncoding.EncodeToString(w.signer.Cert.Raw))) {
		t.Fatalf("the signer is not asked about: %s", o.sent)
	}
	value := string(document[bytes.Index(document, []byte("<ds:SignatureValue>"))+len("<ds:SignatureValue>"):][:60])
	sum := sha256.Sum256(document)
	for _, secret := range []string{"Wypłacić", "100 zł", base64.StdEncoding.EncodeToString([]byte(letter))[:40], value, hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:])} {
		if strings.Contains(string(o.sent), secret) {
			t.Errorf("the question holds %q", secret)
		}
	}
}

// TestPiecesAreSentOnce: what the asker has is not sent again, and what it lacks or was changed on the way is refused.
func TestPiecesAreSentOnce(t *testing.T) {
	w := newWorld(t)
	o := open(t, w.lists, nil, mint.Day)
	first, err := o.ask(exchange.About(&signature.Document{}))
	if err != nil {
		t.Fatal(err)
	}
	size := len(o.came)
	second, err := o.ask(exchange.About(&signature.Document{}))
	if err != nil || len(o.came) > size/10 || !bytes.Equal(first.Policy.Data, second.Policy.Data) {
		t.Errorf("%v: %d bytes after %d", err, len(o.came), size)
	}
	missing, changed := first, first
	missing.Policy.Data = nil
	changed.Pins.Data = append(bytes.Clone(changed.Pins.Data), ' ')
	for name, a := range map[string]*exchange.Answer{"missing": &missing, "changed": &changed} {
		if err := new(exchange.Pieces).Fill(a); err == nil {
			t.Errorf("a piece that is %s is taken", name)
		}
	}
}

// TestBadQuestions are refused: what names octets that are not there, and what is beyond all documents.
func TestBadQuestions(t *testing.T) {
	w := newWorld(t)
	o := open(t, w.lists, nil, mint.Day)
	many := func(n int) []exchange.Part {
		parts := make([]exchange.Part, n)
		for i := range parts {
			parts[i].Signer = -1
		}
		return parts
	}
	for name, q := range map[string]*exchange.Question{
		"a signer that is not there": {Timestamps: []exchange.Part{{Signer: 0}}},
		"a negative position":        {Octets: [][]byte{{0}}, Timestamps: []exchange.Part{{Signer: -2}}},
		"a list that is not there":   {Signatures: []exchange.Signed{{Part: exchange.Part{Signer: -1, CRLs: []int{3}}}}},
		"a part of a stamp":          {Signatures: []exchange.Signed{{Part: exchange.Part{Signer: -1}, Timestamps: []exchange.Part{{Signer: -1, OCSPs: []int{1}}}}}},
		"repeats without end":        {Octets: [][]byte{{0}}, Records: []exchange.Part{{Signer: -1, Certificates: make([]int, 10_000)}}},
		"too many octets":            {Octets: make([][]byte, 5001)},
		"too many parts":             {Timestamps: many(2001)},
		"too much at hand":           {Have: make([]string, 1001)},
	} {
		if _, err := o.source.Answer(t.Context(), q, nil); !exchange.ErrQuestion(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.source.Answer(t.Context(), &exchange.Question{Octets: [][]byte{[]byte("nothing")}, Timestamps: many(2000)}, nil); err != nil {
		t.Error(err)
	}
}

// TestExcerptIsSmall: who is not asked about is not told of.
func TestExcerptIsSmall(t *testing.T) {
	w := newWorld(t)
	o := open(t, w.lists, nil, mint.Day)
	o.apart(verify.Request{Document: mint.XML{Signer: w.signer, At: mint.Day}.Sign(t, letter)})
	var answer exchange.Answer
	if err := json.Unmarshal(o.came, &answer); err != nil {
		t.Fatal(err)
	}
	var excerpt trustlist.Excerpt
	if err := json.Unmarshal(answer.Lists.Data, &excerpt); err != nil {
		t.Fatal(err)
	}
	if len(excerpt.Services) != 1 || excerpt.Services[0].Name != "CA/QC" || excerpt.Others != 2 || len(excerpt.Statuses) != 2 {
		t.Errorf("%+v", excerpt)
	}
}

// TestConformance judges the whole corpus here and there.
func TestConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{Dir: filepath.Join(corpus, "trustlists", "eu-2025-08"),
		LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers"), Extra: []string{filepath.Join(corpus, "trustlists", "test", "EE_T.xml.gz")},
		National: poland.Shipped().Anchors()})
	if err != nil {
		t.Fatal(err)
	}
	o := open(t, lists, nil, time.Date(2025, 8, 12, 0, 0, 0, 0, time.UTC))
	f, err := os.Open(filepath.Join(corpus, "signatures", "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	same := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var sample struct {
			File  string
			Cases []struct {
				Detached []string `json:"detached_contents"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &sample); err != nil {
			t.Fatal(err)
		}
		read := func(name string) []byte {
			data, err := os.ReadFile(filepath.Join(corpus, "signatures", name))
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		r := verify.Request{Document: read(sample.File)}
		for _, c := range sample.Cases {
			for _, name := range c.Detached {
				if !slices.ContainsFunc(r.Detached, func(d signature.Detached) bool { return d.Name == filepath.Base(name) }) {
					r.Detached = append(r.Detached, signature.Detached{Name: filepath.Base(name), Content: read(name)})
				}
			}
		}
		if want, got := o.server(r), o.apart(r); got != want {
			t.Errorf("%s: apart\n%.3000s\nthe server says\n%.3000s", sample.File, got, want)
			continue
		}
		same++
	}
	t.Logf("%d documents have the same report", same)
}
