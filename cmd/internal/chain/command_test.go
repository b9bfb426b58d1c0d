package chain

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify/policy"
)

// now is a full minute, as OCSP responses have the real time in them.
var now = time.Now().UTC().Truncate(time.Minute)

type entity struct {
	key crypto.Signer
	x   *x509.Certificate
}

func mint(t *testing.T, issuer *entity, name string, serial int64, change func(*x509.Certificate)) *entity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)}
	if change != nil {
		change(template)
	}
	parent, signer := template, crypto.Signer(key)
	if issuer != nil {
		parent, signer = issuer.x, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{key, c}
}

func ca(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// folder holds a root, an issuing CA, three officers, and evidence: the first is good by OCSP, the second is revoked by CRL.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T) folder {
	t.Helper()
	f := folder{t, t.TempDir()}
	root := mint(t, nil, "Office Root", 1, ca)
	issuing := mint(t, root, "Office CA", 2, ca)
	good := mint(t, issuing, "officer-1", 3, nil)
	revoked := mint(t, issuing, "officer-2", 4, nil)
	steering := mint(t, issuing, "officer-3\x1b[2J", 5, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	for name, e := range map[string]*entity{"root.pem": root, "issuing.pem": issuing, "good.pem": good, "revoked.pem": revoked, "expired.pem": steering} {
		f.write(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.x.Raw}))
	}
	f.write("good.der", good.x.Raw)
	response, err := ocsp.CreateResponse(issuing.x, issuing.x, ocsp.Response{SerialNumber: good.x.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}, issuing.key)
	if err != nil {
		t.Fatal(err)
	}
	f.write("good.ocsp", response)
	entry := x509.RevocationListEntry{SerialNumber: revoked.x.SerialNumber, RevocationTime: now.Add(-time.Hour), ReasonCode: 1}
	for name, l := range map[string]struct {
		issuer  *entity
		entries []x509.RevocationListEntry
	}{"issuing.crl": {issuing, []x509.RevocationListEntry{entry}}, "root.crl": {root, nil}} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Minute),
			NextUpdate: now.Add(time.Hour), RevokedCertificateEntries: l.entries}, l.issuer.x, l.issuer.key)
		if err != nil {
			t.Fatal(err)
		}
		f.write(name, der)
	}
	return f
}

func (f folder) write(name string, data []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// run runs the command; words that name a file of the folder become its path.
func (f folder) run(command string) (string, error) {
	f.t.Helper()
	args := strings.Fields(command)
	for i, a := range args {
		if _, err := os.Stat(filepath.Join(f.dir, a)); err == nil {
			args[i] = filepath.Join(f.dir, a)
		}
	}
	var out bytes.Buffer
	c := Command()
	c.SetArgs(args)
	c.SetOut(&out)
	err := c.ExecuteContext(f.t.Context())
	return out.String(), err
}

func TestDrawing(t *testing.T) {
	f := newFolder(t)
	all := "--anchors root.pem --untrusted issuing.pem --crl issuing.crl --crl root.crl --ocsp good.ocsp "
	for _, test := range []struct {
		command string
		valid   bool
		want    []string // that the drawing holds, in this order
	}{
		{all + "--revocation require good.pem", true, []string{"good.pem: valid at", "0  “CN=officer-1”", "ok    issuer found", "ok    signature", "ok    revocation", "good by OCSP", "1  “CN=Office CA”", "ok    authority", "2  “CN=Office Root”  [trust anchor]"}},
		{all + "good.der", true, []string{"valid at"}},
		{all + "revoked.pem", false, []string{"NOT VALID (REVOKED_NO_POE)", "FAIL  revocation: revoked", "RFC 5280 6.1.3", "revoked by CRL", "keyCompromise"}},
		{all + "--revocation none revoked.pem", true, []string{"valid at"}},
		{"--anchors root.pem --untrusted issuing.pem --revocation require good.pem", false, []string{"NOT VALID (TRY_LATER)", "-     revocation: not checked", "FAIL  revocation: revocation status unknown"}},
		{"--anchors root.pem --untrusted issuing.pem good.pem", true, []string{"-     revocation: no revocation information names the certificate"}},
		{"--anchors root.pem good.pem", false, []string{"NO_CERTIFICATE_CHAIN_FOUND", "FAIL  issuer found: issuer not found: “issued by CN=Office CA”", "-     validity: not checked"}},
		{"--anchors root.pem --untrusted issuing.pem expired.pem", false, []string{"OUT_OF_BOUNDS_NO_POE", `officer-3\1b[2J`, "FAIL  validity: expired"}},
		{"--anchors root.pem --untrusted issuing.pem --at " + now.AddDate(0, 0, -2).Format(time.RFC3339) + " expired.pem", true, []string{"valid at " + now.AddDate(0, 0, -2).Format(time.RFC3339)}},
		{"--anchors root.pem --untrusted issuing.pem --certificate-policy 1.2.3 good.pem", false, []string{"FAIL  policies: no acceptable policy"}},
		{"--anchors root.pem root.pem", true, []string{"0  “CN=Office Root”  [trust anchor]"}},
	} {
		out, err := f.run(test.command)
		var notValid NotValid
		if test.valid && err != nil || !test.valid && !errors.As(err, &notValid) {
			t.Errorf("%s: %v", test.command, err)
		}
		rest := out
		for _, want := range test.want {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Errorf("%s: no %q in its place in\n%s", test.command, want, out)
			}
			rest = after
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: control characters away from a terminal", test.command)
		}
	}
	if (NotValid{}).ExitCode() != 3 {
		t.Error("exit status")
	}
}

