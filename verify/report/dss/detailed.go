package dss

import (
	"fmt"
	"slices"
	"strings"

	"trustcore/verify"
	"trustcore/verify/trace"
)

// DetailedReport is DSS's (DetailedReport.xsd).
type DetailedReport struct {
	Tokens         []DetailedToken  `json:"signatureOrTimestampOrEvidenceRecord"`
	BuildingBlocks []BuildingBlocks `json:"BasicBuildingBlocks"`
	TLAnalysis     []TLAnalysis     `json:"TLAnalysis"`
	Semantic       *struct{}        `json:"Semantic"`
	ValidationTime Time             `json:"ValidationTime"`
}

// DetailedToken holds one of the four.
type DetailedToken struct {
	Signature      *Signature           `json:"Signature,omitempty"`
	Timestamp      *Timestamp           `json:"Timestamp,omitempty"`
	EvidenceRecord *EvidenceRecord      `json:"EvidenceRecord,omitempty"`
	Certificate    *DetailedCertificate `json:"Certificate,omitempty"`
}

// Signature is what the processes came to, in the standard's order.
type Signature struct {
	ValidationProcessBasicSignature  *Process                `json:"ValidationProcessBasicSignature"`
	Timestamp                        []Timestamp             `json:"Timestamp"`
	EvidenceRecord                   []EvidenceRecord        `json:"EvidenceRecord"`
	ValidationProcessLongTermData    *LongTermProcess        `json:"ValidationProcessLongTermData"`
	ValidationProcessArchivalData    *Process                `json:"ValidationProcessArchivalData"`
	ValidationSignatureQualification *SignatureQualification `json:"ValidationSignatureQualification"`
	Conclusion                       Conclusion              `json:"Conclusion"`
	ID                               string                  `json:"Id"`
	CounterSignature                 *bool                   `json:"CounterSignature"`
}

// Timestamp is what the processes of a time-stamp came to.
type Timestamp struct {
	ValidationProcessBasicTimestamp        TimestampProcess        `json:"ValidationProcessBasicTimestamp"`
	EvidenceRecord                         []EvidenceRecord        `json:"EvidenceRecord"`
	ValidationProcessArchivalDataTimestamp *Process                `json:"ValidationProcessArchivalDataTimestamp"`
	ValidationTimestampQualification       *TimestampQualification `json:"ValidationTimestampQualification"`
	Conclusion                             Conclusion              `json:"Conclusion"`
	ID                                     string                  `json:"Id"`
}

// EvidenceRecord is what the process of an evidence record came to.
type EvidenceRecord struct {
	ValidationProcessEvidenceRecord RecordProcess `json:"ValidationProcessEvidenceRecord"`
	Timestamp                       []Timestamp   `json:"Timestamp"`
	Conclusion                      Conclusion    `json:"Conclusion"`
	ID                              string        `json:"Id"`
}

// Block is what DSS calls ConstraintsConclusion.
type Block struct {
	Constraint []Constraint `json:"Constraint"`
	Conclusion Conclusion   `json:"Conclusion"`
	Title      string       `json:"Title"`
}

// Conclusion is what a block or process came to.
type Conclusion struct {
	Indication    string    `json:"Indication"`
	SubIndication *string   `json:"SubIndication"`
	Errors        []Message `json:"Errors"`
	Warnings      []Message `json:"Warnings"`
	Infos         []Message `json:"Infos"`
}

// Process is a block with the proof of existence that it found.
type Process struct {
	Block
	ProofOfExistence *ProofOfExistence `json:"ProofOfExistence"`
}

// ProofOfExistence is the earliest time, and the time-stamp that proves it; null is the validation itself.
type ProofOfExistence struct {
	Time        Time    `json:"Time"`
	TimestampID *string `json:"TimestampId"`
}

// LongTermProcess is validation with time (5.5).
type LongTermProcess struct {
	CRS []CRS `json:"CRS"`
	RFC []RFC `json:"RFC"`
	Process
}

// TimestampProcess is 5.4.
type TimestampProcess struct {
	Block
	Type           string `json:"Type"`
	ProductionTime Time   `json:"ProductionTime"`
}

