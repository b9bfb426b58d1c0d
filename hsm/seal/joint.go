package seal

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/asic"
	"trustcore/internal/pdf"
)

// Format is the family of a seal.
type Format string

// The formats, each with the standard that says how it is made.
const (
	FormatPAdES Format = "PAdES" // in a PDF: ETSI EN 319 142-1
	FormatXAdES Format = "XAdES" // in or as XML: ETSI EN 319 132-1
	FormatCAdES Format = "CAdES" // CMS, of any file: ETSI EN 319 122-1
	FormatJAdES Format = "JAdES" // JSON, of any file: ETSI TS 119 182-1
)

// Packaging is how a seal and the sealed documents lie together.
type Packaging string

// The packagings. ASiC-S holds one document, ASiC-E many; both are ZIP files around XAdES or CAdES (ETSI EN 319 162-1).
const (
	Enveloped  Packaging = "enveloped"  // the seal lies in the document: PAdES, XAdES
	Enveloping Packaging = "enveloping" // the document lies in the seal: XAdES, CAdES, JAdES (flattened JSON)
	Compact    Packaging = "compact"    // the same as one line of text: JAdES-B-B alone, it has no place for more
	Detached   Packaging = "detached"   // the seal is a file of its own: XAdES, CAdES, JAdES (by sigD)
	ASiCS      Packaging = "ASiC-S"
	ASiCE      Packaging = "ASiC-E"
)

// packagings are those that a format has, its usual one first.
var packagings = map[Format][]Packaging{
	FormatPAdES: {Enveloped},
	FormatXAdES: {Enveloped, Enveloping, Detached, ASiCS, ASiCE},
	FormatCAdES: {Enveloping, Detached, ASiCS, ASiCE},
	FormatJAdES: {Enveloping, Compact, Detached},
}

// Level is how long a seal can be verified.
type Level string

// The levels of the ETSI baseline profiles, each of which holds the one before.
const (
	LevelB   Level = "B-B"   // the seal alone: while its certificate is valid
	LevelT   Level = "B-T"   // with a time-stamp that proves when it was there
	LevelLT  Level = "B-LT"  // with the certificates and the revocation information that a verifier needs
	LevelLTA Level = "B-LTA" // with a time-stamp over it all, which is renewed before it grows weak
)

var levels = []Level{LevelB, LevelT, LevelLT, LevelLTA}

// reaches tells whether a level holds another.
func (l Level) reaches(other Level) bool {
	return slices.Index(levels, l) >= slices.Index(levels, other)
}

// Document is a file to be sealed.
type Document struct {
	// Name is the file's name, with / between folders; needed where the seal names the file: detached XAdES and
	// JAdES, ASiC.
	Name     string
	MimeType string // "" where it is not known
	Content  []byte
}

// Options say what Seal and Extend make.
type Options struct {
	Format    Format
	Packaging Packaging // "" takes the format's usual one
	Level     Level     // "" is LevelLT
	Time      time.Time // the claimed time of the seal; required by Seal
	TSA       TSA       // needed from LevelT on
	Collect   Collect   // needed from LevelLT on
	// Hash is that of time-stamps, SHA-256 (0), SHA-384 or SHA-512. The seal itself goes by its key's mechanisms.
	Hash crypto.Hash

	// Parallel makes an enveloped XAdES seal beside which further ones can be put into the document: it covers the
	// document but for all signatures in it, where it else covers all but itself. A document that is sealed already
	// always gets such a one.
	Parallel bool

	// Mentions are documents beside, of which the seal says which ones they are; of enveloped XAdES.
	Mentions []Mention

	Reason   string // of a PDF's seal, optional, as the following ones
	Location string
	Name     string // who seals
	Field    string // name of the signature field of a PDF; "" takes the first free one
	// Visible shows the seal on a page of a PDF; nil shows nothing. Lines that are not given are who seals and when.
	Visible *pdf.Appearance
}

// Collect gathers the evidence for certificates: their issuers up to an anchor, and for each of them but the anchors
// revocation information that says it is good. It checks every answer. Known are certificates that may be among the
// issuers. Package gather has one.
type Collect func(ctx context.Context, certificates, known [][]byte) (Evidence, error)

// ErrAlready tells that no seal of a document can be extended to the level that was asked for: each has it already.
var ErrAlready = errors.New("the seal has that level already")

// Seal seals documents and returns what is to be kept: for PAdES and enveloped XAdES the sealed document, for ASiC the
// container, else the seal. All of them together may have MaxDocument bytes.
//
// A document that has seals gets another one beside them: a further revision of a PDF, a signature beside others in
// XML that leaves room for it (Options.Parallel), a further signer in a CMS, a further signature in a JSON text or an
// ASiC container. The sealed file is then the one document that is given. What would break a seal that is there, or
// is forbidden by it, is refused.
func Seal(ctx context.Context, documents []Document, signer Signer, opts Options) ([]byte, error) {
	sealed, err := sealAll(ctx, documents, signer, opts)
	if err != nil {
		return nil, fmt.Errorf("sealing as %s: %w", cmp.Or(opts.Format, "a format that is not given"), err)
	}
	return sealed, nil
}

