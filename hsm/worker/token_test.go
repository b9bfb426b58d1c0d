package worker

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"trustcore/hsm/internal/wire"
	"trustcore/hsm/mechanism"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// request describes a new token in a temporary folder.
func request(t testing.TB) wire.OpenRequest {
	t.Helper()
	if _, err := os.Stat(softHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	dir := t.TempDir()
	return wire.OpenRequest{
		ModulePath: softHSM, TokenDir: filepath.Join(dir, "token"), TokenLabel: "test token",
		PINFile: filepath.Join(dir, "pin"), SOPINFile: filepath.Join(dir, "so-pin"), Sessions: 4, MayInitialise: true,
	}
}

// open opens the token inside the test process. One token is open at a time, as in a worker.
func open(t testing.TB, r wire.OpenRequest) *token {
	t.Helper()
	tok, err := openToken(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeToken(t, tok) })
	return tok
}

func closeToken(t testing.TB, tok *token) {
	t.Helper()
	if tok.session != nil {
		if err := tok.session.Close(); err != nil {
			t.Error(err)
		}
		tok.session = nil
	}
	if err := tok.lock.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func newID(t testing.TB) wire.ID {
	t.Helper()
	var id wire.ID
	if _, err := rand.Read(id[:]); err != nil {
		t.Fatal(err)
	}
	return id
}

func generate(t testing.TB, tok *token, a wire.Algorithm, m ...mechanism.Mechanism) (wire.ID, crypto.PublicKey, wire.Attestation) {
	t.Helper()
	id := newID(t)
	answer, err := tok.generate(wire.GenerateRequest{ID: id, Label: "pieczęć " + string(a), Algorithm: a, Mechanisms: m})
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.ParsePKIXPublicKey(answer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return id, pub, answer.Attestation
}

func verify(t testing.TB, pub crypto.PublicKey, m mechanism.Mechanism, digest, signature []byte) {
	t.Helper()
	valid := false
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(p, digest, signature)
	case *rsa.PublicKey:
		if o, ok := m.Options().(*rsa.PSSOptions); ok {
			valid = rsa.VerifyPSS(p, m.Hash(), digest, signature, o) == nil
		} else {
			valid = rsa.VerifyPKCS1v15(p, m.Hash(), digest, signature) == nil
		}
	}
	if !valid {
		t.Errorf("%s of %T does not verify", m, pub)
	}
}

func TestEveryAlgorithmSignsByEveryMechanism(t *testing.T) {
	tok := open(t, request(t))
	for _, a := range []wire.Algorithm{wire.RSA2048, wire.RSA3072, wire.RSA4096, wire.P256, wire.P384} {
		want := []mechanism.Mechanism{mechanism.RSAPKCS1SHA256, mechanism.RSAPKCS1SHA512, mechanism.RSAPSSSHA256, mechanism.RSAPSSSHA384, mechanism.RSAPSSSHA512}
		if a == wire.P256 || a == wire.P384 {
			want = []mechanism.Mechanism{mechanism.ECDSASHA256, mechanism.ECDSASHA384, mechanism.ECDSASHA512}
		}
		id, pub, attestation := generate(t, tok, a, want...)
		if r := attestation.Refusal(false); r != "" {
			t.Errorf("%s: %s is not as asked: %+v", a, r, attestation)
		}
		if attestation.Copyable || attestation.LocalNotKept || len(attestation.Mechanisms) == 0 {
			t.Errorf("%s: %+v", a, attestation)
		}
		for _, m := range want {
			digest := bytes.Repeat([]byte{0x5a}, m.Hash().Size())
			signature, err := tok.sign(id, m, digest)
			if err != nil {
				t.Fatalf("%s, %s: %v", a, m, err)
			}
			verify(t, pub, m, digest, signature)
		}
	}
}

func TestTheTokenItselfRefusesOtherMechanisms(t *testing.T) {
	tok := open(t, request(t))
	id, _, _ := generate(t, tok, wire.RSA2048, mechanism.RSAPSSSHA256)
	if _, err := tok.sign(id, mechanism.RSAPKCS1SHA256, make([]byte, 32)); err == nil {
		t.Error("a key for PSS alone signs by PKCS #1 v1.5")
	}
	if _, err := tok.sign(id, mechanism.ECDSASHA256, make([]byte, 32)); !errors.Is(err, errRequest) {
		t.Errorf("ECDSA with an RSA key: %v", err)
	}
	if _, err := tok.sign(newID(t), mechanism.ECDSASHA256, make([]byte, 32)); !errors.Is(err, errNoKey) {
		t.Errorf("unknown key: %v", err)
	}
}

func TestDestroyAndList(t *testing.T) {
	tok := open(t, request(t))
	id, _, _ := generate(t, tok, wire.P256, mechanism.ECDSASHA256)
	other, _, _ := generate(t, tok, wire.P256, mechanism.ECDSASHA256)
	ids, err := tok.list()
	if err != nil || !bytes.Contains(ids, id[:]) || !bytes.Contains(ids, other[:]) || len(ids) != 2*wire.IDSize {
		t.Fatalf("list: %x, %v", ids, err)
	}
	if err := tok.destroy(id); err != nil {
		t.Fatal(err)
	}
	if err := tok.destroy(id); !errors.Is(err, errNoKey) {
		t.Errorf("destroying again: %v", err)
	}
	if _, err := tok.sign(id, mechanism.ECDSASHA256, make([]byte, 32)); !errors.Is(err, errNoKey) {
		t.Errorf("signing with a destroyed key: %v", err)
	}
	if ids, err := tok.list(); err != nil || !bytes.Equal(ids, other[:]) {
		t.Errorf("list: %x, %v", ids, err)
	}
}

// Sessions that the token has closed under us, and with them the login, are replaced, while other goroutines sign.
func TestStaleSessionsHeal(t *testing.T) {
	tok := open(t, request(t))
	id, pub, _ := generate(t, tok, wire.P256, mechanism.ECDSASHA256)
	digest := make([]byte, 32)
	for range 3 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					signature, err := tok.sign(id, mechanism.ECDSASHA256, digest)
					if err != nil {
						t.Error(err)
						return
					}
					verify(t, pub, mechanism.ECDSASHA256, digest, signature)
				}
			})
		}
		closeAllSessions(t, tok)
		wg.Wait()
	}
	closeAllSessions(t, tok)
	if err := tok.ping(id); err != nil {
		t.Errorf("ping after stale sessions: %v", err)
	}
	if tok.age == 0 {
		t.Error("no session was replaced")
	}
}

