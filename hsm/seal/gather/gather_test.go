package gather_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/hsm/seal/gather"
	"trustcore/hsm/seal/sealtest"
	"trustcore/internal/fetch"
)

// scene is an authority, a gatherer that trusts its root, and signers of the CA of which one is asked about by OCSP
// alone, one by lists.
type scene struct {
	*sealtest.Authority
	gatherer       *gather.Gatherer
	byOCSP, byList sealtest.Identity
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Authority: sealtest.New(t)}
	s.gatherer = s.trusting(t, gather.Config{})
	s.byOCSP = s.Issue(t, s.CA, "seal", "By OCSP", sealtest.NewKey(t, "P-256"),
		func(c *x509.Certificate) { c.CRLDistributionPoints = nil })
	s.byList = s.Issue(t, s.CA, "seal", "By list", sealtest.NewKey(t, "P-256"),
		func(c *x509.Certificate) { c.OCSPServer = nil })
	return s
}

func (s *scene) trusting(t *testing.T, cfg gather.Config) *gather.Gatherer {
	t.Helper()
	cfg.Anchors, cfg.Strangers = []*x509.Certificate{s.Root.Certificate}, s.Strangers()
	g, err := gather.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *scene) collect(t *testing.T, g *gather.Gatherer, c *x509.Certificate) error {
	t.Helper()
	_, err := g.Collect(t.Context(), [][]byte{c.Raw}, nil)
	return err
}

func refused(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v; want %q", name, err, want)
	}
}

// TestWhatIsGathered: the chain up to the anchor, an answer for each certificate below it, and the responder's
// certificate.
func TestWhatIsGathered(t *testing.T) {
	s := newScene(t)
	e, err := s.gatherer.Collect(t.Context(), [][]byte{s.byOCSP.Certificate.Raw, s.byList.Certificate.Raw,
		s.byOCSP.Certificate.Raw}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.OCSPs) != 1 || len(e.CRLs) != 2 || len(e.Certificates) != 2 {
		t.Errorf("%d OCSP responses, %d lists, %d certificates; want 1, 2 (CA, root), 2 (CA, responder)",
			len(e.OCSPs), len(e.CRLs), len(e.Certificates))
	}
	if n := s.Asked("/issuer/sealtest-ca"); n != 1 {
		t.Errorf("the CA's certificate was asked for %d times", n)
	}
	if _, err := ocsp.ParseResponseForCert(e.OCSPs[0], s.byOCSP.Certificate, nil); err != nil {
		t.Error(err)
	}
}

// TestResponderThatLies: an answer of OCSP is taken for what it is worth, and nothing else tells of the certificate.
func TestResponderThatLies(t *testing.T) {
	s := newScene(t)
	elsewhere := s.Issue(t, sealtest.Identity{}, "root", "Another Root", sealtest.NewKey(t, "P-256"), nil)
	stranger := s.Issue(t, elsewhere, "responder", "Another's responder", sealtest.NewKey(t, "P-256"), nil)
	officer := s.Signer(t, "P-256", "An officer")
	late := s.Issue(t, s.CA, "responder", "Late", sealtest.NewKey(t, "P-256"),
		func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for _, lie := range []struct {
		name, want string
		change     func(*sealtest.Status)
	}{
		{"another serial number", "no response matching", func(r *sealtest.Status) { r.SerialNumber = big.NewInt(7) }},
		{"another issuer", "about a certificate of another issuer",
			func(r *sealtest.Status) { r.Issuer = elsewhere.Certificate }},
		{"nobody's responder", "to whom the issuer gave no certificate", func(r *sealtest.Status) { r.By = stranger }},
		{"a seal's certificate", "whom the issuer did not make a responder",
			func(r *sealtest.Status) { r.By = officer }},
		{"a responder of the past", "the responder's certificate is valid from",
			func(r *sealtest.Status) { r.By = late }},
		{"a signature of nobody", "the issuer's signature", func(r *sealtest.Status) { r.By, r.Bare = officer, true }},
		{"stale", "it counted until", func(r *sealtest.Status) {
			r.ThisUpdate, r.NextUpdate = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}},
		{"old and without an end", "does not say how long it counts", func(r *sealtest.Status) {
			r.ThisUpdate, r.NextUpdate = time.Now().Add(-2*time.Hour), time.Time{}
		}},
		{"of the future", "it is of the future", func(r *sealtest.Status) { r.ThisUpdate = time.Now().Add(time.Hour) }},
		{"unknown", "does not know the certificate", func(r *sealtest.Status) { r.Response.Status = ocsp.Unknown }},
		{"revoked", "the certificate is revoked", func(r *sealtest.Status) {
			r.Response.Status,
				r.RevokedAt = ocsp.Revoked, time.Now()
		}},
	} {
		s.Status = lie.change
		refused(t, lie.name, s.collect(t, s.gatherer, s.byOCSP.Certificate), lie.want)
	}
	s.Status = func(r *sealtest.Status) { r.By = s.CA } // the issuer itself may
	if err := s.collect(t, s.gatherer, s.byOCSP.Certificate); err != nil {
		t.Errorf("the issuer's own answer: %v", err)
	}
}

// scopeOf is an IssuingDistributionPoint.
func scopeOf(t *testing.T, v any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: der}
}

