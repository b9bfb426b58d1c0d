package worker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/miekg/pkcs11"

	"trustcore/hsm/internal/pinfile"
	"trustcore/internal/durable"
)

// serialFile remembers the token of this folder by its serial number. While it is there, no token is ever
// initialised: a token that is missing then is a loss to be repaired from the backup, not a reason to make an empty
// one.
const serialFile = "token.serial"

// initialise finds the token, or makes it at the first start. It loads and unloads the module; the session comes later.
func (t *token) initialise() error {
	serial, err := os.ReadFile(filepath.Join(t.request.TokenDir, serialFile))
	switch {
	case err == nil:
		t.serial, t.known = strings.TrimSpace(string(serial)), true
		t.pin, err = pinfile.Read(t.request.PINFile)
		return err
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("token folder: %w", err)
	case !t.request.MayInitialise:
		return t.adopt()
	}
	if t.pin, err = ensurePIN(t.request.PINFile); err != nil {
		return err
	}
	if err := t.loaded(func() (err error) { t.serial, err = t.firstStart(); return err }); err != nil {
		return err
	}
	t.known = true
	return durable.WriteFile(filepath.Join(t.request.TokenDir, serialFile), []byte(t.serial+"\n"), 0o600)
}

// adopt takes the token of our label as it is, in a folder that does not remember its serial number while keys are
// registered. Whether it is theirs only the inventory of its keys tells, so its number is not remembered.
func (t *token) adopt() (err error) {
	if t.pin, err = pinfile.Read(t.request.PINFile); err != nil {
		return err
	}
	byLabel := func() (uint, pkcs11.TokenInfo, error) {
		return findToken(t.module, func(i pkcs11.TokenInfo) bool { return i.Label == t.request.TokenLabel })
	}
	return t.find(byLabel, "labelled "+t.request.TokenLabel)
}

// find has the module look for the token, outside a session, and says so when it is not there.
func (t *token) find(lookUp func() (uint, pkcs11.TokenInfo, error), which string) error {
	err := t.loaded(func() error {
		_, info, err := lookUp()
		if errors.Is(err, errNoToken) {
			return fmt.Errorf("%w: there is no token %s (there is: %s)", errLostToken, which, t.others())
		}
		if err == nil {
			t.serial = info.SerialNumber
		}
		return err
	})
	_, gone := os.Stat(filepath.Join(t.request.TokenDir, tokensDir))
	if err != nil && !errors.Is(err, errLostToken) && errors.Is(gone, fs.ErrNotExist) { // SoftHSM does not even start without it
		return fmt.Errorf("%w: %w, %w", errLostToken, gone, err)
	}
	return err
}

// loaded runs do while the module is initialised, outside a session.
func (t *token) loaded(do func() error) error {
	if err := t.module.Initialize(); err != nil {
		return fmt.Errorf("loading %s: %w", t.request.ModulePath, err)
	}
	err := do()
	if final := t.module.Finalize(); final != nil {
		err = errors.Join(err, fmt.Errorf("unloading the module: %w", final))
	}
	return err
}

// others names the tokens that are there. The module is initialised.
func (t *token) others() string {
	slots, err := t.module.GetSlotList(true)
	if err != nil {
		return err.Error()
	}
	var there []string
	for _, s := range slots {
		if i, err := t.module.GetTokenInfo(s); err == nil && i.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 {
			there = append(there, fmt.Sprintf("%s with serial number %s", i.Label, i.SerialNumber))
		}
	}
	if there == nil {
		return "none"
	}
	return strings.Join(there, ", ")
}

// firstStart makes the token and its PINs; a token of the label that is there is taken as it is, at most its user PIN
// is set, for a crash may have ended an earlier first start. It returns the serial number.
func (t *token) firstStart() (string, error) {
	ours := func(i pkcs11.TokenInfo) bool {
		return i.Label == t.request.TokenLabel && i.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0
	}
	slot, info, err := findToken(t.module, ours)
	if errors.Is(err, errNoToken) {
		if slot, info, err = t.makeToken(ours); err != nil {
			return "", err
		}
	}
	if err != nil {
		return "", err
	}
	if info.Flags&pkcs11.CKF_USER_PIN_INITIALIZED == 0 {
		if err := t.setUserPIN(slot); err != nil {
			return "", err
		}
	}
	return info.SerialNumber, nil
}