func sealAll(ctx context.Context, documents []Document, signer Signer, opts Options) ([]byte, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if err := opts.take(documents); err != nil {
		return nil, err
	}
	if err := signer.check(opts.Time); err != nil {
		return nil, err
	}
	w := &work{opts: opts, signer: signer, documents: documents}
	if w.how, err = signer.method(opts.Format); err != nil {
		return nil, err
	}
	switch {
	case opts.Packaging == ASiCS || opts.Packaging == ASiCE:
		return w.sealContainer(ctx)
	case opts.Format == FormatPAdES:
		return w.sealPDF(ctx)
	case opts.Format == FormatXAdES:
		return w.sealXML(ctx)
	case opts.Format == FormatCAdES:
		return w.sealCMS(ctx)
	}
	return w.sealJSON(ctx)
}

// work is one sealing or extension.
type work struct {
	opts      Options
	signer    Signer // of a sealing
	how       method
	documents []Document
}

// complete fills in defaults and refuses what can't be.
func (o Options) complete() (Options, error) {
	usual, ok := packagings[o.Format]
	if !ok {
		return o, fmt.Errorf("Format %q is none of PAdES, XAdES, CAdES and JAdES", o.Format)
	}
	if o.Packaging == "" {
		o.Packaging = usual[0]
	}
	if !slices.Contains(usual, o.Packaging) {
		return o, fmt.Errorf("Packaging %q is none that %s has: %v", o.Packaging, o.Format, usual)
	}
	if o.Packaging == Compact && o.Level == "" {
		o.Level = LevelB
	}
	if o.Packaging == Compact && o.Level != LevelB {
		return o, fmt.Errorf("Level %q: the compact serialization has no place for a time-stamp; take Packaging %q",
			o.Level, Enveloping)
	}
	if err := o.checkMentions(); err != nil {
		return o, err
	}
	return o, o.completeLevel()
}

func (o *Options) completeLevel() error {
	o.Level = cmp.Or(o.Level, LevelLT)
	switch {
	case !slices.Contains(levels, o.Level):
		return fmt.Errorf("Level %q is none of %v", o.Level, levels)
	case o.Level.reaches(LevelT) && o.TSA == nil:
		return fmt.Errorf("level %s needs a time-stamping authority: TSA is missing", o.Level)
	case o.Level.reaches(LevelLT) && o.Collect == nil:
		return fmt.Errorf("level %s needs evidence: Collect is missing", o.Level)
	}
	if o.Hash = cmp.Or(o.Hash, crypto.SHA256); digestURIs[o.Hash] == "" {
		return fmt.Errorf("time-stamps by %v are not asked for: Hash is SHA-256, SHA-384 or SHA-512", o.Hash)
	}
	return nil
}

// take refuses documents that can't be sealed so.
func (o Options) take(documents []Document) error {
	if err := checkSize(documents); err != nil {
		return err
	}
	many := o.Packaging == ASiCE || o.Packaging == Detached && o.Format != FormatCAdES ||
		o.Packaging == Enveloping && o.Format == FormatXAdES
	switch {
	case len(documents) == 0:
		return errors.New("no document is given")
	case len(documents) > maxDocuments:
		return fmt.Errorf("%d documents, at most %d are taken", len(documents), maxDocuments)
	case len(documents) > 1 && !many:
		return fmt.Errorf("%d documents, but %s %s takes one; ASiC-E takes many", len(documents), o.Format, o.Packaging)
	}
	named := o.Packaging == ASiCS || o.Packaging == ASiCE || o.Packaging == Detached && o.Format != FormatCAdES
	if !named {
		return nil
	}
	names := make([]string, len(documents))
	for i := range documents {
		names[i] = documents[i].Name
	}
	return asic.CheckNames(names)
}

const maxDocuments = 1000 // of one seal

func checkSize(documents []Document) error {
	size := 0
	for _, d := range documents {
		if size += len(d.Content); size > MaxDocument {
			return fmt.Errorf("more than %d bytes of documents are not taken", MaxDocument)
		}
	}
	return nil
}

// Extend raises the seals of a document to a level: Options.Level, with Options.TSA and Options.Collect as it needs
// them; Format and Packaging "" are told by the content. The documents are those that a detached seal is about. Seals
// that have the level are left as they are, but LevelLTA puts a further archive time-stamp over those that have one,
// with the evidence for the last. ErrAlready tells that nothing was to be done.
func Extend(ctx context.Context, sealed []byte, documents []Document, opts Options) ([]byte, error) {
	extended, err := extendAll(ctx, sealed, documents, opts)
	if err != nil {
		return nil, fmt.Errorf("extending a seal: %w", err)
	}
	return extended, nil
}

func extendAll(ctx context.Context, sealed []byte, documents []Document, opts Options) ([]byte, error) {
	if err := opts.completeLevel(); err != nil {
		return nil, err
	}
	if err := checkSize(append(documents[:len(documents):len(documents)], Document{Content: sealed})); err != nil {
		return nil, err
	}
	if opts.Level == LevelB {
		return nil, ErrAlready
	}
	w := &work{opts: opts, documents: documents}
	switch kind := opts.kind(sealed); kind {
	case kindPDF:
		return w.extendPDF(ctx, sealed)
	case kindZIP:
		return w.extendContainer(ctx, sealed)
	case kindCMS:
		return w.extendCMS(ctx, sealed, w.one)
	case kindJSON:
		return w.extendJSON(ctx, sealed)
	default:
		return w.extendXML(ctx, sealed, "")
	}
}
