package pki_test

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
)

// certifies has a root certify another one, by way of the files that people carry.
func certifies(t testing.TB, above *ceremony.Result, name string, below *x509.Certificate, planText []byte) (*ceremony.Granted, error) {
	t.Helper()
	plan, err := ceremony.ParseRequested(planText)
	if err != nil {
		t.Fatal(err)
	}
	request, err := ceremony.AskForRoot(plan, below)
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := ceremony.Grant(request, above.Root, name, above.RootCRL, time.Now())
	if err != nil {
		return nil, err
	}
	granted, err := ceremony.ReadAnswer(answer, request)
	if err != nil {
		t.Fatal(err)
	}
	return granted, nil
}

// madeBefore is a site's root as the version before made it: with room for issuing authorities below it, and for nothing else.
func madeBefore(t testing.TB, s *site) *x509.Certificate {
	t.Helper()
	root := s.made.Root
	return ceremonytest.Remade(t, root.Certificate, root, root.Key.Public(), func(c *x509.Certificate) { c.MaxPathLen = 1 })
}

// TestRootsCertifyEachOther has clients with one root alone verify the whole of what a holder shows: of the two directions, of both at
// once, of a root that the version before made, of a third root above the second, and beside cross-certificates of issuing authorities.
func TestRootsCertifyEachOther(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	leaf := s.issue(t, pki.PartnerClient, office)
	own, plan := s.made.Root.Certificate, ceremony.Default(s.base)
	second, third := ceremonytest.RootNumber(t, s.base, 2), ceremonytest.RootNumber(t, s.base, 3)
	cross := func(above *ceremony.Result, name string, below *x509.Certificate, planText []byte) *x509.Certificate {
		granted, err := certifies(t, above, name, below, planText)
		if err != nil {
			t.Fatal(err)
		}
		return granted.Certificate
	}
	before := madeBefore(t, s)
	ownBySecond := cross(second, "root-2", own, plan)
	secondByOwn := cross(s.made, "root", second.Root.Certificate, ceremonytest.RootPlanNumber(s.base, 2))
	secondByThird := cross(third, "root-3", second.Root.Certificate, ceremonytest.RootPlanNumber(s.base, 2))
	_, issuing := s.secondRootIs(t, second)
	further := func(r *ceremony.Result, name string, crosses ...*x509.Certificate) pki.Root {
		return pki.Root{Name: name, Certificate: r.Root.Certificate, List: r.RootCRL, Crosses: crosses}
	}
	java := &javaPKIX{}
	for what, c := range map[string]struct {
		root    pki.Root // the site's own
		roots   []pki.Root
		issuing []*x509.Certificate
	}{
		"the second certified the first": {further(s.made, "root", ownBySecond), []pki.Root{further(second, "root-2")}, nil},
		"one that the version before made": {pki.Root{Certificate: before, List: s.made.RootCRL,
			Crosses: []*x509.Certificate{cross(second, "root-2", before, plan)}}, []pki.Root{further(second, "root-2")}, nil},
		"each certified the other": {further(s.made, "root", ownBySecond), []pki.Root{further(second, "root-2", secondByOwn)},
			[]*x509.Certificate{issuing.Certificate}},
		"a third certified the second": {further(s.made, "root", ownBySecond),
			[]pki.Root{further(second, "root-2", secondByThird), further(third, "root-3")}, []*x509.Certificate{issuing.Certificate}},
		"the other way round": {further(s.made, "root"), []pki.Root{further(second, "root-2", secondByOwn)}, []*x509.Certificate{issuing.Certificate}},
	} {
		cfg := s.config()
		cfg.Roots, cfg.Issuers[0].Crosses = append([]pki.Root{c.root}, c.roots...), c.issuing
		next := &site{made: s.made, base: s.base, ca: with(t, cfg)}
		for _, r := range cfg.Roots {
			next.verifies(t, what+"; a client with "+r.Certificate.Subject.CommonName+" alone", r.Certificate, leaf,
				func(*x509.Certificate) bool { return true }, java)
			for _, below := range r.Crosses {
				place := strings.TrimPrefix(below.IssuingCertificateURL[0], s.base)
				if a := next.ask(http.MethodGet, place, "", nil); a.Code != http.StatusOK {
					t.Errorf("%s: %s: %d", what, place, a.Code)
				}
			}
		}
	}
	java.build(t)
}

// TestRootsAreNotCertifiedInVain refuses what would give no client a path, or one to another's root.
func TestRootsAreNotCertifiedInVain(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	second := ceremonytest.RootNumber(t, s.base, 2)
	plan, planOfSecond := ceremony.Default(s.base), ceremonytest.RootPlanNumber(s.base, 2)
	old := *s.made
	old.Root.Certificate = madeBefore(t, s)
	stranger := *s.made.Root.Certificate // whose key signs for the root's name and key
	stranger.PublicKey = second.Root.Key.Public()
	forged := ceremonytest.Remade(t, s.made.Root.Certificate, ceremony.Authority{Key: second.Root.Key, Certificate: &stranger},
		s.made.Root.Key.Public(), func(*x509.Certificate) {})
	for want, c := range map[string]struct {
		above *ceremony.Result
		below *x509.Certificate
		plan  []byte
	}{
		"path length 1":            {&old, second.Root.Certificate, planOfSecond},
		"is the root that is here": {s.made, s.made.Root.Certificate, plan},
		"signed for another name":  {second, s.made.Root.Certificate, planOfSecond},
		"verification failure":     {second, forged, plan},
		"is no root's certificate": {second, s.made.Issuing.Certificate, plan},
		"another kind of auth":     {second, s.made.Root.Certificate, ceremony.DefaultSuccession(s.base, 2)},
	} {
		if _, err := certifies(t, c.above, "root", c.below, c.plan); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	granted, err := certifies(t, second, "root-2", s.made.Root.Certificate, plan)
	if err != nil {
		t.Fatal(err)
	}
	if granted.Certificate.MaxPathLen != -1 || s.made.Root.Certificate.MaxPathLen != -1 {
		t.Error("a new root has a path length")
	}
	with := func(crosses ...*x509.Certificate) pki.Config {
		cfg := s.config()
		cfg.Roots[0].Crosses = crosses
		cfg.Roots = append(cfg.Roots, pki.Root{Name: "root-2", Certificate: second.Root.Certificate, List: second.RootCRL})
		return cfg
	}
	wider := ceremonytest.Remade(t, granted.Certificate, second.Root, s.made.Root.Key.Public(), func(c *x509.Certificate) {
		c.KeyUsage |= x509.KeyUsageDigitalSignature
	})
	for want, cfg := range map[string]pki.Config{
		"is not that of the authority's own": with(wider),
		"two certificates of one root":       with(granted.Certificate, granted.Certificate),
		"not from the root":                  with(ceremonytest.Remade(t, granted.Certificate, ceremonytest.RootNumber(t, s.base, 3).Root, s.made.Root.Key.Public(), func(*x509.Certificate) {})),
		"is for another name":                with(second.Root.Certificate),
	} {
		if _, err := pki.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
