package verify

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // offices read local time, on machines without zone files too

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"trustcore/verify/judge"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

//go:embed messages/*.json
var messages embed.FS

// Languages are those that every sentence is written in, the default first.
var Languages = []string{"pl", "en"}

// speakers returns the localizer of each language. The files are part of the program, so a fault in
// them is a fault of the build.
var speakers = sync.OnceValue(func() map[string]*i18n.Localizer {
	bundle := i18n.NewBundle(language.Polish)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	m := map[string]*i18n.Localizer{}
	for _, lang := range Languages {
		if _, err := bundle.LoadMessageFileFS(messages, "messages/"+lang+".json"); err != nil {
			panic(err)
		}
		m[lang] = i18n.NewLocalizer(bundle, lang)
	}
	return m
})

// explain returns the verdict in plain sentences a language: who signed, whether it holds, what it covers and
// what was done since; and when it does not hold, why and what to do.
func explain(r *SignatureReport, f told) map[string]string {
	sentences := make(map[string]string, len(Languages))
	for lang, speaker := range speakers() {
		v := voice{speaker, lang}
		who := v.say("unknown-signer", nil)
		if name := nameOf(r.Signer); name != "" {
			who = v.quote(name)
		}
		data := map[string]any{"Who": who, "Kind": v.say("kind."+string(r.Kind), nil), "Time": warsaw(r.BestSignatureTime), "What": v.forbidden(r)}
		parts := append([]string{v.say("verdict."+string(r.Indication), nil), v.say(reasonKey(r, f), data)}, v.covers(r, f)...)
		sentences[lang] = strings.Join(parts, " ")
	}
	return sentences
}

// reasonKey chooses the message for what is wrong; sub-indications that ask for the same act share one.
func reasonKey(r *SignatureReport, f told) string {
	switch {
	case r.Indication == TotalPassed:
		return "reason.passed"
	case r.SubIndication == judge.FormatFailure && slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Forbidden != "" }) && r.ReferencesIntact:
		return "reason.forbidden"
	case r.SubIndication == judge.SignedDataNotFound && r.ReferencesIntact:
		return "reason.nothing"
	case r.SubIndication == judge.SignedDataNotFound && f.unknown, r.SubIndication == judge.CryptoConstraintsNoPOE && f.unsupported:
		return "reason.unknown"
	}
	if _, known := reasons[r.SubIndication]; known {
		return "reason." + string(r.SubIndication)
	}
	return "reason.other"
}

var reasons = map[SubIndication]struct{}{
	judge.FormatFailure: {}, judge.HashFailure: {}, judge.SigCryptoFailure: {}, judge.SignedDataNotFound: {}, judge.NoSigningCertificateFound: {},
	judge.NoCertificateChainFound: {}, judge.NoCertificateChainNoPOE: {}, judge.OutOfBoundsNoPOE: {}, judge.OutOfBoundsNotRevoked: {},
	judge.RevokedNoPOE: {}, judge.RevokedCANoPOE: {}, judge.TryLater: {}, judge.ChainGeneralFailure: {}, judge.RevocationOutOfBounds: {},
	judge.CryptoConstraintsNoPOE: {}, judge.SigConstraintsFailure: {}, judge.Generic: {},
}

// silent are the outcomes of which nothing is said about what is covered: it is not known, or of no use.
var silent = map[SubIndication]bool{
	judge.FormatFailure: true, judge.SigConstraintsFailure: true, judge.SignedDataNotFound: true, judge.NoSigningCertificateFound: true, judge.Generic: true,
}

// voice speaks one language.
type voice struct {
	*i18n.Localizer
	language string
}

// quote shows a name that the document or a certificate gives.
func (v voice) quote(text string) string { return prose.In(v.language, text) }

