// Package signerinfo checks one SignerInfo of the Cryptographic Message Syntax: who signed, is the
// signing certificate bound, does the value verify, does the message digest match (RFC 5652, 5.4 to
// 5.6 and 11). CAdES, PAdES and time-stamps share it. It says facts; trust is judged elsewhere.
package signerinfo

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

// Input is one SignerInfo with what it is about.
type Input struct {
	Budget      *budget.Budget // of the document; once it is over no outcome counts
	SignerInfo  *cms.SignerInfo
	ContentType cms.OID // eContentType; "" for a counter-signature, which must not have content-type
	Content     *Content
	// Candidates are the certificates to find the signer in, the likeliest pool first.
	Candidates []*Pool
}

// Facts are what the check found.
type Facts struct {
	Signer      []byte // DER of the signing certificate or nil
	Certificate *certificate.Certificate
	Binding     signature.Binding
	Intact      bool // the signature value verifies with Signer's key

	// Unsupported says why the value could not be checked with the key of any certificate that is named: the algorithm
	// or the key is of no known kind. It is "" where one could.
	Unsupported string

	// DigestFound and DigestIntact are about the content: it is there, and its digest is the
	// message-digest attribute's (or it is what the value signs, when there are no attributes).
	DigestFound, DigestIntact bool

	// MessageDigest is the digest of the content that is signed, DataToBeSigned that of what the value is over.
	MessageDigest, DataToBeSigned signature.Digest
	// CertificateRefs are those of the signing-certificate attributes; of very many the first.
	CertificateRefs []signature.CertificateRef

	// Unchecked says why the content could not be digested, such as an algorithm that is not known, or "".
	Unchecked string

	SigningTime time.Time
	Algorithms  []signature.AlgorithmUse
	Structure   []string // what makes the signature ill-formed
	Notes       []string
}

// Check does all of it.
func Check(in Input) *Facts {
	c := checker{Input: in, Facts: &Facts{}}
	c.scheme, c.schemeErr = algorithm.FromCMS(in.SignerInfo.SignatureAlgorithm, in.SignerInfo.DigestAlgorithm)
	c.digest, c.digestErr = HashOf(in.SignerInfo.DigestAlgorithm)
	if c.schemeErr != nil {
		c.note("signature algorithm: %v", c.schemeErr)
	}
	if c.digestErr != nil {
		c.note("digest algorithm: %v", c.digestErr)
		c.Unchecked = fmt.Sprintf("digest algorithm: %v", c.digestErr)
	}
	if in.Budget.Work(attributeWork*int64(len(in.SignerInfo.RawSignedAttributes))) != nil {
		return c.Facts
	}
	c.attributes()
	c.references()
	c.content()
	c.signer()
	c.uses()
	return c.Facts
}

// attributeWork is what an octet of signed attributes costs at most: they are taken apart, brought into DER, where
// the members of sets are sorted, and hashed.
const attributeWork = 400

// checker carries one check from step to step.
type checker struct {
	Input
	*Facts
	message   []byte // the signed attributes in DER, once they were needed
	scheme    algorithm.Scheme
	schemeErr error
	digest    algorithm.Hash
	digestErr error
	v2, v1    []cms.CertificateRef
}

func (c *checker) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

func (c *checker) illFormed(format string, args ...any) {
	c.Structure = append(c.Structure, fmt.Sprintf(format, args...))
}

// attributes checks the signed attributes as RFC 5652 section 11 asks.
func (c *checker) attributes() {
	si := c.SignerInfo
	if si.RawSignedAttributes == nil {
		if c.ContentType != "" && c.ContentType != cms.OIDData {
			c.illFormed("no signed attributes although the content is %s, not data (RFC 5652, 5.3)", c.ContentType)
		}
		return
	}
	c.once(cms.OIDContentType, "content-type")
	c.once(cms.OIDMessageDigest, "message-digest")
	c.once(cms.OIDSigningTime, "signing-time")
	c.once(cms.OIDSigningCertificate, "signing-certificate")
	c.once(cms.OIDSigningCertificateV2, "signing-certificate-v2")
	switch typ := si.ContentType(); {
	case c.ContentType == "" && si.Signed(cms.OIDContentType) != nil:
		c.note("a counter-signature must not have the content-type attribute (RFC 5652, 11.4)")
	case c.ContentType != "" && si.Signed(cms.OIDContentType) == nil:
		c.illFormed("the content-type attribute is missing (RFC 5652, 11.1)")
	case c.ContentType != "" && typ != c.ContentType:
		c.illFormed("the content-type attribute says %q, the content is %s (RFC 5652, 11.1)", typ, c.ContentType)
	}
	if si.MessageDigest() == nil {
		c.illFormed("the message-digest attribute is missing or malformed (RFC 5652, 11.2)")
	}
	var err error
	if c.SigningTime, err = si.SigningTime(); err != nil {
		c.note("%v", err)
	}
}

