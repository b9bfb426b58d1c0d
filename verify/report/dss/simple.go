package dss

import (
	"slices"
	"time"

	"trustcore/verify"
	"trustcore/verify/trace"
)

// SimpleReport is DSS's (SimpleReport.xsd).
type SimpleReport struct {
	ValidationPolicy     SimplePolicy  `json:"ValidationPolicy"`
	DocumentName         string        `json:"DocumentName"`
	ValidSignaturesCount int           `json:"ValidSignaturesCount"`
	SignaturesCount      int           `json:"SignaturesCount"`
	ContainerType        *string       `json:"ContainerType"`
	PDFAInfo             *struct{}     `json:"PDFAInfo"`
	Tokens               []SimpleToken `json:"signatureOrTimestampOrEvidenceRecord"`
	Semantic             *struct{}     `json:"Semantic"`
	ValidationTime       Time          `json:"ValidationTime"`
}

// SimplePolicy names the validation policy.
type SimplePolicy struct {
	PolicyName        string `json:"PolicyName"`
	PolicyDescription string `json:"PolicyDescription"`
}

// SimpleToken holds one of the three.
type SimpleToken struct {
	Signature      *SimpleSignature      `json:"Signature,omitempty"`
	Timestamp      *SimpleTimestamp      `json:"Timestamp,omitempty"`
	EvidenceRecord *SimpleEvidenceRecord `json:"EvidenceRecord,omitempty"`
}

// simpleVerdict is what signatures, time-stamps and evidence records have in common.
type simpleVerdict struct {
	Filename              *string      `json:"Filename"`
	CertificateChain      *SimpleChain `json:"CertificateChain"`
	Indication            string       `json:"Indication"`
	SubIndication         *string      `json:"SubIndication"`
	AdESValidationDetails *Details     `json:"AdESValidationDetails"`
	QualificationDetails  *Details     `json:"QualificationDetails"`
	ExtensionPeriodMin    *Time        `json:"ExtensionPeriodMin"`
	ExtensionPeriodMax    *Time        `json:"ExtensionPeriodMax"`
	ID                    string       `json:"Id"`
}

// SimpleSignature is one signature.
type SimpleSignature struct {
	SigningTime       *Time            `json:"SigningTime"`
	BestSignatureTime Time             `json:"BestSignatureTime"`
	SignedBy          *string          `json:"SignedBy"`
	SignatureLevel    SimpleLevel      `json:"SignatureLevel"`
	SignatureScope    []SimpleScope    `json:"SignatureScope"`
	Timestamps        *SimpleTimes     `json:"Timestamps"`
	EvidenceRecords   *SimpleEvidences `json:"EvidenceRecords"`
	simpleVerdict
	CounterSignature *bool   `json:"CounterSignature"`
	ParentID         *string `json:"ParentId"`
	SignatureFormat  string  `json:"SignatureFormat"`
}

// SimpleTimestamp is one time-stamp.
type SimpleTimestamp struct {
	ProductionTime  Time             `json:"ProductionTime"`
	ProducedBy      *string          `json:"ProducedBy"`
	TimestampLevel  SimpleLevel      `json:"TimestampLevel"`
	TimestampScope  []SimpleScope    `json:"TimestampScope"`
	EvidenceRecords *SimpleEvidences `json:"EvidenceRecords"`
	simpleVerdict
}

// SimpleEvidenceRecord is one evidence record.
type SimpleEvidenceRecord struct {
	POETime             Time          `json:"POETime"`
	EvidenceRecordScope []SimpleScope `json:"EvidenceRecordScope"`
	Timestamps          *SimpleTimes  `json:"Timestamps"`
	simpleVerdict
	Embedded *bool   `json:"Embedded"`
	ParentID *string `json:"ParentId"`
}

// SimpleLevel is a qualification with words for it.
type SimpleLevel struct {
	Value       string `json:"value"`
	Description string `json:"description"`
}

