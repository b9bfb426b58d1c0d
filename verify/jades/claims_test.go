package jades

import (
	"crypto/sha256"
	"reflect"
	"slices"
	"testing"

	"trustcore/verify/signature"
)

// TestClaims: what a signer says of policy, commitments and place is told as it stands there.
func TestClaims(t *testing.T) {
	id := officer(t)
	document := []byte("the policy")
	sum := sha256.Sum256(document)
	policy := `"sigPId":{"id":{"id":"urn:oid:1.2.3","desc":"a policy","docRefs":["https://a.example/"]},"digAlg":"S256","digVal":"` +
		url64(sum[:]) + `","sigPQuals":[{"spURI":"https://p.example/"},{"spUserNotice":{"explText":"read this"}}]}`
	header := head(id, policy, `"srCms":[{"commId":{"id":"http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin","desc":"origin"}}]`,
		`"sigPl":{"addressCountry":"PL","addressLocality":"Gdynia","streetAddress":"Zana 10","postalCode":"81-001","addressRegion":"pomorskie"}`,
		`"cty":"text/plain"`)
	want := signature.Claims{Commitments: []signature.Commitment{{ID: "http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin", Description: "origin"}},
		Place: &signature.Place{Street: "Zana 10", City: "Gdynia", State: "pomorskie", Postal: "81-001", Country: "PL"}}
	details := signature.Policy{Description: "a policy", Documentation: []string{"https://a.example/"}, URL: "https://p.example/",
		Notice: "read this", Digest: signature.Digest{Algorithm: "SHA-256", Value: sum[:]}}
	for stored, found := range map[string][2]bool{"": {false, false}, "the policy": {true, true}, "another": {true, false}} {
		unprotected := etsiU()
		if stored != "" {
			unprotected = etsiU(`{"sigPSt":{"sigPolDoc":"` + std64([]byte(stored)) + `"}}`)
		}
		s := only(t, flat(t, id, header, unprotected))
		if !reflect.DeepEqual(s.Claims, want) || s.PolicyOID != "1.2.3" || s.MimeType != "text/plain" {
			t.Errorf("%+v of %s, %s", s.Claims, s.PolicyOID, s.MimeType)
		}
		details.Stored, details.Matches = found[0], found[1]
		if s.Policy == nil || !reflect.DeepEqual(*s.Policy, details) {
			t.Errorf("stored %q: %+v", stored, s.Policy)
		}
	}
}

// TestCertifiedRoles: what others are to have said of the signer is told as not checked.
func TestCertifiedRoles(t *testing.T) {
	id := officer(t)
	for attribute, told := range map[string]bool{
		`{"claimed":{"mediaType":"text/plain","encoding":"utf-8","qVals":["clerk"]}}`:                                   false,
		`{"certified":[{"x509AttrCert":{"val":"AAAA"}}]}`:                                                               true,
		`{"signedAssertions":{"mediaType":"text/plain","encoding":"utf-8","qVals":["minister"]}}`:                       true,
		`{"claimed":{"mediaType":"text/plain","encoding":"utf-8","qVals":["clerk"]},"certified":[{"x509AttrCert":{}}]}`: true,
	} {
		s := only(t, flat(t, id, head(id, `"srAts":[`+attribute+`]`)))
		if slices.Contains(s.Notes, signature.UncheckedRoles) != told || !s.Intact || slices.Contains(s.Signatory.Roles, "minister") {
			t.Errorf("%s: notes %q, roles %q", attribute, s.Notes, s.Signatory.Roles)
		}
	}
}
