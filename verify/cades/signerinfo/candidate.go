package signerinfo

import (
	"bytes"
	"crypto/sha1"
	"slices"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

// maxNamed bounds the certificates of one pool whose key is tried: copies of one certificate and
// cross-signed twins occur, more is a flood.
const maxNamed = 8

// Pool is a heap of certificates to find signers in. It remembers what it was asked, so that many
// signers in one file do not cost a walk each. Not safe for concurrent use.
type Pool struct {
	budget       *budget.Budget
	certificates [][]byte
	octets       int                                   // of all certificates
	parsed       map[string][]*certificate.Certificate // all that can be parsed by what identifies them, once that was needed
	asked        map[string][]*certificate.Certificate
	named        map[string]*certificate.Certificate  // by digest algorithm and digest, nil where there is none
	digests      map[algorithm.Hash]map[string][]byte // certificates by digest, once one was asked for
}

// What work on certificates costs, in units of the budget: parsing one beside its octets, an octet of it, and the
// digest of a key that a certificate without subjectKeyIdentifier asks for.
const (
	parseWork      = 20_000
	parseOctetWork = 20
	keyDigestWork  = 2_000
	compareWork    = 200 // an identifier with a certificate, which is seldom near in memory
)

// NewPool takes DER certificates in any order, with repeats and strangers. What is done with them is spent of the
// budget; once that is over nothing is found.
func NewPool(b *budget.Budget, certificates [][]byte) *Pool {
	p := &Pool{budget: b, certificates: certificates}
	for _, der := range certificates {
		p.octets += len(der)
	}
	return p
}

// identified returns the certificates that the signer identifier names.
func (p *Pool) identified(si *cms.SignerInfo) []*certificate.Certificate {
	key := string(si.RawIdentifier)
	if list, ok := p.asked[key]; ok {
		return list
	}
	name := identifier{SignerInfo: si}
	var list []*certificate.Certificate
	if p.parsed == nil {
		list = p.matching(&name, p.likely(si))
	}
	if len(list) == 0 {
		list = p.matching(&name, p.all()[name.key()])
	}
	if p.asked == nil {
		p.asked = make(map[string][]*certificate.Certificate)
	}
	p.asked[key] = list
	return list
}

// withDigest returns the certificate with this digest, or nil.
func (p *Pool) withDigest(h algorithm.Hash, digest []byte) *certificate.Certificate {
	key := h.Name() + string(digest)
	if cert, ok := p.named[key]; ok {
		return cert
	}
	var cert *certificate.Certificate
	if der := p.encoded(h, digest); der != nil {
		if list := p.parse([][]byte{der}); len(list) > 0 {
			cert = list[0]
		}
	}
	if p.named == nil {
		p.named = make(map[string]*certificate.Certificate)
	}
	p.named[key] = cert
	return cert
}

func (p *Pool) encoded(h algorithm.Hash, digest []byte) []byte {
	known := p.digests[h]
	if known == nil {
		if p.budget.Octets(p.octets) != nil {
			return nil
		}
		known = make(map[string][]byte, len(p.certificates))
		for _, der := range p.certificates {
			known[string(h.Sum(der))] = der
		}
		if p.digests == nil {
			p.digests = make(map[algorithm.Hash]map[string][]byte, 1)
		}
		p.digests[h] = known
	}
	return known[string(digest)]
}

// likely narrows the certificates to those that hold the identifier's octets somewhere, which saves
// parsing the others.
func (p *Pool) likely(si *cms.SignerInfo) []*certificate.Certificate {
	if p.budget.Octets(p.octets) != nil {
		return nil
	}
	wanted := si.Issuer
	if wanted == nil {
		wanted = si.SubjectKeyID
	}
	var list [][]byte
	for _, der := range p.certificates {
		// Few hold the number, all of one issuer hold the name.
		if len(list) < maxNamed && (si.Serial == nil || bytes.Contains(der, si.Serial)) && bytes.Contains(der, wanted) {
			list = append(list, der)
		}
	}
	return p.parse(list)
}

// all parses every certificate, once, and lists them by serial number and by key identifier.
func (p *Pool) all() map[string][]*certificate.Certificate {
	if p.parsed != nil {
		return p.parsed
	}
	p.parsed = make(map[string][]*certificate.Certificate)
	for _, cert := range p.parse(p.certificates) {
		for _, key := range []string{serialKey(cert.Serial), keyKey(p.keyIdentifier(cert))} {
			p.parsed[key] = append(p.parsed[key], cert)
		}
	}
	return p.parsed
}

// keyIdentifier is the subjectKeyIdentifier, or what RFC 5280, 4.2.1.2 (1) makes it without one; nil when the key
// cannot be read.
func (p *Pool) keyIdentifier(cert *certificate.Certificate) []byte {
	if cert.SKI != nil || p.budget.Work(keyDigestWork) != nil {
		return cert.SKI
	}
	key, err := cert.Key()
	if err != nil {
		return nil
	}
	sum := sha1.Sum(key.BitString())
	return sum[:]
}

// The keys of the list: what identifies a certificate, told apart by its kind.
func serialKey(serial []byte) string  { return "n" + string(trimInteger(serial)) }
func keyKey(identifier []byte) string { return "k" + string(identifier) }

func (p *Pool) parse(list [][]byte) []*certificate.Certificate {
	parsed := make([]*certificate.Certificate, 0, len(list))
	for _, der := range list {
		if p.budget.Work(parseWork+parseOctetWork*int64(len(der))) != nil || p.budget.Hold(heldACertificate+len(der)) != nil {
			break
		}
		if cert, err := cache.Certificate(p.budget, der); err == nil {
			parsed = append(parsed, cert)
		}
	}
	return parsed
}

// heldACertificate is what a parsed certificate keeps in memory beside its octets.
const heldACertificate = 4 << 10

func (p *Pool) matching(name *identifier, candidates []*certificate.Certificate) []*certificate.Certificate {
	var list []*certificate.Certificate
	for _, cert := range candidates {
		if len(list) == maxNamed || p.budget.Work(compareWork+budget.Octet*int64(len(name.Issuer))) != nil {
			break
		}
		if name.names(cert, p.keyIdentifier) && !slices.ContainsFunc(list, func(c *certificate.Certificate) bool {
			return c.Fingerprint == cert.Fingerprint
		}) {
			list = append(list, cert)
		}
	}
	return list
}

// named returns the certificates of a pool that the signer identifier names, those that the
// signing-certificate attribute names too first; without any, those that the attribute alone names.
func (c *checker) named(p *Pool) []*certificate.Certificate {
	list := p.identified(c.SignerInfo)
	if len(list) == 0 {
		return c.byReference(p)
	}
	for i, cert := range list {
		if i > 0 && c.bind(cert) == signature.BindingMatches {
			list = append([]*certificate.Certificate{cert}, list...)
			break
		}
	}
	return list
}

// identifier is a SignerIdentifier, whose name is parsed once it is needed.
type identifier struct {
	*cms.SignerInfo
	parsed bool
	issuer *certificate.Name // nil when it can't be parsed
}

// key is what the certificates that it may name are listed by.
func (i *identifier) key() string {
	if i.SubjectKeyID != nil {
		return keyKey(i.SubjectKeyID)
	}
	return serialKey(i.Serial)
}

// names tells whether the SignerIdentifier names the certificate. Names that differ in their
// encoding alone are the same (RFC 5280, 7.1).
func (i *identifier) names(cert *certificate.Certificate, keyIdentifier func(*certificate.Certificate) []byte) bool {
	if i.SubjectKeyID != nil {
		return bytes.Equal(keyIdentifier(cert), i.SubjectKeyID)
	}
	if !bytes.Equal(trimInteger(i.Serial), trimInteger(cert.Serial)) {
		return false
	}
	if bytes.Equal(i.Issuer, cert.RawIssuer) {
		return true
	}
	if !i.parsed {
		i.parsed = true
		if name, err := certificate.ParseName(i.Issuer); err == nil {
			i.issuer = &name
		}
	}
	return i.issuer != nil && i.issuer.Equal(cert.Issuer)
}

// trimInteger takes padding off the contents octets of an INTEGER.
func trimInteger(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// byReference finds the certificate by the digest in the signing-certificate attribute, for signers
// whose identifier names nothing that is there.
func (c *checker) byReference(p *Pool) []*certificate.Certificate {
	for _, refs := range [][]cms.CertificateRef{c.v2, c.v1} {
		if len(refs) == 0 {
			continue
		}
		h, err := algorithm.HashByIdentifier(refs[0].HashAlgorithm)
		if err != nil {
			continue
		}
		if cert := p.withDigest(h, refs[0].Hash); cert != nil {
			c.note("the signer identifier names no certificate that is there; found by the signing-certificate attribute")
			return []*certificate.Certificate{cert}
		}
	}
	return nil
}

// bind compares the signing-certificate attributes with the certificate: each attribute's first
// reference must be the certificate's digest (EN 319 102-1, 5.2.3.4.2.4).
func (c *checker) bind(cert *certificate.Certificate) signature.Binding {
	if c.SignerInfo.Signed(cms.OIDSigningCertificateV2) == nil && c.SignerInfo.Signed(cms.OIDSigningCertificate) == nil {
		return signature.BindingAbsent
	}
	outcome := signature.BindingMismatch
	for _, refs := range [][]cms.CertificateRef{c.v2, c.v1} {
		if len(refs) == 0 {
			continue
		}
		h, err := algorithm.HashByIdentifier(refs[0].HashAlgorithm)
		if c.Budget.Octets(len(cert.Raw)) != nil {
			return signature.BindingMismatch
		}
		if err != nil || !cert.HasDigest(h, refs[0].Hash) {
			return signature.BindingMismatch
		}
		outcome = signature.BindingMatches
	}
	return outcome
}
