package verify

import (
	"slices"

	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// attributes are what the signer claims beside the signing time.
func attributes(s *signature.Signature) trace.Attributes {
	a := trace.Attributes{Roles: texts(s.Signatory.Roles), MimeType: prose.Short(s.MimeType),
		ContentType: prose.Short(s.Claims.ContentType)}
	for _, c := range s.Claims.Commitments {
		a.Commitments = append(a.Commitments, trace.Commitment{ID: prose.Text(c.ID), Description: prose.Text(c.Description),
			Documentation: texts(c.Documentation), References: texts(c.Objects)})
	}
	if p := s.Claims.Place; p != nil {
		a.Place = &trace.Place{Address: texts(p.Address), Street: prose.Text(p.Street), City: prose.Text(p.City),
			State: prose.Text(p.State), Postal: prose.Text(p.Postal), Country: prose.Text(p.Country)}
	}
	return a
}

// signaturePolicy is the one that the signer names, nil for none.
func signaturePolicy(s *signature.Signature) *trace.SignaturePolicy {
	if s.PolicyOID == "" {
		return nil
	}
	out := &trace.SignaturePolicy{ID: prose.Text(s.PolicyOID)}
	if p := s.Policy; p != nil {
		out.Description, out.Documentation = prose.Text(p.Description), texts(p.Documentation)
		out.URL, out.Notice, out.Digest = prose.Text(p.URL), prose.Text(p.Notice), kept(p.Digest)
		out.Checked, out.Matches = p.Stored, p.Matches
	}
	return out
}

// dictionary is a signature dictionary, nil for none.
func dictionary(d *signature.Dictionary) *trace.PDF {
	if d == nil {
		return nil
	}
	return &trace.PDF{Fields: []string{prose.Text(d.Field)}, Type: prose.Short(d.Type), Filter: prose.Short(d.Filter),
		SubFilter: prose.Short(d.SubFilter), SignerName: prose.Text(d.Name), Reason: prose.Text(d.Reason),
		Location: prose.Text(d.Location), ContactInfo: prose.Text(d.ContactInfo), ByteRange: slices.Clone(d.ByteRange)}
}
