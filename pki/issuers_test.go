package pki_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/audit"
	"trustcore/internal/lease/leasetest"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
	"trustcore/pki/pkitest"
	"trustcore/pki/profile"
)

// further makes one more issuing authority below a site's root.
func (s *site) further(t testing.TB, number int, purposes ...pki.Purpose) pki.Issuer {
	t.Helper()
	plan, err := ceremony.ParseSuccession(ceremony.DefaultSuccession(s.base, number))
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("issuing-%d", number)
	made, err := ceremony.Succeed(t.Context(), plan, name, s.made.Root, pkitest.SoftwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Issuer{Name: name, Certificate: made.Issuing.Certificate, Key: made.Issuing.Key, Purposes: purposes,
		OCSP: pki.Delegate{Certificate: made.OCSP.Certificate, Key: made.OCSP.Key}}
}

// with opens an authority anew, with further issuers.
func with(t testing.TB, cfg pki.Config, further ...pki.Issuer) *pki.CA {
	t.Helper()
	cfg.Issuers = append(cfg.Issuers, further...)
	ca, err := pki.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// subjects are subjects that each profile takes.
var subjects = map[pki.Profile]pki.Subject{
	pki.DaemonServer: {CommonName: "gateway", DNS: []string{"gateway.internal"}}, pki.DaemonClient: {CommonName: "ezd"},
	pki.PartnerClient: office, pki.PartnerServer: {Partner: "p", CommonName: "p", DNS: []string{"www.p.example"}},
	pki.PartnerPeer: {Partner: "p", CommonName: "q", DNS: []string{"q.p.example"}}, pki.Officer: {CommonName: "officer-7"},
	pki.Seal: office, pki.TimeStamping: {CommonName: "TSU 7"},
}

// issues asks for a certificate and returns the name of who made it.
func issues(t testing.TB, ca *pki.CA, kind pki.Profile) (string, *x509.Certificate, error) {
	t.Helper()
	c, err := ca.Issue(t.Context(), officer, kind, request(t, newKey(t), x509.CertificateRequest{}), subjects[kind], "o")
	if err != nil {
		return "", nil, err
	}
	return c.Issuer.CommonName, c, nil
}

func change(t testing.TB, ca *pki.CA, name string, to pki.IssuerState) {
	t.Helper()
	if err := ca.ChangeIssuer(t.Context(), officer, name, to, "M-1"); err != nil {
		t.Fatal(err)
	}
}

// testEachPurposeHasItsIssuer has four authorities at once, each for a purpose, and each profile issued by the one of its purpose.
func testEachPurposeHasItsIssuer(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	by := map[pki.Purpose]pki.Issuer{}
	var all []pki.Issuer
	for n, p := range []pki.Purpose{"services", "offices", "seals", "persons"} {
		by[p] = s.further(t, n+2, p)
		all = append(all, by[p])
	}
	ca := with(t, s.config(), all...)
	for kind := range subjects {
		name, c, err := issues(t, ca, kind)
		want := by[kind.Purpose()].Certificate
		if err != nil || name != want.Subject.CommonName || c.CheckSignatureFrom(want) != nil {
			t.Errorf("%s is issued by %q, not %q: %v", kind, name, want.Subject.CommonName, err)
			continue
		}
		if !strings.Contains(c.CRLDistributionPoints[0], by[kind.Purpose()].Name) || ca.Above(c) != want {
			t.Errorf("%s: its list is %v", kind, c.CRLDistributionPoints)
		}
	}
	for _, i := range ca.Issuers() {
		if state := map[bool]pki.IssuerState{true: pki.Retiring, false: pki.Active}[i.Name == "issuing"]; i.State != state {
			t.Errorf("%s is %s, not %s", i.Name, i.State, state)
		}
	}
}

// TestOneIssuerIsUnchanged starts an installation of one authority, and one with a successor, as the version before left them.
func TestOneIssuerIsUnchanged(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	second := s.further(t, 2)
	old := s.issue(t, pki.PartnerClient, office)
	with(t, s.config(), second)
	if _, err := s.db.Exec(`DROP TABLE pki_issuer`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(`DELETE FROM schema_steps WHERE name = 'pki' AND step = (SELECT MAX(step) FROM schema_steps WHERE name = 'pki')`); err != nil {
		t.Fatal(err)
	}
	ca := with(t, s.config(), second)
	for kind := range subjects {
		if name, _, err := issues(t, ca, kind); err != nil || name != second.Certificate.Subject.CommonName {
			t.Errorf("%s is issued by %q: %v", kind, name, err)
		}
	}
	if _, err := ca.Standing(t.Context(), old); err != nil {
		t.Errorf("of the first authority: %v", err)
	}
}

// TestStatesMayWhatTheTableSays brings one authority of seals through its life, and tries everything in each state.
func TestStatesMayWhatTheTableSays(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	second := a.further(t, 2, "seals")
	second.Planned = true
	a.ca = with(t, a.config(t), second)
	a.tick(t)
	first, name := a.made.Issuing.Certificate.Subject.CommonName, second.Certificate.Subject.CommonName
	var held *x509.Certificate
	for _, step := range []struct {
		to              pki.IssuerState
		issues, renews  string // "" where nobody may
		refused         []pki.IssuerState
		listed, retires bool
	}{
		{pki.Planned, first, first, []pki.IssuerState{pki.Retiring, pki.CRLOnly, pki.Ended + "?"}, true, false},
		{pki.Active, name, name, []pki.IssuerState{pki.Planned, pki.CRLOnly, pki.Ended}, true, false},
		{pki.Retiring, first, first, []pki.IssuerState{pki.Planned, pki.Ended}, true, false},
		{pki.CRLOnly, first, first, []pki.IssuerState{pki.Planned, pki.Active, pki.Retiring, pki.Ended}, true, false},
		{pki.Ended, first, first, []pki.IssuerState{pki.Planned, pki.Active, pki.Retiring, pki.CRLOnly}, false, true},
	} {
		if step.retires {
			if _, err := a.ca.Revoke(t.Context(), officer, pki.Selector{Partner: office.Partner}, pki.Superseded, "o"); err != nil {
				t.Fatal(err)
			}
		}
		change(t, a.ca, "issuing-2", step.to)
		by, c, err := issues(t, a.ca, pki.Seal)
		if err != nil || by != step.issues {
			t.Errorf("%s: a seal is issued by %q, %v; want %q", step.to, by, err, step.issues)
		}
		if step.to == pki.Active {
			held = c
		}
		if held != nil && !step.retires {
			next, err := a.ca.Renew(t.Context(), officer, held, request(t, newKey(t), x509.CertificateRequest{}), held.NotAfter)
			if err != nil || next.Issuer.CommonName != step.renews {
				t.Errorf("%s: a seal is renewed by %v, %v; want %q", step.to, next, err, step.renews)
			}
		}
		for _, to := range step.refused {
			wantRefusal(t, fmt.Sprintf("from %s to %s", step.to, to), a.ca.ChangeIssuer(t.Context(), officer, "issuing-2", to, "M"), "state")
		}
		before := a.listNumber(t, "issuing-2")
		a.pass(30 * day / 24)
		a.tick(t)
		if signed := a.listNumber(t, "issuing-2") > before; signed != step.listed {
			t.Errorf("%s: its key has signed a list: %v", step.to, signed)
		}
	}
	list := a.listOf(t, "issuing-2")
	if !list.NextUpdate.Equal(second.Certificate.NotAfter) || !lists(list, held.SerialNumber) {
		t.Errorf("the last list ends %s, the authority %s", list.NextUpdate, second.Certificate.NotAfter)
	}
}

func (a *appliance) listNumber(t testing.TB, name string) int64 {
	return a.listOf(t, name).Number.Int64()
}

// TestRetiringRenewsItsOwnAlone stops a purpose without a successor: who has a certificate renews it, nobody gets a new one; and then
// it can't become crl-only, which would lock holders out.
func TestRetiringRenewsItsOwnAlone(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	_, held, err := issues(t, s.ca, pki.Officer)
	if err != nil {
		t.Fatal(err)
	}
	change(t, s.ca, "issuing", pki.Retiring)
	if _, _, err := issues(t, s.ca, pki.Officer); !errors.Is(err, pki.ErrUnavailable) {
		t.Errorf("a new one: %v", err)
	}
	if _, err := s.ca.Renew(t.Context(), officer, held, request(t, newKey(t), x509.CertificateRequest{}), held.NotAfter); err != nil {
		t.Errorf("a renewal: %v", err)
	}
	wantRefusal(t, "nobody would renew", s.ca.ChangeIssuer(t.Context(), officer, "issuing", pki.CRLOnly, "M"), "state")
	if !slices.ContainsFunc(s.ca.Findings(), func(f pki.Finding) bool {
		return strings.Contains(f.What, "no authority issues certificates for persons")
	}) {
		t.Errorf("nobody is told: %+v", s.ca.Findings())
	}
	if s.ca.Serves("ocsp") != nil || s.ca.Serves("crl") != nil {
		t.Error("status is not served")
	}
	change(t, s.ca, "issuing", pki.Active) // called back
	if _, _, err := issues(t, s.ca, pki.Officer); err != nil {
		t.Errorf("called back: %v", err)
	}
}

// TestNothingIsActivatedInTheDark refuses authorities whose key has not signed or that end, unknown ones, and files that say
// another purpose than the database.
func TestNothingIsActivatedInTheDark(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	second := a.further(t, 2, "seals")
	second.Planned = true
	key := &signingKey{Signer: second.Key}
	key.away.Store(true)
	second.Key = key
	a.ca = with(t, a.config(t), second)
	wantRefusal(t, "its token is away", a.ca.ChangeIssuer(t.Context(), officer, "issuing-2", pki.Active, "M"), "state")
	wantRefusal(t, "unknown", a.ca.ChangeIssuer(t.Context(), officer, "issuing-3", pki.Active, "M"), "name")
	key.away.Store(false)
	if err := a.ca.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.ca.CheckIssuerChange(t.Context(), "issuing-2", pki.Active); err != nil {
		t.Errorf("the token is back: %v", err)
	}
	cfg := a.site.config()
	second.Purposes = nil
	cfg.Issuers = append(cfg.Issuers, second)
	if _, err := pki.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "its files say") {
		t.Errorf("files that widen the purpose: %v", err)
	}
	if err := a.closeLog(); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	entries, err := a.log.List(t.Context(), audit.Filter{Action: "issuer.change"})
	for _, e := range entries {
		outcomes[e.Outcome]++
	}
	if err != nil || outcomes[audit.Granted] != 2 || outcomes[audit.Refused] != 2 {
		t.Errorf("audit: %v, %v", outcomes, err)
	}
}

// testSuccessionWithoutAFailedCall has officers activate a successor on one node while both nodes issue, renew, answer and give out
// lists: no call fails, nothing is signed by who did not issue at that moment, and afterwards the successor alone issues.
func testSuccessionWithoutAFailedCall(t *testing.T, databaseURL string) {
	first := open(t, databaseURL)
	successors := []pki.Issuer{first.further(t, 2), first.further(t, 3, "offices")}
	nodes := []*node{first.node(t, databaseURL, "a"), first.node(t, databaseURL, "b")}
	for n := range successors {
		successors[n].Planned = true
	}
	for _, n := range nodes {
		leasetest.Live(t, n.leases)
		cfg := n.config()
		cfg.Leases = n.leases
		n.ca = with(t, cfg, successors...)
	}
	old := nodes[0].issue(t, pki.PartnerClient, office)
	var calls atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			if err := n.ca.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := issues(t, n.ca, pki.PartnerClient); err != nil && ctx.Err() == nil {
					t.Errorf("issue: %v", err)
				}
				calls.Add(1)
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				if status := n.statusBy(t, old, first.made.Issuing.Certificate); status != codes.Good {
					t.Errorf("OCSP: %d", status)
				}
				if n.ask(http.MethodGet, "/crl/issuing.crl", "", nil).Code != http.StatusOK ||
					n.ask(http.MethodGet, "/crl/issuing-3.crl", "", nil).Code != http.StatusOK {
					t.Error("a list is not given out")
				}
				calls.Add(1)
			}
		})
	}
	for _, name := range []string{"issuing-2", "issuing-3"} {
		from := calls.Load()
		eventually(t, "calls", func() bool { return calls.Load() > from+40 })
		change(t, nodes[0].ca, name, pki.Active)
		for _, n := range nodes { // from the moment on that the change is written
			if by, _, err := issues(t, n.ca, pki.PartnerClient); err != nil || !strings.HasSuffix(by, name[len(name)-1:]) {
				t.Errorf("after %s is active: issued by %q, %v", name, by, err)
			}
		}
	}
	stop()
	wg.Wait()
	t.Logf("%d calls", calls.Load())
	states := map[string]pki.IssuerState{}
	for _, i := range nodes[1].ca.Issuers() {
		states[i.Name] = i.State
	}
	if states["issuing"] != pki.Retiring || states["issuing-2"] != pki.Active || states["issuing-3"] != pki.Active {
		t.Errorf("states: %v", states)
	}
}

