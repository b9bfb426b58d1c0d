package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/pkitest"
	"trustcore/pki/profile"
)

// say asks for a change of standing and returns the serial numbers that it changed.
func say(t testing.TB, found []pki.Certificate, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	serials := []string{}
	for _, c := range found {
		serials = append(serials, c.Serial)
	}
	slices.Sort(serials)
	return serials
}

func serialsOf(all ...*x509.Certificate) []string {
	serials := []string{}
	for _, c := range all {
		serials = append(serials, hexOf(c))
	}
	slices.Sort(serials)
	return serials
}

func TestSelectors(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	make := func(kind pki.Profile, partner, name, order string) *x509.Certificate {
		t.Helper()
		c, err := s.ca.Issue(t.Context(), officer, kind, request(t, newKey(t), x509.CertificateRequest{}), pki.Subject{Partner: partner, CommonName: name}, order)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := make(pki.PartnerClient, "um", "um ezd", "o-1"), make(pki.Seal, "um", "um seal", "o-1")
	three, four := make(pki.PartnerClient, "um", "um bip", "o-2"), make(pki.PartnerClient, "powiat", "powiat", "o-3")
	first, second := make(pki.Officer, "", "officer-1", ""), make(pki.Officer, "", "officer-2", "")
	daemon := make(pki.DaemonClient, "", "officer-1", "")
	for _, c := range []struct {
		which pki.Selector
		want  []string
	}{
		{pki.Selector{Serial: hexOf(one)}, serialsOf(one)},
		{pki.Selector{Order: "o-1", Profile: pki.Seal}, serialsOf(two)},
		{pki.Selector{Order: "o-1"}, serialsOf(one, two)},
		{pki.Selector{Partner: "um"}, serialsOf(one, two, three)},
		{pki.Selector{Partner: "um", Order: "o-3"}, serialsOf()},
		{pki.Selector{PublicKey: sha256Hex(four.RawSubjectPublicKeyInfo)}, serialsOf(four)},
		{pki.Selector{CommonName: "officer-1", Profile: pki.Officer}, serialsOf(first)},
		{pki.Selector{CommonName: "officer-2", Profile: pki.Officer}, serialsOf(second)},
		{pki.Selector{CommonName: "officer-1", Profile: pki.DaemonClient}, serialsOf(daemon)},
		{pki.Selector{Partner: "um' OR '1'='1"}, serialsOf()},
	} {
		suspended, err := s.ca.Suspend(t.Context(), officer, c.which, "")
		if got := say(t, suspended, err); !slices.Equal(got, c.want) {
			t.Errorf("%+v: suspended %v, want %v", c.which, got, c.want)
		}
		released, err := s.ca.Release(t.Context(), officer, c.which, "")
		if got := say(t, released, err); !slices.Equal(got, c.want) {
			t.Errorf("%+v: released %v, want %v", c.which, got, c.want)
		}
	}
	for _, which := range []pki.Selector{{}, {CommonName: "officer-1"}, {Profile: pki.Officer}} {
		_, err := s.ca.Revoke(t.Context(), officer, which, pki.Superseded, "")
		wantRefusal(t, fmt.Sprintf("%+v", which), err, "selector")
	}
	for _, reason := range []pki.Reason{pki.CertificateHold, pki.RemoveFromCRL} {
		_, err := s.ca.Revoke(t.Context(), officer, pki.Selector{Order: "o-1"}, reason, "")
		wantRefusal(t, fmt.Sprint("reason ", reason), err, "reason")
	}
	if _, err := s.ca.Revoke(t.Context(), officer, pki.Selector{Serial: hexSerial(s.made.Issuing.Certificate)}, pki.Superseded, ""); !errors.Is(err, pki.ErrUnknownCertificate) {
		t.Errorf("the issuing authority itself: %v", err)
	}
}

// standing is what every door is told.
func standing(t testing.TB, ca *pki.CA, c *x509.Certificate) error {
	t.Helper()
	found, err := ca.Standing(t.Context(), c)
	if err == nil && (found.Serial != hexOf(c) || found.State != pki.Valid) {
		t.Errorf("standing of %s: %+v", hexOf(c), found)
	}
	return err
}

func testSuspendAndRelease(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	c := s.issue(t, pki.PartnerClient, office)
	which := pki.Selector{Serial: hexOf(c)}
	var after int64
	for round := range 2 {
		suspended, err := s.ca.Suspend(t.Context(), officer, which, "order-8")
		if got := say(t, suspended, err); len(got) != 1 {
			t.Fatalf("round %d: suspended %v", round, got)
		}
		if again, err := s.ca.Suspend(t.Context(), officer, which, "order-8"); err != nil || len(again) != 0 {
			t.Errorf("suspended twice: %v, %v", again, err)
		}
		list := s.list(t, "issuing.crl")
		if s.status(t, c) != codes.Revoked || !s.ca.Revoked(c.SerialNumber) || !errors.Is(standing(t, s.ca, c), pki.ErrSuspended) ||
			!lists(list, c.SerialNumber) || list.RevokedCertificateEntries[0].ReasonCode != int(pki.CertificateHold) {
			t.Errorf("round %d: suspended, and not everywhere", round)
		}
		released, err := s.ca.Release(t.Context(), officer, which, "order-8")
		if got := say(t, released, err); len(got) != 1 {
			t.Fatalf("round %d: released %v", round, got)
		}
		if s.status(t, c) != codes.Good || s.ca.Revoked(c.SerialNumber) || standing(t, s.ca, c) != nil || lists(s.list(t, "issuing.crl"), c.SerialNumber) {
			t.Errorf("round %d: released, and not everywhere", round)
		}
		if err := s.ca.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes, newest, err := s.ca.Revocations(t.Context(), after)
		if err != nil || len(changes) != 1 || changes[0].Revoked || changes[0].Serial != hexOf(c) || newest <= after {
			t.Errorf("round %d: the feed says %+v, %d, %v", round, changes, newest, err)
		}
		after = newest
	}
	if changes, newest, err := s.ca.Revocations(t.Context(), after); err != nil || len(changes) != 0 || newest != after {
		t.Errorf("nothing new: %+v, %d, %v", changes, newest, err)
	}
	if found, err := s.ca.Certificate(t.Context(), hexOf(c)); err != nil || found.State != pki.Valid || !found.RevokedAt.IsZero() {
		t.Errorf("released: %+v, %v", found, err)
	}
	again, err := pki.New(t.Context(), s.config())
	if err != nil || again.Revoked(c.SerialNumber) || standing(t, again, c) != nil {
		t.Errorf("a restart takes the release back: %v", err)
	}
	if err := s.revoke(t, hexOf(c), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	if released, err := s.ca.Release(t.Context(), officer, which, ""); err != nil || len(released) != 0 || !errors.Is(standing(t, s.ca, c), pki.ErrRevoked) {
		t.Errorf("what is revoked can be released: %v, %v", released, err)
	}
	if suspended, err := s.ca.Suspend(t.Context(), officer, which, ""); err != nil || len(suspended) != 0 {
		t.Errorf("what is revoked can be suspended: %v, %v", suspended, err)
	}
}

func TestReasonsOnlyGrow(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	c := s.issue(t, pki.PartnerClient, office)
	which := pki.Selector{Serial: hexOf(c)}
	if _, err := s.ca.Suspend(t.Context(), officer, which, ""); err != nil {
		t.Fatal(err)
	}
	first, err := s.ca.Certificate(t.Context(), hexOf(c))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ asked, stands pki.Reason }{
		{pki.Superseded, pki.Superseded}, {pki.CessationOfOperation, pki.Superseded}, {pki.Unspecified, pki.Superseded},
		{pki.KeyCompromise, pki.KeyCompromise}, {pki.Superseded, pki.KeyCompromise},
	} {
		if _, err := s.ca.Revoke(t.Context(), officer, which, step.asked, ""); err != nil {
			t.Fatal(err)
		}
		found, err := s.ca.Certificate(t.Context(), hexOf(c))
		if err != nil || found.Reason != step.stands || !found.RevokedAt.Equal(first.RevokedAt) {
			t.Errorf("after %d: reason %d at %s, want %d at %s (%v)", step.asked, found.Reason, found.RevokedAt, step.stands, first.RevokedAt, err)
		}
		if entry := s.list(t, "issuing.crl").RevokedCertificateEntries[0]; entry.ReasonCode != int(step.stands) {
			t.Errorf("after %d: the list says %d", step.asked, entry.ReasonCode)
		}
	}
}

// TestCompromiseReachesEveryCertificateOfTheKey, expired ones too, and the key is never certified again, nor one that nobody had.
func TestCompromiseReachesEveryCertificateOfTheKey(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	key := newKey(t)
	issue := func(order string) *x509.Certificate {
		t.Helper()
		c, err := a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, key, x509.CertificateRequest{}), office, order)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := issue("o-1")
	a.pass(300 * day)
	middle := issue("o-2")
	a.pass(200 * day)
	young, other := issue("o-3"), a.issue(t, pki.PartnerClient, office)
	revoked, err := a.ca.Revoke(t.Context(), officer, pki.Selector{Serial: hexOf(young)}, pki.KeyCompromise, "o-9")
	if got := say(t, revoked, err); !slices.Equal(got, serialsOf(old, middle, young)) {
		t.Errorf("revoked %v, want %v", got, serialsOf(old, middle, young))
	}
	if a.ca.Revoked(other.SerialNumber) {
		t.Error("another key's certificate was revoked")
	}
	_, err = a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, key, x509.CertificateRequest{}), office, "o-4")
	wantRefusal(t, "the key again", err, "public key")
	stolen := newKey(t)
	der, err := x509.MarshalPKIXPublicKey(stolen.Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ca.Revoke(t.Context(), officer, pki.Selector{PublicKey: sha256Hex(der)}, pki.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	_, err = a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, stolen, x509.CertificateRequest{}), office, "o-4")
	wantRefusal(t, "a key that was found on a disk", err, "public key")
}

