// Package keep writes a verdict as something that can be kept beside the document, printed and shown to others: PDF
// with pictures, and HTML of one file that loads nothing. Both say the same, in the same order, and are made of one
// value; the same value gives the same octets, so that a report can be compared, and sealed.
//
// A report holds names that strangers chose. They go through one place (clean), and neither writer lets a text be more
// than text: package paper writes numbers of glyphs, and the HTML has every sign escaped, no scripts, links and outside
// content, and a policy that would let none run.
package keep

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"trustcore/verify"
	"trustcore/verify/picture"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
)

// Report is what is kept.
type Report struct {
	Verdict  *verify.Report // judged with a trace, which names the trusted lists
	Name     string         // of the document, as its owner calls it; "" where it has none
	Size     int64          // of the document, in octets
	Place    Place
	Judge    string // who judged, such as the name of a data centre; "" where nobody said
	Sealed   bool   // the judge seals what is written here, as it says then; a Server alone does
	Language string // of verify.Languages
}

// Place is where the document was judged.
type Place string

// The places.
const (
	Server  Place = "server"  // by verifyd
	Browser Place = "browser" // by the reader's own browser: such a report is not sealed
	Command Place = "command" // by trustctl
)

// The most that is told; beyond, it is said how many more there are.
const (
	maxSignatures = 1000
	maxAnswers    = 100 // to one question
)

// writer writes a report in a form.
type writer interface {
	heading(level int, text string) // 1 to 3
	paragraph(text string)
	notice(tone, text string) // what a reader must not miss; tone as pictures have it
	rows(list []row)
	pictures(s *verify.SignatureReport)
}

// row is a question and what is answered to it.
type row struct {
	question string
	answers  []string
}

var (
	errIncomplete = errors.New("keep: the verdict, its trace or the language is missing")
	errSealed     = errors.New("keep: a report is sealed by the server that judged, under its name, and by nobody else")
)

// prepared is the report with reasons and notes in its language, and with its name as it may be shown.
func (r Report) prepared() (*Report, error) {
	if r.Verdict == nil || r.Verdict.Trace == nil || !slices.Contains(verify.Languages, r.Language) {
		return nil, errIncomplete
	}
	if r.Sealed && (r.Place != Server || r.Judge == "") {
		return nil, errSealed
	}
	if !r.Verdict.Trace.Numbers {
		people := r.Verdict.People()
		r.Name = people.Hide(r.Name)
	}
	r.Name, r.Judge = prose.Text(r.Name), prose.Text(r.Judge)
	r.Verdict = r.Verdict.In(r.Language)
	return &r, nil
}

// clean is the one place through which every text goes.
func clean(text string) string { return prose.Printable(text) }

func (r *Report) say(id string, filled ...any) string {
	if len(filled) == 0 {
		return words()[r.Language][id]
	}
	return fmt.Sprintf(words()[r.Language][id], filled...)
}

// moment writes a time as clocks in Poland show it.
func moment(t time.Time) string { return t.In(verify.Zone()).Format("2006-01-02 15:04:05") }

// tone is that of the whole: what failed outweighs what is open, and that what passed.
func (r *Report) tone() string {
	v := r.Verdict
	if len(v.Signatures) == 0 {
		return picture.Open
	}
	whole := picture.Good
	for i := range v.Signatures {
		switch picture.Tone(v.Signatures[i].Indication) {
		case picture.Bad:
			return picture.Bad
		case picture.Open:
			whole = picture.Open
		}
	}
	if v.DocumentType != poland.NoReceipt && v.EvidenceIssuer == poland.IssuerNone {
		return picture.Open
	}
	return whole
}
