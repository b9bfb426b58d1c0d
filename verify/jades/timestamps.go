package jades

import (
	"crypto/sha256"
	"errors"
	"io"

	"trustcore/internal/jws"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

const maxTimestamps = 256 // tokens of one signature

// stamped is a token that was read, and where it stands in etsiU.
type stamped struct {
	at   int // -1 for the protected header
	fact *signature.Timestamp
}

// kinds are the unsigned time-stamp properties.
var kinds = map[string]signature.TimestampType{
	"sigTst":  signature.SignatureTimestamp,
	"arcTst":  signature.ArchiveTimestamp,
	"sigRTst": signature.SigAndRefs,
	"rfsTst":  signature.RefsOnlyTimestamp,
}

// readTimestamps reads every token and compares its imprint with what its kind covers.
func (s *signed) readTimestamps() {
	if v := s.jws.Protected.Member("adoTst"); v != nil {
		s.readContainer(v, signature.ContentTimestamp, -1)
	}
	for i, it := range s.unsigned {
		if kind, ok := kinds[it.name]; ok {
			s.readContainer(it.value, kind, i)
		}
	}
}

// readContainer reads a tstContainer (TS 119 182-1, 5.4.3.3).
func (s *signed) readContainer(v *jws.Value, kind signature.TimestampType, at int) {
	tokens := v.Member("tstTokens").Items()
	if len(tokens) == 0 {
		s.note("a time-stamp property holds no token that can be read")
	}
	for _, t := range tokens {
		if len(s.stamps) >= maxTimestamps {
			s.note("more than %d time-stamps", maxTimestamps)
			return
		}
		der, _ := s.decode("a time-stamp", t.Member("val"))
		token := timestamp.Open(s.budget, "", kind, der, s.facts.Certificates)
		token.ID = s.unique(token.ID)
		if type_ := t.Member("type"); type_ != nil && !tokenTypes[string(type_.Text())] {
			token.Structure = append(token.Structure, "a time-stamp of a kind that is not known")
		}
		s.compare(token, v, kind, at)
		s.facts.Timestamps = append(s.facts.Timestamps, token.Timestamp)
		s.stamps = append(s.stamps, stamped{at, token.Timestamp})
	}
}

// tokenTypes are the names of RFC 3161 tokens.
var tokenTypes = map[string]bool{"": true, "RFC3161": true, "http://uri.etsi.org/19182/RFC3161": true}

// compare assembles what the time-stamp is about, compares the imprint and notes what it proves.
func (s *signed) compare(token *timestamp.Token, container *jws.Value, kind signature.TimestampType, at int) {
	in := &imprint{signed: s, at: at, canonAlg: string(container.Member("canonAlg").Text())}
	in.part = container.Member("timeStamped") != nil && string(container.Member("timeStamped").Text()) != "all"
	token.Compare(func(w io.Writer) error {
		in.w = w
		return in.assemble(kind)
	})
	if note := token.Proves(in.covers, s.facts.Value); note != "" {
		s.note("%s", note)
	}
}

// imprint assembles the octets that one time-stamp covers.
type imprint struct {
	*signed
	w        io.Writer
	at       int // the element of etsiU that the token stands in
	canonAlg string
	part     bool // it covers a part of what archive time-stamps do, which is not computed here
	covers   [][32]byte
}

var (
	errNoData = errors.New("what the time-stamp covers is not there")
	errPart   = errors.New("the archive time-stamp covers a part: not supported")
	errForm   = errors.New("etsiU is not of one form, or clear without a canonicalization that is known")
)

func (in *imprint) assemble(kind signature.TimestampType) error {
	switch kind {
	case signature.ContentTimestamp:
		return in.data()
	case signature.SignatureTimestamp:
		return in.value()
	case signature.RefsOnlyTimestamp:
		return in.before(referring)
	case signature.SigAndRefs:
		if err := in.value(); err != nil {
			return err
		}
		if err := in.octets([]byte(".")); err != nil {
			return err
		}
		return in.before(signedAndReferring)
	}
	return in.archive()
}

func (in *imprint) octets(b []byte) error {
	_, err := in.w.Write(b)
	return err
}

// data writes what is signed (TS 119 182-1, 5.2.6 and 5.3.6.3.1, 1 and 2).
func (in *imprint) data() error {
	if !in.payload.found || in.payload.away || in.payload.unchecked != "" || len(in.payload.stamped) == 0 {
		return errNoData
	}
	return in.writePieces(in.w, in.payload.stamped)
}

// value writes the signature value as it stands there (5.3.4): from then on the signature is proved to have existed, and
// what is signed with it, where it verifies. Whoever has an old value could put any certificate beside it.
func (in *imprint) value() error {
	in.covers = append(in.covers, in.facts.Value)
	if in.facts.Signer != nil && in.facts.Intact && in.facts.Binding == signature.BindingMatches {
		in.covers = append(in.covers, sha256.Sum256(in.facts.Signer)) // named within what was signed
	}
	return in.octets(in.jws.Text)
}

// archive writes what arcTst covers (5.3.6.3.1): the data, the protected header, the value, each with a point after
// it, and the elements of etsiU before the time-stamp.
func (in *imprint) archive() error {
	if in.part {
		return errPart
	}
	if err := in.data(); err != nil {
		return err
	}
	header := append(append([]byte("."), in.jws.ProtectedText...), '.')
	if err := in.octets(header); err != nil {
		return err
	}
	if err := in.value(); err != nil {
		return err
	}
	if err := in.octets([]byte(".")); err != nil {
		return err
	}
	in.prove(in.chain...)
	return in.before(nil)
}

var (
	referring          = map[string]bool{"xRefs": true, "rRefs": true, "axRefs": true, "arRefs": true}
	signedAndReferring = map[string]bool{"sigTst": true, "xRefs": true, "rRefs": true, "axRefs": true, "arRefs": true}
)

// before writes the elements of etsiU before the time-stamp, those of some names where names are given.
func (in *imprint) before(names map[string]bool) error {
	some := names == nil
	for i, it := range in.unsigned[:in.at] {
		if names != nil && !names[it.name] {
			continue
		}
		some = some || referring[it.name]
		if err := in.element(i); err != nil {
			return err
		}
		in.prove(it.values.All()...)
		if referring[it.name] {
			in.referenced(it.value)
		}
		in.tokens(i)
	}
	if !some {
		return errNoData
	}
	return nil
}

// tokens notes the tokens in an element of etsiU, and what they carry.
func (in *imprint) tokens(at int) {
	if in.budget.Work(int64(perEntry*len(in.stamps))) != nil {
		return
	}
	for _, t := range in.stamps {
		if t.at == at {
			in.prove(t.fact.Token)
			in.prove(t.fact.Certificates...)
			in.prove(t.fact.CRLs...)
			in.prove(t.fact.OCSPs...)
		}
	}
}

// element writes an element of etsiU: its text, or its canonical form (5.3.6.3.1.1 and 5.3.6.3.1.2).
func (in *imprint) element(i int) error {
	it := &in.unsigned[i]
	switch {
	case !in.uniform, it.text == nil && in.canonAlg != jws.Canonicalization:
		return errForm
	case it.text != nil:
		return in.octets(it.text)
	}
	if it.canonical == nil {
		text, err := it.whole.Canonical(in.budget)
		if err != nil {
			return err
		}
		it.canonical = text
	}
	return in.octets(it.canonical)
}

// prove notes objects that the time-stamp proves to have existed.
func (in *imprint) prove(objects ...[]byte) {
	for _, der := range objects {
		if len(in.covers) > timestamp.MaxCovers || in.budget.Octets(perDigest+len(der)) != nil {
			return
		}
		in.covers = append(in.covers, sha256.Sum256(der))
	}
}

// referenced notes the objects at hand that the digests in a property of references name.
func (in *imprint) referenced(v *jws.Value) {
	if in.budget.Nodes(1) != nil {
		return
	}
	value, err := jws.DecodeBase64URL(v.Member("digVal").Text())
	if d := (certDigest{hash: hashByName(v.Member("digAlg")), value: value}); err == nil && d.hash.Valid() {
		for _, group := range [...][][]byte{in.facts.Certificates, in.facts.CRLs, in.facts.OCSPs} {
			for _, der := range group {
				if in.budget.Octets(perDigest+len(der)) != nil {
					return
				}
				if d.names(der) {
					in.prove(der)
				}
			}
		}
	}
	for _, item := range v.Items() {
		in.referenced(item)
	}
	for _, m := range v.Members() {
		in.referenced(m.Value)
	}
}
