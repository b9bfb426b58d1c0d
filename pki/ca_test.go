package pki_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
	"trustcore/pki/pkitest"
)

var officer = audit.Actor{Kind: "officer", ID: "officer-1"}

// signingKey is the issuing authority's key; it counts its signatures and fails while it is away.
type signingKey struct {
	crypto.Signer
	signed atomic.Int64
	away   atomic.Bool
	during func() // optional: what happens while it signs
}

func (k *signingKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.away.Load() {
		return nil, errors.New("the token is away")
	}
	k.signed.Add(1)
	if k.during != nil {
		k.during()
	}
	return k.Signer.Sign(rand, digest, opts)
}

// site is an authority with its address, made by the default ceremony.
type site struct {
	made     *ceremony.Result
	key      *signingKey
	log      *audit.Log
	closeLog func() error
	db       *store.DB
	ca       *pki.CA
	server   *httptest.Server
	base     string
}

// open makes the address first: certificates carry it.
func open(t testing.TB, databaseURL string) *site {
	t.Helper()
	s := &site{}
	var handler atomic.Pointer[http.Handler]
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(s.server.Close)
	s.base = s.server.URL + "/pki"
	s.made = pkitest.Perform(t, s.base)
	s.key = &signingKey{Signer: s.made.Issuing.Key}
	s.db = openStore(t, databaseURL)
	var err error
	s.openLog(t)
	if s.ca, err = pki.New(t.Context(), s.config()); err != nil {
		t.Fatal(err)
	}
	answers := s.ca.Handler()
	handler.Store(&answers)
	return s
}

// openLog opens an audit log that is closed with the test, or before by closeLog.
func (s *site) openLog(t testing.TB) {
	t.Helper()
	var err error
	if s.log, err = audit.Open(t.Context(), audit.Config{Dir: audittest.Dir(t)}); err != nil {
		t.Fatal(err)
	}
	s.closeLog = sync.OnceValue(func() error { return s.log.Close(context.Background()) })
	t.Cleanup(func() {
		if err := s.closeLog(); err != nil {
			t.Error(err)
		}
	})
}

