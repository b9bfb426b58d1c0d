package signerinfo

import (
	"bytes"
	"crypto/sha1"

	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

// maxNamed bounds the certificates whose key is tried: copies of one certificate and cross-signed
// twins occur, more is a flood.
const maxNamed = 16

// named returns the candidates that the signer identifier or the signing-certificate attribute
// names, those that both name first.
func (c *checker) named() []*certificate.Certificate {
	list := c.byIdentifier(c.likely())
	if len(list) == 0 {
		list = c.byIdentifier(c.Candidates)
	}
	if len(list) > 1 {
		for i, cert := range list {
			if c.bind(cert) == signature.BindingMatches {
				list[0], list[i] = list[i], list[0]
				break
			}
		}
	}
	if len(list) == 0 {
		list = c.byReference()
	}
	return list
}

// likely narrows the candidates to those that hold the identifier's octets somewhere, which saves
// parsing the others.
func (c *checker) likely() [][]byte {
	wanted := c.SignerInfo.Issuer
	if wanted == nil {
		wanted = c.SignerInfo.SubjectKeyID
	}
	var list [][]byte
	for _, der := range c.Candidates {
		if bytes.Contains(der, wanted) && (c.SignerInfo.Serial == nil || bytes.Contains(der, c.SignerInfo.Serial)) {
			list = append(list, der)
		}
	}
	return list
}

func (c *checker) byIdentifier(candidates [][]byte) []*certificate.Certificate {
	var list []*certificate.Certificate
	for i, der := range candidates {
		if len(list) >= maxNamed || repeated(candidates[:i], der) {
			continue
		}
		cert, err := certificate.Parse(der)
		if err == nil && c.identifies(cert) {
			list = append(list, cert)
		}
	}
	return list
}

func repeated(before [][]byte, der []byte) bool {
	for _, b := range before {
		if len(b) == len(der) && (len(b) == 0 || &b[0] == &der[0] || bytes.Equal(b, der)) {
			return true
		}
	}
	return false
}

// identifies tells whether the SignerIdentifier names the certificate. Names that differ in their
// encoding alone are the same (RFC 5280, 7.1).
func (c *checker) identifies(cert *certificate.Certificate) bool {
	si := c.SignerInfo
	if si.SubjectKeyID != nil {
		if cert.SKI != nil {
			return bytes.Equal(cert.SKI, si.SubjectKeyID)
		}
		key, err := cert.Key()
		if err != nil {
			return false
		}
		sum := sha1.Sum(key.BitString()) // RFC 5280, 4.2.1.2 (1)
		return bytes.Equal(sum[:], si.SubjectKeyID)
	}
	if !sameInteger(si.Serial, cert.Serial) {
		return false
	}
	if bytes.Equal(si.Issuer, cert.RawIssuer) {
		return true
	}
	name, err := certificate.ParseName(si.Issuer)
	return err == nil && name.Equal(cert.Issuer)
}

// sameInteger compares contents octets of INTEGERs, padding aside.
func sameInteger(a, b []byte) bool {
	return bytes.Equal(trimInteger(a), trimInteger(b))
}

func trimInteger(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// byReference finds the certificates by the digest in the signing-certificate attribute, for signers
// whose identifier names nothing that is there.
func (c *checker) byReference() []*certificate.Certificate {
	var list []*certificate.Certificate
	for _, refs := range [][]cms.CertificateRef{c.v2, c.v1} {
		if len(refs) == 0 {
			continue
		}
		h, err := algorithm.HashByIdentifier(refs[0].HashAlgorithm)
		if err != nil {
			continue
		}
		for _, der := range c.Candidates {
			if len(list) > 0 || !bytes.Equal(h.Sum(der), refs[0].Hash) {
				continue
			}
			if cert, err := certificate.Parse(der); err == nil {
				c.note("the signer identifier names no certificate that is there; found by the signing-certificate attribute")
				list = append(list, cert)
			}
		}
	}
	return list
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
		if err != nil || !bytes.Equal(h.Sum(cert.Raw), refs[0].Hash) {
			return signature.BindingMismatch
		}
		outcome = signature.BindingMatches
	}
	return outcome
}
