// Package asic reads associated signature containers (ETSI EN 319 162, OpenDocument packages) as ZIP
// files that every reader must see alike: local headers equal the central directory, nothing overlaps,
// nothing lies between the entries. It tells which entries are signatures, time-stamps and manifests;
// what they say is read elsewhere.
package asic

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"trustcore/internal/budget"
	"trustcore/internal/inflate"
)

// Limits on a container. Real ones stay far below.
const (
	MaxFileSize = 1 << 30 // of the container, in bytes
	MaxEntries  = 10_000  // a container with 1,000 signatures and as many files fits
	maxName     = 4096
	maxMimetype = 256
	maxFaults   = 64

	// A container that inflates to more than ratioFrom bytes may not do so by more than maxRatio.
	maxRatio  = 100
	ratioFrom = 1 << 20
)

// Kind is the kind of a container.
type Kind string

// The kinds of containers. An OpenDocument package is signed like an ASiC-E container; a package of the Open Packaging
// Conventions, such as an Office Open XML document, has its signatures elsewhere.
const (
	Simple       Kind = "ASiC-S"
	Extended     Kind = "ASiC-E"
	OpenDocument Kind = "OpenDocument"
	OpenPackage  Kind = "OPC"
)

// Container is an open container. It is not safe for concurrent use.
type Container struct {
	Kind     Kind
	Mimetype string // content of the mimetype entry, else what the ZIP comment declares, or ""
	Comment  string // of the ZIP file
	Entries  []*Entry
	// Faults are what two ZIP readers may see differently, so that the signed and the seen may differ.
	Faults []string
	// Remarks are offences against EN 319 162 that change nothing of what is signed.
	Remarks []string

	budget   *budget.Budget
	data     []byte
	foreign  string // type of package that it is too, by its parts
	byName   map[string]*Entry
	contents map[*Entry][]byte
}

// What inflating costs, in units of the budget: octets that are read, most of all.
const (
	packedOctet   = 25
	inflatedOctet = 1
)

// ErrNotContainer is returned for ZIP files that hold neither a signature nor a declaration to be a container, and are no
// package of the Open Packaging Conventions.
var ErrNotContainer = errors.New("asic: the ZIP file is no signature container")

// Open reads the directory of a container. The data must not change while the Container is in use.
// Inflating spends of the budget; an error of it is budget.ErrExceeded or the context's.
func Open(b *budget.Budget, data []byte) (*Container, error) {
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("asic: %d bytes are more than %d", len(data), MaxFileSize)
	}
	c := &Container{budget: b, data: data, byName: map[string]*Entry{}, contents: map[*Entry][]byte{}}
	if err := c.readDirectory(); err != nil {
		return nil, err
	}
	if err := c.indexNames(); err != nil {
		return nil, err
	}
	c.readMimetype()
	if err := b.Err(); err != nil {
		return nil, err
	}
	return c, c.identify()
}

func (c *Container) fault(format string, args ...any) {
	if len(c.Faults) < maxFaults {
		c.Faults = append(c.Faults, fmt.Sprintf(format, args...))
	}
}

func (c *Container) remark(format string, args ...any) {
	c.Remarks = append(c.Remarks, fmt.Sprintf(format, args...))
}

// Read returns the content of an entry and keeps it; it fails when size or checksum are not what the headers
// say, or when the container inflates beyond the limits.
func (c *Container) Read(e *Entry) ([]byte, error) {
	if b, ok := c.contents[e]; ok {
		return b, nil
	}
	if err := c.admit(e); err != nil {
		return nil, err
	}
	b := c.packed(e)
	if e.method == deflated {
		if err := c.budget.Hold(int(e.Size)); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		out.Grow(int(e.Size) + bytes.MinRead)
		if err := c.inflate(&out, e); err != nil {
			return nil, fmt.Errorf("asic: %q: %w", e.Name, err)
		}
		b = out.Bytes()
	}
	if int64(len(b)) != e.Size || crc32.ChecksumIEEE(b) != e.crc {
		return nil, e.damaged()
	}
	c.contents[e] = b
	return b, nil
}

// Forget gives back what Read keeps of an entry.
func (c *Container) Forget(e *Entry) {
	if _, ok := c.contents[e]; ok && e.method == deflated {
		c.budget.Release(int(e.Size))
	}
	delete(c.contents, e)
}