// closeAllSessions does what a token does that was reset. It waits for a moment without calls: SoftHSM frees a
// session that is in use.
func closeAllSessions(t *testing.T, tok *token) {
	t.Helper()
	tok.mu.Lock()
	defer tok.mu.Unlock()
	if err := tok.module.CloseAllSessions(tok.slot); err != nil {
		t.Fatal(err)
	}
}

func TestSecondStartFindsTheTokenAndItsKeys(t *testing.T) {
	r := request(t)
	first := open(t, r)
	if !first.created {
		t.Error("the first start did not initialise the token")
	}
	id, pub, _ := generate(t, first, wire.P256, mechanism.ECDSASHA256)
	closeToken(t, first)
	second := open(t, r)
	if second.created || second.serial != first.serial {
		t.Errorf("created %v, serial %s, at first %s", second.created, second.serial, first.serial)
	}
	signature, err := second.sign(id, mechanism.ECDSASHA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	verify(t, pub, mechanism.ECDSASHA256, make([]byte, 32), signature)
}

func TestOpenRefuses(t *testing.T) {
	for name, spoil := range map[string]struct {
		do   func(wire.OpenRequest) error
		says string
	}{
		"token gone": {func(r wire.OpenRequest) error {
			return os.Rename(filepath.Join(r.TokenDir, "tokens"), r.TokenDir+".away")
		}, "wrong or lost token"},
		"folder for all":      {func(r wire.OpenRequest) error { return os.Chmod(r.TokenDir, 0o755) }, "chmod 700"},
		"PIN replaced by all": {func(r wire.OpenRequest) error { return os.Chmod(filepath.Dir(r.PINFile), 0o777) }, "chmod 700"},
		"wrong PIN":           {func(r wire.OpenRequest) error { return os.WriteFile(r.PINFile, []byte("12345678"), 0o600) }, "PIN"},
		"short PIN":           {func(r wire.OpenRequest) error { return os.WriteFile(r.PINFile, []byte("1\n"), 0o600) }, "at least 4"},
		"PIN gone":            {func(r wire.OpenRequest) error { return os.Remove(r.PINFile) }, "PIN file"},
		"PIN for all":         {func(r wire.OpenRequest) error { return os.Chmod(r.PINFile, 0o644) }, "chmod 600"},
		"token not there":     {func(r wire.OpenRequest) error { return os.RemoveAll(filepath.Join(r.TokenDir, "tokens")) }, "wrong or lost token"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t)
			closeToken(t, open(t, r))
			if err := spoil.do(r); err != nil {
				t.Fatal(err)
			}
			tok, err := openToken(r)
			if err == nil {
				closeToken(t, tok)
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), spoil.says) {
				t.Errorf("error does not say %q: %v", spoil.says, err)
			}
			files, _ := filepath.Glob(filepath.Join(r.TokenDir, "tokens", "*"))
			if strings.HasPrefix(name, "token") && len(files) != 0 {
				t.Errorf("a new token was made in place of the lost one: %v", files)
			}
		})
	}
}