func TestExpiredOnesAreLeftByOrder(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	c := a.issue(t, pki.PartnerClient, office)
	a.pass(400 * day)
	revoked, err := a.ca.Revoke(t.Context(), officer, pki.Selector{Order: "order-7"}, pki.CessationOfOperation, "")
	if got := say(t, revoked, err); len(got) != 0 {
		t.Errorf("an expired certificate was revoked by its order: %v", got)
	}
	revoked, err = a.ca.Revoke(t.Context(), officer, pki.Selector{Serial: hexOf(c)}, pki.Superseded, "")
	if got := say(t, revoked, err); len(got) != 1 {
		t.Errorf("not by its serial number: %v", got)
	}
}

// TestOrderEndsWhileASignatureIsUnderWay: the certificate is revoked before it is made.
func TestOrderEndsWhileASignatureIsUnderWay(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	s.key.during = func() {
		s.key.during = nil
		if _, err := s.ca.Revoke(t.Context(), officer, pki.Selector{Order: "order-7"}, pki.CessationOfOperation, "order-8"); err != nil {
			t.Error(err)
		}
	}
	_, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, newKey(t), x509.CertificateRequest{}), office, "order-7")
	if !errors.Is(err, pki.ErrRevoked) {
		t.Errorf("want it revoked, got %v", err)
	}
	found, err := s.ca.Certificates(t.Context(), pki.Filter{Order: "order-7"})
	if err != nil || len(found) != 1 || found[0].State != pki.Revoked {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestStandingRefuses(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	c := a.issue(t, pki.PartnerClient, office)
	forged, _ := pkitest.Leaf(t, a.made.Issuing, c.SerialNumber, profile.IssuingPlaces(a.base)) // by our own key, past the inventory
	stranger, _ := pkitest.Leaf(t, a.made.Issuing, big.NewInt(77), profile.IssuingPlaces(a.base))
	for name, presented := range map[string]*x509.Certificate{"another with the serial number": forged, "unknown serial number": stranger,
		"nothing": nil, "the issuing authority": a.made.Issuing.Certificate} {
		if _, err := a.ca.Standing(t.Context(), presented); !errors.Is(err, pki.ErrUnknownCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found, err := a.ca.Standing(t.Context(), c); err != nil || found.Profile != pki.PartnerClient || found.Partner != office.Partner || found.Order != "order-7" {
		t.Errorf("%+v, %v", found, err)
	}
	a.pass(398 * day)
	if found, err := a.ca.Standing(t.Context(), c); !errors.Is(err, pki.ErrNotInTime) || found.Order != "order-7" {
		t.Errorf("expired: %+v, %v", found, err)
	}
	a.pass(-800 * day)
	if _, err := a.ca.Standing(t.Context(), c); !errors.Is(err, pki.ErrNotInTime) {
		t.Errorf("not yet: %v", err)
	}
}

// TestStandingCostsNoStatement goes on with the database away.
func TestStandingCostsNoStatement(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	c := s.issue(t, pki.PartnerClient, office)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := standing(t, s.ca, c); err != nil {
		t.Error(err)
	}
}

func testIssueAgain(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	csr := request(t, newKey(t), x509.CertificateRequest{})
	issue := func(order string) *x509.Certificate {
		t.Helper()
		c, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, order)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := issue("o-1")
	before := s.key.signed.Load()
	if again := issue("o-1"); !again.Equal(first) || s.key.signed.Load() != before {
		t.Error("asked again, another certificate was made")
	}
	if other := issue("o-2"); other.Equal(first) {
		t.Error("another order got the first one's certificate")
	}
	if err := s.revoke(t, hexOf(first), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	if next := issue("o-1"); next.Equal(first) {
		t.Error("a revoked certificate was handed out")
	}
	var wg sync.WaitGroup
	serials := make([]string, 8)
	fresh := request(t, newKey(t), x509.CertificateRequest{})
	for i := range serials {
		wg.Go(func() {
			c, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, fresh, office, "o-5")
			if err != nil {
				t.Error(err)
				return
			}
			serials[i] = hexOf(c)
		})
	}
	wg.Wait()
	if slices.Sort(serials); serials[0] != serials[len(serials)-1] {
		t.Errorf("asked at once, several were made: %v", serials)
	}
}

// testOneKeyForSeveralPartnersAtOnce: one wins, on two nodes too.
func testOneKeyForSeveralPartnersAtOnce(t *testing.T, databaseURL string) {
	one := open(t, databaseURL)
	two := &site{made: one.made, key: one.key, db: openStore(t, databaseURL), base: one.base}
	two.openLog(t)
	var err error
	if two.ca, err = pki.New(t.Context(), two.config()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		csr := request(t, newKey(t), x509.CertificateRequest{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 6 {
			ca := []*pki.CA{one.ca, two.ca}[i%2]
			wg.Go(func() {
				_, err := ca.Issue(t.Context(), officer, pki.PartnerClient, csr, pki.Subject{Partner: fmt.Sprint("partner-", i), CommonName: "x"}, "o")
				if err == nil {
					mu.Lock()
					won++
					mu.Unlock()
					return
				}
				wantRefusal(t, "another's key", err, "public key")
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d partners have a certificate for one key", won)
		}
	}
}

// TestAKeyWhoseCertificateFailedStaysItsHolders: what is reserved counts.
func TestAKeyWhoseCertificateFailedStaysItsHolders(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	csr := request(t, newKey(t), x509.CertificateRequest{})
	s.key.away.Store(true)
	if _, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "o"); !errors.Is(err, pki.ErrUnavailable) {
		t.Fatal(err)
	}
	s.key.away.Store(false)
	_, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, pki.Subject{Partner: "another", CommonName: "x"}, "o")
	wantRefusal(t, "another partner", err, "public key")
	if _, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "o"); err != nil {
		t.Errorf("its holder: %v", err)
	}
	entries, err := auditOf(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	failed := slices.ContainsFunc(entries, func(e audit.Recorded) bool {
		return e.Action == "certificate.issue" && e.Outcome == audit.Failed && e.Partner == office.Partner && e.Order == "o"
	})
	if !failed {
		t.Error("the audit log has no second entry of the certificate that was not made")
	}
	officers := request(t, newKey(t), x509.CertificateRequest{})
	s2 := open(t, storetest.SQLite(t))
	if _, err := s2.ca.Issue(t.Context(), officer, pki.Officer, officers, pki.Subject{CommonName: "officer-1"}, ""); err != nil {
		t.Fatal(err)
	}
	_, err = s2.ca.Issue(t.Context(), officer, pki.Officer, officers, pki.Subject{CommonName: "officer-2"}, "")
	wantRefusal(t, "two officers with one key", err, "public key")
}

func TestLivesAreCutAndSaid(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	issue := func(until time.Time, order string) (*x509.Certificate, error) {
		subject := office
		subject.NotAfter = until
		return a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, newKey(t), x509.CertificateRequest{}), subject, order)
	}
	cutOf := func(c *x509.Certificate) pki.Cut {
		t.Helper()
		found, err := a.ca.Certificate(t.Context(), hexOf(c))
		if err != nil {
			t.Fatal(err)
		}
		return found.Cut
	}
	until := a.clock().Add(90 * day).Truncate(time.Second)
	c, err := issue(until, "o-1")
	if err != nil || !c.NotAfter.Equal(until.UTC()) || cutOf(c) != pki.CutByAuthorisation {
		t.Errorf("by its authorisation: %v, %v", c, err)
	}
	if c, err = issue(time.Time{}, "o-2"); err != nil || cutOf(c) != "" {
		t.Errorf("not cut: %v", err)
	}
	_, err = issue(a.clock().Add(pki.MinimumLife-time.Minute), "o-3")
	wantRefusal(t, "an authorisation that ends", err, "validity")
	_, err = issue(a.clock().Add(-time.Hour), "o-4")
	wantRefusal(t, "an authorisation that has ended", err, "validity")
	a.set(a.made.Issuing.Certificate.NotAfter.Add(-100 * day))
	if c, err = issue(time.Time{}, "o-5"); err != nil || !c.NotAfter.Equal(a.made.Issuing.Certificate.NotAfter) || cutOf(c) != pki.CutByIssuer {
		t.Errorf("by its issuer: %v", err)
	}
	a.set(a.made.Issuing.Certificate.NotAfter.Add(-pki.MinimumLife / 2))
	before := a.key.signed.Load()
	_, err = issue(time.Time{}, "o-6")
	wantRefusal(t, "an issuer that ends", err, "validity")
	if a.key.signed.Load() != before {
		t.Error("a signature was spent")
	}
}

func TestRenew(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	key := newKey(t)
	host := pki.Subject{CommonName: "gateway", DNS: []string{"gateway.internal"}, IPs: []net.IP{net.IPv4(10, 20, 0, 1)}}
	first, err := a.ca.Issue(t.Context(), officer, pki.DaemonServer, request(t, key, x509.CertificateRequest{}), host, "o-1")
	if err != nil {
		t.Fatal(err)
	}
	a.pass(265 * day)
	daemon := audit.Actor{Kind: "daemon", ID: "gateway"}
	fresh := request(t, newKey(t), x509.CertificateRequest{})
	next, err := a.ca.Renew(t.Context(), daemon, first, fresh, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := a.ca.Certificate(t.Context(), hexOf(next))
	if err != nil || found.Renews != hexOf(first) || found.Profile != pki.DaemonServer || found.Order != "o-1" || found.Actor != daemon ||
		!slices.Equal(next.DNSNames, host.DNS) || !next.IPAddresses[0].Equal(host.IPs[0]) || next.Subject.CommonName != "gateway" {
		t.Errorf("%+v, %v", found, err)
	}
	if again, err := a.ca.Renew(t.Context(), daemon, first, fresh, time.Time{}); err != nil || !again.Equal(next) {
		t.Errorf("asked again: %v", err)
	}
	if same, err := a.ca.Renew(t.Context(), daemon, first, request(t, key, x509.CertificateRequest{}), time.Time{}); err != nil || same.Equal(first) {
		t.Errorf("with the same key: %v", err)
	}
	until := a.clock().Add(30 * day).Truncate(time.Second)
	if bound, err := a.ca.Renew(t.Context(), daemon, first, request(t, newKey(t), x509.CertificateRequest{}), until); err != nil || !bound.NotAfter.Equal(until.UTC()) {
		t.Errorf("within an authorisation: %v", err)
	}
}

func TestRenewRefuses(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	s := a.site
	key := newKey(t)
	issue := func(order string) *x509.Certificate {
		t.Helper()
		c, err := a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, newKey(t), x509.CertificateRequest{}), office, order)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	renew := func(c *x509.Certificate, k *ecdsa.PrivateKey) error {
		_, err := a.ca.Renew(t.Context(), officer, c, request(t, k, x509.CertificateRequest{}), time.Time{})
		return err
	}
	good, revoked, held := issue("o-1"), issue("o-2"), issue("o-3")
	if err := a.revoke(t, hexOf(revoked), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ca.Suspend(t.Context(), officer, pki.Selector{Serial: hexOf(held)}, ""); err != nil {
		t.Fatal(err)
	}
	forged, _ := pkitest.Leaf(t, s.made.Issuing, good.SerialNumber, profile.IssuingPlaces(s.base))
	elsewhere, _ := pkitest.Leaf(t, pkitest.Perform(t, s.base).Issuing, good.SerialNumber, profile.IssuingPlaces(s.base))
	for name, c := range map[string]struct {
		presented *x509.Certificate
		want      error
	}{"revoked": {revoked, pki.ErrRevoked}, "suspended": {held, pki.ErrSuspended}, "forged": {forged, pki.ErrUnknownCertificate},
		"another authority's": {elsewhere, pki.ErrUnknownCertificate}, "none": {nil, pki.ErrUnknownCertificate}} {
		if err := renew(c.presented, key); !errors.Is(err, c.want) {
			t.Errorf("%s: want %v, got %v", name, c.want, err)
		}
	}
	wantRefusal(t, "the responder's", renew(s.made.OCSP.Certificate, key), "profile")
	_, err := a.ca.Renew(t.Context(), officer, good, request(t, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "another"}}), time.Time{})
	wantRefusal(t, "another name", err, "common name")
	_, err = a.ca.Renew(t.Context(), officer, good, weakRSA(t, "2048"), time.Time{})
	wantRefusal(t, "a short key", err, "public key")
	a.pass(398 * day)
	if err := renew(good, key); !errors.Is(err, pki.ErrNotInTime) {
		t.Errorf("expired: %v", err)
	}
	entries, err := auditOf(t, s, "")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, e := range entries {
		if e.Outcome == audit.Refused && e.Details["renews"] != "" {
			refused++
		}
	}
	if refused != 8 { // all but the one without a certificate, which names none
		t.Errorf("%d refusals in the audit log name what was to be renewed", refused)
	}
}

func TestRenewalsAreFew(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	c := a.issue(t, pki.PartnerClient, office)
	renew := func() error {
		_, err := a.ca.Renew(t.Context(), officer, c, request(t, newKey(t), x509.CertificateRequest{}), time.Time{})
		return err
	}
	for range pki.MaxRenewals {
		if err := renew(); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, "one too many", renew(), "renewal")
	a.pass(day + time.Hour)
	if err := renew(); err != nil {
		t.Errorf("a day later: %v", err)
	}
}

func TestRenewalWithTheSameKey(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	key := newKey(t)
	csr := request(t, key, x509.CertificateRequest{})
	until := a.clock().Add(4 * 366 * day)
	subject := office
	subject.NotAfter = until
	c, err := a.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, subject, "o")
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.ca.Renew(t.Context(), officer, c, csr, until)
	wantRefusal(t, "at once", err, "validity")
	for range 4 {
		a.pass(265 * day)
		if c, err = a.ca.Renew(t.Context(), officer, c, csr, until); err != nil {
			t.Fatalf("on %s: %v", a.clock(), err)
		}
	}
	a.pass(100 * day)
	_, err = a.ca.Renew(t.Context(), officer, c, csr, until)
	wantRefusal(t, "a key of more than three years", err, "public key")
}

// rawRSA signs PKCS #1 v1.5 with a key that the standard library does not touch.
type rawRSA struct{ n, d, e *big.Int }

func newRawRSA(p, q *big.Int, e int64) rawRSA {
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	return rawRSA{new(big.Int).Mul(p, q), new(big.Int).ModInverse(big.NewInt(e), phi), big.NewInt(e)}
}

func (k rawRSA) Public() crypto.PublicKey { return &rsa.PublicKey{N: k.n, E: int(k.e.Int64())} }

func (k rawRSA) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, digest...)
	size := (k.n.BitLen() + 7) / 8
	padded := bytes.Repeat([]byte{0xff}, size)
	padded[0], padded[1], padded[size-len(info)-1] = 0, 1, 0
	copy(padded[size-len(info):], info)
	return new(big.Int).Exp(new(big.Int).SetBytes(padded), k.d, k.n).FillBytes(make([]byte, size)), nil
}

