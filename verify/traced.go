package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
)

// tracer fills a trace from facts and conclusions. It judges nothing.
type tracer struct {
	*judge.Document
	doc    *signature.Document
	ev     *Evidence
	policy *Policy
	at     time.Time
	out    *trace.Trace

	certificates, revocations, stamps map[string]int             // places in the trace, by id
	entered                           []*certificate.Certificate // those of the trace
	data                              map[string]bool
	stampFacts                        []*signature.Timestamp      // of the time-stamps of the trace
	recordFacts                       []*signature.EvidenceRecord // of its evidence records
	sums                              map[certificateHash][]byte
	formats                           map[string]signature.Format // of signatures, by id
	recordTypes                       map[string]string           // of evidence records, by id
	carriers                          *carriers
	paths                             []tracedPath
	read                              [][32]byte        // evidence
	besides                           map[[32]byte]bool // certificates that were asked about for the trace alone
	questions                         int               // that may still be asked so
	room                              int               // for references between objects
	people                            poland.Numbers    // of the certificates
	orphaned                          int               // octets of orphans so far
}

// maxLinked bounds the references between objects that a trace names: what each carries and covers.
const maxLinked = 100_000

// traced is the whole of what was found and concluded. The report tells the qualification.
func traced(doc *signature.Document, found *judge.Document, ev *Evidence, policy *Policy, r *Report,
	f form) *trace.Trace {
	t := &tracer{Document: found, doc: doc, ev: ev, policy: policy, at: r.ValidationTime, certificates: map[string]int{},
		formats: map[string]signature.Format{}, recordTypes: map[string]string{},
		revocations: map[string]int{}, stamps: map[string]int{}, data: map[string]bool{}, sums: map[certificateHash][]byte{},
		room: maxLinked, besides: map[[32]byte]bool{}, questions: maxBeside,
		out: &trace.Trace{ValidationTime: r.ValidationTime, Policy: tracePolicy(policy), Cut: found.Steps.Cut,
			Signatures: []trace.Signature{}, Timestamps: []trace.Timestamp{}, EvidenceRecords: []trace.EvidenceRecord{},
			Certificates: []trace.Certificate{}, Revocations: []trace.Revocation{}, SignedData: []trace.SignedData{}}}
	t.carriers = newCarriers(doc)
	for _, piece := range t.pieces() {
		if r := t.Steps.Responses[piece]; r != nil {
			t.carriers.carries(trace.FromOCSP, r.RawCertificates)
		}
	}
	t.out.Container = t.container()
	for i, s := range found.Signatures {
		t.signature(s, &r.Signatures[i])
	}
	t.timestamps("", doc.Timestamps)
	t.records("", doc.EvidenceRecords)
	t.besidePaths()
	t.issuers()
	t.links()
	t.lists()
	if doc.Unchecked != "" {
		t.out.Cut = prose.Text(doc.Unchecked)
	}
	if t.out.Numbers = f.numbers; !f.numbers {
		t.out.Texts(t.people.Hide)
	}
	return t.out
}

func tracePolicy(p *Policy) trace.Policy {
	return trace.Policy{Name: p.Name(), Version: p.Version(), Digest: p.Digest(), Description: prose.Text(p.Description())}
}

// identifier is the id of what has the digest.
func identifier(letter string, digest [32]byte) string {
	return letter + strings.ToUpper(hex.EncodeToString(digest[:]))
}

