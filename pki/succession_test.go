package pki_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
	"trustcore/pki/pkitest"
)

// TestSuccession adds an issuing authority in the first one's last year: it issues, the first goes on for its list and answers to
// its last day, and time-stamps go on beyond that.
func TestSuccession(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	first := a.made.Issuing.Certificate
	a.set(first.NotAfter.Add(-300 * day))
	a.tick(t)
	old := a.issue(t, pki.PartnerClient, office)
	plan, err := ceremony.ParseSuccession(ceremony.DefaultSuccession(a.base, 2))
	if err != nil {
		t.Fatal(err)
	}
	a.pass(day / 24)
	second, err := ceremony.Succeed(t.Context(), plan, "issuing-2", a.made.Root, pkitest.SoftwareKey, a.clock)
	if err != nil {
		t.Fatal(err)
	}
	open := func() {
		t.Helper()
		cfg := a.config(t)
		a.token.hold("ocsp-of-issuing-2", second.OCSP.Key)
		cfg.Issuers = append(cfg.Issuers, pki.Issuer{Name: "issuing-2", Certificate: second.Issuing.Certificate, Key: second.Issuing.Key,
			OCSP: pki.Delegate{Certificate: second.OCSP.Certificate, KeyID: "ocsp-of-issuing-2"}})
		if a.ca, err = pki.New(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	open()
	a.tick(t)
	if list := a.listOf(t, "root"); list.ThisUpdate.Before(second.Issuing.Certificate.NotBefore) {
		t.Errorf("the root's list is of %s and says nothing of the authority since %s", list.ThisUpdate, second.Issuing.Certificate.NotBefore)
	}
	young := a.issue(t, pki.PartnerClient, office)
	if err := young.CheckSignatureFrom(second.Issuing.Certificate); err != nil || !young.NotAfter.After(first.NotAfter) {
		t.Fatalf("who issues? %v", err)
	}
	renewed, err := a.ca.Renew(t.Context(), officer, old, request(t, newKey(t), x509.CertificateRequest{}), old.NotAfter.AddDate(1, 0, 0))
	if err != nil || renewed.CheckSignatureFrom(second.Issuing.Certificate) != nil {
		t.Errorf("who renews? %v", err)
	}
	gone := a.issue(t, pki.PartnerClient, office)
	if err := errors.Join(a.revoke(t, hexOf(gone), pki.Superseded, ""), a.revoke(t, hexOf(young), pki.Superseded, "")); err != nil {
		t.Fatal(err)
	}
	if list := a.published(t); lists(list, gone.SerialNumber) {
		t.Error("the first one's list has a certificate of the second")
	}
	for a.clock().Before(first.NotAfter.Add(-day)) {
		open()
		a.tick(t)
		a.allServe(t, old)
		a.nobodyIsAsked(t)
		if status := a.statusBy(t, gone, second.Issuing.Certificate); status != codes.Revoked {
			t.Errorf("on %s: status %d", a.clock(), status)
		}
		a.pass(23 * day)
	}
	for _, last := range []time.Duration{-day / 24, day, 5 * day} {
		a.set(first.NotAfter.Add(last))
		open()
		a.tick(t)
		a.nobodyIsAsked(t)
	}
	if err := a.stamped(); err != nil {
		t.Errorf("behind the first one's end: %v", err)
	}
	if _, err := a.ca.Standing(t.Context(), renewed); err != nil {
		t.Errorf("behind the first one's end: %v", err)
	}
	found, err := a.ca.Expiring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if e.Kind == string(pki.TimeStamping) && e.Renewal != pki.ByAuthority {
			t.Errorf("%+v", e)
		}
	}
}

// statusBy asks the responder that the certificate names.
func (s *site) statusBy(t testing.TB, leaf, issuer *x509.Certificate) int {
	t.Helper()
	der, err := codes.CreateRequest(leaf, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(leaf.OCSPServer[0], s.base)
	answer, err := codes.ParseResponseForCert(s.ask(http.MethodPost, path, "application/ocsp-request", der).Body.Bytes(), leaf, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status
}

// nobodyIsAsked wants all that ends to be seen to: what renews itself is not late, and no ceremony is asked for that was held.
func (a *appliance) nobodyIsAsked(t *testing.T) {
	t.Helper()
	found, err := a.ca.Expiring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		late := e.Renewal == pki.ByAuthority && a.clock().After(e.Due.Add(3*day)) ||
			e.Kind == "crl" && e.Due.Before(e.NotAfter) && e.NotAfter.Sub(a.clock()) < day // the last list of an authority
		if ceremony := strings.Contains(e.Remedy, "issuing authority") && !a.clock().Before(e.Due); late || ceremony {
			t.Errorf("on %s: %+v", a.clock(), e)
		}
	}
}