// pointOf is a DistributionPointName with an address.
func pointOf(address string) asn1.RawValue {
	uri, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(address)})
	full, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: uri})
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: full}
}

// TestListThatLies does the same with revocation lists.
func TestListThatLies(t *testing.T) {
	s := newScene(t)
	officer := s.Signer(t, "P-256", "An officer")
	type users struct {
		Yes bool `asn1:"tag:2"`
	}
	type indirect struct {
		Yes bool `asn1:"tag:4"`
	}
	type point struct{ Point asn1.RawValue }
	for _, lie := range []struct {
		name, want string
		change     func(*x509.RevocationList, *sealtest.Identity)
	}{
		{"another's", "it is the list of", func(_ *x509.RevocationList, by *sealtest.Identity) { *by = s.Root }},
		{"signed by another", "the issuer's signature", func(_ *x509.RevocationList, by *sealtest.Identity) {
			*by = sealtest.Identity{Key: officer.Key, Certificate: s.named(t, officer)}
		}},
		{"stale", "it counted until", func(l *x509.RevocationList, _ *sealtest.Identity) {
			l.ThisUpdate, l.NextUpdate = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}},
		{"of the future", "it is of the future", func(l *x509.RevocationList,
			_ *sealtest.Identity) {
			l.ThisUpdate = time.Now().Add(time.Hour / 2)
		}},
		{"too long", "come into a seal", func(l *x509.RevocationList, _ *sealtest.Identity) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 5<<20)}}
		}},
		{"a delta", "critical extension 2.5.29.27", func(l *x509.RevocationList, _ *sealtest.Identity) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true,
				Value: []byte{2, 1, 1}}}
		}},
		{"of CAs alone", "it leaves out certificates like this one",
			func(l *x509.RevocationList, _ *sealtest.Identity) {
				l.ExtraExtensions = []pkix.Extension{scopeOf(t, users{true})}
			}},
		{"of other issuers", "of other issuers", func(l *x509.RevocationList, _ *sealtest.Identity) {
			l.ExtraExtensions = []pkix.Extension{scopeOf(t, indirect{true})}
		}},
		{"of another point", "the list of another distribution point",
			func(l *x509.RevocationList, _ *sealtest.Identity) {
				l.ExtraExtensions = []pkix.Extension{scopeOf(t, point{pointOf("http://elsewhere.example/crl")})}
			}},
		{"revoked", "the certificate is revoked", func(l *x509.RevocationList, _ *sealtest.Identity) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: s.byList.Certificate.SerialNumber,
				RevocationTime: time.Now()}}
		}},
	} {
		s.List = func(l *x509.RevocationList, by *sealtest.Identity) {
			if by.Certificate.Equal(s.CA.Certificate) {
				lie.change(l, by)
			}
		}
		refused(t, lie.name, s.collect(t, s.gatherer, s.byList.Certificate), lie.want)
	}
	s.List = func(l *x509.RevocationList, by *sealtest.Identity) {
		if by.Certificate.Equal(s.CA.Certificate) {
			l.ExtraExtensions = []pkix.Extension{scopeOf(t,
				point{pointOf(s.byList.Certificate.CRLDistributionPoints[0])})}
		}
	}
	if err := s.collect(t, s.gatherer, s.byList.Certificate); err != nil {
		t.Errorf("the list of the certificate's own point: %v", err)
	}
}

