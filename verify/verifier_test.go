package verify

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
)

func (w *world) verifier(t testing.TB) *Verifier {
	t.Helper()
	v, err := New(Config{Lists: func() *trustlist.Snapshot { return w.lists }, Cache: w.cache, Policy: DefaultPolicy(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifierNeedsItsParts(t *testing.T) {
	w := newWorld(t)
	lists := func() *trustlist.Snapshot { return w.lists }
	for name, cfg := range map[string]Config{
		"Lists": {Policy: DefaultPolicy(), Now: time.Now}, "Policy": {Lists: lists, Now: time.Now}, "Now": {Lists: lists, Policy: DefaultPolicy()},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("made without %s", name)
		}
	}
}

// TestFaultIsNoVerdict: a fault of ours is an error that shows nothing inside, with the stack for the log.
func TestFaultIsNoVerdict(t *testing.T) {
	w := newWorld(t)
	broken, err := New(Config{Lists: func() *trustlist.Snapshot { panic("a secret inside") }, Policy: DefaultPolicy(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	r, err := broken.Verify(t.Context(), Request{Document: w.officer.CMS(t, []byte(letter), mint.Day)})
	var fault *Fault
	if r != nil || !errors.As(err, &fault) {
		t.Fatalf("%v %v", r, err)
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), ".go:") {
		t.Errorf("a stranger sees %q", err)
	}
	if fault.Reason != "a secret inside" || !strings.Contains(string(fault.Stack), "verifier_test.go") {
		t.Errorf("the log lacks %q, %s", fault.Reason, fault.Stack)
	}
}

// TestClientGoneEndsWork: a context that has ended ends the work, and is no verdict.
func TestClientGoneEndsWork(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := w.verifier(t).Verify(ctx, Request{Document: w.officer.CMS(t, []byte(letter), mint.Day)})
	if r != nil || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v %v", r, err)
	}
}

// TestRecognise: what a CMS holds does not make it what it holds.
func TestRecognise(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		data []byte
		want container
	}{
		"a CMS around a PDF": {w.officer.CMS(t, emptyPDF(), mint.Day), containerCMS},
		"a PDF":              {emptyPDF(), containerPDF},
		"a PDF after text":   {append([]byte("0 junk\n"), emptyPDF()...), containerPDF},
		"a PDF after 0x30":   {append([]byte("0\x82\x01\x01junk\n"), emptyPDF()...), containerPDF},
		"one octet":          {[]byte("0"), containerCMS},
		"a signed message":   {[]byte("From: a\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"), containerCMS},
		"an opaque message":  {[]byte("Received: by a\r\nContent-Type: application/x-pkcs7-mime\r\n\r\n"), containerCMS},
		"a message":          {[]byte("From: a\r\n\r\nmultipart/signed"), containerUnknown},
		"JSON":               {[]byte(" {}"), containerJSON},
		"JSON after a mark":  {[]byte("\xef\xbb\xbf{}"), containerJSON},
		"a compact JWS":      {[]byte("eyJhbGciOiJFUzI1NiJ9.e30.AA"), containerJSON},
		"JSON around a PDF":  {append([]byte(`{"a":"`), emptyPDF()...), containerPDF},
	} {
		if got := recognise(c.data); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestBudgetIsAReport: a document beyond its budget is INDETERMINATE with the limit named, wherever the budget ends.
func TestBudgetIsAReport(t *testing.T) {
	w := newWorld(t)
	document := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}}}.Sign(t, letter)
	whole := int64(0)
	for work := int64(1000); ; work *= 2 {
		b := budget.Of(t.Context(), work, 1<<30)
		doc, err := Open(b, document)
		if errors.Is(err, budget.ErrExceeded) {
			continue // the Verifier makes the report, see below
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := Judge(b, doc, w.evidence(w.ca.CRL(t, mint.Day, nil)), DefaultPolicy(), mint.Day.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		s := &r.Signatures[0]
		if b.Err() == nil {
			if s.Indication != TotalPassed {
				t.Errorf("within its budget: %s %s %q", s.Indication, s.SubIndication, s.Reasons)
			}
			whole = work
			break
		}
		if s.Indication != Indeterminate || s.SubIndication != Generic || !strings.Contains(strings.Join(s.Reasons, " "), "budget") {
			t.Errorf("%d units: %s %s %q", work, s.Indication, s.SubIndication, s.Reasons)
		}
	}
	if whole > 100_000_000 {
		t.Errorf("a letter costs %d units", whole)
	}
	r := newReport(DefaultPolicy(), nil, mint.Day)
	r.unread("beyond the budget")
	if s := r.Signatures[0]; s.Indication != Indeterminate || s.SubIndication != Generic || len(r.Notes) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestJSON: JSON signatures are judged as all others; JSON without one holds nothing.
func TestJSON(t *testing.T) {
	w := newWorld(t)
	encode := base64.RawURLEncoding.EncodeToString
	der := w.officer.Cert.Raw
	sum := sha256.Sum256(der)
	header := fmt.Sprintf(`{"alg":"ES256","x5t#S256":%q,"x5c":[%q],"iat":%d}`, encode(sum[:]), base64.StdEncoding.EncodeToString(der), mint.Day.Unix())
	input := encode([]byte(header)) + "." + encode([]byte(letter))
	digest := sha256.Sum256([]byte(input))
	value, err := w.officer.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &v); err != nil {
		t.Fatal(err)
	}
	raw := append(v.R.FillBytes(make([]byte, 32)), v.S.FillBytes(make([]byte, 32))...)
	r := w.judge(t, []byte(input+"."+encode(raw)), mint.Day.Add(time.Hour), w.ca.CRL(t, mint.Day, nil))
	if s := r.Signatures[0]; s.Indication != TotalPassed || s.Format != "JAdES" || s.Level != "B-B" || s.Qualification != "QESig" || !s.Scopes[0].Full {
		t.Errorf("%+v", s)
	}
	if r := w.judge(t, []byte(`{"pismo":"Urząd Miasta Przykładowo"}`), mint.Day); len(r.Signatures) != 0 {
		t.Errorf("%+v", r.Signatures)
	}
}
