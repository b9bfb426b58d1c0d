// Package docket tells of documents in a table, a line a signature, for people at a terminal.
package docket

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

// Table is one while it is written.
type Table struct {
	out      io.Writer
	language string

	passed, failing, unjudged int // documents
}

// NotDone is the exit status of a document that could not be judged; 0 is that of one in which everything passed.
const NotDone = 1

// New writes the head of a table in a language of verify.Languages.
func New(out io.Writer, language string) *Table {
	t := &Table{out: out, language: language}
	t.line(t.word("verdict"), t.word("kind"), t.word("time"), t.word("signatory"), t.word("file"))
	return t
}

func (t *Table) word(english string) string { return Word(t.language, english) }

// Add writes a line for each signature of a document, or one that says what it is instead; failed is why it was not
// judged, nil where it was. Status is what the exit status says of it.
func (t *Table) Add(file string, r *verify.Report, failed *string, status int) {
	t.count(status)
	file = prose.Text(file)
	if failed != nil {
		t.line(t.word("not judged"), "", "", "", file+": "+prose.Text(*failed))
		return
	}
	for i := range r.Signatures {
		s := &r.Signatures[i]
		t.line(t.verdict(s.Indication), s.Rows[t.language].Kind, minute(s.BestSignatureTime),
			name(t.language, s.Signer.CommonName), file)
	}
	for _, one := range r.Timestamps {
		t.line(t.verdict(one.Indication), t.word("a time-stamp"), "", "", file)
	}
	for _, one := range r.OwnRecords() {
		t.line(t.verdict(one.Indication), t.word("an evidence record"), "", "", file)
	}
	if r.Bare() {
		t.line(t.word("unsigned"), "", "", "", file)
	}
	if c := r.ActiveContent; c != nil && len(c.Items) > 0 {
		fmt.Fprintf(t.out, "  %s\n", c.Sentence[t.language])
	}
	if s := r.Service; s != nil {
		fmt.Fprintf(t.out, "  %s\n", s.Sentence[t.language])
	}
}

// name shows what a stranger chose; nothing is shown of nothing.
func name(language, text string) string {
	if text == "" {
		return ""
	}
	return prose.In(language, text)
}

// verdict is an indication in a word.
func (t *Table) verdict(i verify.Indication) string {
	switch i {
	case verify.TotalPassed, verify.Passed:
		return t.word("valid")
	case verify.TotalFailed, verify.Failed:
		return t.word("not valid")
	}
	return t.word("unconfirmed")
}

func (t *Table) line(cells ...string) {
	var line strings.Builder
	for i, width := range columns {
		cell := short(cells[i], width)
		line.WriteString(cell + strings.Repeat(" ", width-utf8.RuneCountInString(cell)+2))
	}
	fmt.Fprintln(t.out, line.String()+cells[len(columns)])
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

// count counts a document by what became of it.
func (t *Table) count(status int) {
	switch status {
	case 0:
		t.passed++
	case NotDone:
		t.unjudged++
	default:
		t.failing++
	}
}

// Sum writes how many documents there were, by what became of them.
func (t *Table) Sum() {
	form := "documents: %d, passed: %d, did not pass: %d, could not be judged: %d\n"
	if t.language == verify.Languages[0] {
		form = "dokumentów: %d, ważnych: %d, nieważnych lub niepotwierdzonych: %d, nieocenionych: %d\n"
	}
	fmt.Fprintf(t.out, form, t.passed+t.failing+t.unjudged, t.passed, t.failing, t.unjudged)
}
