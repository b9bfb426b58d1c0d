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

	"trustcore/hsm/internal/pinfile"
	"trustcore/hsm/internal/wire"
	"trustcore/internal/durable"
)

var (
	errNoKey        = errors.New("the token holds no such key")
	errRequest      = errors.New("bad request")
	errBeyondRepair = errors.New("the module needs a new process")
	errLostToken    = errors.New("wrong or lost token: put the token back, or restore its folder from the backup; " +
		"no new one is made where keys are registered")
	errReopen     = errors.New("it was asked for")
	errPINRefused = errors.New("this token has refused this PIN already")
)

// lockWait is how long a new worker waits for the end of the one before it.
const lockWait = 5 * time.Second

// openTries: SoftHSM's C_Initialize now and then fails while another process ends, and again works a moment later.
const (
	openTries = 5
	openPause = 100 * time.Millisecond
)

// tokensDir is SoftHSM's folder of tokens, in the token's folder.
const tokensDir = "tokens"

// ownSessions are those beside the ones that sign: crypto11's standing one, and one for management.
const ownSessions = 2

// token is the open token. crypto11 has the login, the session pool and the key pairs; the module's own functions
// serve for what it leaves out (initialising, reading attributes back, looking at sessions).
type token struct {
	request wire.OpenRequest
	pin     string
	serial  string
	known   bool // the folder remembers the serial number
	shared  bool // other tokens of the module have that number too
	created bool
	module  *pkcs11.Ctx // the same module that crypto11 has loaded
	apart   bool        // a proxy, whose every loading is initialised by itself; of others, crypto11 does that
	lock    *os.File    // held while the process lives

	mu      sync.RWMutex // read-held by every use of session, write-held while it is replaced
	session *crypto11.Context
	slot    uint
	age     int // number of replacements

	manage  sync.Mutex               // SoftHSM 2.6 corrupts its store when keys are made, found or deleted at the same time
	unknown []crypto11.AttributeType // guarded by manage; the optional ones that the token is known not to know

	keysMu sync.RWMutex
	keys   map[wire.ID]crypto11.Signer // guarded by keysMu; of this session
}

// openToken loads the module, initialises the token if this is its first start, and logs in. With an error the token
// is closed, and tells its serial number at most.
func openToken(request wire.OpenRequest) (*token, error) {
	t := &token{request: request}
	if err := t.prepare(); err != nil {
		return t, err
	}
	if err := t.load(); err != nil {
		return t, errors.Join(err, t.lock.Close())
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
	if t.serial == t.request.RefusedBy {
		return errPINRefused
	}
	var err error
	for range openTries {
		if err = t.login(); err == nil || wrongPIN(err) {
			return err
		}
		time.Sleep(openPause)
	}
	return errors.Join(t.find(t.lookUp, "with serial number "+t.serial), err)
}

// prepare makes the token's folder at the first start, takes its lock and has SoftHSM's configuration there. Other
// modules do not read it. Where keys are registered, no folder is made: it would stand in the way of the one that was
// moved away.
func (t *token) prepare() error {
	dir := t.request.TokenDir
	tokens := filepath.Join(dir, tokensDir)
	if t.request.MayInitialise {
		if err := durable.MkdirAll(tokens, 0o700); err != nil {
			return fmt.Errorf("token folder: %w", err)
		}
	} else if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%w (token folder: %w)", errLostToken, err)
	}
	if err := pinfile.CheckFolder(dir); err != nil {
		return err
	}
	if err := t.takeLock(filepath.Join(dir, "worker.lock")); err != nil {
		return err
	}
	if err := t.configure(tokens); err != nil {
		return errors.Join(err, t.lock.Close())
	}
	return nil
}

