package revocation

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify/certificate"
)

// opensslCA is a certification authority that openssl runs in a folder of the test.
type opensslCA struct {
	t      *testing.T
	folder string
}

const opensslConfig = `[ca]
default_ca = office
[office]
database = index.txt
crlnumber = crlnumber
default_md = %s
default_crl_days = 7
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
[req]
distinguished_name = none
prompt = no
[none]
[ca_ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[responder_ext]
extendedKeyUsage = OCSPSigning
`

func (ca opensslCA) run(arguments ...string) []byte {
	ca.t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		ca.t.Skip("openssl is not installed: its CRLs and OCSP responses are not judged")
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command(path, arguments...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ca.folder, &out, &complaints
	if err := cmd.Run(); err != nil {
		ca.t.Fatalf("openssl %s: %v: %s", strings.Join(arguments, " "), err, complaints.String())
	}
	return out.Bytes()
}

func (ca opensslCA) write(name, text string) {
	ca.t.Helper()
	if err := os.WriteFile(filepath.Join(ca.folder, name), []byte(text), 0o600); err != nil {
		ca.t.Fatal(err)
	}
}

func (ca opensslCA) certificate(name string) *certificate.Certificate {
	ca.t.Helper()
	data, err := os.ReadFile(filepath.Join(ca.folder, name))
	if err != nil {
		ca.t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		ca.t.Fatalf("%s is no PEM", name)
	}
	c, err := certificate.Parse(block.Bytes)
	if err != nil {
		ca.t.Fatal(err)
	}
	return c
}

// issue makes name.key and name.pem with the extensions of a section.
func (ca opensslCA) issue(name, keyArguments, section string) *certificate.Certificate {
	ca.t.Helper()
	ca.run(append(strings.Fields("genpkey "+keyArguments), "-out", name+".key")...)
	ca.run("req", "-new", "-config", "config", "-key", name+".key", "-subj", "/CN="+name, "-out", name+".csr")
	sign := []string{"x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-out", name + ".pem"}
	if section != "" {
		sign = append(sign, "-extfile", "config", "-extensions", section)
	}
	ca.run(sign...)
	return ca.certificate(name + ".pem")
}

// database writes openssl's list of issued certificates.
func (ca opensslCA) database(good, revoked *certificate.Certificate) {
	at := time.Now().UTC().Add(-time.Hour).Format("060102150405Z")
	ca.write("index.txt", fmt.Sprintf("V\t400101000000Z\t\t%s\tunknown\t/CN=good\nR\t400101000000Z\t%s,keyCompromise\t%s\tunknown\t/CN=revoked\n",
		strings.ToUpper(hex.EncodeToString(good.Serial)), at, strings.ToUpper(hex.EncodeToString(revoked.Serial))))
}

func TestOpenSSLEvidence(t *testing.T) {
	for name, key := range map[string]struct{ arguments, digest string }{
		"brainpool": {"-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP384r1", "sha384"},
		"P-521":     {"-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "sha512"},
		"RSA-3072":  {"-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "sha256"},
		"PSS key":   {"-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", "sha256"},
		"Ed448":     {"-algorithm ED448", "default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := opensslCA{t, t.TempDir()}
			ca.write("config", fmt.Sprintf(opensslConfig, key.digest))
			ca.write("crlnumber", "01\n")
			ca.run(append(strings.Fields("genpkey "+key.arguments), "-out", "ca.key")...)
			ca.run("req", "-x509", "-new", "-config", "config", "-extensions", "ca_ext", "-key", "ca.key", "-subj", "/CN=Office CA", "-days", "30", "-out", "ca.pem")
			issuer := ca.certificate("ca.pem")
			good, revoked := ca.issue("good", key.arguments, ""), ca.issue("revoked", key.arguments, "")
			ca.database(good, revoked)
			ca.run("ca", "-gencrl", "-config", "config", "-keyfile", "ca.key", "-cert", "ca.pem", "-out", "list.crl")
			data, err := os.ReadFile(filepath.Join(ca.folder, "list.crl"))
			if err != nil {
				t.Fatal(err)
			}
			crl, err := ParseCRL(data)
			if err != nil {
				t.Fatal(err)
			}
			ca.ask(issuer, good, nil, crl, Good)
			ca.ask(issuer, revoked, nil, crl, Revoked)
			if key.digest == "default" {
				return // openssl ocsp always names a digest, which Ed448 has none of
			}
			ca.issue("responder", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "responder_ext")
			ca.ask(issuer, good, ca.respond("good", "responder", "-sha256"), nil, Good)
			ca.ask(issuer, revoked, ca.respond("revoked", "ca", "-sha1"), nil, Revoked)
			ca.ask(issuer, good, ca.respond("good", "revoked", "-sha1"), nil, Invalid)
		})
	}
}

// respond asks openssl about a certificate, signed by name; hash is that of the CertID.
func (ca opensslCA) respond(about, name, hash string) *Response {
	ca.t.Helper()
	ca.run("ocsp", hash, "-issuer", "ca.pem", "-cert", about+".pem", "-no_nonce", "-reqout", "request.der")
	ca.run("ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", name+".pem", "-rkey", name+".key", "-reqin", "request.der",
		"-ndays", "1", "-respout", "response.der")
	data, err := os.ReadFile(filepath.Join(ca.folder, "response.der"))
	if err != nil {
		ca.t.Fatal(err)
	}
	r, err := ParseOCSP(data)
	if err != nil {
		ca.t.Fatal(err)
	}
	return r
}

func (ca opensslCA) ask(issuer, about *certificate.Certificate, r *Response, crl *CRL, want Status) {
	ca.t.Helper()
	key, err := issuer.Key()
	if err != nil {
		ca.t.Fatal(err)
	}
	q := Question{Certificate: about, Issuer: issuer, IssuerName: issuer.Subject, IssuerKey: key, Time: time.Now(), Skew: time.Minute}
	var responses []*Response
	var crls []*CRL
	if r != nil {
		responses = append(responses, r)
	}
	if crl != nil {
		crls = append(crls, crl)
	}
	got := Check(q, responses, crls)
	if got.Status != want || want == Revoked && got.Reason != KeyCompromise {
		ca.t.Errorf("%s: %s %q %s, want %s", about.Subject, got.Status, got.Code, got.Detail, want)
	}
}
