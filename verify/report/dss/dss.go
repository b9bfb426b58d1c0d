// Package dss writes a validation as the reports of the Commission's DSS, version 6.4, in the JSON of its REST services
// (WSReportsDTO): names, nulls and lists as DSS writes them, so that a client that was made for DSS reads ours.
// Everything is made of the trace of one validation and of the compact report beside it. What the trace does not tell
// is left out.
//
// Ids are those of the trace, and one object has the same id in all reports. Keys of messages are DSS's where DSS has
// the constraint; the texts are our own.
package dss

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"trustcore/verify"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
	"trustcore/verify/trace"
)

// Validation is what reports are made of.
type Validation struct {
	Report *verify.Report // its Trace may be nil where the document was not read to its first signature
	Name   string         // of the document, as the client gave it
	// Signature is the id, or the name in the document, of the one signature that SimpleReport and DetailedReport are to
	// be about; "" is all.
	Signature string
	Tokens    Tokens
	ETSI      []byte // the ETSI validation report, XML; nil where there is none
}

// Tokens says of which objects the octets are wanted in DiagnosticData; of others their digest stands there.
type Tokens struct{ Certificates, Timestamps, Revocations bool }

// ExtractionStrategy reads DSS's TokenExtractionStrategy. It is false for what is none of them, and for those that name
// evidence records: their octets are not at hand. EXTRACT_ALL is all that is.
func ExtractionStrategy(name string) (Tokens, bool) {
	switch name {
	case "NONE":
		return Tokens{}, true
	case "EXTRACT_ALL", "EXTRACT_CERTIFICATES_AND_TIMESTAMPS_AND_REVOCATION_DATA":
		return Tokens{true, true, true}, true
	case "EXTRACT_CERTIFICATES_ONLY":
		return Tokens{Certificates: true}, true
	case "EXTRACT_TIMESTAMPS_ONLY":
		return Tokens{Timestamps: true}, true
	case "EXTRACT_REVOCATION_DATA_ONLY":
		return Tokens{Revocations: true}, true
	case "EXTRACT_CERTIFICATES_AND_TIMESTAMPS":
		return Tokens{Certificates: true, Timestamps: true}, true
	case "EXTRACT_CERTIFICATES_AND_REVOCATION_DATA":
		return Tokens{Certificates: true, Revocations: true}, true
	case "EXTRACT_TIMESTAMPS_AND_REVOCATION_DATA":
		return Tokens{Timestamps: true, Revocations: true}, true
	}
	return Tokens{}, false
}

// Reports is DSS's WSReportsDTO.
type Reports struct {
	ValidationReport *string         `json:"validationReportDataHandler"` // base64
	DiagnosticData   *DiagnosticData `json:"DiagnosticData"`
	SimpleReport     *SimpleReport   `json:"SimpleReport"`
	DetailedReport   *DetailedReport `json:"DetailedReport"`
}

// New makes the reports. It returns nil where there is no signature of the name that is asked for.
func New(v Validation) *Reports {
	w := newWriter(v)
	if v.Signature != "" && len(w.signatures) == 0 {
		return nil
	}
	// Details of the simple report are conclusions of the detailed one.
	detailed := w.detailedReport()
	r := &Reports{DiagnosticData: w.diagnosticData(), DetailedReport: detailed, SimpleReport: w.simpleReport(detailed)}
	if len(v.ETSI) > 0 {
		text := base64.StdEncoding.EncodeToString(v.ETSI)
		r.ValidationReport = &text
	}
	return r
}

// writer finds objects of the trace by their ids.
type writer struct {
	Validation
	trace *trace.Trace
	// signatures are those that SimpleReport and DetailedReport are about.
	signatures []*trace.Signature
	compact    map[string]*verify.SignatureReport // by id of the trace

	byID         map[string]bool // all ids that may be referred to
	certificates map[string]*trace.Certificate
	timestamps   map[string]*trace.Timestamp
	records      map[string]*trace.EvidenceRecord
	revocations  map[string]*trace.Revocation
	orphans      map[string]*trace.Orphan
	data         map[string]*trace.SignedData
	lists        map[string]*trace.TrustedList
	blocks       map[string]*trace.Block

	people poland.Numbers // of the certificates
}

