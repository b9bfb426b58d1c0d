package pades

import (
	"bytes"
	"maps"
	"slices"

	"trustcore/internal/budget"
	"trustcore/internal/pdf"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
)

// evidence is what a security store holds at one revision: for all signatures, and for one by its VRI.
type evidence struct {
	certificates, crls, ocsps [][]byte
	vri                       signature.Values // what VRI dictionaries name of them, each once
	named                     map[*byte]bool   // what is in vri
	stamps                    []vriStamp
}

// vriStamp is the time-stamp token of the VRI dictionary with a key.
type vriStamp struct {
	key   string
	token []byte
}

// storeAt reads the security store as it was at the end of a revision, flattened: what it holds for one
// signature serves the others just as well.
func (r *reader) storeAt(revision int) evidence {
	e, known := r.stores[revision]
	if !known {
		if view, err := r.file.At(revision); err == nil {
			e.add(view.SecurityStore(), map[*byte]bool{})
		}
		r.stores[revision] = e
	}
	return e
}

// maxStores bounds the revisions whose stores are read, from the newest on.
const maxStores = 32

// everything is what any revision's store holds: some programs write a new store instead of a larger one, and what
// they left out is evidence still.
func (r *reader) everything() evidence {
	if r.all != nil {
		return *r.all
	}
	r.all = &evidence{}
	seen := map[*byte]bool{}
	newest := len(r.file.Revisions()) - 1
	for i := newest; i >= max(0, newest-maxStores); i-- {
		if view, err := r.file.At(i); err == nil {
			r.all.add(view.SecurityStore(), seen)
		}
	}
	return *r.all
}

// add takes the objects of a store, each once: VRI names them again, and later stores do.
func (e *evidence) add(s *pdf.SecurityStore, seen map[*byte]bool) {
	if s == nil {
		return
	}
	if e.named == nil {
		e.named, e.vri.Origin = map[*byte]bool{}, signature.VRIDictionary
	}
	add := func(to *[][]byte, from [][]byte, seen map[*byte]bool) {
		for _, b := range from {
			if !seen[&b[0]] {
				seen[&b[0]] = true
				*to = append(*to, b)
			}
		}
	}
	add(&e.certificates, s.Certificates, seen)
	add(&e.crls, s.CRLs, seen)
	add(&e.ocsps, s.OCSPs, seen)
	for _, key := range slices.Sorted(maps.Keys(s.VRI)) {
		v := s.VRI[key]
		add(&e.certificates, v.Certificates, seen)
		add(&e.crls, v.CRLs, seen)
		add(&e.ocsps, v.OCSPs, seen)
		add(&e.vri.Certificates, v.Certificates, e.named)
		add(&e.vri.CRLs, v.CRLs, e.named)
		add(&e.vri.OCSPs, v.OCSPs, e.named)
		if len(v.Timestamp) > 0 && !seen[&v.Timestamp[0]] {
			seen[&v.Timestamp[0]] = true
			e.stamps = append(e.stamps, vriStamp{key, v.Timestamp})
		}
	}
}

// give hands the evidence to a signature.
func (e evidence) give(b *budget.Budget, s *signature.Signature) {
	const slice = 24 // octets that one takes
	if b.Hold(2*slice*(len(e.certificates)+len(e.crls)+len(e.ocsps))) != nil {
		return
	}
	s.Carry(signature.Values{Origin: signature.DSSDictionary, Certificates: e.certificates, CRLs: e.crls, OCSPs: e.ocsps})
	s.Carried = append(s.Carried, e.vri)
}

// about tells whether there is revocation data that seems to be about a certificate: a list of its
// issuer, or an OCSP response that names its serial number. It decides the level's name, no more.
func (e evidence) about(b *budget.Budget, signer []byte) bool {
	cert, err := cache.Certificate(b, signer)
	if err != nil {
		return false
	}
	const head = 2048 // issuer and serial number stand at the beginning
	if b.Octets(head*(len(e.crls)+len(e.ocsps))) != nil {
		return false
	}
	for _, crl := range e.crls {
		if bytes.Contains(crl[:min(len(crl), head)], cert.RawIssuer) {
			return true
		}
	}
	serial := append([]byte{2, byte(len(cert.Serial))}, cert.Serial...)
	for _, ocsp := range e.ocsps {
		if bytes.Contains(ocsp[:min(len(ocsp), head)], serial) {
			return true
		}
	}
	return false
}