// RecordProcess is 5.6.2.5.
type RecordProcess struct {
	AOV AOV `json:"AOV"`
	Process
}

// context is what is validated, named as DSS names it.
type context string

const (
	aboutSignature        context = "SIGNATURE"
	aboutCounterSignature context = "COUNTER_SIGNATURE"
	aboutTimestamp        context = "TIMESTAMP"
	aboutRevocation       context = "REVOCATION"
	aboutRecord           context = "EVIDENCE_RECORD"
)

func contextOf(s *trace.Signature) context {
	if s.Parent != "" {
		return aboutCounterSignature
	}
	return aboutSignature
}

func (w *writer) detailedReport() *DetailedReport {
	w.findBlocks()
	d := &DetailedReport{Tokens: []DetailedToken{}, BuildingBlocks: []BuildingBlocks{}, TLAnalysis: w.listAnalysis(),
		ValidationTime: moment(w.trace.ValidationTime)}
	for _, s := range w.signatures {
		d.Tokens = append(d.Tokens, DetailedToken{Signature: w.signature(s)})
		d.BuildingBlocks = append(d.BuildingBlocks, w.buildingBlocks(object{s.ID, contextOf(s), s.Chain, s.Blocks, s.Uses}))
	}
	for i := range w.trace.Timestamps {
		t := &w.trace.Timestamps[i]
		if t.Owner == "" && w.Signature == "" {
			stamp := w.timestamp(t)
			d.Tokens = append(d.Tokens, DetailedToken{Timestamp: &stamp})
		}
		d.BuildingBlocks = append(d.BuildingBlocks, w.buildingBlocks(object{t.ID, aboutTimestamp, t.Chain, t.Blocks, t.Uses}))
	}
	for i := range w.trace.EvidenceRecords {
		e := &w.trace.EvidenceRecords[i]
		if e.Owner == "" && w.Signature == "" {
			record := w.record(e)
			d.Tokens = append(d.Tokens, DetailedToken{EvidenceRecord: &record})
		}
		d.BuildingBlocks = append(d.BuildingBlocks, w.buildingBlocks(object{e.ID, aboutRecord, nil, e.Blocks, e.Uses}))
	}
	for _, r := range w.trace.Revocations {
		if len(r.Blocks) > 0 {
			d.BuildingBlocks = append(d.BuildingBlocks, w.buildingBlocks(object{r.ID, aboutRevocation, r.Chain,
				r.Blocks, r.Uses}))
		}
	}
	return d
}

// findBlocks indexes the blocks of everything by id.
func (w *writer) findBlocks() {
	w.blocks = map[string]*trace.Block{}
	for i := range w.trace.Signatures {
		w.indexBlocks(w.trace.Signatures[i].Blocks, w.trace.Signatures[i].Processes)
	}
	for i := range w.trace.Timestamps {
		w.indexBlocks(w.trace.Timestamps[i].Blocks, w.trace.Timestamps[i].Processes)
	}
	for i := range w.trace.EvidenceRecords {
		w.indexBlocks(w.trace.EvidenceRecords[i].Blocks, w.trace.EvidenceRecords[i].Processes)
	}
	for i := range w.trace.Revocations {
		w.indexBlocks(w.trace.Revocations[i].Blocks)
	}
}

func (w *writer) indexBlocks(lists ...[]trace.Block) {
	for _, list := range lists {
		for i := range list {
			w.blocks[list[i].ID] = &list[i]
			w.indexBlocks(list[i].Blocks)
		}
	}
}

