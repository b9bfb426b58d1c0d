package xmldsig

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// DecodeBase64 reads base64 as XML documents carry it: with white space, without it mattering where.
func DecodeBase64(s []byte) ([]byte, error) {
	return appendBase64(nil, s)
}

// appendBase64 writes what s stands for into the room of into, or into new room.
func appendBase64(into, s []byte) ([]byte, error) {
	if bytes.IndexByte(s, ' ') >= 0 || bytes.IndexByte(s, '\t') >= 0 { // the decoder passes over ends of lines by itself
		s = withoutSpace(make([]byte, 0, len(s)), s)
	}
	if n := base64.StdEncoding.DecodedLen(len(s)); into == nil || cap(into) < n {
		into = make([]byte, n)
	}
	n, err := base64.StdEncoding.Decode(into[:cap(into)], s)
	if err != nil {
		return nil, fmt.Errorf("base64: %w", err)
	}
	return into[:n], nil
}

// withoutSpace appends what is no white space: whole lines where there is none within.
func withoutSpace(clean, s []byte) []byte {
	for len(s) > 0 {
		line, rest, _ := bytes.Cut(s, []byte("\n"))
		s = rest
		if bytes.IndexByte(line, ' ') < 0 && bytes.IndexByte(line, '\t') < 0 && bytes.IndexByte(line, '\r') < 0 {
			clean = append(clean, line...)
			continue
		}
		for _, c := range line {
			if class[c]&classSpace == 0 {
				clean = append(clean, c)
			}
		}
	}
	return clean
}

// Bytes returns the base64 text of an element, decoded. What it returns counts as held from then on.
func (n Node) Bytes() ([]byte, error) {
	if n.d == nil {
		return []byte{}, nil
	}
	_, octets := n.textSize()
	if err := n.d.budget.Hold(octets); err != nil {
		return nil, err
	}
	return n.decode()
}

// decode is Bytes for what is not kept.
func (n Node) decode() ([]byte, error) {
	_, octets := n.textSize()
	if err := n.d.budget.Work(int64(costBase64 * octets)); err != nil {
		return nil, err
	}
	if x := &n.d.nodes[n.i]; x.kind == ElementNode && x.end == n.i+2 && n.d.nodes[n.i+1].kind == TextNode {
		return DecodeBase64(n.d.content(&n.d.nodes[n.i+1]))
	}
	return DecodeBase64([]byte(n.Text()))
}
