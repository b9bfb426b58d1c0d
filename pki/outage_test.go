package pki_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	stamps "github.com/digitorus/timestamp"
	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/clock"
)

// testAnswersOutliveARestartWithoutTheToken: what was signed before is served, and what was revoked meanwhile is not called good.
func testAnswersOutliveARestartWithoutTheToken(t *testing.T, databaseURL string) {
	a := openAppliance(t, databaseURL)
	good, revoked, held := a.issue(t, pki.PartnerClient, office), a.issue(t, pki.PartnerClient, office), a.issue(t, pki.PartnerClient, office)
	a.tick(t)
	a.token.away.Store(true)
	a.restart(t)
	for _, c := range []*x509.Certificate{good, revoked, held} {
		if answer, err := a.answer(c); err != nil || answer.Status != codes.Good {
			t.Errorf("after a restart without the token: %v", err)
		}
	}
	if err := a.fresh(); err != nil {
		t.Errorf("after a restart without the token: %v", err)
	}
	if err := a.revoke(t, hexOf(revoked), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ca.Suspend(t.Context(), officer, pki.Selector{Serial: hexOf(held)}, ""); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	for _, c := range []*x509.Certificate{revoked, held} {
		if answer, err := a.answer(c); err == nil {
			t.Errorf("revoked while the token was away, and the answer is %d", answer.Status)
		}
	}
	a.token.away.Store(false)
	for _, c := range []*x509.Certificate{revoked, held} {
		if answer, err := a.answer(c); err != nil || answer.Status != codes.Revoked {
			t.Errorf("with the token back: %v", err)
		}
	}
	a.tick(t)
	if list := a.published(t); !lists(list, revoked.SerialNumber) || !lists(list, held.SerialNumber) {
		t.Error("the list did not follow")
	}
}

func (a *appliance) published(t testing.TB) *x509.RevocationList { return a.listOf(t, "issuing") }

func (a *appliance) listOf(t testing.TB, name string) *x509.RevocationList {
	t.Helper()
	list, err := x509.ParseRevocationList(a.ask(http.MethodGet, "/crl/"+name+".crl", "", nil).Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestHungTokenHoldsUpNobody: revocation, standing and what people are told go on while a signature does not end.
func TestHungTokenHoldsUpNobody(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	c := a.issue(t, pki.PartnerClient, office)
	a.tick(t)
	release := make(chan struct{})
	a.token.hang(release)
	defer close(release)
	begun := time.Now()
	if err := a.revoke(t, hexOf(c), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	if !a.ca.Revoked(c.SerialNumber) {
		t.Error("not revoked")
	}
	a.ca.Findings()
	if _, err := a.ca.Expiring(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestStaleAnswersAreNotRestored: an answer that was stored behind the revocation of its certificate.
func TestStaleAnswersAreNotRestored(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	c := a.issue(t, pki.PartnerClient, office)
	a.tick(t)
	if _, err := a.db.Exec(`CREATE TABLE before AS SELECT * FROM pki_answer`); err != nil {
		t.Fatal(err)
	}
	if err := a.revoke(t, hexOf(c), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := a.db.QueryRow(`SELECT COUNT(*) FROM pki_answer WHERE serial = $1`, hexOf(c)).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d stored answers of a revoked certificate are left, %v", left, err)
	}
	a.token.away.Store(true)
	if _, err := a.db.Exec(`INSERT INTO pki_answer SELECT * FROM before WHERE serial = $1`, hexOf(c)); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	if answer, err := a.answer(c); err == nil {
		t.Errorf("stored behind the revocation: the answer is %d", answer.Status)
	}
}

// TestNothingFromTheFutureIsServed: a clock that ran ahead for a while leaves nothing behind.
func TestNothingFromTheFutureIsServed(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	leaf := a.issue(t, pki.PartnerClient, office)
	a.pass(100 * day)
	a.tick(t)
	if _, err := a.answer(leaf); err != nil {
		t.Fatal(err)
	}
	before := a.published(t)
	a.pass(-100 * day)
	if err := a.ca.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"the clock is right again", "after a restart"} {
		if answer, err := a.answer(leaf); err != nil || answer.ThisUpdate.After(a.clock()) {
			t.Errorf("%s: %v", when, err)
		}
		if err := a.fresh(); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if a.published(t).Number.Cmp(before.Number) <= 0 {
			t.Errorf("%s: the list's number goes back", when)
		}
		a.restart(t)
		a.tick(t)
	}
}

// TestClockBehindTheJournal: a step backward stops time-stamps, across a restart too; a step forward across a stop is taken.
func TestClockBehindTheJournal(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	refused := func(when string) {
		t.Helper()
		if err := a.stamped(); err == nil || !strings.Contains(err.Error(), "time source is not available") {
			t.Errorf("%s: %v", when, err)
		}
		if a.ca.Serves("tsa") == nil {
			t.Errorf("%s: the service is called ready", when)
		}
		if found := a.ca.Findings(); len(found) != 1 || !found[0].Red || !strings.Contains(found[0].What, "no time-stamps are given") {
			t.Errorf("%s: findings %+v", when, found)
		}
	}
	a.pass(time.Hour)
	a.restart(t)
	if err := a.stamped(); err != nil {
		t.Fatal(err)
	}
	a.tick(t)
	a.pass(-time.Hour)
	refused("behind what was given")
	a.restart(t)
	refused("behind the journal after a restart")
	a.pass(2 * time.Hour)
	if err := a.stamped(); err != nil {
		t.Errorf("caught up: %v", err)
	}
	cfg := a.config(t)
	ahead := a.clock().Add(time.Hour)
	cfg.Recorded = func(context.Context) (time.Time, error) { return ahead, nil }
	var err error
	if a.ca, err = pki.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	refused("behind the audit log")
	a.pass(365 * day)
	a.restart(t)
	if err := a.stamped(); err != nil {
		t.Errorf("a year later: %v", err)
	}
}

// TestAcceptedClock: an officer ends what a clock that ran ahead has begun; what was given since counts again.
func TestAcceptedClock(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	if _, err := a.db.Exec(`UPDATE pki_counter SET value = $1 WHERE name = 'clock'`, a.clock().AddDate(10, 0, 0).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	if err := a.stamped(); err == nil {
		t.Fatal("a time-stamp ten years behind the record")
	}
	if err := a.ca.AcceptClock(t.Context(), officer); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"accepted", "after a restart"} {
		if err := a.stamped(); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		a.tick(t)
		a.restart(t)
	}
	a.pass(-time.Hour)
	a.restart(t)
	if err := a.stamped(); err == nil {
		t.Error("behind what was given since")
	}
	entries, err := auditOf(t, a.site, "")
	if err != nil || !slices.ContainsFunc(entries, func(e audit.Recorded) bool { return e.Action == "clock.accept" && e.Actor == officer }) {
		t.Errorf("the audit log does not tell who accepted the clock: %v", err)
	}
}

func TestClockThatNobodyVouchesFor(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	for _, strict := range []bool{false, true} {
		cfg := a.config(t)
		cfg.Kernel = func() (clock.Kernel, error) { return clock.Kernel{}, nil }
		cfg.StrictClock = strict
		var err error
		if a.ca, err = pki.New(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		request, err := stamps.CreateRequest(strings.NewReader("document"), &stamps.RequestOptions{Hash: crypto.SHA256, Certificates: true})
		if err != nil {
			t.Fatal(err)
		}
		stamp, err := stamps.ParseResponse(a.ask(http.MethodPost, "/tsa", "application/timestamp-query", request).Body.Bytes())
		found := a.ca.Findings()
		if strict && (err == nil || len(found) != 1 || !found[0].Red) {
			t.Errorf("strict: %v, findings %+v", err, found)
		}
		if !strict && (err != nil || stamp.Accuracy != 0 || len(found) != 1 || found[0].Red) {
			t.Errorf("trusting: %v, findings %+v", err, found)
		}
	}
}

func TestExpiring(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	subject := office
	subject.NotAfter = a.clock().Add(200 * day)
	bound, err := a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, newKey(t), x509.CertificateRequest{}), subject, "o-1")
	if err != nil {
		t.Fatal(err)
	}
	free := a.issue(t, pki.Seal, office)
	person := a.issue(t, pki.Officer, pki.Subject{CommonName: "officer-1"})
	gone := a.issue(t, pki.DaemonClient, pki.Subject{CommonName: "ezd"})
	if err := a.revoke(t, hexOf(gone), pki.Superseded, ""); err != nil {
		t.Fatal(err)
	}
	daemon := a.issue(t, pki.DaemonClient, pki.Subject{CommonName: "vpnd"})
	a.pass(300 * day) // responder and lists were due
	next, err := a.ca.Renew(t.Context(), audit.Actor{Kind: "daemon", ID: "vpnd"}, daemon, request(t, newKey(t), x509.CertificateRequest{}), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	a.pass(-150 * day)
	a.tick(t)
	found, err := a.ca.Expiring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]pki.Expiry{}
	for i, e := range found {
		byName[e.Kind+" "+e.Serial] = e
		if i > 0 && e.NotAfter.Before(found[i-1].NotAfter) {
			t.Error("what ends first does not stand first")
		}
	}
	for _, c := range []struct {
		name    string
		renewal pki.Renewal
		remedy  string
		end     time.Time
	}{
		{"partner-client " + hexOf(bound), pki.ByPeople, "extend the authorisation", bound.NotAfter},
		{"seal " + hexOf(free), pki.ByHolder, "", free.NotAfter},
		{"officer " + hexOf(person), pki.ByPeople, "officer", person.NotAfter},
		{"daemon-client " + hexOf(next), pki.ByHolder, "", next.NotAfter},
		{"root " + hexOf(a.made.Root.Certificate), pki.ByPeople, "ceremony for a new root", a.made.Root.Certificate.NotAfter},
		{"issuing " + hexOf(a.made.Issuing.Certificate), pki.ByPeople, "ceremony for a new issuing", a.made.Issuing.Certificate.NotAfter},
		{"ocsp-responder " + hexOf(a.made.OCSP.Certificate), pki.ByAuthority, "", a.made.OCSP.Certificate.NotAfter},
		{"time-stamping " + hexOf(a.made.TimeStamping.Certificate), pki.ByAuthority, "", a.made.TimeStamping.Certificate.NotBefore.Add(2 * 366 * day)},
	} {
		e, there := byName[c.name]
		if !there || e.Renewal != c.renewal || !strings.Contains(e.Remedy, c.remedy) || (c.remedy == "") != (e.Remedy == "") ||
			!e.NotAfter.Equal(c.end) || !e.Due.Before(e.NotAfter) {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
	if _, there := byName["daemon-client "+hexOf(daemon)]; there {
		t.Error("what was renewed is told of")
	}
	if _, there := byName["daemon-client "+hexOf(gone)]; there {
		t.Error("what was revoked is told of")
	}
	if len(found) != 8+2 {
		t.Errorf("%d ends: %+v", len(found), found)
	}
	if cut := byName["partner-client "+hexOf(bound)].Cut; cut != pki.CutByAuthorisation {
		t.Errorf("cut by %q", cut)
	}
}

// TestSaysWhyARenewalFails in the inventory of what ends.
func TestSaysWhyARenewalFails(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	c := a.issue(t, pki.PartnerClient, office)
	if _, err := a.ca.Renew(t.Context(), officer, c, weakRSA(t, "2048"), time.Time{}); err == nil {
		t.Fatal("a short key")
	}
	found, err := a.ca.Expiring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if e.Serial == hexOf(c) && !strings.Contains(e.Failure, "RSA of 2048 bits") {
			t.Errorf("%+v", e)
		}
	}
}

// BenchmarkStanding is what a door costs at every handshake.
func BenchmarkStanding(b *testing.B) {
	s := open(b, storetest.SQLite(b))
	c := s.issue(b, pki.PartnerClient, office)
	for b.Loop() {
		if _, err := s.ca.Standing(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
