package dss

import (
	"strings"

	"trustcore/verify/trace"
)

// SignatureQualification is what the lists say of a signature (TS 119 615).
type SignatureQualification struct {
	ValidationCertificateQualification []CertificateQualification `json:"ValidationCertificateQualification"`
	QWACProcess                        *struct{}                  `json:"QWACProcess"`
	Block
	SignatureQualification string `json:"SignatureQualification"`
}

// CertificateQualification is what they say of its certificate at a time.
type CertificateQualification struct {
	Block
	ID                       string `json:"Id"`
	DateTime                 *Time  `json:"DateTime"`
	ValidationTime           string `json:"ValidationTime"`
	CertificateQualification string `json:"CertificateQualification"`
}

// TimestampQualification is what the lists say of a time-stamp.
type TimestampQualification struct {
	AtTimes []TimestampQualificationAt `json:"ValidationTimestampQualificationAtTime"`
	Block
	TimestampQualification string `json:"TimestampQualification"`
}

// TimestampQualificationAt is what they say of it at a time.
type TimestampQualificationAt struct {
	Block
	DateTime               *Time  `json:"DateTime"`
	ValidationTime         string `json:"ValidationTime"`
	TimestampQualification string `json:"TimestampQualification"`
}

// TLAnalysis is what is known of a trusted list.
type TLAnalysis struct {
	Block
	CountryCode *string `json:"CountryCode"`
	URL         string  `json:"URL"`
	ID          string  `json:"Id"`
}

// step is one question of a qualification, under DSS's key, with what is said where the answer is no.
func step(key, asks, no string, ok bool, otherwise trace.Status) Constraint {
	if ok {
		otherwise = trace.OK
	}
	return newConstraint(key, key+"_ANS", asks, otherwise, no)
}

// concluded is a block of steps; it failed where one of them is not met.
func concluded(title string, steps ...Constraint) Block {
	found, indication := newMessages(), "PASSED"
	for _, s := range steps {
		found.constraint(s)
	}
	if len(found.Errors) > 0 {
		indication = "FAILED"
	}
	return Block{Constraint: steps, Title: title, Conclusion: found.concluded(indication, nil)}
}

func (w *writer) qualification(s *trace.Signature) *SignatureQualification {
	q := s.Qualification
	if q.Value == "" {
		return nil
	}
	signed := q.AtSigning
	steps := []Constraint{w.isAdES(s), listReached(signed.Found)}
	if signed.Found {
		steps = append(steps, w.listsAccepted(s.Chain)...)
		steps = append(steps,
			step("QUAL_QC_AT_ST", "Is the certificate qualified at the best-signature-time?",
				"The certificate is not qualified at the best-signature-time.", signed.Qualified, trace.Warning),
			step("QUAL_CERT_TYPE_AT_ST", "Is its type known then?",
				"Whether the certificate is for signatures or seals is not known.",
				signed.Type != "", trace.Warning),
			step("QUAL_QC_AT_CC", "Was it qualified when it was issued?",
				"The certificate was not qualified when it was issued.",
				q.AtIssuance.Qualified, trace.Warning),
			step("QUAL_QSCD_AT_ST", "Does its key lie in a qualified device at the best-signature-time?",
				"The private key is not known to lie in a qualified device.", signed.Device, trace.Warning))
	}
	d := &SignatureQualification{SignatureQualification: q.Value,
		Block:                              concluded("Qualification of the signature", steps...),
		ValidationCertificateQualification: []CertificateQualification{}}
	for _, at := range [...]struct {
		name string
		is   trace.CertificateQualification
	}{{"CERTIFICATE_ISSUANCE_TIME", q.AtIssuance}, {"BEST_SIGNATURE_TIME", q.AtSigning}} {
		if at.is.Time != nil && s.SigningCertificate != "" && at.is.Found {
			d.ValidationCertificateQualification = append(d.ValidationCertificateQualification,
				certificateQualification(s.SigningCertificate, at.name, at.is))
		}
	}
	return d
}

func listReached(ok bool) Constraint {
	return step("QUAL_CERT_TRUSTED_LIST_REACHED", "Does the path lead to a trusted list?",
		"The path leads to no trusted list.", ok, trace.NotOK)
}

// isAdES asks whether the signature is an AdES signature at all.
func (w *writer) isAdES(s *trace.Signature) Constraint {
	const key, asks = "QUAL_IS_ADES", "Is the signature an AdES digital signature that passed?"
	switch s.Conclusion.Indication {
	case "TOTAL-PASSED":
		return newConstraint(key, key, asks, trace.OK, "")
	case "TOTAL-FAILED":
		return newConstraint(key, key+"_INV", asks, trace.Warning, "The signature failed.")
	}
	return newConstraint(key, key+"_IND", asks, trace.Warning,
		"Whether the signature is valid could not be determined.")
}

func certificateQualification(id, name string, q trace.CertificateQualification) CertificateQualification {
	kind := "CC"
	if name == "BEST_SIGNATURE_TIME" {
		kind = "ST"
	}
	steps := []Constraint{
		step("QUAL_TL_SERV_CONS", "Do the services agree?", "Services of the trusted lists contradict each other.",
			!q.Conflict, trace.Warning),
		step("QUAL_QC_AT_"+kind, "Is the certificate qualified?", "The certificate is not qualified.", q.Qualified,
			trace.Warning),
		step("QUAL_CERT_TYPE_AT_"+kind, "Is its type known?", "The certificate's type is not known.", q.Type != "",
			trace.Warning),
		step("QUAL_QSCD_AT_"+kind, "Does its key lie in a qualified device?",
			"The key is not known to lie in a qualified device.",
			q.Device, trace.Warning),
	}
	if q.Conflict {
		steps[0].Warning.Key = orNil("QUAL_TL_SERV_CONS_ANS0")
	}
	d := CertificateQualification{ID: id, DateTime: momentOrNil(q.Time), ValidationTime: name,
		CertificateQualification: CertificateName(q), Block: concluded("Qualification of the certificate", steps...)}
	if len(q.Because) > 0 {
		because := strings.Join(q.Because, "; ")
		d.Constraint[1].AdditionalInfo = &because
	}
	return d
}