// TestPastRevocation reads a revocation of an hour ago for the time before it.
func TestPastRevocation(t *testing.T) {
	f := newFolder(t)
	all := "--anchors root.pem --untrusted issuing.pem --crl issuing.crl --crl root.crl --revocation require revoked.pem --at "
	if out, err := f.run(all + now.Add(-2*time.Hour).Format(time.RFC3339)); err != nil {
		t.Errorf("before the revocation: %v\n%s", err, out)
	}
	if out, err := f.run(all + now.Add(-30*time.Minute).Format(time.RFC3339)); err == nil {
		t.Errorf("after the revocation: valid\n%s", out)
	}
}

// TestPolicy: the validation policy says until when algorithms are relied on, and what follows for evidence that had run out.
func TestPolicy(t *testing.T) {
	f := newFolder(t)
	strict := string(policy.ShippedSource(policy.Strict))
	own := func(name, old, new string) {
		t.Helper()
		if !strings.Contains(strict, old) {
			t.Fatalf("strict has no %q", old)
		}
		f.write(name, []byte(strings.ReplaceAll(strings.Replace(strict, "\nName: strict\n", "\nName: office\n", 1), old, new)))
	}
	own("told.yaml", "RevocationFreshnessNextUpdate: FAIL", "RevocationFreshnessNextUpdate: WARN")
	own("curves.yaml", "256: no end", "256: 2020-01-01")
	late := "--anchors root.pem --untrusted issuing.pem --crl issuing.crl --crl root.crl --revocation require --at " +
		now.Add(2*time.Hour).Format(time.RFC3339) + " "
	for command, want := range map[string]string{
		late + "good.pem":                             "NOT VALID (TRY_LATER)|policy: “strict”|nextUpdate has passed",
		late + "--policy strict good.pem":             "NOT VALID (TRY_LATER)",
		late + "--policy dss-default good.pem":        "good.pem: valid at|policy: “dss-default” “6.4”",
		late + "--policy told.yaml good.pem":          "good.pem: valid at|policy: “office”|note: revocation information: ",
		late + "--policy dss-default revoked.pem":     "NOT VALID (REVOKED_NO_POE)",
		late + "--policy curves.yaml good.pem":        "NOT VALID (CRYPTO_CONSTRAINTS_FAILURE_NO_POE)",
		late + "--policy curves.yaml --json good.pem": `"policy":"office"`,
	} {
		out, err := f.run(command)
		for _, part := range strings.Split(want, "|") {
			if !strings.Contains(out, part) {
				t.Errorf("%s: %v: no %q in\n%s", command, err, part, out)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	f := newFolder(t)
	out, err := f.run("--json --anchors root.pem --untrusted issuing.pem --crl issuing.crl --crl root.crl good.pem revoked.pem good.ocsp")
	if err == nil || errors.As(err, new(NotValid)) {
		t.Errorf("a file that is no certificate: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range []bool{true, false, false} {
		var o outcome
		if err := json.Unmarshal([]byte(lines[i]), &o); err != nil {
			t.Fatalf("%v: %s", err, lines[i])
		}
		if i < 2 && (o.Error != nil || o.Valid != want || len(o.Chain) != 3 || !o.Chain[2].Anchor || o.Chain[0].Status == nil) || i == 2 && o.Error == nil {
			t.Errorf("line %d: %s", i, lines[i])
		}
	}
}

// TestPersonalNumbers: they are hidden, in the drawing and in JSON, unless they are asked for.
func TestPersonalNumbers(t *testing.T) {
	const number = "44051401359"
	f := newFolder(t)
	citizen := mint(t, nil, "ANNA "+number, 6, func(c *x509.Certificate) { c.Subject.SerialNumber = "PNOPL-" + number })
	f.write("citizen.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: citizen.x.Raw}))
	for _, flags := range []string{"", "--json "} {
		out, err := f.run(flags + "--anchors root.pem citizen.pem")
		if !errors.As(err, new(NotValid)) || strings.Contains(out, number) || !strings.Contains(out, "1359") {
			t.Errorf("%s: %v: %s", flags, err, out)
		}
		if out, _ := f.run(flags + "--personal-numbers --anchors root.pem citizen.pem"); !strings.Contains(out, number) {
			t.Errorf("%s: %s", flags, out)
		}
	}
}

func TestWrongCalls(t *testing.T) {
	f := newFolder(t)
	for command, want := range map[string]string{
		"good.pem":           "nothing is trusted",
		"--anchors root.pem": "requires at least 1",
		"--anchors root.pem --at yesterday good.pem":         "--at",
		"--anchors root.pem --policy x good.pem":             "--policy: \"x\" is no policy",
		"--anchors root.pem --policy 1.2.3 good.pem":         "name it by --certificate-policy",
		"--anchors root.pem --policy good.pem good.pem":      "--policy: ",
		"--anchors root.pem --certificate-policy x good.pem": "--certificate-policy: \"x\" is no object identifier",
		"--anchors root.pem --revocation maybe good.pem":     "--revocation",
		"--anchors root.pem --crl good.pem good.pem":         "--crl",
		"--anchors root.pem --ocsp good.pem good.pem":        "--ocsp",
		"--anchors root.pem --untrusted none good.pem":       "--untrusted",
		"--anchors root.pem nowhere.pem":                     "nowhere.pem",
	} {
		if _, err := f.run(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func TestColour(t *testing.T) {
	d := drawing{colour: true}
	if got := d.paint("32", "valid"); got != "\x1b[32mvalid\x1b[0m" {
		t.Errorf("%q", got)
	}
	if newDrawing(&bytes.Buffer{}).colour {
		t.Error("colour in a buffer")
	}
}