// SimpleScope is what is covered.
type SimpleScope struct {
	Value string `json:"value"`
	ID    string `json:"Id"`
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

// SimpleTimes and SimpleEvidences are lists in an element of their own.
type SimpleTimes struct {
	Timestamp []SimpleTimestamp `json:"Timestamp"`
}

// SimpleEvidences is a list in an element of its own.
type SimpleEvidences struct {
	EvidenceRecord []SimpleEvidenceRecord `json:"EvidenceRecord"`
}

// SimpleChain is a path, the signing certificate first.
type SimpleChain struct {
	Certificate []SimpleCertificate `json:"Certificate"`
}

// SimpleCertificate is one certificate of it.
type SimpleCertificate struct {
	QualifiedName string        `json:"QualifiedName"`
	TrustAnchors  *TrustAnchors `json:"TrustAnchors"`
	ID            string        `json:"Id"`
	Trusted       *bool         `json:"trusted"`
	SunsetDate    *Time         `json:"sunsetDate"`
}

// TrustAnchors are the services of trusted lists that make a certificate one.
type TrustAnchors struct {
	TrustAnchor []TrustAnchor `json:"TrustAnchor"`
}

// TrustAnchor is one of them.
type TrustAnchor struct {
	TSLType                            *string  `json:"TSLType"`
	TrustServiceProvider               string   `json:"TrustServiceProvider"`
	TrustServiceProviderRegistrationID *string  `json:"TrustServiceProviderRegistrationId"`
	TrustServiceName                   []string `json:"TrustServiceName"`
	CountryCode                        *string  `json:"countryCode"`
}

// Details are the messages about a verdict.
type Details struct {
	Error   []Message `json:"Error"`
	Warning []Message `json:"Warning"`
	Info    []Message `json:"Info"`
}

// policyDescription stands where a policy describes itself by its name alone.
const policyDescription = "Signatures by ETSI EN 319 102-1, algorithms by TS 119 312, qualification by TS 119 615."

func (w *writer) simpleReport(detailed *DetailedReport) *SimpleReport {
	p := w.trace.Policy
	d := &SimpleReport{ValidationPolicy: SimplePolicy{p.Name, p.Description}, DocumentName: w.Name,
		SignaturesCount: len(w.signatures),
		ContainerType:   container(w.trace.Container), Tokens: []SimpleToken{},
		ValidationTime: moment(w.trace.ValidationTime)}
	if p.Description == "" {
		d.ValidationPolicy.PolicyDescription = policyDescription
	}
	for i, s := range w.signatures {
		if s.Conclusion.Indication == string(verify.TotalPassed) {
			d.ValidSignaturesCount++
		}
		d.Tokens = append(d.Tokens, SimpleToken{Signature: w.simpleSignature(s, detailed.Tokens[i].Signature)})
	}
	if w.Signature != "" {
		return d
	}
	for i := range w.trace.Timestamps {
		if t := &w.trace.Timestamps[i]; t.Owner == "" {
			simple := w.simpleTimestamp(t)
			d.Tokens = append(d.Tokens, SimpleToken{Timestamp: &simple})
		}
	}
	for i := range w.trace.EvidenceRecords {
		if e := &w.trace.EvidenceRecords[i]; e.Owner == "" {
			simple := w.simpleRecord(e)
			d.Tokens = append(d.Tokens, SimpleToken{EvidenceRecord: &simple})
		}
	}
	return d
}

func (w *writer) simpleSignature(s *trace.Signature, detailed *Signature) *SimpleSignature {
	d := &SimpleSignature{
		SigningTime: momentOrNil(s.SigningTime), BestSignatureTime: moment(s.BestSignatureTime.Time),
		SignedBy:       w.commonName(s.SigningCertificate),
		SignatureLevel: SimpleLevel{Value: s.Qualification.Value}, SignatureScope: simpleScopes(s.Scopes,
			s.Parent != ""),
		Timestamps: w.simpleTimestamps(s.Timestamps), EvidenceRecords: w.simpleRecords(s.EvidenceRecords),
		simpleVerdict:    w.verdict(s.ID, s.Conclusion, s.Chain),
		CounterSignature: trueOrNil(s.Parent != ""), ParentID: orNil(s.Parent), SignatureFormat: format(s),
	}
	d.Filename = orNil(s.Filename)
	if s.Conclusion.Indication == string(verify.TotalPassed) {
		d.ExtensionPeriodMax = w.extendBefore(s.SigningCertificate, s.Timestamps)
	}
	d.AdESValidationDetails = w.details(contextOf(s), s.Conclusion, s.Blocks, s.Processes)
	if q := detailed.ValidationSignatureQualification; q != nil {
		d.QualificationDetails = &Details{list(q.Conclusion.Errors), list(q.Conclusion.Warnings),
			list(q.Conclusion.Infos)}
	}
	if c := w.compact[s.ID]; c != nil {
		d.SignatureLevel.Description = c.Sentence["en"]
		for _, text := range c.Warnings() {
			d.AdESValidationDetails.Warning = appendNew(d.AdESValidationDetails.Warning, text)
		}
		for _, text := range c.Notes {
			d.AdESValidationDetails.Info = appendNew(d.AdESValidationDetails.Info, text)
		}
	}
	return d
}

func (w *writer) simpleTimestamps(ids []string) *SimpleTimes {
	var d SimpleTimes
	for _, id := range ids {
		if t := w.timestamps[id]; t != nil {
			d.Timestamp = append(d.Timestamp, w.simpleTimestamp(t))
		}
	}
	if d.Timestamp == nil {
		return nil
	}
	return &d
}

func (w *writer) simpleTimestamp(t *trace.Timestamp) SimpleTimestamp {
	d := SimpleTimestamp{ProductionTime: productionTime(t), ProducedBy: w.commonName(t.SigningCertificate),
		TimestampLevel: SimpleLevel{t.Qualification, timestampLevels[t.Qualification]},
		TimestampScope: simpleScopes(t.Scopes, false),
		simpleVerdict:  w.verdict(t.ID, t.Conclusion, t.Chain)}
	d.Filename = orNil(t.Filename)
	if t.Owner == "" {
		d.ExtensionPeriodMax = w.extendBefore("", []string{t.ID})
	}
	d.AdESValidationDetails = w.details(aboutTimestamp, t.Conclusion, t.Blocks, t.Processes)
	if q := w.timestampQualification(t); q != nil {
		d.QualificationDetails = &Details{list(q.Conclusion.Errors), list(q.Conclusion.Warnings), list(q.Conclusion.Infos)}
	}
	return d
}

var timestampLevels = map[string]string{
	"QTSA": "qualified time-stamp", "TSA": "time-stamp that is not qualified", "N/A": "the lists say nothing of it",
}

func (w *writer) simpleRecords(ids []string) *SimpleEvidences {
	var d SimpleEvidences
	for _, id := range ids {
		if e := w.records[id]; e != nil {
			d.EvidenceRecord = append(d.EvidenceRecord, w.simpleRecord(e))
		}
	}
	if d.EvidenceRecord == nil {
		return nil
	}
	return &d
}

func (w *writer) simpleRecord(e *trace.EvidenceRecord) SimpleEvidenceRecord {
	d := SimpleEvidenceRecord{POETime: w.existence(e), EvidenceRecordScope: simpleScopes(e.Scopes, false),
		Timestamps: w.simpleTimestamps(e.Timestamps), simpleVerdict: w.verdict(e.ID, e.Conclusion, nil)}
	if d.Filename = orNil(e.Filename); e.Origin == "EXTERNAL" && len(w.signatures) == 0 {
		d.Filename = orNil(w.Name)
	}
	if e.Origin == "SIGNATURE" {
		d.Embedded, d.ParentID = trueOrNil(true), orNil(e.Owner)
	}
	d.AdESValidationDetails = w.details(aboutRecord, e.Conclusion, e.Blocks, e.Processes)
	return d
}

// extendBefore is when the certificate ends under which something rests: that of the latest time-stamp that passed, else
// the signer's. A further time-stamp is due before. A signer who is an anchor counts as long as its list says so.
func (w *writer) extendBefore(signer string, timestamps []string) *Time {
	c, latest := w.certificates[signer], time.Time{}
	if c != nil && c.Trusted {
		c = nil
	}
	for _, id := range timestamps {
		t := w.timestamps[id]
		if t != nil && t.Time != nil && t.Conclusion.Indication == string(verify.Passed) && !t.Time.Before(latest) {
			c, latest = w.certificates[t.SigningCertificate], *t.Time
		}
	}
	if c == nil || !c.NotAfter.After(w.trace.ValidationTime) {
		return nil
	}
	return momentOrNil(&c.NotAfter)
}

// existence is when what a record covers is proven to have existed: the validation, where the record proves nothing.
func (w *writer) existence(e *trace.EvidenceRecord) Time {
	if e.Time == nil {
		return moment(w.trace.ValidationTime)
	}
	return moment(*e.Time)
}

// productionTime is the year 1 where the token can't be read: DSS's field is mandatory.
func productionTime(t *trace.Timestamp) Time {
	if t.Time == nil {
		return "0001-01-01T00:00:00Z"
	}
	return moment(*t.Time)
}

func (w *writer) verdict(id string, c trace.Conclusion, chain []trace.ChainItem) simpleVerdict {
	d := simpleVerdict{ID: id, Indication: indication(c.Indication), SubIndication: subIndication(c.SubIndication)}
	if len(chain) == 0 {
		return d
	}
	d.CertificateChain = &SimpleChain{}
	for _, item := range chain {
		if c := w.certificates[item.Certificate]; c != nil {
			d.CertificateChain.Certificate = append(d.CertificateChain.Certificate, w.simpleCertificate(c))
		}
	}
	return d
}

func (w *writer) simpleCertificate(c *trace.Certificate) SimpleCertificate {
	d := SimpleCertificate{QualifiedName: c.CommonName, ID: c.ID, Trusted: trueOrNil(c.Trusted),
		SunsetDate: momentOrNil(c.Until)}
	if c.CommonName == "" {
		d.QualifiedName = c.Subject
	}
	var anchors TrustAnchors
	for _, s := range c.Services {
		if s.Certificate == c.ID {
			a := TrustAnchor{TrustServiceProvider: s.Provider, TrustServiceName: []string{s.Name},
				CountryCode: orNil(s.Territory)}
			if ids := registrations(s.TradeNames); len(ids) > 0 {
				a.TrustServiceProviderRegistrationID = &ids[0]
			}
			if l := w.lists[s.List]; l != nil {
				a.TSLType = orNil(l.Type)
			}
			anchors.TrustAnchor = append(anchors.TrustAnchor, a)
		}
	}
	if anchors.TrustAnchor != nil {
		d.TrustAnchors = &anchors
	}
	return d
}

func (w *writer) commonName(id string) *string {
	c := w.certificates[id]
	if c == nil {
		return nil
	}
	if c.CommonName == "" {
		return orNil(c.Subject)
	}
	return &c.CommonName
}

func simpleScopes(scopes []trace.Scope, counter bool) []SimpleScope {
	list := []SimpleScope{}
	for _, s := range scopes {
		list = append(list, SimpleScope{Value: s.Description, ID: s.SignedData, Name: s.Name, Scope: scopeType(s,
			counter)})
	}
	return list
}

func scopeType(s trace.Scope, counter bool) string {
	switch {
	case counter:
		return "COUNTER_SIGNATURE"
	case s.Partial:
		return "PARTIAL"
	}
	return "FULL"
}

// details are what the blocks object to. The errors are the reasons of the conclusion, no more.
func (w *writer) details(of context, c trace.Conclusion, blocks, processes []trace.Block) *Details {
	found := w.messagesOf(of, slices.Concat(blocks, processes))
	d := &Details{Error: []Message{}, Warning: list(found.Warnings), Info: list(found.Infos)}
	for _, m := range withReasons(found.Errors, c, of) {
		if slices.Contains(c.Reasons, m.Value) {
			d.Error = append(d.Error, m)
		}
	}
	return d
}

// list is never null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func appendNew(to []Message, text string) []Message {
	if slices.ContainsFunc(to, func(m Message) bool { return m.Value == text }) {
		return to
	}
	return append(to, message(ours, text))
}
