package verify

import (
	"slices"

	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// order is that of the building blocks in the standard.
var order = []trace.Kind{trace.FormatChecking, trace.SigningCertificate, trace.ValidationContext,
	trace.CryptographicVerification,
	trace.CertificateValidation, trace.SignatureAcceptance, trace.PastSignatureValidation, trace.PastCertificateValidation,
	trace.ValidationTimeSliding, trace.WithTime, trace.EvidenceRecordValidation}

// blocks are those that were gone through for an object.
func (t *tracer) blocks(id string) []trace.Block {
	list := []trace.Block{}
	for _, kind := range order {
		for _, b := range t.Steps.Blocks[id] {
			if b.Kind == kind {
				list = append(list, *b)
			}
		}
	}
	return list
}

func without(list []trace.Block, kind trace.Kind) []trace.Block {
	return slices.DeleteFunc(slices.Clone(list), func(b trace.Block) bool { return b.Kind == kind })
}

// named is the block of a kind, nil for none.
func named(list []trace.Block, kind trace.Kind) *trace.Block {
	if i := slices.IndexFunc(list, func(b trace.Block) bool { return b.Kind == kind }); i >= 0 {
		return &list[i]
	}
	return nil
}

// isPast tells the blocks of past signature validation (5.6.2), which belong to the process with archival data alone.
func isPast(kind trace.Kind) bool {
	return kind == trace.PastSignatureValidation || kind == trace.PastCertificateValidation || kind == trace.ValidationTimeSliding
}

// resting is what a process with archival data rests on: other processes, and past signature validation where it was
// gone through.
func resting(blocks []trace.Block, processes ...trace.Block) []trace.Block {
	if past := named(blocks, trace.PastSignatureValidation); past != nil {
		return append(processes, *past)
	}
	return processes
}

// process is one that is made of blocks: it asks whether each is conclusive, then what was recorded of itself.
func process(id string, kind trace.Kind, blocks []trace.Block, recorded *trace.Block, c trace.Conclusion) trace.Block {
	p := trace.Block{ID: id + "-" + string(kind), Kind: kind, Object: id, Conclusion: c, Constraints: []trace.Constraint{}}
	for _, b := range blocks {
		if !isPast(b.Kind) || b.Kind == trace.PastSignatureValidation && kind == trace.ArchivalData {
			p.Constraints = append(p.Constraints, conclusive(b, trace.NotOK))
		}
	}
	if recorded != nil {
		p.Time = recorded.Time
		p.Constraints = append(p.Constraints, recorded.Constraints...)
	}
	explained(&p)
	return p
}

// conclusive asks for the conclusion of a block; refused is the status of one that did not pass.
func conclusive(b trace.Block, refused trace.Status) trace.Constraint {
	c := trace.Constraint{Name: trace.Conclusive, Status: trace.OK, Block: b.ID}
	if !passes(b.Conclusion) {
		c.Status, c.Message = refused, why(b.Conclusion)
	}
	return c
}

func passes(c trace.Conclusion) bool {
	return c.Indication == string(Passed) || c.Indication == string(TotalPassed)
}

// why is what a conclusion says in one remark.
func why(c trace.Conclusion) string {
	if len(c.Reasons) > 0 {
		return c.Reasons[0]
	}
	return c.Indication + " " + c.SubIndication
}

// explained makes sure that a process that did not pass has a constraint that says why.
func explained(p *trace.Block) {
	if passes(p.Conclusion) || slices.ContainsFunc(p.Constraints,
		func(c trace.Constraint) bool { return c.Status == trace.NotOK }) {
		return
	}
	p.Constraints = append(p.Constraints, trace.Constraint{Name: trace.CheckedToItsEnd, Status: trace.NotOK,
		Message: why(p.Conclusion)})
}

// processes are the blocks of a signature and what is made of them: basic (5.3), with time (5.5), archival data
// (5.6.3), then the qualification.
func (t *tracer) processes(s *trace.Signature, j *judge.Signature) (blocks, processes []trace.Block) {
	all := t.blocks(s.ID)
	blocks = without(all, trace.WithTime)
	basic := process(s.ID, trace.BasicValidation, blocks, nil, basicConclusion(blocks, s.Conclusion))
	basic.Time = &t.at
	withTime := process(s.ID, trace.WithTime, append([]trace.Block{basic}, t.proofs(s, isArchive, false)...),
		named(all, trace.WithTime), s.Conclusion)
	withTime.Time = &s.BestSignatureTime.Time
	archival := process(s.ID, trace.ArchivalData,
		resting(blocks, append([]trace.Block{withTime}, t.proofs(s, isArchive, true)...)...), nil, s.Conclusion)
	archival.Time = &s.BestSignatureTime.Time
	for _, p := range []*trace.Block{&withTime, &archival} {
		soften(p, s.ID)
	}
	processes = []trace.Block{basic, withTime, archival}
	if j.Signer != nil {
		processes = append(processes, qualifying(s))
	}
	return blocks, processes
}

// basicConclusion is that of the first block that did not pass: the one that decided, where it is among them.
func basicConclusion(blocks []trace.Block, final trace.Conclusion) trace.Conclusion {
	c := trace.Conclusion{Indication: string(TotalPassed)}
	for _, b := range slices.Backward(blocks) {
		if !isPast(b.Kind) && !passes(b.Conclusion) {
			if c = b.Conclusion; c.SubIndication == final.SubIndication {
				return total(c)
			}
		}
	}
	return total(c)
}

// total is a conclusion in the words for signatures.
func total(c trace.Conclusion) trace.Conclusion {
	switch c.Indication {
	case string(Passed):
		c.Indication = string(TotalPassed)
	case string(Failed):
		c.Indication = string(TotalFailed)
	}
	return c
}

// proofs are the processes of a signature's time-stamps and evidence records: the archive ones, or the others.
func (t *tracer) proofs(s *trace.Signature, archive func(kind string) bool, want bool) []trace.Block {
	var list []trace.Block
	for _, id := range s.Timestamps {
		if stamp := &t.out.Timestamps[t.stamps[id]]; archive(stamp.Type) == want {
			list = append(list, stamp.Processes[0])
		}
	}
	for _, e := range t.out.EvidenceRecords {
		if want && slices.Contains(s.EvidenceRecords, e.ID) {
			list = append(list, e.Processes[0])
		}
	}
	return list
}

func isArchive(kind string) bool {
	return kind == string(signature.ArchiveTimestamp) || kind == string(signature.DocumentTimestamp)
}

// soften makes a warning of what time-stamps and records did not prove: that alone refuses nothing.
func soften(p *trace.Block, object string) {
	for i := range p.Constraints {
		c := &p.Constraints[i]
		if c.Name == trace.Conclusive && c.Status == trace.NotOK && c.Block != "" && c.Block[:len(object)] != object {
			c.Status = trace.Warning
		}
	}
	explained(p)
}

// qualifying is the qualification of a signature (TS 119 615 4.6).
func qualifying(s *trace.Signature) trace.Block {
	q := &s.Qualification
	p := trace.Block{ID: s.ID + "-" + string(trace.QualificationProcess), Kind: trace.QualificationProcess, Object: s.ID,
		Time: &s.BestSignatureTime.Time, Conclusion: trace.Conclusion{Indication: string(Passed)}}
	add := func(name string, holds bool, refused trace.Status, message string) {
		c := trace.Constraint{Name: name, Context: policy.TrustedLists.String(), Status: trace.OK}
		if !holds {
			c.Status, c.Message = refused, message
		}
		p.Constraints = append(p.Constraints, c)
	}
	const unlisted = "no service of a trusted list stands above the certificate"
	if add(trace.TrustedListReached, q.AtSigning.Found, trace.NotOK, unlisted); !q.AtSigning.Found {
		p.Conclusion = trace.Conclusion{Indication: string(Failed), Reasons: []string{unlisted}}
		return p
	}
	add(trace.Conclusive, passes(s.Conclusion), trace.Warning, "the signature is not passed")
	add(trace.QualifiedCertificate, q.AtIssuance.Qualified && q.AtSigning.Qualified, trace.Warning,
		"the certificate is not qualified at its issuance and at the best-signature-time")
	add(trace.QualifiedDevice, q.AtSigning.Device, trace.Warning, "the key is not known to lie in a qualified device")
	return p
}
