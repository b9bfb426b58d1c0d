package cms

import "fmt"

// maxReferences bounds the references of one complete-references attribute.
const maxReferences = 4096

// CertificateReferences returns the digests of a complete-certificate-references attribute (ETSI
// EN 319 122-1, A.1.1.1; also of the attribute certificates' variant).
func (a *Attribute) CertificateReferences() ([]CertificateRef, error) {
	var refs []CertificateRef
	err := a.references("certificate references", func(r *reader) error {
		id, _, err := r.enter(tagSequence, "OtherCertID")
		if err != nil {
			return err
		}
		ref, err := id.otherHash()
		if err != nil {
			return err
		}
		if !id.empty() {
			if err := id.issuerSerial(&ref); err != nil {
				return err
			}
		}
		refs = append(refs, ref)
		return nil
	})
	return refs, err
}

// RevocationReferences returns the digests of CRLs and OCSP responses of a
// complete-revocation-references attribute (A.1.2.1), in order. An OCSP reference without a digest is
// left out.
func (a *Attribute) RevocationReferences() ([]CertificateRef, error) {
	var refs []CertificateRef
	err := a.references("revocation references", func(r *reader) error {
		kinds, _, err := r.enter(tagSequence, "CrlOcspRef")
		if err != nil {
			return err
		}
		for !kinds.empty() {
			kind, err := kinds.next()
			if err != nil {
				return err
			}
			if kind.Tag != tagContext|tagConstructed && kind.Tag != tagContext|tagConstructed|1 {
				continue
			}
			in, err := kinds.inside(kind)
			if err != nil {
				return err
			}
			found, err := in.revocationIDs(kind.Tag == tagContext|tagConstructed)
			if err != nil {
				return err
			}
			refs = append(refs, found...)
		}
		return nil
	})
	return refs, err
}

// references walks over the members of the attribute's one SEQUENCE OF.
func (a *Attribute) references(what string, member func(*reader) error) error {
	if len(a.Values) != 1 {
		return fmt.Errorf("%s: %d values", what, len(a.Values))
	}
	outer := newReader(a.Values[0])
	r, _, err := outer.enter(tagSequence, what)
	if err != nil {
		return err
	}
	for n := 0; !r.empty(); n++ {
		if n >= maxReferences {
			return fmt.Errorf("%s: more than %d: %w", what, maxReferences, ErrLimit)
		}
		if err := member(&r); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// revocationIDs reads CRLListID (a CrlValidatedID begins with its hash) or OcspListID (an
// OcspResponsesID has the hash behind the identifier). Both are a SEQUENCE around a SEQUENCE OF.
func (r *reader) revocationIDs(crl bool) ([]CertificateRef, error) {
	list, _, err := r.enter(tagSequence, "list of identifiers")
	if err != nil {
		return nil, err
	}
	ids, _, err := list.enter(tagSequence, "identifiers")
	if err != nil {
		return nil, err
	}
	var refs []CertificateRef
	for !ids.empty() {
		if len(refs) >= maxReferences {
			return nil, fmt.Errorf("more than %d: %w", maxReferences, ErrLimit)
		}
		id, _, err := ids.enter(tagSequence, "identifier")
		if err != nil {
			return nil, err
		}
		if !crl {
			if _, err := id.expect(tagSequence, "ocspIdentifier"); err != nil {
				return nil, err
			}
			if id.empty() {
				continue
			}
		}
		ref, err := id.otherHash()
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// otherHash reads OtherHash: a bare SHA-1 value, or algorithm and value.
func (r *reader) otherHash() (CertificateRef, error) {
	if r.peek() == tagOctetString {
		value, err := r.expect(tagOctetString, "sha1Hash")
		return CertificateRef{HashAlgorithm: sha1Identifier, Hash: value.Content}, err
	}
	in, _, err := r.enter(tagSequence, "otherHash")
	if err != nil {
		return CertificateRef{}, err
	}
	algorithm, err := in.expect(tagSequence, "hashAlgorithm")
	if err != nil {
		return CertificateRef{}, err
	}
	value, err := in.expect(tagOctetString, "hashValue")
	return CertificateRef{HashAlgorithm: algorithm.Raw, Hash: value.Content}, err
}
