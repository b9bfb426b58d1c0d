// Package verdict writes what a report says of a document as HTML: the sentence, the five rows, what is to be done, and
// folded below it all that an expert asks for. The server writes it for who uploads a document, and the same code in the
// browser for who judges it there, so that both show the same.
package verdict

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"
	"unicode"

	"trustcore/cmd/verifyd/page/words"
	"trustcore/verify"
	"trustcore/verify/picture"
)

//go:embed messages/*.json
var messages embed.FS

//go:embed verdict.html
var source string

// Place is where a document was judged.
type Place string

// The places.
const (
	Server  Place = "server"
	Browser Place = "browser"
)

// Verdict is what is shown of one document.
type Verdict struct {
	ID     string // unique on the page: letters and digits
	Name   string // of the file, as its owner named it
	Signed string // name of the file that a detached signature is about, "" where none was given
	Place  Place
	Report *verify.Report // nil where the document was not judged
	JSON   []byte         // the report as the API gives it, to be kept
	// Problem says why the document was not judged.
	Problem Problem
}

// Problem is why a document was not judged.
type Problem string

// The problems.
const (
	Nothing     Problem = "nothing" // no file was chosen
	TooLarge    Problem = "too-large"
	Unreadable  Problem = "unreadable"
	Busy        Problem = "busy"
	NoLists     Problem = "not-ready"
	Unreachable Problem = "unreachable"
)

// speech is the template with the texts of one language.
type speech struct {
	language  string
	words     words.Words
	templates *template.Template
}

var speeches = sync.OnceValue(func() map[string]*speech {
	all := map[string]*speech{}
	for language, list := range words.Load(messages) {
		s := &speech{language: language, words: list}
		s.templates = template.Must(template.New("verdict").Funcs(template.FuncMap{
			"t": list.Say, "term": s.term, "badge": s.badge, "time": s.time, "timeline": s.timeline, "chain": s.chain,
			"rows": s.rows, "in": s.in, "keep": keep, "inc": func(i int) int { return i + 1 },
		}).Parse(source))
		all[language] = s
	}
	return all
})

// Write returns the verdict in a language of words.Languages.
func Write(language string, v Verdict) (template.HTML, error) {
	s := speeches()[language]
	if s == nil {
		return "", fmt.Errorf("verdict: there are no words of %q", language)
	}
	v.Name, v.Signed = Displayed(v.Name), Displayed(v.Signed)
	var b bytes.Buffer
	if err := s.templates.Execute(&b, v); err != nil {
		return "", fmt.Errorf("verdict: %w", err)
	}
	return template.HTML(b.String()), nil // escaped by the template
}

// Tone is how the verdict looks at a glance.
func (v Verdict) Tone() string {
	switch {
	case v.Report == nil:
		return "none"
	case len(v.Report.Signatures) == 0:
		return "unsigned"
	}
	tone := "passed"
	for i := range v.Report.Signatures {
		switch v.Report.Signatures[i].Indication {
		case verify.TotalPassed:
		case verify.TotalFailed:
			return "failed"
		default:
			tone = "open"
		}
	}
	return tone
}

// Detached tells whether a signature is about a file of its own that was not given.
func (v Verdict) Detached() bool {
	if v.Report == nil || v.Signed != "" {
		return false
	}
	for i := range v.Report.Signatures {
		if v.Report.Signatures[i].SubIndication == "SIGNED_DATA_NOT_FOUND" {
			return true
		}
	}
	return false
}

// signs stand beside the words of a tone: no colour says anything by itself.
var signs = map[string]string{"passed": "✓", "failed": "✕", "open": "!", "unsigned": "–", "none": "–"}

func (s *speech) badge(tone string) (template.HTML, error) {
	word, err := s.words.Say("tone." + tone)
	return template.HTML(`<span class="badge ` + tone + `"><span aria-hidden="true">` + signs[tone] + `</span> ` +
		template.HTMLEscapeString(word) + `</span>`), err
}

// tone is that of one signature or time-stamp.
func tone(i verify.Indication) string {
	switch i {
	case verify.TotalPassed, verify.Passed:
		return "passed"
	case verify.TotalFailed, verify.Failed:
		return "failed"
	}
	return "open"
}

// term names a value of a closed list; one that is not known is shown as it is.
func (s *speech) term(list string, value any) string {
	if i, ok := value.(verify.Indication); ok {
		value = tone(i)
	}
	if text, known := s.words[list+"."+fmt.Sprint(value)]; known {
		return text
	}
	return fmt.Sprint(value)
}

// in chooses the language of a text of the report.
func (s *speech) in(texts map[string]string) string { return texts[s.language] }

func (s *speech) rows(rows map[string]verify.Rows) verify.Rows { return rows[s.language] }

var zone = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Warsaw") // verify brings the files of zones along
	if err != nil {
		return time.UTC
	}
	return l
})

func (s *speech) time(at any) template.HTML {
	var t time.Time
	switch at := at.(type) {
	case time.Time:
		t = at
	case *time.Time:
		if at != nil {
			t = *at
		}
	}
	if t.IsZero() {
		return "–"
	}
	// Digits and signs only: nothing here needs escaping.
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `">` + t.In(zone()).Format("2006-01-02 15:04:05") + `</time>`)
}

func (s *speech) timeline(r *verify.Report, i int, id string) template.HTML {
	return template.HTML(picture.Timeline(&r.Signatures[i], r.ValidationTime, s.language, fmt.Sprintf("%s-%d-timeline", id, i)))
}

func (s *speech) chain(r *verify.Report, i int, id string) template.HTML {
	return template.HTML(picture.Chain(&r.Signatures[i], s.language, fmt.Sprintf("%s-%d-chain", id, i)))
}

// keep is an address that holds the report itself, so that it can be kept without a script and without asking again.
func keep(data []byte) template.URL {
	return template.URL("data:application/json;base64," + base64.StdEncoding.EncodeToString(data))
}

// maxName is how many letters of a file's name are shown.
const maxName = 120

// Displayed is a file's name without the signs that turn text around or hide in it.
func Displayed(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, name)
	if letters := []rune(name); len(letters) > maxName {
		return string(letters[:maxName]) + "…"
	}
	return name
}
