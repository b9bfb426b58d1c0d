// Package cades reads CMS and CAdES signatures (RFC 5652, ETSI EN 319 122-1, TS 101 733), attached
// and detached, and the CMS inside PDF signature dictionaries, into facts for the judgement.
package cades

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/certificate"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// ErrOtherData tells that a file was given to a signature that carries its own data, and is another one.
var ErrOtherData = errors.New("CMS: the signature carries the data that was signed, and no detached file that was given is that data")

// Open reads a file that holds a CMS SignedData: DER or BER, PEM, base64, or an S/MIME message
// (RFC 8551). Counter-signatures follow the signature that they are about as entries of their own. The error
// says that data is no SignedData, is ErrOtherData, or is that of the budget; broken signatures are
// facts, not errors.
//
// A detached signature is about one of the detached files: the one whose digest it holds, else the
// first. A file that is given beside attached content must be that content.
//
// A time-stamp token alone, or the TimeStampResp around it, is nobody's signature but a time-stamp of the
// document, about one of the detached files likewise (RFC 3161, 2.4.2).
func Open(b *budget.Budget, data []byte, detached []signature.Detached) (*signature.Document, error) {
	sd, w, err := read(b, data)
	if err != nil {
		return nil, err
	}
	switch {
	case w.signed != nil:
		return openMail(b, sd, w, detached)
	case sd.Content.Type == cms.OIDTSTInfo:
		return openToken(b, sd, w.notes, detached)
	}
	if sd.Content.Present && len(detached) > 0 {
		name, err := givenTwice(b, signerinfo.Bytes(b, sd.Content.Segments...), detached)
		if err != nil {
			return nil, err
		}
		w.note(fmt.Sprintf("the detached file %s that was given is the data that the signature carries", prose.Name(name)))
	}
	d := newDocument(b, sd, signature.CAdES)
	d.contents = d.candidates(detached)
	return d.read(w)
}

// OpenDetached reads the CMS of a container, which is about the one datum that the container says
// (EN 319 162-1, 4.3.3.2 and 4.4.4.2): one with a content of its own is ill-formed, unless that is the datum. Write
// writes the datum as often as it is asked; it is nil where nobody knows what the signature is about. Errors are
// those of Open.
func OpenDetached(b *budget.Budget, data []byte, name string, write func(io.Writer) error) (*signature.Document, error) {
	sd, w, err := read(b, data)
	if err != nil {
		return nil, err
	}
	if w.signed != nil {
		return nil, errors.New("CMS: a signed message is about itself, not about a container")
	}
	datum := content{signerinfo.NewContent(b, write), name, "the whole file " + name}
	if write == nil {
		datum.name, datum.scope = "message digest", ""
	}
	return openAbout(b, sd, w, datum, "container")
}

// openMail reads the signature of a multipart/signed message, which is about the first part. A detached file that is
// given must be that part.
func openMail(b *budget.Budget, sd *cms.SignedData, w *wrapping, detached []signature.Detached) (*signature.Document, error) {
	part := content{w.signed.content(b), "message", w.signed.scope()}
	if len(detached) > 0 {
		name, err := givenTwice(b, part.Content, detached)
		if err != nil {
			return nil, err
		}
		w.note(fmt.Sprintf("the detached file %s that was given is the signed part of the message", prose.Name(name)))
	}
	return openAbout(b, sd, w, part, "message")
}

// openAbout reads a SignedData that is about the one datum that its surroundings say.
func openAbout(b *budget.Budget, sd *cms.SignedData, w *wrapping, datum content, around string) (*signature.Document, error) {
	d := newDocument(b, sd, signature.CAdES)
	switch {
	case !sd.Content.Present:
	case holds(sd.Content.Segments, datum.Content):
		w.note("the CMS carries what it is about, though it is in a " + around)
	default:
		d.illFormed = append(d.illFormed, "the CMS has a content of its own: it is about that, not about the "+around)
	}
	d.contents = []content{datum}
	return d.read(w)
}

// read takes the wrapping off and parses.
func read(b *budget.Budget, data []byte) (*cms.SignedData, *wrapping, error) {
	der, w, err := unwrap(b, data)
	if err != nil {
		return nil, nil, err
	}
	if err := b.Work(cms.ParseWork(len(der))); err != nil {
		return nil, nil, err
	}
	sd, err := cms.Parse(der)
	if err != nil {
		return nil, nil, fmt.Errorf("CMS: %w", err)
	}
	if !blank(sd.Rest) {
		w.leaveOut(fmt.Sprintf("%d octets that follow the CMS", len(sd.Rest)))
	}
	if w.beside != "" {
		w.note("the file holds " + w.beside + ": nobody signed that")
	}
	return sd, w, nil
}

