package evidence

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// opensslAuthority is an authority that openssl runs in a folder of the test, its services behind the world's server.
type opensslAuthority struct {
	t   *testing.T
	dir string
}

func (a opensslAuthority) run(args ...string) []byte {
	a.t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.Command("openssl", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.dir, &out, &complaints
	if err := cmd.Run(); err != nil {
		a.t.Errorf("openssl %s: %v: %s", strings.Join(args, " "), err, complaints.String())
	}
	return out.Bytes()
}

func (a opensslAuthority) read(name string) []byte {
	a.t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return data
	}
	return block.Bytes
}

const opensslAuthorityConfig = `[ca]
default_ca = office
[office]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[req]
distinguished_name = none
prompt = no
[none]
[ca_ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
authorityInfoAccess = OCSP;URI:%[1]s/openssl/ocsp
crlDistributionPoints = URI:%[1]s/openssl/crl
authorityKeyIdentifier = keyid
[responder]
extendedKeyUsage = OCSPSigning
noCheck = ignored
`

// TestOpenSSLAuthority asks openssl's own responder and reads its lists, before and after a revocation.
func TestOpenSSLAuthority(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: its responder is not asked")
	}
	w := newWorld(t)
	a := opensslAuthority{t, t.TempDir()}
	for name, text := range map[string]string{"config": fmt.Sprintf(opensslAuthorityConfig, w.url), "index.txt": "",
		"serial": "1000\n", "crlnumber": "01\n"} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-config", "config", "-extensions", "ca_ext", "-keyout",
		"ca.key", "-subj", "/CN=Office CA", "-days", "60", "-out", "ca.pem")
	for _, name := range []string{"officer", "responder"} {
		a.run("req", "-newkey", "rsa:2048", "-nodes", "-config", "config", "-keyout", name+".key", "-subj", "/CN="+name,
			"-out", name+".csr")
	}
	a.run("ca", "-batch", "-config", "config", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "officer.csr", "-out",
		"officer.pem", "-notext")
	a.run("ca", "-batch", "-config", "config", "-cert", "ca.pem", "-keyfile", "ca.key", "-extensions", "responder", "-in",
		"responder.csr", "-out", "responder.pem", "-notext")
	w.instead("/openssl/ocsp", a.ocsp)
	w.instead("/openssl/crl", a.crl)

	anchor, leaf := a.certificate("ca.pem"), a.certificate("officer.pem")
	top, err := path.AnchorFrom(anchor)
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := path.NewAnchors(top)
	if err != nil {
		t.Fatal(err)
	}
	w.now = time.Now().UTC()
	g := w.gatherer(nil)
	status := func() revocation.Status {
		t.Helper()
		found := g.GatherFor(t.Context(), leaf.Raw, nil, Trust{Anchors: anchors}, w.clock())
		if len(found.Problems) > 0 {
			t.Errorf("problems: %q", found.Problems)
		}
		var came bundle
		came.ocsps, came.crls = found.OCSPs, found.CRLs
		all := (&round{budget: budget.New(t.Context(), 0)}).read(came)
		return revocation.Check(revocation.Question{Certificate: leaf, Issuer: anchor, IssuerName: anchor.Subject,
			IssuerKey: top.Key,
			Time:      time.Now().Add(time.Second), WithoutNextUpdate: time.Hour}, all.responses, all.crls).Status
	}
	if s := status(); s != revocation.Good {
		t.Errorf("before the revocation: %s", s)
	}
	a.run("ca", "-config", "config", "-cert", "ca.pem", "-keyfile", "ca.key", "-revoke", "officer.pem")
	w.pass(2 * time.Minute)
	if s := status(); s != revocation.Revoked {
		t.Errorf("after the revocation: %s", s)
	}
	w.instead("/openssl/ocsp", http.NotFound)
	if f := w.gatherer(func(c *Config) { c.Keep = nil }).GatherFor(t.Context(), leaf.Raw, nil, Trust{Anchors: anchors},
		w.clock()); len(f.CRLs) != 1 {
		t.Errorf("no list: %q", f.Problems)
	}
}

func (a opensslAuthority) certificate(name string) *certificate.Certificate {
	a.t.Helper()
	c, err := certificate.Parse(a.read(name))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a opensslAuthority) ocsp(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if err := os.WriteFile(filepath.Join(a.dir, "request.der"), body, 0o600); err != nil {
		a.t.Error(err)
	}
	a.run("ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "responder.pem", "-rkey", "responder.key", "-reqin",
		"request.der", "-respout", "response.der", "-ndays", "1")
	_, _ = out.Write(a.read("response.der")) // the client under test says what it got
}

func (a opensslAuthority) crl(out http.ResponseWriter, _ *http.Request) {
	a.run("ca", "-config", "config", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl", "-out", "list.pem")
	_, _ = out.Write(a.read("list.pem")) // the client under test says what it got
}
