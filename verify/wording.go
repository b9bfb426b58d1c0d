package verify

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Reasons and notes are written in English where they arise. In another language a message has that English text for
// its key, with verbs of package fmt for what differs: messages/reasons.LANGUAGE.json. What has no message there is told as
// untold, and the English text by whoever asks for English.

// untold stands for a text, or a part of one, that there are no words for.
const untold = "szczegół techniczny (opis tylko w raporcie w języku angielskim)"

// maxNested bounds how deep a message may stand within another one.
const maxNested = 6

// message is one key, cut at its verbs, with what says it in another language.
type message struct {
	literals    []string // one more than verbs
	verbs       []byte   // 'q': a quoted text, 'd': a number, 's': anything, which may be a message itself
	translation string   // verbs with the number of the argument: %[1]s
	weight      int      // octets of the literals: the message that says most about a text is tried first
}

// phrases are the messages of a language, the ones that say most about a text first.
type phrases struct {
	messages []message
	whole    map[string]string // what the messages without verbs say: no other one says more of such a text
}

// wordings are the phrases of each language but English.
var wordings = sync.OnceValue(func() map[string]*phrases {
	table := map[string]*phrases{}
	for _, lang := range Languages {
		data, err := messages.ReadFile("messages/reasons." + lang + ".json")
		if err != nil {
			continue
		}
		var list map[string]string
		if err := json.Unmarshal(data, &list); err != nil {
			panic(err) // the file is a part of the program
		}
		p := &phrases{whole: map[string]string{}}
		table[lang] = p
		for key, translation := range list {
			m := newMessage(key, translation)
			p.messages = append(p.messages, m)
			if len(m.verbs) == 0 {
				p.whole[key] = translation
			}
		}
		slices.SortFunc(p.messages, func(a, b message) int {
			if a.weight != b.weight {
				return b.weight - a.weight
			}
			return slices.Compare(a.literals, b.literals)
		})
	}
	return table
})

func newMessage(key, translation string) message {
	m := message{translation: translation}
	for {
		i := strings.IndexByte(key, '%')
		if i < 0 || i+1 == len(key) {
			break
		}
		m.literals, m.verbs, key = append(m.literals, key[:i]), append(m.verbs, key[i+1]), key[i+2:]
	}
	m.literals = append(m.literals, key)
	m.weight = len(strings.Join(m.literals, ""))
	return m
}

// Wording says a reason, note or warning of a report in a language of Languages, as far as there are words for it.
func Wording(language, text string) string { return wording(wordings()[language], text, maxNested) }

// quoted is what a stranger chose, between marks, names of attributes, and paths of elements; english are words that hardly
// an English text does without, and no Polish one has.
var (
	quoted  = regexp.MustCompile(`[“„][^”]*”|"(?:[^"\\]|\\.)*"|\b[a-z]+[-/][a-z0-9-]+\b|/[^\s,;]+`)
	english = regexp.MustCompile(`(?i)\b(the|is|are|was|were|be|of|and|or|which|that|not|its|it|with|without|have|than|` +
		`more|an|in|for|from|by the|cannot|can|does|must|two|another|other|after|before|twice|nobody|nothing|` +
		`unexpected|invalid|malformed|unknown|unsupported|missing|broken|empty|error|failed|illegal|expected|signed|signature|` +
		`certificate|certificates|file|key|value)\b`)
)

// withoutEnglish returns names, numbers and codes as they are, and untold for what is said in English.
func withoutEnglish(text string) string {
	if english.MatchString(quoted.ReplaceAllString(text, "“”")) {
		return untold
	}
	return text
}