// givenTwice finds the detached file that is the data that the signature carries.
func givenTwice(b *budget.Budget, carried *signerinfo.Content, files []signature.Detached) (string, error) {
	for _, f := range files {
		given := signerinfo.Detached(b, f)
		if given.DigestOnly() && carried.HasDigests(f.Digests) || !given.DigestOnly() && holds([][]byte{f.Content}, carried) {
			return f.Name, b.Err()
		}
	}
	return "", cmp.Or(b.Err(), ErrOtherData)
}

// holds tells whether data is what the segments make up.
func holds(segments [][]byte, data *signerinfo.Content) bool {
	m := matcher{segments: segments}
	return data.CopyTo(&m) == nil && m.done()
}

// matcher compares what is written to it with segments.
type matcher struct {
	next     []byte   // what is left of the segment at hand
	segments [][]byte // those behind it
}

var errDiffers = errors.New("other data")

func (m *matcher) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if m.done() {
			return 0, errDiffers
		}
		n := min(len(rest), len(m.next))
		if !bytes.Equal(rest[:n], m.next[:n]) {
			return 0, errDiffers
		}
		rest, m.next = rest[n:], m.next[n:]
	}
	return len(p), nil
}

// done tells whether nothing is left, and goes on to the next segment that is not empty.
func (m *matcher) done() bool {
	for len(m.next) == 0 && len(m.segments) > 0 {
		m.next, m.segments = m.segments[0], m.segments[1:]
	}
	return len(m.next) == 0
}

// content is one candidate for the signed data.
type content struct {
	*signerinfo.Content
	name  string
	scope string
}

// candidates are what the signature may be about, in order: the attached content alone, or the detached files.
func (d *document) candidates(files []signature.Detached) []content {
	if attached := &d.signed.Content; attached.Present {
		return []content{{signerinfo.Bytes(d.budget, attached.Segments...), "message digest", "the whole attached content"}}
	}
	if len(files) == 0 {
		return []content{{signerinfo.NewContent(d.budget, nil), "message digest", ""}}
	}
	return d.detached(files)
}

func (d *document) detached(files []signature.Detached) []content {
	list := make([]content, 0, len(files))
	for _, f := range files {
		c := content{signerinfo.Detached(d.budget, f), f.Name, "the whole file " + f.Name}
		if c.DigestOnly() {
			c.scope += signature.DigestAlone
		}
		list = append(list, c)
	}
	return list
}

// document is one SignedData with what it may be about.
type document struct {
	budget    *budget.Budget
	signed    *cms.SignedData
	contents  []content
	format    signature.Format
	beside    string           // what stands in the file and nobody signed, or ""
	illFormed []string         // what keeps all signatures from counting
	extra     *signerinfo.Pool // certificates from outside the SignedData
	pool      *signerinfo.Pool
	ids       map[string]int
	count     int // signatures so far
	stamps    int // time-stamps opened so far
	form      int // which encoding archive time-stamps of the second version use in this file, as far as seen
}

func newDocument(b *budget.Budget, sd *cms.SignedData, format signature.Format) *document {
	return &document{budget: b, signed: sd, format: format, pool: signerinfo.NewPool(b, sd.Certificates), extra: signerinfo.NewPool(b, nil),
		ids: make(map[string]int, len(sd.Signers))}
}

