package poland

import (
	"slices"

	"trustcore/verify/certificate"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// DocumentType is what a document is that proves something by itself.
type DocumentType string

// The types.
const (
	NoReceipt        DocumentType = ""
	UPP              DocumentType = "upp" // urzędowe poświadczenie przedłożenia (ePUAP)
	UPD              DocumentType = "upd" // urzędowe poświadczenie doręczenia
	NPP              DocumentType = "npp" // poświadczenie nieprzedłożenia
	UPO              DocumentType = "upo" // another official receipt
	DeliveryEvidence DocumentType = "edelivery-evidence"
	KSeFReceipt      DocumentType = "ksef-upo"
	PaymentNotice    DocumentType = "payment-notice"
)

// DocumentShape is how a type of document is known: by the namespace of its root, and by what the root holds.
type DocumentShape struct {
	Type      DocumentType `json:"type"`
	Namespace string       `json:"namespace"`
	Root      string       `json:"root"`
	Child     string       `json:"child"` // the one element in the root beside signatures, "" for any
}

// The namespaces. A namespace that only looks like one of them is another.
const (
	nsReceipt  = "http://crd.gov.pl/xml/schematy/UPO/2008/05/09/"
	nsOfficial = "urn:trustcore:receipt:upo:1"   // of offices that confirm outside of ePUAP
	nsEvidence = "http://uri.etsi.org/19522/v1#" // EN 319 522-3
)

var shapes = []DocumentShape{
	{UPP, nsReceipt, "Dokument", "UPP"},
	{UPD, nsReceipt, "Dokument", "UPD"},
	{NPP, nsReceipt, "Dokument", "NPP"},
	{UPO, nsOfficial, "Dokument", "UPO"},
	{DeliveryEvidence, nsEvidence, "Evidence", ""},
	{KSeFReceipt, "http://upo.schematy.mf.gov.pl/KSeF/v4-2", "Potwierdzenie", ""},
	{KSeFReceipt, "http://upo.schematy.mf.gov.pl/KSeF/v4-3", "Potwierdzenie", ""},
}

// TypeOf tells what a document is whose root a signature covers as a whole. What nobody signed is no receipt.
func (p *Pins) TypeOf(root signature.Root, signed []*signature.Signature) DocumentType {
	if root.Local == "" || !slices.ContainsFunc(signed, coversDocument) {
		return NoReceipt
	}
	for _, list := range [2][]DocumentShape{shapes, p.Documents} {
		for _, s := range list {
			if s.Namespace == root.Space && s.Root == root.Local && (s.Child == "" || s.Child == root.Child) {
				return s.Type
			}
		}
	}
	return NoReceipt
}

// coversDocument tells whether the signature stands, and is about the whole of the document that it lies in.
func coversDocument(s *signature.Signature) bool {
	return s.Intact && s.CounterSignatureOf == "" && len(s.Structure) == 0 && len(s.Constraints) == 0 &&
		slices.ContainsFunc(s.References, func(r signature.Reference) bool { return r.Full && r.Intact && !r.Outside })
}

// Reference is what became of the document that a receipt is about.
type Reference string

// The outcomes.
const (
	Matched   Reference = "matched"
	Absent    Reference = "absent"
	Different Reference = "different"
)

// ReferenceOf compares what a receipt names beside itself with the files that were given.
func ReferenceOf(signed []*signature.Signature) Reference {
	found := Absent
	for _, s := range signed {
		whole := coversDocument(s)
		for _, r := range s.References {
			switch {
			case !r.Outside || !whole:
			case r.Found && !r.Intact:
				return Different
			case !r.Found:
				return Absent
			default:
				found = Matched
			}
		}
	}
	return found
}

// Standing of who made a receipt.
type IssuerStanding string

// The standings.
const (
	IssuerGranted   IssuerStanding = "granted"   // a service of a trusted list that is entitled to make such documents
	IssuerWithdrawn IssuerStanding = "withdrawn" // one that was not when it signed
	IssuerPinned    IssuerStanding = "pinned"    // the list of pins names its key for such documents
	IssuerNone      IssuerStanding = "none"      // nobody vouches for it
)

// services of a trusted list that make evidence of electronic registered delivery (TS 119 612 5.5.1).
var delivery = []string{"http://uri.etsi.org/TrstSvc/Svctype/EDS/Q", "http://uri.etsi.org/TrstSvc/Svctype/EDS/REM/Q"}

// IssuerOf tells who stands behind a receipt that passed: a seal by itself proves no delivery.
func (p *Pins) IssuerOf(t DocumentType, f *Facts, lists *trustlist.Snapshot) IssuerStanding {
	stands := f.Signer != nil && f.Anchor != nil && f.Standing != Unproven && coversDocument(f.Signature)
	switch {
	case stands && p.receiptPinned(t, f):
		return IssuerPinned
	case t == DeliveryEvidence && f.Signer != nil:
		if s := deliveryService(f, lists); stands || s == IssuerWithdrawn {
			return s
		}
	case stands && t == KSeFReceipt && IsQualified(f) && f.AtSigning.Type == trustlist.ForSeals:
		return IssuerGranted
	}
	return IssuerNone
}

func (p *Pins) receiptPinned(t DocumentType, f *Facts) bool {
	for i := range p.Receipts {
		r := &p.Receipts[i]
		seal := TrustedSeal{Certificate: r.Certificate, Key: r.Key, IssuerKey: r.IssuerKey}
		if seal.isOf(f) && r.holds(f.Time) && slices.Contains(r.Documents, t) {
			return true
		}
	}
	return false
}

// deliveryService looks for the signer or its issuer among the services for registered delivery.
func deliveryService(f *Facts, lists *trustlist.Snapshot) IssuerStanding {
	standing := IssuerNone
	for _, c := range []*certificate.Certificate{f.Signer, f.Issuer} {
		if c == nil {
			continue
		}
		for _, a := range lists.Holding(c) {
			if a.Service == nil {
				continue
			}
			period := a.Service.At(f.Time)
			switch {
			case period != nil && slices.Contains(delivery, period.Type) && period.Granted():
				return IssuerGranted
			case slices.ContainsFunc(a.Service.Periods, func(p trustlist.Period) bool { return slices.Contains(delivery, p.Type) }):
				standing = IssuerWithdrawn
			}
		}
	}
	return standing
}
