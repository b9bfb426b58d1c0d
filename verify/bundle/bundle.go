// Package bundle keeps what a verdict rests on, so that it can be given again years later, without a network and on
// another machine: the document, the evidence that was gathered beside it, lists and anchors, policy and time.
//
// A bundle is a ZIP file. Its entry bundle.json names every other entry with its SHA-256; what it does not name is
// refused. Nobody signs a bundle: whoever made one chose the lists and anchors in it, and a verdict that is given again
// rests on these.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"trustcore/verify/trustlist"
)

// Version is that of the format.
const Version = 1

// ErrNotABundle tells that a file is none that Read takes.
var ErrNotABundle = errors.New("the file is no bundle of a verdict")

// File is one file with the name that it had.
type File struct {
	Name    string
	Content []byte
}

// A Bundle is what one verdict rests on.
type Bundle struct {
	// Document is what was judged. Content is nil where only SHA256 is kept: the document must be at hand then.
	Document File
	SHA256   string // of the document, lower-case hex
	Detached []File
	Digests  []string  // of files that were not at hand, as verify.Digests.Add takes them
	Password bool      // one was at hand that may have opened the document; it is not kept
	At       time.Time // of validation
	Policy   Policy

	// Certificates, CRLs and OCSPs are what was gathered beside the document, in DER.
	Certificates, CRLs, OCSPs [][]byte
	// Later says of certificates, by the SHA-256 of their DER, when what could not be gathered might have been.
	Later map[[sha256.Size]byte]time.Time
	// Origins say of that evidence, by its SHA-256, where it was from.
	Origins map[[sha256.Size]byte]string

	// The sources of trust, as trustlist.Sources has them.
	Lists, LOTLSigners, Extra, Anchors []File
	Pins                               []byte // the list of pinned keys, as poland.Parse reads it
	// Status says what the lists were: territory, sequence number, dates.
	Status []trustlist.Status

	Report json.RawMessage // what was said of the document
}

// Policy is that of the verdict: the name of one that is shipped, or a file with one.
type Policy struct {
	Name string
	File []byte // nil for one that is shipped
}

// Digest returns the SHA-256 of content in lower-case hex.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// manifest is the entry bundle.json.
type manifest struct {
	Version  int                `json:"version"`
	At       time.Time          `json:"validation_time"`
	Policy   string             `json:"policy"`
	Document entry              `json:"document"`
	Digests  []string           `json:"digests,omitempty"`
	Password bool               `json:"password,omitempty"`
	Parts    map[string][]entry `json:"parts"` // by folder

	Later  map[string]time.Time `json:"later,omitempty"` // by the SHA-256 of a certificate, lower-case hex
	Status []trustlist.Status   `json:"lists"`

	Origins map[string]string `json:"origins,omitempty"` // by the SHA-256 of evidence, lower-case hex
}

// entry names one entry of the ZIP file; Entry is "" where only the digest is kept.
type entry struct {
	Entry  string `json:"entry,omitempty"`
	Name   string `json:"name,omitempty"` // that the file had
	SHA256 string `json:"sha256"`
}

const manifestName = "bundle.json"

// The folders of a bundle, in the order in which they are written.
const (
	documents    = "document"
	detached     = "detached"
	policies     = "policy"
	certificates = "certificates"
	crls         = "crls"
	ocsps        = "ocsps"
	lists        = "lists"
	lotlSigners  = "lotl-signers"
	extraLists   = "extra-lists"
	anchors      = "anchors"
	reports      = "report"
	pins         = "pins"
)

// part is one folder of a bundle, as files.
type part struct {
	folder string
	files  []File
}

// parts returns the folders but that of the document.
func (b *Bundle) parts() []part {
	list := []part{
		{detached, b.Detached}, {certificates, bare(b.Certificates)}, {crls, bare(b.CRLs)}, {ocsps, bare(b.OCSPs)},
		{lists, b.Lists}, {lotlSigners, b.LOTLSigners}, {extraLists, b.Extra}, {anchors, b.Anchors},
		{reports, []File{{Content: b.Report}}},
	}
	if b.Pins != nil {
		list = append(list, part{pins, []File{{Content: b.Pins}}})
	}
	if b.Policy.File != nil {
		list = append(list, part{policies, []File{{Content: b.Policy.File}}})
	}
	return list
}

func bare(contents [][]byte) []File {
	var files []File
	for _, c := range contents {
		files = append(files, File{Content: c})
	}
	return files
}