func (w *writer) signature(s *trace.Signature) *Signature {
	d := &Signature{ID: s.ID, CounterSignature: trueOrNil(s.Parent != ""),
		Timestamp:      w.detailedTimestamps(s.Timestamps),
		EvidenceRecord: []EvidenceRecord{}, ValidationSignatureQualification: w.qualification(s),
		Conclusion: w.conclusion(s.Conclusion, contextOf(s), slices.Concat(s.Blocks, s.Processes))}
	proof := proofOf(s.BestSignatureTime)
	for i := range s.Processes {
		b := &s.Processes[i]
		process := Process{w.block(b, contextOf(s)), proof}
		switch b.Kind {
		case trace.BasicValidation:
			process.ProofOfExistence = proofOf(trace.Proof{Time: w.trace.ValidationTime})
			d.ValidationProcessBasicSignature = &process
		case trace.WithTime:
			d.ValidationProcessLongTermData = &LongTermProcess{Process: process}
			if signer := w.certificates[s.SigningCertificate]; signer != nil {
				if crs := w.selection(signer); crs != nil {
					d.ValidationProcessLongTermData.CRS = []CRS{*crs}
				}
			}
		case trace.ArchivalData:
			d.ValidationProcessArchivalData = &process
		}
	}
	for _, id := range s.EvidenceRecords {
		if e := w.records[id]; e != nil {
			d.EvidenceRecord = append(d.EvidenceRecord, w.record(e))
		}
	}
	return d
}

func proofOf(p trace.Proof) *ProofOfExistence {
	return &ProofOfExistence{moment(p.Time), orNil(p.By)}
}

func (w *writer) detailedTimestamps(ids []string) []Timestamp {
	list := []Timestamp{}
	for _, id := range ids {
		if t := w.timestamps[id]; t != nil {
			list = append(list, w.timestamp(t))
		}
	}
	return list
}

func (w *writer) timestamp(t *trace.Timestamp) Timestamp {
	d := Timestamp{ID: t.ID, EvidenceRecord: []EvidenceRecord{},
		ValidationTimestampQualification: w.timestampQualification(t),
		Conclusion:                       w.conclusion(t.Conclusion, aboutTimestamp, slices.Concat(t.Blocks, t.Processes))}
	// Where the token can't be read, there was no process: its conclusion stands for it.
	d.ValidationProcessBasicTimestamp = TimestampProcess{Type: t.Type, ProductionTime: productionTime(t),
		Block: Block{[]Constraint{}, d.Conclusion, titles[trace.TimestampValidation]}}
	for i := range t.Processes {
		switch b := &t.Processes[i]; b.Kind {
		case trace.TimestampValidation:
			d.ValidationProcessBasicTimestamp.Block = w.block(b, aboutTimestamp)
		case trace.ArchivalData:
			d.ValidationProcessArchivalDataTimestamp = &Process{w.block(b, aboutTimestamp), proofOf(t.Existence)}
		}
	}
	return d
}

func (w *writer) record(e *trace.EvidenceRecord) EvidenceRecord {
	d := EvidenceRecord{ID: e.ID, Timestamp: w.detailedTimestamps(e.Timestamps),
		Conclusion: w.conclusion(e.Conclusion, aboutRecord, slices.Concat(e.Blocks, e.Processes))}
	d.ValidationProcessEvidenceRecord.Block = Block{[]Constraint{}, d.Conclusion,
		titles[trace.EvidenceRecordValidation]}
	for i := range e.Processes {
		if b := &e.Processes[i]; b.Kind == trace.EvidenceRecordValidation {
			d.ValidationProcessEvidenceRecord.Block = w.block(b, aboutRecord)
		}
	}
	if e.Time != nil {
		d.ValidationProcessEvidenceRecord.ProofOfExistence = proofOf(trace.Proof{Time: *e.Time})
	}
	d.ValidationProcessEvidenceRecord.AOV = w.obsolescence(object{e.ID, aboutRecord, nil, e.Blocks, e.Uses})
	return d
}

// titles name blocks and processes, in the words of EN 319 102-1.
var titles = map[trace.Kind]string{
	trace.FormatChecking:            "Format checking",
	trace.SigningCertificate:        "Identification of the signing certificate",
	trace.ValidationContext:         "Validation context initialization",
	trace.RevocationFreshness:       "Revocation freshness checker",
	trace.CertificateValidation:     "X.509 certificate validation",
	trace.SubCertificateValidation:  "Certificate",
	trace.CryptographicVerification: "Cryptographic verification",
	trace.SignatureAcceptance:       "Signature acceptance validation",
	trace.PastSignatureValidation:   "Past signature validation",
	trace.PastCertificateValidation: "Past certificate validation",
	trace.ValidationTimeSliding:     "Validation time sliding",
	trace.BasicValidation:           "Validation process for basic signatures",
	trace.TimestampValidation:       "Time-stamp validation building block",
	trace.WithTime:                  "Validation process for signatures with time and with long-term validation material",
	trace.ArchivalData:              "Validation process for signatures providing long term availability and integrity of validation material",
	trace.EvidenceRecordValidation:  "Evidence record validation building block",
}

