package algorithm

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// certificateParts are the pieces of a certificate that this package is about.
type certificateParts struct{ tbs, spki, algorithm, value []byte }

// openssl runs the command, or skips where there is none.
func openssl(t *testing.T, arguments ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: its signatures are not checked")
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command(path, arguments...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("openssl %s: %v: %s", strings.Join(arguments, " "), err, complaints.String())
	}
	return out.Bytes()
}

// selfSigned makes a key by keyArguments and a certificate by requestArguments.
func selfSigned(t *testing.T, keyArguments, requestArguments string) certificateParts {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key.pem")
	openssl(t, append(strings.Fields(keyArguments), "-out", key)...)
	out := openssl(t, append([]string{"req", "-x509", "-new", "-subj", "/CN=Urząd Miasta Przykładowo", "-utf8", "-key", key}, strings.Fields(requestArguments)...)...)
	block, _ := pem.Decode(out)
	if block == nil {
		t.Fatal("no certificate")
	}
	return takeApart(t, block.Bytes)
}

func takeApart(t *testing.T, der []byte) (p certificateParts) {
	t.Helper()
	input := cryptobyte.String(der)
	var cert, tbs, body, algorithm, bits, skip cryptobyte.String
	ok := input.ReadASN1(&cert, asn1.SEQUENCE) && cert.ReadASN1Element(&tbs, asn1.SEQUENCE) &&
		cert.ReadASN1Element(&algorithm, asn1.SEQUENCE) && cert.ReadASN1(&bits, asn1.BIT_STRING)
	p.tbs, p.algorithm = tbs, algorithm
	ok = ok && tbs.ReadASN1(&body, asn1.SEQUENCE)
	for range 6 { // version, serial number, signature, issuer, validity, subject
		var tag asn1.Tag
		ok = ok && body.ReadAnyASN1Element(&skip, &tag)
	}
	var spki cryptobyte.String
	if !ok || !body.ReadASN1Element(&spki, asn1.SEQUENCE) {
		t.Fatal("malformed certificate")
	}
	p.spki, p.value = spki, bits[1:]
	return p
}

