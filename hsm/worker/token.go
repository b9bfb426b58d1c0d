package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"

	"trustcore/hsm/internal/wire"
	"trustcore/internal/durable"
)

var (
	errNoKey        = errors.New("the token holds no such key")
	errRequest      = errors.New("bad request")
	errBeyondRepair = errors.New("the module needs a new process")
)

// lockWait is how long a new worker waits for the end of the one before it.
const lockWait = 5 * time.Second

// openTries: SoftHSM's C_Initialize now and then fails while another process ends, and again works a moment later.
const (
	openTries = 5
	openPause = 100 * time.Millisecond
)

// ownSessions are those beside the ones that sign: crypto11's standing one, and one for management.
const ownSessions = 2

// token is the open token. crypto11 has the login, the session pool and the key pairs; the module's own functions serve for what it
// leaves out (initialising, reading attributes back, looking at sessions).
type token struct {
	request wire.OpenRequest
	pin     string
	serial  string
	created bool
	module  *pkcs11.Ctx // the same module that crypto11 has loaded; initialised by crypto11 alone
	lock    *os.File    // held while the process lives

	mu      sync.RWMutex // read-held by every use of session, write-held while it is replaced
	session *crypto11.Context
	slot    uint
	age     int // number of replacements

	manage sync.Mutex // SoftHSM 2.6 corrupts its store when keys are made, found or deleted at the same time

	keysMu sync.RWMutex
	keys   map[wire.ID]crypto11.Signer // guarded by keysMu; of this session
}

// openToken loads the module, initialises the token if this is its first start, and logs in.
func openToken(request wire.OpenRequest) (*token, error) {
	t := &token{request: request}
	if err := t.prepare(); err != nil {
		return nil, err
	}
	if err := t.load(); err != nil {
		return nil, errors.Join(err, t.lock.Close())
	}
	return t, nil
}

func (t *token) load() error {
	if t.module = pkcs11.New(t.request.ModulePath); t.module == nil {
		return fmt.Errorf("%s can't be loaded as a PKCS#11 module (is its package installed?)", t.request.ModulePath)
	}
	if err := t.initialise(); err != nil {
		return err
	}
	var err error
	for range openTries {
		if err = t.login(); err == nil || wrongPIN(err) {
			return err
		}
		time.Sleep(openPause)
	}
	return err
}

// prepare makes the token's folder, takes its lock and writes SoftHSM's configuration there. Other modules do not read it.
func (t *token) prepare() error {
	dir := t.request.TokenDir
	if err := os.MkdirAll(filepath.Join(dir, "tokens"), 0o700); err != nil {
		return fmt.Errorf("token folder: %w", err)
	}
	if err := t.takeLock(filepath.Join(dir, "worker.lock")); err != nil {
		return err
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	text := "directories.tokendir = " + filepath.Join(dir, "tokens") + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	if err := durable.WriteFile(conf, []byte(text), 0o600); err != nil {
		return fmt.Errorf("token folder: %w", err)
	}
	return os.Setenv("SOFTHSM2_CONF", conf)
}

// takeLock makes sure that one process alone has the token open: SoftHSM's store does not survive two.
func (t *token) takeLock(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("token folder: %w", err)
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			t.lock = f
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("another process has the token of %s open: %w", t.request.TokenDir, err), f.Close())
		}
	}
}

// login opens a logged-in session. It is called without use of t.session elsewhere.
func (t *token) login() error {
	session, err := crypto11.Configure(&crypto11.Config{
		Path: t.request.ModulePath, TokenSerial: t.serial, Pin: t.pin,
		MaxSessions: t.request.Sessions + ownSessions, PoolWaitTimeout: lockWait,
	})
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	slot, _, err := findToken(t.module, func(i pkcs11.TokenInfo) bool { return i.SerialNumber == t.serial })
	if err != nil {
		return errors.Join(err, session.Close())
	}
	t.session, t.slot = session, slot
	t.keysMu.Lock()
	t.keys = make(map[wire.ID]crypto11.Signer)
	t.keysMu.Unlock()
	return nil
}

// heal replaces the session that age names; a later one has been replaced already. Closing the last session also finalises the module,
// so that C_Initialize starts from nothing.
func (t *token) heal(age int, cause error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.age != age {
		return nil
	}
	t.age++
	if t.session != nil {
		old := t.session
		t.session = nil
		if err := old.Close(); err != nil {
			return fmt.Errorf("%w: %w, then closing: %w", errBeyondRepair, cause, err)
		}
	}
	if err := t.login(); err != nil {
		return fmt.Errorf("%w: %w, then %w", errBeyondRepair, cause, err)
	}
	fmt.Fprintln(os.Stderr, "the token's session was replaced after:", cause)
	return nil
}

// attempts is how often a call is tried: trouble seldom comes alone, and each new session may meet the rest of it.
const attempts = 3

// attempt runs do with the session, and again as long as new handles or a new session may heal its error.
func (t *token) attempt(do func(*crypto11.Context) error) error {
	var err error
	for range attempts {
		var age int
		age, err = t.once(do)
		switch remedyFor(err) {
		case nothing:
			return err
		case newHandles:
			t.forgetKeys()
		case newSession:
			if err := t.heal(age, err); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: %w", errBeyondRepair, err)
}

func (t *token) once(do func(*crypto11.Context) error) (age int, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.session == nil {
		return t.age, fmt.Errorf("%w: there is no session", errBeyondRepair)
	}
	return t.age, do(t.session)
}

func (t *token) forgetKeys() {
	t.keysMu.Lock()
	defer t.keysMu.Unlock()
	clear(t.keys)
}

// ping touches token and login.
func (t *token) ping() error {
	return t.attempt(func(*crypto11.Context) error { return t.loggedIn() })
}

// loggedIn returns CKR_USER_NOT_LOGGED_IN when the token has forgotten our login: it then hides private keys instead of refusing them.
func (t *token) loggedIn() error {
	session, err := t.module.OpenSession(t.slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return err
	}
	info, err := t.module.GetSessionInfo(session)
	if err == nil && info.State != pkcs11.CKS_RO_USER_FUNCTIONS {
		err = pkcs11.Error(pkcs11.CKR_USER_NOT_LOGGED_IN)
	}
	return errors.Join(err, t.module.CloseSession(session))
}

func (t *token) describe() wire.OpenAnswer {
	answer := wire.OpenAnswer{Serial: t.serial, Label: t.request.TokenLabel, Created: t.created}
	if info, err := t.module.GetTokenInfo(t.slot); err == nil {
		answer.Manufacturer, answer.Model, answer.Label = info.ManufacturerID, info.Model, info.Label
	}
	return answer
}
