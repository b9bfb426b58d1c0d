package trustlist

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
	"trustcore/verify/xades"
)

// Sources tells Load where lists and anchors lie. All files may be gzip-compressed.
type Sources struct {
	Dir         string   // folder with a LOTL, its pivots and national lists, told apart by content; "" for none
	LOTLSigners string   // folder of PEM files: who may sign the LOTL (Official Journal)
	Extra       []string // lists outside the LOTL, each taken with the signer in its own signature
	Anchors     []string // PEM files with certificates that are trusted at all times
	National    []National
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
}

// maxFiles bounds a folder of lists; the Union has 31 and some pivots.
const maxFiles = 1000

// candidate is a parsed file whose signature was looked at but whose signer is not yet known to be entitled.
type candidate struct {
	*List
	status *Status
	signer []byte // DER; the signature verifies with it
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
	for _, file := range src.Extra {
		c, err := readCandidate(file)
		if err != nil {
			return nil, fmt.Errorf("extra trusted list: %w", err)
		}
		if c.status.Error != "" {
			return nil, fmt.Errorf("extra trusted list %s: %s", file, c.status.Error)
		}
		b.accept(c, "extra")
	}
	for _, file := range src.Anchors {
		if err := b.addAnchors(file); err != nil {
			return nil, fmt.Errorf("anchors: %w", err)
		}
	}
	b.national = src.National
	return b.snapshot()
}

// builder collects what is accepted.
type builder struct {
	statuses []*Status
	lists    []*List
	fixed    [][]byte // DER of anchors at all times
	national []National
}

func (b *builder) accept(c *candidate, role string) {
	c.status.Role = role
	if !slices.Contains(b.statuses, c.status) {
		b.statuses = append(b.statuses, c.status)
	}
	if role != "lotl" && role != "pivot" {
		c.status.Services = len(c.Services)
		b.lists = append(b.lists, c.List)
	}
}

func (b *builder) loadDir(ctx context.Context, src Sources) error {
	candidates, err := readDir(ctx, src.Dir)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		b.statuses = append(b.statuses, c.status)
	}
	candidates = slices.DeleteFunc(candidates, func(c *candidate) bool { return c.List == nil })
	lotl, err := b.trustedLOTL(candidates, src.LOTLSigners)
	if err != nil {
		return err
	}
	b.nationalLists(candidates, lotl)
	return nil
}

func readDir(ctx context.Context, dir string) ([]*candidate, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() || strings.HasSuffix(e.Name(), ".tsv") })
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s holds more than %d files", dir, maxFiles)
	}
	candidates := make([]*candidate, len(entries))
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, e := range entries {
		g.Go(func() error {
			var err error
			candidates[i], err = readCandidate(filepath.Join(dir, e.Name()))
			return err
		})
	}
	return candidates, g.Wait()
}

