// Package cades reads CMS and CAdES signatures (RFC 5652, ETSI EN 319 122-1, TS 101 733), attached
// and detached, and the CMS inside PDF signature dictionaries, into facts for the judgement.
package cades

import (
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
	"trustcore/verify/signature"
)

// Open reads a file that holds a CMS SignedData: DER or BER, PEM, base64, or an S/MIME wrapping of
// it. Counter-signatures follow the signature that they are about as entries of their own. The error
// says that data is no SignedData; broken signatures are facts, not errors.
//
// A detached signature is about one of the detached files: the one whose digest it holds, else the
// first. A file's attached content wins over detached ones.
func Open(b *budget.Budget, data []byte, detached []signature.Detached) (*signature.Document, error) {
	der, notes, err := unwrap(data)
	if err != nil {
		return nil, err
	}
	sd, err := cms.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("CMS: %w", err)
	}
	if len(sd.Rest) > 0 && !blank(sd.Rest) {
		notes = append(notes, fmt.Sprintf("%d octets follow the CMS", len(sd.Rest)))
	}
	d := newDocument(b, sd, signature.CAdES)
	d.contents = contents(sd, detached)
	return &signature.Document{Signatures: d.signatures(notes)}, nil
}

// content is one candidate for the signed data.
type content struct {
	*signerinfo.Content
	name  string
	scope string
}

// contents are the candidates in order: the attached content alone, or the detached files.
func contents(sd *cms.SignedData, detached []signature.Detached) []content {
	if sd.Content.Present {
		return []content{{signerinfo.NewContent(func(w io.Writer) error {
			_, err := sd.Content.WriteTo(w)
			return err
		}), "message digest", "the whole attached content"}}
	}
	list := make([]content, 0, max(1, len(detached)))
	for _, d := range detached {
		list = append(list, content{signerinfo.Bytes(d.Content), d.Name, "the whole file " + d.Name})
	}
	if len(list) == 0 {
		list = append(list, content{signerinfo.NewContent(nil), "message digest", ""})
	}
	return list
}

// document is one SignedData with what it may be about.
type document struct {
	budget   *budget.Budget
	signed   *cms.SignedData
	contents []content
	format   signature.Format
	extra    [][]byte // certificates from outside the SignedData
	pool     *signerinfo.Pool
	ids      map[string]int
	digests  map[span][32]byte
	count    int // signatures so far
	work     int // of public-key operations so far
	stamps   int // time-stamps opened so far
	passes   int // over the content for archive time-stamps of the second version
	form     int // which of their encodings this file uses, as far as seen
}

func newDocument(b *budget.Budget, sd *cms.SignedData, format signature.Format) *document {
	return &document{budget: b, signed: sd, format: format, pool: signerinfo.NewPool(sd.Certificates),
		ids: make(map[string]int, len(sd.Signers)), digests: make(map[span][32]byte)}
}

func (d *document) signatures(notes []string) []*signature.Signature {
	var list []*signature.Signature
	for _, si := range d.signed.Signers {
		s := d.signer(si)
		s.Signature.Notes = append(s.Signature.Notes, notes...)
		list = append(list, s.Signature)
		list = append(list, d.counterSignatures(s, 1)...)
	}
	return list
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
	content content // what it turned out to be about
	parent  *signer // of a counter-signature
	stamps  []*stamp
}

// signer reads one SignerInfo of the SignedData.
func (d *document) signer(si *cms.SignerInfo) *signer {
	s := d.start(si)
	var facts *signerinfo.Facts
	s.content, facts = d.choose(s)
	s.take(facts)
	s.Format, s.References = d.format, []signature.Reference{{
		Name: s.content.name, Type: "message-digest", Found: facts.DigestFound,
		Intact: facts.DigestFound && facts.DigestIntact, Scope: s.content.scope, Full: true,
	}}
	s.finish()
	return s
}

func (d *document) start(si *cms.SignerInfo) *signer {
	d.count++
	value := sha256.Sum256(si.Signature)
	s := &signer{Signature: &signature.Signature{ID: d.id(value), Format: d.format, Value: value}, doc: d, info: si}
	s.evidence()
	return s
}

// choose checks the signer against the content that it names: of several detached files the one with
// the right digest.
func (d *document) choose(s *signer) (content, *signerinfo.Facts) {
	candidates := d.contents
	if h, err := algorithm.HashByIdentifier(s.info.DigestAlgorithm); err == nil && len(candidates) > 1 {
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
	if d.work > maxWork {
		return &signerinfo.Facts{DigestFound: c.Present(), Structure: []string{"the file asks for more public-key operations than one is given"}}
	}
	own := s.Certificates[len(d.signed.Certificates):]
	facts := signerinfo.Check(signerinfo.Input{
		SignerInfo: s.info, ContentType: contentType, Content: c,
		Candidates: []*signerinfo.Pool{d.pool, signerinfo.NewPool(own), signerinfo.NewPool(d.extra)},
	})
	d.work += facts.Work
	return facts
}

// maxWork bounds the public-key operations for one file, in the unit of signerinfo.Facts: 4,096 with
// RSA-2048, or 64 with RSA-16384, each some tenths of a second.
const maxWork = 16 << 10

// take copies the facts of the check.
func (s *signer) take(f *signerinfo.Facts) {
	s.Signer, s.Binding, s.Intact = f.Signer, f.Binding, f.Intact
	s.SigningTime, s.Algorithms = f.SigningTime, f.Algorithms
	s.Structure = append(s.Structure, f.Structure...)
	s.Notes = append(s.Notes, f.Notes...)
	if a := s.info.Signed(cms.OIDSignaturePolicy); a != nil {
		policy, err := a.PolicyIdentifier()
		if err != nil {
			s.note("signature policy: %v", err)
		}
		s.PolicyOID = policy
	}
}

// finish reads the time-stamps and names the level, once the rest is known.
func (s *signer) finish() {
	s.timestamps()
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
	for _, list := range [][]cms.Attribute{s.info.SignedAttributes, s.info.UnsignedAttributes} {
		for i := range list {
			s.attributeEvidence(&list[i])
		}
	}
}

func (s *signer) attributeEvidence(a *cms.Attribute) {
	switch a.Type {
	case cms.OIDCertificateValues:
		certs, err := a.Certificates()
		if err != nil {
			s.note("%v", err)
		}
		s.Certificates = append(s.Certificates, certs...)
	case cms.OIDRevocationValues, cms.OIDRevocationArchival:
		crls, ocsps, err := a.Revocations()
		if err != nil {
			s.note("%v", err)
		}
		s.CRLs = append(s.CRLs, crls...)
		s.OCSPs = append(s.OCSPs, ocsps...)
	}
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
	si, err := cms.ParseSignerInfo(value)
	if err != nil {
		return nil, err
	}
	s := d.start(si)
	s.parent = parent
	s.CounterSignatureOf = parent.ID
	s.content = content{signerinfo.Bytes(parent.info.Signature), parent.ID, "the value of signature " + parent.ID}
	facts := d.check(s, "", s.content.Content)
	s.take(facts)
	s.References = []signature.Reference{{
		Name: parent.ID, Type: "counter-signature", Found: facts.DigestFound,
		Intact: facts.DigestFound && facts.DigestIntact, Scope: s.content.scope, Full: true,
	}}
	s.finish()
	return s, nil
}