func (w *writer) block(b *trace.Block, of context) Block {
	d := Block{Constraint: []Constraint{}, Title: titles[b.Kind], Conclusion: w.conclusion(b.Conclusion, of,
		[]trace.Block{*b})}
	// DSS keeps the indications of signatures for its last word on them: processes have those of blocks.
	d.Conclusion.Indication = strings.TrimPrefix(d.Conclusion.Indication, "TOTAL_")
	for _, c := range b.Constraints {
		if c.Crypto == nil {
			d.Constraint = append(d.Constraint, w.constraint(c, b, of))
		}
	}
	return d
}

// conclusion is one of the trace with what the blocks that led to it object to.
func (w *writer) conclusion(c trace.Conclusion, of context, blocks []trace.Block) Conclusion {
	found := w.messagesOf(of, blocks)
	if strings.HasSuffix(c.Indication, "PASSED") {
		found.Errors = nil
	} else {
		found.Errors = withReasons(found.Errors, c, of)
	}
	return found.concluded(indication(c.Indication), subIndication(c.SubIndication))
}

// maxMessages bounds the messages of one status in a conclusion: every block above repeats them. All of them stand in
// the constraints.
const maxMessages = 100

// messages are those of a list of blocks and what they rest on, each text once.
type messages struct {
	Errors, Warnings, Infos []Message
	more                    int // left out
	told                    map[told]bool
	visited                 map[string]bool // blocks
}

// told is a text among the messages of one status.
type told struct {
	status trace.Status
	text   string
}

func newMessages() *messages { return &messages{told: map[told]bool{}, visited: map[string]bool{}} }

func (w *writer) messagesOf(of context, blocks []trace.Block) *messages {
	m := newMessages()
	for i := range blocks {
		if blocks[i].Kind != trace.QualificationProcess { // it has conclusions of its own
			w.collect(m, &blocks[i], of)
		}
	}
	return m
}

func (w *writer) collect(m *messages, b *trace.Block, of context) {
	if m.visited[b.ID] {
		return
	}
	m.visited[b.ID] = true
	for _, c := range b.Constraints {
		next := w.blocks[c.Block]
		switch {
		case c.Status == trace.OK || c.Status == trace.Ignored:
		case c.Name == trace.Conclusive && next != nil:
			w.collect(m, next, w.contextOfID(next.Object, of))
		default:
			m.constraint(w.constraint(c, b, of))
		}
	}
	for i := range b.Blocks {
		w.collect(m, &b.Blocks[i], of)
	}
}

// constraint adds the message of a constraint that is not met.
func (m *messages) constraint(c Constraint) {
	add(m, &m.Errors, trace.NotOK, c.Error)
	add(m, &m.Warnings, trace.Warning, c.Warning)
	add(m, &m.Infos, trace.Information, c.Info)
}

// conclusion adds those of a conclusion.
func (m *messages) conclusion(c *Conclusion) {
	for i := range c.Errors {
		add(m, &m.Errors, trace.NotOK, &c.Errors[i])
	}
	for i := range c.Warnings {
		add(m, &m.Warnings, trace.Warning, &c.Warnings[i])
	}
	for i := range c.Infos {
		add(m, &m.Infos, trace.Information, &c.Infos[i])
	}
}

func add(m *messages, to *[]Message, status trace.Status, text *Message) {
	if text == nil || m.told[told{status, text.Value}] {
		return
	}
	if len(*to) == maxMessages {
		m.more++
		return
	}
	m.told[told{status, text.Value}] = true
	*to = append(*to, *text)
}

