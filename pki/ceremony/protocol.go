package ceremony

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxProtocol is how many octets of a protocol are read.
const MaxProtocol = 4 << 20

// Languages are those of protocols.
func Languages() []string { return []string{"pl", "en"} }

// protocolFact is the fact of the last step that holds the digest of a protocol.
func protocolFact(language string) string { return "protocol_" + language + "_sha256" }

//go:embed protocol.html
var protocolHTML string

var protocolPage = template.Must(template.New("protocol").Parse(protocolHTML))

// protocol is what the page shows.
type protocol struct {
	Language                   string
	Title, Place, Organization string
	Begun, Ended, Plan         string
	People                     []protocolPerson
	Steps                      []protocolStep
	Last                       string // hash of the last step that it shows
	Word                       map[string]string
}

type protocolPerson struct{ Name, Role, Key string }

type protocolStep struct {
	Index      int
	Time, What string
	Facts      [][2]string
	Hash       string
}

// Protocol is the transcript as a page to be printed and signed on paper, HTML in one of Languages: all steps but the last, which
// holds its digest. It loads nothing and runs nothing.
func (t *Transcript) Protocol(language string) ([]byte, error) {
	words, known := protocolWords[language]
	if !known {
		return nil, fmt.Errorf("protocol: no language %q; there are %v", language, Languages())
	}
	steps := t.Steps
	if n := len(steps); n > 0 && steps[n-1].What == stepClosed {
		steps = steps[:n-1]
	}
	if len(steps) == 0 {
		return nil, errors.New("protocol: there are no steps")
	}
	plan, err := parse([]byte(t.Plan), modeOf([]byte(t.Plan)))
	if err != nil {
		return nil, fmt.Errorf("protocol: %w", err)
	}
	p := protocol{Language: language, Title: plan.Title, Place: plan.Place, Organization: plan.Organization, Plan: plan.Digest(), Word: words,
		Begun: shownTime(steps[0].Time), Ended: shownTime(steps[len(steps)-1].Time), Last: steps[len(steps)-1].Hash}
	for i, a := range plan.Attendees {
		shown := protocolPerson{Name: a.Name, Role: words[a.Role]}
		if plan.Keyed() {
			shown.Key = plan.people[i].digest
		}
		p.People = append(p.People, shown)
	}
	for _, s := range steps {
		p.Steps = append(p.Steps, s.shown(words))
	}
	var page bytes.Buffer
	if err := protocolPage.Execute(&page, p); err != nil {
		return nil, fmt.Errorf("protocol: %w", err)
	}
	return page.Bytes(), nil
}

func shownTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// shown is a step in a language. A fact that has no word of its own is shown by its name.
func (s Step) shown(words map[string]string) protocolStep {
	shown := protocolStep{Index: s.Index, Time: shownTime(s.Time), What: in(words, s.What), Hash: s.Hash}
	for _, name := range slices.Sorted(maps.Keys(s.Facts)) {
		if name != "certificate" { // people compare fingerprints
			shown.Facts = append(shown.Facts, [2]string{in(words, name), s.Facts[name]})
		}
	}
	return shown
}

// in finds what a text is in a language: as a whole, or its first word and the rest ("root key made"), or what stands before and after a
// number ("attendee_01").
func in(words map[string]string, text string) string {
	if word, known := words[text]; known {
		return word
	}
	if of, what, cut := strings.Cut(text, " "); cut && words[what] != "" && words[of] != "" {
		return words[what] + ": " + words[of]
	}
	if kind, number, cut := strings.Cut(text, "_"); cut && words[kind] != "" && len(number) >= 2 {
		number, of, _ := strings.Cut(number, "_")
		return strings.TrimSpace(words[kind] + " " + strings.TrimLeft(number, "0") + " " + in(words, of))
	}
	return text
}

// CheckProtocol refuses a protocol that is not the one whose digest stands in the transcript. One of an older version names none.
func (t *Transcript) CheckProtocol(language string, page []byte) error {
	want := t.ProtocolDigest(language)
	switch {
	case want == "":
		return fmt.Errorf("protocol (%s): the transcript names none", language)
	case len(page) > MaxProtocol:
		return fmt.Errorf("protocol (%s): %d octets, at most %d are read", language, len(page), MaxProtocol)
	case Digest(page) != want:
		return fmt.Errorf("protocol (%s): it is not the one of this ceremony: its SHA-256 is %s, the transcript has %s", language, Digest(page), want)
	}
	return nil
}

// ProtocolDigest is the SHA-256 of a protocol as the last step has it, "" where it names none.
func (t *Transcript) ProtocolDigest(language string) string {
	if len(t.Steps) == 0 {
		return ""
	}
	return t.Steps[len(t.Steps)-1].Facts[protocolFact(language)]
}
