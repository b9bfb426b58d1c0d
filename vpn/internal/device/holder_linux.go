package device

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A holder is a process that has one embedded device and nothing else: the TUN interface, the UDP sockets and the sessions are
// its own, so that they outlive the process that tends them. It does what it is told by a socket and decides nothing. The device
// and not its file descriptors is what it holds, since sessions that were handed over without the counters of their packets
// would be replayed or refused.
//
// A message has a kind, the length of what follows in four bytes, and that. Each question has one answer, of kind 'y' or of
// a kind of failure.
const (
	askOpen  = 'o' // JSON of heldOptions; the answer says whether the device was there
	askSet   = 's' // WireGuard's configuration protocol
	askGet   = 'g' // the same
	askProve = 'p' // a key and 1 for one that is to be gone, for each peer
	askShake = 'k' // a key
	askReset = 'r'
	askClose = 'x'

	done          = 'y'
	failed        = 'n'
	noPrivilege   = 'P'
	nameIsTaken   = 'N'
	portIsTaken   = 'U'
	deviceIsGone  = 'G'
	maxHeld       = 64 << 20 // bytes of a message: 20,000 peers with networks take 10 MB
	holderSocket  = "holder.sock"
	holderStarts  = 5 * time.Second
	holderAnswers = time.Minute
)

var heldFailures = map[byte]error{noPrivilege: ErrPrivilege, nameIsTaken: ErrNameTaken, portIsTaken: ErrPortTaken, deviceIsGone: ErrDeviceGone}

// heldOptions are [Options] as they travel.
type heldOptions struct {
	Name       string `json:"name"`
	MTU        int    `json:"mtu"`
	PrivateKey []byte `json:"private_key"`
	ListenPort int    `json:"listen_port"`
}

