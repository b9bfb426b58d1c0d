// Package wire is the language between trustd and its HSM worker: length-prefixed frames over one socket, each with
// the number of the call it belongs to, so that answers come in any order. Signing, the hot path, is a few fixed
// bytes; everything rare is JSON.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"trustcore/hsm/mechanism"
)

// MaxBody is the longest body of a frame. The longest real ones are lists of keys: about 40 bytes for each of 20,000
// keys.
const MaxBody = 1 << 20

// MaxDigest is the longest digest of any mechanism (SHA-512).
const MaxDigest = 64

// header is: length of what follows it in the frame's 4 bytes, call (8), kind (1).
const header = 13

// MaxRandom is how many random octets one call gives.
const MaxRandom = 1 << 10

// IDSize is the length of a key's identifier, its CKA_ID.
const IDSize = 16

// ID is a key's CKA_ID: 16 random bytes, the only name by which a key is looked up in the token.
type ID [IDSize]byte

// Kind says what a frame asks for or answers.
type Kind byte

// Requests.
const (
	Open     Kind = iota + 1 // OpenRequest -> OpenAnswer; once, first
	Sign                     // SignBody's bytes -> SignedBody's bytes
	Generate                 // GenerateRequest -> GenerateAnswer
	Destroy                  // the ID's bytes -> nothing
	List                     // nothing -> the IDs' bytes, one after the other
	Ping                     // nothing, or the bytes of a key's ID that must be there -> nothing; touches the token
	Reopen                   // nothing -> nothing; the token is found and opened anew, from C_Initialize on
	Random                   // how many octets, in 2 bytes, MaxRandom at most -> so many of the token's random octets
	Attest                   // the ID's bytes -> Attestation, read from the token now
	Decrypt                  // DecryptBody's bytes -> the plaintext's bytes
	Probe                    // a mechanism's code -> nothing; Refused where the token does not decrypt so
	Survey                   // nothing -> SurveyAnswer; reads every private key of the token
)

// Answers.
const (
	OK        Kind = iota + 0x80
	Refused        // the request is wrong and stays wrong; the body says why (of Open: PINRefusal)
	Missing        // the token holds no such key
	Failed         // the token did not do it; the body says why
	Senseless      // the key does not decrypt this; nothing is said of why
)

// Frame is one message.
type Frame struct {
	Call uint64
	Kind Kind
	Body []byte
}

// ErrFrame says that the peer does not speak this language; the connection is of no more use.
var ErrFrame = errors.New("malformed frame")

// Writer writes frames from many goroutines to one stream; those that come at the same time leave together.
type Writer struct {
	waiting atomic.Int32 // writers that will hold mu after this one
	mu      sync.Mutex
	buffer  *bufio.Writer // guarded by mu; empty whenever nobody waits
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{buffer: bufio.NewWriterSize(w, 16<<10)} }

// Write writes the frame, or leaves it to the next writer that waits already. It refuses a body over MaxBody; any
// other error means that the stream is broken.
func (w *Writer) Write(f Frame) error {
	if len(f.Body) > MaxBody {
		return fmt.Errorf("%w: body of %d bytes", ErrFrame, len(f.Body))
	}
	var h [header]byte
	binary.BigEndian.PutUint32(h[:], uint32(header-4+len(f.Body)))
	binary.BigEndian.PutUint64(h[4:], f.Call)
	h[12] = byte(f.Kind)
	w.waiting.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.waiting.Add(-1) == 0
	if _, err := w.buffer.Write(h[:]); err != nil {
		return err
	}
	if _, err := w.buffer.Write(f.Body); err != nil {
		return err
	}
	if last {
		return w.buffer.Flush()
	}
	return nil
}

// Read reads one frame. At a clean end of the stream the error is io.EOF.
func Read(r io.Reader) (Frame, error) {
	var h [header]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < header-4 || n > header-4+MaxBody {
		return Frame{}, fmt.Errorf("%w: length %d", ErrFrame, n)
	}
	f := Frame{Call: binary.BigEndian.Uint64(h[4:]), Kind: Kind(h[12])}
	if n == header-4 {
		return f, nil
	}
	f.Body = make([]byte, n-(header-4))
	if _, err := io.ReadFull(r, f.Body); err != nil {
		return Frame{}, fmt.Errorf("%w: cut short: %w", ErrFrame, err)
	}
	return f, nil
}

