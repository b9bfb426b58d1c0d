package jades

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"trustcore/internal/jws"
	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// extensions are the header parameters beyond RFC 7515 that are understood here: crit may list them.
var extensions = map[string]bool{
	"b64": true, "iat": true, "exp": true, "sigT": true, "x5t#o": true, "sigX5ts": true, "srCms": true, "sigPl": true, "srAts": true,
	"adoTst": true, "sigPId": true, "sigD": true, "etsiU": true,
}

// protectedOnly are the header parameters that say whose the signature is, what it covers or how: where they are not
// signed anybody may have put them there (RFC 7515, 10.7; RFC 7797, 3; TS 119 182-1, 5.1 and 5.2).
var protectedOnly = map[string]bool{
	"alg": true, "cty": true, "typ": true, "kid": true, "x5u": true, "x5c": true, "x5t": true, "x5t#S256": true,
	"x5t#o": true, "sigX5ts": true, "jwk": true, "jku": true, "crit": true, "b64": true, "iat": true, "exp": true,
	"sigT": true, "srCms": true, "sigPl": true, "srAts": true, "adoTst": true, "sigPId": true, "sigD": true,
}

// checkHeaders holds both headers against RFC 7515, RFC 7797 and TS 119 182-1. What they refuse makes the signature
// ill-formed; what a producer must not write, and changes no meaning, keeps it from passing.
func (s *signed) checkHeaders(d *jws.Document) {
	for _, m := range s.jws.Unprotected.Members() {
		switch {
		case protectedOnly[m.Name]:
			s.structure("the header parameter %q is not protected (TS 119 182-1, 5.1)", m.Name)
		case m.Name != "etsiU":
			s.stray("the header parameter %q, which is not protected", m.Name)
		}
	}
	if s.jws.Protected.Member("etsiU") != nil {
		s.structure("etsiU stands in the protected header (TS 119 182-1, 5.3.1)")
	}
	refused, misused := s.jws.Critical(extensions)
	s.facts.Structure = append(s.facts.Structure, refused...)
	s.facts.Constraints = append(s.facts.Constraints, misused...)
	s.crit = len(refused)+len(misused) == 0
	s.checkB64(d)
}

// checkB64 holds b64 against RFC 7797, 3 and 6: all signatures of a payload have to agree on what is signed.
func (s *signed) checkB64(d *jws.Document) {
	b64 := s.jws.Protected.Member("b64")
	switch {
	case b64 != nil && !b64.Is(jws.Bool):
		s.structure("b64 is neither true nor false (RFC 7797, 3)")
	case s.jws.Unencoded() && !s.jws.Lists("b64"):
		s.structure("b64 is false and crit does not list it (RFC 7797, 6)")
	}
	for _, other := range d.Signatures {
		if other.Unencoded() != s.jws.Unencoded() {
			s.structure("the signatures of the document differ in b64 (RFC 7797, 3)")
			return
		}
	}
}

const maxStrays = 64 // that are told one by one

func (s *signed) stray(format string, args ...any) {
	if len(s.facts.Strays) < maxStrays {
		s.facts.Strays = append(s.facts.Strays, fmt.Sprintf(format, args...))
	}
}

// readHeader reads what the protected header says of signer and signing.
func (s *signed) readHeader() {
	s.readSigningTime()
	s.readExpiry()
	s.readPolicy()
	s.readRoles()
	s.readClaims()
	s.readCertificates()
	s.readCertDigests()
}

// readExpiry tells until when the signer wants the signature to be accepted (RFC 7519, 4.1.4): a wish about its use, which
// changes nothing in what was signed and when.
func (s *signed) readExpiry() {
	exp := s.jws.Protected.Member("exp")
	if exp == nil {
		return
	}
	if at, ok := numericDate(exp); ok {
		s.note("the signer wants the signature to be accepted before %s only (exp, RFC 7519 4.1.4)", at.Format(time.RFC3339))
	} else {
		s.note("exp is no time in seconds (RFC 7519, 4.1.4)")
	}
}

// numericDate reads seconds since 1970, of which fractions may stand there (RFC 7519, 2).
func numericDate(v *jws.Value) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(v.Literal(), 64)
	return time.Unix(int64(seconds), 0).UTC(), err == nil && 0 <= seconds && seconds <= maxSeconds
}

const maxSeconds = 253402300799 // 9999-12-31T23:59:59Z

// readSigningTime reads iat (TS 119 182-1, 5.1.11) or sigT (5.2.1). Both are no claim: readers would choose.
func (s *signed) readSigningTime() {
	iat, sigT := s.jws.Protected.Member("iat"), s.jws.Protected.Member("sigT")
	switch {
	case iat != nil && sigT != nil:
		s.note("both iat and sigT claim a signing time (TS 119 182-1, 6.3); neither is taken")
	case iat != nil:
		at, ok := numericDate(iat)
		if !ok {
			s.note("iat is no time in seconds")
			return
		}
		s.facts.SigningTime = at
	case sigT != nil:
		at, err := time.Parse(time.RFC3339, string(sigT.Text()))
		if err != nil {
			s.note("sigT is no date and time of RFC 3339")
			return
		}
		s.facts.SigningTime = at.UTC()
	}
}

