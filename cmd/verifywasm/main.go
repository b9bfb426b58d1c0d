//go:build js

// Command verifywasm is the verifier for browsers (GOOS=js GOARCH=wasm, `make build`). It runs in a worker of verifyd's page,
// judges documents there, and asks verifyd for what they are judged by. What a document holds goes nowhere.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall/js"
	"time"

	"trustcore/cmd/verifyd/page/verdict"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/exchange"
	"trustcore/verify/keep"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// The cache: a certificate takes some 6 kB, a verdict 250 bytes.
const (
	cachedCertificates = 2_000
	cachedVerdicts     = 10_000
	cachedEvidence     = 16 << 20
)

// judge is what the page asks, one document at a time.
type judge struct {
	cache  *cache.Cache
	pieces exchange.Pieces
	last   *exchange.Answer // nil before the first
	policy *verify.Policy   // of the last answer
	pins   *poland.Pins
}

func main() {
	c, err := cache.New(cache.Config{Certificates: cachedCertificates, Verdicts: cachedVerdicts, Evidence: cachedEvidence})
	if err != nil {
		panic(err) // its bounds are above
	}
	j := &judge{cache: c}
	js.Global().Set("judge", js.FuncOf(func(_ js.Value, args []js.Value) any {
		return promise(func() (any, error) { return j.judge(args[0]) })
	}))
	select {} // until the page ends the worker
}

// judge gives the verdict on a document as HTML, and the report as JSON; or, where the request names a form, a report that
// is kept.
func (j *judge) judge(request js.Value) (any, error) {
	language, service := request.Get("language").String(), request.Get("service").String()
	form, kept := keep.Forms[request.Get("report").String()]
	r := verify.Request{Document: octets(request.Get("document")), Any: service != "", Active: true, Trace: kept}
	size := int64(len(r.Document))
	v := verdict.Verdict{ID: request.Get("id").String(), Name: request.Get("name").String(), Place: verdict.Browser}
	if signed := request.Get("signed"); signed.Truthy() {
		v.Signed = signed.Get("name").String()
		r.Detached = []signature.Detached{{Name: v.Signed, Content: octets(signed.Get("content"))}}
	}
	report, card, err := j.verify(r, service)
	var fault *verify.Fault
	switch {
	case errors.Is(err, errUnasked), errors.As(err, &fault):
		return nil, err // the server may know better
	case err != nil:
		v.Problem = verdict.Unreadable
	default:
		if card != nil {
			report.For(card)
		}
		if kept {
			return keepReport(form, keep.Report{Verdict: report, Name: v.Name, Size: size, Place: keep.Browser,
				Judge: request.Get("centre").String(), Language: language})
		}
		v.Report = report.In(language)
		if v.JSON, err = json.Marshal(v.Report); err != nil {
			return nil, err
		}
	}
	html, err := verdict.Write(language, v)
	if err != nil {
		return nil, err
	}
	return map[string]any{"html": string(html), "json": string(v.JSON)}, nil
}

// keepReport gives a report that is kept, as octets.
func keepReport(form keep.Form, r keep.Report) (any, error) {
	data, err := form.Write(r)
	if err != nil {
		return nil, err
	}
	array := js.Global().Get("Uint8Array").New(len(data))
	js.CopyBytesToJS(array, data)
	return map[string]any{"octets": array, "media": form.Media}, nil
}

// errUnasked tells that the server gave nothing to judge by.
var errUnasked = errors.New("the server can't be asked")

// errRules tells that a document must be judged anew, by the rules that came with its evidence.
var errRules = errors.New("the rules are others")

// verify judges a document by what verifyd answers about it, and returns the card of the service, nil for none. The rules
// come with the first answer, before a document is read, and seldom change.
func (j *judge) verify(r verify.Request, service string) (*verify.Report, *poland.Card, error) {
	if j.last == nil || service != "" && (j.last.Card == nil || j.last.Card.ID != service) {
		if err := j.ask(&signature.Document{}, service); err != nil {
			return nil, nil, err
		}
	}
	for again := false; ; again = true {
		report, err := j.verifyBy(r, service)
		if errors.Is(err, errRules) && !again {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		return report, j.last.Card, nil
	}
}

// verifyBy judges by the rules at hand; errRules tells that the evidence came with others.
func (j *judge) verifyBy(r verify.Request, service string) (*verify.Report, error) {
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return nil }, Cache: j.cache, Policy: j.policy, Pins: j.pins,
		Now: func() time.Time { return j.last.Time }})
	if err != nil {
		return nil, err
	}
	r.Beside = func(doc *signature.Document) (*verify.Evidence, error) {
		policy, pins := j.policy, j.pins
		if err := j.ask(doc, service); err != nil {
			return nil, err
		}
		if policy != j.policy || pins != j.pins {
			return nil, errRules
		}
		ev, err := j.last.Evidence()
		if err == nil {
			ev.Cache, ev.Pins = j.cache, j.pins
		}
		return ev, err
	}
	return v.Verify(context.Background(), r)
}

// ask asks verifyd about what a document holds; its error is errUnasked.
func (j *judge) ask(doc *signature.Document, service string) error {
	if err := j.exchange(doc, service); err != nil {
		return fmt.Errorf("%w: %w", errUnasked, err)
	}
	return nil
}

func (j *judge) exchange(doc *signature.Document, service string) error {
	q := exchange.About(doc)
	q.Service, q.Have = service, j.pieces.Have()
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if len(body) > exchange.MaxQuestion {
		return errors.New("the document carries too much evidence to ask about it")
	}
	data, err := post("/v1/evidence", body)
	if err != nil {
		return err
	}
	a := new(exchange.Answer)
	if err := json.Unmarshal(data, a); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	if err := j.pieces.Fill(a); err != nil {
		return err
	}
	return j.take(a)
}

// take takes the rules of an answer, where they are others than those at hand.
func (j *judge) take(a *exchange.Answer) (err error) {
	if j.last == nil || a.Policy.SHA256 != j.last.Policy.SHA256 {
		if j.policy, err = policy.Parse(a.Policy.Data); err != nil {
			return err
		}
	}
	if j.last == nil || a.Pins.SHA256 != j.last.Pins.SHA256 {
		if j.pins, err = poland.Parse(a.Pins.Data); err != nil {
			return err
		}
	}
	j.last = a
	return nil
}
