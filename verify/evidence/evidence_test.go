package evidence

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

func TestTheCacheAnswersFirst(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/ocsp /crl")
	for range 3 {
		w.wantFound(w.gather(g, leaf), 1, 0)
	}
	w.wantAsked("/ocsp", 1)
	w.wantAsked("/crl", 0)
	w.pass(2 * time.Minute)
	w.revoke(leaf)
	found := w.gather(g, leaf)
	w.wantAsked("/ocsp", 2)
	if r, err := ocsp.ParseResponse(found.OCSPs[0], w.ca.x); err != nil || r.Status != ocsp.Revoked {
		t.Errorf("the revocation was not seen: %v %v", r, err)
	}
	if s := g.Stats(); s.Fetched != 2 || s.Cached != 2 {
		t.Errorf("%+v", s)
	}
}

func TestOneFetchForAllWhoWait(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(nil)
	release := make(chan struct{})
	list := w.list(w.ca)
	w.instead("/crl", func(out http.ResponseWriter, _ *http.Request) { <-release; w.write(out, list) })
	var all sync.WaitGroup
	for range 20 {
		leaf := w.leaf("/crl")
		all.Go(func() { w.wantFound(w.gather(g, leaf), 0, 1) })
	}
	close(release)
	all.Wait()
	w.wantAsked("/crl", 1)
}

func TestFailuresAreHeldShortly(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/missing.crl")
	for range 3 {
		if f := w.gather(g, leaf); len(f.Problems) != 1 || !strings.Contains(f.Problems[0], "404") {
			t.Errorf("problems: %q", f.Problems)
		}
	}
	w.wantAsked("/missing.crl", 1)
	w.pass(failureAge)
	w.gather(g, leaf)
	w.wantAsked("/missing.crl", 2)
}

// TestTheNextSourceAnswers lets responders fail in every way; the list says it then.
func TestTheNextSourceAnswers(t *testing.T) {
	w := newWorld(t)
	stranger := w.mint(nil, "Office CA", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	for name, do := range map[string]http.HandlerFunc{
		"error": func(out http.ResponseWriter,
			_ *http.Request) {
			http.Error(out, "no", http.StatusInternalServerError)
		},
		"empty":      func(http.ResponseWriter, *http.Request) {},
		"page":       func(out http.ResponseWriter, _ *http.Request) { w.write(out, []byte("<html>maintenance</html>")) },
		"try later":  func(out http.ResponseWriter, _ *http.Request) { w.write(out, ocsp.TryLaterErrorResponse) },
		"other cert": func(out http.ResponseWriter, _ *http.Request) { w.write(out, w.respondFor(w.leaf(""), w.ca)) },
		"forged": func(out http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.write(out, w.forged(body, stranger))
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := w.gatherer(nil)
			w.instead("/ocsp", do)
			f := w.gather(g, w.leaf("/ocsp /crl"))
			w.wantFound(f, 0, 1)
			if len(f.Problems) != 1 {
				t.Errorf("problems: %q", f.Problems)
			}
		})
	}
}

func (w *world) respondFor(h, issuer *holder) []byte {
	der, err := ocsp.CreateResponse(w.ca.x, w.ca.x,
		ocsp.Response{SerialNumber: h.x.SerialNumber, ThisUpdate: w.clock(), NextUpdate: w.clock().Add(time.Hour)},
		issuer.key)
	if err != nil {
		w.t.Error(err)
	}
	return der
}

// forged answers the request with a stranger's key.
func (w *world) forged(request []byte, stranger *holder) []byte {
	q, err := ocsp.ParseRequest(request)
	if err != nil {
		w.t.Error(err)
	}
	return w.respondFor(&holder{x: &x509.Certificate{SerialNumber: q.SerialNumber}}, stranger)
}