// Where keys are registered, nothing is made in place of what is not there: not even a folder, which would stand in
// the way of the one that was moved away. The token of another serial number is refused, and one without a known
// number is only taken as it is.
func TestNothingIsMadeWhereKeysAreRegistered(t *testing.T) {
	other := func(r wire.OpenRequest) error { // another token of the same label and PIN
		second := r
		second.TokenDir = filepath.Join(filepath.Dir(r.TokenDir), "second")
		tok, err := openToken(second)
		if err != nil {
			return err
		}
		if err := errors.Join(tok.session.Close(), tok.lock.Close(), os.RemoveAll(filepath.Join(r.TokenDir, "tokens"))); err != nil {
			return err
		}
		return os.Rename(filepath.Join(second.TokenDir, "tokens"), filepath.Join(r.TokenDir, "tokens"))
	}
	for name, c := range map[string]struct {
		spoil func(wire.OpenRequest) error
		says  string
	}{
		"folder gone": {func(r wire.OpenRequest) error { return os.Rename(r.TokenDir, r.TokenDir+".away") }, "token folder"},
		"folder empty": {func(r wire.OpenRequest) error {
			return errors.Join(os.RemoveAll(r.TokenDir), os.Mkdir(r.TokenDir, 0o700))
		}, "wrong or lost token"},
		"no token and no number": {func(r wire.OpenRequest) error {
			return errors.Join(os.RemoveAll(r.TokenDir), os.MkdirAll(filepath.Join(r.TokenDir, "tokens"), 0o700))
		}, "there is: none"},
		"another token": {other, "there is: test token"},
		"PIN gone":      {func(r wire.OpenRequest) error { return os.Remove(r.PINFile) }, "PIN file"},
		"PIN gone with the folder's memory": {func(r wire.OpenRequest) error {
			return errors.Join(os.Remove(r.PINFile), os.Remove(filepath.Join(r.TokenDir, serialFile)))
		}, "PIN file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t)
			closeToken(t, open(t, r))
			if err := c.spoil(r); err != nil {
				t.Fatal(err)
			}
			before := names(t, filepath.Dir(r.TokenDir))
			r.MayInitialise = false
			tok, err := openToken(r)
			if err == nil {
				closeToken(t, tok)
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error does not say %q: %v", c.says, err)
			}
			if after := names(t, filepath.Dir(r.TokenDir)); strings.Join(after, " ") != strings.Join(before, " ") {
				t.Errorf("made: %v; before %v", after, before)
			}
		})
	}
}

