package hsm_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit"
)

// partnersKey makes a key of the partner and returns it with its signer.
func partnersKey(t *testing.T, tok *hsmtest.Token, partner, label string) (hsm.KeyInfo, *hsm.Key) {
	t.Helper()
	info, err := tok.Generate(t.Context(), officer, hsm.KeySpec{Partner: partner, Order: "ZU-1", Label: label, Algorithm: hsm.P256})
	if err != nil {
		t.Fatal(err)
	}
	key, err := tok.Signer(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	return info, key
}

// A stop of an office ends the use of its keys, of no other's; a stop of all those of all offices, and the data
// centre's own go on. Each is in the audit log with its reason.
func TestStop(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	own := tok.Key(t, hsm.P256)
	_, first := partnersKey(t, tok, "um", "seal")
	_, second := partnersKey(t, tok, "um", "upo")
	_, others := partnersKey(t, tok, "sp", "seal")
	digest := sha256.Sum256(nil)
	signs := func(when string, key *hsm.Key, want bool) {
		t.Helper()
		_, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if want != (err == nil) || !want && !errors.Is(err, hsm.ErrNotActive) {
			t.Errorf("%s: %s of %q signs: %v", when, key.Info().Label, key.Info().Partner, err)
		}
	}
	stopped, err := tok.SuspendAll(t.Context(), officer, "um", "a laptop was stolen")
	if err != nil || len(stopped) != 2 || stopped[0].State != hsm.Suspended {
		t.Fatalf("%+v, %v", stopped, err)
	}
	for key, want := range map[*hsm.Key]bool{first: false, second: false, others: true, own: true} {
		signs("an office", key, want)
	}
	if again, err := tok.SuspendAll(t.Context(), officer, "um", "once more"); err != nil || len(again) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if stopped, err = tok.SuspendAll(t.Context(), officer, "", "the gateway is attacked"); err != nil || len(stopped) != 1 {
		t.Fatalf("all: %+v, %v", stopped, err)
	}
	signs("all", others, false)
	signs("all", own, true)
	r, err := audit.OpenReader(filepath.Join(filepath.Dir(tok.Config.TokenDir), "audit"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := r.List(t.Context(), audit.Filter{Action: "hsm.key.suspend"})
	if err != nil || len(entries) != 3 || entries[0].Details["reason"] != "a laptop was stolen" || entries[2].Details["reason"] != "the gateway is attacked" ||
		entries[0].Actor != officer {
		t.Errorf("%+v, %v", entries, err)
	}
}

// An inventory tells a key that the token lacks, one that was to be gone, and one that nobody knows.
func TestInventory(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	good, _ := partnersKey(t, tok, "um", "good")
	suspended, _ := partnersKey(t, tok, "um", "suspended")
	back, _ := partnersKey(t, tok, "um", "back")
	strange, _ := partnersKey(t, tok, "um", "strange")
	if err := tok.Suspend(t.Context(), officer, suspended.ID); err != nil {
		t.Fatal(err)
	}
	i, err := tok.Inventory(t.Context())
	if err != nil || !i.Whole() || i.Held != 4 || i.Registered != 4 || i.Serial == "" {
		t.Fatalf("%+v, %v", i, err)
	}
	gone := strings.Repeat("ab", 16)
	for statement, id := range map[string]string{
		`UPDATE hsm_keys SET state = 'destroyed' WHERE id = $1`: back.ID,
		`UPDATE hsm_keys SET id = '` + gone + `' WHERE id = $1`: strange.ID,
	} {
		if _, err := tok.Config.DB.ExecContext(t.Context(), statement, id); err != nil {
			t.Fatal(err)
		}
	}
	i, err = tok.Inventory(t.Context())
	if err != nil || i.Whole() {
		t.Fatalf("%+v, %v", i, err)
	}
	if len(i.Lost) != 1 || i.Lost[0].ID != gone || i.Lost[0].Partner != "um" || len(i.Left) != 1 || i.Left[0].ID != back.ID ||
		len(i.Unknown) != 1 || i.Unknown[0] != strange.ID || i.Registered != 3 {
		t.Errorf("%+v; %s is well", i, good.ID)
	}
}

// An inventory tells keys that another program made in the token: one that can be taken out of it, one under the ID of
// another, and one whose ID is not as ours.
func TestInventoryOfWhatOthersMade(t *testing.T) {
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		t.Skip("pkcs11-tool is not installed (apt-get install opensc)")
	}
	tok := hsmtest.Start(t, hsmtest.Config(t))
	good, _ := partnersKey(t, tok, "um", "good")
	weak := strings.Repeat("cd", 16)
	for _, made := range [][]string{{weak, "--extractable"}, {good.ID}, {"07"}} {
		pin, err := os.ReadFile(tok.Config.PINFile)
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), "pkcs11-tool", append([]string{"--module", tok.Config.ModulePath, "--token-label", "test", "--login", "--pin",
			strings.TrimSpace(string(pin)), "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--id"}, made...)...)
		c.Env = append(os.Environ(), "SOFTHSM2_CONF="+filepath.Join(tok.Config.TokenDir, "softhsm2.conf"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	i, err := tok.Inventory(t.Context())
	if err != nil || i.Whole() {
		t.Fatalf("%+v, %v", i, err)
	}
	if len(i.Unknown) != 1 || i.Unknown[0] != weak || len(i.Doubles) != 1 || i.Doubles[0] != good.ID || i.Foreign != 1 || i.Held != 4 {
		t.Errorf("%+v", i)
	}
	if !slices.Contains(i.Weak, hsm.Weak{ID: weak, Attribute: "CKA_EXTRACTABLE"}) {
		t.Errorf("weak: %+v", i.Weak)
	}
}

// The token is asked again, not the registry: what that remembers is no proof.
func TestAttest(t *testing.T) {
	tok := hsmtest.Start(t, hsmtest.Config(t))
	info, _ := partnersKey(t, tok, "um", "seal")
	if _, err := tok.Config.DB.ExecContext(t.Context(), `UPDATE hsm_keys SET attestation = '{}' WHERE id = $1`, info.ID); err != nil {
		t.Fatal(err)
	}
	now, err := tok.Attest(t.Context(), info.ID)
	if a := now.Attestation; err != nil || a.Refusal(false) != "" || !a.NeverExtractable || a.Extractable || !a.Local || !a.Sign || a.Decrypt {
		t.Errorf("%+v, %v", now.Attestation, err)
	}
	if err := tok.Destroy(t.Context(), officer, info.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Attest(t.Context(), info.ID); !errors.Is(err, hsm.ErrNotActive) {
		t.Errorf("destroyed: %v", err)
	}
	if _, err := tok.Attest(t.Context(), strings.Repeat("0", 32)); !errors.Is(err, hsm.ErrUnknownKey) {
		t.Errorf("unknown: %v", err)
	}
}
