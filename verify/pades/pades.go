// Package pades reads the signatures of a PDF file (ISO 32000-2 12.8, ETSI EN 319 142) into facts for
// the judgement: one for each signed field, with the evidence of the security store and the document
// time-stamps that came later.
package pades

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// maxSignatures bounds the signed fields of one file that are looked at: each costs a hash over the
// file and a public-key operation.
const maxSignatures = 256

// Option says how a file is to be read.
type Option func(*options)

type options struct{ passwords [][]byte }

// Password opens a document that is encrypted, as its user's or its owner's. Others are tried as well, the empty one
// first. The octets, UTF-8, are the caller's to wipe when the document was read; no copy of them is left.
func Password(text []byte) Option {
	return func(o *options) { o.passwords = append(o.passwords, text) }
}

// locked tells what to do about a document that opens with none of the passwords.
func (o *options) locked() string {
	if len(o.passwords) == 0 {
		return "the document is encrypted and opens only with a password (verify it again and give the password)"
	}
	return "the document is encrypted and opens with none of the passwords that were given (verify it again with the right one)"
}

// Open reads a PDF file. A broken signature is a fact, not an error; the error says that the file cannot be read as a
// PDF. Of one that is encrypted and that no password opens the signatures are read as far as they can be found, its
// names and evidence are not, and what came after a signature is unchecked.
func Open(b *budget.Budget, data []byte, opts ...Option) (*signature.Document, error) {
	var o options
	for _, option := range opts {
		option(&o)
	}
	file, err := pdf.OpenWithin(b, data, o.passwords...)
	switch {
	case b.Err() != nil:
		return nil, b.Err() // also where the passwords took all of it: none of them is said to be wrong
	case errors.Is(err, pdf.ErrPassword):
		return &signature.Document{Unchecked: o.locked() + ": it may hold signatures"}, nil
	case err != nil:
		return nil, err
	}
	fields, err := file.Fields()
	if err != nil {
		return nil, err
	}
	r := &reader{budget: b, locked: o.locked(),
		file: file, fields: map[pdf.Ref]*dictionary{}, ids: map[string]int{}, stores: map[int]evidence{}, later: map[int][]pdf.Change{},
		hashes: prefixes{budget: b, data: data, states: map[string][]prefix{}},
	}
	if err := r.collect(fields); err != nil {
		return nil, err
	}
	for _, d := range r.dictionaries {
		r.read(d)
	}
	r.names()
	r.coverage()
	doc := &signature.Document{Timestamps: r.loose}
	if doc.SHA256, err = r.hashes.digest(); err != nil {
		return nil, err
	}
	for _, d := range r.dictionaries {
		if d.signed == nil {
			continue
		}
		r.level(d)
		r.changes(d)
		doc.Signatures = append(doc.Signatures, d.signed)
	}
	r.sealed(doc)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return doc, nil
}

// reader is the work on one file.
type reader struct {
	budget       *budget.Budget
	locked       string // what there is to say where no password opens the file
	file         *pdf.Document
	dictionaries []*dictionary
	fields       map[pdf.Ref]*dictionary // by the object of the field
	loose        []*signature.Timestamp  // document time-stamps without an earlier signature
	ids          map[string]int
	hashes       prefixes
	stores       map[int]evidence     // by revision
	all          *evidence            // of all revisions, nil until it is asked for
	later        map[int][]pdf.Change // what was changed since a revision
}

// dictionary is one signature dictionary of the file with what was read from it.
type dictionary struct {
	*pdf.Signature
	field string
	lock  *pdf.Lock

	signed  *signature.Signature // nil for document time-stamps
	info    *cms.SignerInfo      // of signed, nil when the CMS cannot be read
	cms     *cms.SignedData
	token   *timestamp.Token // of a document time-stamp
	stamps  bool             // a token is there that is about the byte range
	evident bool             // the store of the document holds revocation data for the signer
}

// sealed tells what of an encrypted document could not be read.
func (r *reader) sealed(doc *signature.Document) {
	if !r.file.Sealed() {
		return
	}
	doc.Notes = append(doc.Notes, r.locked+": what it says is not shown")
	if r.file.Lost() {
		doc.Unchecked = r.locked + ": it may hold more signatures"
	}
}

