package cms

import (
	"errors"
	"fmt"
)

// CertificateRef names a certificate by its digest: an ESSCertID or ESSCertIDv2 (RFC 5035), or an
// OtherCertID of CAdES; in revocation references a CRL or OCSP response.
type CertificateRef struct {
	// HashAlgorithm is the AlgorithmIdentifier as encoded; where the encoding leaves it to the
	// default, that default is put in (SHA-1 for version 1, SHA-256 for version 2).
	HashAlgorithm []byte
	Hash          []byte
	// Issuer (Name as encoded) and Serial (contents octets) are nil when absent.
	Issuer, Serial []byte
	// IssuerSerial is the IssuerSerial that holds them, as encoded; nil when absent.
	IssuerSerial []byte
}

// maxCertificateRefs bounds the references of one attribute.
const maxCertificateRefs = 1024

// SigningCertificates returns the references of the signing-certificate attributes, version 2 first.
// Within an attribute the first reference is the signing certificate. No attribute: nil, nil.
func (si *SignerInfo) SigningCertificates() (v2, v1 []CertificateRef, err error) {
	if a := si.Signed(OIDSigningCertificateV2); a != nil {
		if v2, err = a.certificateRefs(sha256Identifier); err != nil {
			return nil, nil, fmt.Errorf("signing-certificate-v2: %w", err)
		}
	}
	if a := si.Signed(OIDSigningCertificate); a != nil {
		if v1, err = a.certificateRefs(sha1Identifier); err != nil {
			return nil, nil, fmt.Errorf("signing-certificate: %w", err)
		}
	}
	return v2, v1, nil
}

// The defaults for hash algorithms, as AlgorithmIdentifiers.
var (
	sha1Identifier   = element(tagSequence, element(tagOID, []byte("\x2b\x0e\x03\x02\x1a")))
	sha256Identifier = element(tagSequence, element(tagOID, []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x01")))
)

func (a *Attribute) certificateRefs(defaultHash []byte) ([]CertificateRef, error) {
	if len(a.Values) != 1 {
		return nil, fmt.Errorf("%d values", len(a.Values))
	}
	outer := newReader(a.Values[0])
	in, _, err := outer.enter(tagSequence, "SigningCertificate")
	if err != nil {
		return nil, err
	}
	certs, _, err := in.enter(tagSequence, "certs")
	if err != nil {
		return nil, err
	}
	var refs []CertificateRef
	for !certs.empty() {
		if len(refs) >= maxCertificateRefs {
			return nil, fmt.Errorf("more than %d references: %w", maxCertificateRefs, ErrLimit)
		}
		ref, err := certs.certificateRef(defaultHash)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	if len(refs) == 0 {
		return nil, errors.New("no reference")
	}
	return refs, nil
}

// certificateRef reads ESSCertID and ESSCertIDv2, which differ in the optional hash algorithm only.
func (r *reader) certificateRef(defaultHash []byte) (CertificateRef, error) {
	ref := CertificateRef{HashAlgorithm: defaultHash}
	id, _, err := r.enter(tagSequence, "ESSCertID")
	if err != nil {
		return ref, err
	}
	alg, ok, err := id.optional(tagSequence, "hashAlgorithm")
	if err != nil {
		return ref, err
	}
	if ok {
		ref.HashAlgorithm = alg.Raw
	}
	hash, err := id.expect(tagOctetString, "certHash")
	if err != nil {
		return ref, err
	}
	ref.Hash = hash.Content
	if id.empty() {
		return ref, nil
	}
	return ref, id.issuerSerial(&ref)
}

// issuerSerial reads IssuerSerial (RFC 5035, 5.4.1) and keeps a single directoryName.
func (r *reader) issuerSerial(ref *CertificateRef) error {
	is, whole, err := r.enter(tagSequence, "issuerSerial")
	if err != nil {
		return err
	}
	names, _, err := is.enter(tagSequence, "issuer")
	if err != nil {
		return err
	}
	for !names.empty() {
		name, err := names.next()
		if err != nil {
			return err
		}
		if name.Tag == tagContext|tagConstructed|4 && ref.Issuer == nil {
			ref.Issuer = name.Content
		}
	}
	serial, err := is.expect(tagInteger, "serialNumber")
	if err != nil {
		return err
	}
	ref.Serial, ref.IssuerSerial = serial.Content, whole.Raw
	return nil
}