// concluded is a conclusion with the messages.
func (m *messages) concluded(indication string, sub *string) Conclusion {
	if m.more > 0 {
		m.Infos = append(m.Infos, Own(fmt.Sprintf("%d more messages stand in the constraints", m.more)))
	}
	return Conclusion{indication, sub, list(m.Errors), list(m.Warnings), list(m.Infos)}
}

// contextOfID tells what is validated by the id's kind; certificates have that of whose path they are in.
func (w *writer) contextOfID(id string, of context) context {
	switch {
	case strings.HasPrefix(id, trace.TimestampID):
		return aboutTimestamp
	case strings.HasPrefix(id, trace.RevocationID):
		return aboutRevocation
	case strings.HasPrefix(id, trace.EvidenceRecordID):
		return aboutRecord
	}
	return of
}

// BuildingBlocks are the building blocks of one object (5.2, 5.6.2).
type BuildingBlocks struct {
	FC               *Block         `json:"FC"`
	ISC              *ISC           `json:"ISC"`
	VCI              *Block         `json:"VCI"`
	XCV              *XCV           `json:"XCV"`
	CV               *Block         `json:"CV"`
	SAV              *Block         `json:"SAV"`
	AOV              *AOV           `json:"AOV"`
	PSV              *PastBlock     `json:"PSV"`
	PSVCRS           *CRS           `json:"PSV_CRS"`
	PCV              *PastBlock     `json:"PCV"`
	VTS              *SlidingBlock  `json:"VTS"`
	CertificateChain *DetailedChain `json:"CertificateChain"`
	Conclusion       Conclusion     `json:"Conclusion"`
	ID               string         `json:"Id"`
	Type             string         `json:"Type"`
}

// ISC is the identification of the signing certificate.
type ISC struct {
	CertificateChain DetailedChain `json:"CertificateChain"`
	Block
}

// XCV is the validation of the certificates of a path.
type XCV struct {
	SubXCV []SubXCV `json:"SubXCV"`
	Block
}

// SubXCV is that of one certificate.
type SubXCV struct {
	CrossCertificate      []string        `json:"CrossCertificate"`
	EquivalentCertificate []string        `json:"EquivalentCertificate"`
	CRS                   *CRS            `json:"CRS"`
	RFC                   *RFC            `json:"RFC"`
	RevocationInfo        *RevocationInfo `json:"RevocationInfo"`
	Block
	ID          string `json:"Id"`
	TrustAnchor *bool  `json:"TrustAnchor"`
	SelfSigned  *bool  `json:"SelfSigned"`
}

// RFC is the freshness of revocation information.
type RFC struct {
	Block
	ID *string `json:"Id"`
}

// RevocationInfo is a revocation.
type RevocationInfo struct {
	CertificateID  string  `json:"CertificateId"`
	RevocationID   string  `json:"RevocationId"`
	Reason         *string `json:"Reason"`
	RevocationDate Time    `json:"RevocationDate"`
}

// DetailedChain is a path, the signing certificate first.
type DetailedChain struct {
	ChainItem []DetailedChainItem `json:"ChainItem"`
}

// DetailedChainItem is one certificate of it.
type DetailedChainItem struct {
	Source string `json:"Source"`
	ID     string `json:"Id"`
}

// object is something with building blocks.
type object struct {
	id     string
	of     context
	chain  []trace.ChainItem
	blocks []trace.Block
	uses   []trace.Crypto // of algorithms
}

