package judge

import (
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// Steps is how the conclusions were come to: the building blocks that were gone through, with their constraints, and
// what they rest on. It is data for a trace. The nil Steps that Judge leaves records nothing, and costs nothing.
type Steps struct {
	// IDs are those of the document's signatures, time-stamps and evidence records, by pointer.
	IDs map[any]string
	// Blocks are those of an object by its id, in the order in which they were begun; none twice.
	Blocks map[string][]*trace.Block
	// Chains are the outcomes of the first path validation, at the proven time, by the id of the object.
	Chains map[string]*Chain
	// Proofs are the earliest proofs of existence of objects, by their SHA-256; the others exist at the validation.
	Proofs map[[32]byte]trace.Proof
	// CRLs and Responses are all that were read, by SHA-256.
	CRLs      map[[32]byte]*revocation.CRL
	Responses map[[32]byte]*revocation.Response
	Cut       string // see trace.Trace

	object string         // the one that is judged
	held   string         // the certificate that is held against constraints, "" for none
	open   []*trace.Block // the innermost last
	silent bool
	room   int
}

// maxMet bounds the constraints of a trace that hold. Those that do not are never left out; there are at most as many as
// the document has objects, each with the certificates of a path.
const maxMet = 100_000

func newSteps(doc *signature.Document) *Steps {
	s := &Steps{IDs: map[any]string{}, Blocks: map[string][]*trace.Block{}, Chains: map[string]*Chain{},
		Proofs: map[[32]byte]trace.Proof{}, CRLs: map[[32]byte]*revocation.CRL{}, Responses: map[[32]byte]*revocation.Response{}, room: maxMet}
	s.name(doc)
	return s
}

// of says what the blocks to come are about: a signature, a time-stamp or an evidence record.
func (s *Steps) of(object any) {
	if s != nil {
		s.object = s.IDs[object]
	}
}

// begin opens a block of the object that is judged, anew where it was gone through in part before.
func (s *Steps) begin(kind trace.Kind, at time.Time) *trace.Block {
	list := s.Blocks[s.object]
	i := slices.IndexFunc(list, func(b *trace.Block) bool { return b.Kind == kind })
	if i < 0 {
		i, list = len(list), append(list, &trace.Block{ID: s.object + "-" + string(kind), Kind: kind, Object: s.object,
			Conclusion: trace.Conclusion{Indication: string(Passed)}})
		s.Blocks[s.object] = list
	}
	b := list[i]
	if !at.IsZero() {
		b.Time = &at
	}
	s.open = append(s.open, b)
	return b
}

// end closes the innermost block.
func (s *Steps) end(c Conclusion) {
	b := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	if !c.passed() {
		b.Conclusion = told(c)
	}
	explained(b)
}

// told is a block's conclusion as a trace has it.
func told(c Conclusion) trace.Conclusion {
	t := trace.Conclusion{Indication: string(c.Block()), SubIndication: string(c.SubIndication)}
	for _, r := range c.Reasons {
		t.Reasons = append(t.Reasons, prose.Text(r))
	}
	return t
}

// explained makes sure that a block that did not pass has a constraint that says why: the block within it, or what the
// reasons say.
func explained(b *trace.Block) {
	if b.Conclusion.Indication == string(Passed) || b.Conclusion.Indication == string(TotalPassed) ||
		slices.ContainsFunc(b.Constraints, func(c trace.Constraint) bool { return c.Status == trace.NotOK }) {
		return
	}
	why := trace.Constraint{Name: trace.Conclusive, Status: trace.NotOK, Message: prose.Text(strings.Join(b.Conclusion.Reasons, "; "))}
	for _, inner := range b.Blocks {
		if inner.Conclusion.Indication != string(Passed) {
			why.Block, why.Object = inner.ID, inner.Object
			break
		}
	}
	b.Constraints = append(b.Constraints, why)
}

// add enters a constraint into the innermost block.
func (s *Steps) add(c trace.Constraint) {
	switch {
	case s == nil || s.silent || len(s.open) == 0:
		return
	case c.Status != trace.NotOK && s.room == 0:
		s.Cut = "constraints that hold, beyond the first 100000"
		return
	case c.Status != trace.NotOK:
		s.room--
	}
	if s.held != "" {
		c.Object = s.held
	}
	b := s.open[len(s.open)-1]
	b.Constraints = append(b.Constraints, c)
}

// link says which certificate of a path the constraints to come are about; nil for none.
func (s *Steps) link(c *certificate.Certificate) {
	switch {
	case s == nil:
	case c == nil:
		s.held = ""
	default:
		s.held = CertificateID(c)
	}
}

// silently asks without leaving a trace: for what is asked beside the course of validation.
func silently[T any](s *Steps, ask func() T) T {
	if s == nil {
		return ask()
	}
	before := s.silent
	s.silent = true
	defer func() { s.silent = before }()
	return ask()
}

// block goes through a building block.
func (v *validator) block(kind trace.Kind, at time.Time, run func() Conclusion) Conclusion {
	if v.steps == nil || v.steps.silent {
		return run()
	}
	v.steps.begin(kind, at)
	c := run()
	v.steps.end(c)
	return c
}

// check enters the outcome of a constraint, and returns it.
func (v *validator) check(c policy.Context, n policy.Name, outcome Conclusion) Conclusion {
	return v.checkOf(c, n, "", outcome)
}

// checkOf is check of one of several things, by name.
func (v *validator) checkOf(c policy.Context, n policy.Name, subject string, outcome Conclusion) Conclusion {
	if v.steps != nil {
		status := trace.OK
		if !outcome.passed() {
			status = trace.NotOK
		}
		v.steps.add(entry(c, n, subject, status, strings.Join(outcome.Reasons, "; ")))
	}
	return outcome
}

// demand judges what a constraint asks for by the level that the policy gives it; otherwise is what follows for FAIL.
func (v *validator) demand(c policy.Context, n policy.Name, holds bool, otherwise func() Conclusion) Conclusion {
	switch {
	case holds:
		return v.check(c, n, passed())
	case v.refuses(c, n):
		return v.check(c, n, otherwise())
	}
	v.remark(c, n, "", func() string { return strings.Join(otherwise().Reasons, "; ") })
	return passed()
}

// remark enters what the policy does not refuse.
func (v *validator) remark(c policy.Context, n policy.Name, subject string, what func() string) {
	if v.steps == nil {
		return
	}
	v.steps.add(entry(c, n, subject, statusOf(v.policy.Level(c, n)), what()))
}

// outcome enters what became of a constraint of a level; why says what does not meet it, "" where all does.
func (v *validator) outcome(c policy.Context, n policy.Name, l policy.Level, why string) {
	if v.steps == nil {
		return
	}
	status := trace.OK
	if why != "" {
		status = statusOf(l)
	}
	v.steps.add(entry(c, n, "", status, why))
}

// statusOf is that of a constraint of a level that is not met.
func statusOf(l policy.Level) trace.Status {
	switch l {
	case policy.Warn:
		return trace.Warning
	case policy.Inform:
		return trace.Information
	case policy.Ignore:
		return trace.Ignored
	}
	return trace.NotOK
}

func entry(c policy.Context, n policy.Name, subject string, status trace.Status, message string) trace.Constraint {
	t := trace.Constraint{Name: string(n), Context: c.String(), Status: status, Subject: prose.Text(subject)}
	if status != trace.OK && status != trace.Ignored {
		t.Message = prose.Text(message)
	}
	return t
}

// cryptographic enters the use of an algorithm; why is what speaks against it.
func (v *validator) used(c policy.Context, u signature.AlgorithmUse, at time.Time, ok bool, why string) {
	if v.steps == nil {
		return
	}
	status := trace.OK
	switch {
	case !ok:
		status = trace.NotOK
	case why != "":
		status = trace.Warning
	}
	t := entry(c, policy.Cryptographic, u.Purpose, status, why)
	t.Crypto = v.crypto(c, u, at, ok)
	v.steps.add(t)
}

func (v *validator) crypto(c policy.Context, u signature.AlgorithmUse, at time.Time, ok bool) *trace.Crypto {
	t := &trace.Crypto{Purpose: u.Purpose, Algorithm: u.Algorithm, KeyBits: u.KeyBits, Time: at, Secure: ok}
	if until := v.policy.Suite(c).Until(u.Algorithm, u.KeyBits); !until.IsZero() {
		t.NotAfter = &until
	}
	return t
}

// proving says whose proofs come next.
func (v *validator) proving(t *signature.Timestamp) {
	if v.steps != nil {
		v.existence.prover, v.existence.proofs = v.steps.IDs[t], v.steps.Proofs
	}
}

// evidence keeps what was read.
func (s *Steps) evidence(p *parsed) {
	if s == nil {
		return
	}
	for _, l := range p.crls {
		if l != nil {
			s.CRLs[l.Digest()] = l
		}
	}
	for _, r := range p.responses {
		if r != nil {
			s.Responses[r.Digest()] = r
		}
	}
}

// certificateValidation is x509 as a building block.
func (v *validator) certificateValidation(s subject, at time.Time) *Chain {
	if v.steps == nil || v.steps.silent {
		return v.chain(s, at)
	}
	v.steps.past()
	b := v.steps.begin(trace.CertificateValidation, at)
	c := v.x509(s, at)
	if v.steps.Chains[v.steps.object] == nil {
		v.steps.Chains[v.steps.object] = c
	}
	v.path(b, s.context, c)
	v.steps.end(c.Conclusion)
	return c
}

// past makes of an earlier validation of the path, at the proven time, that of a past certificate: what decides is the
// one that follows.
func (s *Steps) past() {
	for _, b := range s.Blocks[s.object] {
		if b.Kind == trace.CertificateValidation {
			b.Kind, b.ID = trace.PastCertificateValidation, s.object+"-"+string(trace.PastCertificateValidation)
			for i := range b.Blocks {
				b.Blocks[i].ID = b.ID + strings.TrimPrefix(b.Blocks[i].ID, s.object)
				for k := range b.Blocks[i].Blocks {
					b.Blocks[i].Blocks[k].ID = b.ID + strings.TrimPrefix(b.Blocks[i].Blocks[k].ID, s.object)
				}
			}
			for i, c := range b.Constraints {
				if c.Block != "" {
					b.Constraints[i].Block = b.ID + strings.TrimPrefix(c.Block, s.object)
				}
			}
			b.Constraints = append(b.Constraints, s.slid()...)
		}
	}
}

// slid asks, of a past path, for the conclusion of the sliding of its time, where there was one.
func (s *Steps) slid() []trace.Constraint {
	i := slices.IndexFunc(s.Blocks[s.object], func(b *trace.Block) bool { return b.Kind == trace.ValidationTimeSliding })
	if i < 0 {
		return nil
	}
	b := s.Blocks[s.object][i]
	c := trace.Constraint{Name: trace.Conclusive, Status: trace.OK, Block: b.ID}
	if b.Conclusion.Indication != string(Passed) {
		c.Status, c.Message = trace.NotOK, strings.Join(b.Conclusion.Reasons, "; ")
	}
	return []trace.Constraint{c}
}

// pastSignature is what is concluded by a time before now, as a building block (5.6.2.4): it rests on the path at that
// time, and on the proof that the value existed by then, which is how the time was come to.
func (v *validator) pastSignature(at time.Time, run func() Conclusion) Conclusion {
	return v.block(trace.PastSignatureValidation, at, func() Conclusion {
		c := run()
		v.steps.restsOnPath()
		v.steps.add(trace.Constraint{Name: trace.ProofOfValue, Status: trace.OK})
		return c
	})
}

// restsOnPath asks for the conclusion of the path at the proven time: of the past one, where there is one at hand now
// too.
func (s *Steps) restsOnPath() {
	if s == nil || s.silent {
		return
	}
	var path *trace.Block
	for _, b := range s.Blocks[s.object] {
		if b.Kind == trace.PastCertificateValidation || b.Kind == trace.CertificateValidation && path == nil {
			path = b
		}
	}
	if path == nil {
		return
	}
	c := trace.Constraint{Name: trace.Conclusive, Status: trace.OK, Block: path.ID}
	if path.Conclusion.Indication != string(Passed) {
		c.Status, c.Message = trace.NotOK, strings.Join(path.Conclusion.Reasons, "; ")
	}
	s.add(c)
}

// CertificateID is the id of a certificate in a trace.
func CertificateID(c *certificate.Certificate) string {
	return identifier(trace.CertificateID, c.Fingerprint)
}

// conclusive enters the conclusion of a time-stamp that something rests on.
func (v *validator) conclusive(t *signature.Timestamp, c Conclusion) {
	if v.steps == nil {
		return
	}
	status := trace.OK
	if !c.passed() {
		status = trace.NotOK
	}
	e := entry(policy.Timestamp, trace.Conclusive, "", status, strings.Join(c.Reasons, "; "))
	e.Object = v.steps.IDs[t]
	v.steps.add(e)
}
