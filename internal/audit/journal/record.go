package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
)

// A record is a head of headLen octets and a payload:
//
//	0   3  mark
//	3   1  kind
//	4   4  length of the payload, little endian like all numbers
//	8   8  index
//	16  4  CRC-32C of the 16 octets before: a head is recognised wherever it stands
//	20 16  sum: SHA-256, cut, of the sum of the record before, the first 16 octets and the payload
const (
	headLen = 36
	sumLen  = 16
)

// mark begins each record. Payloads are UTF-8, where these octets never stand, so no payload holds a head.
var mark = []byte{0xf5, 0xff, 0xf6}

// Kinds of records.
const (
	kindHead  = 'H' // the first record of a segment: Head as JSON
	kindGroup = 'G' // the first of a group: what stands before it was durable when it was written
	kindNext  = 'N' // another one of the group
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type sum [sumLen]byte

// place is where the next record will stand: its index and what its sum is chained to.
type place struct {
	next uint64
	sum  sum
}

// appendRecord appends a record that stands at p, and returns the place behind it. A segment's head stands at the index
// of its first record and takes no index itself.
func appendRecord(to []byte, kind byte, p place, payload []byte) ([]byte, place) {
	start := len(to)
	to = append(to, mark...)
	to = append(to, kind)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(payload)))
	to = binary.LittleEndian.AppendUint64(to, p.next)
	to = binary.LittleEndian.AppendUint32(to, crc32.Checksum(to[start:], castagnoli))
	after := p.after(kind, to[start:start+16], payload)
	to = append(to, after.sum[:]...)
	return append(to, payload...), after
}

func (p place) after(kind byte, head, payload []byte) place {
	h := sha256.New()
	h.Write(p.sum[:])
	h.Write(head)
	h.Write(payload)
	if kind != kindHead {
		p.next++
	}
	var whole [sha256.Size]byte
	copy(p.sum[:], h.Sum(whole[:0]))
	return p
}

// isHead reports whether data begins with the head of a record of this kind.
func isHead(data []byte, kind byte) bool {
	return len(data) >= headLen && bytes.HasPrefix(data, mark) && data[3] == kind &&
		binary.LittleEndian.Uint32(data[16:]) == crc32.Checksum(data[:16], castagnoli)
}

// decoder takes the records of a segment from data, one after the other.
type decoder struct {
	data []byte // not yet taken
	at   place
}

// take returns the payload of the next record when it is whole and of this kind, and the one that belongs here.
func (d *decoder) take(kind byte) ([]byte, bool) {
	if !isHead(d.data, kind) || binary.LittleEndian.Uint64(d.data[8:]) != d.at.next {
		return nil, false
	}
	length := uint64(binary.LittleEndian.Uint32(d.data[4:]))
	if length > uint64(len(d.data)-headLen) {
		return nil, false
	}
	payload := d.data[headLen : headLen+length]
	after := d.at.after(kind, d.data[:16], payload)
	if !bytes.Equal(after.sum[:], d.data[20:headLen]) {
		return nil, false
	}
	d.data, d.at = d.data[headLen+length:], after
	return payload, true
}

// record returns the next record's payload; not ok is the end of what can be read.
func (d *decoder) record() (payload []byte, ok bool) {
	if payload, ok = d.take(kindNext); ok {
		return payload, true
	}
	return d.take(kindGroup)
}

// rest says what stands behind the last record. A group is begun when the one before is durable: another group behind
// the place where reading ended says that durable records were damaged. Anything else is the group that a crash tore.
func (d *decoder) rest() (damaged bool, torn int) {
	for data := d.data; ; data = data[1:] {
		i := bytes.Index(data, mark)
		if i < 0 {
			break
		}
		data = data[i:]
		if isHead(data, kindGroup) && (len(data) < len(d.data) || binary.LittleEndian.Uint64(data[8:]) != d.at.next) {
			return true, 0
		}
	}
	return false, len(bytes.TrimRight(d.data, "\x00"))
}