// readCandidate parses a file and checks its own signature. What is wrong with the content stands in
// the status, the error tells that the file can't be read.
func readCandidate(file string) (*candidate, error) {
	data, err := readFile(file)
	c := &candidate{status: &Status{File: filepath.Base(file)}}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil {
		c.status.Error = err.Error()
		return c, nil
	}
	doc, err := xmldsig.Parse(data, xmldsig.Limits{Size: MaxSize})
	if err != nil {
		c.status.Error = fmt.Sprintf("trusted list: %v", err)
		return c, nil
	}
	list, err := parse(doc, sha256.Sum256(data))
	if err != nil {
		c.status.Error = err.Error()
		return c, nil
	}
	c.status.Territory, c.status.Sequence = list.Territory, list.Sequence
	c.status.Issued, c.status.NextUpdate = list.Issued, list.NextUpdate
	if c.signer, err = signerOf(doc); err != nil {
		c.status.Error = err.Error()
		return c, nil
	}
	c.List = list
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

// signerOf checks that the list has exactly one signature, that it verifies and covers the whole
// document, and returns its signer (TS 119 612, 5.7). Nobody signs what stands within a signature: one that is not a
// child of the root may have been moved to where something is read.
func signerOf(list *xmldsig.Document) ([]byte, error) {
	doc, err := xades.Read(budget.New(context.Background(), len(list.Source())), list, nil)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if n := len(doc.Signatures); n != 1 {
		return nil, fmt.Errorf("the list has %d signatures, one is demanded", n)
	}
	s := doc.Signatures[0]
	switch {
	case list.Root().Child(xmldsig.NamespaceDSig, "Signature").IsZero():
		return nil, errors.New("the signature is no child of the list's root")
	case s.Unchecked != "" || len(s.Structure) > 0:
		return nil, fmt.Errorf("the signature is ill-formed: %s", strings.Join(append(s.Structure, s.Unchecked), " "))
	case s.Signer == nil:
		return nil, errors.New("the signature's certificate is missing")
	case !s.ReferencesIntact():
		return nil, errors.New("the list was changed after it was signed")
	case !s.Intact:
		return nil, errors.New("the signature value is wrong")
	case s.Binding == signature.BindingMismatch:
		return nil, errors.New("the signature names another certificate")
	case !coversDocument(s):
		return nil, errors.New("the signature does not cover the whole list")
	}
	return s.Signer, nil
}

func coversDocument(s *signature.Signature) bool {
	return slices.ContainsFunc(s.References, func(r signature.Reference) bool { return r.Type == "data" && r.Intact && r.Full })
}

// trustedLOTL finds the newest LOTL that the Official Journal's certificates lead to: each LOTL, from the
// oldest pivot on, names in its pointer to itself who may sign the next one, and nobody else may: who is left out there
// was taken out (TS 119 615, 4.1).
func (b *builder) trustedLOTL(candidates []*candidate, signersDir string) (*List, error) {
	allowed, err := readPEMDir(signersDir)
	if err != nil {
		return nil, fmt.Errorf("signers of the LOTL: %w", err)
	}
	var lotls []*candidate
	for _, c := range candidates {
		if c.LOTL() {
			lotls = append(lotls, c)
		}
	}
	sort.Slice(lotls, func(i, j int) bool { return lotls[i].Sequence < lotls[j].Sequence })
	var newest *candidate
	for _, c := range lotls {
		if !containsDER(allowed, c.signer) {
			c.status.Error = "its signer is not named by the LOTL before it, nor, for the first, by the Official Journal's certificates"
			continue
		}
		allowed = nil
		for _, p := range c.Pointers {
			if p.Type == typeLOTL {
				allowed = append(allowed, p.Signers...)
			}
		}
		if newest != nil {
			newest.status.Role = "pivot"
		}
		newest = c
		b.accept(c, "lotl")
	}
	if newest == nil {
		return nil, errors.New("no LOTL is there whose signer is trusted: check the folders of lists and of LOTL signers")
	}
	return newest.List, nil
}

// nationalLists accepts, for each territory that the LOTL points to, the newest list that an entitled signer signed.
func (b *builder) nationalLists(candidates []*candidate, lotl *List) {
	newest := map[string]*candidate{}
	for _, c := range candidates {
		if c.LOTL() {
			continue
		}
		if !slices.ContainsFunc(lotl.Pointers, func(p Pointer) bool { return p.names(c) }) {
			c.status.Error = "the LOTL names no such signer for this territory"
			continue
		}
		old := newest[c.Territory]
		if old != nil && old.Sequence > c.Sequence {
			c, old = old, c
		}
		if old != nil {
			old.status.Error = fmt.Sprintf("superseded by sequence number %d", c.Sequence)
		}
		newest[c.Territory] = c
	}
	for _, territory := range slices.Sorted(maps.Keys(newest)) { // in one order, so that a verdict can be repeated to the byte
		b.accept(newest[territory], "national")
	}
}

// names reports whether the pointer is to a list of that type and territory and to its signer; what either does not say names
// nobody.
func (p *Pointer) names(c *candidate) bool {
	return p.Type != "" && p.Type == c.Type && p.Territory != "" && p.Territory == c.Territory && containsDER(p.Signers, c.signer)
}

func containsDER(list [][]byte, der []byte) bool {
	return slices.ContainsFunc(list, func(x []byte) bool { return bytes.Equal(x, der) })
}

func (b *builder) addAnchors(file string) error {
	ders, err := readPEM(file)
	if err != nil {
		return err
	}
	b.fixed = append(b.fixed, ders...)
	return nil
}

func readPEMDir(dir string) ([][]byte, error) {
	if dir == "" {
		return nil, errors.New("no folder is given")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		ders, err := readPEM(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, ders...)
	}
	return all, nil
}

// readPEM returns the certificates of a PEM file, or the one of a DER file.
func readPEM(file string) ([][]byte, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 && data[0] == 0x30 {
		return [][]byte{data}, nil
	}
	var ders [][]byte
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			ders = append(ders, block.Bytes)
		}
	}
	if len(ders) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return ders, nil
}
