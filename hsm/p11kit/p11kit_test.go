package p11kit_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/p11kit"
)

// box is a backend whose keys lie in memory.
type box struct {
	keys    []p11kit.Key
	signers map[string]crypto.Signer

	mu     sync.Mutex
	signed int   // guarded by mu
	fail   error // guarded by mu
}

func (b *box) Keys(context.Context) ([]p11kit.Key, error) { return b.keys, nil }

func (b *box) Sign(_ context.Context, id []byte, m mechanism.Mechanism, digest []byte) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return nil, b.fail
	}
	b.signed++
	return b.signers[string(id)].Sign(rand.Reader, digest, m.Options())
}

func (b *box) Decrypt(_ context.Context, id []byte, m mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
	plaintext, err := b.signers[string(id)].(crypto.Decrypter).Decrypt(nil, ciphertext, &rsa.OAEPOptions{Hash: m.Hash()})
	if err != nil {
		return nil, p11kit.ErrUndecryptable
	}
	return plaintext, nil
}

// must is for calls that give a value or an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fill makes a box with an RSA key and one on P-256, each under a certificate and its authority.
func fill(t testing.TB) *box {
	t.Helper()
	b := &box{signers: map[string]crypto.Signer{}}
	ca := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	root := certify(t, "CA", &ca.PublicKey, nil, ca)
	for i, one := range []struct {
		label string
		key   crypto.Signer
		how   []mechanism.Mechanism
	}{
		{"seal-rsa", must(rsa.GenerateKey(rand.Reader, 2048))(t), []mechanism.Mechanism{mechanism.RSAPKCS1SHA256, mechanism.RSAPSSSHA256}},
		{"seal-ec", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), []mechanism.Mechanism{mechanism.ECDSASHA256}},
	} {
		id := bytes.Repeat([]byte{byte(i + 1)}, 16)
		leaf := certify(t, one.label, one.key.Public(), root, ca)
		b.signers[string(id)] = one.key
		b.keys = append(b.keys, p11kit.Key{ID: id, Label: one.label, Public: one.key.Public(), Mechanisms: one.how, Chain: [][]byte{leaf.Raw, root.Raw}})
	}
	return b
}

func certify(t testing.TB, name string, key any, parent *x509.Certificate, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: parent == nil, BasicConstraintsValid: true}
	if parent == nil {
		parent = template
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key, by))(t)
	return must(x509.ParseCertificate(der))(t)
}

// serve serves a box on a socket until the test ends.
func serve(t testing.TB, b p11kit.Backend) (socket string) {
	t.Helper()
	dir := must(os.MkdirTemp("", "p11"))(t) // short: a socket's path has at most 107 bytes
	socket = filepath.Join(dir, "s")
	l := must(net.Listen("unix", socket))(t)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				err := p11kit.Serve(ctx, conn, p11kit.Config{Backend: b, Label: "office", Serial: "0001", Logger: slog.New(slog.DiscardHandler)})
				if err != nil && ctx.Err() == nil {
					t.Log(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		running.Wait()
		_ = os.RemoveAll(dir)
	})
	return socket
}

// module is p11-kit's client; the test is skipped where it or the program is not installed.
func module(t testing.TB, program string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/pkcs11/p11-kit-client.so")
	if len(found) == 0 {
		t.Skip("p11-kit-client.so is not installed (apt-get install p11-kit-modules)")
	}
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	return found[0]
}

// run runs a program against the socket.
func run(t testing.TB, socket, program string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Env = append(os.Environ(), "P11_KIT_SERVER_ADDRESS=unix:path="+socket, "HOME="+t.TempDir(), "PKCS11_MODULE_PATH="+module(t, program))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func wants(t testing.TB, out string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("%q is missing in:\n%s", part, out)
		}
	}
}

func TestPkcs11Tool(t *testing.T) {
	lib := module(t, "pkcs11-tool")
	b := fill(t)
	socket, dir := serve(t, b), t.TempDir()
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")
	text := bytes.Repeat([]byte("pismo\n"), 2000)
	if err := os.WriteFile(data, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tool := func(args ...string) string {
		return run(t, socket, "pkcs11-tool", append([]string{"--module", lib}, args...)...)
	}
	wants(t, tool("-L"), "token label        : office", "serial num         : 0001")
	wants(t, tool("-M"), "SHA256-RSA-PKCS", "RSA-PKCS-PSS", "ECDSA")
	wants(t, tool("-O"), "Private Key Object; RSA", "Public Key Object; RSA 2048 bits", "Public Key Object; EC  EC_POINT 256 bits",
		"Certificate Object; type = X.509 cert", "label:      CA", "seal-ec")
	wants(t, tool("--login", "--pin", "1234", "-O", "--type", "privkey"), "seal-rsa", "never extractable")
	digest := sha256.Sum256(text)
	public := b.signers[string(b.keys[0].ID)].Public().(*rsa.PublicKey)
	tool("-s", "-m", "SHA256-RSA-PKCS", "--label", "seal-rsa", "-i", data, "-o", out)
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], must(os.ReadFile(out))(t)); err != nil {
		t.Errorf("over data: %v", err)
	}
	wants(t, tool("--verify", "-m", "SHA256-RSA-PKCS", "--label", "seal-rsa", "-i", data, "--signature-file", out), "Signature is valid")
	hashed := filepath.Join(dir, "hashed")
	if err := os.WriteFile(hashed, digest[:], 0o600); err != nil {
		t.Fatal(err)
	}
	tool("-s", "-m", "RSA-PKCS-PSS", "--hash-algorithm", "SHA256", "--label", "seal-rsa", "-i", hashed, "-o", out)
	if err := rsa.VerifyPSS(public, crypto.SHA256, digest[:], must(os.ReadFile(out))(t), nil); err != nil {
		t.Errorf("PSS: %v", err)
	}
	tool("-s", "-m", "ECDSA", "--id", "02020202020202020202020202020202", "--signature-format", "openssl", "-i", hashed, "-o", out)
	if !ecdsa.VerifyASN1(b.signers[string(b.keys[1].ID)].Public().(*ecdsa.PublicKey), digest[:], must(os.ReadFile(out))(t)) {
		t.Error("ECDSA")
	}
	if random := tool("--generate-random", "32", "-o", out); len(must(os.ReadFile(out))(t)) != 32 {
		t.Errorf("random: %s", random)
	}
	if b.signed != 3 {
		t.Errorf("%d requests for 3 signatures", b.signed)
	}
}