// once complains about an attribute that is there twice or has not exactly one value.
func (c *checker) once(typ cms.OID, name string) {
	seen := 0
	for i := range c.SignerInfo.SignedAttributes {
		a := &c.SignerInfo.SignedAttributes[i]
		if a.Type != typ {
			continue
		}
		if seen++; len(a.Values) != 1 {
			c.illFormed("the %s attribute has %d values", name, len(a.Values))
		}
	}
	if seen > 1 {
		c.illFormed("the %s attribute is there %d times", name, seen)
	}
}

func (c *checker) references() {
	var err error
	if c.v2, c.v1, err = c.SignerInfo.SigningCertificates(); err != nil {
		c.illFormed("%v", err)
	}
}

// content compares the message digest.
func (c *checker) content() {
	c.DigestFound = c.Content.Present()
	if c.DigestFound && c.SignerInfo.RawSignedAttributes == nil && c.Content.DigestOnly() {
		c.DigestFound = false
		c.note("without signed attributes the value is over the content itself, for which a digest can't stand in")
	}
	if !c.DigestFound || c.digestErr != nil || c.SignerInfo.RawSignedAttributes == nil {
		return
	}
	d, err := c.Content.Digest(c.digest)
	if err != nil {
		c.DigestFound = false
		c.note("the content cannot be read: %v", err)
		return
	}
	want := c.SignerInfo.MessageDigest()
	c.MessageDigest = signature.Digest{Algorithm: c.digest.Name(), Value: want}
	c.DigestIntact = want != nil && bytes.Equal(d, want)
}

// signer takes the first certificate that is named and whose key verifies the value; else the first
// that is named.
func (c *checker) signer() {
	var first *certificate.Certificate
	checked := false
	for _, pool := range c.Candidates {
		for _, cert := range c.named(pool) {
			if first == nil {
				first = cert
			}
			if err := c.verify(cert); err == nil {
				c.choose(cert)
				c.Intact = true
				return
			} else if !errors.Is(err, algorithm.ErrSignature) {
				c.note("signature value: %v", err)
				c.unsupported(err)
			} else {
				checked = true
			}
		}
	}
	if checked {
		c.Unsupported = ""
	}
	if first != nil {
		c.choose(first)
	}
}

// unsupported keeps the error of an algorithm or a key that is not known.
func (c *checker) unsupported(err error) {
	if errors.Is(err, algorithm.ErrUnsupported) && c.Unsupported == "" {
		c.Unsupported = err.Error()
	}
}

func (c *checker) choose(cert *certificate.Certificate) {
	c.Signer, c.Certificate = cert.Raw, cert
	c.Binding = c.bind(cert)
}

// verify checks the signature value with the certificate's key.
func (c *checker) verify(cert *certificate.Certificate) error {
	if c.schemeErr != nil {
		return c.schemeErr
	}
	if !c.SignerInfo.AlgorithmsProtected() {
		return errors.New("the algorithms are not those of the CMSAlgorithmProtection attribute (RFC 6211)")
	}
	key, err := cert.Key()
	if err != nil {
		return err
	}
	if err := c.Budget.Work(key.Cost()); err != nil {
		return err
	}
	if c.SignerInfo.RawSignedAttributes == nil {
		return c.verifyContent(key)
	}
	return c.verifyAttributes(key)
}

// otherHash tells that the value is made with another hash than the one that digests the content.
func (c *checker) otherHash() bool {
	return c.scheme.SignsDigest() && c.digestErr == nil && c.scheme.Hash() != c.digest
}

