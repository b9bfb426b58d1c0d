package verify

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"trustcore/verify/judge"
	"trustcore/verify/poland"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

//go:embed messages/*.json
var messages embed.FS

// Languages are those that every sentence is written in, the default first.
var Languages = []string{"pl", "en"}

// text is a message of one language, cut at the places that are filled in.
type text struct {
	literals []string // one more than fields
	fields   []string
	octets   int // of all literals
}

// voice speaks one language.
type voice struct {
	language string
	texts    map[string]text
}

// voices are those of Languages. The files are part of the program, so a fault in them is a fault of the build.
var voices = sync.OnceValue(func() []voice {
	var list []voice
	for _, lang := range Languages {
		data, err := messages.ReadFile("messages/" + lang + ".json")
		var found map[string]string
		if err == nil {
			err = json.Unmarshal(data, &found)
		}
		if err != nil {
			panic(err)
		}
		v := voice{lang, map[string]text{}}
		for id, message := range found {
			v.texts[id] = newText(message)
		}
		list = append(list, v)
	}
	return list
})

func newText(message string) (t text) {
	for {
		before, rest, found := strings.Cut(message, "{{.")
		field, after, closed := strings.Cut(rest, "}}")
		if !found || !closed {
			t.literals, t.octets = append(t.literals, message), t.octets+len(message)
			return t
		}
		t.literals, t.fields, message = append(t.literals, before), append(t.fields, field), after
		t.octets += len(before)
	}
}

// say fills a message in; the arguments are names of fields, each with what stands for it.
func (v voice) say(id string, filled ...string) string {
	t, known := v.texts[id]
	if !known {
		return "[" + id + "]"
	}
	if len(t.fields) == 0 {
		return t.literals[0]
	}
	octets := t.octets
	for n := 1; n < len(filled); n += 2 {
		octets += len(filled[n])
	}
	var b strings.Builder
	b.Grow(octets) // of one message in which each field stands once
	for i, field := range t.fields {
		b.WriteString(t.literals[i])
		for n := 0; n+1 < len(filled); n += 2 {
			if filled[n] == field {
				b.WriteString(filled[n+1])
			}
		}
	}
	b.WriteString(t.literals[len(t.fields)])
	return b.String()
}

// Rows are the five things that a clerk asks of a signature.
type Rows struct {
	Integrity string `json:"integrity"`
	Signatory string `json:"signatory"`
	Kind      string `json:"kind"`
	Time      string `json:"time"` // Europe/Warsaw
	Trust     string `json:"trust"`
}

// explain writes, in every language, the verdict as one sentence, the five rows, and what to do next where something is to
// be done.
func (r *SignatureReport) explain(f told) {
	r.Sentence, r.Rows, r.Next = map[string]string{}, map[string]Rows{}, map[string]string{}
	proven, claimed := inWarsaw(r.BestSignatureTime), localTime{}
	if r.SigningTime != nil {
		claimed = inWarsaw(*r.SigningTime)
	}
	for _, v := range voices() {
		t := telling{who: v.who(r), proven: v.localTime(proven), claimed: v.localTime(claimed), covers: v.covers(r, f)}
		r.Sentence[v.language] = v.sentence(r, f, t)
		r.Rows[v.language] = v.rows(r, f, t)
		if key := nextKey(r, f); key != "" {
			r.Next[v.language] = capital(v.say(key)) + "."
		}
	}
}

// telling are the parts that sentence and rows share.
type telling struct {
	who, proven, claimed string // claimed is "" where the signer claims no time
	covers               []string
}

// sentence says who signed and what it covers, or why it does not hold and what to do.
func (v voice) sentence(r *SignatureReport, f told, t telling) string {
	var parts []string
	if r.Indication == TotalPassed {
		parts = append(parts, v.say("passed."+kindKey(r), "Who", t.who, "Time", t.proven))
	} else {
		reason := v.say(reasonKey(r, f), "Who", t.who, "What", v.forbidden(r))
		parts = append(parts, v.say("verdict."+string(r.Indication))+": "+reason, v.say(nextKey(r, f)))
	}
	return strings.Join(append(parts, t.covers...), "; ") + "."
}