// makeToken initialises the first free slot. Its number changes with that, so it is looked up again.
func (t *token) makeToken(ours func(pkcs11.TokenInfo) bool) (uint, pkcs11.TokenInfo, error) {
	officer, err := ensurePIN(t.request.SOPINFile)
	if err != nil {
		return 0, pkcs11.TokenInfo{}, err
	}
	free, _, err := findToken(t.module, func(i pkcs11.TokenInfo) bool { return i.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 })
	if err != nil {
		return 0, pkcs11.TokenInfo{}, fmt.Errorf("no token is labelled %q, and no slot is free for a new one: %w", t.request.TokenLabel, err)
	}
	if err := t.module.InitToken(free, officer, t.request.TokenLabel); err != nil {
		return 0, pkcs11.TokenInfo{}, fmt.Errorf("initialising the token: %w", err)
	}
	t.created = true
	return findToken(t.module, ours)
}

func (t *token) setUserPIN(slot uint) error {
	officer, err := pinfile.Read(t.request.SOPINFile)
	if err != nil {
		return err
	}
	session, err := t.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return fmt.Errorf("setting the user PIN: %w", err)
	}
	err = t.module.Login(session, pkcs11.CKU_SO, officer)
	if err == nil {
		err = errors.Join(t.module.InitPIN(session, t.pin), t.module.Logout(session))
	}
	if err = errors.Join(err, t.module.CloseSession(session)); err != nil {
		return fmt.Errorf("setting the user PIN: %w", err)
	}
	return nil
}

var (
	errNoToken       = errors.New("no such token")
	errSeveralTokens = errors.New("several tokens are the one that is meant")
)

// lookUp finds the token of our serial number. Modules may have several of one number: softokn's are all zeros, and a
// proxy shows the tokens of many makers. Then the label tells them apart, and the number proves nothing.
func (t *token) lookUp() (uint, pkcs11.TokenInfo, error) {
	slot, info, err := findToken(t.module, func(i pkcs11.TokenInfo) bool { return i.SerialNumber == t.serial })
	t.shared = errors.Is(err, errSeveralTokens)
	if !t.shared {
		return slot, info, err
	}
	return findToken(t.module, func(i pkcs11.TokenInfo) bool {
		return i.SerialNumber == t.serial && i.Label == t.request.TokenLabel
	})
}

// findToken returns the one token that is meant; two are an error, for keys must not land in the wrong one.
func findToken(module *pkcs11.Ctx, meant func(pkcs11.TokenInfo) bool) (uint, pkcs11.TokenInfo, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, pkcs11.TokenInfo{}, fmt.Errorf("listing slots: %w", err)
	}
	var found []uint
	var info pkcs11.TokenInfo
	for _, s := range slots {
		i, err := module.GetTokenInfo(s)
		if err != nil || !meant(i) {
			continue // a broken token in another slot is not ours
		}
		found, info = append(found, s), i
	}
	switch len(found) {
	case 1:
		return found[0], info, nil
	case 0:
		return 0, info, errNoToken
	}
	return 0, info, fmt.Errorf("%w: %d labelled %q", errSeveralTokens, len(found), info.Label)
}

// ensurePIN reads the PIN, or writes a random one of 130 bits, in a folder of mode 0700, when the file is not there.
func ensurePIN(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", fmt.Errorf("PIN file: %w", err)
		}
		if err := durable.WriteFile(path, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("PIN file: %w", err)
		}
	}
	return pinfile.Read(path)
}

// moveOfficerPIN takes the officer's PIN away from beside the user's, where earlier versions wrote it, to the place
// of its own.
func moveOfficerPIN(from, to string) error {
	if from == to {
		return nil
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	pin, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(to, pin, 0o600)
	}
	if err == nil {
		err = durable.Remove(from)
	}
	if err != nil {
		return fmt.Errorf("moving the security officer's PIN from %s to %s: %w", from, to, err)
	}
	return nil
}