func (t *tracer) signature(j *judge.Signature, r *SignatureReport) {
	s := j.Facts
	id := t.Steps.IDs[s]
	out := trace.Signature{ID: id, Name: prose.Text(s.ID), Filename: r.Filename, Format: r.Format,
		Container: string(s.Container),
		Form:      s.Level, Level: j.Level, SigningTime: r.SigningTime, Structure: texts(s.Structure),
		References: t.references(s.References), Value: bytes.Clone(s.SignatureValue), DataToBeSigned: kept(s.DataToBeSigned),
		Attributes: attributes(s),
		Basic:      basic(s.Algorithms, "signature", s.Intact, s.ReferencesIntact(), s.Unsupported),
		Scopes:     t.scopes(s.References, len(s.Changes) > 0),
		Conclusion: conclusion(j.Indication, j.SubIndication, j.Reasons),
	}
	t.formats[id] = s.Format
	out.Identifier = signerIdentifier(s.Identifier)
	out.Policy = signaturePolicy(s)
	if s.CounterSignatureOf != "" {
		out.Parent = t.parent(s.CounterSignatureOf)
	}
	if out.PDF = dictionary(s.Dictionary); out.PDF != nil {
		out.PDF.Changes = traceChanges(r.Changes)
	}
	if j.Signer != nil {
		out.SigningCertificate = judge.CertificateID(j.Signer)
		out.SigningCertificateRefs = t.refs(s.CertificateRefs, j.Chain.Certificates())
		out.Chain = t.chain(j.Chain)
		t.qualification(&out, j, r)
	} else {
		out.Qualification.Value = r.Qualification
	}
	out.BestSignatureTime = t.existence(s.Value)
	out.Uses = t.uses(judge.ContextOf(s), s.Algorithms, out.BestSignatureTime, j.Chain)
	place := len(t.out.Signatures)
	t.out.Signatures = append(t.out.Signatures, out)
	stamps, records := t.timestamps(id, s.Timestamps), t.records(id, s.EvidenceRecords)
	o := &t.out.Signatures[place]
	o.Timestamps, o.EvidenceRecords = stamps, records
	t.overData(o)
	o.Blocks, o.Processes = t.processes(o, j)
}

// certificateHash is a hash of a certificate.
type certificateHash struct {
	hash        string
	certificate [32]byte
}

// sum is the digest of a certificate, computed once; nil for a hash that is not known.
func (t *tracer) sum(hash string, c *certificate.Certificate) []byte {
	key := certificateHash{hash, c.Fingerprint}
	if _, known := t.sums[key]; !known {
		if h, err := hashNamed(hash); err == nil {
			t.sums[key] = h.Sum(c.Raw)
		}
	}
	return t.sums[key]
}

// parent is the id of the signature with the name in the document.
func (t *tracer) parent(name string) string {
	for _, s := range t.doc.Signatures {
		if s.ID == name {
			return t.Steps.IDs[s]
		}
	}
	return ""
}

// qualification fills in what the lists say of the signer.
func (t *tracer) qualification(out *trace.Signature, j *judge.Signature, r *SignatureReport) {
	out.Qualification = trace.Qualification{Value: r.Qualification,
		AtIssuance: qualified(j.AtIssuance, j.Signer.NotBefore), AtSigning: qualified(j.AtSigning, j.BestSignatureTime)}
}

func qualified(q trustlist.Qualified, at time.Time) trace.CertificateQualification {
	at = at.UTC()
	return trace.CertificateQualification{Time: &at, Found: q.Found, Qualified: q.Certificate, Type: string(q.Type),
		Device:   q.Device,
		Conflict: q.Conflict, Provider: prose.Text(q.Provider), Because: texts(q.Because)}
}

func (t *tracer) timestamps(owner string, list []*signature.Timestamp) []string {
	var ids []string
	for _, s := range list {
		id := t.Steps.IDs[s]
		ids = append(ids, id)
		if _, told := t.stamps[id]; told {
			continue // one of the document that belongs to several signatures
		}
		t.stamps[id] = len(t.out.Timestamps)
		t.stampFacts = append(t.stampFacts, s)
		t.out.Timestamps = append(t.out.Timestamps, t.timestamp(id, owner, s))
	}
	return ids
}

func (t *tracer) timestamp(id, owner string, s *signature.Timestamp) trace.Timestamp {
	j, token := t.Timestamps[s], sha256.Sum256(s.Token)
	out := trace.Timestamp{ID: id, Name: prose.Text(s.ID), Type: string(s.Type), Owner: owner, Time: moment(s.Time),
		DER: bytes.Clone(s.Token), Digest: trace.Digest{Algorithm: algorithm.SHA256.Name(), Value: token[:]},
		Structure: texts(s.Structure),
		References: append([]trace.Reference{{Type: "timestamp-imprint", Digest: imprint(s), Found: s.Found,
			Intact: s.Found && s.Imprint}}, t.references(s.References)...),
		Basic:     basic(s.Algorithms, "timestamp-signature", s.Intact, s.Imprint, s.Unsupported),
		Existence: t.existence(token), Qualification: string(j.Service),
		Conclusion: conclusion(j.Block(), j.SubIndication, j.Reasons),
	}
	out.Scopes = t.stampScopes(s)
	c := t.Steps.Chains[id]
	out.Uses = t.uses(policy.Timestamp, s.Algorithms, out.Existence, c)
	if t.token(&out, s, j.Unit); j.Unit != nil {
		out.SigningCertificate = t.certificate(j.Unit)
		path := []*certificate.Certificate{j.Unit}
		if c != nil {
			out.Chain, path = t.chain(c), c.Certificates()
		}
		out.Listed = t.stamping(path, s.Time, out.Existence.Time)
		out.SigningCertificateRefs = t.refs(s.CertificateRefs, path)
	}
	out.Blocks = t.blocks(id)
	basic := process(id, trace.TimestampValidation, out.Blocks, nil, out.Conclusion)
	archival := process(id, trace.ArchivalData, resting(out.Blocks, basic), nil, out.Conclusion)
	archival.Time = &out.Existence.Time
	out.Processes = []trace.Block{basic, archival}
	return out
}

