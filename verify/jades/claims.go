package jades

import (
	"strings"

	"trustcore/internal/jws"
	"trustcore/verify/signature"
)

// readClaims reads commitments (TS 119 182-1, 5.2.3) and the place (5.2.4), which nobody has checked.
func (s *signed) readClaims() {
	h := s.jws.Protected
	for _, v := range listed(h.Member("srCms").Items()) {
		id := v.Member("commId")
		s.facts.Claims.Commitments = append(s.facts.Claims.Commitments, signature.Commitment{ID: objectIdentifier(id),
			Description: text(id, "desc"), Documentation: texts(id.Member("docRefs"))})
	}
	if v := h.Member("sigPl"); v != nil {
		s.facts.Claims.Place = &signature.Place{Street: text(v, "streetAddress"), City: text(v, "addressLocality"),
			State: text(v, "addressRegion"), Postal: text(v, "postalCode"), Country: text(v, "addressCountry")}
	}
	if v := h.Member("cty"); v != nil {
		s.facts.MimeType = string(v.Text())
	}
}

// policyDetails are what sigPId says of the policy beside its identifier.
func policyDetails(v *jws.Value) *signature.Policy {
	id := v.Member("id")
	out := &signature.Policy{Description: text(id, "desc"), Documentation: texts(id.Member("docRefs"))}
	for _, q := range listed(v.Member("sigPQuals").Items()) {
		if url := text(q, "spURI"); out.URL == "" {
			out.URL = url
		}
		if notice := text(q.Member("spUserNotice"), "explText"); out.Notice == "" {
			out.Notice = notice
		}
	}
	value, err := jws.DecodeBase64URL(v.Member("digVal").Text())
	if h := hashByName(v.Member("digAlg")); err == nil && h.Valid() {
		out.Digest = signature.Digest{Algorithm: h.Name(), Value: value}
	}
	return out
}

// objectIdentifier is the id of an oId (TS 119 182-1, 5.4.1): an OID in dotted form, or a URI.
func objectIdentifier(oID *jws.Value) string {
	id := text(oID, "id")
	if oid, ok := strings.CutPrefix(strings.ToLower(id), "urn:oid:"); ok {
		return oid
	}
	return id
}

func text(v *jws.Value, member string) string { return string(v.Member(member).Text()) }

func texts(v *jws.Value) []string {
	var list []string
	for _, e := range listed(v.Items()) {
		list = append(list, string(e.Text()))
	}
	return list
}

func listed(items []*jws.Value) []*jws.Value { return items[:min(len(items), signature.MaxClaims)] }
