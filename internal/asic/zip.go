package asic

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"unicode/utf8"
)

// Entry is one file of the container.
type Entry struct {
	Name string // as stored, in UTF-8; '/' separates folders
	Size int64  // uncompressed, as declared; Read holds the data against it

	method    uint16
	flags     uint16
	crc       uint32
	packed    int64
	header    int64 // offset of the local header
	start     int64 // first byte of the data, known after the local header was read
	end       int64 // first byte behind the data and its descriptor
	ambiguous bool  // another entry has the same name
	role      Role
}

const (
	stored   = 0
	deflated = 8

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3

	localSignature      = "PK\x03\x04"
	centralSignature    = "PK\x01\x02"
	descriptorSignature = "PK\x07\x08"
	endSignature        = "PK\x05\x06"
	end64Signature      = "PK\x06\x06"
	locator64Signature  = "PK\x06\x07"

	localSize   = 30
	centralSize = 46
	endSize     = 22
	end64Size   = 56
	locatorSize = 20

	extraZip64       = 1
	extraUnicodePath = 0x7075 // of Info-ZIP: another spelling of the name, which some readers prefer

	unixHost    = 3 // in 'version made by': external attributes hold the Unix mode
	modeMask    = 0o170000
	modeSymlink = 0o120000
)

var errBroken = errors.New("asic: broken ZIP file")

// directory is what the end record says of the central directory.
type directory struct {
	offset, size int64
	entries      int64
	end          int64 // offset of the first record behind the central directory
	comment      []byte
}

// findDirectory reads the end of central directory record. It has to be the last thing in the file:
// two readers that search for it must not find two.
func findDirectory(data []byte) (directory, error) {
	const longest = endSize + 65535
	tail := max(0, len(data)-longest)
	i := bytes.LastIndex(data[tail:], []byte(endSignature))
	if i < 0 || len(data)-tail-i < endSize {
		return directory{}, errors.New("asic: no end of a ZIP file")
	}
	at := tail + i
	r := data[at:]
	le := binary.LittleEndian
	d := directory{
		entries: int64(le.Uint16(r[10:])), size: int64(le.Uint32(r[12:])), offset: int64(le.Uint32(r[16:])), end: int64(at),
		comment: r[endSize:],
	}
	if int(le.Uint16(r[20:])) != len(d.comment) {
		return directory{}, errors.New("asic: bytes behind the end of the ZIP file")
	}
	if le.Uint16(r[4:]) != 0 || le.Uint16(r[6:]) != 0 || le.Uint16(r[8:]) != le.Uint16(r[10:]) {
		return directory{}, errors.New("asic: a ZIP file on several disks")
	}
	if at >= locatorSize && string(data[at-locatorSize:at-locatorSize+4]) == locator64Signature {
		return d.zip64(data, at-locatorSize)
	}
	return d, nil
}

// zip64 takes the values of the 64-bit end record, which streaming writers use for small files, too.
func (d directory) zip64(data []byte, locator int) (directory, error) {
	le := binary.LittleEndian
	at := le.Uint64(data[locator+8:])
	if at > uint64(locator) || int(at)+end64Size > locator || string(data[at:at+4]) != end64Signature {
		return d, errBroken
	}
	r := data[at:]
	entries, size, offset := le.Uint64(r[32:]), le.Uint64(r[40:]), le.Uint64(r[48:])
	if entries > MaxEntries || size > uint64(len(data)) || offset > uint64(len(data)) {
		return d, errBroken
	}
	if le.Uint64(r[4:])+12 != uint64(locator)-at || le.Uint32(r[16:]) != 0 || le.Uint32(r[20:]) != 0 || le.Uint64(r[24:]) != entries {
		return d, fmt.Errorf("%w: bytes behind the 64-bit end record, or several disks", errBroken)
	}
	// A program that ignores the 64-bit record must find the same directory, or the sign that there is one.
	if !agree(d.entries, math.MaxUint16, entries) || !agree(d.size, math.MaxUint32, size) || !agree(d.offset, math.MaxUint32, offset) {
		return d, fmt.Errorf("%w: its two end records name different directories", errBroken)
	}
	d.entries, d.size, d.offset, d.end = int64(entries), int64(size), int64(offset), int64(at)
	return d, nil
}

