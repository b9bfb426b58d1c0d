package etsi

import (
	"encoding/hex"
	"strings"
	"time"

	"trustcore/verify/trace"
)

// objects are the validation objects (TS 119 102-2 4.4), nil for none.
func (w *writer) objects() *objectList {
	var l objectList
	for i := range w.Timestamps {
		l.List = append(l.List, w.stamp(&w.Timestamps[i]))
	}
	for i := range w.EvidenceRecords {
		l.List = append(l.List, w.record(&w.EvidenceRecords[i]))
	}
	for i := range w.Certificates {
		c := &w.Certificates[i]
		l.List = append(l.List, object{ID: c.ID, Type: objectURI + "certificate", Representation: byID(c.ID),
			POE: w.poe(c.Existence)})
	}
	for i := range w.Revocations {
		l.List = append(l.List, w.revocation(&w.Revocations[i]))
	}
	for _, o := range w.Orphans {
		l.List = append(l.List, object{ID: o.ID, Type: objectURI + objectTypes[o.Kind], Representation: byID(o.ID),
			POE: w.poe(w.existence(o.ID))})
	}
	for i := range w.SignedData {
		d := &w.SignedData[i]
		l.List = append(l.List, object{ID: d.ID, Type: objectURI + "signedData", Representation: byDigest(d.Digest, d.Name),
			POE: w.poe(w.existence(d.ID))})
	}
	if l.List == nil {
		return nil
	}
	return &l
}

// objectTypes are the last parts of the URIs of certificates and revocation data.
var objectTypes = map[string]string{"certificate": "certificate", "CRL": "CRL", "OCSP": "OCSPResponse"}

// stamp is a time-stamp with its own report (4.4.8).
func (w *writer) stamp(t *trace.Timestamp) object {
	report := &signatureReport{
		Constraints: &constraintsReport{Constraints: w.constraints(t.Blocks, signatureBlocks)},
		Signer:      w.signer(t.SigningCertificate),
		Quality:     &quality{timestampQualificationURI + qualification(t.Qualification)},
		Status:      w.status(t.Conclusion, append(t.Blocks[:len(t.Blocks):len(t.Blocks)], t.Processes...)),
	}
	d := report.Status.Data
	if d.Anchor, d.Chain = w.chain(t.SigningCertificate, t.Chain); d.Crypto == nil {
		d.Crypto = w.valueOf(t.ID, t.Uses)
	}
	report.Status.Data = d.orNothing()
	o := object{ID: t.ID, Type: objectURI + "timestamp", Representation: byDigest(t.Digest, t.Name),
		POE: w.poe(t.Existence), Report: report}
	if passed(t.Conclusion) {
		o.Provides = w.provides(t.Time, t.Covers)
	}
	return o
}

// record is an evidence record with its own report; its time-stamps are objects of their own.
func (w *writer) record(e *trace.EvidenceRecord) object {
	report := &signatureReport{
		Constraints: &constraintsReport{Constraints: w.constraints(e.Blocks, evidenceBlocks)},
		Status:      w.status(e.Conclusion, append(e.Blocks[:len(e.Blocks):len(e.Blocks)], e.Processes...)),
	}
	report.Status.Data.Related = w.references(e.Timestamps)
	report.Status.Data = report.Status.Data.orNothing()
	return object{ID: e.ID, Type: objectURI + "evidencerecord", Representation: byDigest(e.Digest, e.Name),
		POE:      w.poe(w.existence(e.ID)),
		Provides: w.provides(e.Time, e.Covers), Report: report}
}

// revocation is an OCSP response or a CRL. Its report is there where it was judged: the first block that did not pass
// says what it came to.
func (w *writer) revocation(r *trace.Revocation) object {
	o := object{ID: r.ID, Type: objectURI + objectTypes[r.Kind], Representation: byID(r.ID), POE: w.poe(r.Existence)}
	if len(r.Blocks) == 0 {
		return o
	}
	conclusion := trace.Conclusion{Indication: "PASSED"}
	for _, b := range r.Blocks {
		if !passed(b.Conclusion) {
			conclusion = b.Conclusion
			break
		}
	}
	o.Report = &signatureReport{
		Constraints: &constraintsReport{Constraints: w.constraints(r.Blocks, evidenceBlocks)},
		Signer:      w.signer(r.SigningCertificate),
		Status:      w.status(conclusion, r.Blocks),
	}
	d := o.Report.Status.Data
	if d.Anchor, d.Chain = w.chain(r.SigningCertificate, r.Chain); d.Crypto == nil {
		d.Crypto = w.valueOf(r.ID, r.Uses)
	}
	o.Report.Status.Data = d.orNothing()
	return o
}

// provides is what something proves to have existed at a time (4.4.7); nil where it proves nothing.
func (w *writer) provides(at *time.Time, covers []string) *provisioning {
	p := &provisioning{Time: dateTime(at)}
	if p.Time == "" {
		return nil
	}
	for _, id := range covers {
		if s := w.signatures[id]; s != nil {
			p.Signatures = append(p.Signatures, signatureRef(s))
		} else if w.known[id] {
			p.Objects = append(p.Objects, reference{id})
		}
	}
	return p
}

// existence is the proof for what has none of its own in the trace.
func (w *writer) existence(id string) trace.Proof {
	if p, there := w.proven[id]; there {
		return p
	}
	return trace.Proof{Time: w.ValidationTime}
}

// byID is the representation of what has its SHA-256 in its id.
func byID(id string) representation {
	_, sha256, _ := strings.Cut(id, "-")
	sum, err := hex.DecodeString(sha256)
	if err != nil {
		return representation{Direct: id}
	}
	return byDigest(trace.Digest{Algorithm: "SHA-256", Value: sum}, id)
}

// byDigest represents an object by its digest, else by its name (4.4.5).
func byDigest(d trace.Digest, name string) representation {
	if digest := digestOf(d); digest != nil {
		return representation{Digest: digest}
	}
	if name == "" {
		name = "unknown"
	}
	return representation{Direct: name}
}
