package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"trustcore/cmd/internal/docket"
	"trustcore/verify"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
)

// show judges the jobs and writes the outcomes in their order, with the exit status of the worst.
func (o *verifyOptions) show(ctx context.Context, jobs []job, v *verifier, out io.Writer) error {
	w := bufio.NewWriter(out)
	encoder := json.NewEncoder(w)
	var lines *docket.Table
	if o.table {
		lines = docket.New(w, o.language)
	}
	tell := func(r *outcome) error {
		switch {
		case o.json:
			return encoder.Encode(r)
		case o.table:
			lines.Add(r.File, r.Report, r.Error, int(r.status()))
		default:
			o.printOutcome(w, r)
		}
		return w.Flush()
	}
	status, err := v.inOrder(ctx, jobs, progressOf(jobs, out), tell)
	if o.table && err == nil {
		lines.Sum()
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	return status.err()
}

func (o *verifyOptions) printOutcome(out io.Writer, r *outcome) {
	if r.Error != nil {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), prose.Text(*r.Error))
		return
	}
	if len(r.Signatures) != 1 {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), r.Summary[o.language])
	}
	for _, t := range r.Timestamps {
		fmt.Fprintf(out, "%s: %s: %s %s\n", prose.Text(r.File), o.word("a time-stamp"), t.Indication, t.SubIndication)
	}
	for _, e := range r.OwnRecords() {
		fmt.Fprintf(out, "%s: %s: %s %s\n", prose.Text(r.File), o.word("an evidence record"), e.Indication, e.SubIndication)
	}
	for i := range r.Signatures {
		o.printSignature(out, r, &r.Signatures[i])
	}
	if s := r.Service; s != nil {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), s.Sentence[o.language])
		if ask := s.Ask[o.language]; ask != "" {
			fmt.Fprintf(out, "  %s\n", ask)
		}
	}
	if c := r.ActiveContent; c != nil {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), c.Sentence[o.language])
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "%s: %s: %s\n", prose.Text(r.File), o.word("note"), prose.Text(note))
	}
}

func (o *verifyOptions) printSignature(out io.Writer, r *outcome, s *verify.SignatureReport) {
	head := s.Sentence
	if len(r.Signatures) == 1 && r.DocumentType != poland.NoReceipt {
		head = r.Summary
	}
	fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), head[o.language])
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(head, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", o.word(head), value)
		}
	}
	name := o.name
	told := s.Rows[o.language]
	row("integrity", told.Integrity)
	row("signatory", told.Signatory)
	row("kind", told.Kind)
	row("time", told.Time)
	row("trust", told.Trust)
	row("indication", strings.TrimSpace(string(s.Indication)+" "+string(s.SubIndication)))
	row("signer", name(s.Signer.CommonName))
	row("issuer", name(s.Signer.Issuer))
	row("format", strings.TrimSpace(s.Format+" "+s.Level))
	row("qualification", s.Qualification)
	row("proven at", s.BestSignatureTime.Format(time.RFC3339))
	for _, reason := range s.Reasons {
		row("because", reason)
	}
	for _, scope := range s.Scopes {
		row("covers", name(scope.Scope))
	}
	for _, warning := range s.Warnings() {
		row("beware", verify.Wording(o.language, warning))
	}
	for _, note := range s.Notes {
		row("note", note)
	}
	_ = w.Flush() // to a terminal or file that already took the line above
}

func (o *verifyOptions) word(english string) string { return docket.Word(o.language, english) }

// name shows what a stranger chose; nothing is shown of nothing.
func (o *verifyOptions) name(text string) string {
	if text == "" {
		return ""
	}
	return prose.In(o.language, text)
}