// Hold serves one device by a socket in the folder until it is told to close it, or nobody has tended it for longer than
// alone, or ctx ends. Whoever is not this user is not listened to.
func Hold(ctx context.Context, dir string, alone time.Duration, log *slog.Logger) error {
	path, folder, err := inFolder(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	_ = os.Remove(path) // of a holder that was killed: who listens there is asked first, see openHeld
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return fmt.Errorf("holder: %w", err)
	}
	socket.SetUnlinkOnClose(false)
	defer os.Remove(filepath.Join(dir, holderSocket))
	h := &holding{log: log, closed: make(chan struct{})}
	defer h.end()
	callers := make(chan *net.UnixConn)
	go func() { // ends when the socket is closed
		defer close(callers)
		for {
			c, err := socket.AcceptUnix()
			if err != nil {
				return
			}
			callers <- c
		}
	}()
	defer socket.Close()
	tended, left := 0, make(chan struct{})
	timer := time.NewTimer(alone)
	defer timer.Stop()
	for {
		select {
		case c, is := <-callers:
			if !is {
				return errors.New("holder: its socket was closed")
			}
			if !sameUser(c) {
				_ = c.Close()
				continue
			}
			tended++
			timer.Stop()
			go func() { h.attend(c); left <- struct{}{} }()
		case <-left:
			if tended--; tended == 0 {
				timer.Reset(alone)
			}
		case <-timer.C:
			return nil
		case <-h.closed:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// inFolder names the socket by its folder's descriptor: the name of a socket is short, that of a folder need not be.
func inFolder(dir string) (path string, folder *os.File, err error) {
	folder, err = os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("holder: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), holderSocket), folder, nil
}

// sameUser says whether the process at the other end is of this user.
func sameUser(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	var got error
	err = raw.Control(func(fd uintptr) { peer, got = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return err == nil && got == nil && int(peer.Uid) == os.Geteuid()
}

// holding is the device of a holder.
type holding struct {
	log *slog.Logger

	mu     sync.Mutex
	device *embedded // nil before it is opened; guarded by mu
	once   sync.Once
	closed chan struct{}
}

func (h *holding) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.device != nil {
		_ = h.device.Close() // the process ends
		h.device = nil
	}
}

// attend answers one caller until it is gone.
func (h *holding) attend(c *net.UnixConn) {
	defer c.Close()
	for {
		kind, body, err := receive(c)
		if err != nil {
			return
		}
		answer, err := h.do(kind, body)
		code := byte(done)
		if err != nil {
			answer, code = []byte(err.Error()), failed
			for of, sentinel := range heldFailures {
				if errors.Is(err, sentinel) {
					code = of
				}
			}
		}
		if send(c, code, answer) != nil {
			return
		}
		if kind == askClose {
			h.once.Do(func() { close(h.closed) })
			return
		}
	}
}

func (h *holding) do(kind byte, body []byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if kind == askOpen {
		return h.open(body)
	}
	if kind == askClose {
		if h.device == nil {
			return nil, nil
		}
		d := h.device
		h.device = nil
		return nil, d.Close()
	}
	if h.device == nil {
		return nil, ErrDeviceGone
	}
	select {
	case <-h.device.engine.Wait():
		return nil, ErrDeviceGone
	default:
	}
	switch {
	case kind == askSet:
		return nil, h.device.engine.IpcSet(string(body))
	case kind == askGet:
		text, err := h.device.engine.IpcGet()
		return []byte(text), err
	case kind == askProve && len(body)%(len(Key{})+1) == 0:
		return nil, h.device.Prove(proofs(body))
	case kind == askShake && len(body) == len(Key{}):
		return nil, h.device.Shake(Key(body))
	case kind == askReset:
		return nil, h.device.Reset()
	}
	return nil, errors.New("holder: this is no question")
}

// open makes the device, or says that it is there.
func (h *holding) open(body []byte) ([]byte, error) {
	var o heldOptions
	if err := json.Unmarshal(body, &o); err != nil || len(o.PrivateKey) != len(Key{}) {
		return nil, errors.New("holder: these are no options of a device")
	}
	if h.device != nil {
		return []byte("there"), nil
	}
	d, err := openTUN(Options{Name: o.Name, MTU: o.MTU, PrivateKey: Key(o.PrivateKey), ListenPort: o.ListenPort, Log: h.log})
	if err != nil {
		return nil, err
	}
	h.device = d
	return nil, nil
}

func proofs(body []byte) (changes []PeerChange) {
	const each = len(Key{}) + 1
	for ; len(body) >= each; body = body[each:] {
		changes = append(changes, PeerChange{PublicKey: Key(body[:each-1]), Remove: body[each-1] == 1})
	}
	return changes
}

func send(c net.Conn, kind byte, body []byte) error {
	if len(body) > maxHeld {
		return fmt.Errorf("holder: a message of more than %d bytes", maxHeld)
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	if _, err := c.Write(head); err != nil {
		return err
	}
	_, err := c.Write(body)
	return err
}

func receive(c net.Conn) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length > maxHeld {
		return 0, nil, fmt.Errorf("holder: a message of more than %d bytes", maxHeld)
	}
	body = make([]byte, length)
	_, err = io.ReadFull(c, body)
	return head[0], body, err
}

// held is a device that a holder has.
type held struct {
	mu    sync.Mutex // one question at a time
	conn  *net.UnixConn
	peers int // of the last reading, for the next to have room
}

// openHeld has the holder of the folder open the device, which it may have already. start starts a holder where there is none.
func openHeld(o Options) (*held, error) {
	d, err := dialHolder(o.StateDir)
	if err != nil {
		awaitRelease(o.Name) // of a device that had no holder
		if err = o.Holder(o.StateDir); err != nil {
			return nil, fmt.Errorf("start the holder of the device: %w", err)
		}
		for end := time.Now().Add(holderStarts); ; time.Sleep(releaseLook) {
			if d, err = dialHolder(o.StateDir); err == nil || time.Now().After(end) {
				break
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the holder of the device: %w", err)
	}
	body, err := json.Marshal(heldOptions{o.Name, o.MTU, o.PrivateKey[:], o.ListenPort})
	if err != nil {
		return nil, err
	}
	answer, err := d.ask(askOpen, body)
	if err != nil {
		_, _ = d.ask(askClose, nil) // it has none: the holder ends
		return nil, errors.Join(err, d.conn.Close())
	}
	if string(answer) == "there" {
		o.Log.Info("the device outlived the process that tended it", "interface", o.Name)
	}
	return d, nil
}

// Held says whether a holder listens in the folder.
func Held(dir string) bool {
	d, err := dialHolder(dir)
	return err == nil && d.conn.Close() == nil
}

func dialHolder(dir string) (*held, error) {
	path, folder, err := inFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, err
	}
	if !sameUser(conn) {
		return nil, errors.Join(errors.New("another user's process listens there"), conn.Close())
	}
	return &held{conn: conn}, nil
}

// ask has one question answered. A holder that does not answer is gone, and the device with it.
func (d *held) ask(kind byte, body []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.conn.SetDeadline(time.Now().Add(holderAnswers))
	if err == nil {
		err = send(d.conn, kind, body)
	}
	var code byte
	var answer []byte
	if err == nil {
		code, answer, err = receive(d.conn)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: its holder: %w", ErrDeviceGone, err)
	case code == done:
		return answer, nil
	case heldFailures[code] != nil:
		return nil, &heldError{heldFailures[code], string(answer)}
	}
	return nil, errors.New(string(answer))
}

// heldError is a failure that the holder told.
type heldError struct {
	is   error
	text string
}

func (e *heldError) Error() string { return e.text }
func (e *heldError) Unwrap() error { return e.is }

func (d *held) Read() (State, error) {
	text, err := d.ask(askGet, nil)
	if err != nil {
		return State{}, err
	}
	reader := newUAPIReader(d.peers)
	if _, err := io.Copy(reader, strings.NewReader(string(text))); err != nil {
		return State{}, err
	}
	state, privateKey, err := reader.end()
	if err != nil {
		return State{}, err
	}
	d.peers, state.PublicKey = len(state.Peers), publicKey(privateKey)
	return state, nil
}

func (d *held) Write(c Change) error {
	if _, err := d.ask(askSet, []byte(encodeUAPI(c))); err != nil {
		return fmt.Errorf("configure the device: %w", err)
	}
	return nil
}

func (d *held) Prove(changes []PeerChange) error {
	body := make([]byte, 0, len(changes)*(len(Key{})+1))
	for _, c := range changes {
		body = append(body, c.PublicKey[:]...)
		if c.Remove {
			body = append(body, 1)
		} else {
			body = append(body, 0)
		}
	}
	_, err := d.ask(askProve, body)
	return err
}

func (d *held) Shake(peer Key) error {
	_, err := d.ask(askShake, peer[:])
	return err
}

func (d *held) Reset() error {
	_, err := d.ask(askReset, nil)
	return err
}

func (d *held) Guarded() bool { return true }

// Close ends the device and its holder. A holder that is gone has ended it.
func (d *held) Close() error {
	_, err := d.ask(askClose, nil)
	if errors.Is(err, ErrDeviceGone) {
		err = nil
	}
	return errors.Join(err, d.conn.Close())
}