func TestOpenSSLCertificates(t *testing.T) {
	rsaKey := "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"
	ec := func(curve string) string { return "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:" + curve }
	pss := func(salt, mgf string) string {
		return "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:" + salt + " -sigopt rsa_mgf1_md:" + mgf
	}
	for _, c := range []struct{ key, request, scheme, kind string }{
		{rsaKey, "-sha256", "RSA-PKCS1-SHA256", "RSA"},
		{rsaKey, "-sha1", "RSA-PKCS1-SHA1", "RSA"},
		{rsaKey, "-md5", "RSA-PKCS1-MD5", "RSA"},
		{rsaKey, "-sha224", "RSA-PKCS1-SHA224", "RSA"},
		{rsaKey, "-ripemd160", "RSA-PKCS1-RIPEMD160", "RSA"},
		{rsaKey, "-sha3-256", "RSA-PKCS1-SHA3-256", "RSA"},
		{rsaKey, "-sha512-256", "RSA-PKCS1-SHA512-256", "RSA"},
		{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "-sha256", "RSA-PKCS1-SHA256", "RSA"},
		{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072", "-sha384", "RSA-PKCS1-SHA384", "RSA"},
		{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3", "-sha256", "RSA-PKCS1-SHA256", "RSA"},
		{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:4294967297", "-sha256", "RSA-PKCS1-SHA256", "RSA"},
		{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2049", pss("32", "sha256"), "RSA-PSS-SHA256", "RSA"},
		{rsaKey, pss("32", "sha256"), "RSA-PSS-SHA256", "RSA"},
		{rsaKey, pss("0", "sha256"), "RSA-PSS-SHA256", "RSA"},
		{rsaKey, pss("222", "sha256"), "RSA-PSS-SHA256", "RSA"},
		{rsaKey, pss("20", "sha1"), "RSA-PSS-SHA256", "RSA"},
		{"genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", pss("32", "sha256"), "RSA-PSS-SHA256", "RSASSA-PSS"},
		{"genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 -pkeyopt rsa_pss_keygen_mgf1_md:sha256 -pkeyopt rsa_pss_keygen_saltlen:32", pss("40", "sha256"), "RSA-PSS-SHA256", "RSASSA-PSS"},
		{ec("P-256"), "-sha256", "ECDSA-SHA256", "EC P-256"},
		{ec("P-384"), "-sha512", "ECDSA-SHA512", "EC P-384"},
		{ec("P-521"), "-sha3-512", "ECDSA-SHA3-512", "EC P-521"},
		{ec("secp224r1"), "-sha1", "ECDSA-SHA1", "EC P-224"},
		{ec("secp256k1"), "-sha256", "ECDSA-SHA256", "EC secp256k1"},
		{ec("brainpoolP256r1"), "-sha256", "ECDSA-SHA256", "EC brainpoolP256r1"},
		{ec("brainpoolP320t1"), "-sha384", "ECDSA-SHA384", "EC brainpoolP320t1"},
		{ec("brainpoolP384r1"), "-sha384", "ECDSA-SHA384", "EC brainpoolP384r1"},
		{ec("brainpoolP512t1"), "-sha512", "ECDSA-SHA512", "EC brainpoolP512t1"},
		{ec("brainpoolP256r1") + " -pkeyopt ec_param_enc:explicit", "-sha256", "ECDSA-SHA256", "EC brainpoolP256r1"},
		{ec("P-256") + " -pkeyopt ec_param_enc:explicit", "-sha256", "ECDSA-SHA256", "EC P-256"},
		{"genpkey -algorithm ED25519", "", "Ed25519", "Ed25519"},
		{"genpkey -algorithm ED448", "", "Ed448", "Ed448"},
	} {
		t.Run(c.kind+" "+c.request, func(t *testing.T) {
			t.Parallel()
			p := selfSigned(t, c.key, c.request)
			key, err := ParsePublicKey(p.spki)
			if err != nil {
				t.Fatal(err)
			}
			scheme, err := FromCertificate(p.algorithm)
			if err != nil {
				t.Fatal(err)
			}
			if key.Name() != c.kind || scheme.Name() != c.scheme {
				t.Fatalf("%s with %s", scheme, key.Name())
			}
			if explicit := strings.Contains(c.key, "explicit"); explicit != (len(key.Findings()) > 0) {
				t.Errorf("findings: %v", key.Findings())
			}
			if notes, err := scheme.Verify(key, p.tbs, p.value); err != nil || (len(notes) > 0) != strings.Contains(c.request, "mgf1_md:sha1") {
				t.Fatalf("%v %v", notes, err)
			}
			p.value[len(p.value)-1] ^= 1
			if _, err := scheme.Verify(key, p.tbs, p.value); !errors.Is(err, ErrSignature) {
				t.Errorf("changed value: %v", err)
			}
		})
	}
}

func TestOpenSSLDSA(t *testing.T) {
	parameters := filepath.Join(t.TempDir(), "parameters.pem")
	openssl(t, "genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-pkeyopt", "dsa_paramgen_q_bits:160", "-out", parameters)
	p := selfSigned(t, "genpkey -paramfile "+parameters, "-sha1")
	issuer, err := ParsePublicKey(p.spki)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := FromCertificate(p.algorithm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scheme.Verify(issuer, p.tbs, p.value); err != nil || issuer.Bits() != 1024 {
		t.Fatalf("%d bits, %v", issuer.Bits(), err)
	}
	bare := *issuer
	bare.dsa.p, bare.dsa.q, bare.dsa.g = nil, nil, nil
	if _, err := scheme.Verify(&bare, p.tbs, p.value); !errors.Is(err, ErrNeedsParameters) {
		t.Errorf("without parameters: %v", err)
	}
	if _, err := scheme.Verify(bare.InheritParameters(issuer), p.tbs, p.value); err != nil {
		t.Errorf("with inherited parameters: %v", err)
	}
}