// CertificateName is one of DSS's names of what the lists say of a certificate; a stock client fails on any other.
func CertificateName(q trace.CertificateQualification) string {
	kind := map[string]string{"ESIG": "eSig", "ESEAL": "eSeal", "WSA": "WSA"}[q.Type]
	if kind == "" {
		kind = "unknown type"
	}
	switch {
	case !q.Found || q.Conflict:
		return "N/A"
	case !q.Qualified:
		return "Cert for " + kind
	case q.Device && kind != "WSA":
		return "QC for " + kind + " with QSCD"
	}
	return "QC for " + kind
}

func (w *writer) timestampQualification(t *trace.Timestamp) *TimestampQualification {
	if timestampLevels[t.Qualification] == "" {
		return nil
	}
	d := &TimestampQualification{TimestampQualification: t.Qualification, AtTimes: []TimestampQualificationAt{}}
	steps := []Constraint{listReached(len(t.Listed) > 0)}
	if len(t.Listed) > 0 {
		steps = append(steps, w.listsAccepted(t.Chain)...)
	}
	d.Block = concluded("Qualification of the time-stamp", steps...)
	for i, at := range t.Listed[:min(len(t.Listed), len(stampTimes))] {
		d.AtTimes = append(d.AtTimes, TimestampQualificationAt{DateTime: momentOrNil(&at.Time), ValidationTime: stampTimes[i],
			TimestampQualification: at.Qualification, Block: concluded("Qualification of the time-stamp at a time",
				step("QUAL_HAS_QTST", "Does a time-stamping service stand above the unit?",
					"No time-stamping service stands above the unit.", at.Qualification != "N/A", trace.NotOK),
				step("QUAL_HAS_GRANTED_AT", "Was a qualified one granted at the time?",
					"No qualified time-stamping service was granted at the time.", at.Qualification == "QTSA", trace.Warning))})
	}
	return d
}

// stampTimes are DSS's names of the times at which a unit is looked up, in the order of the trace.
var stampTimes = [...]string{"TIMESTAMP_GENERATION_TIME", "TIMESTAMP_POE_TIME"}

// listsAccepted asks for the lists that a path leads to, and those above them.
func (w *writer) listsAccepted(chain []trace.ChainItem) []Constraint {
	used := map[string]bool{}
	for _, item := range chain {
		c := w.certificates[item.Certificate]
		if c == nil {
			continue
		}
		for _, s := range c.Services {
			if l := w.lists[s.List]; l != nil {
				used[l.ID], used[l.Parent] = true, true
			}
		}
	}
	var steps []Constraint
	accepted := false
	for i := range w.trace.TrustedLists {
		l := w.lists[w.trace.TrustedLists[i].ID]
		if l == nil || !used[l.ID] {
			continue
		}
		key := "QUAL_TRUSTED_LIST_ACCEPT"
		if l.Role == "lotl" {
			key = "QUAL_LIST_OF_TRUSTED_LISTS_ACCEPT"
		}
		s := step(key, "Is the trusted list acceptable?", "The trusted list does not count: "+l.Error, l.WellSigned,
			trace.Warning)
		s.ID, s.AdditionalInfo = &l.ID, orNil("Trusted list : "+listURL(l))
		steps, accepted = append(steps, s), accepted || l.WellSigned && l.Role != "lotl"
	}
	return append(steps, step("QUAL_VALID_TRUSTED_LIST_PRESENT", "Has an acceptable trusted list been found?",
		"No acceptable trusted list has been found.", accepted, trace.Warning))
}

func (w *writer) listAnalysis() []TLAnalysis {
	analyses := []TLAnalysis{}
	for i := range w.trace.TrustedLists {
		l := w.lists[w.trace.TrustedLists[i].ID]
		if l == nil {
			continue
		}
		steps := []Constraint{step("QUAL_TL_WS", entries["TLWellSigned"].asks,
			"The trusted list does not count: "+l.Error, l.WellSigned, trace.NotOK)}
		if !l.NextUpdate.IsZero() {
			steps = append(steps, step("QUAL_TL_EXP", entries["TLNotExpired"].asks,
				"The trusted list's next update is past.",
				l.NextUpdate.After(w.trace.ValidationTime), trace.Warning))
		}
		analyses = append(analyses, TLAnalysis{ID: l.ID, URL: listURL(l), CountryCode: orNil(l.Territory),
			Block: concluded(strings.TrimSpace("Trusted list "+l.Territory), steps...)})
	}
	return analyses
}

// listURL is where the list above says that it lies, or the name that it lies under: DSS's field is mandatory.
func listURL(l *trace.TrustedList) string {
	if l.Location == "" {
		return l.File
	}
	return l.Location
}

// reason is one of DSS's names of RFC 5280's, or nil.
func reason(name string) *string {
	switch name {
	case "cACompromise", "aACompromise", "unspecified", "keyCompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "removeFromCRL", "privilegeWithdrawn":
		return &name
	}
	return nil
}
