package evidence

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// serveList lets the address answer with a list of the authority.
func (w *world) serveList(der []byte) {
	w.instead("/crl", func(out http.ResponseWriter, _ *http.Request) { w.write(out, der) })
}

func (w *world) wantList(f Found, der []byte, why string) {
	w.t.Helper()
	if len(f.Parsed) != len(f.CRLs) || len(f.CRLs) > 0 && &f.Parsed[0].Raw[0] != &f.CRLs[0][0] {
		w.t.Errorf("%s: the list would be parsed anew", why)
	}
	if len(f.CRLs) != 1 || !bytes.Equal(f.CRLs[0], der) {
		w.t.Errorf("%s: %d lists, or another one; problems: %q", why, len(f.CRLs), f.Problems)
	}
}

// authority is another one of the same name.
func (w *world) authority() *holder {
	return w.mint(nil, "Office CA", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
}

// TestNothingPutsAwayAProvenList: what the address says later does not count unless the authority said it, and not
// before what it said already; it is asked again soon, and the next true list counts at once.
func TestNothingPutsAwayAProvenList(t *testing.T) {
	for name, poison := range map[string]func(w *world, proven []byte) []byte{
		"signature spoilt": func(w *world, _ []byte) []byte {
			der := w.list(w.ca)
			der[len(der)-1] ^= 1
			return der
		},
		"stranger's, of the name": func(w *world, _ []byte) []byte { return w.list(w.authority()) },
		"stranger's of tomorrow": func(w *world, _ []byte) []byte {
			w.pass(24 * time.Hour)
			defer w.pass(-24 * time.Hour)
			return w.list(w.authority())
		},
		"of tomorrow": func(w *world, _ []byte) []byte {
			w.pass(24 * time.Hour)
			defer w.pass(-24 * time.Hour)
			return w.list(w.ca)
		},
		"older": func(w *world, _ []byte) []byte {
			w.pass(-3 * time.Hour)
			defer w.pass(3 * time.Hour)
			return w.list(w.ca)
		},
		"page": func(*world, []byte) []byte { return []byte("<html>") },
	} {
		for _, again := range []string{"", ", after a new start"} {
			t.Run(name+again, func(t *testing.T) {
				w := newWorld(t)
				g, leaf := w.gatherer(nil), w.leaf("/crl")
				proven := w.list(w.ca)
				w.serveList(proven)
				w.wantList(w.gather(g, leaf), proven, "at first")
				w.pass(2 * listAge)
				w.serveList(poison(w, proven))
				if again != "" {
					g = w.gatherer(nil)
				}
				for range 3 {
					w.wantList(w.gather(g, leaf), proven, "poisoned")
				}
				w.wantAsked("/crl", 2)
				w.pass(failureAge)
				next := w.list(w.ca)
				w.serveList(next)
				w.wantList(w.gather(g, leaf), next, "in order again")
				w.wantAsked("/crl", 3)
			})
		}
	}
}

// TestAFirstListThatIsNotTheAuthoritys is asked for again soon, not after an hour.
func TestAFirstListThatIsNotTheAuthoritys(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/crl")
	w.serveList(w.list(w.authority()))
	if f := w.gather(g, leaf); len(f.Problems) != 1 || len(f.Later) != 1 {
		t.Errorf("problems: %q, later: %v", f.Problems, f.Later)
	}
	w.pass(failureAge)
	list := w.list(w.ca)
	w.serveList(list)
	w.wantList(w.gather(g, leaf), list, "in order")
}

// TestAnOlderAnswerIsAReplay: once the responder told a revocation, what it had said before does not count any more.
func TestAnOlderAnswerIsAReplay(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/ocsp")
	good := w.respondFor(leaf, w.ca)
	w.pass(10 * time.Minute)
	w.revoke(leaf)
	revoked := w.gather(g, leaf).OCSPs[0]
	w.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { w.write(out, good) })
	w.pass(2 * ocspAge)
	for range 2 {
		if f := w.gather(g, leaf); len(f.OCSPs) != 1 || !bytes.Equal(f.OCSPs[0], revoked) {
			t.Errorf("the revocation is forgotten: %q", f.Problems)
		}
	}
	w.wantAsked("/ocsp", 2)
}

// TestAnAnswerForAnotherSerialPutsNothingAway.
func TestAnAnswerForAnotherSerialPutsNothingAway(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/ocsp")
	first := w.gather(g, leaf).OCSPs[0]
	other := w.respondFor(w.leaf(""), w.ca)
	w.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { w.write(out, other) })
	w.pass(2 * ocspAge)
	if f := w.gather(g, leaf); len(f.OCSPs) != 1 || !bytes.Equal(f.OCSPs[0], first) {
		t.Errorf("%d answers; problems: %q", len(f.OCSPs), f.Problems)
	}
}

// TestListsInUseAreRenewedBeforeTheyEnd: for authorities whose documents came lately, once near the end, and proven
// without a document; the first document after it waits for nobody.
func TestListsInUseAreRenewedBeforeTheyEnd(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/crl")
	w.gather(g, leaf) // serves 24 hours
	w.pass(20 * time.Hour)
	g.refresh(t.Context())
	w.wantAsked("/crl", 1) // not due, though it would be asked for if a document came
	w.pass(3*time.Hour + 30*time.Minute)
	g.refresh(t.Context())
	g.refresh(t.Context())
	w.wantAsked("/crl", 2)
	w.pass(40 * time.Minute) // the first one has run out
	w.wantFound(w.gather(g, leaf), 0, 1)
	w.wantAsked("/crl", 2)
	w.pass(10 * 24 * time.Hour)
	g.refresh(t.Context())
	w.wantAsked("/crl", 2) // nobody came for days
}

