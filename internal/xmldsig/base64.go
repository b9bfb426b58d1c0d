package xmldsig

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"sync"
)

// DecodeBase64 reads base64 as XML documents carry it: with white space, without it mattering where.
func DecodeBase64(s []byte) ([]byte, error) {
	return appendBase64(nil, s)
}

// appendBase64 writes what s stands for into the room of into where that suffices, else into new room.
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

// decoded are the values of long base64 texts that were asked for, by node.
type decoded struct {
	sync.Mutex
	values map[int32][]byte
}

// worthKeeping is how long base64 is that is not decoded twice, in octets.
const worthKeeping = 256

// Bytes returns the base64 text of an element, decoded. What it returns counts as held from then on, and is not to be
// changed: whoever asks again gets the same octets.
func (n Node) Bytes() ([]byte, error) {
	if n.d == nil {
		return []byte{}, nil
	}
	_, octets := n.textSize()
	if octets < worthKeeping {
		return n.decodeAnew(octets)
	}
	n.d.decoded.Lock()
	defer n.d.decoded.Unlock()
	if value, ok := n.d.decoded.values[n.i]; ok {
		return value, n.d.budget.Work(costFind)
	}
	value, err := n.decodeAnew(octets)
	if err != nil {
		return nil, err
	}
	if n.d.decoded.values == nil {
		n.d.decoded.values = map[int32][]byte{}
	}
	n.d.decoded.values[n.i] = value
	return value, nil
}

func (n Node) decodeAnew(octets int) ([]byte, error) {
	if err := n.d.budget.Hold(octets); err != nil {
		return nil, err
	}
	return n.decode(nil)
}

// decode is Bytes for what is not kept: it takes the room of into.
func (n Node) decode(into []byte) ([]byte, error) {
	_, octets := n.textSize()
	if err := n.d.budget.Work(int64(costBase64 * octets)); err != nil {
		return nil, err
	}
	if x := &n.d.nodes[n.i]; x.kind == ElementNode && x.end == n.i+2 && n.d.nodes[n.i+1].kind == TextNode {
		return appendBase64(into, n.d.content(&n.d.nodes[n.i+1]))
	}
	return appendBase64(into, []byte(n.Text()))
}
