package signerinfo

import (
	"fmt"
	"io"

	"trustcore/verify/algorithm"
)

// Content is the signed data as a stream that can be written again and again: an attached content,
// a detached file, the byte range of a PDF. Digests are computed once for each algorithm.
type Content struct {
	write   func(io.Writer) error
	digests map[algorithm.Hash][]byte
}

// NewContent takes the function that writes the data. A nil function stands for data that is not
// there. The function must write the same octets each time.
func NewContent(write func(io.Writer) error) *Content {
	return &Content{write: write, digests: make(map[algorithm.Hash][]byte, 2)}
}

// Bytes is the Content of data in memory.
func Bytes(data []byte) *Content {
	return NewContent(func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Present tells whether there is data.
func (c *Content) Present() bool { return c != nil && c.write != nil }

// CopyTo writes the data; it fails when there is none.
func (c *Content) CopyTo(w io.Writer) error {
	if !c.Present() {
		return fmt.Errorf("the signed data is absent")
	}
	return c.write(w)
}

// Digest is the digest of the data.
func (c *Content) Digest(h algorithm.Hash) ([]byte, error) {
	if d, ok := c.digests[h]; ok {
		return d, nil
	}
	state := h.New()
	if err := c.CopyTo(state); err != nil {
		return nil, err
	}
	d := state.Sum(nil)
	c.digests[h] = d
	return d, nil
}

// maxHead is how much of the data Head keeps: more than any set of signed attributes takes.
const maxHead = 64 << 10

// head keeps the first octets that are written to it.
type head struct{ kept []byte }

func (h *head) Write(p []byte) (int, error) {
	if room := maxHead - len(h.kept); room > 0 {
		h.kept = append(h.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// whole keeps everything, for the schemes that sign the message itself; beyond its limit it fails.
type whole struct{ kept []byte }

// maxMessage bounds the data that a scheme without a digest (Ed25519 without signed attributes) can
// be about, since it must lie in memory in one piece.
const maxMessage = 64 << 20

func (m *whole) Write(p []byte) (int, error) {
	if len(m.kept)+len(p) > maxMessage {
		return 0, fmt.Errorf("more than %d octets for a scheme that signs the message itself", maxMessage)
	}
	m.kept = append(m.kept, p...)
	return len(p), nil
}
