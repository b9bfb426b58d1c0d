package hsm_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
)

// ofEachMaker runs a test with the tokens of two makers.
func ofEachMaker(t *testing.T, test func(*testing.T, *hsmtest.Token)) {
	t.Run("SoftHSM", func(t *testing.T) { test(t, hsmtest.Start(t, hsmtest.Config(t))) })
	t.Run("softokn", func(t *testing.T) { test(t, hsmtest.Start(t, softokn(t).Config)) })
}

// nss is a token of NSS' softokn. That module starts only with parameters which nobody gives who calls C_Initialize as
// PKCS#11 has it, so it comes by p11-kit's proxy, as modules of other makers often do. Its two slots have one serial
// number, its tokens know neither CKA_COPYABLE nor CKA_ALLOWED_MECHANISMS, nor that they made a key.
type nss struct {
	hsm.Config
	db      string
	modules string // p11-kit's settings
}

const (
	p11KitProxy   = "/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so"
	p11KitModules = "/usr/share/p11-kit/modules"
	softoknModule = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"
)

func softokn(t *testing.T) nss {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting p11-kit's settings needs root")
	}
	dir := t.TempDir()
	s := nss{hsmtest.Config(t), filepath.Join(dir, "db"), filepath.Join(dir, "modules")}
	must(t, os.Mkdir(s.modules, 0o755), os.WriteFile(s.PINFile, []byte("a PIN of softokn's\n"), 0o600))
	s.initialise(t, s.db)
	must(t, os.WriteFile(filepath.Join(s.modules, "softokn.module"), []byte("module: "+softoknModule+"\nx-init-reserved: "+
		"configdir='sql:"+s.db+"' certPrefix='' keyPrefix='' secmod='' flags= dbTokenDescription='"+s.TokenLabel+"'\n"), 0o644))
	self, err := os.Executable()
	must(t, err)
	s.ModulePath, s.Worker = p11KitProxy, append(s.amongModules(), self, "hsm-worker")
	return s
}

// initialise makes the token as its maker's program does: softokn has no PIN of a security officer.
func (s nss) initialise(t *testing.T, db string) {
	t.Helper()
	must(t, os.Mkdir(db, 0o700))
	run(t, exec.Command("certutil", "-N", "-d", "sql:"+db, "-f", s.PINFile))
}

// amongModules begins a command for which p11-kit has softokn alone.
func (s nss) amongModules() []string {
	return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" ` + p11KitModules + ` && exec "$@"`, s.modules}
}

func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

// A worker that was killed comes back to the same token; a token that has its number, label and PIN and none of its
// keys is another one, in which nothing is made.
func TestTokensOfOneNumber(t *testing.T) {
	s := softokn(t)
	tok := hsmtest.Start(t, s.Config)
	key := tok.Key(t, hsm.P256)
	digest := sha256.Sum256(nil)
	kill := func() {
		pid := tok.WorkerPID()
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		waitFor(t, "another worker", func() bool { return tok.WorkerPID() != 0 && tok.WorkerPID() != pid })
	}
	kill()
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		t.Errorf("after the worker was killed: %v", err)
	}
	// Of a key that is active another token says that it is lost; a suspended one leaves the question to who the token is.
	must(t, tok.Suspend(t.Context(), officer, key.Info().ID), os.Rename(s.db, s.db+".away"))
	s.initialise(t, s.db)
	kill()
	if _, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Label: "wrong", Algorithm: hsm.P256}); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("generated in another token: %v", err)
	}
	waitFor(t, "the loss to be told", func() bool { return tok.Health() != nil })
	must(t, os.Rename(s.db, s.db+".wrong"), os.Rename(s.db+".away", s.db))
	kill()
	waitFor(t, "the key's token", func() bool { return tok.Health() == nil })
	must(t, tok.Resume(t.Context(), officer, key.Info().ID))
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		t.Errorf("in its own token again: %v", err)
	}
}

// Where a token does not tell which keys it made, one that came from outside is told by what PKCS#11 has such keys say.
func TestKeysFromOutsideAreWeak(t *testing.T) {
	s := softokn(t)
	tok := hsmtest.Start(t, s.Config)
	if a := tok.Key(t, hsm.P256).Info().Attestation; a.Local || !a.LocalNotKept || !a.Copyable {
		t.Errorf("softokn has learned to tell: %+v", a)
	}
	if i, err := tok.Inventory(t.Context()); err != nil || !i.Whole() {
		t.Fatalf("%+v, %v", i, err)
	}
	dir := t.TempDir()
	outside, id := filepath.Join(dir, "key.pem"), hex.EncodeToString(bytes.Repeat([]byte{7}, 16))
	run(t, exec.Command("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER", "-out", outside))
	command := append(s.amongModules(), "pkcs11-tool", "--module", p11KitProxy, "--token-label", s.TokenLabel, "--login",
		"--pin", "a PIN of softokn's", "--write-object", outside, "--type", "privkey", "--id", id, "--sensitive", "--usage-sign")
	run(t, exec.Command(command[0], command[1:]...))
	i, err := tok.Inventory(t.Context())
	if err != nil || len(i.Weak) != 1 || i.Weak[0].ID != id || i.Weak[0].Attribute == "CKA_LOCAL" {
		t.Errorf("%+v, %v", i, err)
	}
}
