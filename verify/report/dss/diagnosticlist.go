package dss

import "trustcore/verify/trace"

// TrustedList is a list that trust came from.
type TrustedList struct {
	ID                   string  `json:"Id"`
	CountryCode          *string `json:"CountryCode"`
	URL                  string  `json:"Url"`
	TSLType              *string `json:"TSLType"`
	SequenceNumber       *int    `json:"SequenceNumber"`
	Version              *int    `json:"Version"`
	LastLoading          none    `json:"LastLoading"`
	IssueDate            *Time   `json:"IssueDate"`
	NextUpdate           *Time   `json:"NextUpdate"`
	WellSigned           bool    `json:"WellSigned"`
	StructuralValidation none    `json:"StructuralValidation"`
	LOTL                 *bool   `json:"LOTL"`
	Parent               *string `json:"parent"`
	MRA                  none    `json:"mra"`
}

func (w *writer) trustedList(l *trace.TrustedList) TrustedList {
	d := TrustedList{ID: l.ID, CountryCode: orNil(l.Territory), URL: listURL(l), TSLType: orNil(l.Type),
		IssueDate:  momentOrNil(&l.Issued),
		NextUpdate: momentOrNil(&l.NextUpdate), WellSigned: l.WellSigned, LOTL: trueOrNil(l.Role == "lotl")}
	if l.Sequence > 0 {
		d.SequenceNumber = &l.Sequence
	}
	if l.Version > 0 {
		d.Version = &l.Version
	}
	if w.lists[l.Parent] != nil {
		d.Parent = &l.Parent
	}
	return d
}
