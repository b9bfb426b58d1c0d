// Package p11kit serves keys to programs that speak PKCS#11, by p11-kit's RPC (version 0) on a local connection: their
// side is p11-kit's own client module, so nothing of ours runs inside them, and no vendor's library has to. On Windows,
// where there is none, it is the one in the folder module.
//
// Programs see a token that is read only and needs no PIN: who may connect is decided before, by the account that the
// kernel names (SO_PEERCRED on Linux, the pipe of an account on Windows). Keys, certificates and chains are there without C_Login. Data are hashed here: what
// leaves the machine is a digest, once a signature.
package p11kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"trustcore/hsm/mechanism"
)

// Backend has the keys. It is asked from many goroutines.
type Backend interface {
	// Keys lists the keys, at once: programs ask for them again and again.
	Keys(ctx context.Context) ([]Key, error)
	// Sign signs a digest by one of the key's mechanisms: RSA, or ECDSA in DER. ErrRefused says that it may not.
	Sign(ctx context.Context, id []byte, m mechanism.Mechanism, digest []byte) ([]byte, error)
	// Decrypt decrypts by one of the key's mechanisms. ErrUndecryptable says that the key does not decrypt it.
	Decrypt(ctx context.Context, id []byte, m mechanism.Mechanism, ciphertext []byte) ([]byte, error)
}

// ErrRefused says that a key may not be used so; the program learns CKR_FUNCTION_REJECTED, of any other error
// CKR_DEVICE_ERROR.
var ErrRefused = errors.New("the use of the key is refused")

// ErrUndecryptable says that a ciphertext was not made for the key; the program learns CKR_ENCRYPTED_DATA_INVALID,
// whatever is wrong with it.
var ErrUndecryptable = errors.New("the key does not decrypt this")

// Config is what programs are served from. All fields are required.
type Config struct {
	Backend Backend
	Label   string // of the token, at most 32 octets
	Serial  string // of the token, at most 16 octets
	Logger  *slog.Logger
}

// Bounds of one connection.
const (
	maxSessions = 256
	maxCalls    = 64 // in progress
)

// client is one connection: one program, with all its threads.
type client struct {
	cfg   Config
	calls chan struct{} // one for each in progress

	out sync.Mutex // held by who writes
	w   io.Writer

	mu       sync.Mutex
	up       bool                // guarded by mu; C_Initialize was called
	loggedIn bool                // guarded by mu
	sessions map[uint64]*session // guarded by mu
	next     uint64              // guarded by mu; handle of the next session
	keys     []Key               // guarded by mu; as they were read last
	objects  []*object           // guarded by mu; handles are places + 1, and stay good as long as the connection
	places   map[string]int      // guarded by mu; of objects, by name
	present  map[string]bool     // guarded by mu; names of the objects that were there when the keys were read last
}

// session is what a program calls so.
type session struct {
	flags  uint64
	find   []uint64 // handles that were not fetched yet; nil: no search was begun
	sign   *operation
	verify *operation

	decrypt *operation
}

// Serve answers one program until it hangs up, ctx ends, or it breaks the protocol, which is an error. It closes the
// connection.
func Serve(ctx context.Context, conn net.Conn, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	c := newClient(cfg, conn)
	if err := greet(conn); err != nil {
		return ended(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel() // before the wait: nobody reads what is still being made
	for {
		f, err := readFrame(conn)
		if err != nil {
			return ended(err)
		}
		c.calls <- struct{}{}
		running.Go(func() {
			defer func() { <-c.calls }()
			c.reply(frame{f.call, c.answer(ctx, f.body)})
		})
	}
}

func newClient(cfg Config, w io.Writer) *client {
	return &client{cfg: cfg, w: w, calls: make(chan struct{}, maxCalls), sessions: map[uint64]*session{},
		places: map[string]int{}}
}

// greet agrees on version 0, which every client of p11-kit steps down to.
func greet(conn io.ReadWriter) error {
	var version [1]byte
	if _, err := io.ReadFull(conn, version[:]); err != nil {
		return err
	}
	_, err := conn.Write([]byte{0})
	return err
}

func ended(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, errMessage) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("PKCS#11 program: %w", err)
}

func (c *client) reply(f frame) {
	c.out.Lock()
	defer c.out.Unlock()
	_, _ = c.w.Write(f.encode()) // a program that has gone is seen by who reads
}

// answer makes the body of the answer to a call.
func (c *client) answer(ctx context.Context, body []byte) []byte {
	r, w := &reader{rest: body}, new(writer)
	id, signature := r.uint32(), r.octets()
	if r.err != nil || id == 0 || int(id) >= len(calls) || string(signature) != calls[id].request {
		return failure(ckrArgumentsBad)
	}
	call := calls[id]
	if call.do == nil {
		return failure(ckrFunctionNotSupported)
	}
	w.uint32(id)
	w.octets([]byte(call.answer))
	err := call.do(c, ctx, r, w)
	if r.err != nil || err == nil && len(r.rest) > 0 {
		err = ckrArgumentsBad
	}
	if err == nil {
		return w.out
	}
	code := ckrDeviceError
	if !errors.As(err, &code) {
		c.cfg.Logger.Error("PKCS#11 call", "call", id, "error", err)
		if errors.Is(err, ErrRefused) {
			code = ckrFunctionRejected
		}
		if errors.Is(err, ErrUndecryptable) {
			code = ckrCiphertext
		}
	}
	return failure(code)
}

// failure is the answer that tells a CK_RV.
func failure(code rv) []byte {
	w := new(writer)
	w.uint32(0)
	w.octets([]byte("u"))
	w.ulong(uint64(code))
	return w.out
}

// refresh reads the keys. Called with c.mu; objects that were seen before keep their handles.
func (c *client) refresh(ctx context.Context) error {
	keys, err := c.cfg.Backend.Keys(ctx)
	if err != nil {
		return err
	}
	c.keys, c.present = keys, map[string]bool{}
	for _, o := range objectsOf(keys) {
		c.present[o.name] = true
		if place, known := c.places[o.name]; known {
			c.objects[place] = o
			continue
		}
		c.places[o.name] = len(c.objects)
		c.objects = append(c.objects, o)
	}
	return nil
}

// object finds one by its handle.
func (c *client) object(handle uint64) *object {
	if handle == 0 || handle > uint64(len(c.objects)) {
		return nil
	}
	return c.objects[handle-1]
}