// names are the files and folders below dir, but for those that say nothing of a token.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if base := filepath.Base(path); base != "softhsm2.conf" && base != "worker.lock" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A folder that has lost its memory still opens the token with its keys, and does not begin to remember it unasked.
func TestTokenIsAdoptedAsItIs(t *testing.T) {
	r := request(t)
	first := open(t, r)
	id, _, _ := generate(t, first, wire.P256, mechanism.ECDSASHA256)
	closeToken(t, first)
	if err := os.Remove(filepath.Join(r.TokenDir, serialFile)); err != nil {
		t.Fatal(err)
	}
	r.MayInitialise = false
	tok := open(t, r)
	if _, err := tok.sign(id, mechanism.ECDSASHA256, make([]byte, 32)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.TokenDir, serialFile)); tok.known || err == nil {
		t.Errorf("known is %v, %v", tok.known, err)
	}
}

// The officer's PIN of an earlier version moves into a folder of its own, closed to others.
func TestOfficersPINMoves(t *testing.T) {
	r := request(t)
	r.SOPINFile = r.PINFile + ".so"
	first := open(t, r)
	closeToken(t, first)
	before, err := os.ReadFile(r.SOPINFile)
	if err != nil {
		t.Fatal(err)
	}
	r.SOPINFile = filepath.Join(filepath.Dir(r.PINFile), "officer", "pin")
	open(t, r)
	if after, err := os.ReadFile(r.SOPINFile); err != nil || !bytes.Equal(before, after) {
		t.Errorf("%q, %v; want %q", after, err, before)
	}
	for path, want := range map[string]fs.FileMode{filepath.Dir(r.SOPINFile): 0o700, r.SOPINFile: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if _, err := os.Stat(r.PINFile + ".so"); err == nil {
		t.Error("it still lies beside the user's PIN")
	}
}

// A PIN that a token has refused is not tried again with that token.
func TestRefusedPINIsNotTriedAgain(t *testing.T) {
	r := request(t)
	first := open(t, r)
	closeToken(t, first)
	r.RefusedBy = first.serial // the PIN is right: only the memory of the refusal stands in the way
	if _, err := openToken(r); !errors.Is(err, errPINRefused) {
		t.Errorf("got %v", err)
	}
	r.RefusedBy = "another"
	open(t, r)
}

// The token's files go and come back under an open session: a key is looked for once more after C_Initialize.
func TestKeyIsFoundAfterTheTokenCameBack(t *testing.T) {
	r := request(t)
	tok := open(t, r)
	id, pub, _ := generate(t, tok, wire.P256, mechanism.ECDSASHA256)
	tokens, away := filepath.Join(r.TokenDir, "tokens"), filepath.Join(r.TokenDir, "away")
	if err := os.Rename(tokens, away); err != nil {
		t.Fatal(err)
	}
	if ids, err := tok.list(); err != nil || len(ids) != 0 { // SoftHSM has seen it
		t.Fatalf("%x, %v", ids, err)
	}
	if err := os.Rename(away, tokens); err != nil {
		t.Fatal(err)
	}
	signature, err := tok.sign(id, mechanism.ECDSASHA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	verify(t, pub, mechanism.ECDSASHA256, make([]byte, 32), signature)
}

// A first start that was cut short at any point is finished by the next one.
func TestFirstStartResumes(t *testing.T) {
	for name, spoil := range map[string]func(wire.OpenRequest) error{
		"before the token":  func(r wire.OpenRequest) error { return os.RemoveAll(r.TokenDir) },
		"before the record": func(r wire.OpenRequest) error { return os.Remove(filepath.Join(r.TokenDir, serialFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t)
			first := open(t, r)
			closeToken(t, first)
			if err := spoil(r); err != nil {
				t.Fatal(err)
			}
			second := open(t, r)
			if second.created != (name == "before the token") {
				t.Errorf("created is %v", second.created)
			}
		})
	}
}

// The first start was cut short between the token and its user PIN.
func TestFirstStartSetsTheUserPIN(t *testing.T) {
	r := request(t)
	half := &token{request: r}
	if err := half.prepare(); err != nil {
		t.Fatal(err)
	}
	half.module = pkcs11.New(softHSM)
	if err := half.module.Initialize(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := half.makeToken(func(i pkcs11.TokenInfo) bool { return i.Label == r.TokenLabel }); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(half.module.Finalize(), half.lock.Close()); err != nil {
		t.Fatal(err)
	}
	tok := open(t, r)
	if tok.created {
		t.Error("a second token was made")
	}
	generate(t, tok, wire.P256, mechanism.ECDSASHA256)
}

func TestTokenIsForOneProcess(t *testing.T) {
	r := request(t)
	open(t, r)
	if _, err := openToken(r); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
}

// A token that somebody else initialised is taken with its own PIN, and left alone without it.
func TestForeignTokenNeedsItsPIN(t *testing.T) {
	r := request(t)
	half := &token{request: r}
	if err := half.prepare(); err != nil {
		t.Fatal(err)
	}
	softhsm(t, r, "softhsm2-util", "--init-token", "--free", "--label", r.TokenLabel, "--so-pin", "officer-pin", "--pin", "user-pin")
	if err := half.lock.Close(); err != nil {
		t.Fatal(err)
	}
	if tok, err := openToken(r); err == nil {
		closeToken(t, tok)
		t.Fatal("a token with another PIN opens")
	}
	if err := os.WriteFile(r.PINFile, []byte("user-pin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if tok := open(t, r); tok.created {
		t.Error("a second token was made")
	}
}

func softhsm(t *testing.T, r wire.OpenRequest, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (apt-get install softhsm2 opensc)", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+filepath.Join(r.TokenDir, "softhsm2.conf"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// Another program agrees on what the token holds: a stock pkcs11-tool lists the key as sensitive and never extractable.
func TestPKCS11ToolAgrees(t *testing.T) {
	r := request(t)
	tok := open(t, r)
	generate(t, tok, wire.RSA2048, mechanism.RSAPKCS1SHA256)
	generate(t, tok, wire.P256, mechanism.ECDSASHA256)
	closeToken(t, tok)
	out := softhsm(t, r, "pkcs11-tool", "--module", softHSM, "--token-label", r.TokenLabel, "--login", "--pin", tok.pin, "--list-objects", "--type", "privkey")
	if n := strings.Count(out, "sensitive, always sensitive, never extractable, local"); n != 2 {
		t.Errorf("%d of 2 keys are sensitive, always sensitive, never extractable, local:\n%s", n, out)
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "Usage:") && strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "Usage:")) != "sign" {
			t.Errorf("usage is more than signing: %s", line)
		}
	}
}

func BenchmarkSignInWorker(b *testing.B) {
	tok := open(b, request(b))
	for _, c := range []struct {
		a wire.Algorithm
		m mechanism.Mechanism
	}{{wire.P256, mechanism.ECDSASHA256}, {wire.RSA2048, mechanism.RSAPKCS1SHA256}} {
		id, _, _ := generate(b, tok, c.a, c.m)
		b.Run(string(c.a), func(b *testing.B) {
			digest := make([]byte, 32)
			for b.Loop() {
				if _, err := tok.sign(id, c.m, digest); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
