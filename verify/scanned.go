package verify

import (
	"context"
	"errors"

	"trustcore/verify/scan"
)

// Why a document that must be looked at by the scanner gets no report.
var (
	ErrNotScanned     = errors.New("the scanner for malicious software does not answer")
	ErrTooLargeToScan = errors.New("the document is larger than the scanner for malicious software takes")
)

// ScanReport is what the scanner says of a document and of the files beside it. It is no part of the verdict.
type ScanReport struct {
	scan.Result
	Sentence map[string]string `json:"sentence"` // for people, by language
	// Notice is a text for who sent an infected file, by language; empty for every other one.
	Notice map[string]string `json:"notice,omitempty"`
}

// scan begins to look at the files of a request, and returns what waits for the result: nil without a scanner.
func (v *Verifier) scan(ctx context.Context, r Request) (wait func() *scan.Result) {
	if v.cfg.Scanner == nil {
		return func() *scan.Result { return nil }
	}
	files := [][]byte{r.Document}
	for _, d := range r.Detached {
		files = append(files, d.Content)
	}
	done := make(chan scan.Result, 1)
	go func() { done <- v.cfg.Scanner.Scan(ctx, files...) }()
	return func() *scan.Result {
		result := <-done
		return &result
	}
}

// looked tells whether the scanner has come to a result about everything.
func looked(r *scan.Result) bool {
	return r != nil && (r.State == scan.Clean || r.State == scan.Infected)
}

func notScanned(r *scan.Result) error {
	if r != nil && r.State == scan.TooLarge {
		return ErrTooLargeToScan
	}
	return ErrNotScanned
}

func scanReport(r *scan.Result) *ScanReport {
	if r == nil {
		return nil
	}
	s := &ScanReport{Result: *r, Sentence: map[string]string{}}
	for _, v := range voices() {
		s.Sentence[v.language] = v.say("scan."+string(r.State), "Threat", v.quote(r.Threat))
		if r.State != scan.Infected {
			continue
		}
		if s.Notice == nil {
			s.Notice = map[string]string{}
		}
		s.Notice[v.language] = v.say("scan.notice", "Threat", v.quote(r.Threat))
	}
	return s
}
