package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
	"trustcore/verify/evidence"
	"trustcore/verify/judge"
	"trustcore/verify/poland"
	"trustcore/verify/scan"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
)

// Config is what a Verifier leans on.
type Config struct {
	Lists    func() *trustlist.Snapshot // those in force; asked once a document
	Gatherer Gatherer                   // fetches what documents lack; nil fetches nothing
	Cache    *cache.Cache               // nil remembers nothing
	Policy   *Policy                    // for requests that name none
	Now      func() time.Time
	Pins     *poland.Pins // of keys that Polish law publishes; nil for those that are shipped
	// Scanner looks for malicious software in each document, beside the verdict; nil looks for none. Where it MustScan, a
	// document that it could not look at gets no report but ErrNotScanned or ErrTooLargeToScan.
	Scanner  *scan.Scanner
	MustScan bool
	// Complain hears which sources of evidence did not answer; nil hears nothing.
	Complain func(problems []string)
}

// Gatherer is an evidence.Gatherer. Programs that have none do without the network that it brings along.
type Gatherer interface {
	Gather(b *budget.Budget, doc *signature.Document, trust evidence.Trust, at time.Time) evidence.Found
}

// Verifier opens, gathers and judges: the one face for daemons, command line and tests. Context, budget and the
// guard against faults of ours are here and nowhere else. It is safe for concurrent use.
type Verifier struct{ cfg Config }

// New returns a Verifier.
func New(cfg Config) (*Verifier, error) {
	if cfg.Lists == nil || cfg.Policy == nil || cfg.Now == nil {
		return nil, errors.New("verify: Lists, Policy or Now is missing")
	}
	if cfg.Complain == nil {
		cfg.Complain = func([]string) {}
	}
	return &Verifier{cfg}, nil
}

// Request is one document to verify.
type Request struct {
	Document []byte
	Detached []signature.Detached // files that a detached signature may be about, or digests of them (Digests)
	// Passwords for a PDF that is encrypted, UTF-8, at most MaxPasswords of MaxPassword octets. They are the caller's to
	// wipe when Verify returns; neither report nor error says anything of them.
	Passwords [][]byte
	At        time.Time           // of validation; zero is now, when all evidence is at hand
	Policy    *Policy             // nil is the Verifier's
	LetGo     func(octets []byte) // hears what of Document and Detached was read through; nil hears nothing
	Evidence  *Evidence           // beside the document and what is gathered; its Lists and Cache do not count
	Trace     bool                // asks for Report.Trace, which costs some time and memory
	Numbers   bool                // asks for personal numbers, of which a report shows the last digits otherwise
	Active    bool                // asks for Report.ActiveContent, which costs as much again
	Any       bool                // a file that can hold no signature is a report without signatures, no error
	// Beside gives all that is known beside the document, in place of Lists, Gatherer and Evidence; nil leaves it to these. Its
	// error is Verify's.
	Beside func(doc *signature.Document) (*Evidence, error)
	Found  func(*Evidence) // hears the evidence beside the document that the verdict rests on; nil hears nothing
}

// The limits of Request.Passwords: to try one takes some 20 ms in the newest PDFs.
const (
	MaxPasswords = 8
	MaxPassword  = 512 // octets; PDF 2.0 looks at the first 127
)

// CheckPasswords refuses more or longer passwords than Verify takes, and empty ones: no error says what they are.
func CheckPasswords(passwords [][]byte) error {
	if len(passwords) > MaxPasswords {
		return fmt.Errorf("at most %d passwords are tried", MaxPasswords)
	}
	for _, p := range passwords {
		if len(p) == 0 || len(p) > MaxPassword || !utf8.Valid(p) {
			return fmt.Errorf("a password has 1 to %d octets of UTF-8", MaxPassword)
		}
	}
	return nil
}

// Fault is a mistake of ours that a document brought to light. It says nothing of what is inside; Stack is for
// the log alone.
type Fault struct {
	Reason string
	Stack  []byte
}

// Error hides the reason.
func (f *Fault) Error() string {
	return "the document could not be judged because of a fault of this program"
}

