// Package exchange lets a document be judged where it is, by what a server knows: lists, evidence, policy, time. The one side
// asks about the certificates that it found in the document, with the evidence that came with them; the other answers. The
// document itself, its digest and its signatures are in no question. A verdict that was reached so is the reader's own: no
// server vouches for it.
package exchange

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/verify/signature"
)

// Question is what is asked about one document.
type Question struct {
	Service string   `json:"service,omitempty" doc:"identifier of the service that the document is handed in for"`
	Have    []string `json:"have,omitempty" doc:"SHA-256 of pieces that need not be sent again, lower-case hex"`
	// Octets are certificates, revocation lists and OCSP responses, DER, each once. Parts name them by their positions.
	Octets     [][]byte `json:"octets" doc:"certificates, CRLs and OCSP responses, DER, each once"`
	Signatures []Signed `json:"signatures"`
	Timestamps []Part   `json:"timestamps" doc:"those that belong to no signature"`
	Records    []Part   `json:"records" doc:"time-stamps of evidence records"`
}

// Part is what one signature or time-stamp carries. Numbers are positions in Octets.
type Part struct {
	Signer       int       `json:"signer" doc:"the signing certificate; -1 where it is not known"`
	Time         time.Time `json:"time,omitzero" doc:"of a time-stamp"`
	Certificates []int     `json:"certificates,omitempty"`
	CRLs         []int     `json:"crls,omitempty"`
	OCSPs        []int     `json:"ocsps,omitempty"`
}

// Signed is a signature with its time-stamps.
type Signed struct {
	Part
	Timestamps []Part `json:"timestamps,omitempty"`
}

// The limits of a question. A document beyond them is for the server to judge.
const (
	MaxQuestion = 16 << 20 // octets of its JSON
	maxOctets   = 5000
	maxParts    = 2000
	maxHave     = 1000
)

// About asks about what a document holds.
func About(doc *signature.Document) *Question {
	a := asker{at: map[[32]byte]int{}, q: &Question{Octets: [][]byte{}, Signatures: []Signed{}, Timestamps: []Part{}, Records: []Part{}}}
	for _, s := range doc.Signatures {
		a.q.Signatures = append(a.q.Signatures,
			Signed{a.part(s.Signer, time.Time{}, s.Certificates, s.CRLs, s.OCSPs), a.stamps(s.Timestamps)})
		a.records(s.EvidenceRecords)
	}
	a.q.Timestamps = append(a.q.Timestamps, a.stamps(doc.Timestamps)...)
	a.records(doc.EvidenceRecords)
	return a.q
}

// asker makes a question.
type asker struct {
	q  *Question
	at map[[32]byte]int // positions of octets by their digests
}

func (a *asker) records(list []*signature.EvidenceRecord) {
	for _, r := range list {
		a.q.Records = append(a.q.Records, a.stamps(r.Timestamps)...)
	}
}

func (a *asker) stamps(list []*signature.Timestamp) (parts []Part) {
	for _, t := range list {
		parts = append(parts, a.part(t.Signer, t.Time, t.Certificates, t.CRLs, t.OCSPs))
	}
	return parts
}

func (a *asker) part(signer []byte, at time.Time, certificates, crls, ocsps [][]byte) Part {
	p := Part{Signer: -1, Time: at, Certificates: a.all(certificates), CRLs: a.all(crls), OCSPs: a.all(ocsps)}
	if signer != nil {
		p.Signer = a.position(signer)
	}
	return p
}

func (a *asker) all(list [][]byte) (positions []int) {
	for _, octets := range list {
		positions = append(positions, a.position(octets))
	}
	return positions
}

func (a *asker) position(octets []byte) int {
	digest := sha256.Sum256(octets)
	i, known := a.at[digest]
	if !known {
		i = len(a.q.Octets)
		a.at[digest], a.q.Octets = i, append(a.q.Octets, octets)
	}
	return i
}

// errQuestion tells that a question is not as it must be.
var errQuestion = errors.New("the question is not as it must be")

// Document is what evidence is looked for: signers, and what came with them.
func (q *Question) Document() (*signature.Document, error) {
	if len(q.Octets) > maxOctets || len(q.Have) > maxHave {
		return nil, fmt.Errorf("%w: at most %d certificates, lists and responses, and %d pieces at hand", errQuestion, maxOctets, maxHave)
	}
	r := reader{octets: q.Octets}
	doc := &signature.Document{}
	for i := range q.Signatures {
		s := &signature.Signature{Timestamps: r.stamps(q.Signatures[i].Timestamps)}
		s.Signer, s.Certificates, s.CRLs, s.OCSPs = r.part(&q.Signatures[i].Part)
		doc.Signatures = append(doc.Signatures, s)
	}
	doc.Timestamps = r.stamps(q.Timestamps)
	if stamps := r.stamps(q.Records); len(stamps) > 0 {
		doc.EvidenceRecords = []*signature.EvidenceRecord{{Timestamps: stamps}}
	}
	return doc, r.err
}

// reader makes a document of a question.
type reader struct {
	octets [][]byte
	parts  int
	err    error // the first one
}

func (r *reader) stamps(parts []Part) (list []*signature.Timestamp) {
	for i := range parts {
		p := &parts[i]
		t := &signature.Timestamp{Time: p.Time}
		t.Signer, t.Certificates, t.CRLs, t.OCSPs = r.part(p)
		list = append(list, t)
	}
	return list
}

func (r *reader) part(p *Part) (signer []byte, certificates, crls, ocsps [][]byte) {
	if r.parts++; r.parts > maxParts {
		r.err = fmt.Errorf("%w: more than %d signatures and time-stamps", errQuestion, maxParts)
		return nil, nil, nil, nil
	}
	if p.Signer != -1 {
		if one := r.all([]int{p.Signer}); one != nil {
			signer = one[0]
		}
	}
	return signer, r.all(p.Certificates), r.all(p.CRLs), r.all(p.OCSPs)
}

// all returns the octets at the positions; one that names none is an error, and so is a list with repeats beyond all.
func (r *reader) all(positions []int) (list [][]byte) {
	if len(positions) > len(r.octets)+maxParts || slices.ContainsFunc(positions, func(i int) bool { return i < 0 || i >= len(r.octets) }) {
		r.err = fmt.Errorf("%w: a part names octets that are not there", errQuestion)
		return nil
	}
	for _, i := range positions {
		list = append(list, r.octets[i])
	}
	return list
}

// size is how many octets the question is about.
func (q *Question) size() (n int) {
	for _, octets := range q.Octets {
		n += len(octets)
	}
	return n
}