// overData are the kinds of time-stamps that are about the data of their signature, too.
var overData = map[signature.TimestampType]bool{signature.ContentTimestamp: true, signature.AllDataTimestamp: true,
	signature.ArchiveTimestamp: true}

// overData gives the signature's scopes to its time-stamps over data.
func (t *tracer) overData(s *trace.Signature) {
	for _, id := range s.Timestamps {
		stamp := &t.out.Timestamps[t.stamps[id]]
		if f := t.stampFacts[t.stamps[id]]; f.Found && f.Imprint && overData[f.Type] && stamp.Scopes == nil {
			stamp.Scopes = s.Scopes
		}
	}
}

// stampScopes are those of a time-stamp that is about a file: its byte range, or what its manifest names.
func (t *tracer) stampScopes(s *signature.Timestamp) []trace.Scope {
	switch {
	case !s.Found:
		return nil
	case s.Type == signature.DocumentTimestamp && s.Dictionary != nil:
		return t.scopes([]signature.Reference{{Type: "byte-range", Name: "byte range", Digest: s.Digest,
			Scope: fmt.Sprintf("the document, byte range %v", s.Dictionary.ByteRange)}}, false)
	case s.Type == signature.ContainerTimestamp:
		return t.scopes(s.References, false)
	}
	return nil
}

// stamping is what the lists say of a unit, its path first, at the times; nothing where none stands above it.
func (t *tracer) stamping(path []*certificate.Certificate, times ...time.Time) []trace.StampedAt {
	var list []trace.StampedAt
	for _, at := range times {
		if listed, best := t.ev.Lists.TimeStamping(path, at); listed {
			list = append(list, trace.StampedAt{Time: at.UTC(), Qualification: string(best)})
		}
	}
	return list
}

// imprint is the digest that the token is about; of one whose imprint the reader left out, its algorithm.
func imprint(s *signature.Timestamp) trace.Digest {
	if d := kept(s.Digest); d.Algorithm != "" {
		return d
	}
	for _, u := range s.Algorithms {
		if u.Purpose == "timestamp-imprint" {
			return trace.Digest{Algorithm: u.Algorithm}
		}
	}
	return trace.Digest{}
}

func (t *tracer) records(owner string, list []*signature.EvidenceRecord) []string {
	var ids []string
	for _, e := range list {
		id, j := t.Steps.IDs[e], t.Records[e]
		ids = append(ids, id)
		if t.data[id] {
			continue
		}
		t.data[id], t.recordTypes[id] = true, string(e.Type)
		out := trace.EvidenceRecord{ID: id, Name: prose.Text(e.ID), Type: string(e.Type), Owner: owner,
			Digest: kept(e.Digest),
			Origin: string(e.Origin), Filename: prose.Text(e.Filename), Structure: texts(e.Structure),
			References: t.references(e.References), Scopes: t.scopes(e.References, false), Time: moment(j.Time),
			Conclusion: conclusion(j.Block(), j.SubIndication, j.Reasons)}
		out.Uses = t.uses(policy.EvidenceRecord, e.Algorithms, t.existedBy(j.Time), nil)
		out.Timestamps = t.timestamps(id, e.Timestamps)
		for _, stamp := range out.Timestamps {
			t.out.Timestamps[t.stamps[stamp]].Scopes = out.Scopes
		}
		all := t.blocks(id)
		out.Blocks = without(all, trace.EvidenceRecordValidation)
		out.Processes = []trace.Block{process(id, trace.EvidenceRecordValidation, out.Blocks,
			named(all, trace.EvidenceRecordValidation), out.Conclusion)}
		t.recordFacts = append(t.recordFacts, e)
		t.out.EvidenceRecords = append(t.out.EvidenceRecords, out)
	}
	return ids
}