// read reads all signatures; beyond the budget none of them counts.
func (d *document) read(w *wrapping) (*signature.Document, error) {
	doc := &signature.Document{}
	d.beside = w.beside
	for _, si := range d.signed.Signers {
		s := d.signer(si)
		s.Signature.Notes = append(s.Signature.Notes, w.notes...)
		w.senders(d.budget, s.Signature)
		s.Structure = append(s.Structure, d.illFormed...)
		doc.Signatures = append(doc.Signatures, s.Signature)
		doc.Signatures = append(doc.Signatures, d.counterSignatures(s, 1)...)
		if err := d.budget.Err(); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// id names a signature by the digest of its value; repeats are numbered.
func (d *document) id(value [32]byte) string {
	id := "S-" + hex.EncodeToString(value[:12])
	d.ids[id]++
	if n := d.ids[id]; n > 1 {
		return fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

// signer is one SignerInfo while it is turned into a signature.
type signer struct {
	*signature.Signature
	doc     *document
	info    *cms.SignerInfo
	content content          // what it turned out to be about
	parent  *signer          // of a counter-signature
	pool    *signerinfo.Pool // certificates of its own attributes
	// certificate is Signer, nil where there is none.
	certificate *certificate.Certificate
	stamps      []*stamp
	byValue     map[*byte]*stamp // by the first octet of the attribute's value
	// byRecord are the evidence records by the attribute that carries them.
	byRecord map[*cms.Attribute][]*signature.EvidenceRecord
}

// signer reads one SignerInfo of the SignedData.
func (d *document) signer(si *cms.SignerInfo) *signer {
	s := d.start(si)
	var facts *signerinfo.Facts
	s.content, facts = d.choose(s)
	s.take(facts)
	s.Format = d.format
	s.refer("message-digest", facts)
	s.finish()
	return s
}

// refer makes the signature's one reference, to what it is about.
func (s *signer) refer(kind string, facts *signerinfo.Facts) {
	r := signature.Reference{
		Name: s.content.name, Type: kind, Found: facts.DigestFound, Intact: facts.DigestFound && facts.DigestIntact,
		Unchecked: facts.Unchecked, Scope: s.content.scope, Full: true, Digest: facts.MessageDigest,
	}
	if s.doc.beside != "" && s.parent == nil && r.Scope != "" {
		r.Scope, r.Full = r.Scope+", but not "+s.doc.beside, false
	}
	s.References = []signature.Reference{r}
}

func (d *document) start(si *cms.SignerInfo) *signer {
	d.count++
	value := sha256.Sum256(si.Signature)
	s := &signer{Signature: &signature.Signature{ID: d.id(value), Format: d.format, Value: value, SignatureValue: si.Signature}, doc: d, info: si}
	s.evidence()
	s.pool = signerinfo.NewPool(d.budget, s.Certificates[len(d.signed.Certificates):])
	return s
}

// choose checks the signer against the content that it names: of several detached files the one with
// the right digest.
func (d *document) choose(s *signer) (content, *signerinfo.Facts) {
	candidates := d.contents
	if h, err := signerinfo.HashOf(s.info.DigestAlgorithm); err == nil && len(candidates) > 1 {
		if want := s.info.MessageDigest(); want != nil {
			candidates = candidates[:1]
			for _, c := range d.contents {
				if sum, err := c.Digest(h); err == nil && string(sum) == string(want) {
					candidates = []content{c}
					break
				}
			}
		}
	}
	var facts *signerinfo.Facts
	for _, c := range candidates {
		facts = d.check(s, d.signed.Content.Type, c.Content)
		if facts.Intact {
			return c, facts
		}
	}
	return candidates[0], facts
}

func (d *document) check(s *signer, contentType cms.OID, c *signerinfo.Content) *signerinfo.Facts {
	return signerinfo.Check(signerinfo.Input{
		Budget: d.budget, SignerInfo: s.info, ContentType: contentType, Content: c,
		Candidates: []*signerinfo.Pool{d.pool, s.pool, d.extra},
	})
}

// take copies the facts of the check.
func (s *signer) take(f *signerinfo.Facts) {
	s.certificate = f.Certificate
	s.Signer, s.Binding, s.Intact, s.Unsupported = f.Signer, f.Binding, f.Intact, f.Unsupported
	s.SigningTime, s.Algorithms, s.DataToBeSigned = f.SigningTime, f.Algorithms, f.DataToBeSigned
	s.CertificateRefs = f.CertificateRefs
	s.Identifier = &signature.SignerIdentifier{Issuer: s.info.Issuer, Serial: s.info.Serial, KeyID: s.info.SubjectKeyID}
	s.Structure = append(s.Structure, f.Structure...)
	s.Notes = append(s.Notes, f.Notes...)
	if a := s.info.Signed(cms.OIDSignaturePolicy); a != nil {
		policy, err := a.PolicyIdentifier()
		if err != nil {
			s.note("signature policy: %v", err)
		}
		s.PolicyOID = policy
		var by algorithm.Hash
		s.Policy, by = policyDetails(a)
		s.comparePolicy(by)
	}
	s.readClaims()
}

// finish reads the time-stamps and names the level, once the rest is known.
func (s *signer) finish() {
	s.timestamps()
	s.records()
	s.Format, s.Level = s.level()
}

func (s *signer) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// evidence collects certificates, CRLs and OCSP responses of the SignedData and of the signer's
// unsigned attributes.
func (s *signer) evidence() {
	sd := s.doc.signed
	// Clipped, so that appending for one signer leaves the others' alone.
	s.Certificates, s.CRLs, s.OCSPs = slices.Clip(sd.Certificates), slices.Clip(sd.CRLs), slices.Clip(sd.OCSPs)
	s.Carried = []signature.Values{{Origin: signature.SignedData, Certificates: sd.Certificates, CRLs: sd.CRLs, OCSPs: sd.OCSPs}}
	for _, list := range [][]cms.Attribute{s.info.SignedAttributes, s.info.UnsignedAttributes} {
		for i := range list {
			s.attributeEvidence(&list[i])
		}
	}
}

func (s *signer) attributeEvidence(a *cms.Attribute) {
	switch a.Type {
	case cms.OIDCertificateValues, cms.OIDRevocationValues, cms.OIDRevocationArchival:
	default:
		return
	}
	if s.doc.budget.Work(cms.ParseWork(len(a.Raw))) != nil || s.doc.budget.Hold(len(a.Raw)) != nil {
		return
	}
	var err error
	var certs, crls, ocsps [][]byte
	if a.Type == cms.OIDCertificateValues {
		certs, err = a.Certificates()
	} else {
		crls, ocsps, err = a.Revocations()
	}
	if err != nil {
		s.note("%v", err)
	}
	s.Certificates, s.CRLs, s.OCSPs = s.join(s.Certificates, certs), s.join(s.CRLs, crls), s.join(s.OCSPs, ocsps)
	s.Carried = append(s.Carried, signature.Values{Origin: origins[a.Type], Certificates: certs, CRLs: crls, OCSPs: ocsps})
}

// heldAnObject is an object in a list, with what a list that grows leaves behind; signers that add to the lists of
// the SignedData copy them.
const heldAnObject = 96

func (s *signer) join(list, more [][]byte) [][]byte {
	if len(more) == 0 || s.doc.budget.Hold(heldAnObject*(len(list)+len(more))) != nil {
		return list
	}
	return append(list, more...)
}

// maxCounterDepth bounds counter-signatures of counter-signatures.
const maxCounterDepth = 8

// maxSignatures bounds all signatures of one file, counter-signatures included.
const maxSignatures = 1024

// counterSignatures reads the counter-signature attributes of a signer and theirs in turn.
func (d *document) counterSignatures(parent *signer, depth int) []*signature.Signature {
	var list []*signature.Signature
	for i := range parent.info.UnsignedAttributes {
		a := &parent.info.UnsignedAttributes[i]
		if a.Type != cms.OIDCounterSignature {
			continue
		}
		for _, value := range a.Values {
			c, err := d.counterSignature(parent, value, depth)
			if err != nil {
				parent.note("counter-signature: %v", err)
				continue
			}
			list = append(list, c.Signature)
			list = append(list, d.counterSignatures(c, depth+1)...)
		}
	}
	return list
}

func (d *document) counterSignature(parent *signer, value []byte, depth int) (*signer, error) {
	if depth > maxCounterDepth || d.count >= maxSignatures {
		return nil, errors.New("more of them than are followed")
	}
	if err := d.budget.Work(cms.ParseWork(len(value))); err != nil {
		return nil, err
	}
	si, err := cms.ParseSignerInfo(value)
	if err != nil {
		return nil, err
	}
	s := d.start(si)
	s.parent = parent
	s.CounterSignatureOf = parent.ID
	s.content = content{signerinfo.Bytes(d.budget, parent.info.Signature), parent.ID, "the value of signature " + parent.ID}
	facts := d.check(s, "", s.content.Content)
	s.take(facts)
	s.refer("counter-signature", facts)
	s.finish()
	return s, nil
}

// Content is the data that a CMS carries, or the signed part of the message around it; nil where it carries none. Errors
// are those of Open.
func Content(b *budget.Budget, data []byte) ([]byte, error) {
	sd, w, err := read(b, data)
	if err != nil {
		return nil, err
	}
	carried := signerinfo.Bytes(b, sd.Content.Segments...)
	switch {
	case w.signed != nil:
		carried = w.signed.content(b)
	case !sd.Content.Present:
		return nil, nil
	}
	var content bytes.Buffer
	if err := carried.CopyTo(&content); err != nil {
		return nil, err
	}
	return append([]byte{}, content.Bytes()...), nil
}