// readPolicy reads sigPId (TS 119 182-1, 5.2.7).
func (s *signed) readPolicy() {
	policy := s.jws.Protected.Member("sigPId")
	if policy == nil {
		return
	}
	id := objectIdentifier(policy.Member("id"))
	if id == "" {
		s.structure("sigPId without an identifier (TS 119 182-1, 5.2.7)")
		id = "unreadable"
	}
	s.facts.PolicyOID, s.facts.Policy = id, policyDetails(policy)
}

const (
	maxRoleText = 1024 // octets of a claimed role that are kept
	maxRoles    = 64
)

// readRoles reads the claimed attributes of the signer (TS 119 182-1, 5.2.5).
func (s *signed) readRoles() {
	unchecked := false
	defer func() {
		if unchecked {
			s.note(signature.UncheckedRoles)
		}
	}()
	for _, attribute := range s.jws.Protected.Member("srAts").Items() {
		unchecked = unchecked || attribute.Member("certified") != nil || attribute.Member("signedAssertions") != nil
		for _, v := range attribute.Member("claimed").Member("qVals").Items() {
			text := strings.Join(strings.Fields(string(v.Text())), " ")
			if text != "" && len(s.facts.Signatory.Roles) < maxRoles {
				text = strings.ToValidUTF8(text[:min(len(text), maxRoleText)], "")
				s.facts.Signatory.Roles = append(s.facts.Signatory.Roles, text)
			}
		}
	}
}

// readCertificates reads x5c (RFC 7515, 4.1.6).
func (s *signed) readCertificates() {
	for _, v := range s.jws.Protected.Member("x5c").Items() {
		if der, ok := s.decode("x5c", v); ok && len(s.chain) < maxEvidence {
			s.chain = append(s.chain, der)
		}
	}
	s.facts.Carry(signature.Values{Origin: signature.KeyInfo, Certificates: s.chain})
}

// decode reads base64 of RFC 4648, 4.
func (s *signed) decode(what string, v *jws.Value) ([]byte, bool) {
	text := v.Text()
	if s.budget.Octets(len(text)) != nil || s.budget.Hold(len(text)) != nil {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(der) == 0 || bytes.ContainsAny(text, "\r\n") {
		s.note("%s holds what is no base64", what)
		return nil, false
	}
	return der, true
}

// certDigest is one digest of a certificate.
type certDigest struct {
	hash  algorithm.Hash
	value []byte
	among bool // of a list, of which one entry names the signer's certificate
}

func (c certDigest) names(der []byte) bool {
	return c.hash.Valid() && bytes.Equal(c.hash.Sum(der), c.value)
}

const maxCertDigests = 64

// readCertDigests reads the digests of the signing certificate: x5t#S256, x5t#o, sigX5ts, and x5t of RFC 7515.
func (s *signed) readCertDigests() {
	h := s.jws.Protected
	if v := h.Member("x5t#S256"); v != nil {
		s.addCertDigest(algorithm.SHA256, v, false)
	}
	if v := h.Member("x5t"); v != nil {
		s.addCertDigest(algorithm.SHA1, v, false)
	}
	if v := h.Member("x5t#o"); v != nil {
		s.addCertDigest(hashByName(v.Member("digAlg")), v.Member("digVal"), false)
	}
	list := h.Member("sigX5ts").Items()
	if len(list) > maxCertDigests {
		s.structure("sigX5ts holds more than %d digests", maxCertDigests)
		return
	}
	for _, v := range list {
		s.addCertDigest(hashByName(v.Member("digAlg")), v.Member("digVal"), true)
	}
}

func (s *signed) addCertDigest(h algorithm.Hash, v *jws.Value, among bool) {
	value, err := jws.DecodeBase64URL(v.Text())
	if err != nil || !h.Valid() {
		s.note("a digest of the signer's certificate cannot be used")
	}
	s.names = append(s.names, certDigest{h, value, among})
	if h.Valid() {
		ref := signature.CertificateRef{Digest: signature.Digest{Algorithm: h.Name(), Value: value}}
		s.facts.CertificateRefs = append(s.facts.CertificateRefs, ref)
		use := signature.AlgorithmUse{Purpose: "signing-certificate", Algorithm: h.Name()}
		s.facts.Algorithms = append(s.facts.Algorithms, use)
	}
}

// digests are the identifiers of digest algorithms that TS 119 182-1 uses.
var digests = map[string]algorithm.Hash{
	"S224": algorithm.SHA224, "S256": algorithm.SHA256, "S384": algorithm.SHA384, "S512": algorithm.SHA512,
	"S3-224": algorithm.SHA3_224, "S3-256": algorithm.SHA3_256, "S3-384": algorithm.SHA3_384, "S3-512": algorithm.SHA3_512,
}

func hashByName(v *jws.Value) algorithm.Hash { return digests[string(v.Text())] }
