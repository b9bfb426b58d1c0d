package pades

import (
	"crypto/sha256"
	"encoding"
	"errors"
	"io"

	"trustcore/internal/budget"
	"trustcore/verify/cades/signerinfo"
)

// prefixes keeps the states of hashes at the beginnings of the file that were hashed before. The byte
// range of each signature begins with everything that earlier ones cover, so the file is hashed once for
// each algorithm, however often it was signed.
type prefixes struct {
	data   []byte
	states map[string][]prefix // by the state of the fresh hash, which tells the algorithm
	budget *budget.Budget
}

// prefix is the state of a hash after so many bytes of the file.
type prefix struct {
	length int
	state  []byte
}

// hasher is what the hashes of the standard library can do besides.
type hasher interface {
	io.Writer
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// maxStates bounds what is kept for one algorithm; a state takes some 200 bytes.
const maxStates = 2 * maxSignatures

// write hashes a byte range: the first so many bytes of the file, and the rest after the hole.
func (p *prefixes) write(w io.Writer, before int, after []byte) error {
	done := 0
	w = signerinfo.Unspent(w) // what is not hashed again is not spent
	h, saves := w.(hasher)
	var key string
	if saves {
		fresh, err := h.MarshalBinary()
		if err != nil {
			return err
		}
		key = string(fresh)
		if best := p.longest(key, before); best.length > 0 {
			if err := h.UnmarshalBinary(best.state); err != nil {
				return err
			}
			done = best.length
		}
	}
	if err := p.budget.Octets(before - done + len(after)); err != nil {
		return err
	}
	if _, err := w.Write(p.data[done:before]); err != nil {
		return err
	}
	if saves && len(p.states[key]) < maxStates {
		state, err := h.MarshalBinary()
		if err != nil {
			return err
		}
		p.states[key] = append(p.states[key], prefix{before, state})
	}
	_, err := w.Write(after)
	return err
}

// digest is the SHA-256 of the whole file. It is no part of what the document's budget is for.
func (p *prefixes) digest() ([]byte, error) {
	w := sha256.New()
	h, ok := w.(hasher)
	if !ok {
		return nil, errors.New("the state of SHA-256 cannot be saved")
	}
	fresh, err := h.MarshalBinary()
	if err != nil {
		return nil, err
	}
	done := p.longest(string(fresh), len(p.data))
	if done.length > 0 {
		if err := h.UnmarshalBinary(done.state); err != nil {
			return nil, err
		}
	}
	rest := p.data[done.length:]
	if err := budget.New(p.budget.Context(), len(rest)).Write(w, rest); err != nil {
		return nil, err
	}
	return w.Sum(nil), nil
}

// longest finds the longest known beginning that is not too long.
func (p *prefixes) longest(key string, limit int) prefix {
	var best prefix
	for _, s := range p.states[key] {
		if s.length <= limit && s.length > best.length {
			best = s
		}
	}
	return best
}
