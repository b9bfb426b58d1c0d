package jades

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"trustcore/internal/budget"
	"trustcore/internal/jws"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// The mechanisms of sigD (TS 119 182-1, 5.2.8).
const (
	mechanisms     = "http://uri.etsi.org/19182/"
	byHTTPHeaders  = mechanisms + "HttpHeaders"
	byObjectID     = mechanisms + "ObjectIdByURI"
	byObjectIDHash = mechanisms + "ObjectIdByURIHash"
)

const maxDataObjects = 1024 // that one signature refers to

// payload is what the signature covers.
type payload struct {
	signed    []piece // as the signing input has them, one after the other
	stamped   []piece // as time-stamps on the data have them
	found     bool    // all that the signing input needs is there
	away      bool    // some of what time-stamps on the data cover is not at hand, or its digest alone
	movable   bool    // where one of the files ends is not signed
	foreign   bool    // it is not the value that the counter-signature stands in
	unchecked string  // why there is nothing to hold against the value though the data may be there, or ""
	// input are the references of which the value itself speaks, digested those that a digest in the header speaks of.
	input, digested []signature.Reference
}

// piece are octets of which base64url is signed, or themselves.
type piece struct {
	octets []byte
	encode bool
}

// writePieces writes them one after the other.
func (s *signed) writePieces(w io.Writer, pieces []piece) error {
	for _, p := range pieces {
		if err := writePiece(s.budget, w, p); err != nil {
			return err
		}
	}
	return s.budget.Err()
}

func writePiece(b *budget.Budget, w io.Writer, p piece) error {
	if !p.encode {
		return b.Write(w, p.octets)
	}
	encoder := base64.NewEncoder(base64.RawURLEncoding, w)
	if err := b.Write(encoder, p.octets); err != nil {
		return err
	}
	return encoder.Close()
}

// readPayload finds out what the signature covers.
func (s *signed) readPayload(d *jws.Document) {
	sigD := s.jws.Protected.Member("sigD")
	switch {
	case s.parent != nil:
		s.readCountersigned(d.Payload)
	case sigD != nil && d.Payload != nil:
		s.structure("sigD, and a payload (TS 119 182-1, 5.2.8)")
	case sigD != nil:
		s.readSigD(sigD)
	case d.Payload != nil:
		s.readAttached(d.Payload)
	default:
		s.readDetached()
	}
}

// one makes the payload of one datum.
func (s *signed) one(ref signature.Reference, p piece) {
	s.payload.found, s.payload.signed, s.payload.stamped = true, []piece{p}, []piece{p}
	ref.Found, ref.Empty, ref.Full = true, len(p.octets) == 0, true
	s.payload.input = append(s.payload.input, ref)
}

func (s *signed) readAttached(text []byte) {
	if !s.jws.Unencoded() && s.budget.Octets(len(text)) == nil {
		if err := jws.CheckBase64URL(text); err != nil {
			s.structure("the payload: %v", err)
		}
	}
	s.one(signature.Reference{Name: "payload", Type: "data", Scope: "the whole payload"}, piece{octets: text})
}

// readCountersigned takes the value of the signature above, which is the payload (TS 119 182-1, 5.3.2). Where another
// payload stands there the value may be right, and countersigns something else.
func (s *signed) readCountersigned(text []byte) {
	p := piece{octets: s.parent.jws.Value, encode: !s.jws.Unencoded()}
	if text != nil && (string(text) != string(s.parent.jws.Text) || !p.encode) {
		p, s.payload.foreign = piece{octets: text}, true
	}
	if s.jws.Protected.Member("sigD") != nil {
		s.structure("a counter-signature with sigD (TS 119 182-1, 5.3.2)")
	}
	scope := "the value of the signature " + s.parent.facts.ID
	s.one(signature.Reference{Name: "signature value", Type: "counter-signature", Scope: scope}, p)
}

