package revocation

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sort"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
)

// Entry is one entry of a CRL about one certificate.
type Entry struct {
	Serial         []byte    // content octets of the INTEGER
	RevocationDate time.Time // UTC; zero where it cannot be read
	Reason         Reason
	InvalidityDate time.Time // zero where absent
}

// index finds entries by issuer and serial number. It holds offsets into the list, never copies: a slot of the hash
// table has an offset in its lower 26 bits, one above zero, and 6 bits of the hash to spare most comparisons.
type index struct {
	entries  []byte // content of revokedCertificates
	slots    []uint32
	mask     uint64
	seed     maphash.Seed
	count    int
	extended bool // some entry has extensions

	// runs say from which offset on entries belong to which issuer: certificateIssuer holds for the following entries
	// too (RFC 5280 5.3.3). Issuer 0 is the list's own; issuers maps canonical names to numbers.
	runs    []issuerRun
	issuers map[string]uint32
}

type issuerRun struct{ from, issuer uint32 }

const (
	offsetBits = 26
	offsetMask = 1<<offsetBits - 1

	minEntrySize = 20 // a serial of one octet and a UTCTime
)

// build walks the entries once and fills the table.
func (x *index) build(c *CRL, entries []byte) error {
	x.entries = entries
	if len(entries) == 0 {
		return nil
	}
	offsets, err := x.walk(c)
	if err != nil {
		return err
	}
	size := 8
	for size*3 < len(offsets)*4 {
		size *= 2
	}
	x.slots, x.mask, x.seed = make([]uint32, size), uint64(size-1), maphash.MakeSeed()
	run := 0
	for _, offset := range offsets {
		for run < len(x.runs) && x.runs[run].from <= offset {
			run++
		}
		issuer := uint32(0)
		if run > 0 {
			issuer = x.runs[run-1].issuer
		}
		if !x.insert(offset, issuer) && !c.Has(FindingDuplicate) {
			c.find(FindingDuplicate)
		}
	}
	return nil
}

// walk checks the structure of every entry and gives their offsets.
func (x *index) walk(c *CRL) ([]uint32, error) {
	list := x.entries
	_, _, first, ok := header(list, 0)
	if !ok {
		return nil, fmt.Errorf("%w entry", errMalformed)
	}
	offsets := make([]uint32, 0, len(list)/max(first, minEntrySize)+16) // a guess from the size of the first entry
	var names map[string]uint32
	for at := 0; at < len(list); {
		tag, start, end, ok := header(list, at)
		serialTag, _, serialEnd, okSerial := header(list, start)
		timeTag, _, timeEnd, okTime := header(list, serialEnd)
		if !ok || tag != 0x30 || !okSerial || serialTag != 0x02 || !okTime || timeTag != 0x17 && timeTag != 0x18 || timeEnd > end {
			return nil, fmt.Errorf("%w entry at octet %d of the list", errMalformed, at)
		}
		if timeEnd < end {
			x.extended = true
			if !plainReason(list[timeEnd:end]) {
				if names == nil {
					names = map[string]uint32{}
				}
				if err := x.skim(c, list[timeEnd:end], uint32(at), names); err != nil {
					return nil, err
				}
			}
		}
		offsets = append(offsets, uint32(at))
		at = end
	}
	return offsets, nil
}

// header reads tag and length at an offset: the content is b[start:end]. It refuses indefinite lengths, lengths beyond b and
// multi-octet tags.
func header(b []byte, at int) (tag byte, start, end int, ok bool) {
	if at < 0 || at+2 > len(b) || b[at]&0x1f == 0x1f {
		return 0, 0, 0, false
	}
	tag, length := b[at], int(b[at+1])
	start = at + 2
	if length >= 0x80 {
		count := length & 0x7f
		if count == 0 || count > 4 || start+count > len(b) {
			return 0, 0, 0, false
		}
		length = 0
		for _, octet := range b[start : start+count] {
			length = length<<8 | int(octet)
		}
		start += count
	}
	if length > len(b)-start {
		return 0, 0, 0, false
	}
	return tag, start, start + length, true
}

// plainReason recognises extensions that are a reasonCode and nothing else, as most are.
func plainReason(extensions []byte) bool {
	return len(extensions) == 14 && string(extensions[:13]) == "\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"
}

// skim looks at the extensions of an entry for an issuer and for critical ones that are not known.
func (x *index) skim(c *CRL, extensions []byte, at uint32, names map[string]uint32) error {
	input := cryptobyte.String(extensions)
	var list cryptobyte.String
	if !input.ReadASN1(&list, asn1.SEQUENCE) || !input.Empty() {
		return fmt.Errorf("%w extensions of an entry", errMalformed)
	}
	for !list.Empty() {
		id, critical, value, ok := readExtension(&list)
		if !ok {
			return fmt.Errorf("%w extension of an entry", errMalformed)
		}
		switch id {
		case extReasonCode, extHoldInstruction, extInvalidityDate:
		case extCertificateIssuer:
			issuer, err := x.issuer(c, value, names)
			if err != nil {
				return err
			}
			x.runs = append(x.runs, issuerRun{at, issuer})
		default:
			if critical && !x.hasCritical(c, id) {
				c.Critical = append(c.Critical, id)
			}
		}
	}
	return nil
}

// hasCritical reports whether id is noted; of entries one identifier suffices, so that the list stays short.
func (x *index) hasCritical(c *CRL, id certificate.OID) bool {
	return len(c.Critical) > maxListExtensions || len(c.Critical) > 0 && c.Critical[len(c.Critical)-1] == id
}

