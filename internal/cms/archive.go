package cms

import (
	"crypto"
	"fmt"
)

// HashIndexV3 makes the value of the ats-hash-index-v3 attribute (ETSI EN 319 122-1, 5.5.2) for a
// signer of a SignedData as it is now: digests of all certificates, revocation infos and unsigned
// attribute values. What is added later is not covered; what is covered must stay.
func (sd *SignedData) HashIndexV3(signer int, hash crypto.Hash) ([]byte, error) {
	if signer < 0 || signer >= len(sd.Signers) {
		return nil, fmt.Errorf("hash index: no signer %d of %d", signer, len(sd.Signers))
	}
	algorithm, err := hashIdentifier(hash)
	if err != nil {
		return nil, fmt.Errorf("hash index: %w", err)
	}
	digest := func(parts ...[]byte) []byte {
		h := hash.New()
		for _, p := range parts {
			h.Write(p)
		}
		return element(tagOctetString, h.Sum(nil))
	}
	var certificates, revocations, attributes [][]byte
	for _, c := range sd.CertificateChoices {
		certificates = append(certificates, digest(c))
	}
	for _, r := range sd.RevocationInfos {
		revocations = append(revocations, digest(r))
	}
	for i := range sd.Signers[signer].UnsignedAttributes {
		a := &sd.Signers[signer].UnsignedAttributes[i]
		for _, value := range a.Values {
			attributes = append(attributes, digest(a.RawType(), value))
		}
	}
	return element(tagSequence, algorithm,
		element(tagSequence, certificates...), element(tagSequence, revocations...), element(tagSequence, attributes...)), nil
}

// ArchiveMessage is what an archive-time-stamp-v3 is about (ETSI EN 319 122-1, 5.5.3): content type,
// digest of the content by the time-stamp's hash, the signer's signed fields and the hash index.
func (sd *SignedData) ArchiveMessage(signer int, contentDigest, hashIndex []byte) ([]byte, error) {
	if signer < 0 || signer >= len(sd.Signers) {
		return nil, fmt.Errorf("archive time-stamp: no signer %d of %d", signer, len(sd.Signers))
	}
	parts := append([][]byte{sd.Content.RawType, contentDigest}, sd.Signers[signer].SignedFields()...)
	var message []byte
	for _, p := range append(parts, hashIndex) {
		message = append(message, p...)
	}
	return message, nil
}

// NewArchiveTimestamp makes the archive-time-stamp-v3 attribute from a token over the digest of
// ArchiveMessage: the hash index goes into the token's unsigned attributes.
func NewArchiveTimestamp(token, hashIndex []byte) (Attribute, error) {
	indexed, err := AddUnsignedAttribute(token, 0, NewAttribute(OIDATSHashIndexV3, hashIndex))
	if err != nil {
		return Attribute{}, fmt.Errorf("archive time-stamp: %w", err)
	}
	return NewAttribute(OIDArchiveTimestampV3, indexed), nil
}