// covers says what the signature speaks for. That nothing was changed is said only where everything is covered,
// by this signature, and nothing came later.
func (v voice) covers(r *SignatureReport, f told) []string {
	switch {
	case !r.SignatureIntact || !r.ReferencesIntact || f.constrained || silent[r.SubIndication]:
		return nil
	case r.CounterSignatureOf != nil:
		return []string{v.say("covers.counter", nil)}
	}
	var list []string
	if parts := unique(r.Scopes, func(s Scope) string { return s.partial() }); len(parts) > 0 {
		list = append(list, v.say("covers.part", map[string]any{"What": v.all(v.quoted(parts))}))
	}
	if len(r.Changes) > 0 {
		list = append(list, v.changes(r.Changes))
	}
	if f.unsigned > 0 {
		list = append(list, v.say("covers.unsigned", map[string]any{"Count": f.unsigned, "What": v.list(v.quoted(r.Unsigned), f.unsigned)}))
	}
	if len(list) == 0 && len(r.Scopes) > 0 && !f.strays {
		list = append(list, v.say("covers.whole", nil))
	}
	return list
}

// additions are the kinds of changes that touch nothing that a person reads.
var additions = map[string]bool{
	string(signature.ChangeValidationData): true, string(signature.ChangeTimestamp): true, string(signature.ChangeSignature): true,
}

// changes tells what came later: shortly where it is only what long keeping asks for.
func (v voice) changes(changes []Change) string {
	id, prefix := "covers.added", "added."
	if slices.ContainsFunc(changes, func(c Change) bool { return !additions[c.Kind] }) {
		id, prefix = "covers.changed", "change."
	}
	return v.say(id, map[string]any{"What": v.all(unique(changes, func(c Change) string { return v.change(prefix, c) }))})
}

// forbidden lists what the changes are that the signature does not allow.
func (v voice) forbidden(r *SignatureReport) string {
	return v.all(unique(r.Changes, func(c Change) string {
		if c.Forbidden == "" {
			return ""
		}
		return v.change("change.", c)
	}))
}

func (v voice) change(prefix string, c Change) string {
	text := v.say(prefix+c.Kind, nil)
	if c.Page > 0 {
		return v.say("page", map[string]any{"What": text, "Page": c.Page})
	}
	return text
}

// maxListed is how many things one sentence names; it says how many more there are.
const maxListed = 4

// list joins items, of which there are total.
func (v voice) list(items []string, total int) string {
	if len(items) > maxListed {
		items = append(slices.Clone(items[:maxListed]), v.say("more", map[string]any{"Count": total - maxListed}))
	}
	return strings.Join(items, ", ")
}

func (v voice) quoted(items []string) []string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = v.quote(item)
	}
	return list
}

func (v voice) all(items []string) string { return v.list(items, len(items)) }

// partial names what is signed where it is not the whole.
func (s Scope) partial() string {
	if !s.Partial {
		return ""
	}
	return s.Scope
}

// unique returns what name gives for the items, in order, without repeats and empty ones.
func unique[T any](items []T, name func(T) string) []string {
	var list []string
	known := map[string]bool{"": true}
	for _, item := range items {
		if n := name(item); !known[n] {
			known[n] = true
			list = append(list, n)
		}
	}
	return list
}

// patterns are the messages that were said before, by language and key: texts, and between them the names of what
// stands there.
var patterns sync.Map

// place is what marks a name in a pattern; no message has it.
const place = "\x00"

func (v voice) say(id string, data map[string]any) string {
	type key struct{ language, id string }
	known, ok := patterns.Load(key{v.language, id})
	if !ok {
		marks := make(map[string]any, len(data))
		for name := range data {
			marks[name] = place + name + place
		}
		known, _ = patterns.LoadOrStore(key{v.language, id}, strings.Split(v.localize(id, marks), place))
	}
	pattern, _ := known.([]string)
	if len(pattern) == 1 {
		return pattern[0]
	}
	var text strings.Builder
	for i, part := range pattern {
		if i%2 == 0 {
			text.WriteString(part)
		} else {
			fmt.Fprint(&text, data[part])
		}
	}
	return text.String()
}

func (v voice) localize(id string, data map[string]any) string {
	text, err := v.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: data})
	if err != nil {
		return fmt.Sprintf("[%s]", id)
	}
	return text
}

func nameOf(s Signer) string {
	if name := strings.TrimSpace(s.GivenName + " " + s.Surname); name != "" {
		return name
	}
	if s.CommonName != "" {
		return s.CommonName
	}
	return s.Organization
}

var zone = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		return time.UTC
	}
	return l
})

func warsaw(t time.Time) string { return t.In(zone()).Format("2006-01-02 15:04") }