// issuer numbers the directory name of a certificateIssuer extension. names remembers encodings, so that a name is
// prepared for comparison once.
func (x *index) issuer(c *CRL, value []byte, names map[string]uint32) (uint32, error) {
	if number, ok := names[string(value)]; ok {
		return number, nil
	}
	if len(names) == maxEntryIssuers {
		return 0, fmt.Errorf("more than %d issuers in one list", maxEntryIssuers)
	}
	general, err := certificate.ParseGeneralNames(value)
	if err != nil {
		return 0, fmt.Errorf("certificateIssuer: %w", err)
	}
	for _, name := range general {
		if name.Directory == nil {
			continue
		}
		if x.issuers == nil {
			x.issuers = map[string]uint32{c.Issuer.Canonical(): 0}
		}
		number, ok := x.issuers[name.Directory.Canonical()]
		if !ok {
			number = uint32(len(x.issuers))
			x.issuers[name.Directory.Canonical()] = number
		}
		names[string(value)] = number
		return number, nil
	}
	return 0, fmt.Errorf("%w certificateIssuer: no directory name", errMalformed)
}

// serialAt is the serial number of the entry at an offset that walk has checked, without superfluous octets.
func (x *index) serialAt(offset uint32) []byte {
	_, start, _, _ := header(x.entries, int(offset))
	_, from, to, _ := header(x.entries, start)
	return shortest(x.entries[from:to])
}

// shortest drops octets that carry the sign a second time, so that serials compare by value.
func shortest(serial []byte) []byte {
	for len(serial) > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
		serial = serial[1:]
	}
	return serial
}

func (x *index) hash(serial []byte, issuer uint32) uint64 {
	return maphash.Bytes(x.seed, serial) + uint64(issuer)*0x9e3779b97f4a7c15
}

// insert adds an entry; of two about one certificate the worse stays, and false is returned.
func (x *index) insert(offset, issuer uint32) bool {
	serial := x.serialAt(offset)
	h := x.hash(serial, issuer)
	tag := uint32(h>>58) << offsetBits
	for slot := h & x.mask; ; slot = (slot + 1) & x.mask {
		held := x.slots[slot]
		if held == 0 {
			x.slots[slot] = tag | (offset + 1)
			x.count++
			return true
		}
		if held&^offsetMask != tag {
			continue
		}
		other := held&offsetMask - 1
		if bytes.Equal(x.serialAt(other), serial) && x.issuerAt(other) == issuer {
			if worse(x.entryAt(offset), x.entryAt(other)) {
				x.slots[slot] = tag | (offset + 1)
			}
			return false
		}
	}
}

// worse orders two entries about one certificate: a removal counts least, then the earlier date counts more.
func worse(a, b Entry) bool {
	if (a.Reason == RemoveFromCRL) != (b.Reason == RemoveFromCRL) {
		return b.Reason == RemoveFromCRL
	}
	if a.RevocationDate.Equal(b.RevocationDate) {
		return a.Reason != CertificateHold && b.Reason == CertificateHold
	}
	return a.RevocationDate.Before(b.RevocationDate)
}

// issuerAt is the number of the issuer that holds for the entry at an offset.
func (x *index) issuerAt(offset uint32) uint32 {
	after := sort.Search(len(x.runs), func(i int) bool { return x.runs[i].from > offset })
	if after == 0 {
		return 0
	}
	return x.runs[after-1].issuer
}

// Find looks a certificate up by its issuer and the content octets of its serial number.
func (c *CRL) Find(issuer certificate.Name, serial []byte) (Entry, bool) {
	x := &c.index
	if x.count == 0 {
		return Entry{}, false
	}
	number := uint32(0)
	if x.issuers != nil {
		var ok bool
		if number, ok = x.issuers[issuer.Canonical()]; !ok {
			return Entry{}, false
		}
	} else if !c.Issuer.Equal(issuer) {
		return Entry{}, false
	}
	serial = shortest(serial)
	h := x.hash(serial, number)
	tag := uint32(h>>58) << offsetBits
	for slot := h & x.mask; ; slot = (slot + 1) & x.mask {
		held := x.slots[slot]
		if held == 0 {
			return Entry{}, false
		}
		if held&^offsetMask != tag {
			continue
		}
		offset := held&offsetMask - 1
		if bytes.Equal(x.serialAt(offset), serial) && x.issuerAt(offset) == number {
			return x.entryAt(offset), true
		}
	}
}

// entryAt reads the entry at an offset that walk has checked. What cannot be read of its extensions stays out: the entry
// revokes all the same.
func (x *index) entryAt(offset uint32) Entry {
	_, start, end, _ := header(x.entries, int(offset))
	_, from, to, _ := header(x.entries, start)
	e := Entry{Serial: x.entries[from:to], Reason: NoReason}
	rest := cryptobyte.String(x.entries[to:end])
	e.RevocationDate, _, _ = certificate.ReadTime(&rest)
	var list cryptobyte.String
	if !rest.ReadASN1(&list, asn1.SEQUENCE) {
		return e
	}
	for !list.Empty() {
		id, _, value, ok := readExtension(&list)
		if !ok {
			return e
		}
		content := cryptobyte.String(value)
		switch id {
		case extReasonCode:
			var code int
			if content.ReadASN1Enum(&code) {
				e.Reason = Reason(code)
			}
		case extInvalidityDate:
			e.InvalidityDate, _, _ = certificate.ReadTime(&content)
		}
	}
	return e
}
