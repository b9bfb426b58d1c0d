// Package etsi writes reports as XML that ETSI TS 119 102-2 V1.4.1 defines, for whoever reads validation reports of any
// validator. URIs that ETSI leaves open (building blocks, qualifications, messages) are those of the Commission's DSS.
//
// What it writes follows from the report alone: the same report gives the same octets. The report is not signed.
// Objects stand in it by their digests.
package etsi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"

	"trustcore/verify"
	"trustcore/verify/trace"
)

// ErrNoTrace tells that the report does not hold what this form of it is made of: its trace was not asked for.
var ErrNoTrace = errors.New("etsi: the report has no trace")

// The namespaces.
const (
	namespace = "http://uri.etsi.org/19102/v1.4.1#"
	dsNS      = "http://www.w3.org/2000/09/xmldsig#"
	xadesNS   = "http://uri.etsi.org/01903/v1.3.2#"
	xsNS      = "http://www.w3.org/2001/XMLSchema"
	xsiNS     = "http://www.w3.org/2001/XMLSchema-instance"
)

// Marshal writes the report as a ValidationReport (TS 119 102-2 4.2). The error is ErrNoTrace.
func Marshal(r *verify.Report) ([]byte, error) {
	if r.Trace == nil {
		return nil, ErrNoTrace
	}
	w := newWriter(r.Trace)
	root := validationReport{Default: namespace, DS: dsNS, XAdES: xadesNS, XS: xsNS, XSI: xsiNS, Objects: w.objects()}
	for i := range r.Trace.Signatures {
		root.Signatures = append(root.Signatures, w.signature(&r.Trace.Signatures[i]))
	}
	for i := len(r.Trace.Signatures); i < len(r.Signatures); i++ {
		root.Signatures = append(root.Signatures, w.unread(&r.Signatures[i]))
	}
	if root.Signatures == nil { // the schema asks for one
		root.Signatures = []signatureReport{{Status: status{Indication: noSignatureFound}}}
	}
	var out bytes.Buffer
	out.WriteString(xml.Header)
	e := xml.NewEncoder(&out)
	e.Indent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("etsi: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// writer turns one trace into elements.
type writer struct {
	*trace.Trace
	signatures   map[string]*trace.Signature
	certificates map[string]*trace.Certificate
	stamps       map[string]*trace.Timestamp
	data         map[string]*trace.SignedData
	counters     map[string][]*trace.Signature // that countersign the signature of the id
	known        map[string]bool               // whatever an attribute of the type IDREF may name
	kinds        map[string]string             // "CRL" or "OCSP", of revocation data
	proven       map[string]trace.Proof        // of what has no proof of its own in the trace
}

func newWriter(t *trace.Trace) *writer {
	w := &writer{Trace: t, signatures: map[string]*trace.Signature{}, certificates: map[string]*trace.Certificate{},
		stamps: map[string]*trace.Timestamp{}, data: map[string]*trace.SignedData{},
		counters: map[string][]*trace.Signature{},
		known:    map[string]bool{}, kinds: map[string]string{}, proven: map[string]trace.Proof{}}
	for i := range t.Signatures {
		s := &t.Signatures[i]
		w.signatures[s.ID], w.known[s.ID] = s, true
		if s.Parent != "" {
			w.counters[s.Parent] = append(w.counters[s.Parent], s)
		}
	}
	for i := range t.Certificates {
		c := &t.Certificates[i]
		w.certificates[c.ID], w.known[c.ID] = c, true
	}
	for i := range t.Timestamps {
		s := &t.Timestamps[i]
		w.stamps[s.ID], w.known[s.ID] = s, true
		if passed(s.Conclusion) && s.Time != nil {
			w.prove(s.Covers, trace.Proof{Time: *s.Time, By: s.ID})
		}
	}
	for i := range t.EvidenceRecords {
		e := &t.EvidenceRecords[i]
		w.known[e.ID] = true
		if e.Time != nil {
			w.prove(e.Covers, trace.Proof{Time: *e.Time, By: e.ID})
		}
	}
	for _, r := range t.Revocations {
		w.known[r.ID], w.kinds[r.ID] = true, r.Kind
	}
	for _, o := range t.Orphans {
		w.known[o.ID], w.kinds[o.ID] = true, o.Kind
	}
	for i := range t.SignedData {
		d := &t.SignedData[i]
		w.data[d.ID], w.known[d.ID] = d, true
	}
	return w
}

func (w *writer) prove(ids []string, p trace.Proof) {
	for _, id := range ids {
		if earlier, there := w.proven[id]; !there || p.Time.Before(earlier.Time) {
			w.proven[id] = p
		}
	}
}

// reference names an object of the report; nil where it does not hold it.
func (w *writer) reference(id string) *reference {
	if !w.known[id] {
		return nil
	}
	return &reference{id}
}

// references names those that the report holds.
func (w *writer) references(ids []string) []reference {
	var list []reference
	for _, id := range ids {
		if w.known[id] {
			list = append(list, reference{id})
		}
	}
	return list
}

// poe is a proof of existence (TS 119 102-2 4.4.6); nil for a time that can't be written.
func (w *writer) poe(p trace.Proof) *poe {
	at := dateTime(&p.Time)
	if at == "" {
		return nil
	}
	return &poe{Time: at, Type: derivedPOE, Object: w.reference(p.By)}
}
