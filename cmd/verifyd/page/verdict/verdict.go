// Package verdict writes what a report says of a document as HTML: the sentence, the five rows, what is to be done, and
// folded below it all that an expert asks for. The server writes it for who uploads a document, and the same code in the
// browser for who judges it there, so that both show the same.
package verdict

import (
	"embed"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"trustcore/cmd/verifyd/page/words"
	"trustcore/verify"
)

//go:embed messages/*.json
var messages embed.FS

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

// Tone is how a verdict, or one signature, looks at a glance.
type Tone string

// The tones.
const (
	passed   Tone = "passed"
	failed   Tone = "failed"
	open     Tone = "open"
	unsigned Tone = "unsigned"
	none     Tone = "none" // not judged
)

// signs stand beside the words of a tone: no colour says anything by itself.
var signs = map[Tone]string{passed: "✓", failed: "✕", open: "!", unsigned: "–", none: "–"}

// Tone is that of the whole: one signature that failed outweighs others, and so does one that is open those that passed.
func (v *Verdict) Tone() Tone {
	switch {
	case v.Report == nil:
		return none
	case len(v.Report.Signatures) == 0:
		return unsigned
	}
	whole := passed
	for i := range v.Report.Signatures {
		switch t := toneOf(v.Report.Signatures[i].Indication); {
		case t == failed:
			return failed
		case t == open:
			whole = open
		}
	}
	return whole
}

func toneOf(i verify.Indication) Tone {
	switch i {
	case verify.TotalPassed, verify.Passed:
		return passed
	case verify.TotalFailed, verify.Failed:
		return failed
	}
	return open
}

// detached tells whether a signature is about a file of its own that was not given.
func (v *Verdict) detached() bool {
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

var all = sync.OnceValue(func() map[string]words.Words { return words.Load(messages) })

// Write returns the verdict in a language of words.Languages. A text that is missing is an error.
func Write(language string, v Verdict) (string, error) {
	list := all()[language]
	if list == nil {
		return "", fmt.Errorf("verdict: there are no words of %q", language)
	}
	v.Name, v.Signed = Displayed(v.Name), Displayed(v.Signed)
	w := &writer{Verdict: &v, language: language, words: list}
	w.article()
	return w.String(), w.err
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
