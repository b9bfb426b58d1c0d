package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"trustcore/verify"
)

// What Read takes at most. All lists of the Union take some 70 MB.
const (
	maxEntries  = 10_000
	maxManifest = 8 << 20                // octets of bundle.json, unpacked
	maxOctets   = 2 * verify.MaxDocument // of all entries together, unpacked
	freeOctets  = 4 << 20                // of those, whatever the size of the bundle
	maxPacked   = 8                      // and so many an octet of it: lists are packed to a sixth, documents not at all
)

// Read reads a bundle of size octets. Every entry must be named with its digest by bundle.json, once.
func Read(r io.ReaderAt, size int64) (*Bundle, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotABundle, err)
	}
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("%w: it has more than %d entries", ErrNotABundle, maxEntries)
	}
	a := &archive{entries: map[string]*zip.File{}, left: min(maxOctets, freeOctets+maxPacked*size)}
	for _, f := range z.File {
		if a.entries[f.Name] != nil {
			return nil, fmt.Errorf("%w: two entries are named %q", ErrNotABundle, f.Name)
		}
		a.entries[f.Name] = f
	}
	return a.bundle()
}

// archive is the ZIP file while it is read.
type archive struct {
	entries map[string]*zip.File // those that were not taken yet
	left    int64                // octets that may still be unpacked
}

// postpone takes what could not be gathered.
func (b *Bundle) postpone(later map[string]time.Time) error {
	for certificate, t := range later {
		digest, err := digestNamed(certificate)
		if err != nil {
			return err
		}
		if b.Later == nil {
			b.Later = map[[sha256.Size]byte]time.Time{}
		}
		b.Later[digest] = t
	}
	return nil
}

// tellOrigins takes where evidence was from.
func (b *Bundle) tellOrigins(origins map[string]string) error {
	for piece, origin := range origins {
		digest, err := digestNamed(piece)
		if err != nil {
			return err
		}
		if b.Origins == nil {
			b.Origins = map[[sha256.Size]byte]string{}
		}
		b.Origins[digest] = origin
	}
	return nil
}

func digestNamed(text string) (sum [sha256.Size]byte, err error) {
	digest, err := hex.DecodeString(text)
	if err != nil || len(digest) != sha256.Size {
		return sum, fmt.Errorf("%w: %s: %q is no SHA-256 of a certificate or other evidence", ErrNotABundle, manifestName, text)
	}
	return [sha256.Size]byte(digest), nil
}

func (a *archive) bundle() (*Bundle, error) {
	text, err := a.take(manifestName, maxManifest)
	if err != nil {
		return nil, err
	}
	var m manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotABundle, manifestName, err)
	}
	if m.Version != Version {
		return nil, fmt.Errorf("the bundle is of version %d, this program reads version %d", m.Version, Version)
	}
	if m.At.IsZero() || m.Policy == "" {
		return nil, fmt.Errorf("%w: %s names no validation_time or policy", ErrNotABundle, manifestName)
	}
	b := &Bundle{At: m.At, Policy: Policy{Name: m.Policy}, Status: m.Status, SHA256: m.Document.SHA256,
		Digests: m.Digests, Password: m.Password}
	b.Document.Name = m.Document.Name
	if m.Document.Entry != "" {
		if b.Document, err = a.file(m.Document); err != nil {
			return nil, err
		}
	}
	if err := b.fill(a, m.Parts); err != nil {
		return nil, err
	}
	if err := errors.Join(b.postpone(m.Later), b.tellOrigins(m.Origins)); err != nil {
		return nil, err
	}
	for name := range a.entries {
		return nil, fmt.Errorf("%w: %s does not name its entry %q", ErrNotABundle, manifestName, name)
	}
	return b, nil
}

// fill reads the folders.
func (b *Bundle) fill(a *archive, parts map[string][]entry) error {
	var policy, report, pinned [][]byte
	contents := map[string]*[][]byte{certificates: &b.Certificates, crls: &b.CRLs, ocsps: &b.OCSPs, policies: &policy,
		reports: &report, pins: &pinned}
	files := map[string]*[]File{detached: &b.Detached, lists: &b.Lists, lotlSigners: &b.LOTLSigners, extraLists: &b.Extra, anchors: &b.Anchors}
	for folder, entries := range parts {
		for _, e := range entries {
			f, err := a.file(e)
			if err != nil {
				return err
			}
			switch {
			case contents[folder] != nil:
				*contents[folder] = append(*contents[folder], f.Content)
			case files[folder] != nil:
				*files[folder] = append(*files[folder], f)
			default:
				return fmt.Errorf("%w: there is no part %q", ErrNotABundle, folder)
			}
		}
	}
	if len(report) != 1 || len(policy) > 1 || len(pinned) > 1 {
		return fmt.Errorf("%w: it has %d reports, %d policies and %d lists of pins", ErrNotABundle, len(report), len(policy),
			len(pinned))
	}
	b.Report = report[0]
	if len(pinned) == 1 {
		b.Pins = pinned[0]
	}
	if len(policy) == 1 {
		b.Policy.File = policy[0]
	}
	return nil
}

// file reads what an entry of the manifest names.
func (a *archive) file(e entry) (File, error) {
	content, err := a.take(e.Entry, maxOctets)
	if err != nil {
		return File{}, err
	}
	if Digest(content) != e.SHA256 {
		return File{}, fmt.Errorf("%w: its entry %q was changed", ErrNotABundle, e.Entry)
	}
	return File{Name: e.Name, Content: content}, nil
}

// take unpacks an entry of at most most octets, which is taken once.
func (a *archive) take(name string, most int64) ([]byte, error) {
	f := a.entries[name]
	if f == nil {
		return nil, fmt.Errorf("%w: its entry %q is missing", ErrNotABundle, name)
	}
	delete(a.entries, name)
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: entry %q: %w", ErrNotABundle, name, err)
	}
	defer r.Close()
	most = min(most, a.left)
	if f.UncompressedSize64 > uint64(most) {
		return nil, fmt.Errorf("%w: entry %q has more than %d bytes unpacked", ErrNotABundle, name, most)
	}
	content := make([]byte, f.UncompressedSize64)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, fmt.Errorf("%w: entry %q: %w", ErrNotABundle, name, err)
	}
	a.left -= int64(len(content))
	return content, nil
}