// TestAForeignChainSpoilsNothing lets a certificate of one authority point to another's list: the other's holders are
// answered all the same.
func TestAForeignChainSpoilsNothing(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	g := w.gatherer(nil)
	foreign := other.mint(other.ca, "officer-2",
		func(c *x509.Certificate) { c.CRLDistributionPoints = []string{w.url + "/crl"} })
	f := g.GatherFor(t.Context(), foreign.x.Raw, nil, other.trust(), w.clock())
	if len(f.Problems) != 1 {
		t.Errorf("problems: %q", f.Problems)
	}
	w.wantFound(w.gather(g, w.leaf("/crl")), 0, 1)
	w.wantAsked("/crl", 1)
}

func TestOnlyChainsThatReachAnAnchorAreAskedAbout(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(nil)
	stranger := w.mint(nil, "stranger", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	leaf := w.mint(stranger, "officer-1", func(c *x509.Certificate) {
		c.OCSPServer, c.IssuingCertificateURL = []string{w.url + "/ocsp"}, []string{"http://elsewhere.invalid/ca.cer"}
	})
	w.wantFound(w.gather(g, leaf), 0, 0)
	w.wantFound(g.GatherFor(t.Context(), []byte("no certificate"), nil, w.trust(), w.clock()), 0, 0)
	w.wantFound(g.GatherFor(t.Context(), leaf.x.Raw, nil, Trust{}, w.clock()), 0, 0)
	w.wantAsked("/ocsp", 0)
}

// TestEverySignerOfADocument gathers for signers and time-stamping units, once for each certificate.
func TestEverySignerOfADocument(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(nil)
	a, b, c := w.leaf("/ocsp"), w.leaf("/ocsp"), w.leaf("/ocsp")
	withOwn := w.leaf("/ocsp")
	doc := &signature.Document{
		Signatures: []*signature.Signature{
			{Signer: a.x.Raw, Timestamps: []*signature.Timestamp{{Signer: b.x.Raw}}},
			{Signer: a.x.Raw},
			{Signer: withOwn.x.Raw, OCSPs: [][]byte{w.respondFor(withOwn, w.ca)}},
		},
		Timestamps: []*signature.Timestamp{{Signer: c.x.Raw}},
	}
	w.wantFound(g.Gather(budget.New(t.Context(), 0), doc, w.trust(), w.clock()), 3, 0)
	w.wantAsked("/ocsp", 3)
}

// TestEvidenceInTheDocument asks only where what the document carries does not reach to the proof of its existence.
func TestEvidenceInTheDocument(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		stamped time.Duration // before now; 0: not
		asked   int
	}{"not stamped": {0, 1}, "stamped when it was current": {3 * 24 * time.Hour, 0},
		"stamped too late": {24 * time.Hour, 1}} {
		leaf := w.leaf("/ocsp/" + strings.ReplaceAll(name, " ", "-"))
		own := w.respondFor(leaf, w.ca) // serves an hour
		now := w.clock().Add(3 * 24 * time.Hour)
		s := &signature.Signature{Signer: leaf.x.Raw, OCSPs: [][]byte{own}}
		if test.stamped > 0 {
			s.Timestamps = []*signature.Timestamp{{Time: now.Add(-test.stamped)}}
		}
		f := w.gatherer(nil).Gather(budget.New(t.Context(), 0), &signature.Document{Signatures: []*signature.Signature{s}},
			w.trust(), now)
		w.wantFound(f, test.asked, 0)
		w.wantAsked("/ocsp/"+strings.ReplaceAll(name, " ", "-"), test.asked)
	}
}

// TestAListThatOthersWaitFor: who waits with others for a list, which serves them, may need a newer one.
func TestAListThatOthersWaitFor(t *testing.T) {
	w := newWorld(t)
	g, old := w.gatherer(nil), w.leaf("/crl")
	w.wantFound(w.gather(g, old), 0, 1)
	w.pass(time.Minute)
	young := w.mint(w.ca, "officer-2", func(c *x509.Certificate) {
		c.NotBefore, c.CRLDistributionPoints = w.clock(), []string{w.url + "/crl"}
	})
	key := source{kind: sourceCRL, url: w.url + "/crl"}.key()
	kept, _ := g.answers.GetIfPresent(key)
	flying, land := make(chan struct{}), make(chan struct{})
	go g.flights.wait(t.Context(), key, time.Minute, func(context.Context) *answer {
		close(flying)
		<-land
		return kept
	})
	<-flying
	time.AfterFunc(50*time.Millisecond, func() { close(land) }) // whoever comes later asks by itself, and all is well too
	w.wantFound(w.gather(g, young), 0, 1)
	w.wantAsked("/crl", 2)
}

