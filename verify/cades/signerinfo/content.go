package signerinfo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// Content is the signed data as a stream that can be written again and again: an attached content,
// a detached file, the byte range of a PDF. Digests are computed once for each algorithm. Of data that must not
// leave its office there may be digests alone.
type Content struct {
	write   func(io.Writer) error // spends of the budget; nil where the data is not there
	digests map[algorithm.Hash][]byte
	given   map[string][]byte // digests in place of the data, by the name of their algorithm
}

// The answers to whoever reads a Content that is not there.
var (
	errAbsent     = errors.New("the signed data is absent")
	errDigestOnly = errors.New("of the signed data there are digests alone")
)

// NewContent takes the function that writes the data. A nil function stands for data that is not
// there. The function must write the same octets each time; they are spent of the budget.
func NewContent(b *budget.Budget, write func(io.Writer) error) *Content {
	if write == nil {
		return &Content{}
	}
	return newContent(func(w io.Writer) error { return write(Spending(b, w)) })
}

// Bytes is the Content of data in memory, of which the parts one after the other make up the whole. They may be
// mapped: what was read through is let go.
func Bytes(b *budget.Budget, parts ...[]byte) *Content {
	return newContent(func(w io.Writer) error {
		for _, p := range parts {
			if err := b.Write(w, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// Detached is the Content of a file that was given: its octets, or digests in their place. A digest that has not the
// size of its algorithm is none.
func Detached(b *budget.Budget, file signature.Detached) *Content {
	if file.Content != nil || len(file.Digests) == 0 {
		return Bytes(b, file.Content)
	}
	return &Content{given: file.Digests}
}

func newContent(write func(io.Writer) error) *Content {
	return &Content{write: write, digests: make(map[algorithm.Hash][]byte, 2)}
}

// Present tells whether there is data, or a digest of it.
func (c *Content) Present() bool { return c != nil && (c.write != nil || len(c.given) > 0) }

// DigestOnly tells whether digests are all that is there.
func (c *Content) DigestOnly() bool { return c.Present() && c.write == nil }

// CopyTo writes the data; it fails when there is none, or more than the budget allows.
func (c *Content) CopyTo(w io.Writer) error {
	switch {
	case c.DigestOnly():
		return errDigestOnly
	case !c.Present():
		return errAbsent
	}
	return c.write(w)
}

// Digest is the digest of the data; it fails where CopyTo does, but for an algorithm by which a digest was given.
func (c *Content) Digest(h algorithm.Hash) ([]byte, error) {
	if c.DigestOnly() {
		return c.givenDigest(h)
	}
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

func (c *Content) givenDigest(h algorithm.Hash) ([]byte, error) {
	d, ok := c.given[h.Name()]
	switch {
	case !ok:
		return nil, fmt.Errorf("digests were given by %s, and none by %s", strings.Join(slices.Sorted(maps.Keys(c.given)), ", "), h.Name())
	case len(d) != h.Size():
		return nil, fmt.Errorf("the digest that was given has %d octets, one by %s has %d", len(d), h.Name(), h.Size())
	}
	return d, nil
}

// HasDigests tells whether all digests, by the name of their algorithm, that can be computed are the data's, and one of
// them is long enough that no other data has it.
func (c *Content) HasDigests(digests map[string][]byte) bool {
	strong := false
	for h := algorithm.MD5; h.Valid(); h++ {
		want, ok := digests[h.Name()]
		if !ok {
			continue
		}
		if have, err := c.Digest(h); err != nil || !bytes.Equal(have, want) {
			return false
		}
		strong = strong || h.Size() >= algorithm.SHA256.Size()
	}
	return strong
}

// Spending gives a writer that spends for what goes through it, and fails where the budget ends.
func Spending(b *budget.Budget, w io.Writer) io.Writer { return &spending{b, w} }

type spending struct {
	budget *budget.Budget
	io.Writer
}

func (s *spending) Write(p []byte) (int, error) {
	if err := s.budget.Octets(len(p)); err != nil {
		return 0, err
	}
	return s.Writer.Write(p)
}

// Unspent is the writer behind one of Spending, for whoever spends for what goes through it; any other stays as it is.
func Unspent(w io.Writer) io.Writer {
	if s, ok := w.(*spending); ok {
		return s.Writer
	}
	return w
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

// whole keeps everything, for the schemes that sign the message itself (Ed25519 without signed attributes): it
// must lie in memory in one piece.
type whole struct {
	budget *budget.Budget
	kept   []byte
}

func (m *whole) Write(p []byte) (int, error) {
	if err := m.budget.Hold(2 * len(p)); err != nil { // what append leaves behind is counted too
		return 0, err
	}
	m.kept = append(m.kept, p...)
	return len(p), nil
}
