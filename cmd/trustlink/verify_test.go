package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/chain"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
	"trustcore/vpn/office"
)

// centre is verifyd of a data centre: the real interface over TLS, which asks for the office's certificate.
type centre struct {
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	server *httptest.Server
	caller string // by the certificate of the last call
}

func startCentre(t *testing.T) *centre {
	t.Helper()
	c := &centre{}
	var err error
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err == nil {
		c.ca, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c.ca)
	handler := c.verifyd(t)
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.caller = r.TLS.PeerCertificates[0].Subject.CommonName
		handler.ServeHTTP(w, r)
	}))
	c.server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13,
		Certificates: []tls.Certificate{c.issue(t, "verifyd", x509.ExtKeyUsageServerAuth)}}
	c.server.StartTLS()
	t.Cleanup(c.server.Close)
	return c
}

// verifyd is the interface as verifyd serves it, without lists.
func (c *centre) verifyd(t *testing.T) http.Handler {
	t.Helper()
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{National: poland.Shipped().Anchors()})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	cards, err := poland.ParseCards([]byte(`{"version": 1, "cards": [{"id": "podatki", "accepts": ["qualified"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Config{Judge: v.Verify, Cards: func() poland.Cards { return cards }, Name: "Centrum danych",
		Certificate: func(context.Context, api.CertificateQuestion) (*chain.Report, error) {
			return nil, errors.New("nobody asks")
		},
		Logger: slog.New(slog.DiscardHandler), SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	door := problem.Door{Name: "api", Logger: slog.New(slog.DiscardHandler), Body: api.Bodies(100 << 20), Speak: api.Speak}
	return door.Guard(server)
}

func (c *centre) issue(t *testing.T, name string, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca, key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// office is a state folder of an office that reaches the centre under a name.
func (c *centre) office(t *testing.T, service string) string {
	t.Helper()
	s := state{t.TempDir()}
	pair := c.issue(t, "office-1", x509.ExtKeyUsageClientAuth)
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(c.server.Listener.Addr().String())
	err = errors.Join(s.write(tlsKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), s.keep(record{Enrolment: office.Enrolment{
		Partner: "office-1", Certificate: string(pemOf(pair.Certificate[0])), CA: string(pemOf(c.ca.Raw)),
		Services: []office.Service{{Name: service, Addr: address}}}}))
	if err != nil {
		t.Fatal(err)
	}
	return s.dir
}

func runVerify(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	c := newCommand()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetArgs(append([]string{"verify", "--state", dir}, args...))
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

const unsignedXML = "<pismo>Wypłacić 100 zł</pismo>"

// TestVerifyThroughTheTunnel: the data centre judges what an office sends, for who the office's certificate names;
// files, folders and services, as a table and as JSON, with the exit status of trustctl verify.
func TestVerifyThroughTheTunnel(t *testing.T) {
	c := startCentre(t)
	dir, documents := c.office(t, "verify"), t.TempDir()
	file := filepath.Join(documents, "pismo.xml")
	if err := errors.Join(os.WriteFile(file, []byte(unsignedXML), 0o600),
		os.WriteFile(filepath.Join(documents, "notatka.txt"), []byte("nic"), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, err := runVerify(t, dir, file)
	if err != error(exitCode(3)) || !strings.Contains(out, "brak podpisu") || !strings.Contains(out, "dokumentów: 1, ważnych: 0") || c.caller != "office-1" {
		t.Errorf("%v, as %q:\n%s", err, c.caller, out)
	}
	out, err = runVerify(t, dir, "--json", "--language", "en", documents)
	if err != error(exitCode(1)) || strings.Count(out, "\n") != 2 {
		t.Fatalf("%v:\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		var one struct {
			File, SHA256 string
			Error        *string
			Signatures   []any
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if judged := strings.HasSuffix(one.File, ".xml"); judged != (one.Error == nil && len(one.SHA256) == 64) {
			t.Errorf("%s", line)
		}
	}
	if out, err := runVerify(t, dir, "--service", "podatki", file); err != error(exitCode(3)) || !strings.Contains(out, "brak formalny") && !strings.Contains(out, "Brak formalny") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := runVerify(t, dir, "--service", "nieznana", file); err != error(exitCode(1)) || !strings.Contains(out, "nieznana") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestVerifyKeepsReports: the report is the data centre's own, names the document, and is written over no file.
func TestVerifyKeepsReports(t *testing.T) {
	c := startCentre(t)
	dir, documents := c.office(t, "verify"), t.TempDir()
	file, report := filepath.Join(documents, "pismo.xml"), filepath.Join(documents, "report.html")
	if err := os.WriteFile(file, []byte(unsignedXML), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runVerify(t, dir, "--report", "html", "--report-file", report, file); err != error(exitCode(3)) {
		t.Fatalf("%v:\n%s", err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil || !strings.Contains(string(text), "verifyd: Centrum danych") || !strings.Contains(string(text), "pismo.xml") {
		t.Errorf("%v %s", err, text)
	}
	if out, err := runVerify(t, dir, "--report", "html", "--report-file", report, file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := runVerify(t, dir, "--report", "pdf", "--report-file", report+".pdf", file); err != error(exitCode(3)) {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestVerifyRefuses: flags that are wrong, a data centre that offers no verifyd, and one that has another authority.
func TestVerifyRefuses(t *testing.T) {
	c := startCentre(t)
	dir := c.office(t, "verify")
	file := filepath.Join(t.TempDir(), "pismo.xml")
	if err := os.WriteFile(file, []byte(unsignedXML), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{"--language": {"--language", "de", file}, "go together": {"--report", "pdf", file},
		"no form": {"--report", "doc", "--report-file", "x", file}, "--at": {"--at", "jutro", file}, "no service": {"--verifyd", "other", file}} {
		if out, err := runVerify(t, dir, args...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q\n%s", args, err, says, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, caFile), pemOf(startCentre(t).ca.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runVerify(t, dir, file); err != error(exitCode(1)) || c.caller != "" {
		t.Errorf("another authority's verifyd: %v, it was asked by %q\n%s", err, c.caller, out)
	}
}