func newWriter(v Validation) *writer {
	v.Name = prose.Text(v.Name)
	w := &writer{Validation: v, trace: complete(v.Report), compact: map[string]*verify.SignatureReport{},
		byID:         map[string]bool{},
		certificates: map[string]*trace.Certificate{}, timestamps: map[string]*trace.Timestamp{},
		revocations: map[string]*trace.Revocation{}, data: map[string]*trace.SignedData{},
		orphans: map[string]*trace.Orphan{}, records: map[string]*trace.EvidenceRecord{},
		lists: map[string]*trace.TrustedList{}, people: v.Report.People()}
	for i := range w.trace.Certificates {
		c := &w.trace.Certificates[i]
		index(w, w.certificates, c.ID, c)
	}
	for i := range w.trace.Timestamps {
		index(w, w.timestamps, w.trace.Timestamps[i].ID, &w.trace.Timestamps[i])
	}
	for i := range w.trace.EvidenceRecords {
		index(w, w.records, w.trace.EvidenceRecords[i].ID, &w.trace.EvidenceRecords[i])
	}
	for i := range w.trace.Revocations {
		index(w, w.revocations, w.trace.Revocations[i].ID, &w.trace.Revocations[i])
	}
	for i := range w.trace.Orphans {
		index(w, w.orphans, w.trace.Orphans[i].ID, &w.trace.Orphans[i])
	}
	for i := range w.trace.SignedData {
		index(w, w.data, w.trace.SignedData[i].ID, &w.trace.SignedData[i])
	}
	for i := range w.trace.Signatures {
		s := &w.trace.Signatures[i]
		w.byID[s.ID] = true
		if i < len(v.Report.Signatures) {
			w.compact[s.ID] = &v.Report.Signatures[i]
		}
		if v.Signature == "" || v.Signature == s.ID || v.Signature == s.Name {
			w.signatures = append(w.signatures, s)
		}
	}
	w.chooseLists()
	return w
}

func index[T any](w *writer, into map[string]*T, id string, object *T) {
	into[id], w.byID[id] = object, true
}

// chooseLists leaves the lists that a service of a path stands in, and those above them.
func (w *writer) chooseLists() {
	used := map[string]bool{}
	for _, c := range w.trace.Certificates {
		for _, s := range c.Services {
			used[s.List] = true
		}
	}
	for i := range w.trace.TrustedLists {
		if l := &w.trace.TrustedLists[i]; used[l.ID] || l.Role == "lotl" && len(used) > 0 {
			index(w, w.lists, l.ID, l)
		}
	}
}

// complete is the trace of the report with an entry for each of the compact report's signatures: where a limit kept the
// document from being read, that report alone has one.
func complete(r *verify.Report) *trace.Trace {
	t := trace.Trace{ValidationTime: r.ValidationTime, Policy: trace.Policy{Name: r.Policy,
		Version: r.PolicyVersion, Digest: r.PolicyDigest}}
	if r.Trace != nil {
		t = *r.Trace
	}
	if len(t.Signatures) >= len(r.Signatures) {
		return &t
	}
	t.Signatures = slices.Clone(t.Signatures)
	for i, s := range r.Signatures[len(t.Signatures):] {
		t.Signatures = append(t.Signatures, trace.Signature{
			ID: fmt.Sprintf("%s%s-%d", trace.SignatureID, strings.ToUpper(r.SHA256), i+1), Name: s.ID,
			Format: s.Format, Level: s.Level,
			BestSignatureTime: trace.Proof{Time: s.BestSignatureTime},
			Qualification:     trace.Qualification{Value: s.Qualification},
			Conclusion: trace.Conclusion{Indication: string(s.Indication), SubIndication: string(s.SubIndication),
				Reasons: s.Reasons},
		})
	}
	return &t
}

// known leaves the ids whose objects are in the reports.
func (w *writer) known(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !w.byID[id] })
}

// Message is a text with the key by which programs tell it.
type Message struct {
	Value string  `json:"value"`
	Key   *string `json:"Key"`
}

// ours is the key of messages that DSS has none for.
const ours = "TRUSTCORE"

// Own is a message that DSS has no key for.
func Own(text string) Message { return message(ours, text) }

func message(key, text string) Message { return Message{text, &key} }