func (v voice) who(r *SignatureReport) string {
	who := v.say("unknown-signer")
	if name := nameOf(r.Signer); name != "" {
		who = v.quote(name)
	}
	return who
}

// kindKey names the kind as sentences and rows tell it: the law gives some of the report's kinds more than one name.
func kindKey(r *SignatureReport) string {
	seal, qualified := r.Kind == KindSeal, strings.HasSuffix(r.Qualification, "-QC")
	switch {
	case seal && strings.HasSuffix(r.Qualification, "QESeal"):
		return "qualified-seal"
	case seal && qualified:
		return "advanced-seal"
	case r.Kind == KindOther && qualified:
		return "advanced"
	}
	return string(r.Kind)
}

// reasonKey chooses the message for what is wrong; sub-indications of one meaning share one.
func reasonKey(r *SignatureReport, f told) string { return "reason." + whatIsWrong(r, f) }

// nextKey chooses what to do about it, "" where nothing is to be done.
func nextKey(r *SignatureReport, f told) string {
	if r.Indication == TotalPassed {
		return ""
	}
	return "next." + whatIsWrong(r, f)
}

func whatIsWrong(r *SignatureReport, f told) string {
	switch {
	case r.SubIndication == judge.FormatFailure && r.ReferencesIntact &&
		slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Forbidden != "" }):
		return "forbidden"
	case r.SubIndication == judge.SignedDataNotFound && r.ReferencesIntact:
		return "nothing"
	case r.SubIndication == judge.SignedDataNotFound && f.unknown, r.SubIndication == judge.CryptoConstraintsNoPOE && f.unsupported:
		return "unknown"
	}
	if _, known := reasons[r.SubIndication]; known {
		return string(r.SubIndication)
	}
	return "other"
}

var reasons = map[SubIndication]struct{}{
	judge.FormatFailure: {}, judge.HashFailure: {}, judge.SigCryptoFailure: {}, judge.SignedDataNotFound: {}, judge.NoSigningCertificateFound: {},
	judge.NoCertificateChainFound: {}, judge.NoCertificateChainNoPOE: {}, judge.OutOfBoundsNoPOE: {}, judge.OutOfBoundsNotRevoked: {},
	judge.RevokedNoPOE: {}, judge.RevokedCANoPOE: {}, judge.TryLater: {}, judge.ChainGeneralFailure: {}, judge.RevocationOutOfBounds: {},
	judge.CryptoConstraintsNoPOE: {}, judge.CryptoConstraints: {}, judge.SigConstraintsFailure: {}, judge.Generic: {},
	judge.Revoked: {}, judge.Expired: {}, judge.NotYetValid: {}, judge.ChainConstraintsFailure: {}, judge.TimestampOrderFailure: {},
}

// rows answers the five questions, each by itself: none repeats the verdict.
func (v voice) rows(r *SignatureReport, f told, t telling) Rows {
	return Rows{
		Integrity: v.integrity(r, f, t.covers), Signatory: v.signatory(r, t.who), Kind: v.kind(r), Time: v.time(t),
		Trust: v.say("trust."+trustKey(r.TrustSource), "Issuer", v.quote(r.Signer.Issuer)),
	}
}

// integrity tells whether the document is the one that was signed.
func (v voice) integrity(r *SignatureReport, f told, covers []string) string {
	switch {
	case r.SubIndication == judge.HashFailure:
		return v.say("integrity.changed")
	case whatIsWrong(r, f) == "forbidden" && r.Indication != TotalPassed:
		return v.say("integrity.forbidden", "What", v.forbidden(r))
	case r.SubIndication == judge.SigCryptoFailure:
		return v.say("integrity.forged")
	case len(covers) > 0:
		return capital(strings.Join(covers, "; "))
	}
	return v.say("integrity.unproven")
}

func (v voice) signatory(r *SignatureReport, who string) string {
	if id := r.Signer.Identifier; id != nil {
		who += " (" + id.Type + " " + id.Masked + ")"
	}
	if r.SealedBy != "" {
		return v.say("signatory.sealed", "Who", who, "By", v.quote(r.SealedBy))
	}
	return who
}