// CopyTo writes the content of an entry and keeps nothing. What was written counts only without an error, of
// which there are those of Read.
func (c *Container) CopyTo(w io.Writer, e *Entry) error {
	if b, ok := c.contents[e]; ok {
		return c.budget.Write(w, b)
	}
	sum := &checksum{Writer: w}
	var err error
	if e.method == stored {
		err = c.budget.Write(sum, c.packed(e))
	} else if err = c.admit(e); err == nil {
		err = c.inflate(sum, e)
	}
	if err != nil {
		return fmt.Errorf("asic: %q: %w", e.Name, err)
	}
	if sum.size != e.Size || sum.crc != e.crc {
		return e.damaged()
	}
	return nil
}

// checksum counts and sums what goes through it.
type checksum struct {
	io.Writer
	size int64
	crc  uint32
}

func (c *checksum) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p)
	return c.Writer.Write(p)
}

func (e *Entry) damaged() error { return fmt.Errorf("asic: %q is damaged", e.Name) }

func (c *Container) packed(e *Entry) []byte { return c.data[e.start : e.start+e.packed] }

// admit spends for the reading of an entry, and refuses bombs.
func (c *Container) admit(e *Entry) error {
	if e.method != deflated {
		return c.budget.Octets(int(e.Size))
	}
	if e.Size > ratioFrom && e.Size/maxRatio > int64(len(c.data)) {
		return fmt.Errorf("asic: %q inflates to more than %d times the size of the container", e.Name, maxRatio)
	}
	return c.budget.Work(packedOctet*e.packed + (inflatedOctet+budget.Octet)*e.Size)
}

func (c *Container) inflate(w io.Writer, e *Entry) error {
	f := inflate.NewReader(c.packed(e))
	defer f.Release()
	_, err := io.CopyBuffer(w, io.LimitReader(f, e.Size+1), f.Room())
	return err
}

// readMimetype reads the declaration of the kind. A name that only white space tells from
// "mimetype" is the declaration for one reader and a data object for another.
func (c *Container) readMimetype() {
	for _, e := range c.Entries {
		if e.Name != "mimetype" && strings.TrimSpace(e.Name) == "mimetype" {
			c.fault("the entry %q looks like the mimetype entry and is none", e.Name)
		}
	}
	e := c.Find("mimetype")
	switch {
	case e == nil:
		c.remark("there is no mimetype entry")
	case e.Size > maxMimetype:
		c.remark("the mimetype entry is too long")
	default:
		b, err := c.Read(e)
		if err != nil {
			c.remark("the mimetype entry cannot be read")
			break
		}
		c.Mimetype = strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff"))
		if e.header != 0 {
			c.remark("the mimetype entry is not the first")
		}
		if e.method != stored {
			c.remark("the mimetype entry is compressed")
		}
	}
	if declared, ok := strings.CutPrefix(c.Comment, "mimetype="); ok && c.Mimetype == "" {
		c.Mimetype = strings.TrimSpace(declared)
	}
}

// The declarations of EN 319 162-1 annex A; the prefix of OpenDocument packages.
const (
	mimeSimple       = "application/vnd.etsi.asic-s+zip"
	mimeExtended     = "application/vnd.etsi.asic-e+zip"
	mimeOpenDocument = "application/vnd.oasis.opendocument."
)

// identify tells the kind by the declaration, else by the content.
func (c *Container) identify() error {
	declared := strings.ToLower(c.Mimetype)
	switch {
	case strings.HasPrefix(declared, mimeSimple):
		c.Kind = Simple
		return nil
	case strings.HasPrefix(declared, mimeExtended):
		c.Kind = Extended
		return nil
	case strings.HasPrefix(declared, mimeOpenDocument):
		c.Kind = OpenDocument
		return nil
	}
	signed := false
	for _, e := range c.Entries {
		switch e.role {
		case XAdESSignatures, CAdESSignature, TimestampToken, EvidenceRecord:
			signed = true
		}
	}
	if !signed && c.foreign == officeOpenXML {
		c.Kind = OpenPackage
		return nil
	}
	if !signed {
		return ErrNotContainer
	}
	if c.Mimetype != "" {
		c.remark("the mimetype entry says %q, which is no signature container", c.Mimetype)
	}
	c.Kind = Extended
	if c.isSimple() {
		c.Kind = Simple
	}
	return nil
}
