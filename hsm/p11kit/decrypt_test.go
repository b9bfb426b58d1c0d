package p11kit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/p11kit"
)

// opener is a box with a key that decrypts, and its public half and certificate in a folder.
func opener(t *testing.T) (b *box, dir string) {
	t.Helper()
	b = fill(t)
	key, ca := must(rsa.GenerateKey(rand.Reader, 3072))(t), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	leaf := certify(t, "open", &key.PublicKey, certify(t, "CA", &ca.PublicKey, nil, ca), ca)
	id := bytes.Repeat([]byte{9}, 16)
	b.signers[string(id)] = key
	b.keys = append(b.keys, p11kit.Key{ID: id, Label: "open", Public: &key.PublicKey, Chain: [][]byte{leaf.Raw},
		Mechanisms: []mechanism.Mechanism{mechanism.RSAOAEPSHA1, mechanism.RSAOAEPSHA256}})
	dir = t.TempDir()
	put := func(name, kind string, content []byte) {
		t.Helper()
		if kind != "" {
			content = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("public.pem", "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&key.PublicKey))(t))
	put("cert.pem", "CERTIFICATE", leaf.Raw)
	put("secret", "", []byte("tajne"))
	return b, dir
}

// encrypt has openssl encrypt the secret for the key.
func encrypt(t *testing.T, dir string, options ...string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "encrypted")
	args := []string{"pkeyutl", "-encrypt", "-pubin", "-inkey", filepath.Join(dir, "public.pem"), "-in", filepath.Join(dir, "secret"), "-out", file}
	if out, err := exec.CommandContext(t.Context(), "openssl", append(args, options...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// pkcs11-tool decrypts what openssl encrypted, by both hashes; other parameters, other paddings and broken
// ciphertexts are refused, all broken ones in the same way.
func TestPkcs11ToolDecrypts(t *testing.T) {
	lib := module(t, "pkcs11-tool")
	b, dir := opener(t)
	socket, out := serve(t, b), filepath.Join(dir, "out")
	tool := func(in string, how ...string) (string, error) {
		_ = os.Remove(out)
		c := exec.CommandContext(t.Context(), "pkcs11-tool", append([]string{"--module", lib, "--decrypt", "--id", strings.Repeat("09", 16),
			"--input-file", in, "--output-file", out}, how...)...)
		c.Env = append(os.Environ(), "P11_KIT_SERVER_ADDRESS=unix:path="+socket)
		said, err := c.CombinedOutput()
		return string(said), err
	}
	wants(t, run(t, socket, "pkcs11-tool", "--module", lib, "-O", "--type", "privkey", "--label", "open"), "Usage:      decrypt\n")
	wants(t, run(t, socket, "pkcs11-tool", "--module", lib, "-M"), "RSA-PKCS-OAEP, keySize={2048,4096}, hw, decrypt")
	for hash, name := range map[string]string{"sha1": "SHA-1", "sha256": "SHA256"} {
		in := encrypt(t, dir, "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:"+hash)
		if said, err := tool(in, "-m", "RSA-PKCS-OAEP", "--hash-algorithm", name); err != nil || string(must(os.ReadFile(out))(t)) != "tajne" {
			t.Errorf("%s: %v\n%s", hash, err, said)
		}
	}
	in := encrypt(t, dir, "-pkeyopt", "rsa_padding_mode:oaep")
	for what, how := range map[string][]string{
		"another MGF": {"-m", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA1"}, "SHA-384": {"-m", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA384"},
		"PKCS #1 v1.5": {"-m", "RSA-PKCS"}, "raw": {"-m", "RSA-X-509"},
	} {
		if said, err := tool(in, how...); err == nil || !strings.Contains(said, "CKR_MECHANISM") {
			t.Errorf("%s: %v\n%s", what, err, said)
		}
	}
}

// openssl decrypts by its engine: a ciphertext, and a CMS message for the key's certificate.
func TestOpenSSLDecrypts(t *testing.T) {
	module(t, "openssl")
	if found, _ := filepath.Glob("/usr/lib/*/engines-*/pkcs11.so"); len(found) == 0 {
		t.Skip("the engine pkcs11 is not installed (apt-get install libengine-pkcs11-openssl)")
	}
	b, dir := opener(t)
	socket, out := serve(t, b), filepath.Join(dir, "out")
	const key = "pkcs11:token=office;object=open;type=private"
	in := encrypt(t, dir, "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256")
	run(t, socket, "openssl", "pkeyutl", "-decrypt", "-engine", "pkcs11", "-keyform", "engine", "-inkey", key, "-in", in, "-out", out,
		"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256")
	if got := must(os.ReadFile(out))(t); string(got) != "tajne" {
		t.Errorf("a ciphertext: %q", got)
	}
	letter := filepath.Join(dir, "letter")
	run(t, socket, "openssl", "cms", "-encrypt", "-aes-256-cbc", "-binary", "-outform", "DER", "-in", filepath.Join(dir, "secret"), "-out", letter,
		"-recip", filepath.Join(dir, "cert.pem"), "-keyopt", "rsa_padding_mode:oaep")
	run(t, socket, "openssl", "cms", "-decrypt", "-engine", "pkcs11", "-keyform", "engine", "-inkey", key, "-binary", "-inform", "DER", "-in", letter,
		"-out", out, "-recip", filepath.Join(dir, "cert.pem"))
	if got := must(os.ReadFile(out))(t); string(got) != "tajne" {
		t.Errorf("a letter: %q", got)
	}
}

// A program that signs with a key that decrypts, or decrypts with one that signs, is refused before anything is asked.
func TestPurposesAreNotMixed(t *testing.T) {
	lib := module(t, "pkcs11-tool")
	b, dir := opener(t)
	socket := serve(t, b)
	digest := sha256.Sum256([]byte("pismo"))
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(data, append(bytes.Repeat([]byte{1}, 224), digest[:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, args := range map[string][]string{
		"signs":    {"-s", "-m", "SHA256-RSA-PKCS", "--id", strings.Repeat("09", 16), "-i", data},
		"decrypts": {"--decrypt", "-m", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA-1", "--label", "seal-rsa", "--input-file", data},
	} {
		c := exec.CommandContext(t.Context(), "pkcs11-tool", append([]string{"--module", lib}, args...)...)
		c.Env = append(os.Environ(), "P11_KIT_SERVER_ADDRESS=unix:path="+socket)
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || b.signed != 0 {
			t.Errorf("%s: %v, %d signatures\n%s", what, err, b.signed, out)
		}
	}
}