// agree tells whether a value of the end record is that of the 64-bit one, or says 'look there' (APPNOTE 4.4.1.4).
func agree(short, sentinel int64, long uint64) bool {
	return short == sentinel || uint64(short) == long
}

// readDirectory reads the central directory, and the local header of each entry.
func (c *Container) readDirectory() error {
	d, err := findDirectory(c.data)
	if err != nil {
		return err
	}
	if d.entries > MaxEntries {
		return fmt.Errorf("asic: %d entries are more than %d", d.entries, MaxEntries)
	}
	if d.offset+d.size > d.end {
		return errBroken
	}
	if d.offset+d.size < d.end {
		c.fault("bytes between the central directory and its end record")
	}
	c.Comment = string(d.comment)
	rest := c.data[d.offset : d.offset+d.size]
	for range d.entries {
		var e *Entry
		if e, rest, err = c.readCentral(rest); err != nil {
			return err
		}
		if err := c.readLocal(e); err != nil {
			return err
		}
		c.Entries = append(c.Entries, e)
	}
	if len(rest) > 0 {
		c.fault("bytes behind the last entry of the central directory")
	}
	return c.checkLayout(d.offset)
}

// readCentral reads one header of the central directory.
func (c *Container) readCentral(b []byte) (*Entry, []byte, error) {
	if len(b) < centralSize || string(b[:4]) != centralSignature {
		return nil, nil, errBroken
	}
	le := binary.LittleEndian
	name, extra, comment := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	if len(b) < centralSize+name+extra+comment {
		return nil, nil, errBroken
	}
	e := &Entry{
		flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), crc: le.Uint32(b[16:]),
		packed: int64(le.Uint32(b[20:])), Size: int64(le.Uint32(b[24:])), header: int64(le.Uint32(b[42:])),
		Name: string(b[centralSize : centralSize+name]),
	}
	if err := e.zip64(b[centralSize+name : centralSize+name+extra]); err != nil {
		return nil, nil, err
	}
	if e.Name == "" || len(e.Name) > maxName {
		return nil, nil, errors.New("asic: an entry without a name, or with one that is too long")
	}
	if err := c.budget.Hold(heldAnEntry + heldAName*name); err != nil {
		return nil, nil, err
	}
	if b[5] == unixHost && le.Uint32(b[38:])>>16&modeMask == modeSymlink {
		c.fault("%q is a symbolic link: who unpacks it sees another file", e.Name)
	}
	c.checkUnicodePath(e, b[centralSize+name:centralSize+name+extra])
	return e, b[centralSize+name+extra+comment:], nil
}

// What an entry keeps in memory, in octets: itself and its place in the indexes, and each octet of its name in
// several spellings.
const (
	heldAnEntry = 512
	heldAName   = 4
)

// checkUnicodePath holds the other spelling of a name against the one that everybody reads.
func (c *Container) checkUnicodePath(e *Entry, extra []byte) {
	const nameAt = 5 // behind version and checksum
	for id, field := range extraFields(extra) {
		if id == extraUnicodePath && len(field) >= nameAt && string(field[nameAt:]) != decodeName(e.Name) {
			c.fault("%q has another name for readers that prefer the Unicode one", e.Name)
		}
	}
}

// extraFields gives the fields of an extra field. Some writers pad at the end; nothing can be in there.
func extraFields(extra []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(extra) >= 4 {
			id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
			if extra = extra[4:]; n > len(extra) || !yield(id, extra[:n]) {
				return
			}
			extra = extra[n:]
		}
	}
}

// zip64 replaces the values that say 'look in the extra field'.
func (e *Entry) zip64(extra []byte) error {
	for id, field := range extraFields(extra) {
		if id != extraZip64 {
			continue
		}
		for _, v := range []*int64{&e.Size, &e.packed, &e.header} {
			if *v != 0xffffffff {
				continue
			}
			if len(field) < 8 || binary.LittleEndian.Uint64(field) > 1<<40 {
				return errBroken
			}
			*v = int64(binary.LittleEndian.Uint64(field))
			field = field[8:]
		}
	}
	return nil
}

