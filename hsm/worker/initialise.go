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

	"trustcore/internal/durable"
)

// serialFile remembers the token of this folder by its serial number. While it is there, no token is ever initialised: a token that is
// missing then is a loss to be repaired from the backup, not a reason to make an empty one.
const serialFile = "token.serial"

// maxPINFile is the longest PIN file that is read.
const maxPINFile = 1 << 10

// initialise finds the token, or makes it at the first start. It loads and unloads the module; the session comes later.
func (t *token) initialise() error {
	serial, err := os.ReadFile(filepath.Join(t.request.TokenDir, serialFile))
	switch {
	case err == nil:
		t.serial = strings.TrimSpace(string(serial))
		t.pin, err = readPIN(t.request.PINFile)
		return err
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("token folder: %w", err)
	}
	if t.pin, err = ensurePIN(t.request.PINFile); err != nil {
		return err
	}
	if err := t.module.Initialize(); err != nil {
		return fmt.Errorf("loading %s: %w", t.request.ModulePath, err)
	}
	serialNumber, err := t.firstStart()
	if final := t.module.Finalize(); final != nil {
		err = errors.Join(err, fmt.Errorf("unloading the module: %w", final))
	}
	if err != nil {
		return err
	}
	t.serial = serialNumber
	return durable.WriteFile(filepath.Join(t.request.TokenDir, serialFile), []byte(serialNumber+"\n"), 0o600)
}

// firstStart makes the token and its PINs; a token of the label that is there is taken as it is, at most its user PIN is set, for a
// crash may have ended an earlier first start. It returns the serial number.
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
	officer, err := readPIN(t.request.SOPINFile)
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

var errNoToken = errors.New("no such token")

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
	return 0, info, fmt.Errorf("%d tokens are labelled %q", len(found), info.Label)
}

// readPIN reads a PIN; a line end after it is not part of it.
func readPIN(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("PIN file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("PIN file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("PIN file %s can be read by others (mode %v): chmod 600", path, info.Mode().Perm())
	}
	if info.Size() > maxPINFile {
		return "", fmt.Errorf("PIN file %s is longer than %d bytes", path, maxPINFile)
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		return "", fmt.Errorf("PIN file %s: %w", path, err)
	}
	pin := strings.TrimRight(string(text), "\r\n")
	if len(pin) < 4 {
		return "", fmt.Errorf("PIN file %s holds %d characters, at least 4 are needed", path, len(pin))
	}
	return pin, nil
}

// ensurePIN reads the PIN, or writes a random one of 130 bits when the file is not there.
func ensurePIN(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := durable.WriteFile(path, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("PIN file: %w", err)
		}
	}
	return readPIN(path)
}
