package etsi

import (
	"slices"
	"strings"

	"trustcore/verify/trace"
)

// carried adds the attributes that carry evidence (A.19 to A.23, A.27, A.28), each with the objects that it holds. What
// stands in ds:KeyInfo or in a CMS SignedData stands in no attribute.
func (w *writer) carried(a *attributes, f trace.Found) {
	plain := func(origin trace.Origin) *attribute {
		objects := slices.Concat(w.from(origin, f.Certificates, ""), w.from(origin, f.Revocations, ""))
		if objects == nil {
			return nil
		}
		return &attribute{Objects: []reference{{strings.Join(objects, " ")}}}
	}
	a.Certificates, a.Revocations = plain("CERTIFICATE_VALUES"), plain("REVOCATION_VALUES")
	a.Attribute, a.AttributeRevs = plain("ATTR_AUTHORITIES_CERT_VALUES"), plain("ATTRIBUTE_REVOCATION_VALUES")
	a.StampData = plain("TIMESTAMP_VALIDATION_DATA")
	store := func(origin trace.Origin) *storeAttribute {
		s := storeAttribute{Certificates: joined(w.from(origin, f.Certificates, "")),
			CRLs: joined(w.from(origin, f.Revocations, "CRL")), OCSPs: joined(w.from(origin, f.Revocations, "OCSP"))}
		if s.Certificates == nil && s.CRLs == nil && s.OCSPs == nil {
			return nil
		}
		return &s
	}
	a.DSS = store("DSS_DICTIONARY")
	if vri := store("VRI_DICTIONARY"); vri != nil {
		a.VRI = append(a.VRI, *vri)
	}
}

// from are the objects of the report that a part of the document holds, of one kind where it is given.
func (w *writer) from(origin trace.Origin, list []trace.Carried, kind string) []string {
	var ids []string
	for _, c := range list {
		if w.known[c.Object] && slices.Contains(c.Origins, origin) && (kind == "" || w.kinds[c.Object] == kind) {
			ids = append(ids, c.Object)
		}
	}
	return ids
}

func joined(ids []string) *reference {
	if ids == nil {
		return nil
	}
	return &reference{strings.Join(ids, " ")}
}
