package cms

import (
	"errors"
	"fmt"
	"slices"
)

// AddSigner returns signedData with the signers of another SignedData about the same content beside its own, and the
// other's certificates and revocation infos (RFC 5652, 5.1). Present signers stay octet for octet. Refused is another
// content, or another type of it, than what the present signers are about, and a present archive time-stamp of the
// second version: it covers the list of certificates as a whole, and would break.
func AddSigner(signedData, other []byte) ([]byte, error) {
	sd, err := Parse(signedData)
	if err != nil {
		return nil, fmt.Errorf("add signer: %w", err)
	}
	more, err := Parse(other)
	if err != nil {
		return nil, fmt.Errorf("add signer: %w", err)
	}
	if sd.Content.Type != more.Content.Type {
		return nil, fmt.Errorf("add signer: content of type %s beside %s", more.Content.Type, sd.Content.Type)
	}
	signers := make([][]byte, 0, len(sd.Signers)+len(more.Signers))
	for _, si := range sd.Signers {
		if si.Unsigned(OIDArchiveTimestampV2) != nil || si.Unsigned(OIDArchiveTimestampV1) != nil {
			return nil, errors.New("add signer: a present archive time-stamp is over all certificates, and would break")
		}
		signers = append(signers, si.Raw)
	}
	for _, si := range more.Signers {
		signers = insert(signers, si.Raw)
	}
	choices, revocations := slices.Clone(sd.CertificateChoices), slices.Clone(sd.RevocationInfos)
	for _, c := range more.CertificateChoices {
		if !containsBytes(choices, c) {
			choices = insert(choices, c)
		}
	}
	for _, r := range more.RevocationInfos {
		if !containsBytes(revocations, r) {
			revocations = insert(revocations, r)
		}
	}
	for _, a := range more.DigestAlgorithms {
		if !containsBytes(sd.DigestAlgorithms, a) {
			sd.DigestAlgorithms = insert(slices.Clone(sd.DigestAlgorithms), a)
		}
	}
	return sd.rebuild(choices, revocations, signers), nil
}
