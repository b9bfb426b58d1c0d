package etsi

import (
	"crypto/sha256"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"trustcore/verify/trace"
)

// attributes are what the signature carries beside its value (annex A); nil for nothing.
func (w *writer) attributes(s *trace.Signature) *attributes {
	a := &attributes{Certificate: w.signingCertificate(s), Place: placeOf(s), Counter: w.countersigned(s)}
	if at := dateTime(s.SigningTime); at != "" {
		a.SigningTime = &timeAttribute{attribute{Signed: true}, at}
	}
	if c := s.Attributes; c.ContentType != "" || c.MimeType != "" {
		a.Format = &formatAttribute{attribute: attribute{Signed: true}, MimeType: c.MimeType}
		if c.ContentType != "" {
			a.Format.ContentType = anyURI(c.ContentType)
		}
	}
	for _, c := range s.Attributes.Commitments {
		a.Commitments = append(a.Commitments, commitmentAttribute{attribute{Signed: true}, anyURI(c.ID)})
	}
	if s.Policy != nil {
		a.Policy = &policyAttribute{attribute{Signed: true}, anyURI(s.Policy.ID)}
	}
	if len(s.Attributes.Roles) > 0 {
		a.Role = &roleAttribute{attribute: attribute{Signed: true}}
		for _, r := range s.Attributes.Roles {
			a.Role.Roles = append(a.Role.Roles, role{r, "claimed"})
		}
	}
	for _, r := range s.References {
		if r.Type == "message-digest" && a.Digest == nil && len(r.Digest.Value) > 0 {
			a.Digest = &digestAttribute{attribute{Signed: true}, encode(r.Digest.Value)}
		}
	}
	for _, id := range s.Timestamps {
		if t := w.stamps[id]; t != nil {
			a.stamp(t)
		}
	}
	w.carried(a, s.Found)
	a.pdf(s.PDF)
	if reflect.ValueOf(*a).IsZero() {
		return nil
	}
	return a
}

// signingCertificate is the attribute that names the certificate (A.3): the object where the report has it.
func (w *writer) signingCertificate(s *trace.Signature) *certificateAttribute {
	if len(s.SigningCertificateRefs) == 0 {
		return nil
	}
	c := &certificateAttribute{attribute: attribute{Signed: true}}
	for _, r := range s.SigningCertificateRefs {
		if o := w.reference(r.Certificate); o != nil {
			c.Objects = append(c.Objects, *o)
		} else if d := digestOf(r.Digest); d != nil {
			c.IDs = append(c.IDs, *d)
		}
	}
	return c
}

func placeOf(s *trace.Signature) *placeAttribute {
	var lines []string
	add := func(line string) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	if p := s.Attributes.Place; p != nil {
		for _, line := range append(p.Address[:len(p.Address):len(p.Address)], p.Street, p.City, p.State, p.Postal,
			p.Country) {
			add(line)
		}
	}
	if s.PDF != nil {
		add(s.PDF.Location)
	}
	if lines == nil {
		return nil
	}
	return &placeAttribute{attribute{Signed: true}, lines}
}

// countersigned are the signatures that countersign this one (A.11).
func (w *writer) countersigned(s *trace.Signature) []counterAttribute {
	var list []counterAttribute
	for _, c := range w.counters[s.ID] {
		list = append(list, counterAttribute{attribute{Objects: []reference{{c.ID}}}, signatureRef(c)})
	}
	return list
}

// stamp adds a time-stamp under the name of its attribute.
func (a *attributes) stamp(t *trace.Timestamp) {
	at := dateTime(t.Time)
	if at == "" {
		return
	}
	one := stampAttribute{attribute{Objects: []reference{{t.ID}}}, at}
	switch t.Type {
	case "CONTENT_TIMESTAMP", "ALL_DATA_OBJECTS_TIMESTAMP":
		one.Signed = true
		a.AllData = append(a.AllData, one)
	case "INDIVIDUAL_DATA_OBJECTS_TIMESTAMP":
		one.Signed = true
		a.IndividualData = append(a.IndividualData, one)
	case "SIGNATURE_TIMESTAMP":
		a.Signature = append(a.Signature, one)
	case "VALIDATION_DATA_REFSONLY_TIMESTAMP":
		a.RefsOnly = append(a.RefsOnly, one)
	case "VALIDATION_DATA_TIMESTAMP":
		a.SigAndRefs = append(a.SigAndRefs, one)
	case "ARCHIVE_TIMESTAMP":
		a.Archive = append(a.Archive, one)
	case "DOCUMENT_TIMESTAMP":
		a.Document = append(a.Document, one)
	case "VRI_TIMESTAMP":
		a.VRI = append(a.VRI, storeAttribute{Stamp: &one})
	}
}

// pdf adds the entries of a signature dictionary (A.30 to A.35).
func (a *attributes) pdf(p *trace.PDF) {
	if p == nil {
		return
	}
	signed := attribute{Signed: true}
	if p.Reason != "" {
		a.Reason = &reasonAttribute{signed, p.Reason}
	}
	if p.SignerName != "" {
		a.Name = &nameAttribute{signed, p.SignerName}
	}
	if p.ContactInfo != "" {
		a.Contact = &contactAttribute{signed, p.ContactInfo}
	}
	if p.SubFilter != "" {
		a.SubFilter = &subFilterAttribute{signed, p.SubFilter}
	}
	if p.Filter != "" {
		a.Filter = &filterAttribute{p.Filter}
	}
	var numbers []string
	for _, n := range p.ByteRange {
		numbers = append(numbers, strconv.FormatInt(n, 10))
	}
	a.ByteRange = strings.Join(numbers, " ")
}

// plainID is an Id that an XPath expression can hold.
var plainID = regexp.MustCompile(`^[\pL_][\pL\pN._-]*$`)

// signatureRef names a signature (4.4.7): by its Id in XML, its field in a PDF, else the SHA-256 of its value.
func signatureRef(s *trace.Signature) signatureReference {
	xml := s.Format == "XAdES" || s.Format == "XMLDSig"
	switch {
	case xml && plainID.MatchString(s.Name):
		return signatureReference{Pointer: &pointer{"//*[@Id='" + s.Name + "']"}}
	case s.PDF != nil && len(s.PDF.Fields) > 0:
		return signatureReference{Field: s.PDF.Fields[0]}
	case xml || len(s.Value) == 0:
		return signatureReference{Other: s.ID}
	}
	sum := sha256.Sum256(s.Value)
	return signatureReference{Method: algorithm("SHA-256"), Value: encode(sum[:])}
}