// verifyAttributes takes the signed attributes in DER, however they are encoded (RFC 5652, 5.4). Their digest is by
// the signature algorithm's hash, that of the content by digestAlgorithm: two hashes are tolerated, with a note.
func (c *checker) verifyAttributes(key *algorithm.PublicKey) error {
	if c.message == nil {
		var err error
		if c.message, err = c.SignerInfo.SignedMessage(); err != nil {
			return err
		}
	}
	if err := c.Budget.Octets(2 * len(c.message)); err != nil {
		return err
	}
	var notes []string
	var err error
	if c.scheme.SignsDigest() {
		c.DataToBeSigned = signature.Digest{Algorithm: c.scheme.Hash().Name(), Value: c.scheme.Hash().Sum(c.message)}
		notes, err = c.scheme.VerifyDigest(key, c.DataToBeSigned.Value, c.SignerInfo.Signature)
	} else {
		notes, err = c.scheme.Verify(key, c.message, c.SignerInfo.Signature)
	}
	if err != nil {
		c.tryAsEncoded(key)
		return err
	}
	c.Notes = append(c.Notes, notes...)
	c.pairing()
	if !c.SignerInfo.EncodedAs(c.message) {
		c.note("the signed attributes are not in DER; the value is over their DER encoding")
	}
	return nil
}

// tryAsEncoded tells a person that the value is over the attributes as they stand, which is what a
// signer does who forgets to sort them. It stays invalid: the standard asks for DER.
func (c *checker) tryAsEncoded(key *algorithm.PublicKey) {
	if c.SignerInfo.EncodedAs(c.message) {
		return
	}
	encoded := c.SignerInfo.EncodedAttributes()
	if c.Budget.Work(key.Cost()+budget.Octet*int64(len(encoded))) != nil {
		return
	}
	if _, err := c.scheme.Verify(key, encoded, c.SignerInfo.Signature); err == nil {
		c.note("the signature value is over signed attributes that are not in DER (RFC 5652, 5.4)")
	}
}

// verifyContent is the case without signed attributes: the value is over the content. Content that
// is itself an encoding of signed attributes is refused, or a signature over attributes could be
// passed off as one over that content.
func (c *checker) verifyContent(key *algorithm.PublicKey) error {
	if !c.Content.Present() {
		return errAbsent
	}
	if c.otherHash() {
		return fmt.Errorf("%s does not go with the digest algorithm %s (RFC 5652, 5.4)", c.scheme.Name(), c.digest.Name())
	}
	var start head
	if err := c.Content.CopyTo(&start); err != nil {
		return err
	}
	if cms.LooksLikeSignedAttributes(start.kept) {
		return errors.New("the content is an encoding of signed attributes")
	}
	if what := passedOff(start.kept); what != "" {
		return fmt.Errorf("the content is %s, which another signature is over", what)
	}
	var notes []string
	var err error
	if c.scheme.SignsDigest() {
		var d []byte
		if d, err = c.Content.Digest(c.scheme.Hash()); err == nil {
			c.DataToBeSigned = signature.Digest{Algorithm: c.scheme.Hash().Name(), Value: d}
			c.MessageDigest = c.DataToBeSigned
			notes, err = c.scheme.VerifyDigest(key, d, c.SignerInfo.Signature)
		}
	} else {
		m := whole{budget: c.Budget}
		if err = c.Content.CopyTo(&m); err == nil {
			notes, err = c.scheme.Verify(key, m.kept, c.SignerInfo.Signature)
		}
	}
	if err == nil {
		c.DigestIntact = true
		c.Notes = append(c.Notes, notes...)
	}
	return err
}

// maxTold bounds the digests of certificates that are told.
const maxTold = 64

// uses lists the algorithms.
func (c *checker) uses() {
	if c.schemeErr == nil {
		use := signature.AlgorithmUse{Purpose: "signature", Algorithm: c.scheme.Name()}
		if c.Certificate != nil {
			if key, err := c.Certificate.Key(); err == nil {
				use.KeyBits = key.Bits()
			}
		}
		c.Algorithms = append(c.Algorithms, use)
	}
	if c.digestErr == nil && c.SignerInfo.RawSignedAttributes != nil {
		c.Algorithms = append(c.Algorithms, signature.AlgorithmUse{Purpose: "message-digest", Algorithm: c.digest.Name()})
	}
	for _, refs := range [][]cms.CertificateRef{c.v2, c.v1} {
		if len(refs) == 0 {
			continue
		}
		for _, ref := range refs[:min(len(refs), maxTold)] {
			if h, err := algorithm.HashByIdentifier(ref.HashAlgorithm); err == nil {
				c.CertificateRefs = append(c.CertificateRefs, signature.CertificateRef{
					Digest: signature.Digest{Algorithm: h.Name(), Value: ref.Hash}, IssuerSerial: ref.IssuerSerial})
			}
		}
		if h, err := algorithm.HashByIdentifier(refs[0].HashAlgorithm); err == nil {
			c.Algorithms = append(c.Algorithms, signature.AlgorithmUse{Purpose: "signing-certificate", Algorithm: h.Name()})
		}
	}
}
