package acme_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/acme"
)

// stock is a client that nobody of ours has written, with its own way to say the same things.
type stock struct {
	*house
	name string
	port string // where it answers challenges
	dir  string
	env  string // names the file with the authority of the server's TLS certificate
}

// newStock gives a stock client a port, which is the office's port 80 to the server.
func newStock(t *testing.T, h *house, name, env string) *stock {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (apt-get install %s)", name, name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.world.serve(office+":80", l.Addr())
	_, port, err := net.SplitHostPort(l.Addr().String())
	h.must(err)
	h.must(l.Close())
	s := &stock{house: h, name: name, port: port, dir: t.TempDir(), env: env}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.http.Certificate().Raw})
	h.must(os.WriteFile(filepath.Join(s.dir, "server.pem"), root, 0o600))
	return s
}

// run has two minutes: a machine that is busy starts Python slowly.
func (s *stock) run(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, s.name, args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), s.env+"="+filepath.Join(s.dir, "server.pem"), "HOME="+s.dir, "NO_PROXY=*")
	out, err := c.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s\n%s", s.name, strings.Join(args, " "), err, out, s.logged)
	}
	return string(out)
}

// certificate reads what the client keeps, and has openssl judge it.
func (s *stock) certificate(file string) *x509.Certificate {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	s.must(err)
	leaf, rest := pem.Decode(text)
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.made.Root.Certificate.Raw})
	s.must(os.WriteFile(filepath.Join(s.dir, "root.pem"), root, 0o600))
	s.must(os.WriteFile(filepath.Join(s.dir, "leaf.pem"), pem.EncodeToMemory(leaf), 0o600))
	s.must(os.WriteFile(filepath.Join(s.dir, "between.pem"), rest, 0o600))
	out, err := exec.CommandContext(s.t.Context(), "openssl", "verify", "-CAfile", filepath.Join(s.dir, "root.pem"), "-untrusted", filepath.Join(s.dir, "between.pem"),
		"-purpose", "sslserver", "-verify_hostname", host, "-x509_strict", filepath.Join(s.dir, "leaf.pem")).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("OK")) {
		s.t.Fatalf("openssl verify: %v %s", err, out)
	}
	c, err := x509.ParseCertificate(leaf.Bytes)
	s.must(err)
	return c
}

// story expects first a certificate, then its successor, then its revocation.
func (s *stock) story(first func() string, renew, revoke func()) {
	s.t.Helper()
	file := first()
	before := s.certificate(file)
	renew()
	after := s.certificate(file)
	if after.SerialNumber.Cmp(before.SerialNumber) == 0 {
		s.t.Error("the renewal brought the same certificate")
	}
	revoke()
	if s.ca.Revoked(before.SerialNumber) || !s.ca.Revoked(after.SerialNumber) {
		s.t.Error("not the one that was meant is revoked")
	}
	found, err := s.ca.Certificates(s.t.Context(), pki.Filter{Partner: partner, Profile: pki.PartnerServer})
	if err != nil || len(found) != 2 {
		s.t.Errorf("the inventory has %d certificates, %v", len(found), err)
	}
}

// TestLego gets, renews and revokes a certificate with lego.
func TestLego(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	s := newStock(t, h, "lego", "LEGO_CA_CERTIFICATES")
	eab := h.bind(partner)
	base := []string{"--server", h.http.URL + acme.Directory, "--email", "it@przykladowo.example", "--accept-tos", "--domains", host,
		"--path", s.dir, "--http", "--http.port", "127.0.0.1:" + s.port,
		"--eab", "--kid", eab.KID, "--hmac", base64.RawURLEncoding.EncodeToString(eab.Key)}
	s.story(func() string {
		s.run(append(base, "run")...)
		return "certificates/" + host + ".crt"
	}, func() { s.run(append(base, "renew", "--days", "3650", "--no-random-sleep")...) },
		func() { s.run(append(base, "revoke", "--keep")...) })
}

// TestCertbot gets, renews and revokes a certificate with certbot.
func TestCertbot(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	s := newStock(t, h, "certbot", "REQUESTS_CA_BUNDLE")
	eab := h.bind(partner)
	settings := fmt.Sprintf("server = %s\neab-kid = %s\neab-hmac-key = %s\nconfig-dir = %s\nwork-dir = %s\nlogs-dir = %s\nhttp-01-port = %s\nhttp-01-address = 127.0.0.1\n"+
		"non-interactive = true\nagree-tos = true\nemail = it@przykladowo.example\nno-eff-email = true\n", h.http.URL+acme.Directory, eab.KID,
		base64.RawURLEncoding.EncodeToString(eab.Key), s.dir, s.dir, s.dir, s.port)
	h.must(os.WriteFile(filepath.Join(s.dir, "cli.ini"), []byte(settings), 0o600))
	ini := []string{"--config", filepath.Join(s.dir, "cli.ini")}
	s.story(func() string {
		s.run(append([]string{"certonly", "--standalone", "-d", host}, ini...)...)
		return "live/" + host + "/fullchain.pem"
	}, func() { s.run(append([]string{"renew", "--force-renewal", "--no-random-sleep-on-renew"}, ini...)...) },
		func() {
			s.run(append([]string{"revoke", "--cert-name", host, "--reason", "superseded", "--no-delete-after-revoke"}, ini...)...)
		})
}
