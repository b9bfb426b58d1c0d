package pki_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/pkitest"
)

// openssl runs the stock program and returns what it says; ok is its exit status.
func openssl(t *testing.T, args ...string) (text string, ok bool) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed (apt-get install openssl)")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err == nil
}

// stranger is what a relying party has: files with certificates and lists, fetched from the places that certificates name.
type stranger struct {
	root, issuing, lists string
}

func (s *site) stranger(t *testing.T, leaf *x509.Certificate) stranger {
	t.Helper()
	fetch := func(address string) []byte {
		response, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		return body(t, response)
	}
	issuing, err := x509.ParseCertificate(fetch(leaf.IssuingCertificateURL[0]))
	if err != nil {
		t.Fatal(err)
	}
	return stranger{
		root:    pkitest.WritePEM(t, "CERTIFICATE", fetch(issuing.IssuingCertificateURL[0])),
		issuing: pkitest.WritePEM(t, "CERTIFICATE", issuing.Raw),
		lists:   pkitest.WritePEM(t, "X509 CRL", fetch(leaf.CRLDistributionPoints[0]), fetch(issuing.CRLDistributionPoints[0])),
	}
}

func testOpenSSLVerifiesChainsWithLists(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	purposes := map[pki.Profile]string{pki.PartnerClient: "sslclient", pki.DaemonServer: "sslserver", pki.TimeStamping: "timestampsign", pki.Seal: "any"}
	for kind, purpose := range purposes {
		subject := pki.Subject{Partner: "p", CommonName: "x"}
		if kind == pki.DaemonServer {
			subject.DNS = []string{"gateway.internal"}
		}
		leaf := s.issue(t, kind, subject)
		file := pkitest.WritePEM(t, "CERTIFICATE", leaf.Raw)
		check := func() (string, bool) {
			with := s.stranger(t, leaf)
			return openssl(t, "verify", "-x509_strict", "-crl_check_all", "-purpose", purpose, "-CAfile", with.root, "-untrusted", with.issuing,
				"-CRLfile", with.lists, file)
		}
		if text, ok := check(); !ok {
			t.Errorf("%s: %s", kind, text)
		}
		if err := s.revoke(t, hexOf(leaf), pki.Superseded, "o"); err != nil {
			t.Fatal(err)
		}
		if text, ok := check(); ok || !strings.Contains(text, "certificate revoked") {
			t.Errorf("%s: revoked, and openssl says %s", kind, text)
		}
	}
}

func TestOpenSSLReadsTheList(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	leaf := s.issue(t, pki.PartnerClient, office)
	if err := s.revoke(t, hexOf(leaf), pki.KeyCompromise, "o"); err != nil {
		t.Fatal(err)
	}
	with := s.stranger(t, leaf)
	text, ok := openssl(t, "crl", "-in", with.lists, "-noout", "-text", "-CAfile", with.issuing)
	for _, want := range []string{"verify OK", "X509v3 CRL Number", "X509v3 Authority Key Identifier", "Key Compromise", "Next Update",
		strings.ToUpper(hexOf(leaf))} {
		if !ok || !strings.Contains(text, want) {
			t.Errorf("openssl crl does not say %q:\n%s", want, text)
		}
	}
}

