// Package asic reads associated signature containers (ETSI EN 319 162, OpenDocument packages) as ZIP
// files that every reader must see alike: local headers equal the central directory, nothing overlaps,
// nothing lies between the entries. It tells which entries are signatures, time-stamps and manifests;
// what they say is read elsewhere.
package asic

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
)

// Limits on a container. Real ones stay far below.
const (
	MaxFileSize = 1 << 30   // of the container, in bytes
	MaxEntries  = 10_000    // a container with 1,000 signatures and as many files fits
	MaxInflated = 128 << 20 // of all compressed entries together; stored ones cost nothing
	maxName     = 4096
	maxMimetype = 256
	maxFaults   = 64

	// A container that inflates to more than ratioFrom bytes may not do so by more than maxRatio.
	maxRatio  = 100
	ratioFrom = 1 << 20
)

// Kind is the kind of a container.
type Kind string

// The kinds of containers. An OpenDocument package is signed like an ASiC-E container.
const (
	Simple       Kind = "ASiC-S"
	Extended     Kind = "ASiC-E"
	OpenDocument Kind = "OpenDocument"
)

// Container is an open container. It is not safe for concurrent use.
type Container struct {
	Kind     Kind
	Mimetype string // content of the mimetype entry, else what the ZIP comment declares, or ""
	Entries  []*Entry
	// Faults are what two ZIP readers may see differently, so that the signed and the seen may differ.
	Faults []string
	// Remarks are offences against EN 319 162 that change nothing of what is signed.
	Remarks []string

	data     []byte
	comment  string
	byName   map[string]*Entry
	contents map[*Entry][]byte
	inflated int64
	flate    io.ReadCloser // used again for each entry
}

// ErrNotContainer is returned for ZIP files that hold neither a signature nor a declaration to be a container.
var ErrNotContainer = errors.New("asic: the ZIP file is no signature container")

// Open reads the directory of a container. The data must not change while the Container is in use.
func Open(data []byte) (*Container, error) {
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("asic: %d bytes are more than %d", len(data), MaxFileSize)
	}
	c := &Container{data: data, byName: map[string]*Entry{}, contents: map[*Entry][]byte{}}
	if err := c.readDirectory(); err != nil {
		return nil, err
	}
	if err := c.indexNames(); err != nil {
		return nil, err
	}
	c.readMimetype()
	return c, c.identify()
}

func (c *Container) fault(format string, args ...any) {
	if len(c.Faults) < maxFaults {
		c.Faults = append(c.Faults, fmt.Sprintf(format, args...))
	}
}

func (c *Container) remark(text string) { c.Remarks = append(c.Remarks, text) }

// indexNames finds entries by name. Names that are the same after normalisation make an entry
// ambiguous: Find gives neither.
func (c *Container) indexNames() error {
	for _, e := range c.Entries {
		if e.method != stored && e.method != deflated || e.flags&flagEncrypted != 0 {
			return fmt.Errorf("asic: %q is compressed by method %d or encrypted; only stored and deflated entries are read", e.Name, e.method)
		}
		e.Name = decodeName(e.Name)
		key := normal(e.Name)
		if key == ".." || strings.HasPrefix(key, "../") || strings.HasPrefix(e.Name, "/") {
			c.fault("the name %q leads out of the container", e.Name)
		}
		if first, ok := c.byName[key]; ok {
			c.fault("the name %q occurs twice", e.Name)
			first.ambiguous, e.ambiguous = true, true
			continue
		}
		c.byName[key] = e
	}
	return nil
}

// normal gives names that file systems take for one another one form.
func normal(name string) string { return path.Clean(strings.ReplaceAll(name, "\\", "/")) }

// Find returns the entry with a name, or nil when there is none or more than one.
func (c *Container) Find(name string) *Entry {
	e := c.byName[normal(name)]
	if e == nil || e.ambiguous {
		return nil
	}
	return e
}

// Read returns the content of an entry; it fails when size or checksum are not what the headers say,
// or when the container inflates beyond the limits.
func (c *Container) Read(e *Entry) ([]byte, error) {
	if b, ok := c.contents[e]; ok {
		return b, nil
	}
	raw := c.data[e.start : e.start+e.packed]
	b := raw
	if e.method == deflated {
		var err error
		if b, err = c.inflate(e, raw); err != nil {
			return nil, fmt.Errorf("asic: %q: %w", e.Name, err)
		}
	}
	if int64(len(b)) != e.Size || crc32.ChecksumIEEE(b) != e.crc {
		return nil, fmt.Errorf("asic: %q is damaged", e.Name)
	}
	c.contents[e] = b
	return b, nil
}

func (c *Container) inflate(e *Entry, raw []byte) ([]byte, error) {
	if e.Size > MaxInflated-c.inflated {
		return nil, fmt.Errorf("the container inflates to more than %d bytes", MaxInflated)
	}
	if c.inflated+e.Size > ratioFrom && (c.inflated+e.Size)/maxRatio > int64(len(c.data)) {
		return nil, fmt.Errorf("the container inflates to more than %d times its size", maxRatio)
	}
	c.inflated += e.Size
	var out bytes.Buffer
	out.Grow(int(e.Size) + bytes.MinRead)
	if c.flate == nil {
		c.flate = flate.NewReader(bytes.NewReader(raw))
	} else if err := c.flate.(flate.Resetter).Reset(bytes.NewReader(raw), nil); err != nil {
		return nil, err
	}
	if _, err := io.Copy(&out, io.LimitReader(c.flate, e.Size+1)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
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
	if declared, ok := strings.CutPrefix(c.comment, "mimetype="); ok && c.Mimetype == "" {
		c.Mimetype = strings.TrimSpace(declared)
	}
}

// The declarations of EN 319 162-1 annex A; the prefix of OpenDocument packages.
const (
	mimeSimple       = "application/vnd.etsi.asic-s+zip"
	mimeExtended     = "application/vnd.etsi.asic-e+zip"
	mimeOpenDocument = "application/vnd.oasis.opendocument."
)

// identify tells the kind by the declaration, else by the content: one file and no manifest is simple.
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
		switch e.Role() {
		case XAdESSignatures, CAdESSignature, TimestampToken, EvidenceRecord:
			signed = true
		}
	}
	if !signed {
		return ErrNotContainer
	}
	c.remark("the mimetype entry declares no signature container")
	c.Kind = Extended
	if len(c.Data()) == 1 && len(c.WithRole(SignatureManifest)) == 0 {
		c.Kind = Simple
	}
	return nil
}