// TestAListInTheDocumentFromBeforeACertificate settles nothing: whoever sealed the document had an old one.
func TestAListInTheDocumentFromBeforeACertificate(t *testing.T) {
	w := newWorld(t)
	old := w.list(w.ca)
	w.pass(time.Minute)
	young := w.mint(w.ca, "officer-2", func(c *x509.Certificate) {
		c.NotBefore, c.CRLDistributionPoints = w.clock(), []string{w.url + "/crl"}
	})
	s := &signature.Signature{Signer: young.x.Raw, CRLs: [][]byte{old}}
	f := w.gatherer(nil).Gather(budget.New(t.Context(), 0), &signature.Document{Signatures: []*signature.Signature{s}},
		w.trust(), w.clock())
	w.wantFound(f, 0, 1)
	w.wantAsked("/crl", 1)
}

func TestADocumentHasItsTime(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	defer close(release)
	w.instead("/ocsp", func(http.ResponseWriter, *http.Request) { <-release })
	g := w.gatherer(func(c *Config) { c.Wait = 50 * time.Millisecond })
	f := w.gather(g, w.leaf("/ocsp"))
	if w.wantFound(f, 0, 0); len(f.Problems) != 1 || !strings.Contains(f.Problems[0], "time for this document") {
		t.Errorf("problems: %q", f.Problems)
	}
}

func TestADocumentHasItsNumberOfQuestions(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(func(c *Config) { c.Wait = time.Minute })
	doc := &signature.Document{}
	for range maxQuestions + 20 {
		doc.Signatures = append(doc.Signatures, &signature.Signature{Signer: w.leaf("/ocsp").x.Raw})
	}
	w.wantFound(g.Gather(budget.New(t.Context(), 0), doc, w.trust(), w.clock()), maxQuestions, 0)
}

func TestWhatIsInUseIsRenewedInTime(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(nil)
	once, often := w.leaf("/ocsp/once"), w.leaf("/ocsp/often")
	w.gather(g, once)
	for range oftenUsed + 1 {
		w.gather(g, often)
	}
	g.refresh(t.Context())
	w.wantAsked("/ocsp/often", 1) // not due
	w.pass(ocspAge * 3 / 4)
	g.refresh(t.Context())
	w.wantAsked("/ocsp/often", 2)
	w.wantAsked("/ocsp/once", 1)
	w.gather(g, often)
	w.pass(ocspAge / 2) // the first answer would have run out
	w.gather(g, often)
	w.wantAsked("/ocsp/often", 2)
}

func TestTheLastAnswerGoesOnWhenTheSourceFails(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/ocsp")
	w.gather(g, leaf)
	w.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { http.Error(out, "", http.StatusBadGateway) })
	w.pass(2 * ocspAge)
	w.wantFound(w.gather(g, leaf), 1, 0)
	w.wantFound(w.gather(g, leaf), 1, 0)
	w.wantAsked("/ocsp", 2)
}