func testOpenSSLAsksTheResponder(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	leaf := s.issue(t, pki.PartnerClient, office)
	file := pkitest.WritePEM(t, "CERTIFICATE", leaf.Raw)
	for _, want := range []string{": good", ": revoked"} {
		with := s.stranger(t, leaf)
		for _, nonce := range []string{"-nonce", "-no_nonce"} {
			text, ok := openssl(t, "ocsp", "-sha256", nonce, "-url", leaf.OCSPServer[0], "-CAfile", with.root, "-issuer", with.issuing,
				"-verify_other", with.issuing, "-cert", file)
			if !ok || !strings.Contains(text, "Response verify OK") || !strings.Contains(text, want) || strings.Contains(text, "WARNING") {
				t.Errorf("%s: want %q\n%s", nonce, want, text)
			}
		}
		if want == ": good" {
			if err := s.revoke(t, hexOf(leaf), pki.KeyCompromise, "o"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func testOpenSSLTimeStamps(t *testing.T, databaseURL string) {
	s := open(t, databaseURL)
	dir := t.TempDir()
	document, query, reply := filepath.Join(dir, "document"), filepath.Join(dir, "query"), filepath.Join(dir, "reply")
	if err := os.WriteFile(document, []byte("Zlecenie uruchomienia nr 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := pkitest.WritePEM(t, "CERTIFICATE", s.made.Root.Certificate.Raw)
	issuing := pkitest.WritePEM(t, "CERTIFICATE", s.made.Issuing.Certificate.Raw, s.made.TimeStamping.Certificate.Raw)
	for _, options := range [][]string{{"-sha256", "-cert"}, {"-sha384", "-cert"}, {"-sha512", "-cert", "-no_nonce"}, {"-sha256"},
		{"-sha3-256", "-cert"}, {"-sha256", "-cert", "-tspolicy", pki.DefaultTSAPolicy}} {
		if text, ok := openssl(t, append([]string{"ts", "-query", "-data", document, "-out", query}, options...)...); !ok {
			t.Fatal(text)
		}
		stamp(t, s, query, reply)
		text, ok := openssl(t, "ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", root, "-untrusted", issuing)
		if !ok || !strings.Contains(text, "Verification: OK") {
			t.Errorf("%v: %s", options, text)
		}
	}
	for want, options := range map[string][]string{"unrecognized or unsupported algorithm": {"-sha1"}, "requested TSA policy is not supported": {"-sha256", "-tspolicy", "1.2.3"}} {
		if text, ok := openssl(t, append([]string{"ts", "-query", "-data", document, "-out", query}, options...)...); !ok {
			t.Fatal(text)
		}
		stamp(t, s, query, reply)
		if text, ok := openssl(t, "ts", "-reply", "-in", reply, "-text"); !ok || !strings.Contains(text, want) {
			t.Errorf("%v: want %q\n%s", options, want, text)
		}
	}
	var count int
	if err := s.db.QueryRow(`SELECT COUNT(*) FROM pki_timestamp`).Scan(&count); err != nil || count != 6 {
		t.Errorf("%d time-stamps are journalled, %v", count, err)
	}
}

func stamp(t *testing.T, s *site, query, reply string) {
	t.Helper()
	der, err := os.ReadFile(query)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.base+"/tsa", "application/timestamp-query", bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(reply, body(t, response), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRequestsOfOpenSSL issues for requests as an office makes them, RSA among them.
func TestRequestsOfOpenSSL(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	for _, newkey := range [][]string{{"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, {"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, {"rsa:3072"}} {
		file := filepath.Join(t.TempDir(), "request.pem")
		args := append([]string{"req", "-new", "-nodes", "-keyout", filepath.Join(t.TempDir(), "key.pem"), "-subj", "/CN=" + office.CommonName, "-utf8",
			"-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=clientAuth", "-out", file, "-newkey"}, newkey...)
		if text, ok := openssl(t, args...); !ok {
			t.Fatal(text)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := s.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "order-7")
		if err != nil {
			t.Fatal(err)
		}
		text2, ok := openssl(t, "x509", "-in", pkitest.WritePEM(t, "CERTIFICATE", leaf.Raw), "-noout", "-text", "-nameopt", "utf8")
		for _, want := range []string{"CN=" + office.CommonName, "O=" + office.Partner, "CA:FALSE", "TLS Web Client Authentication", "Digital Signature", "OCSP - URI:" + s.base + "/ocsp"} {
			if !ok || !strings.Contains(text2, want) {
				t.Errorf("openssl x509 does not say %q:\n%s", want, text2)
			}
		}
	}
}

// BenchmarkIssue is Issue with audit entry and SQLite, against the signature of a certificate alone.
func BenchmarkIssue(b *testing.B) {
	s := open(b, storetest.SQLite(b))
	csr := request(b, newKey(b), x509.CertificateRequest{})
	b.Run("issue", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := s.ca.Issue(b.Context(), audit.Actor{Kind: "daemon", ID: "bench"}, pki.PartnerClient, csr, office, ""); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
	})
	b.Run("x509", func(b *testing.B) {
		leaf := s.issue(b, pki.PartnerClient, office)
		for b.Loop() {
			if _, err := x509.CreateCertificate(rand.Reader, leaf, s.made.Issuing.Certificate, leaf.PublicKey, s.made.Issuing.Key); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
	})
}