// existedBy is the time that is known, else the validation's.
func (t *tracer) existedBy(at time.Time) trace.Proof {
	if at.IsZero() {
		return trace.Proof{Time: t.at}
	}
	return trace.Proof{Time: at}
}

// references are digest matchers; those to content name a data object.
func (t *tracer) references(list []signature.Reference) []trace.Reference {
	out := []trace.Reference{}
	for _, ref := range list {
		r := trace.Reference{Type: ref.Type, Name: prose.Text(ref.Name), XMLID: prose.Text(ref.ID), Digest: kept(ref.Digest),
			Found:  ref.Found,
			Intact: ref.Found && ref.Intact, Optional: ref.Optional, Unchecked: prose.Text(ref.Unchecked)}
		if judge.IsContent(ref.Type) && ref.Type != "orphan" {
			r.SignedData = t.signedData(ref)
		}
		if ref.Found && (ref.Outside || t.doc.Package != nil && fileTypes[ref.Type] && !strings.HasPrefix(ref.Name, "#")) {
			r.Document = r.Name
		}
		out = append(out, r)
	}
	return out
}

// fileTypes are the references that a container answers with a file.
var fileTypes = map[string]bool{"data": true, "manifest-entry": true}

// signedData enters the data object of a reference, and returns its id.
func (t *tracer) signedData(ref signature.Reference) string {
	digest := sha256.Sum256([]byte(ref.Name + "\x00" + ref.Digest.Algorithm + "\x00" + string(ref.Digest.Value)))
	id := identifier(trace.SignedDataID, digest)
	if !t.data[id] {
		t.data[id] = true
		t.out.SignedData = append(t.out.SignedData,
			trace.SignedData{ID: id, Name: prose.Text(ref.Name), Digest: kept(ref.Digest)})
	}
	return id
}

// scopes are those that the compact report tells, with their data objects.
func (t *tracer) scopes(list []signature.Reference, changed bool) []trace.Scope {
	out, seen := []trace.Scope{}, map[trace.Scope]bool{}
	for _, ref := range list {
		if ref.Scope == "" || !judge.IsContent(ref.Type) {
			continue
		}
		revision := changed && ref.Type == "byte-range"
		s := trace.Scope{SignedData: t.signedData(ref), Name: prose.Text(ref.Name), Description: prose.Text(ref.Scope),
			Partial:    !ref.Full && !revision,
			Transforms: prose.Text(strings.Join(ref.Transforms, " "))}
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func traceChanges(list []Change) []trace.Change {
	var out []trace.Change
	for _, c := range list {
		out = append(out, trace.Change{Kind: c.Kind, Revision: c.Revision, Page: c.Page, Object: c.Object, What: c.What,
			Forbidden: c.Forbidden})
	}
	return out
}

// basic is the cryptographic core of something signed whose algorithm has the purpose.
func basic(uses []signature.AlgorithmUse, purpose string, intact, covered bool, unsupported string) trace.Basic {
	b := trace.Basic{Intact: intact, Valid: intact && covered, Unsupported: prose.Text(unsupported)}
	for _, u := range uses {
		if u.Purpose == purpose {
			b.KeyBits = u.KeyBits
			b.Algorithm, b.Scheme, b.Digest = parts(u.Algorithm)
			break
		}
	}
	return b
}

// parts takes a registry name apart into scheme and digest.
func parts(name string) (algorithmName, scheme, digest string) {
	for h := algorithm.NoHash + 1; h.Valid(); h++ {
		suffix := "-" + strings.ReplaceAll(strings.Replace(h.Name(), "SHA-", "SHA", 1), "/", "-")
		if rest, ok := strings.CutSuffix(name, suffix); ok {
			return name, strings.TrimSuffix(rest, "-PKCS1"), h.Name()
		}
	}
	return name, name, ""
}

func conclusion(i Indication, sub SubIndication, reasons []string) trace.Conclusion {
	return trace.Conclusion{Indication: string(i), SubIndication: string(sub), Reasons: texts(reasons)}
}

// texts are remarks that may hold names.
func texts(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, prose.Text(s))
	}
	return out
}

// kept is a digest that outlives the document's octets, as all of a report does.
func kept(d signature.Digest) trace.Digest {
	return trace.Digest{Algorithm: d.Algorithm, Value: bytes.Clone(d.Value)}
}

// moment is a time as a trace has it, nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