// TestAListFromBeforeACertificate: it says nothing of the certificate, so that the source is asked again, from memory
// and from the keep, but not for each document.
func TestAListFromBeforeACertificate(t *testing.T) {
	w := newWorld(t)
	young := func() *holder {
		return w.mint(w.ca, "officer-2", func(c *x509.Certificate) {
			c.NotBefore, c.CRLDistributionPoints = w.clock(), []string{w.url + "/crl"}
		})
	}
	g, old := w.gatherer(nil), w.leaf("/crl")
	w.wantFound(w.gather(g, old), 0, 1)
	w.pass(failureAge / 2)
	w.wantFound(w.gather(g, old), 0, 1)
	w.wantAsked("/crl", 1)
	found := w.gather(g, young())
	w.wantFound(found, 0, 1)
	w.wantAsked("/crl", 2)
	if list, err := x509.ParseRevocationList(found.CRLs[0]); err != nil ||
		!list.ThisUpdate.Equal(w.clock().Truncate(time.Second)) {
		t.Errorf("an old list was found: %v", err)
	}
	w.pass(10 * time.Minute)
	if found := w.gather(w.gatherer(nil), young()); len(found.Problems) > 0 {
		t.Error(found.Problems)
	}
	w.wantAsked("/crl", 3)
	stale := w.list(w.ca)
	w.instead("/crl", func(out http.ResponseWriter, _ *http.Request) { w.write(out, stale) })
	w.pass(10 * time.Minute)
	last := young()
	w.pass(time.Second)
	for range 3 {
		w.gather(g, last)
	}
	w.wantAsked("/crl", 4)
	w.pass(failureAge)
	w.gather(g, last)
	w.wantAsked("/crl", 5)
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	for _, offline := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.gatherer(func(c *Config) { c.Offline = offline }).Run(ctx); err != nil {
			t.Error(err)
		}
	}
}

// TestAColdStartFindsWhatWasKept starts again, without the network.
func TestAColdStartFindsWhatWasKept(t *testing.T) {
	w := newWorld(t)
	leaf, listed := w.leaf("/ocsp"), w.leaf("/crl")
	g := w.gatherer(nil)
	first, list := w.gather(g, leaf), w.gather(g, listed)
	w.pass(time.Hour)
	again := w.gatherer(func(c *Config) { c.Offline = true })
	f := w.gather(again, leaf)
	if w.wantFound(f, 1, 0); !bytes.Equal(f.OCSPs[0], first.OCSPs[0]) {
		t.Error("another answer")
	}
	f = w.gather(again, listed)
	if w.wantFound(f, 0, 1); !bytes.Equal(f.CRLs[0], list.CRLs[0]) {
		t.Error("another list")
	}
	w.wantAsked("/ocsp", 1)
	w.wantAsked("/crl", 1)
}

// TestAColdStartTrustsFreshLists does not ask again for a list that has its time yet.
func TestAColdStartTrustsFreshLists(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf("/crl")
	w.gather(w.gatherer(nil), leaf)
	w.wantFound(w.gather(w.gatherer(nil), leaf), 0, 1)
	w.wantAsked("/crl", 1)
}

// TestThePastIsJudgedByWhatWasKnownThen repeats a validation after the certificate was revoked.
func TestThePastIsJudgedByWhatWasKnownThen(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf("/ocsp")
	g := w.gatherer(nil)
	then := w.clock()
	first := w.gather(g, leaf)
	w.pass(30 * 24 * time.Hour)
	w.revoke(leaf)
	w.gather(g, leaf)
	w.wantAsked("/ocsp", 2)
	for _, g := range []*Gatherer{g, w.gatherer(nil), w.gatherer(func(c *Config) { c.Offline = true })} {
		f := w.gatherAt(g, then.Add(time.Minute), leaf)
		if w.wantFound(f, 1, 0); !bytes.Equal(f.OCSPs[0], first.OCSPs[0]) {
			t.Error("another answer than that of then")
		}
	}
	w.wantAsked("/ocsp", 2)
}

func TestOfflineWithoutAKeep(t *testing.T) {
	w := newWorld(t)
	g := w.gatherer(func(c *Config) { c.Offline, c.Keep = true, nil })
	f := w.gather(g, w.leaf("/ocsp"))
	if w.wantFound(f, 0, 0); len(f.Problems) != 1 || !strings.Contains(f.Problems[0], "offline") {
		t.Errorf("problems: %q", f.Problems)
	}
	if s := g.Stats(); s != (Stats{}) {
		t.Errorf("%+v", s)
	}
}

