package xmldsig

import (
	"errors"
	"sync"
)

// DecodeBase64 reads base64 as XML documents carry it: with white space, without it mattering where.
func DecodeBase64(s []byte) ([]byte, error) {
	return appendBase64(nil, s)
}

// sextets are the values of four octets of base64 by their place, to be joined. An octet that has none is beyond them.
var sextets = func() (table [4][256]uint32) {
	for place := range table {
		for c := range 256 {
			table[place][c] = noSextet
		}
		for value, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
			table[place][c] = uint32(value) << (18 - 6*place)
		}
	}
	return table
}()

const noSextet = 1 << 24

var errBase64 = errors.New("base64: malformed")

// appendBase64 writes what s stands for into the room of into where that suffices, else into new room.
func appendBase64(into, s []byte) ([]byte, error) {
	out := into[:0]
	if most := (len(s)/4 + 1) * 3; out == nil || cap(out) < most {
		out = make([]byte, 0, most)
	}
	for {
		out, s = wholeGroups(out, s)
		var group [4]byte
		n, rest := nextGroup(&group, s)
		switch x := sextets[0][group[0]] | sextets[1][group[1]] | sextets[2][group[2]] | sextets[3][group[3]]; {
		case n == 0 && len(rest) == 0:
			return out, nil
		case n == 4 && x < noSextet:
			out = append(out, byte(x>>16), byte(x>>8), byte(x))
			s = rest
		default:
			return lastGroup(out, group, rest)
		}
	}
}

// wholeGroups reads groups of four octets of the alphabet as long as there are any.
func wholeGroups(out, s []byte) (done, rest []byte) {
	n := len(out)
	out = out[:cap(out)]
	for len(s) >= 4 && len(out)-n >= 3 {
		x := sextets[0][s[0]] | sextets[1][s[1]] | sextets[2][s[2]] | sextets[3][s[3]]
		if x >= noSextet {
			break
		}
		to := out[n : n+3]
		to[0], to[1], to[2] = byte(x>>16), byte(x>>8), byte(x)
		n, s = n+3, s[4:]
	}
	return out[:n], s
}

// nextGroup takes four octets that are no white space.
func nextGroup(group *[4]byte, s []byte) (n int, rest []byte) {
	for i, c := range s {
		if class[c]&classSpace != 0 {
			continue
		}
		group[n] = c
		if n++; n == len(group) {
			return n, s[i+1:]
		}
	}
	return n, nil
}

// lastGroup reads a group with padding (RFC 4648, 4), after which nothing but white space may come.
func lastGroup(out []byte, group [4]byte, rest []byte) ([]byte, error) {
	octets := 2
	if group[2] == '=' {
		octets, group[2] = 1, 'A'
	}
	x := sextets[0][group[0]] | sextets[1][group[1]] | sextets[2][group[2]]
	if group[3] != '=' || x >= noSextet || !blank(rest) {
		return nil, errBase64
	}
	return append(out, byte(x>>16), byte(x>>8))[:len(out)+octets], nil
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