func openStore(t testing.TB, databaseURL string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (s *site) config() pki.Config {
	return pki.Config{DB: s.db, Audit: s.log, Roots: []pki.Root{{Certificate: s.made.Root.Certificate, List: s.made.RootCRL}},
		Issuers: []pki.Issuer{{Certificate: s.made.Issuing.Certificate, Key: s.key,
			OCSP: pki.Delegate{Certificate: s.made.OCSP.Certificate, Key: s.made.OCSP.Key}}},
		TSA:     pki.Delegate{Certificate: s.made.TimeStamping.Certificate, Key: s.made.TimeStamping.Key},
		BaseURL: s.base, Logger: slog.New(slog.DiscardHandler)}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(t testing.TB, key crypto.Signer, template x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

var office = pki.Subject{Partner: "urzad-przykladowo", CommonName: "Urząd Miasta Przykładowo"}

func (s *site) issue(t testing.TB, kind pki.Profile, subject pki.Subject) *x509.Certificate {
	t.Helper()
	certificate, err := s.ca.Issue(t.Context(), officer, kind, request(t, newKey(t), x509.CertificateRequest{}), subject, "order-7")
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (s *site) revoke(t testing.TB, serial string, reason pki.Reason, order string) error {
	t.Helper()
	_, err := s.ca.Revoke(t.Context(), officer, pki.Selector{Serial: serial}, reason, order)
	return err
}

func hexOf(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

// status asks the responder by GET and POST and returns the status on which both agree.
func (s *site) status(t testing.TB, certificate *x509.Certificate) int {
	t.Helper()
	der, err := codes.CreateRequest(certificate, s.made.Issuing.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	byPost, err := http.Post(certificate.OCSPServer[0], "application/ocsp-request", strings.NewReader(string(der)))
	if err != nil {
		t.Fatal(err)
	}
	byGet, err := http.Get(certificate.OCSPServer[0] + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(der)))
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, response := range []*http.Response{byPost, byGet} {
		answer, err := codes.ParseResponseForCert(body(t, response), certificate, s.made.Issuing.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, answer.Status)
	}
	if found[0] != found[1] {
		t.Errorf("POST says %d, GET %d", found[0], found[1])
	}
	return found[0]
}

func body(t testing.TB, response *http.Response) []byte {
	t.Helper()
	data, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *site) list(t testing.TB, name string) *x509.RevocationList {
	t.Helper()
	response, err := http.Get(s.base + "/crl/" + name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(body(t, response))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func lists(list *x509.RevocationList, serial *big.Int) bool {
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 })
}

func TestIssueEveryProfile(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	host := pki.Subject{CommonName: "gateway", DNS: []string{"gateway.internal"}, IPs: []net.IP{net.IPv4(10, 20, 0, 1)}}
	for _, c := range []struct {
		kind    pki.Profile
		subject pki.Subject
		eku     []x509.ExtKeyUsage
	}{
		{pki.DaemonServer, host, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
		{pki.DaemonClient, pki.Subject{CommonName: "ezd"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{pki.PartnerClient, office, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{pki.Officer, pki.Subject{CommonName: "officer-1"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{pki.Seal, office, nil},
		{pki.OCSPResponder, pki.Subject{CommonName: "OCSP 2"}, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}},
		{pki.TimeStamping, pki.Subject{CommonName: "TSU 2"}, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}},
	} {
		certificate := s.issue(t, c.kind, c.subject)
		if certificate.IsCA || !slices.Equal(certificate.ExtKeyUsage, c.eku) || certificate.Subject.CommonName != c.subject.CommonName {
			t.Errorf("%s: CA %v, purposes %v, subject %v", c.kind, certificate.IsCA, certificate.ExtKeyUsage, certificate.Subject)
		}
		if !slices.Equal(certificate.DNSNames, c.subject.DNS) || len(certificate.IPAddresses) != len(c.subject.IPs) {
			t.Errorf("%s: names %v %v", c.kind, certificate.DNSNames, certificate.IPAddresses)
		}
		found, err := s.ca.Certificate(t.Context(), hexOf(certificate))
		if err != nil || found.State != pki.Valid || found.Profile != c.kind || found.Order != "order-7" || found.Actor != officer || found.Partner != c.subject.Partner {
			t.Errorf("%s: inventory has %+v, %v", c.kind, found, err)
		}
		if c.kind != pki.OCSPResponder && s.status(t, certificate) != codes.Good {
			t.Errorf("%s: not good", c.kind)
		}
	}
}

func TestBadRequestsAreRefusedWithFieldAndRemedy(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	key := newKey(t)
	forged := request(t, key, x509.CertificateRequest{})
	forged.Signature = slices.Clone(forged.Signature)
	forged.Signature[len(forged.Signature)-1] ^= 1
	extension := func(oid asn1.ObjectIdentifier, value any) x509.CertificateRequest {
		der, err := asn1.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: oid, Value: der}}}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(template x509.CertificateRequest) *x509.CertificateRequest { return request(t, key, template) }
	plain := ask(x509.CertificateRequest{})
	host := pki.Subject{CommonName: "gateway", DNS: []string{"gateway.internal"}}
	for _, c := range []struct {
		name, field string
		kind        pki.Profile
		csr         *x509.CertificateRequest
		subject     pki.Subject
	}{
		{"no request", "request", pki.PartnerClient, nil, office},
		{"unknown profile", "profile", "wizard", plain, office},
		{"a ceremony's profile", "profile", "issuing", plain, office},
		{"wrong signature", "signature", pki.PartnerClient, forged, office},
		{"RSA of 1024 bits", "public key", pki.PartnerClient, weakRSA(t, "1024"), office},
		{"RSA of 2048 bits", "public key", pki.PartnerClient, weakRSA(t, "2048"), office},
		{"P-224", "public key", pki.PartnerClient, request(t, p224, x509.CertificateRequest{}), office},
		{"CA:TRUE", "basic constraints", pki.PartnerClient, ask(extension(asn1.ObjectIdentifier{2, 5, 29, 19}, struct{ CA bool }{true})), office},
		{"keyCertSign", "key usage", pki.PartnerClient, ask(extension(asn1.ObjectIdentifier{2, 5, 29, 15}, asn1.BitString{Bytes: []byte{0x04}, BitLength: 6})), office},
		{"serverAuth", "extended key usage", pki.PartnerClient, ask(extension(asn1.ObjectIdentifier{2, 5, 29, 37}, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}})), office},
		{"anyExtendedKeyUsage", "extended key usage", pki.PartnerClient, ask(extension(asn1.ObjectIdentifier{2, 5, 29, 37}, []asn1.ObjectIdentifier{{2, 5, 29, 37, 0}})), office},
		{"name constraints", "extensions", pki.PartnerClient, ask(extension(asn1.ObjectIdentifier{2, 5, 29, 30}, struct{}{})), office},
		{"another common name", "common name", pki.PartnerClient, ask(x509.CertificateRequest{Subject: pkix.Name{CommonName: "Urząd Wojewódzki"}}), office},
		{"a name beside the order", "names", pki.DaemonServer, ask(x509.CertificateRequest{DNSNames: []string{"gateway.internal", "bank.example"}}), host},
		{"an address beside the order", "names", pki.DaemonServer, ask(x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4(1, 1, 1, 1)}}), host},
		{"an e-mail address", "names", pki.DaemonServer, ask(x509.CertificateRequest{EmailAddresses: []string{"a@b.example"}}), host},
		{"a URI", "names", pki.DaemonServer, ask(x509.CertificateRequest{URIs: []*url.URL{{Scheme: "https", Host: "x"}}}), host},
		{"a wildcard in the order", "names", pki.DaemonServer, plain, pki.Subject{CommonName: "x", DNS: []string{"*.internal"}}},
		{"an upper-case name in the order", "names", pki.DaemonServer, plain, pki.Subject{CommonName: "x", DNS: []string{"Gateway"}}},
		{"an address as a name", "names", pki.DaemonServer, plain, pki.Subject{CommonName: "x", DNS: []string{"10.0.0.1"}}},
		{"a server without a host", "names", pki.DaemonServer, plain, pki.Subject{CommonName: "x"}},
		{"a partner with a host", "names", pki.PartnerClient, plain, pki.Subject{Partner: "p", CommonName: "x", DNS: []string{"x"}}},
		{"a partner without a partner", "partner", pki.PartnerClient, plain, pki.Subject{CommonName: "x"}},
		{"a partner's server without a partner", "partner", pki.PartnerServer, plain, pki.Subject{CommonName: "x", DNS: []string{"x.example"}}},
		{"no common name", "common name", pki.Officer, plain, pki.Subject{}},
		{"a control character", "common name", pki.Officer, plain, pki.Subject{CommonName: "a\x00b"}},
		{"a turned direction", "common name", pki.Officer, plain, pki.Subject{CommonName: "a\u202eb"}},
		{"a partner in two lines", "partner", pki.PartnerClient, plain, pki.Subject{Partner: "a\u2028b", CommonName: "x"}},
		{"the authority's own key", "public key", pki.Officer, request(t, s.made.OCSP.Key, x509.CertificateRequest{}), pki.Subject{CommonName: "x"}},
	} {
		before := s.key.signed.Load()
		_, err := s.ca.Issue(t.Context(), officer, c.kind, c.csr, c.subject, "order-7")
		var refused *pki.RequestError
		if !errors.As(err, &refused) || refused.Field != c.field || refused.Remedy == "" {
			t.Errorf("%s: want a refusal of %q, got %v", c.name, c.field, err)
		}
		if s.key.signed.Load() != before {
			t.Errorf("%s: a signature was spent", c.name)
		}
	}
}

func TestKeyHasOneHolderAndOnePurpose(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	csr := request(t, newKey(t), x509.CertificateRequest{})
	first, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "order-7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "order-8"); err != nil {
		t.Errorf("renewal with the same key: %v", err)
	}
	other := pki.Subject{Partner: "starostwo", CommonName: "Starostwo"}
	for want, do := range map[string]func() error{
		"another partner": func() error {
			_, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, other, "order-9")
			return err
		},
		"profile partner-client": func() error {
			_, err := s.ca.Issue(t.Context(), officer, pki.Seal, csr, office, "order-9")
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if err := s.revoke(t, hexOf(first), pki.KeyCompromise, "order-9"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "order-9"); err == nil || !strings.Contains(err.Error(), "compromised") {
		t.Errorf("a compromised key: %v", err)
	}
}

func testRevokeIsSeenAtOnce(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	certificate := s.issue(t, pki.PartnerClient, office)
	before := s.list(t, "issuing.crl")
	if s.status(t, certificate) != codes.Good || s.ca.Revoked(certificate.SerialNumber) || lists(before, certificate.SerialNumber) {
		t.Fatal("revoked before it is")
	}
	for range 2 { // the second time nothing happens
		if err := s.revoke(t, hexOf(certificate), pki.CessationOfOperation, "order-8"); err != nil {
			t.Fatal(err)
		}
	}
	after := s.list(t, "issuing.crl")
	if s.status(t, certificate) != codes.Revoked || !s.ca.Revoked(certificate.SerialNumber) || !lists(after, certificate.SerialNumber) {
		t.Error("not revoked everywhere")
	}
	if after.Number.Cmp(new(big.Int).Add(before.Number, big.NewInt(1))) != 0 || len(after.RevokedCertificateEntries) != 1 {
		t.Errorf("number %v after %v, %d entries", after.Number, before.Number, len(after.RevokedCertificateEntries))
	}
	if err := after.CheckSignatureFrom(s.made.Issuing.Certificate); err != nil {
		t.Error(err)
	}
	found, err := s.ca.Certificate(t.Context(), hexOf(certificate))
	if err != nil || found.State != pki.Revoked || found.Reason != pki.CessationOfOperation || found.RevokedAt.IsZero() {
		t.Errorf("%+v, %v", found, err)
	}
	entries, err := auditOf(t, s, hexOf(certificate))
	if err != nil || len(entries) != 2 || entries[0].Action != "certificate.issue" || entries[1].Action != "certificate.revoke" || entries[1].Order != "order-8" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}

// auditOf closes the log, so that its checkpoint covers all, and reads it.
func auditOf(t *testing.T, s *site, subject string) ([]audit.Recorded, error) {
	t.Helper()
	if err := s.closeLog(); err != nil {
		t.Fatal(err)
	}
	return s.log.List(t.Context(), audit.Filter{Subject: subject})
}

func TestRevokeRefusals(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	certificate := s.issue(t, pki.PartnerClient, office)
	for _, serial := range []string{"zz", "00", "0" + hexOf(certificate), "77", hexSerial(s.made.Issuing.Certificate)} {
		if err := s.revoke(t, serial, pki.Unspecified, "o"); !errors.Is(err, pki.ErrUnknownCertificate) {
			t.Errorf("%q: %v", serial, err)
		}
	}
	var refused *pki.RequestError
	for _, reason := range []pki.Reason{2, 6, 7, 8, 10, -1} {
		if err := s.revoke(t, hexOf(certificate), reason, "o"); !errors.As(err, &refused) || refused.Field != "reason" {
			t.Errorf("reason %d: %v", reason, err)
		}
	}
}

// TestPreviewIsWhatHappens holds the preview of each word against what is changed.
func TestPreviewIsWhatHappens(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	first := s.issue(t, pki.PartnerClient, office)
	s.issue(t, pki.PartnerClient, office)
	all, one := pki.Selector{Partner: office.Partner}, pki.Selector{Serial: hexOf(first)}
	say := func(which pki.Selector, reason pki.Reason) ([]pki.Certificate, error) {
		switch reason {
		case pki.CertificateHold:
			return s.ca.Suspend(t.Context(), officer, which, "")
		case pki.RemoveFromCRL:
			return s.ca.Release(t.Context(), officer, which, "")
		}
		return s.ca.Revoke(t.Context(), officer, which, reason, "")
	}
	for i, c := range []struct {
		which  pki.Selector
		reason pki.Reason
		want   int
	}{
		{all, pki.RemoveFromCRL, 0}, {one, pki.CertificateHold, 1}, {one, pki.CertificateHold, 0}, {all, pki.RemoveFromCRL, 1},
		{one, pki.Superseded, 1}, {one, pki.Superseded, 0}, {all, pki.CertificateHold, 1}, {all, pki.CessationOfOperation, 1},
		{one, pki.KeyCompromise, 1}, {all, pki.KeyCompromise, 1}, {all, pki.RemoveFromCRL, 0},
	} {
		before, err := s.ca.Preview(t.Context(), c.which, c.reason)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := say(c.which, c.reason)
		if err != nil {
			t.Fatal(err)
		}
		if len(before) != c.want || len(changed) != c.want {
			t.Errorf("%d: %d were foretold, %d changed, want %d", i, len(before), len(changed), c.want)
		}
	}
	var refused *pki.RequestError
	if _, err := s.ca.Preview(t.Context(), pki.Selector{}, pki.Superseded); !errors.As(err, &refused) {
		t.Errorf("nothing chosen: %v", err)
	}
	if _, err := s.ca.Preview(t.Context(), pki.Selector{Serial: "77"}, pki.Superseded); !errors.Is(err, pki.ErrUnknownCertificate) {
		t.Errorf("unknown: %v", err)
	}
}

func hexSerial(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

func TestNothingIsSignedWithoutItsAuditEntry(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	certificate := s.issue(t, pki.PartnerClient, office)
	if err := s.closeLog(); err != nil {
		t.Fatal(err)
	}
	before := s.key.signed.Load()
	if _, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, newKey(t), x509.CertificateRequest{}), office, "o"); err == nil {
		t.Error("issued without an audit entry")
	}
	if err := s.revoke(t, hexOf(certificate), pki.Unspecified, "o"); err == nil || s.ca.Revoked(certificate.SerialNumber) {
		t.Errorf("revoked without an audit entry: %v", err)
	}
	if s.key.signed.Load() != before {
		t.Error("a signature was made")
	}
}

func TestKeyAway(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	certificate := s.issue(t, pki.PartnerClient, office)
	s.key.away.Store(true)
	if _, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, newKey(t), x509.CertificateRequest{}), office, "o"); !errors.Is(err, pki.ErrUnavailable) {
		t.Errorf("issue: %v", err)
	}
	reserved, err := s.ca.Certificates(t.Context(), pki.Filter{State: pki.Reserved})
	if err != nil || len(reserved) != 1 {
		t.Errorf("%d reserved serial numbers, %v", len(reserved), err)
	}
	if err := s.revoke(t, hexOf(certificate), pki.KeyCompromise, "o"); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if s.status(t, certificate) != codes.Revoked {
		t.Error("the delegate does not answer while the issuing key is away")
	}
	if lists(s.list(t, "issuing.crl"), certificate.SerialNumber) {
		t.Error("a list without a key")
	}
	s.key.away.Store(false)
	run(t, s.ca)
	eventually(t, "the list follows when the key is back", func() bool { return lists(s.list(t, "issuing.crl"), certificate.SerialNumber) })
}

