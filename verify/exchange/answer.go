package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/evidence"
	"trustcore/verify/poland"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// Answer is what the document of a question is judged by.
type Answer struct {
	Time   time.Time `json:"time" doc:"of validation, when all evidence was at hand"`
	Policy Piece     `json:"policy" doc:"YAML, with the canonical data of the policy in use"`
	Pins   Piece     `json:"pins" doc:"the list of pinned keys"`
	Lists  Piece     `json:"lists" doc:"JSON: the part of the trusted lists that matters to the certificates"`
	// Card is that of the service, nil where none was named.
	Card *poland.Card `json:"card,omitempty"`

	Certificates [][]byte `json:"certificates" doc:"that were found besides, DER"`
	CRLs         []Piece  `json:"crls" doc:"DER"`
	OCSPs        [][]byte `json:"ocsps" doc:"DER"`
	// Later is evidence.Found.Later by the SHA-256 of certificates, lower-case hex.
	Later map[string]time.Time `json:"later,omitempty" doc:"when asking again about a certificate may help, by its SHA-256"`
}

// Piece is data that the asker may have already.
type Piece struct {
	SHA256 string `json:"sha256" doc:"lower-case hex"`
	Data   []byte `json:"data,omitempty" doc:"left out where the question says that it is at hand"`
}

// Source answers questions by what a server judges by itself. Gatherer and Cache may be nil, all else is needed.
type Source struct {
	Lists    func() *trustlist.Snapshot
	Policy   func() *verify.Policy
	Pins     []byte // the file of the list of pins
	Gatherer verify.Gatherer
	Cache    *cache.Cache
	Now      func() time.Time
}

// ErrQuestion tells errors that are the asker's fault.
func ErrQuestion(err error) bool { return errors.Is(err, errQuestion) }

// Answer gathers evidence as for a document that was sent, and tells what the certificates are judged by. card may be nil.
func (s *Source) Answer(ctx context.Context, q *Question, card *poland.Card) (*Answer, error) {
	doc, err := q.Document()
	if err != nil {
		return nil, err
	}
	lists, policy := s.Lists(), s.Policy()
	var found evidence.Found
	if s.Gatherer != nil {
		b := budget.New(cache.Within(ctx, s.Cache), q.size())
		found = s.Gatherer.Gather(b, doc, evidence.Trust{Anchors: lists.Anchors(), Hosts: lists.Hosts()}, s.Now())
	}
	excerpt, err := json.Marshal(lists.About(s.named(q, found)))
	if err != nil {
		return nil, fmt.Errorf("trusted lists: %w", err)
	}
	rules, err := policy.Source()
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	a := &Answer{Time: s.Now().UTC(), Card: card, Policy: piece(rules, q.Have), Pins: piece(s.Pins, q.Have), Lists: piece(excerpt, q.Have),
		Certificates: orEmpty(found.Certificates), CRLs: []Piece{}, OCSPs: orEmpty(found.OCSPs)}
	for _, der := range found.CRLs {
		a.CRLs = append(a.CRLs, piece(der, q.Have))
	}
	for c, t := range found.Later {
		if a.Later == nil {
			a.Later = map[string]time.Time{}
		}
		a.Later[hex.EncodeToString(c[:])] = t
	}
	return a, nil
}

// named are the certificates of a question and of what was found, and who signed the OCSP responses among it.
func (s *Source) named(q *Question, found evidence.Found) (certificates []*certificate.Certificate, signers []trustlist.Signer) {
	for _, der := range slices.Concat(q.Octets, found.Certificates, found.OCSPs) {
		if c, err := s.Cache.Parse(der); err == nil {
			certificates = append(certificates, c)
			continue
		}
		r, err := revocation.ParseOCSP(der)
		if err != nil || r.Status != 0 {
			continue // a revocation list, or nothing that can be read
		}
		certificates = append(certificates, r.Certificates()...)
		signers = append(signers, trustlist.Signer{Name: r.ResponderName, Key: r.ResponderKey})
	}
	return certificates, signers
}

func orEmpty(list [][]byte) [][]byte {
	if list == nil {
		return [][]byte{}
	}
	return list
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func piece(data []byte, have []string) Piece {
	p := Piece{SHA256: digest(data), Data: data}
	if slices.Contains(have, p.SHA256) {
		p.Data = nil
	}
	return p
}

// maxKept bounds the pieces that are kept, in octets.
const maxKept = 64 << 20

// Pieces are those that an asker keeps from one question to the next. The zero value is empty.
type Pieces struct {
	kept map[string][]byte
	size int
}

// Have are the digests of what is kept, for Question.Have.
func (p *Pieces) Have() (list []string) {
	for sum := range p.kept {
		if len(list) == maxHave {
			break
		}
		list = append(list, sum)
	}
	return list
}

// Fill puts what is kept into an answer, and keeps what came with it. What is at hand neither way is an error, and so is data
// of another digest.
func (p *Pieces) Fill(a *Answer) error {
	for _, one := range a.pieces() {
		if one.Data == nil {
			one.Data = p.kept[one.SHA256]
		}
		if digest(one.Data) != one.SHA256 {
			return errors.New("a piece of the answer is missing, or not the one that it is said to be")
		}
	}
	if p.size > maxKept { // those in use come back with the next answers
		p.kept, p.size = nil, 0
	}
	for _, one := range a.pieces() {
		if p.kept[one.SHA256] == nil {
			p.keep(one)
		}
	}
	return nil
}

func (p *Pieces) keep(one *Piece) {
	if p.kept == nil {
		p.kept = map[string][]byte{}
	}
	p.kept[one.SHA256] = one.Data
	p.size += len(one.Data)
}

func (a *Answer) pieces() []*Piece {
	list := []*Piece{&a.Policy, &a.Pins, &a.Lists}
	for i := range a.CRLs {
		list = append(list, &a.CRLs[i])
	}
	return list
}

// Evidence is the answer as what a document is judged by, but for the pins.
func (a *Answer) Evidence() (*verify.Evidence, error) {
	var excerpt trustlist.Excerpt
	if err := json.Unmarshal(a.Lists.Data, &excerpt); err != nil {
		return nil, fmt.Errorf("trusted lists: %w", err)
	}
	lists, err := excerpt.Snapshot()
	if err != nil {
		return nil, err
	}
	ev := &verify.Evidence{Lists: lists, Certificates: a.Certificates, OCSPs: a.OCSPs}
	for i := range a.CRLs {
		ev.CRLs = append(ev.CRLs, a.CRLs[i].Data)
	}
	for text, t := range a.Later {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("%q is no SHA-256 of a certificate", text)
		}
		if ev.Later == nil {
			ev.Later = map[[sha256.Size]byte]time.Time{}
		}
		ev.Later[[sha256.Size]byte(sum)] = t
	}
	return ev, nil
}