func (w *writer) buildingBlocks(o object) BuildingBlocks {
	chain := DetailedChain{ChainItem: []DetailedChainItem{}}
	for _, c := range o.chain {
		chain.ChainItem = append(chain.ChainItem, DetailedChainItem{sourceName(c.Source), c.Certificate})
	}
	aov := w.obsolescence(o)
	d := BuildingBlocks{ID: o.id, Type: string(o.of), AOV: &aov}
	whole := newWhole()
	if len(o.chain) > 0 {
		d.CertificateChain = &chain
	}
	for i := range o.blocks {
		b := &o.blocks[i]
		block := w.block(b, o.of)
		past := PastBlock{block, momentOrNil(b.Time)}
		switch b.Kind {
		case trace.FormatChecking:
			d.FC = &block
		case trace.SigningCertificate:
			d.ISC = &ISC{chain, block}
		case trace.ValidationContext:
			d.VCI = &block
		case trace.CertificateValidation:
			block.Constraint = append(block.Constraint, w.conclusiveOf(b, trace.SubCertificateValidation)...)
			d.XCV = &XCV{w.subBlocks(b, o.of), block}
		case trace.CryptographicVerification:
			d.CV = &block
		case trace.SignatureAcceptance:
			block.Constraint = append(block.Constraint, aov.asked(o.id, block.Conclusion.Indication))
			d.SAV = &block
		case trace.PastSignatureValidation:
			d.PSV, d.PSVCRS = &past, w.selectionOfSigner(o)
			continue
		case trace.PastCertificateValidation:
			d.PCV = &past
			continue
		case trace.ValidationTimeSliding:
			d.VTS = w.sliding(o, past)
			continue
		default:
			continue
		}
		whole.include(&block.Conclusion)
	}
	w.pastPath(&d, o)
	d.Conclusion = whole.conclusion()
	return d
}

// whole is the conclusion of several: the first that did not pass decides.
type whole struct {
	messages      *messages
	indication    string
	subIndication *string
}

func newWhole() *whole { return &whole{messages: newMessages(), indication: "PASSED"} }

func (o *whole) include(part *Conclusion) {
	if o.indication == "PASSED" {
		o.indication, o.subIndication = part.Indication, part.SubIndication
	}
	o.messages.conclusion(part)
}

func (o *whole) conclusion() Conclusion { return o.messages.concluded(o.indication, o.subIndication) }

func (w *writer) subBlocks(xcv *trace.Block, of context) []SubXCV {
	list := []SubXCV{}
	for i := range xcv.Blocks {
		b := &xcv.Blocks[i]
		if b.Kind != trace.SubCertificateValidation {
			continue
		}
		d := SubXCV{Block: w.block(b, of), ID: b.Object, TrustAnchor: trueOrNil(b.Anchor)}
		d.Constraint = append(d.Constraint, w.conclusiveOf(b, trace.RevocationFreshness)...)
		if c := w.certificates[b.Object]; c != nil {
			d.SelfSigned, d.RevocationInfo = &c.SelfSigned, w.revoked(c)
			if !b.Anchor {
				d.CRS = w.selection(c)
			}
		}
		for j := range b.Blocks {
			if r := &b.Blocks[j]; r.Kind == trace.RevocationFreshness {
				d.RFC = &RFC{w.block(r, of), d.CRS.latest(r.ID)}
			}
		}
		list = append(list, d)
	}
	return list
}

// conclusiveOf asks for the conclusions of the blocks of a kind within a block, where none of its own constraints does.
func (w *writer) conclusiveOf(b *trace.Block, kind trace.Kind) []Constraint {
	var list []Constraint
	for i := range b.Blocks {
		inner := &b.Blocks[i]
		told := slices.ContainsFunc(b.Constraints, func(c trace.Constraint) bool { return c.Block == inner.ID })
		if inner.Kind != kind || told {
			continue
		}
		c := trace.Constraint{Name: trace.Conclusive, Status: trace.OK, Block: inner.ID}
		if inner.Conclusion.Indication != string(verify.Passed) {
			c.Status, c.Message = trace.Warning, strings.Join(inner.Conclusion.Reasons, "; ")
		}
		list = append(list, w.conclusiveConstraint(c, inner, b.Kind))
	}
	return list
}

// revoked is the revocation that conclusions rest on, nil for none.
func (w *writer) revoked(c *trace.Certificate) *RevocationInfo {
	for _, s := range c.Revocations {
		r := w.revocations[s.Revocation]
		if s.Status == "revoked" && s.RevocationTime != nil && r != nil && len(r.Blocks) > 0 {
			return &RevocationInfo{c.ID, s.Revocation, reason(s.Reason), moment(*s.RevocationTime)}
		}
	}
	return nil
}
