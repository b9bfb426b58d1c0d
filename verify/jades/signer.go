package jades

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
)

const maxCandidates = 64 // certificates whose key is tried on the signature value

const (
	dsig01 = "http://www.w3.org/2001/04/xmldsig-more#"
	dsig07 = "http://www.w3.org/2007/05/xmldsig-more#"
	dsig21 = "http://www.w3.org/2021/04/xmldsig-more#"
	xmlsec = "http://www.aleksey.com/xmlsec/2025/12/xmldsig-more#"
)

// method is one value of alg (RFC 7518, 3.1; RFC 8037; RFC 8812; RFC 9864; ML-DSA as the registry of JOSE has it).
type method struct {
	uri   string // of XMLDSig for the same algorithm: the signature values are alike
	curve string // that an elliptic key has to be on
}

// methods are those that a certificate's key can verify. EdDSA stands for two: the key decides.
var methods = map[string]method{
	"RS256": {uri: dsig01 + "rsa-sha256"}, "RS384": {uri: dsig01 + "rsa-sha384"}, "RS512": {uri: dsig01 + "rsa-sha512"},
	"PS256": {uri: dsig07 + "sha256-rsa-MGF1"}, "PS384": {uri: dsig07 + "sha384-rsa-MGF1"},
	"PS512": {uri: dsig07 + "sha512-rsa-MGF1"},
	"ES256": {dsig01 + "ecdsa-sha256", "P-256"}, "ES384": {dsig01 + "ecdsa-sha384", "P-384"},
	"ES512": {dsig01 + "ecdsa-sha512", "P-521"}, "ES256K": {dsig01 + "ecdsa-sha256", "secp256k1"},
	"EdDSA": {uri: dsig21 + "eddsa-ed25519"}, "Ed25519": {uri: dsig21 + "eddsa-ed25519"},
	"Ed448":     {uri: dsig21 + "eddsa-ed448"},
	"ML-DSA-44": {uri: xmlsec + "ml-dsa-44"}, "ML-DSA-65": {uri: xmlsec + "ml-dsa-65"}, "ML-DSA-87": {uri: xmlsec + "ml-dsa-87"},
}

// proofless are values of alg that prove no signer: anybody who verifies could have made the value (RFC 7515, 8; RFC
// 8725, 3.1 and 3.2).
var proofless = map[string]bool{"": true, "none": true, "HS256": true, "HS384": true, "HS512": true}

// findSigner finds the certificate whose key verifies the value, and what binds it.
func (s *signed) findSigner() {
	alg := string(s.jws.Protected.Member("alg").Text())
	m, known := methods[alg]
	candidates := s.candidates()
	switch {
	case proofless[alg]:
		s.structure("alg is %q: that is no signature (RFC 7515, 8; RFC 8725, 3.1)", alg)
	case !known:
		s.facts.Unsupported = fmt.Sprintf("signature algorithm %q", alg)
	default:
		s.verify(alg, m, candidates)
	}
	if s.facts.Signer == nil && len(candidates) > 0 {
		s.facts.Signer = candidates[0]
	}
	s.useOfSignature(alg)
	s.bind()
}

// candidates are the certificates at hand that the protected header names by digest; then the first of x5c, which is
// that of the key (RFC 7515, 4.1.6). No other is anybody's.
func (s *signed) candidates() [][]byte {
	var out [][]byte
	for _, d := range s.names {
		for _, der := range s.facts.Certificates {
			if s.budget.Octets(perDigest+len(der)) != nil || len(out) == maxCandidates {
				return out
			}
			if d.names(der) && !slices.ContainsFunc(out, func(o []byte) bool { return bytes.Equal(o, der) }) {
				out = append(out, der)
			}
		}
	}
	if len(out) == 0 && len(s.chain) > 0 {
		out = append(out, s.chain[0])
	}
	return out
}