func TestP11tool(t *testing.T) {
	lib := module(t, "p11tool")
	socket := serve(t, fill(t))
	wants(t, run(t, socket, "p11tool", "--provider", lib, "--list-all", "pkcs11:token=office"), "Type: X.509 Certificate", "Type: Public key", "seal-rsa", "CA")
	wants(t, run(t, socket, "p11tool", "--provider", lib, "--batch", "--list-privkeys", "pkcs11:token=office"), "Private key", "seal-ec")
}

func TestOpenSSL(t *testing.T) {
	module(t, "openssl")
	if found, _ := filepath.Glob("/usr/lib/*/engines-*/pkcs11.so"); len(found) == 0 {
		t.Skip("the engine pkcs11 is not installed (apt-get install libengine-pkcs11-openssl)")
	}
	b := fill(t)
	socket, dir := serve(t, b), t.TempDir()
	data, out, public := filepath.Join(dir, "data"), filepath.Join(dir, "out"), filepath.Join(dir, "public.pem")
	if err := os.WriteFile(data, []byte("pismo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"seal-rsa", "seal-ec"} {
		run(t, socket, "openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sign", "pkcs11:token=office;object="+name+";type=private", "-sha256",
			"-out", out, data)
		for i, k := range b.keys {
			if k.Label == name {
				der := must(x509.MarshalPKIXPublicKey(b.keys[i].Public))(t)
				if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		wants(t, run(t, socket, "openssl", "dgst", "-sha256", "-verify", public, "-signature", out, data), "Verified OK")
	}
}

func TestSSH(t *testing.T) {
	lib := module(t, "ssh-keygen")
	wants(t, run(t, serve(t, fill(t)), "ssh-keygen", "-D", lib), "ssh-rsa ", "ecdsa-sha2-nistp256 ")
}

func TestJava(t *testing.T) {
	lib := module(t, "keytool")
	socket, dir := serve(t, fill(t)), t.TempDir()
	config := filepath.Join(dir, "pkcs11.cfg")
	if err := os.WriteFile(config, []byte("name = office\nlibrary = "+lib+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, socket, "keytool", "-J-Xshare:auto", "-list", "-v", "-keystore", "NONE", "-storetype", "PKCS11", "-addprovider", "SunPKCS11", "-providerarg", config, "-storepass", "1234")
	wants(t, out, "Alias name: seal-rsa", "Alias name: seal-ec", "Entry type: PrivateKeyEntry", "Certificate chain length: 2")
}

// A data centre that is away costs a call an error, and no program its connection; a refusal is told apart.
func TestBackendFails(t *testing.T) {
	lib := module(t, "pkcs11-tool")
	b := fill(t)
	socket, dir := serve(t, b), t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(data, []byte("pismo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]struct {
		fail error
		says string
	}{"away": {io.ErrUnexpectedEOF, "CKR_DEVICE_ERROR"}, "refused": {p11kit.ErrRefused /* CKR_FUNCTION_REJECTED */, "0x200"}} {
		b.mu.Lock()
		b.fail = try.fail
		b.mu.Unlock()
		c := exec.CommandContext(t.Context(), "pkcs11-tool", "--module", lib, "-s", "-m", "SHA256-RSA-PKCS", "--label", "seal-rsa", "-i", data)
		c.Env = append(os.Environ(), "P11_KIT_SERVER_ADDRESS=unix:path="+socket)
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), try.says) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}

// A key in whose place another one signs verifies, and has no private half that a program could find.
func TestKeyThatVerifiesAlone(t *testing.T) {
	lib := module(t, "pkcs11-tool")
	b := fill(t)
	digest := sha256.Sum256([]byte("pismo"))
	signature := must(b.signers[string(b.keys[0].ID)].Sign(rand.Reader, digest[:], crypto.SHA256))(t)
	b.keys[0].VerifiesAlone, b.keys[0].Label = true, "seal-rsa/1"
	socket, dir := serve(t, b), t.TempDir()
	data, signed := filepath.Join(dir, "data"), filepath.Join(dir, "signed")
	if err := errors.Join(os.WriteFile(data, []byte("pismo"), 0o600), os.WriteFile(signed, signature, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out := run(t, socket, "pkcs11-tool", "--module", lib, "-O", "--type", "privkey"); strings.Contains(out, "seal-rsa") {
		t.Errorf("its private half is there:\n%s", out)
	}
	wants(t, run(t, socket, "pkcs11-tool", "--module", lib, "--verify", "-m", "SHA256-RSA-PKCS", "--label", "seal-rsa/1", "-i", data,
		"--signature-file", signed), "Signature is valid")
}
