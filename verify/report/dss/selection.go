package dss

import (
	"fmt"

	"trustcore/verify/trace"
)

// CRS is which revocation data about a certificate are relied on.
type CRS struct {
	RAC                          []RAC    `json:"RAC"`
	AcceptableRevocationID       []string `json:"AcceptableRevocationId"`
	ID                           string   `json:"Id"`
	LatestAcceptableRevocationID *string  `json:"LatestAcceptableRevocationId"`
	Block
}

// RAC is the acceptance of one revocation datum for a certificate.
type RAC struct {
	RevocationThisUpdate     Time   `json:"RevocationThisUpdate"`
	RevocationProductionDate Time   `json:"RevocationProductionDate"`
	CRS                      *CRS   `json:"CRS"`
	ID                       string `json:"Id"`
	Block
}

// selection tells of the revocation data that conclusions on a certificate rest on; nil where there are none. What is
// relied on is acceptable: else nothing would rest on it.
func (w *writer) selection(c *trace.Certificate) *CRS {
	d := &CRS{ID: c.ID, RAC: []RAC{}, AcceptableRevocationID: []string{}}
	var steps []Constraint
	for _, s := range c.Revocations {
		r := w.revocations[s.Revocation]
		if r == nil || len(r.Blocks) == 0 || r.ThisUpdate == nil || r.ProducedAt == nil {
			continue
		}
		d.RAC = append(d.RAC, acceptance(c, r))
		d.AcceptableRevocationID = append(d.AcceptableRevocationID, r.ID)
		d.LatestAcceptableRevocationID = &d.AcceptableRevocationID[0]
		step := newConstraint("BBB_XCV_RAC", "", "Is the revocation acceptance check conclusive?", trace.OK, "")
		step.ID, step.BlockType = &r.ID, orNil("RAC")
		step.AdditionalInfo = orNil(fmt.Sprintf("Id = %s, thisUpdate = %s, production time = %s", r.ID, moment(*r.ThisUpdate),
			moment(*r.ProducedAt)))
		steps = append(steps, step)
	}
	if len(d.RAC) == 0 {
		return nil
	}
	found := newConstraint("BBB_XCV_IARDPFC", "", entries["AcceptableRevocationDataFound"].asks, trace.OK, "")
	found.AdditionalInfo = orNil("Latest acceptable revocation : " + *d.LatestAcceptableRevocationID)
	d.Block = concluded("Certificate revocation data selector", append(steps, found)...)
	return d
}

// acceptance is what was asked of a revocation datum before anything rested on it.
func acceptance(c *trace.Certificate, r *trace.Revocation) RAC {
	met := func(name, info string) Constraint {
		e := entries[name]
		key := e.key
		if e.revocation != "" {
			key = e.revocation
		}
		step := newConstraint(key, "", e.asks, trace.OK, "")
		step.AdditionalInfo = orNil(info)
		return step
	}
	validity := fmt.Sprintf("certificate validity range : %s - %s", moment(c.NotBefore), moment(c.NotAfter))
	steps := []Constraint{met("UnknownStatus", ""), met("RevocationIssuerKnown", ""), met("SignatureIntact", ""),
		met("ThisUpdatePresent", ""), met("RevocationIssuerValidAtProductionTime", "")}
	if r.Kind == "OCSP" {
		steps = append(steps, met("OCSPResponderIdMatch", ""))
	}
	steps = append(steps, met("RevocationAfterCertificateIssuance",
		fmt.Sprintf("Revocation thisUpdate %s, %s", moment(*r.ThisUpdate), validity)),
		met("RevocationHasInformationAboutCertificate", ""))
	return RAC{RevocationThisUpdate: moment(*r.ThisUpdate), RevocationProductionDate: moment(*r.ProducedAt), ID: r.ID,
		Block: concluded("Revocation acceptance checker", steps...)}
}

// latest is the datum that was chosen, else what stands in its place.
func (c *CRS) latest(otherwise string) *string {
	if c == nil {
		return &otherwise
	}
	return c.LatestAcceptableRevocationID
}