// verify tries the keys of the candidates on the signature value.
func (s *signed) verify(alg string, m method, candidates [][]byte) {
	if !s.payload.found || s.payload.unchecked != "" {
		return
	}
	for _, der := range candidates {
		if s.budget.Work(perCertificate) != nil {
			return
		}
		key := cache.Of(s.budget.Context()).KeyOf(der)
		if key == nil {
			s.facts.Unsupported = "the key of the signer's certificate is of no known kind"
			continue
		}
		scheme, err := schemeFor(alg, m, key)
		if err != nil {
			s.facts.Unsupported = err.Error()
			continue
		}
		s.scheme = scheme
		if s.budget.Work(key.Cost()) != nil { // who chose the keys chose the cost
			return
		}
		notes, err := s.verifyWith(key)
		if err == nil {
			s.facts.Signer, s.facts.Intact, s.facts.Unsupported = der, s.budget.Err() == nil, ""
			s.facts.Notes = append(s.facts.Notes, notes...)
			return
		}
		if errors.Is(err, algorithm.ErrKeyMismatch) { // which says nothing of the payload
			s.facts.Unsupported = err.Error()
		}
	}
}

// schemeFor is the algorithm for a key, which has to be of the kind and on the curve that alg says (RFC 7518, 3.4).
func schemeFor(alg string, m method, key *algorithm.PublicKey) (algorithm.Scheme, error) {
	if m.curve != "" && key.Curve() != m.curve {
		return algorithm.Scheme{}, fmt.Errorf("alg is %q, and the signer's key is %s (RFC 7518, 3.4)", alg, key.Name())
	}
	if alg == "EdDSA" && key.Kind() == algorithm.KindEd448 {
		m = methods["Ed448"]
	}
	return algorithm.FromXML(m.uri, nil)
}

// verifyWith verifies the value over the signing input: protected header, a point, payload (RFC 7515, 5.2).
func (s *signed) verifyWith(key *algorithm.PublicKey) ([]string, error) {
	if !s.scheme.SignsDigest() {
		message := &whole{signed: s}
		if err := s.writeInput(message); err != nil {
			return nil, err
		}
		return s.scheme.Verify(key, message.octets, s.jws.Value)
	}
	h := s.scheme.Hash().New()
	if err := s.writeInput(h); err != nil {
		return nil, err
	}
	digest := h.Sum(nil)
	s.facts.DataToBeSigned = signature.Digest{Algorithm: s.scheme.Hash().Name(), Value: digest}
	return s.scheme.VerifyDigest(key, digest, s.jws.Value)
}

func (s *signed) writeInput(w io.Writer) error {
	if err := s.budget.Write(w, s.jws.ProtectedText); err != nil {
		return err
	}
	if _, err := w.Write([]byte(".")); err != nil {
		return err
	}
	return s.writePieces(w, s.payload.signed)
}

// whole gathers a message that an algorithm wants in one piece.
type whole struct {
	*signed
	octets []byte
}

func (m *whole) Write(b []byte) (int, error) {
	if err := m.budget.Hold(2 * len(b)); err != nil { // with what growing leaves behind
		return 0, err
	}
	m.octets = append(m.octets, b...)
	return len(b), nil
}

func (s *signed) useOfSignature(alg string) {
	use := signature.AlgorithmUse{Purpose: "signature", Algorithm: alg}
	if s.scheme != (algorithm.Scheme{}) {
		use.Algorithm = s.scheme.Name()
	}
	if s.facts.Signer != nil && s.budget.Work(perCertificate) == nil {
		if key := cache.Of(s.budget.Context()).KeyOf(s.facts.Signer); key != nil {
			use.KeyBits = key.Bits()
		}
	}
	s.facts.Algorithms = append(s.facts.Algorithms, use)
}

// bind tells whether the protected header names the signer's certificate: by digests, or else by x5c, which holds it.
// Each digest that stands alone has to be that certificate's, and one of a list.
func (s *signed) bind() {
	if s.facts.Signer == nil || s.budget.Octets(len(s.names)*(perDigest+len(s.facts.Signer))) != nil {
		return
	}
	s.facts.Binding = signature.BindingMatches // without a digest it was taken from x5c
	listed, named := false, false
	for _, d := range s.names {
		names := d.names(s.facts.Signer)
		if !d.among && !names {
			s.facts.Binding = signature.BindingMismatch
		}
		listed, named = listed || d.among, named || d.among && names
	}
	if listed && !named {
		s.facts.Binding = signature.BindingMismatch
	}
}
