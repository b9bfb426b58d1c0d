package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"trustcore/verify"
	"trustcore/verify/prose"
)

// columns are the widths in characters of verdict, kind, time and signer; the file comes last, as long as it is.
var columns = [...]int{16, 34, 16, 28}

func (o *verifyOptions) printHead(out io.Writer) {
	o.printLine(out, o.word("verdict"), o.word("kind"), o.word("time"), o.word("signatory"), o.word("file"))
}

// printLines writes a line for each signature of a document, or one that says what it is instead.
func (o *verifyOptions) printLines(out io.Writer, r *outcome) {
	file := prose.Text(r.File)
	if r.Error != nil {
		o.printLine(out, o.word("not judged"), "", "", "", file+": "+prose.Text(*r.Error))
		return
	}
	for i := range r.Signatures {
		s := &r.Signatures[i]
		o.printLine(out, o.verdict(s.Indication), s.Rows[o.language].Kind, minute(s.BestSignatureTime), o.name(s.Signer.CommonName), file)
	}
	for _, t := range r.Timestamps {
		o.printLine(out, o.verdict(t.Indication), o.word("a time-stamp"), "", "", file)
	}
	for _, e := range r.EvidenceRecords {
		o.printLine(out, o.verdict(e.Indication), o.word("an evidence record"), "", "", file)
	}
	if isBare(r.Report) {
		o.printLine(out, o.word("unsigned"), "", "", "", file)
	}
	if c := r.ActiveContent; c != nil && len(c.Items) > 0 {
		fmt.Fprintf(out, "  %s\n", c.Sentence[o.language])
	}
	if s := r.Service; s != nil {
		fmt.Fprintf(out, "  %s\n", s.Sentence[o.language])
	}
}

// verdict is an indication in a word.
func (o *verifyOptions) verdict(i verify.Indication) string {
	switch i {
	case verify.TotalPassed, verify.Passed:
		return o.word("valid")
	case verify.TotalFailed, verify.Failed:
		return o.word("not valid")
	}
	return o.word("unconfirmed")
}

func (o *verifyOptions) printLine(out io.Writer, cells ...string) {
	var line strings.Builder
	for i, width := range columns {
		cell := short(cells[i], width)
		line.WriteString(cell + strings.Repeat(" ", width-utf8.RuneCountInString(cell)+2))
	}
	fmt.Fprintln(out, line.String()+cells[len(columns)])
}

// short is a text of at most width characters.
func short(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// minute shows a time in the zone of this machine.
func minute(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// tally counts documents by what became of them.
type tally struct{ passed, failing, unjudged int }

func (t *tally) add(status exitCode) {
	switch status {
	case 0:
		t.passed++
	case notDone:
		t.unjudged++
	default:
		t.failing++
	}
}

func (t tally) say(language string) string {
	form := "documents: %d, passed: %d, did not pass: %d, could not be judged: %d"
	if language == verify.Languages[0] {
		form = "dokumentów: %d, ważnych: %d, nieważnych lub niepotwierdzonych: %d, nieocenionych: %d"
	}
	return fmt.Sprintf(form, t.passed+t.failing+t.unjudged, t.passed, t.failing, t.unjudged)
}