// configure writes SoftHSM's configuration where it is not as it must be.
func (t *token) configure(tokens string) error {
	conf := filepath.Join(t.request.TokenDir, "softhsm2.conf")
	text := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	if there, err := os.ReadFile(conf); err != nil || string(there) != text {
		if err := durable.WriteFile(conf, []byte(text), 0o600); err != nil {
			return fmt.Errorf("token folder: %w", err)
		}
	}
	if err := moveOfficerPIN(t.request.PINFile+".so", t.request.SOPINFile); err != nil {
		return err
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

// login opens a logged-in session. It is called without use of t.session elsewhere, while the module is not
// initialised. The slot is looked up before, for crypto11 would send the PIN to the first of several with our serial
// number, and after, for a module may number its slots anew.
func (t *token) login() error {
	var slot int
	err := t.loaded(func() error {
		found, _, err := t.lookUp()
		slot = int(found)
		return err
	})
	if err != nil {
		return err
	}
	session, err := crypto11.Configure(&crypto11.Config{
		Path: t.request.ModulePath, SlotNumber: &slot, Pin: t.pin,
		MaxSessions: t.request.Sessions + ownSessions, PoolWaitTimeout: lockWait,
	})
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	if err := t.seeSlot(slot); err != nil {
		return errors.Join(err, session.Close())
	}
	t.session, t.slot = session, uint(slot)
	t.keysMu.Lock()
	t.keys = make(map[wire.ID]crypto11.Signer)
	t.keysMu.Unlock()
	return nil
}

// seeSlot makes sure that the module's own functions see our token where crypto11 logged in.
func (t *token) seeSlot(slot int) error {
	err := t.module.Initialize()
	if t.apart = err == nil; !t.apart && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return fmt.Errorf("loading %s: %w", t.request.ModulePath, err)
	}
	if now, _, err := t.lookUp(); err != nil || int(now) != slot {
		return errors.Join(fmt.Errorf("the token is no longer in slot %d", slot), err, t.leave())
	}
	return nil
}

// leave ends what seeSlot began.
func (t *token) leave() error {
	if !t.apart {
		return nil
	}
	t.apart = false
	return t.module.Finalize()
}

// heal replaces the session that age names; a later one has been replaced already. Closing the last session also
// finalises the module, so that C_Initialize starts from nothing.
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
		if err := errors.Join(t.leave(), old.Close()); err != nil {
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

// attempt runs do with the session, and again as long as new handles or a new session may heal its error. A key that
// is not there is looked for once more after C_Initialize: the module may have seen its token go, and not come back.
func (t *token) attempt(do func(*crypto11.Context) error) error {
	var err error
	missed := false
	for range attempts {
		var age int
		age, err = t.once(do)
		remedy := remedyFor(err)
		if errors.Is(err, errNoKey) && !missed {
			missed, remedy = true, newSession
		}
		switch remedy {
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

// reopen finds and opens the token anew.
func (t *token) reopen() error {
	t.mu.RLock()
	age := t.age
	t.mu.RUnlock()
	return t.heal(age, errReopen)
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

// ping touches token and login, and looks for the key unless its ID is zero. While keys are managed, which may take
// long, it does not look.
func (t *token) ping(id wire.ID) error {
	return t.attempt(func(*crypto11.Context) error {
		if err := t.loggedIn(); err != nil || id == (wire.ID{}) || !t.manage.TryLock() {
			return err
		}
		defer t.manage.Unlock()
		return t.objects(id, pkcs11.CKO_PRIVATE_KEY, func(_ pkcs11.SessionHandle, found []pkcs11.ObjectHandle) error {
			if len(found) == 0 {
				return errNoKey
			}
			return nil
		})
	})
}

// loggedIn returns CKR_USER_NOT_LOGGED_IN when the token has forgotten our login: it then hides private keys instead
// of refusing them.
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
	known := t.known && (!t.shared || t.request.MayInitialise) // without keys, any token of the label will do
	answer := wire.OpenAnswer{Serial: t.serial, Label: t.request.TokenLabel, Created: t.created, Known: known}
	if info, err := t.module.GetTokenInfo(t.slot); err == nil {
		answer.Manufacturer, answer.Model, answer.Label = info.ManufacturerID, info.Model, info.Label
		answer.Firmware, answer.Hardware = version(info.FirmwareVersion), version(info.HardwareVersion)
	}
	if info, err := t.module.GetInfo(); err == nil {
		answer.Library = info.ManufacturerID + ", " + info.LibraryDescription + ", " + version(info.LibraryVersion)
	}
	return answer
}

func version(v pkcs11.Version) string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }
