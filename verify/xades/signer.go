package xades

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

const (
	maxCandidates  = 64 // certificates whose key is tried on the signature value
	maxCertDigests = 64 // entries of SigningCertificate
	maxBareKeys    = 8  // keys in ds:KeyInfo without a certificate
)

// certDigest is one entry of xades:SigningCertificate or SigningCertificateV2.
type certDigest struct {
	hash   algorithm.Hash
	value  []byte
	issuer []byte // IssuerSerial, DER; nil where there is none
}

func (c certDigest) of(octets []byte) bool {
	return c.hash.Valid() && bytes.Equal(c.hash.Sum(octets), c.value)
}

// digestNames tells whether a digest is that of an object that the document carries.
func (r *reader) digestNames(c certDigest, der []byte) bool {
	if c.hash == algorithm.SHA256 {
		sum := r.sum(der)
		return bytes.Equal(sum[:], c.value)
	}
	return c.of(der)
}

// findSigner finds the certificate whose key verifies the signature value, and what binds it. Without any certificate a
// bare key may tell that the value is intact: whose it is, nobody says.
func (s *signed) findSigner() {
	digests := s.signingCertificates()
	candidates := s.candidates(digests)
	scheme, err := scheme(s.xml.Method)
	if s.xml.FormError != nil {
		err = s.xml.FormError
	}
	if err != nil {
		s.note("%v", err)
		s.facts.Unsupported = err.Error()
	}
	s.scheme = scheme
	if err == nil {
		s.verify(candidates)
	}
	if err == nil && !s.facts.Intact && len(candidates) > 0 && s.keyOf(candidates[0]) == nil {
		s.facts.Unsupported = "the key of the signer's certificate is of no known kind"
	}
	if s.facts.Signer == nil && len(candidates) > 0 {
		s.facts.Signer = candidates[0]
	}
	if c := s.certificate(s.facts.Signer); c != nil {
		s.notAfter = c.NotAfter
	}
	s.useOfSignature()
	s.bind(digests)
	s.compareNames()
	s.compareKeys()
}

// certificate reads one that the document carries, nil where it can't be read.
func (r *reader) certificate(der []byte) *certificate.Certificate {
	c, ok := r.certificates[extentOf(der)]
	if !ok {
		if parsed, err := cache.Certificate(r.budget, der); err == nil {
			c = parsed
		}
		r.certificates[extentOf(der)] = c
	}
	return c
}

// keyOf is the public key of a certificate, nil where it or its key can't be read.
func (r *reader) keyOf(der []byte) *algorithm.PublicKey {
	c := r.certificate(der)
	if c == nil {
		return nil
	}
	key, err := c.Key()
	if err != nil {
		return nil
	}
	return key
}

// compareNames notes names in the key information that no certificate beside them has. Whoever wrote them, they are
// hints (XML Signature 1.1, 4.5), shown nowhere: the signer is who the certificate says.
func (s *signed) compareNames() {
	if s.xml.KeyInfo == nil || s.facts.Signer == nil {
		return
	}
	if !s.named(s.xml.KeyInfo.Names, [][]byte{s.facts.Signer}) {
		s.note("ds:KeyName gives another name than the signer's certificate; it is not shown")
	}
	for _, x := range s.xml.KeyInfo.X509 {
		if !s.named(x.SubjectNames, append([][]byte{s.facts.Signer}, x.Certificates...)) {
			s.note("ds:X509SubjectName gives another name than the certificates; it is not shown")
		}
	}
}

// compareKeys notes a bare key that is not the signer's: all that ds:KeyInfo holds should be about one key (XML Signature
// 1.1, 4.5).
func (s *signed) compareKeys() {
	key := s.keyOf(s.facts.Signer)
	if key == nil || s.xml.KeyInfo == nil {
		return
	}
	for _, bare := range s.xml.KeyInfo.Keys[:min(len(s.xml.KeyInfo.Keys), maxBareKeys)] {
		if s.budget.Work(int64(perCertificate)) != nil {
			return
		}
		if other, err := algorithm.ParsePublicKey(bare.SPKI); err == nil && !other.Equal(key) {
			s.note("ds:KeyInfo holds another key than that of the signer's certificate; it is not used")
		}
	}
}

// named tells whether each of the names holds the common name of one of the certificates.
func (s *signed) named(names []string, certificates [][]byte) bool {
	if len(names) == 0 {
		return true
	}
	var common []string
	for _, der := range certificates[:min(len(certificates), maxCandidates)] {
		if s.budget.Work(int64(perCertificate)) != nil {
			return true
		}
		if c := s.certificate(der); c != nil {
			common = append(common, strings.ToLower(c.Subject.CommonName()))
		}
	}
	unescape := strings.NewReplacer(`\`, "", `"`, "")
	for _, name := range names {
		name = unescape.Replace(strings.ToLower(name))
		if !slices.ContainsFunc(common, func(cn string) bool { return cn != "" && strings.Contains(name, unescape.Replace(cn)) }) {
			return false
		}
	}
	return true
}

// signingCertificates reads the digests of the signing-certificate property; names and serial numbers beside
// them are not looked at.
func (s *signed) signingCertificates() []certDigest {
	var out []certDigest
	for _, local := range [...]string{"SigningCertificate", "SigningCertificateV2"} {
		for _, cert := range s.props.child(local).All(s.props.space, "Cert") {
			digest := cert.Child(s.props.space, "CertDigest")
			space := xmldsig.NamespaceDSig
			if digest.Child(space, "DigestMethod").IsZero() {
				space = s.props.space // XAdES 1.1.1 has elements of its own
			}
			uri, _ := digest.Child(space, "DigestMethod").Attr("", "Algorithm")
			value, err := digest.Child(space, "DigestValue").Bytes()
			h, herr := algorithm.HashByURI(uri)
			if err != nil || herr != nil {
				s.note("%s: the digest %q cannot be used", local, uri)
			}
			if len(out) == maxCertDigests {
				s.note("%s: more than %d certificates", local, maxCertDigests)
				return out
			}
			issuer, _ := cert.Child(s.props.space, "IssuerSerialV2").Bytes()
			out = append(out, certDigest{h, value, issuer})
			if h.Valid() {
				s.facts.Algorithms = append(s.facts.Algorithms, signature.AlgorithmUse{Purpose: "signing-certificate", Algorithm: h.Name()})
			}
		}
	}
	return out
}

// candidates are the certificates at hand, those first that the property names, in its order, then those that
// dsig11:X509Digest names, each once.
func (s *signed) candidates(digests []certDigest) [][]byte {
	all := s.facts.Certificates
	digests = append(slices.Clone(digests), s.keyInfoDigests()...)
	var out [][]byte
	add := func(der []byte) {
		for _, o := range out {
			if bytes.Equal(o, der) {
				return
			}
		}
		if len(out) < maxCandidates {
			out = append(out, der)
		}
	}
	for _, d := range digests {
		for _, der := range all {
			if s.budget.Octets(perDigest+len(der)) != nil {
				return out
			}
			if s.digestNames(d, der) {
				add(der)
			}
		}
	}
	for _, der := range all {
		add(der)
	}
	return out
}

// keyInfoDigests reads dsig11:X509Digest: hints, which bind nothing.
func (s *signed) keyInfoDigests() []certDigest {
	if s.xml.KeyInfo == nil {
		return nil
	}
	var out []certDigest
	for _, x := range slices.Concat(s.xml.KeyInfo.X509, s.xml.KeyInfo.Retrieved) {
		for _, d := range x.Digests[:min(len(x.Digests), maxCertDigests)] {
			if h, err := algorithm.HashByURI(d.Method); err == nil && len(out) < maxCertDigests {
				out = append(out, certDigest{hash: h, value: d.Value})
			}
		}
	}
	return out
}

func scheme(m xmldsig.SignatureMethod) (algorithm.Scheme, error) {
	pss, err := pssParameters(m.PSS)
	if err != nil {
		return algorithm.Scheme{}, err
	}
	s, err := algorithm.FromXML(m.URI, pss)
	if err != nil || m.Context == nil {
		return s, err
	}
	return s.WithContext(m.Context)
}

// pssParameters are the parameters of RSA-PSS as the registry has them, nil where a method has none.
func pssParameters(p *xmldsig.PSSParams) (*algorithm.PSSParameters, error) {
	switch {
	case p == nil:
		return nil, nil
	case p.MGFURI != "" && p.MGFURI != xmldsig.MGF1:
		return nil, fmt.Errorf("%w: mask generation function %q", algorithm.ErrUnsupported, p.MGFURI)
	case p.Trailer != 1: // RFC 8017 A.2.3 has no other
		return nil, fmt.Errorf("%w: RSASSA-PSS trailer %d", algorithm.ErrUnsupported, p.Trailer)
	}
	h, err := hashOr(p.DigestURI, algorithm.SHA256)
	if err != nil {
		return nil, err
	}
	mgf, err := hashOr(p.MGFDigestURI, h)
	if err != nil {
		return nil, err
	}
	salt := p.SaltLength
	if salt < 0 {
		salt = h.Size()
	}
	return &algorithm.PSSParameters{Hash: h, MGFHash: mgf, Salt: salt}, nil
}

func hashOr(uri string, fallback algorithm.Hash) (algorithm.Hash, error) {
	if uri == "" {
		return fallback, nil
	}
	return algorithm.HashByURI(uri)
}

// verify tries the keys of the candidates on the signature value, or, where there are none, the bare ones. A bare key
// beside certificates is not tried: who put it there may have put another's certificate there too.
func (s *signed) verify(candidates [][]byte) {
	info, err := s.xml.CanonicalSignedInfo()
	if err != nil {
		s.structure("SignedInfo: %v", err)
		return
	}
	v := &value{signed: s, info: info}
	if s.scheme.SignsDigest() {
		v.digest = s.scheme.Hash().Sum(info)
		s.facts.DataToBeSigned = signature.Digest{Algorithm: s.scheme.Hash().Name(), Value: v.digest}
	}
	for _, der := range candidates {
		if s.budget.Work(int64(perCertificate)) != nil {
			return
		}
		if key := s.keyOf(der); key != nil && v.by(key) {
			s.facts.Signer = der
			return
		}
	}
	if len(candidates) > 0 || s.xml.KeyInfo == nil {
		return
	}
	for _, bare := range s.xml.KeyInfo.Keys[:min(len(s.xml.KeyInfo.Keys), maxBareKeys)] {
		if s.budget.Work(int64(perCertificate)) != nil {
			return
		}
		if key, err := algorithm.ParsePublicKey(bare.SPKI); err == nil && v.by(key) {
			s.bareKey = key
			s.note("the signature value verifies with a key in ds:KeyInfo that no certificate goes with")
			return
		}
	}
}

// value is a signature value that is to be verified.
type value struct {
	*signed
	info   []byte // canonical SignedInfo
	digest []byte // of it, where that is what is signed
}

// by tells whether the key verifies the value, and notes that it is intact.
func (v *value) by(key *algorithm.PublicKey) bool {
	s := v.signed
	if s.budget.Work(key.Cost()) != nil { // who chose the keys chose the cost
		return false
	}
	octets := s.xml.Value
	if key.Kind() == algorithm.KindEC {
		octets = xmldsig.TrimECDSA(octets, (key.Bits()+7)/8)
	}
	var notes []string
	var err error
	if v.digest != nil {
		notes, err = s.scheme.VerifyDigest(key, v.digest, octets)
	} else {
		notes, err = s.scheme.Verify(key, v.info, octets)
	}
	if err != nil {
		return false
	}
	s.facts.Intact = true
	if len(octets) != len(s.xml.Value) {
		s.note("the signature value is padded with zeros")
	}
	s.facts.Notes = append(s.facts.Notes, notes...)
	return true
}

func (s *signed) useOfSignature() {
	name := s.xml.Method.URI
	if n := s.scheme.Name(); n != "" {
		name = n
	}
	use := signature.AlgorithmUse{Purpose: "signature", Algorithm: name}
	if key := s.keyOf(s.facts.Signer); key != nil {
		use.KeyBits = key.Bits()
	} else if s.bareKey != nil {
		use.KeyBits = s.bareKey.Bits()
	}
	s.facts.Algorithms = append(s.facts.Algorithms, use)
}

// bind tells whether signed data name the signing certificate: the property, or else a signed ds:KeyInfo
// that holds the certificate (EN 319 132-1, 5.2.2 and 6.3).
func (s *signed) bind(digests []certDigest) {
	if len(digests) > 0 {
		s.facts.Binding = signature.BindingMismatch
		for _, d := range digests {
			ref := signature.CertificateRef{Digest: signature.Digest{Algorithm: d.hash.Name(), Value: d.value}, IssuerSerial: d.issuer}
			s.facts.CertificateRefs = append(s.facts.CertificateRefs, ref)
			if s.facts.Signer != nil && s.digestNames(d, s.facts.Signer) {
				s.facts.Binding = signature.BindingMatches
			}
		}
		return
	}
	if s.xml.KeyInfo == nil || s.facts.Signer == nil || !s.signsKeyInfo() {
		return
	}
	for _, x := range s.xml.KeyInfo.X509 {
		for _, der := range x.Certificates {
			if bytes.Equal(der, s.facts.Signer) {
				s.facts.Binding = signature.BindingMatches
			}
		}
	}
}

// signsKeyInfo tells whether the signature covers all of its ds:KeyInfo.
func (s *signed) signsKeyInfo() bool {
	for _, out := range s.covers {
		if out.Nodes.Covers(s.xml.KeyInfo.Element) {
			return true
		}
	}
	return false
}