// readLocal holds the local header against the central one and locates the data: a reader that goes by
// the one must see the same file as a reader that goes by the other.
func (c *Container) readLocal(e *Entry) error {
	size := int64(len(c.data))
	if e.header+localSize > size || string(c.data[e.header:e.header+4]) != localSignature {
		return fmt.Errorf("asic: %q has no local header", e.Name)
	}
	b := c.data[e.header:]
	le := binary.LittleEndian
	name, extra := int64(le.Uint16(b[26:])), int64(le.Uint16(b[28:]))
	e.start = e.header + localSize + name + extra
	e.end = e.start + e.packed
	if e.start > size || e.packed > size-e.start {
		return fmt.Errorf("asic: %q goes beyond the file", e.Name)
	}
	local := Entry{
		flags: le.Uint16(b[6:]), method: le.Uint16(b[8:]), crc: le.Uint32(b[14:]),
		packed: int64(le.Uint32(b[18:])), Size: int64(le.Uint32(b[22:])),
	}
	if err := local.zip64(b[localSize+name : localSize+name+extra]); err != nil {
		return err
	}
	c.checkUnicodePath(e, b[localSize+name:localSize+name+extra])
	streamed := e.flags&flagDescriptor != 0
	unknown := streamed && local.Size == 0 && local.packed == 0
	switch {
	case string(b[localSize:localSize+name]) != e.Name:
		c.fault("the local header of %q has another name", e.Name)
	case local.method != e.method || (local.flags^e.flags)&(flagEncrypted|flagDescriptor) != 0:
		c.fault("the local header of %q tells another method", e.Name)
	case !unknown && (local.Size != e.Size || local.packed != e.packed):
		c.fault("the local header of %q tells other sizes", e.Name)
	case !streamed && local.crc != e.crc:
		c.fault("the local header of %q tells another checksum", e.Name)
	}
	if streamed {
		e.end = c.descriptorEnd(e)
	}
	return nil
}

// descriptorEnd passes the data descriptor: with or without a signature, with 32 or 64 bit sizes.
func (c *Container) descriptorEnd(e *Entry) int64 {
	rest := c.data[e.end:]
	for _, signed := range []int{4, 0} {
		for _, wide := range []int{4, 8} {
			n := signed + 4 + 2*wide
			if len(rest) < n || signed > 0 && string(rest[:4]) != descriptorSignature {
				continue
			}
			b := rest[signed:n]
			crc := binary.LittleEndian.Uint32(b)
			packed, size := wideInt(b[4:4+wide]), wideInt(b[4+wide:])
			if crc == e.crc && packed == e.packed && size == e.Size {
				return e.end + int64(n)
			}
		}
	}
	return e.end // the gap will be noticed
}

func wideInt(b []byte) int64 {
	if len(b) == 8 {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return int64(binary.LittleEndian.Uint32(b))
}

// checkLayout refuses entries that share bytes and notes bytes that belong to none.
func (c *Container) checkLayout(directory int64) error {
	sorted := slices.Clone(c.Entries)
	slices.SortFunc(sorted, func(a, b *Entry) int { return int(a.header - b.header) })
	at := int64(0)
	for i, e := range sorted {
		switch {
		case e.header < at:
			return fmt.Errorf("asic: %q overlaps another entry", e.Name)
		case i == 0 && e.header > 0:
			c.fault("%d bytes before the first entry", e.header)
		case e.header > at:
			c.fault("%d bytes before %q belong to no entry", e.header-at, e.Name)
		}
		at = e.end
	}
	switch {
	case at > directory:
		return errors.New("asic: an entry overlaps the central directory")
	case at < directory:
		c.fault("%d bytes before the central directory belong to no entry", directory-at)
	}
	return nil
}

// decodeName turns names that are not UTF-8 into it, by code page 437 (APPNOTE appendix D).
func decodeName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	out := make([]rune, len(name))
	for i := range len(name) {
		if out[i] = rune(name[i]); name[i] >= 0x80 {
			out[i] = codePage437[name[i]-0x80]
		}
	}
	return string(out)
}

// codePage437 is the upper half of the code page.
var codePage437 = [128]rune([]rune("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"))
