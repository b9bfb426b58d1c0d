package xades

import (
	"crypto/sha256"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// TestClaims: what a signer says of policy, commitments and place is told as it stands there.
func TestClaims(t *testing.T) {
	signer := cmstest.NewSigner(t, "p256", "officer-1")
	sum := sha256.Sum256([]byte("the policy"))
	more := `<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId><xades:Identifier>urn:oid:1.2.3</xades:Identifier>` +
		`<xades:Description>a policy</xades:Description><xades:DocumentationReferences><xades:DocumentationReference>https://a.example/` +
		`</xades:DocumentationReference></xades:DocumentationReferences></xades:SigPolicyId><xades:SigPolicyHash><ds:DigestMethod Algorithm="` +
		sha256URI + `"></ds:DigestMethod><ds:DigestValue>` + b64(sum[:]) + `</ds:DigestValue></xades:SigPolicyHash><xades:SigPolicyQualifiers>` +
		`<xades:SigPolicyQualifier><xades:SPURI>https://p.example/</xades:SPURI></xades:SigPolicyQualifier><xades:SigPolicyQualifier>` +
		`<xades:SPUserNotice><xades:ExplicitText>read this</xades:ExplicitText></xades:SPUserNotice></xades:SigPolicyQualifier>` +
		`</xades:SigPolicyQualifiers></xades:SignaturePolicyId></xades:SignaturePolicyIdentifier><xades:SignatureProductionPlaceV2>` +
		`<xades:City>Gdynia</xades:City><xades:StreetAddress>Zana 10</xades:StreetAddress><xades:CountryName>PL</xades:CountryName>` +
		`</xades:SignatureProductionPlaceV2>`
	commitment := `<xades:CommitmentTypeIndication><xades:CommitmentTypeId><xades:Identifier>urn:oid:1.2.840.113549.1.9.16.6.1</xades:Identifier>` +
		`</xades:CommitmentTypeId><xades:ObjectReference>#a</xades:ObjectReference></xades:CommitmentTypeIndication>`
	want := signature.Claims{Place: &signature.Place{City: "Gdynia", Street: "Zana 10", Country: "PL"},
		Commitments: []signature.Commitment{{ID: "1.2.840.113549.1.9.16.6.1", Objects: []string{"#a"}}}}
	details := signature.Policy{Description: "a policy", Documentation: []string{"https://a.example/"}, URL: "https://p.example/",
		Notice: "read this", Digest: signature.Digest{Algorithm: "SHA-256", Value: sum[:]}}
	for stored, found := range map[string][2]bool{"": {false, false}, "the policy": {true, true}, "another": {true, false}} {
		m := basic(signer)
		m.data += commitment
		if stored != "" {
			m.unsigned += `<x:SignaturePolicyStore xmlns:x="` + ns141 + `"><x:SignaturePolicyDocument>` + b64([]byte(stored)) +
				`</x:SignaturePolicyDocument></x:SignaturePolicyStore>`
		}
		text := strings.Replace(envelop(m), "<xades:SignerRoleV2>", more+"<xades:SignerRoleV2>", 1)
		s := mustOpen(t, complete(t, text, nil, signer))[0]
		if !reflect.DeepEqual(s.Claims, want) || s.PolicyOID != "1.2.3" {
			t.Errorf("%+v of %s", s.Claims, s.PolicyOID)
		}
		details.Stored, details.Matches = found[0], found[1]
		if s.Policy == nil || !reflect.DeepEqual(*s.Policy, details) {
			t.Errorf("stored %q: %+v", stored, s.Policy)
		}
	}
}

// TestCertifiedRoles: what others are to have said of the signer is told as not checked.
func TestCertifiedRoles(t *testing.T) {
	signer := officer(t)
	for roles, told := range map[string]bool{
		``: false,
		`<xades:CertifiedRoles><xades:CertifiedRole>AAAA</xades:CertifiedRole></xades:CertifiedRoles>`:                                   true,
		`<xades:CertifiedRolesV2><xades:CertifiedRole><xades:OtherAttributeCertificate/></xades:CertifiedRole></xades:CertifiedRolesV2>`: true,
		`<xades:SignedAssertions><xades:SignedAssertion>urn:role:minister</xades:SignedAssertion></xades:SignedAssertions>`:              true,
	} {
		text := strings.Replace(envelop(basic(signer)), "</xades:ClaimedRoles>", "</xades:ClaimedRoles>"+roles, 1)
		s := mustOpen(t, complete(t, text, nil, signer))[0]
		if slices.Contains(s.Notes, signature.UncheckedRoles) != told || !s.Intact || strings.Contains(strings.Join(s.Signatory.Roles, " "), "minister") {
			t.Errorf("%s: notes %q, roles %q", roles, s.Notes, s.Signatory.Roles)
		}
	}
}