// Verify gives the verdict on one document. A bad signature is a report, and so is a document beyond its budget;
// an error is the context's, a *Fault, or tells that the bytes are of no format that can hold a signature.
func (v *Verifier) Verify(ctx context.Context, r Request) (report *Report, err error) {
	defer func() {
		if p := recover(); p != nil {
			report, err = nil, &Fault{Reason: fmt.Sprint(p), Stack: debug.Stack()}
		}
	}()
	// A file that another program shortens while it is mapped is a fault of this document, not the end of all.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	b := budget.New(cache.Within(ctx, v.cfg.Cache), r.size())
	b.LetGo(r.LetGo)
	policy := r.Policy
	if policy == nil {
		policy = v.cfg.Policy
	}
	scanned := v.scan(ctx, r)
	report, err = v.verify(b, r, policy)
	result := scanned()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("judging was given up: %w", ctx.Err())
	case v.cfg.MustScan && !looked(result):
		return nil, notScanned(result)
	case errors.Is(err, budget.ErrExceeded):
		report = newReport(policy, v.cfg.Pins, v.time(r))
		report.unread(err.Error())
		if r.Trace {
			report.Trace = &trace.Trace{ValidationTime: report.ValidationTime, Policy: tracePolicy(policy), Cut: err.Error()}
		}
	case err != nil:
		return nil, err
	}
	if report.SHA256 == "" {
		report.SHA256, err = r.digest(ctx)
	}
	if r.Active {
		report.ActiveContent = activeContent(ctx, r)
	}
	report.Scan = scanReport(result)
	return report, err
}

func (v *Verifier) verify(b *budget.Budget, r Request, policy *Policy) (*Report, error) {
	if err := CheckPasswords(r.Passwords); err != nil {
		return nil, err
	}
	doc, err := openWith(b, r.Document, r.Passwords, r.Detached)
	if r.Any && errors.Is(err, ErrUnknownFormat) {
		doc, err = &signature.Document{}, nil
	}
	if err != nil {
		return nil, err
	}
	ev, err := v.beside(b, r, doc)
	if err != nil {
		return nil, err
	}
	if r.Found != nil {
		r.Found(ev)
	}
	// Not before the evidence came: an answer that was made for this request is no evidence from the future.
	report, err := conclude(b, doc, ev, policy, v.time(r), form{trace: r.Trace, numbers: r.Numbers})
	if err == nil {
		report.SHA256 = hex.EncodeToString(doc.SHA256)
		report.Notes = append(report.Notes, report.listNotes(ev.Lists, v.time(r))...)
	}
	return report, err
}

// beside is what is known beside the document.
func (v *Verifier) beside(b *budget.Budget, r Request, doc *signature.Document) (*Evidence, error) {
	if r.Beside != nil {
		return r.Beside(doc)
	}
	ev := &Evidence{Lists: v.cfg.Lists(), Cache: v.cfg.Cache, Pins: v.cfg.Pins}
	if r.Evidence != nil {
		ev.Certificates, ev.CRLs, ev.OCSPs = r.Evidence.Certificates, r.Evidence.CRLs, r.Evidence.OCSPs
		ev.Later, ev.Origins = r.Evidence.Later, maps.Clone(r.Evidence.Origins)
	}
	if v.cfg.Gatherer != nil {
		trust := evidence.Trust{Anchors: ev.Lists.Anchors(), Hosts: ev.Lists.Hosts()}
		found := v.cfg.Gatherer.Gather(b, doc, trust, v.time(r))
		v.cfg.Complain(found.Problems)
		ev.Certificates = append(ev.Certificates[:len(ev.Certificates):len(ev.Certificates)], found.Certificates...)
		ev.CRLs = append(ev.CRLs[:len(ev.CRLs):len(ev.CRLs)], found.CRLs...)
		ev.OCSPs = append(ev.OCSPs[:len(ev.OCSPs):len(ev.OCSPs)], found.OCSPs...)
		ev.Parsed, ev.Later = found.Parsed, found.Later
		for piece, origin := range found.Origins {
			if ev.Origins == nil {
				ev.Origins = map[[32]byte]string{}
			}
			ev.Origins[piece] = string(origin)
		}
	}
	return ev, nil
}

// digest is the SHA-256 of the document, in lower-case hex. It is no part of what the document's budget is for.
func (r *Request) digest(ctx context.Context) (string, error) {
	b := budget.New(ctx, len(r.Document))
	b.LetGo(r.LetGo)
	sum := sha256.New()
	if err := b.Write(sum, r.Document); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func (r *Request) size() int {
	n := len(r.Document)
	for _, d := range r.Detached {
		n += len(d.Content)
	}
	return n
}

func (v *Verifier) time(r Request) time.Time {
	if r.At.IsZero() {
		return v.cfg.Now()
	}
	return r.At
}

// unread tells that a limit kept the file from being read to its end. Where no signature was reached, one entry
// stands for all, so that nobody takes 'no signature found' for 'nothing to object'.
func (r *Report) unread(why string) {
	r.Notes, r.cut = append(r.Notes, why), true
	if len(r.Signatures) > 0 {
		return
	}
	s := SignatureReport{Indication: Indeterminate, SubIndication: judge.Generic, Reasons: []string{why}, Qualification: "N/A",
		Kind: KindOther, BestSignatureTime: r.ValidationTime, Timestamps: []TimestampReport{}, Scopes: []Scope{}}
	s.explain(told{})
	r.Signatures = append(r.Signatures, s)
	r.summarize()
}