// readDetached takes the only file at hand as the payload (RFC 7515, appendix F).
func (s *signed) readDetached() {
	ref := signature.Reference{Name: "payload", Type: "data"}
	if len(s.files) != 1 {
		ref.Scope = "the payload, which was not given"
		s.payload.input = append(s.payload.input, ref)
		return
	}
	f := &s.files[0]
	ref.Name, ref.Scope = f.Name, fmt.Sprintf("the whole file %q", f.Name)
	s.one(ref, piece{f.Content, !s.jws.Unencoded()})
	s.needsContent(f)
}

// needsContent: the header and the data are digested together, so a digest of the data does not do.
func (s *signed) needsContent(f *signature.Detached) {
	if f.Content == nil && f.Digests != nil {
		s.payload.unchecked = "the signature needs the file itself: a digest of it is not what it signs"
	}
}

// readSigD reads what a detached signature refers to.
func (s *signed) readSigD(sigD *jws.Value) {
	names, ok := textsOf(sigD.Member("pars"))
	if !ok || len(names) == 0 || len(names) > maxDataObjects {
		s.structure("sigD without a list of 1 to %d names (TS 119 182-1, 5.2.8)", maxDataObjects)
		return
	}
	switch mechanism := string(sigD.Member("mId").Text()); mechanism {
	case byHTTPHeaders:
		s.readHTTPHeaders(names)
	case byObjectID:
		s.readObjects(names)
	case byObjectIDHash:
		s.readHashes(sigD, names)
	default:
		s.structure("sigD with an unknown mechanism: nobody knows what is signed (TS 119 182-1, 5.2.8.1)")
	}
}

// textsOf reads an array of strings.
func textsOf(v *jws.Value) ([]string, bool) {
	var out []string
	for _, item := range v.Items() {
		if !item.Is(jws.String) {
			return nil, false
		}
		out = append(out, string(item.Text()))
	}
	return out, v.Is(jws.Array)
}

// readObjects joins the data objects to the payload (TS 119 182-1, 5.2.8.3).
func (s *signed) readObjects(names []string) {
	s.payload.found = true
	for i, name := range names {
		ref := s.object(name)
		if f := s.file(name, len(names)); f != nil {
			ref.Found, ref.Full, ref.Empty = true, true, len(f.Content) == 0
			p := piece{f.Content, !s.jws.Unencoded()}
			s.payload.signed = append(s.payload.signed, p)
			s.needsContent(f)
			if i+1 < len(names) && p.movable() {
				s.payload.movable = true
				s.stray("where the file %q ends and the next one begins (TS 119 182-1, 5.2.8.3)", name)
			}
		}
		s.payload.found = s.payload.found && ref.Found
		s.payload.input = append(s.payload.input, ref)
	}
	s.payload.stamped = s.payload.signed
	for i := range s.payload.input {
		s.payload.input[i].Full = s.payload.input[i].Full && !s.payload.movable
	}
}

// movable tells whether octets can go over from this piece to the one behind it, or back, and nothing else changes. An
// encoding that does not end with a whole group of three octets shows its end: cut elsewhere, what follows is rubble.
func (p piece) movable() bool { return !p.encode || len(p.octets)%3 == 0 }

// object is the reference to a data object, not found yet.
func (s *signed) object(name string) signature.Reference {
	ref := signature.Reference{Name: name, Type: "data", Scope: fmt.Sprintf("the whole file %q", name)}
	switch f := s.file(name, len(s.jws.Protected.Member("sigD").Member("pars").Items())); {
	case f == nil:
		ref.Scope = fmt.Sprintf("the file %q, which was not given", name)
	case f.DigestOnly():
		ref.Scope += signature.DigestAlone
	}
	return ref
}