func (v voice) kind(r *SignatureReport) string {
	kind := v.say("kind." + kindKey(r))
	if r.Indication != TotalPassed {
		return v.say("kind.unproven", "Kind", kind)
	}
	return capital(kind)
}

func (v voice) time(t telling) string {
	if t.claimed == "" {
		return v.say("time.proven", "Time", t.proven)
	}
	return v.say("time.both", "Time", t.proven, "Claimed", t.claimed)
}

func trustKey(s poland.Source) string {
	if s == poland.FromNowhere {
		return "none"
	}
	return string(s)
}

// silent are the outcomes of which nothing is said about what is covered: it is not known, or of no use.
var silent = map[SubIndication]bool{
	judge.FormatFailure: true, judge.SigConstraintsFailure: true, judge.SignedDataNotFound: true, judge.NoSigningCertificateFound: true, judge.Generic: true,
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
		return []string{v.say("covers.counter")}
	}
	var list []string
	if parts := unique(r.Scopes, func(s Scope) string { return s.partial(v.language) }); len(parts) > 0 {
		list = append(list, v.say("covers.part", "What", v.all(v.quoted(parts))))
	}
	if len(r.Changes) > 0 {
		list = append(list, v.changes(r.Changes))
	}
	if f.unsigned > 0 {
		list = append(list, v.say("covers.unsigned", "Count", fmt.Sprint(f.unsigned), "What", v.list(v.quoted(r.Unsigned), f.unsigned)))
	}
	if len(list) == 0 && len(r.Scopes) > 0 && !f.strays {
		list = append(list, v.say("covers.whole"))
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
	return v.say(id, "What", v.all(unique(changes, func(c Change) string { return v.change(prefix, c) })))
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
	text := v.say(prefix + c.Kind)
	if c.Page > 0 {
		return v.say("page", "What", text, "Page", fmt.Sprint(c.Page))
	}
	return text
}

// maxListed is how many things one sentence names; it says how many more there are.
const maxListed = 4

// list joins items, of which there are total.
func (v voice) list(items []string, total int) string {
	if len(items) > maxListed {
		items = append(slices.Clone(items[:maxListed]), v.say("more", "Count", fmt.Sprint(total-maxListed)))
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
func (s Scope) partial(language string) string {
	if !s.Partial {
		return ""
	}
	return Wording(language, s.Scope)
}

// unique returns what name gives for the items, in order, without repeats and empty ones.
func unique[T any](items []T, name func(T) string) []string {
	var list []string
	var known map[string]bool
	for _, item := range items {
		n := name(item)
		if n == "" || known[n] {
			continue
		}
		if known == nil {
			known = map[string]bool{} // most have nothing to tell
		}
		known[n] = true
		list = append(list, n)
	}
	return list
}

// nameOf is the name of a person or an organization. Where a part of a person's name is missing, the common name has both.
func nameOf(s Signer) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.GivenName != "" && s.Surname != "":
		return s.GivenName + " " + s.Surname
	case s.CommonName != "":
		return s.CommonName
	case s.GivenName != "" || s.Surname != "":
		return s.GivenName + s.Surname
	}
	return s.Organization
}

// capital begins a text as a sentence begins.
func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if upper := unicode.ToUpper(first); size > 0 && upper != first {
		return string(upper) + text[size:]
	}
	return text
}

// months in the case in which a date has them.
var months = map[string][12]string{
	"pl": {"stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca", "lipca", "sierpnia", "września", "października",
		"listopada", "grudnia"},
	"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
		"December"},
}

// localTime is a time as offices in Poland read it; the zero value is none.
type localTime struct {
	day, year, clock string
	month            time.Month
}

func inWarsaw(t time.Time) localTime {
	t = t.In(zone())
	return localTime{strconv.Itoa(t.Day()), strconv.Itoa(t.Year()), t.Format("15:04"), t.Month()}
}

// localTime writes a time, "" for none.
func (v voice) localTime(m localTime) string {
	if m == (localTime{}) {
		return ""
	}
	return v.say("moment", "Day", m.day, "Month", months[v.language][m.month-1], "Year", m.year, "Clock", m.clock)
}