// MaxDigests is how many digests one Sign request carries: what keeps one session busy for a moment, not for seconds.
const MaxDigests = 16

// SignBody is the body of a Sign request. The digests are as long as the mechanism's hash, as CheckDigest has it.
func SignBody(id ID, m mechanism.Mechanism, digests [][]byte) []byte {
	b := make([]byte, 0, IDSize+1+len(digests)*MaxDigest)
	b = append(b, id[:]...)
	b = append(b, m.Code())
	for _, d := range digests {
		b = append(b, d...)
	}
	return b
}

// ParseSign reads a Sign request; the digests, 1 to MaxDigests, are as long as the mechanism wants them and share
// body's memory.
func ParseSign(body []byte) (ID, mechanism.Mechanism, [][]byte, error) {
	if len(body) < IDSize+1 {
		return ID{}, "", nil, fmt.Errorf("%w: sign request of %d bytes", ErrFrame, len(body))
	}
	m, err := mechanism.ByCode(body[IDSize])
	if err != nil {
		return ID{}, "", nil, err
	}
	if m.Decrypts() {
		return ID{}, "", nil, fmt.Errorf("%w: %s", ErrFrame, mechanism.ErrDecrypts)
	}
	rest, size := body[IDSize+1:], m.Hash().Size()
	if len(rest) == 0 || len(rest)%size != 0 || len(rest)/size > MaxDigests {
		return ID{}, "", nil, fmt.Errorf("%w: sign request of %d bytes for %s", ErrFrame, len(body), m)
	}
	digests := make([][]byte, 0, len(rest)/size)
	for ; len(rest) > 0; rest = rest[size:] {
		digests = append(digests, rest[:size])
	}
	return ID(body[:IDSize]), m, digests, nil
}

// Signed is the answer to Sign: signatures of the first digests, of all of them when Kind is OK; else Kind and Reason
// say why the next one has none, and the token was not asked for those behind it.
type Signed struct {
	Kind       Kind
	Signatures [][]byte
	Reason     []byte
}

// SignedBody is the body of the answer.
func SignedBody(s Signed) []byte {
	size := 2 + len(s.Reason)
	for _, one := range s.Signatures {
		size += 2 + len(one)
	}
	b := append(make([]byte, 0, size), byte(s.Kind), byte(len(s.Signatures)))
	for _, one := range s.Signatures {
		b = binary.BigEndian.AppendUint16(b, uint16(len(one)))
		b = append(b, one...)
	}
	return append(b, s.Reason...)
}

// ParseSigned reads the answer to a request of n digests. An answer that has more or, with OK, fewer signatures is
// malformed.
func ParseSigned(body []byte, n int) (Signed, error) {
	wrong := fmt.Errorf("%w: answer of %d bytes to %d digests", ErrFrame, len(body), n)
	if len(body) < 2 || int(body[1]) > n || Kind(body[0]) == OK && int(body[1]) != n {
		return Signed{}, wrong
	}
	s := Signed{Kind: Kind(body[0]), Signatures: make([][]byte, body[1])}
	rest := body[2:]
	for i := range s.Signatures {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) || binary.BigEndian.Uint16(rest) == 0 {
			return Signed{}, wrong
		}
		size := 2 + int(binary.BigEndian.Uint16(rest))
		s.Signatures[i], rest = rest[2:size:size], rest[size:]
	}
	s.Reason = rest
	return s, nil
}

// RandomBody is the body of a Random request.
func RandomBody(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

// ParseRandom reads a Random request.
func ParseRandom(body []byte) (int, error) {
	if len(body) != 2 || binary.BigEndian.Uint16(body) == 0 || binary.BigEndian.Uint16(body) > MaxRandom {
		return 0, fmt.Errorf("%w: a request of random octets", ErrFrame)
	}
	return int(binary.BigEndian.Uint16(body)), nil
}

// ParseIDs reads the answer to List.
func ParseIDs(body []byte) ([]ID, error) {
	if len(body)%IDSize != 0 {
		return nil, fmt.Errorf("%w: list of %d bytes", ErrFrame, len(body))
	}
	ids := make([]ID, 0, len(body)/IDSize)
	for ; len(body) > 0; body = body[IDSize:] {
		ids = append(ids, ID(body[:IDSize]))
	}
	return ids, nil
}