// TestMissingIssuers completes a chain from where its certificates point to, if an anchor vouches for the host.
func TestMissingIssuers(t *testing.T) {
	w := newWorld(t)
	middle := w.mint(w.ca, "Office CA 2", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	for name, body := range map[string][]byte{
		"/der": middle.x.Raw,
		"/pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: middle.x.Raw}),
	} {
		w.instead(name, func(out http.ResponseWriter, _ *http.Request) { w.write(out, body) })
		leaf := w.mint(middle, "officer-1", func(c *x509.Certificate) {
			c.IssuingCertificateURL, c.OCSPServer = []string{w.url + "/missing", w.url + name}, []string{w.url + "/ocsp"}
		})
		w.instead("/ocsp", func(out http.ResponseWriter, r *http.Request) {
			der, err := ocsp.CreateResponse(middle.x, middle.x,
				ocsp.Response{SerialNumber: leaf.x.SerialNumber, ThisUpdate: w.clock()}, middle.key)
			if err != nil {
				t.Error(err)
			}
			w.write(out, der)
		})
		f := w.gather(w.gatherer(nil), leaf)
		if w.wantFound(f, 1, 0); len(f.Certificates) != 1 || !bytes.Equal(f.Certificates[0], middle.x.Raw) {
			t.Errorf("%s: %d certificates", name, len(f.Certificates))
		}
		trust := w.trust()
		trust.Hosts = nil
		before := w.asked[name]
		f = w.gatherer(nil).GatherFor(t.Context(), leaf.x.Raw, nil, trust, w.clock())
		w.wantFound(f, 0, 0)
		w.wantAsked(name, before)
	}
}

// TestIssuersWithoutEnd leads from one unknown issuer to the next.
func TestIssuersWithoutEnd(t *testing.T) {
	w := newWorld(t)
	asCA := func(url string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.IssuingCertificateURL = true, true, x509.KeyUsageCertSign,
				[]string{url}
		}
	}
	h := w.mint(nil, "CA 0", asCA(w.url+"/none"))
	for i := range 10 {
		name := "/" + strings.Repeat("i", i+1)
		der := h.x.Raw
		w.instead(name, func(out http.ResponseWriter, _ *http.Request) { w.write(out, der) })
		h = w.mint(h, "CA"+name, asCA(w.url+name))
	}
	f := w.gather(w.gatherer(nil), h)
	if w.wantFound(f, 0, 0); len(f.Certificates) != maxMissing {
		t.Errorf("%d issuers were fetched", len(f.Certificates))
	}
}