// run runs the authority until the test ends.
func run(t *testing.T, ca *pki.CA) {
	t.Helper()
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { done <- ca.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // polls a condition, orders nothing
	}
}

func testTwoNodesAndARestart(t *testing.T, databaseURL string) {
	one := open(t, databaseURL)
	certificate := one.issue(t, pki.PartnerClient, office)
	two := &site{made: one.made, key: one.key, db: openStore(t, databaseURL), base: one.base}
	var err error
	two.openLog(t)
	if two.ca, err = pki.New(t.Context(), two.config()); err != nil {
		t.Fatal(err)
	}
	run(t, two.ca)
	late := one.issue(t, pki.PartnerClient, office) // after the second node has loaded
	if err := one.revoke(t, hexOf(certificate), pki.Superseded, "o"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second node knows", func() bool { return two.ca.Revoked(certificate.SerialNumber) })
	if err := two.revoke(t, hexOf(late), pki.Superseded, "o"); err != nil {
		t.Fatal(err)
	}
	again, err := pki.New(t.Context(), one.config())
	if err != nil {
		t.Fatal(err)
	}
	if !again.Revoked(certificate.SerialNumber) || !again.Revoked(late.SerialNumber) {
		t.Error("a restart forgot a revocation")
	}
	all, err := again.Certificates(t.Context(), pki.Filter{})
	if err != nil || len(all) != 6 { // root, issuing, OCSP, time-stamping and two of the office
		t.Errorf("%d certificates, %v", len(all), err)
	}
}

func testInventoryFilters(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	certificate := s.issue(t, pki.PartnerClient, office)
	s.issue(t, pki.DaemonServer, pki.Subject{CommonName: "gateway", DNS: []string{"gateway.internal"}})
	if err := s.revoke(t, hexOf(certificate), pki.Unspecified, "o"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter pki.Filter
		want   int
	}{
		{pki.Filter{}, 6}, {pki.Filter{Partner: office.Partner}, 1}, {pki.Filter{Order: "order-7"}, 2}, {pki.Filter{Profile: pki.DaemonServer}, 1},
		{pki.Filter{State: pki.Revoked}, 1}, {pki.Filter{State: pki.Valid}, 5}, {pki.Filter{State: pki.Expired}, 0}, {pki.Filter{State: pki.Reserved}, 0},
		{pki.Filter{ExpiresBefore: time.Now().Add(398 * 24 * time.Hour)}, 3}, {pki.Filter{Limit: 2}, 2}, {pki.Filter{Partner: "x' OR '1'='1"}, 0},
	} {
		found, err := s.ca.Certificates(t.Context(), c.filter)
		if err != nil || len(found) != c.want {
			t.Errorf("%+v: %d, want %d (%v)", c.filter, len(found), c.want, err)
		}
	}
}

func testIssueConcurrently(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	var wg sync.WaitGroup
	var mu sync.Mutex
	serials := map[string]bool{}
	for range 4 {
		wg.Go(func() {
			for range 10 {
				key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				if err != nil {
					t.Error(err)
					return
				}
				certificate, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, key, x509.CertificateRequest{}), office, "o")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				serials[hexOf(certificate)] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(serials) != 40 {
		t.Errorf("%d serial numbers", len(serials))
	}
}

func TestConfigIsRefusedWhenIncomplete(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	other := pkitest.Perform(t, s.base)
	for want, change := range map[string]func(*pki.Config){
		"DB is missing":                func(c *pki.Config) { c.DB = nil },
		"audit log is missing":         func(c *pki.Config) { c.Audit = nil },
		"root or issuing":              func(c *pki.Config) { c.Roots[0].Certificate = nil },
		"key of the issuing authority": func(c *pki.Config) { c.Issuers[0].Key = nil },
		"delegate of the OCSP":         func(c *pki.Config) { c.Issuers[0].OCSP.Key = nil },
		"time-stamping unit has no":    func(c *pki.Config) { c.TSA.Key = nil },
		"BaseURL":                      func(c *pki.Config) { c.BaseURL += "/" },
		"neither the root's CRL":       func(c *pki.Config) { c.Roots[0].List = nil },
		"is not from the root":         func(c *pki.Config) { c.Roots[0].Certificate = other.Root.Certificate },
		"issuing authority: the key":   func(c *pki.Config) { c.Issuers[0].Key = other.Issuing.Key },
		"the root's list":              func(c *pki.Config) { c.Roots[0].List = other.RootCRL },
	} {
		cfg := s.config()
		change(&cfg)
		if _, err := pki.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestRootKeyOnline(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	cfg := s.config()
	cfg.Roots[0].List, cfg.Roots[0].Key = nil, s.made.Root.Key
	cfg.Now = func() time.Time { return time.Now().AddDate(0, 0, 100) }
	if _, err := pki.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	cfg = s.config()
	ca, err := pki.New(t.Context(), cfg) // the old list from the ceremony does not come back
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	ca.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, s.base+"/crl/root.crl", nil))
	list, err := x509.ParseRevocationList(recorder.Body.Bytes())
	if err != nil || list.Number.Int64() != 2 {
		t.Errorf("the root's list has number %v, %v", list.Number, err)
	}
}

func weakRSA(t *testing.T, name string) *x509.CertificateRequest {
	t.Helper()
	der, err := os.ReadFile(filepath.Join("testdata", "rsa-"+name+".csr"))
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}