// readHashes compares the digests of the data objects, which the protected header holds; the payload itself is empty
// (TS 119 182-1, 5.2.8.4).
func (s *signed) readHashes(sigD *jws.Value, names []string) {
	h := hashByName(sigD.Member("hashM"))
	values, ok := textsOf(sigD.Member("hashV"))
	if !ok || len(values) != len(names) || !sigD.Member("hashM").Is(jws.String) {
		s.structure("sigD has not one digest for each name (TS 119 182-1, 5.2.8.4)")
		return
	}
	s.payload.found = true
	s.payload.input = append(s.payload.input, signature.Reference{
		Name: "sigD", Type: "signed-properties", Found: true, Full: true, Empty: true, Scope: "the protected header",
	})
	if h.Valid() {
		s.facts.Algorithms = append(s.facts.Algorithms, signature.AlgorithmUse{Purpose: "reference", Algorithm: h.Name()})
	}
	for i, name := range names {
		ref := s.object(name)
		f := s.file(name, len(names))
		if s.payload.away = s.payload.away || f == nil || f.DigestOnly(); f != nil {
			s.compareFile(&ref, f, h, values[i])
			s.payload.stamped = append(s.payload.stamped, piece{f.Content, !s.jws.Unencoded()})
		}
		s.payload.digested = append(s.payload.digested, ref)
	}
}

// compareFile compares a digest of a file, or of its base64url encoding where b64 is not false.
func (s *signed) compareFile(ref *signature.Reference, f *signature.Detached, h algorithm.Hash, value string) {
	ref.Found, ref.Full, ref.Empty = true, true, f.Digests == nil && len(f.Content) == 0
	want, err := jws.DecodeBase64URL([]byte(value))
	ref.Digest = signature.Digest{Value: want}
	if h.Valid() {
		ref.Digest.Algorithm = h.Name()
	}
	switch {
	case err != nil:
		s.structure("a digest in sigD: %v", err)
	case !h.Valid():
		ref.Unchecked = "the digest algorithm in sigD is not known"
	case f.Content != nil || f.Digests == nil:
		state := h.New()
		if writePiece(s.budget, state, piece{f.Content, !s.jws.Unencoded()}) == nil {
			ref.Intact = string(state.Sum(nil)) == string(want)
		}
	case !s.jws.Unencoded():
		ref.Unchecked = "sigD holds the digest of the file's base64url encoding: the file itself is needed"
	case f.Digests[h.Name()] == nil:
		ref.Unchecked = "the digest of the file was not given with " + h.Name()
	default:
		ref.Intact = string(f.Digests[h.Name()]) == string(want)
	}
}

// file finds the file that a name of sigD means: by name, by base name, or the only file where there is but one name. A
// name that two files have means neither: the report could be read as one about the other.
func (s *signed) file(name string, names int) *signature.Detached {
	spellings := []string{name}
	if decoded, err := url.PathUnescape(name); err == nil && decoded != name {
		spellings = append(spellings, decoded)
	}
	for _, base := range [...]bool{false, true} {
		for _, spelling := range spellings {
			if found := s.called(strings.TrimPrefix(spelling, "./"), base); len(found) > 0 {
				return alone(found)
			}
		}
	}
	if names == 1 {
		return alone(s.all())
	}
	return nil
}

// called are the files of a name, or of its last part.
func (s *signed) called(name string, base bool) []*signature.Detached {
	return slices.DeleteFunc(s.all(), func(f *signature.Detached) bool {
		return f.Name != name && (!base || path.Base(f.Name) != path.Base(name))
	})
}

func (s *signed) all() []*signature.Detached {
	list := make([]*signature.Detached, len(s.files))
	for i := range s.files {
		list[i] = &s.files[i]
	}
	return list
}

func alone(list []*signature.Detached) *signature.Detached {
	if len(list) != 1 {
		return nil
	}
	return list[0]
}

// references tells of everything that the signature covers. What stands in the signing input is intact where the value
// verifies.
func (s *signed) references() {
	for _, ref := range s.payload.input {
		if len(s.facts.Strays) > 0 && ref.Full && ref.Name == "payload" {
			ref.Full, ref.Scope = false, "the payload, and not what stands beside it unsigned"
		}
		if ref.Found {
			ref.Digest = s.facts.DataToBeSigned
			ref.Intact, ref.Unchecked = s.facts.Intact && !s.payload.foreign, s.payload.unchecked
			if s.facts.Unsupported != "" {
				ref.Unchecked = s.facts.Unsupported
			}
		}
		s.facts.References = append(s.facts.References, ref)
	}
	s.facts.References = append(s.facts.References, s.payload.digested...)
}