func wording(list *phrases, text string, depth int) string {
	if list == nil {
		return text
	}
	if said, ok := list.whole[text]; ok && depth > 0 {
		return said
	}
	if depth == 0 {
		return withoutEnglish(text)
	}
	for i := range list.messages {
		m := &list.messages[i]
		args, ok := m.match(text)
		if !ok {
			continue
		}
		values := make([]any, len(args))
		for i, a := range args {
			values[i] = a
			if inner, ok := strings.CutPrefix(a, "“"); ok && strings.Index(inner, "”") == len(inner)-len("”") {
				values[i] = "„" + inner // a name is no message, whatever it says
			} else if m.verbs[i] == 's' {
				values[i] = wording(list, a, depth-1)
			}
		}
		return fmt.Sprintf(m.translation, values...)
	}
	return withoutEnglish(text)
}

// match returns what stands in the text for the verbs, each as short as it can be.
func (m *message) match(text string) (args []string, ok bool) {
	last := m.literals[len(m.literals)-1]
	if !strings.HasPrefix(text, m.literals[0]) || !strings.HasSuffix(text, last) {
		return nil, false
	}
	text = text[len(m.literals[0]):]
	for i, verb := range m.verbs {
		next := m.literals[i+1]
		n := argument(verb, text, next, i+1 == len(m.verbs))
		if n <= 0 || !strings.HasPrefix(text[n:], next) {
			return nil, false
		}
		args, text = append(args, text[:n]), text[n+len(next):]
	}
	return args, text == ""
}

// argument is the length of what stands for a verb before the next literal; 0 where nothing does.
func argument(verb byte, text, next string, last bool) int {
	switch verb {
	case 'q':
		prefix, err := strconv.QuotedPrefix(text)
		if err != nil {
			return 0
		}
		return len(prefix)
	case 'd':
		return len(text) - len(strings.TrimLeft(text, "0123456789"))
	}
	if last {
		return len(text) - len(next)
	}
	start := 0
	if strings.HasPrefix(text, "“") { // a name: no mark within can end it
		start = max(0, strings.Index(text, "”"))
	}
	if i := strings.Index(text[start:], next); i >= 0 {
		return start + i
	}
	return 0
}

// In is the report with its reasons, notes, changes and scopes of signatures in a language of Languages; all else is as it was. In English,
// or in none, it is the report itself. The trace stays English.
func (r *Report) In(language string) *Report {
	list := wordings()[language]
	if list == nil {
		return r
	}
	say := func(texts []string) []string {
		out := slices.Clone(texts)
		for i := range out {
			out[i] = wording(list, out[i], maxNested)
		}
		return out
	}
	out := *r
	out.Notes = say(r.Notes)
	out.Timestamps = stampsIn(r.Timestamps, say)
	out.EvidenceRecords = recordsIn(r.EvidenceRecords, say)
	out.Signatures = slices.Clone(r.Signatures)
	for i := range out.Signatures {
		s := &out.Signatures[i]
		s.Reasons, s.Notes = say(s.Reasons), say(s.Notes)
		s.Timestamps, s.EvidenceRecords = stampsIn(s.Timestamps, say), recordsIn(s.EvidenceRecords, say)
		s.Scopes = scopesIn(s.Scopes, list)
		s.Changes = slices.Clone(s.Changes)
		for i := range s.Changes {
			s.Changes[i].What = wording(list, s.Changes[i].What, maxNested)
		}
	}
	return &out
}

func stampsIn(list []TimestampReport, say func([]string) []string) []TimestampReport {
	out := slices.Clone(list)
	for i := range out {
		out[i].Reasons, out[i].Notes = say(out[i].Reasons), say(out[i].Notes)
	}
	return out
}

func recordsIn(list []EvidenceRecordReport, say func([]string) []string) []EvidenceRecordReport {
	out := slices.Clone(list)
	for i := range out {
		out[i].Reasons, out[i].Timestamps = say(out[i].Reasons), stampsIn(out[i].Timestamps, say)
	}
	return out
}

func scopesIn(scopes []Scope, list *phrases) []Scope {
	out := slices.Clone(scopes)
	for i := range out {
		out[i].Scope = wording(list, out[i].Scope, maxNested)
	}
	return out
}