func TestWeakKeysAreRefused(t *testing.T) {
	prime := func() *big.Int {
		p, err := rand.Prime(rand.Reader, 1536)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, r := prime(), prime()
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(10) {
		q.Add(q, big.NewInt(2))
	}
	for want, key := range map[string]rawRSA{"close together": newRawRSA(p, q, 65537), "RSA exponent 65539": newRawRSA(p, r, 65539), "": newRawRSA(p, r, 65537)} {
		err := pki.CheckRequest(pki.PartnerClient, request(t, key, x509.CertificateRequest{}), office)
		if want == "" && err != nil {
			t.Errorf("a good key: %v", err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestCheckSubject(t *testing.T) {
	for _, c := range []struct {
		kind    pki.Profile
		subject pki.Subject
		field   string
	}{
		{pki.Seal, pki.Subject{Partner: "um", CommonName: strings.Repeat("ą", 65)}, "common name"},
		{pki.Seal, pki.Subject{Partner: strings.Repeat("a", 65), CommonName: "x"}, "partner"},
		{"wizard", office, "profile"},
	} {
		wantRefusal(t, c.subject.CommonName, pki.CheckSubject(c.kind, c.subject), c.field)
	}
	if err := pki.CheckSubject(pki.Seal, pki.Subject{Partner: "um", CommonName: strings.Repeat("ą", 64)}); err != nil {
		t.Error(err)
	}
}
