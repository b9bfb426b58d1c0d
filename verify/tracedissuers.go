package verify

import (
	"trustcore/verify/certificate"
	"trustcore/verify/trace"
)

// The bounds of what is looked for a trace alone: certificates that are read, and signatures on them that are verified.
const maxCarriedIssuers, maxIssued = 1000, 100

// issuers completes what the trace says of certificates from which no path led on: anchors, and the signers of evidence.
// A signature that nobody needed to check is checked where the issuer is known, so that nobody takes it for a wrong one.
func (t *tracer) issuers() {
	s := issuerSearch{tracer: t, named: map[string][]*certificate.Certificate{}, seen: map[int]bool{}, left: maxIssued}
	for _, c := range t.entered {
		s.know(c)
	}
	for _, der := range t.carriers.certificates[:min(len(t.carriers.certificates), maxCarriedIssuers)] {
		if c, err := certificate.Parse(der); err == nil {
			s.know(c)
		}
	}
	for i := 0; i < len(t.entered); i++ { // issuers come behind
		s.find(i)
	}
}

// issuerSearch looks for issuers among the certificates of the trace, those of the document and the anchors.
type issuerSearch struct {
	*tracer
	named map[string][]*certificate.Certificate // by subject
	seen  map[int]bool                          // places in the trace
	left  int                                   // signatures that may still be verified
}

func (s *issuerSearch) know(c *certificate.Certificate) {
	name := c.Subject.Canonical()
	s.named[name] = append(s.named[name], c)
}

// find fills in who issued the i-th certificate. Its issuer's own comes first, so that the chain can be told whole.
func (s *issuerSearch) find(i int) {
	c, basic := s.entered[i], s.out.Certificates[i].Basic
	if s.seen[i] || basic.KeyBits != 0 {
		return
	}
	s.seen[i] = true
	for _, issuer := range s.named[c.Issuer.Canonical()] {
		if bits := s.by(c, issuer); bits != 0 {
			id := s.certificate(issuer)
			k := s.certificates[id]
			s.find(k)
			above := s.out.Certificates[k]
			chain := append([]trace.ChainItem{{Certificate: id, Source: above.Sources[0]}}, above.Chain...)
			s.issuedBy(i, bits, chain)
			return
		}
	}
	for _, issuer := range s.ev.Lists.Anchors().Certificates(c.Issuer) {
		if bits := s.by(c, issuer); bits != 0 {
			s.issuedBy(i, bits, nil)
			return
		}
	}
}

func (s *issuerSearch) issuedBy(i, bits int, chain []trace.ChainItem) {
	out := &s.out.Certificates[i]
	out.Basic.KeyBits, out.Basic.Intact, out.Basic.Valid, out.Chain = bits, true, true, chain
}

// by returns the size of the issuer's key where it made the signature on the certificate, else 0.
func (s *issuerSearch) by(c, issuer *certificate.Certificate) int {
	key, err := issuer.Key()
	if err != nil || s.left == 0 {
		return 0
	}
	if s.left--; !s.issued(c, issuer, key) {
		return 0
	}
	return key.Bits()
}