// named is a certificate of the CA's name for another key.
func (s *scene) named(t *testing.T, other sealtest.Identity) *x509.Certificate {
	t.Helper()
	return s.Issue(t, s.Root, "ca", s.CA.Certificate.Subject.CommonName, other.Key, nil).Certificate
}

// TestOneSourceAfterTheOther: what one source does not tell another may; that a certificate is revoked ends the search.
func TestOneSourceAfterTheOther(t *testing.T) {
	s := newScene(t)
	both := s.Signer(t, "P-256", "Both")
	s.Status = func(r *sealtest.Status) { r.SerialNumber = big.NewInt(7) }
	if err := s.collect(t, s.gatherer, both.Certificate); err != nil {
		t.Errorf("a list after a responder that lies: %v", err)
	}
	s.Status = nil
	s.Revoke(both.Certificate)
	asked := s.Asked("/crl/sealtest-ca")
	if err := s.collect(t, s.gatherer, both.Certificate); !errors.Is(err, gather.ErrRevoked) {
		t.Errorf("got %v", err)
	}
	if s.Asked("/crl/sealtest-ca") != asked {
		t.Error("a list was asked for though the responder had said that the certificate is revoked")
	}
	address := s.URL + "/ocsp"
	core, err := fetch.Configured(fetch.Config{}, address)
	if err != nil {
		t.Fatal(err)
	}
	g := s.trusting(t, gather.Config{Responder: address, Core: core})
	if err := s.collect(t, g, s.byList.Certificate); err != nil {
		t.Errorf("the configured responder: %v", err)
	}
}

// TestChainsThatEndNowhere: a chain that leads to no anchor, one whose issuer nobody has, a certificate out of its
// time.
func TestChainsThatEndNowhere(t *testing.T) {
	s := newScene(t)
	elsewhere := s.Issue(t, sealtest.Identity{}, "root", "Another Root", sealtest.NewKey(t, "P-256"), nil)
	foreign := s.Issue(t, elsewhere, "seal", "Foreign", sealtest.NewKey(t, "P-256"), nil)
	refused(t, "no issuer", s.collect(t, s.gatherer, foreign.Certificate), "is not at hand")
	refused(t, "another root", s.collect(t, s.gatherer, elsewhere.Certificate), "none of the anchors")
	over := s.Issue(t, s.CA, "seal", "Over", sealtest.NewKey(t, "P-256"),
		func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	refused(t, "expired", s.collect(t, s.gatherer, over.Certificate), "not now")
	mute := s.Issue(t, s.CA, "seal", "Mute", sealtest.NewKey(t, "P-256"), func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = nil, nil
	})
	refused(t, "no source", s.collect(t, s.gatherer, mute.Certificate), "it names no responder")
	g, err := gather.New(gather.Config{Anchors: []*x509.Certificate{s.Root.Certificate},
		Strangers: fetch.New(fetch.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Collect(t.Context(), [][]byte{s.byOCSP.Certificate.Raw}, [][]byte{s.CA.Certificate.Raw})
	refused(t, "a private address in a certificate", err, fetch.ErrForbidden.Error())
}

// TestConfigIsChecked: a gatherer without what it needs is none.
func TestConfigIsChecked(t *testing.T) {
	s := newScene(t)
	anchors, strangers := []*x509.Certificate{s.Root.Certificate}, s.Strangers()
	for want, cfg := range map[string]gather.Config{
		"Anchors are missing":  {Strangers: strangers},
		"Strangers is missing": {Anchors: anchors},
		"Core is missing":      {Anchors: anchors, Strangers: strangers, Responder: "http://core.example/ocsp"},
	} {
		_, err := gather.New(cfg)
		refused(t, want, err, want)
	}
}
