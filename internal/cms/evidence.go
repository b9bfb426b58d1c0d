package cms

import (
	"errors"
	"fmt"
)

// Certificates returns the certificates of a certificate-values attribute (ETSI EN 319 122-1,
// A.1.1.2) as encoded.
func (a *Attribute) Certificates() ([][]byte, error) {
	if len(a.Values) == 0 {
		return nil, errors.New("certificate-values: no value")
	}
	r := newReader(a.Values[0])
	return r.set(tagSequence, "certificate-values", maxCertificates)
}

// Revocations returns what a revocation-values attribute (A.1.2.2) or a revocation-info-archival
// attribute (ISO 32000-2, 12.8.3.3.2) holds: CRLs and OCSP responses; a BasicOCSPResponse comes out
// wrapped in an OCSPResponse. Other revocation values are left out.
func (a *Attribute) Revocations() (crls, ocsps [][]byte, err error) {
	if len(a.Values) == 0 {
		return nil, nil, errors.New("revocation values: no value")
	}
	outer := newReader(a.Values[0])
	r, _, err := outer.enter(tagSequence, "revocation values")
	if err != nil {
		return nil, nil, err
	}
	for !r.empty() {
		switch field := r.peek(); field {
		case tagContext | tagConstructed:
			if crls, err = r.sequenceOf("crls"); err != nil {
				return nil, nil, err
			}
		case tagContext | tagConstructed | 1:
			if ocsps, err = r.sequenceOf("ocsps"); err != nil {
				return nil, nil, err
			}
		default:
			if _, err := r.next(); err != nil {
				return nil, nil, err
			}
		}
	}
	if a.Type != OIDRevocationArchival { // those are OCSPResponses already
		for i, basic := range ocsps {
			ocsps[i] = WrapBasicOCSP(basic)
		}
	}
	return crls, ocsps, nil
}

// PolicyIdentifier returns the object identifier of a signature-policy-identifier attribute in dotted
// form, or "implied" (ETSI EN 319 122-1, 5.2.9.1).
func (a *Attribute) PolicyIdentifier() (string, error) {
	if len(a.Values) != 1 {
		return "", fmt.Errorf("signature-policy-identifier: %d values", len(a.Values))
	}
	outer := newReader(a.Values[0])
	if outer.peek() == tagNull {
		return "implied", nil
	}
	r, _, err := outer.enter(tagSequence, "signature-policy-identifier")
	if err != nil {
		return "", err
	}
	o, err := r.oid("sigPolicyId")
	return o.String(), err
}

// sequenceOf reads an explicitly tagged SEQUENCE OF and returns its members.
func (r *reader) sequenceOf(what string) ([][]byte, error) {
	explicit, err := r.next()
	if err != nil {
		return nil, err
	}
	in, err := r.inside(explicit)
	if err != nil {
		return nil, err
	}
	return in.set(tagSequence, what, maxRevocations)
}

// HashIndex is an ats-hash-index attribute value (ETSI EN 319 122-1, 5.5.2; TS 101 733, 6.4.2): the
// digests of what an archive-time-stamp-v3 covers.
type HashIndex struct {
	Raw           []byte // the attribute's value as encoded
	Version       int    // 1, 2 or 3
	HashAlgorithm []byte // AlgorithmIdentifier as encoded; the default SHA-256 filled in for version 1
	Certificates  [][]byte
	Revocations   [][]byte
	Attributes    [][]byte // of attributes (1, 2), of type and one value each (3)
}

// HashIndex returns the ats-hash-index of an archive time-stamp's SignerInfo: its newest version.
// No attribute: nil, nil.
func (si *SignerInfo) HashIndex() (*HashIndex, error) {
	for _, v := range []struct {
		version int
		typ     OID
	}{{3, OIDATSHashIndexV3}, {2, OIDATSHashIndexV2}, {1, OIDATSHashIndex}} {
		a := si.Unsigned(v.typ)
		if a == nil {
			continue
		}
		if len(a.Values) != 1 {
			return nil, fmt.Errorf("ats-hash-index: %d values", len(a.Values))
		}
		x := &HashIndex{Raw: a.Values[0], Version: v.version}
		if err := x.read(); err != nil {
			return nil, fmt.Errorf("ats-hash-index: %w", err)
		}
		return x, nil
	}
	return nil, nil
}

func (x *HashIndex) read() error {
	outer := newReader(x.Raw)
	r, _, err := outer.enter(tagSequence, "ATSHashIndex")
	if err != nil {
		return err
	}
	fields, err := r.members(4)
	if err != nil {
		return err
	}
	if x.Version == 1 {
		x.HashAlgorithm = sha256Identifier // the one version that has a default
	}
	if len(fields) == 4 {
		x.HashAlgorithm, fields = fields[0], fields[1:]
	}
	if len(fields) != 3 || x.Version > 1 && x.HashAlgorithm == nil {
		return fmt.Errorf("%d lists of digests, or no hashIndAlgorithm", len(fields))
	}
	for i, list := range []*[][]byte{&x.Certificates, &x.Revocations, &x.Attributes} {
		if *list, err = digests(fields[i]); err != nil {
			return err
		}
	}
	return nil
}

func digests(sequence []byte) ([][]byte, error) {
	outer := newReader(sequence)
	r, _, err := outer.enter(tagSequence, "list of digests")
	if err != nil {
		return nil, err
	}
	var list [][]byte
	for !r.empty() {
		if len(list) >= maxRevocations {
			return nil, fmt.Errorf("more than %d digests: %w", maxRevocations, ErrLimit)
		}
		d, err := r.expect(tagOctetString, "digest")
		if err != nil {
			return nil, err
		}
		list = append(list, d.Content)
	}
	return list, nil
}
