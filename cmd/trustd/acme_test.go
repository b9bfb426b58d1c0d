package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	xacme "golang.org/x/crypto/acme"

	"trustcore/cmd/internal/registry"
	"trustcore/pki"
)

// inNetwork runs the test once more in a network namespace of its own, where the tunnel's addresses are this machine's. It reports
// whether it is there.
func inNetwork(t *testing.T) bool {
	t.Helper()
	const there = "TRUSTCORE_OWN_NETWORK"
	if os.Getenv(there) != "" {
		for _, args := range []string{"link set lo up", "address add 10.64.0.2/32 dev lo"} {
			if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v %s", args, err, out)
			}
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	c := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	c.Env = append(os.Environ(), there+"=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("in its own network: %v\n%s", err, out)
	}
	return false
}

const withServers = `components: [B_HSM, P_VPN, B_CC]
vpn_request: {site: main}
server_certificates:
  names: [www.nowe.example]
  addresses: [10.64.0.2]
`

// TestServersOfAnOffice: the office of an order with B_CC makes a key by its own certificate, a stock client gets a certificate for
// its server at the office's end of the tunnel, and the change order ends it all.
func TestServersOfAnOffice(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	o := newInside(t, func(cfg *Config) { cfg.ACME.Listen = "127.0.0.1:0" })
	for text, field := range map[string]string{
		strings.Replace(withServers, "www.nowe.example", "'*.nowe.example'", 1): "server_certificates.names[0]",
		strings.Replace(withServers, "www.nowe.example", "WWW.nowe.example", 1): "server_certificates.names[0]",
		strings.Replace(withServers, "10.64.0.2", "10.64.0.1", 1):               "server_certificates.addresses[0]",
		strings.Replace(withServers, "10.64.0.2", "169.254.169.254", 1):         "server_certificates.addresses[0]",
		strings.Replace(withServers, "10.64.0.2", "'::ffff:10.64.0.2'", 1):      "server_certificates.addresses[0]",
		strings.Replace(withServers, ", B_CC", "", 1):                           "server_certificates",
		withServers + "  purposes: [client]\n":                                  "server_certificates.purposes[0]",
		withServers + "  purposes: [server, codeSigning]\n":                     "server_certificates.purposes[1]",
	} {
		o.wantField(activationOf("ZU-9", "", text, ezd, key("seal", ""), inYears(1)), field)
	}
	o.on("ZU-1", activationOf("ZU-1", "", withServers, ezd, key("seal", ""), inYears(1)), ezd)

	var made madeKey
	a := o.try(ezd, "POST", "gateway", "/v1/acme/keys", nil)
	o.must(json.Unmarshal(a.body, &made))
	if a.status != http.StatusOK || made.Partner != "um-nowe" || made.Secret == "" {
		t.Fatalf("a key: %d %s", a.status, a.body)
	}
	if a := o.try("officer-1", "POST", "admin", "/v1/acme/keys", []byte(`{"partner":"um-przykladowo"}`)); a.status != http.StatusConflict {
		t.Errorf("a key for an office without an order: %d %s", a.status, a.body)
	}
	secret, err := base64.RawURLEncoding.DecodeString(made.Secret)
	o.must(err)
	c := &xacme.Client{Key: newSigner(t), DirectoryURL: made.Directory, HTTPClient: o.client("")}
	_, err = c.Register(t.Context(), &xacme.Account{ExternalAccountBinding: &xacme.ExternalAccountBinding{KID: made.ID, Key: secret}}, xacme.AcceptTOS)
	o.must(err)
	leaf := o.serverCertificate(c)
	found, err := o.ca.Certificate(t.Context(), leaf.SerialNumber.Text(16))
	if err != nil || found.Profile != pki.PartnerServer || found.Partner != "um-nowe" || found.Order != "ZU-1" {
		t.Errorf("the inventory has %+v, %v", found, err)
	}
	if a := o.try("officer-1", "GET", "admin", "/v1/acme/keys?partner=um-nowe", nil); !strings.Contains(string(a.body), `"state":"bound"`) {
		t.Errorf("the keys: %s", a.body)
	}
	if _, err := c.AuthorizeOrder(t.Context(), xacme.DomainIDs("www.inne.example")); err == nil {
		t.Error("another name was taken")
	}

	o.off("ZZ-1", "components: [B_CC]\n")
	o.await("the end of the server's certificate", func() bool { return o.ca.Revoked(leaf.SerialNumber) })
	if _, err := c.AuthorizeOrder(t.Context(), xacme.DomainIDs("www.nowe.example")); err == nil || !strings.Contains(err.Error(), "order by which this account was opened has ended") {
		t.Errorf("an order after the end: %v", err)
	}
	if a := o.try(ezd, "POST", "gateway", "/v1/acme/keys", nil); a.status != http.StatusConflict {
		t.Errorf("a key after the end: %d %s", a.status, a.body)
	}
	if used := o.uses(ezd); len(used) == 0 {
		t.Error("the office's keys went with its servers")
	}
	if rec, err := o.registry.Order(t.Context(), "ZU-1"); err != nil || rec.State != registry.Active {
		t.Errorf("the order: %s, %v", rec.State, err)
	}
}

// serverCertificate has the office's server answer at its end of the tunnel.
func (o *outside) serverCertificate(c *xacme.Client) *x509.Certificate {
	o.t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.64.0.2:80")))
	o.must(err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, err := c.HTTP01ChallengeResponse(strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/"))
		if err != nil || r.Host != "www.nowe.example" {
			o.t.Errorf("asked for %s at %s: %v", r.URL, r.Host, err)
		}
		_, _ = io.WriteString(w, proof)
	})}
	go func() { _ = s.Serve(l) }() // ends with Close
	defer s.Close()
	order, err := c.AuthorizeOrder(o.t.Context(), xacme.DomainIDs("www.nowe.example"))
	o.must(err)
	az, err := c.GetAuthorization(o.t.Context(), order.AuthzURLs[0])
	o.must(err)
	for _, ch := range az.Challenges {
		if ch.Type == "http-01" {
			_, err = c.Accept(o.t.Context(), ch)
			o.must(err)
		}
	}
	order, err = c.WaitOrder(o.t.Context(), order.URI)
	o.must(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"www.nowe.example"}}, newSigner(o.t))
	o.must(err)
	chain, _, err := c.CreateOrderCert(o.t.Context(), order.FinalizeURL, csr, true)
	o.must(err)
	leaf, err := x509.ParseCertificate(chain[0])
	o.must(err)
	return leaf
}

func newSigner(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestACMEIsOff: without acme.listen there is no listener, and no order names servers.
func TestACMEIsOff(t *testing.T) {
	cfg := Defaults()
	if cfg.ACME.Listen != "" {
		t.Error("the default listens")
	}
	d := &daemon{cfg: cfg}
	if err := d.canHaveServers(registry.Order{ServerCertificates: &registry.ServerCertificates{Names: []string{"www.nowe.example"}}}); err == nil ||
		!strings.Contains(err.Error(), "acme.listen") {
		t.Errorf("an order: %v", err)
	}
	for text, want := range map[ACME]string{{Host: "ca.example.org"}: "acme.listen", {Listen: "x"}: "acme.listen", {Listen: "0.0.0.0:1"}: "acme.host",
		{Listen: "10.64.0.1:8444", Host: "CA example"}: "acme.host"} {
		if err := text.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", text, err)
		}
	}
}
