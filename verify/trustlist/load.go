package trustlist

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Sources tells Load where lists and anchors lie. All files may be gzip-compressed.
type Sources struct {
	Dir         string               // folder with a LOTL, its pivots and national lists, told apart by content; "" for none
	LOTLSigners string               // folder of PEM files: who may sign the LOTL; "" for those that are shipped (Journal)
	Set         *Set                 // lists that were taken already, in place of a folder; nil for none
	Failing     map[string]time.Time // since when lists of the set can't be fetched, by Member.Key
	Extra       []string             // lists outside the LOTL, each taken with the signer in its own signature
	Anchors     []string             // PEM files with certificates that are trusted at all times
	National    []National           // authorities that the law of a state trusts, beside the lists
}

// Status says what became of one file.
type Status struct {
	File       string    `json:"file"`
	Territory  string    `json:"territory,omitempty"`
	Sequence   int       `json:"sequence,omitempty"`
	Issued     time.Time `json:"issued,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Services   int       `json:"services,omitempty"`
	Role       string    `json:"role,omitempty"` // "lotl", "pivot", "national", "extra"
	Error      string    `json:"error,omitempty"`
	// Failing is since when the list could not be fetched again; zero where it could, or nobody fetches it.
	Failing time.Time `json:"failing,omitzero"`

	Type     string `json:"-"` // TSLType, a URI
	Version  int    `json:"-"` // TSLVersionIdentifier
	Location string `json:"-"` // where the list of the lists in force says that it lies, "" where it says nothing
}

// RanOut tells whether the list's next update has passed.
func (s *Status) RanOut(now time.Time) bool {
	return !s.NextUpdate.IsZero() && s.NextUpdate.Before(now)
}

// maxFiles bounds a folder of lists; the Union has 31 and some pivots.
const maxFiles = 1000

// candidate is a file of a folder.
type candidate struct {
	*Checked // nil where it is not to be used
	status   *Status
}

// Load reads the sources and returns what can be trusted of them. A list that fails is reported in the
// snapshot's status; an error means that the sources themselves can't be used.
func Load(ctx context.Context, src Sources) (*Snapshot, error) {
	b := &builder{}
	if src.Dir != "" {
		if err := b.loadDir(ctx, src); err != nil {
			return nil, fmt.Errorf("trusted lists: %w", err)
		}
	}
	if src.Set != nil {
		b.addSet(src.Set, src.Failing)
	}
	for _, file := range src.Extra {
		c, err := readCandidate(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("extra trusted list: %w", err)
		}
		if c.status.Error != "" {
			return nil, fmt.Errorf("extra trusted list %s: %s", file, c.status.Error)
		}
		b.add(c.List, c.status, "extra")
	}
	for _, file := range src.Anchors {
		ders, err := ReadPEM(file)
		if err != nil {
			return nil, fmt.Errorf("anchors: %w", err)
		}
		b.fixed = append(b.fixed, ders...)
	}
	b.national = src.National
	return b.snapshot()
}

// builder collects what is accepted.
type builder struct {
	statuses []*Status
	lists    []*List
	files    []string // Status.File of each list
	fixed    [][]byte // DER of anchors at all times
	national []National
}

// add takes a list whose status may be among those of the folder already.
func (b *builder) add(l *List, status *Status, role string) {
	status.Role = role
	if !slices.Contains(b.statuses, status) {
		b.statuses = append(b.statuses, status)
	}
	if role != "lotl" && role != "pivot" {
		status.Services = len(l.Services)
		b.lists, b.files = append(b.lists, l), append(b.files, status.File)
	}
}

func (b *builder) addSet(set *Set, failing map[string]time.Time) {
	for _, m := range set.Members() {
		status := StatusOf(m)
		status.Failing, status.Location = failing[m.Key()], set.location(m)
		if m.Unused != nil {
			b.statuses = append(b.statuses, &status)
			continue
		}
		b.add(m.List, &status, m.Role)
	}
}

// StatusOf is what there is to say of a list of a set. Its file is the list's name.
func StatusOf(m Member) Status {
	s := *statusOf(m.List, cmp.Or(m.Name, m.Territory+" "+strconv.Itoa(m.Sequence)))
	s.Role = m.Role
	if m.Unused != nil {
		s.Error = m.Unused.Error()
	} else if m.Role == "national" || m.Role == "extra" {
		s.Services = len(m.Services)
	}
	return s
}

func statusOf(l *List, file string) *Status {
	return &Status{File: file, Territory: l.Territory, Sequence: l.Sequence, Issued: l.Issued, NextUpdate: l.NextUpdate,
		Type: l.Type, Version: l.Version}
}

// loadDir takes what a folder holds into a set, as it would be taken if it came from elsewhere, the older before the newer.
func (b *builder) loadDir(ctx context.Context, src Sources) error {
	signers, err := SignersOf(src.LOTLSigners)
	if err != nil {
		return err
	}
	candidates, err := readDir(ctx, src.Dir)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		b.statuses = append(b.statuses, c.status)
	}
	candidates = slices.DeleteFunc(candidates, func(c *candidate) bool { return c.Checked == nil })
	slices.SortStableFunc(candidates, func(a, b *candidate) int { return Order(a.Checked, b.Checked) })
	set, from := NewSet(signers), map[*Checked]*Status{}
	for _, c := range candidates {
		before := set.national[c.Territory]
		switch err := set.Take(c.Checked, time.Time{}); {
		case err != nil:
			c.status.Error = err.Error()
			continue
		case c.LOTL():
			c.status.Role = "pivot"
		case before != nil:
			from[before].Error = fmt.Sprintf("superseded by sequence number %d", c.Sequence)
		}
		from[c.Checked] = c.status
	}
	if set.LOTL() == nil {
		return errors.New("no LOTL is there whose signer is trusted: check the folders of lists and of LOTL signers")
	}
	for _, m := range set.Members() {
		status := from[m.Checked]
		status.Location = set.location(m)
		b.add(m.List, status, m.Role)
	}
	return nil
}

func readDir(ctx context.Context, dir string) ([]*candidate, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() || !MayBeList(e.Name()) })
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s holds more than %d files", dir, maxFiles)
	}
	candidates := make([]*candidate, len(entries))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, e := range entries {
		g.Go(func() error {
			var err error
			candidates[i], err = readCandidate(ctx, filepath.Join(dir, e.Name()))
			return err
		})
	}
	return candidates, g.Wait()
}

// MayBeList leaves out what stands beside lists in folders of them, by its name: tables, indexes, what is hidden.
func MayBeList(name string) bool {
	return !strings.HasPrefix(name, ".") && !slices.Contains([]string{".tsv", ".json", ".parsed", ".sha2"}, filepath.Ext(name))
}

// readCandidate parses a file and checks its own signature. What is wrong with the content stands in
// the status, the error tells that the file can't be read.
func readCandidate(ctx context.Context, file string) (*candidate, error) {
	data, err := readFile(file)
	c := &candidate{status: &Status{File: filepath.Base(file)}}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	var checked *Checked
	if err == nil {
		checked, err = Check(ctx, data)
	}
	if checked != nil {
		c.status = statusOf(checked.List, c.status.File)
	}
	if err != nil {
		c.status.Error = err.Error()
		return c, ctx.Err()
	}
	c.Checked = checked
	return c, nil
}

// readFile returns a file's bytes, unpacked, within MaxSize.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	return Unpack(data)
}

// Unpack returns the content of what may be gzip-compressed, within MaxSize.
func Unpack(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		if data, err = io.ReadAll(io.LimitReader(z, MaxSize+1)); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("more than %d bytes", MaxSize)
	}
	return data, nil
}