// TestPurposesOfAnAuthorityAreInItsCertificate has openssl and the authority itself refuse what the authority is not for.
func TestPurposesOfAnAuthorityAreInItsCertificate(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	text := strings.Replace(string(ceremony.DefaultSuccession(s.base, 2)), "# purposes:", "purposes:", 1)
	plan, err := ceremony.ParseSuccession([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	made, err := ceremony.Succeed(t.Context(), plan, "issuing-2", s.made.Root, pkitest.SoftwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	seals := pki.Issuer{Name: "issuing-2", Certificate: made.Issuing.Certificate, Key: made.Issuing.Key,
		OCSP: pki.Delegate{Certificate: made.OCSP.Certificate, Key: made.OCSP.Key}}
	ca := with(t, s.config(), seals) // somebody has it issue for all
	if _, _, err := issues(t, ca, pki.Seal); err != nil {
		t.Errorf("a seal: %v", err)
	}
	_, _, err = issues(t, ca, pki.PartnerClient)
	wantRefusal(t, "a client below an authority of seals", err, "profile")
	leaf, _ := pkitest.Leaf(t, made.Issuing, s.made.Issuing.Certificate.SerialNumber, profile.PlacesOf(s.base, "issuing-2"))
	said, ok := openssl(t, "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", pkitest.WritePEM(t, "CERTIFICATE", s.made.Root.Certificate.Raw),
		"-untrusted", pkitest.WritePEM(t, "CERTIFICATE", made.Issuing.Certificate.Raw), pkitest.WritePEM(t, "CERTIFICATE", leaf.Raw))
	if ok {
		t.Errorf("openssl takes a client that an authority of seals signed: %s", said)
	}
}