func TestHosts(t *testing.T) {
	trust := Trust{Hosts: map[string]bool{"pki.example.pl": true}}
	for address, want := range map[string]bool{
		"http://pki.example.pl/ca.cer": true, "HTTP://PKI.EXAMPLE.PL:8080/x": true, "http://www.pki.example.pl/": true,
		"http://example.pl/": false, "http://evilpki.example.pl/": false, "http://pki.example.pl.evil.example/": false,
		"http://[::1]/": false, "::": false,
	} {
		if got := trust.vouches(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	if _, err := New(Config{Now: time.Now}); err == nil {
		t.Error("no Logger was taken")
	}
}

// BenchmarkCached measures what gathering costs when the cache answers.
func BenchmarkCached(b *testing.B) {
	w := newWorld(b)
	g, leaf, trust := w.gatherer(nil), w.leaf("/ocsp"), w.trust()
	doc := &signature.Document{Signatures: []*signature.Signature{{Signer: leaf.x.Raw}}}
	for b.Loop() {
		if f := g.Gather(budget.New(b.Context(), 0), doc, trust, w.clock()); len(f.OCSPs) != 1 {
			b.Fatal(f.Problems)
		}
	}
}

// TestWhatIsKnownOfADelegateIsGatheredToo: the judge relies on nobody of whom nothing is known.
func TestWhatIsKnownOfADelegateIsGatheredToo(t *testing.T) {
	for _, test := range []struct {
		name    string
		noCheck bool
		crls    int
	}{{"delegate", false, 1}, {"delegate that goes without", true, 0}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			delegate := w.mint(w.ca, "responder", func(c *x509.Certificate) {
				c.ExtKeyUsage, c.CRLDistributionPoints = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, []string{w.url + "/crl"}
				if test.noCheck {
					c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}
				}
			})
			leaf := w.leaf("/ocsp")
			answer, err := ocsp.CreateResponse(w.ca.x, delegate.x,
				ocsp.Response{SerialNumber: leaf.x.SerialNumber, Status: ocsp.Good,
					ThisUpdate: w.now, NextUpdate: w.now.Add(time.Hour), Certificate: delegate.x}, delegate.key)
			if err != nil {
				t.Fatal(err)
			}
			w.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { w.write(out, answer) })
			g := w.gatherer(nil)
			w.wantFound(w.gather(g, leaf), 1, test.crls)
			doc := &signature.Document{Signatures: []*signature.Signature{{Signer: leaf.x.Raw, OCSPs: [][]byte{answer}}}}
			asked := 0
			if !test.noCheck {
				asked = 2 // what came with the document does not settle it
			}
			found := g.Gather(budget.New(t.Context(), 0), doc, w.trust(), w.clock())
			if got := len(found.OCSPs) + len(found.CRLs); got != asked {
				t.Errorf("%d pieces for a document with the answer alone, want %d", got, asked)
			}
			doc.Signatures[0].CRLs = [][]byte{w.list(w.ca)}
			if found := g.Gather(budget.New(t.Context(), 0), doc, w.trust(), w.clock()); len(found.OCSPs)+len(found.CRLs) != 0 {
				t.Errorf("%d pieces for a document with all that is needed", len(found.OCSPs)+len(found.CRLs))
			}
		})
	}
}

// TestWhoIsAskedAbout: a signer that calls itself exempt as responders do is asked about, one whose validity is assured
// is not.
func TestWhoIsAskedAbout(t *testing.T) {
	for name, test := range map[string]struct {
		extension []int
		ocsps     int
	}{"ocsp-nocheck": {[]int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, 1}, "validity assured": {[]int{0, 4, 0, 194121, 2, 1}, 0}} {
		w := newWorld(t)
		leaf := w.mint(w.ca, "officer-1", func(c *x509.Certificate) {
			c.OCSPServer = []string{w.url + "/ocsp"}
			c.ExtraExtensions = []pkix.Extension{{Id: test.extension, Value: []byte{5, 0}}}
		})
		if f := w.gather(w.gatherer(nil), leaf); len(f.OCSPs) != test.ocsps {
			t.Errorf("%s: %d answers, want %d", name, len(f.OCSPs), test.ocsps)
		}
	}
}

// TestGatherSpends: what a stranger chose to bring is searched, read and verified within the document's budget.
func TestGatherSpends(t *testing.T) {
	w := newWorld(t)
	leaf := w.leaf("/ocsp")
	list := w.list(w.ca)
	for name, s := range map[string]*signature.Signature{
		"certificates": {Signer: leaf.x.Raw, Certificates: slices.Repeat([][]byte{w.ca.x.Raw}, 1000)},
		"lists":        {Signer: leaf.x.Raw, CRLs: slices.Repeat([][]byte{list}, 1000)},
		"answers": {Signer: leaf.x.Raw, OCSPs: slices.Repeat([][]byte{append([]byte{0x30, 0x82, 0x03, 0xe8},
			make([]byte, 1000)...)}, 1000)},
	} {
		doc := &signature.Document{Signatures: slices.Repeat([]*signature.Signature{s}, 200)}
		b := budget.Of(t.Context(), 100_000_000, 0)
		w.gatherer(func(c *Config) { c.Wait = time.Minute }).Gather(b, doc, w.trust(), w.clock())
		if !errors.Is(b.Err(), budget.ErrExceeded) {
			t.Errorf("200,000 %s are within 100 ms of work", name)
		}
	}
}
