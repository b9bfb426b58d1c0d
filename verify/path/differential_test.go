package path_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// mutations is how many chains are mutated; TRUSTCORE_MUTATIONS asks for more.
func mutations(t *testing.T) int {
	text := os.Getenv("TRUSTCORE_MUTATIONS")
	if text == "" {
		return 2_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNothingIsValidThatBothOraclesRefuse changes octets of certificates, signs them anew, and asks crypto/x509 and
// OpenSSL. What both refuse must not be valid here, unless explained says why.
func TestNothingIsValidThatBothOraclesRefuse(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	random := mathrand.New(mathrand.NewPCG(5280, 6))
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	root := mint(t, nil, "root", nil, ca)
	middle := mint(t, root, "middle", nil, ca, func(c *x509.Certificate) {
		c.MaxPathLen, c.PermittedDNSDomains, c.ExcludedIPRanges = 1, []string{"example"}, []*net.IPNet{network}
		c.PermittedDNSDomainsCritical, c.Policies = true, []x509.OID{oid(t, "1.2.3.4"), oid(t, "1.2.3.5")}
		c.ExtKeyUsage, c.CRLDistributionPoints = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []string{"http://crl.example/"}
	})
	leaf := mint(t, middle, "leaf", nil, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses, c.EmailAddresses = []string{"a.example"}, []net.IP{net.IPv4(198, 51, 100, 7)}, []string{"a@b.test"}
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.Policies, c.OCSPServer = []x509.OID{oid(t, "1.2.3.4")}, []string{"http://ocsp.example/"}
	})
	set := anchors(t, root)
	folder := t.TempDir()
	writePEM(t, filepath.Join(folder, "root.pem"), root.cert.Raw)
	count, valid, asked := mutations(t), 0, 0
	for range count {
		target, between := leaf.cert.Raw, middle.cert.Raw
		if random.IntN(2) == 0 {
			target = mutate(t, random, leaf.cert, middle)
		} else {
			between = mutate(t, random, middle.cert, root)
		}
		ours, chain := oursValid(target, between, set)
		if !ours {
			continue
		}
		if valid++; stdValid(target, between, root) {
			continue
		}
		asked++
		if !opensslValid(t, openssl, folder, target, between) && !explained(append(chain, root.cert)) {
			t.Errorf("valid here and nowhere else: target\n%x\nCA\n%x", target, between)
		}
	}
	t.Logf("%d mutants, %d valid, OpenSSL asked %d times", count, valid, asked)
}

func oid(t *testing.T, dotted string) x509.OID {
	t.Helper()
	id, err := x509.ParseOID(dotted)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// mutate changes an octet or two of the TBSCertificate and signs it with the issuer's key.
func mutate(t *testing.T, random *mathrand.Rand, c *certificate.Certificate, issuer *entity) []byte {
	t.Helper()
	tbs := slices.Clone(c.RawTBS)
	for range 1 + random.IntN(2) {
		at := 4 + random.IntN(len(tbs)-4)
		switch random.IntN(3) {
		case 0:
			tbs[at] ^= 1 << random.IntN(8)
		case 1:
			tbs[at] = byte(random.IntN(256))
		case 2:
			tbs[at]++
		}
	}
	digest := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, issuer.key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(c.SignatureAlgorithm)
		b.AddASN1BitString(signature)
	})
	return b.BytesOrPanic()
}

func oursValid(target, between []byte, set *path.Anchors) (bool, []*certificate.Certificate) {
	leaf, err := certificate.Parse(target)
	if err != nil {
		return false, nil
	}
	middle, err := certificate.Parse(between)
	if err != nil {
		return false, nil
	}
	r := validate(path.Request{Target: leaf, Pool: path.NewPool(middle), Anchors: set, Purposes: []certificate.OID{certificate.PurposeServerAuth}})
	return r.Valid, r.Chain
}

func stdValid(target, between []byte, root *entity) bool {
	leaf, err := x509.ParseCertificate(target)
	if err != nil {
		return false
	}
	middle, err := x509.ParseCertificate(between)
	if err != nil {
		return false
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	options.Roots.AddCert(root.std)
	options.Intermediates.AddCert(middle)
	_, err = leaf.Verify(options)
	return err == nil
}

func opensslValid(t *testing.T, openssl, folder string, target, between []byte) bool {
	t.Helper()
	writePEM(t, filepath.Join(folder, "leaf.pem"), target)
	writePEM(t, filepath.Join(folder, "middle.pem"), between)
	command := exec.Command(openssl, "verify", "-attime", strconv.FormatInt(now.Unix(), 10), "-purpose", "sslserver",
		"-CAfile", "root.pem", "-untrusted", "middle.pem", "leaf.pem")
	command.Dir = folder
	return command.Run() == nil
}

func writePEM(t *testing.T, file string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// explained tells mutants that we take on purpose.
func explained(chain []*certificate.Certificate) bool {
	if _, err := chain[0].Key(); err != nil {
		return true // an algorithm that cannot be computed here: what the target's key is used for decides later
	}
	for i, c := range chain {
		if aki := c.AKI; i+1 < len(chain) && aki != nil && !bytes.Equal(aki.KeyID, chain[i+1].SKI) {
			return true // key identifiers help to find the issuer and bind nobody (RFC 4158 3.5.12); OpenSSL insists
		}
		if pc := c.PolicyConstraints; pc != nil && pc.RequireExplicit > 1000 {
			return true // a count of any size is a count
		}
		for _, e := range c.Extensions {
			if e.Malformed && !e.Critical {
				return true // such as key identifiers and access descriptions, which section 6 does not process
			}
		}
		if len(c.Findings) > 0 {
			return true // tolerated and reported
		}
		for _, a := range slices.Concat(c.Subject.Attributes, c.Issuer.Attributes) {
			if a.Tag != printableString || strings.Trim(strings.ToLower(a.Text()), "abcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?") != "" {
				return true // names are compared, not admitted: the characters and types of strings do not matter
			}
		}
		if nc := c.NameConstraints; nc != nil && unusualForms(nc) {
			return true // a constraint on a form of name that the path does not hold (RFC 5280 4.2.1.10)
		}
	}
	return false
}

// printableString is the tag of the names that the test mints.
const printableString = 0x13

// unusualForms reports whether the constraints are on forms that the oracles refuse at sight.
func unusualForms(nc *certificate.NameConstraints) bool {
	for _, s := range slices.Concat(nc.Permitted, nc.Excluded) {
		switch s.Base.Kind {
		case certificate.DNSName, certificate.EmailName, certificate.IPName:
		default:
			return true
		}
	}
	return false
}