// TestRenewalIsBounded: one look renews so many and no more.
func TestRenewalIsBounded(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(nil)
	renewed := &scripted{}
	g.rooms[sourceCRL].asker = renewed
	list := w.list(w.ca)
	for i := range maxRefreshed + 100 {
		a, err := g.read(source{kind: sourceCRL, url: "http://host.example/" + new(big.Int).SetInt64(int64(i)).String()},
			list, w.clock())
		if err != nil {
			t.Fatal(err)
		}
		a.live(w.clock().Add(-2 * listAge))
		a.prove(nil)
		a.use(w.clock())
		g.answers.Set(a.source.key(), a)
	}
	g.refresh(t.Context())
	if renewed.asked == 0 || g.Stats().Failed > maxRefreshed {
		t.Errorf("%d requests, %d renewals, want at most %d", renewed.asked, g.Stats().Failed, maxRefreshed)
	}
}

// scripted is a room to an outside that is not there.
type scripted struct{ asked int }

func (s *scripted) Get(context.Context, string) ([]byte, error) {
	s.asked++ // the breaker lets three in, one after the other or at once: who counts looks at more than none
	return nil, errors.New("not there")
}

func (s *scripted) Post(ctx context.Context, url, _ string, _ []byte) ([]byte, error) {
	return s.Get(ctx, url)
}

// TestSlowAnswersAreUsedAndCount: an answer that took long is used, and its host is left alone after some of them.
func TestSlowAnswersAreUsedAndCount(t *testing.T) {
	w := newWorld(t)
	w.instead("/ocsp", func(out http.ResponseWriter, r *http.Request) {
		w.pass(slowOCSP + time.Second)
		q := new(bytes.Buffer)
		_, _ = q.ReadFrom(r.Body)
		w.write(out, w.response(q.Bytes()))
	})
	g := w.gatherer(nil)
	for range opensAfter {
		w.wantFound(w.gather(g, w.leaf("/ocsp")), 1, 0)
	}
	f := w.gather(g, w.leaf("/ocsp /crl"))
	w.wantFound(f, 0, 1)
	w.wantAsked("/ocsp", opensAfter)
	if hosts := g.Hosts(); len(hosts) != 1 || !strings.Contains(hosts[0].Error, "took") {
		t.Errorf("%+v", hosts)
	}
}

// TestWhatAResponderRefusesIsNotItsFault: questions that it does not like close it for nobody.
func TestWhatAResponderRefusesIsNotItsFault(t *testing.T) {
	for name, test := range map[string]struct {
		answer []byte
		opens  bool
	}{"unauthorized": {ocsp.UnauthorizedErrorResponse, false}, "malformed": {ocsp.MalformedRequestErrorResponse, false},
		"try later": {ocsp.TryLaterErrorResponse, true}, "internal error": {ocsp.InternalErrorErrorResponse, true}} {
		w := newWorld(t)
		w.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { w.write(out, test.answer) })
		g := w.gatherer(nil)
		for range opensAfter {
			w.gather(g, w.leaf("/ocsp"))
		}
		if opened := len(g.Hosts()) > 0; opened != test.opens {
			t.Errorf("%s: left alone: %v", name, opened)
		}
	}
}

// TestAHostThatRestsSaysWhenToComeBack: and the answer is there then.
func TestAHostThatRestsSaysWhenToComeBack(t *testing.T) {
	w := newWorld(t)
	w.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { http.Error(out, "", http.StatusBadGateway) })
	g := w.gatherer(nil)
	for range opensAfter {
		w.gather(g, w.leaf("/ocsp"))
	}
	leaf := w.leaf("/ocsp")
	f := w.gather(g, leaf)
	w.wantAsked("/ocsp", opensAfter)
	var when time.Time
	for _, when = range f.Later {
	}
	if want := w.clock().Add(restFirst); len(f.Later) != 1 || !when.Equal(want) {
		t.Errorf("%v, want %s", f.Later, want)
	}
	w.instead("/ocsp", nil)
	w.pass(when.Sub(w.clock()))
	w.wantFound(w.gather(g, leaf), 1, 0)
	if len(g.Hosts()) != 0 {
		t.Errorf("%+v", g.Hosts())
	}
}

// TestACertificateThatIsStillToCome has no evidence before it begins.
func TestACertificateThatIsStillToCome(t *testing.T) {
	w := newWorld(t)
	begins := w.clock().Add(3 * time.Hour)
	young := w.mint(w.ca, "officer-2", func(c *x509.Certificate) {
		c.NotBefore, c.CRLDistributionPoints = begins, []string{w.url + "/crl"}
	})
	f := w.gather(w.gatherer(nil), young)
	for _, when := range f.Later {
		if !when.Equal(begins) {
			t.Errorf("%s, want %s", when, begins)
		}
	}
	if len(f.Later) != 1 {
		t.Errorf("%v", f.Later)
	}
}

// TestAHoldMayBeLifted: when the source may say so.
func TestAHoldMayBeLifted(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf("/crl")
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: w.clock(),
		NextUpdate: w.clock().Add(50 * time.Minute),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: leaf.x.SerialNumber, RevocationTime: w.clock(),
			ReasonCode: 6}}}
	der, err := x509.CreateRevocationList(rand.Reader, template, w.ca.x, w.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	w.serveList(der)
	f := w.gather(w.gatherer(nil), leaf)
	w.wantFound(f, 0, 1)
	for _, when := range f.Later {
		if want := w.clock().Add(50 * time.Minute).Truncate(time.Second); !when.Equal(want) {
			t.Errorf("%s, want %s", when, want)
		}
	}
	if len(f.Later) != 1 {
		t.Errorf("%v", f.Later)
	}
}
