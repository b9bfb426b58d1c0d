package cms

import (
	"bytes"
	"errors"
	"fmt"
)

// Without gives the ContentInfo as it was before some unsigned attributes of a signer came in, in parts that make it up
// one after the other. Every other octet stays as it is, but for the lengths around the attributes (RFC 4998, appendix
// A); the field of unsigned attributes goes with the last of them.
func (sd *SignedData) Without(signer int, gone func(*Attribute) bool) ([][]byte, error) {
	if signer < 0 || signer >= len(sd.Signers) {
		return nil, fmt.Errorf("unsigned attributes: no signer %d of %d", signer, len(sd.Signers))
	}
	levels, err := sd.levels()
	if err != nil {
		return nil, fmt.Errorf("unsigned attributes: %w", err)
	}
	parts, err := sd.Signers[signer].without(gone)
	if err != nil {
		return nil, fmt.Errorf("unsigned attributes: %w", err)
	}
	var signers [][]byte
	for i, si := range sd.Signers {
		if i == signer {
			signers = append(signers, parts...)
		} else {
			signers = append(signers, si.Raw)
		}
	}
	set := levels[len(levels)-1]
	parts = reframe(set, signers)
	for i := len(levels) - 2; i >= 0; i-- {
		before, ok := bytes.CutSuffix(levels[i].Content, levels[i+1].Raw)
		if !ok {
			return nil, errors.New("unsigned attributes: something follows the SignedData within the ContentInfo")
		}
		parts = reframe(levels[i], append([][]byte{before}, parts...))
	}
	return parts, nil
}

// levels are the elements around the signers from the outside: ContentInfo, its content, SignedData, signerInfos.
func (sd *SignedData) levels() ([]Element, error) {
	r := newReader(sd.Raw)
	info, outer, err := r.enter(tagSequence, "ContentInfo")
	if err != nil {
		return nil, err
	}
	if _, err := info.next(); err != nil {
		return nil, err
	}
	explicit, content, err := info.enter(tagContext|tagConstructed, "content")
	if err != nil {
		return nil, err
	}
	body, signed, err := explicit.enter(tagSequence, "SignedData")
	if err != nil {
		return nil, err
	}
	var set Element
	for !body.empty() {
		if set, err = body.next(); err != nil {
			return nil, err
		}
	}
	return []Element{outer, content, signed, set}, nil
}

// without is the SignerInfo without some unsigned attributes.
func (si *SignerInfo) without(gone func(*Attribute) bool) ([][]byte, error) {
	var kept [][]byte
	for i := range si.UnsignedAttributes {
		if a := &si.UnsignedAttributes[i]; !gone(a) {
			kept = append(kept, a.Raw)
		}
	}
	r := newReader(si.Raw)
	e, err := r.next()
	if err != nil {
		return nil, err
	}
	parts := [][]byte{bytes.TrimSuffix(e.Content, si.RawUnsignedAttributes)}
	if len(kept) > 0 {
		r = newReader(si.RawUnsignedAttributes)
		field, err := r.next()
		if err != nil {
			return nil, err
		}
		parts = append(parts, reframe(field, kept)...)
	}
	return reframe(e, parts), nil
}

// reframe puts other contents into an element. The form of the length stays; a definite one takes as many octets as it
// had where that were more than it needs.
func reframe(e Element, contents [][]byte) [][]byte {
	if e.Indefinite {
		head := e.Raw[:len(e.Raw)-len(e.Content)-2]
		return append(append([][]byte{head}, contents...), []byte{0, 0})
	}
	length := 0
	for _, c := range contents {
		length += len(c)
	}
	head := appendHeader(nil, e.Tag, length)
	had, needed := len(e.Raw)-len(e.Content), len(appendHeader(nil, e.Tag, len(e.Content)))
	if had > needed {
		head = []byte{e.Tag, 0x80 | byte(had-2)}
		for shift := 8 * (had - 3); shift >= 0; shift -= 8 {
			head = append(head, byte(length>>shift))
		}
	}
	return append([][]byte{head}, contents...)
}