// collect lists the signature dictionaries once each, oldest revision first.
func (r *reader) collect(fields []pdf.Field) error {
	seen := map[*pdf.Signature]*dictionary{}
	for _, f := range fields {
		if f.Signature == nil {
			continue
		}
		d := seen[f.Signature]
		if d == nil {
			if len(r.dictionaries) >= maxSignatures {
				return fmt.Errorf("PDF: more than %d signatures", maxSignatures)
			}
			d = &dictionary{Signature: f.Signature, field: f.Name, lock: f.Lock}
			seen[f.Signature] = d
			r.dictionaries = append(r.dictionaries, d)
		}
		r.fields[f.Ref] = d
	}
	slices.SortStableFunc(r.dictionaries, func(a, b *dictionary) int { return int(a.end() - b.end()) })
	return nil
}

// names finds fields of one full name: programs take them for one field and show but one of the signatures. The
// later ones are ill-formed.
func (r *reader) names() {
	taken := map[string]bool{}
	for _, d := range r.dictionaries {
		if d.field == "" {
			continue // of a document that cannot be deciphered, or without a name at all
		}
		problem := "two fields have the same full name " + prose.Name(d.field)
		switch {
		case !taken[d.field]:
		case d.signed != nil:
			d.signed.Structure = append(d.signed.Structure, problem)
		case d.token != nil:
			d.token.Structure = append(d.token.Structure, problem)
		}
		taken[d.field] = true
	}
}

// end is where the covered bytes end: the order in which the signatures were made.
func (d *dictionary) end() int64 {
	if len(d.ByteRange) != 4 {
		return 0
	}
	return d.ByteRange[2] + d.ByteRange[3]
}

// read opens one dictionary as what its sub-filter says.
func (r *reader) read(d *dictionary) {
	if d.SubFilter == pdf.SubFilterRFC3161 {
		r.documentTimestamp(d)
		return
	}
	r.cmsSignature(d)
	r.describe(d)
}

// covered gives the byte range as a stream, or nil when it names no bytes of the file.
func (r *reader) covered(d *dictionary) func(io.Writer) error {
	before, after, ok := r.file.Covered(d.Signature)
	if !ok {
		return nil
	}
	if d.ByteRange[0] == 0 {
		return func(w io.Writer) error { return r.hashes.write(w, len(before), after) }
	}
	return func(w io.Writer) error { return errors.Join(r.hashes.write(w, 0, before), r.hashes.write(w, 0, after)) }
}

// describe adds what the dictionary says to the facts of the CMS.
func (r *reader) describe(d *dictionary) {
	s := d.signed
	s.ID = r.unique(s.ID)
	s.Structure = append(s.Structure, d.Problems...)
	switch {
	case !d.Time.IsZero():
		s.SigningTime = d.Time // M is the claimed time; PAdES forbids the CMS attribute (EN 319 142-1 6.3)
	case d.Dict["M"] != nil && !r.file.Sealed():
		s.Notes = append(s.Notes, "the claimed time of the dictionary cannot be read: "+prose.Name(r.file.Text(d.Dict["M"])))
	}
	if d.Type != "" && d.Type != "Sig" {
		s.Structure = append(s.Structure, "the signature dictionary is of type "+prose.Name(string(d.Type)))
	}
	for _, p := range r.file.Problems() {
		s.Notes = append(s.Notes, "PDF: "+prose.Text(p))
	}
	if d.Reason != "" {
		s.Notes = append(s.Notes, "reason: "+prose.Name(d.Reason))
	}
	if d.Location != "" {
		s.Notes = append(s.Notes, "location: "+prose.Name(d.Location))
	}
}

// unique numbers repeats of an identifier.
func (r *reader) unique(id string) string {
	r.ids[id]++
	if n := r.ids[id]; n > 1 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

// scope tells a person what the byte range covers.
func (r *reader) scope(d *dictionary) (text string, full bool) {
	revisions := len(r.file.Revisions())
	switch {
	case d.Revision < 0:
		return "partial PDF: not a whole revision", false
	case d.Revision == revisions-1 && d.end() == r.file.Size():
		return "full PDF", true
	}
	return fmt.Sprintf("partial PDF: revision %d of %d", d.Revision+1, revisions), false
}

// broken makes the facts of a signature whose Contents cannot be read.
func broken(contents []byte, problem error) *signature.Signature {
	value := sha256.Sum256(contents)
	return &signature.Signature{
		ID: "S-" + hex.EncodeToString(value[:12]), Format: signature.PDF, Value: value,
		Structure: []string{problem.Error()},
	}
}
