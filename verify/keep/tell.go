package keep

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"trustcore/verify"
	"trustcore/verify/picture"
	"trustcore/verify/trace"
)

// tell writes the whole report.
func (r *Report) tell(w writer) {
	v := r.Verdict
	w.heading(1, r.say("title"))
	w.notice(r.tone(), v.Summary[r.Language])
	if s := v.Service; s != nil {
		w.paragraph(s.Sentence[r.Language])
		if ask := s.Ask[r.Language]; ask != "" {
			w.rows([]row{{r.say("summons"), []string{ask}}})
		}
	}
	if r.Sealed {
		w.paragraph(r.say("sealed"))
	} else {
		w.paragraph(r.say("copy." + string(r.Place)))
	}
	w.rows(r.document())
	for i := range v.Signatures[:min(len(v.Signatures), maxSignatures)] {
		r.signature(w, i)
	}
	if more := len(v.Signatures) - maxSignatures; more > 0 {
		w.paragraph(r.say("more-signatures", more))
	}
	r.beside(w)
}

// document is what was judged, when, by whom and by what.
func (r *Report) document() []row {
	v := r.Verdict
	one := func(id, answer string) row { return row{r.say(id), []string{answer}} }
	rows := []row{
		one("name", cmp.Or(r.Name, r.say("nameless"))),
		one("sha256", v.SHA256),
		one("size", r.say("octets", strconv.FormatInt(r.Size, 10))),
		one("judged-at", moment(v.ValidationTime)),
		one("judged-by", r.say("judge."+string(r.Place), cmp.Or(r.Judge, r.say("unnamed")))),
		{r.say("policy"), []string{r.say("version", v.Policy, v.PolicyVersion), "SHA-256 " + v.PolicyDigest}},
		one("pins", strings.TrimSpace(v.Pins.Date+" SHA-256 "+v.Pins.SHA256)),
	}
	var lists []string
	for i := range v.Trace.TrustedLists {
		lists = append(lists, r.list(&v.Trace.TrustedLists[i]))
	}
	if lists == nil {
		lists = []string{r.say("lists-none")}
	}
	return append(rows, row{r.say("lists"), lists})
}

// list tells of a trusted list which it is and how old.
func (r *Report) list(l *trace.TrustedList) string {
	if l.Error != "" {
		return r.say("list-unused", l.Territory, l.Sequence)
	}
	const day = 24 * time.Hour
	text := r.say("list", l.Territory, l.Sequence, moment(l.Issued), int(r.Verdict.ValidationTime.Sub(l.Issued)/day))
	if l.NextUpdate.Before(r.Verdict.ValidationTime) {
		text += "; " + r.say("list-overdue")
	}
	return text
}

// signature tells of one signature; of a single one the summary has said the sentence.
func (r *Report) signature(w writer, i int) {
	s, all := &r.Verdict.Signatures[i], len(r.Verdict.Signatures)
	w.heading(2, r.say("signature-of", i+1, all))
	if all > 1 {
		w.notice(picture.Tone(s.Indication), s.Sentence[r.Language])
	}
	told := s.Rows[r.Language]
	rows := []row{{r.say("integrity"), []string{told.Integrity}}, {r.say("signatory"), []string{told.Signatory}},
		{r.say("kind"), []string{told.Kind}}, {r.say("time"), []string{told.Time}}, {r.say("trust"), []string{told.Trust}}}
	if next := s.Next[r.Language]; next != "" {
		if s.TryAgain != nil {
			next += " " + r.say("try-again", moment(*s.TryAgain))
		}
		rows = append(rows, row{r.say("next"), []string{next}})
	}
	w.rows(rows)
	w.pictures(s)
	w.heading(3, r.say("details"))
	w.rows(r.details(s))
}

// details are what an expert asks for.
func (r *Report) details(s *verify.SignatureReport) []row {
	rows := []row{
		{"EN 319 102-1", []string{joined(" / ", string(s.Indication), string(s.SubIndication))}},
		{r.say("format"), []string{joined(", ", s.Format, s.Level, string(s.Container), s.Filename)}},
		{r.say("qualification"), []string{cmp.Or(r.say("qualification."+s.Qualification), s.Qualification)}},
	}
	add := func(id string, answers []string) {
		if len(answers) > 0 {
			rows = append(rows, row{r.say(id), r.bounded(answers)})
		}
	}
	add("reasons", s.Reasons)
	add("notes", s.Notes)
	add("scopes", told(s.Scopes, func(c verify.Scope) string { return joined(": ", c.Name, c.Scope) }))
	add("changes", told(s.Changes, r.change))
	add("unsigned", s.Unsigned)
	add("timestamps", told(s.Timestamps, r.stamp))
	add("records", told(s.EvidenceRecords, r.record))
	add("certificates", told(s.Chain, r.certificate))
	return rows
}

// bounded are as many answers as are told.
func (r *Report) bounded(answers []string) []string {
	if more := len(answers) - maxAnswers; more > 0 {
		return append(answers[:maxAnswers:maxAnswers], r.say("more", more))
	}
	return answers
}

func (r *Report) change(c verify.Change) string {
	if c.Forbidden != "" {
		return c.What + " (" + r.say("forbidden") + ")"
	}
	return c.What
}

func (r *Report) stamp(t verify.TimestampReport) string {
	at := r.say("unread")
	if t.Time != nil {
		at = moment(*t.Time)
	}
	return joined(", ", at, t.SignedBy, r.say(picture.Tone(t.Indication)), string(t.SubIndication), joined("; ", t.Reasons...))
}

func (r *Report) record(e verify.EvidenceRecordReport) string {
	at := r.say("unread")
	if e.Time != nil {
		at = moment(*e.Time)
	}
	return joined(", ", at, r.say(picture.Tone(e.Indication)), string(e.SubIndication), joined("; ", e.Reasons...))
}

func (r *Report) certificate(c verify.Certificate) string {
	status, _, _ := strings.Cut(c.Status, " ")
	return joined("; ", c.Subject, moment(c.NotBefore)+" – "+moment(c.NotAfter), r.say("status."+status),
		"SHA-256 "+c.SHA256)
}

// beside tells what belongs to no signature: time-stamps, evidence records, notes, and what is no part of the verdict.
func (r *Report) beside(w writer) {
	v := r.Verdict
	var rows []row
	add := func(id string, answers []string) {
		if len(answers) > 0 {
			rows = append(rows, row{r.say(id), r.bounded(answers)})
		}
	}
	add("timestamps", told(v.Timestamps, r.stamp))
	add("records", told(v.OwnRecords(), r.record))
	add("notes", v.Notes)
	if c := v.ActiveContent; c != nil {
		add("active", []string{c.Sentence[r.Language]})
	}
	if s := v.Scan; s != nil {
		add("scan", []string{s.Sentence[r.Language]})
	}
	if rows != nil {
		w.heading(2, r.say("beside"))
		w.rows(rows)
	}
}

func told[T any](list []T, tell func(T) string) (texts []string) {
	for _, one := range list[:min(len(list), maxAnswers)] {
		texts = append(texts, tell(one))
	}
	for range list[len(texts):] {
		texts = append(texts, "") // counted, and not told
	}
	return texts
}

// joined joins texts that are not empty.
func joined(by string, texts ...string) string {
	var list []string
	for _, t := range texts {
		if t != "" {
			list = append(list, t)
		}
	}
	return strings.Join(list, by)
}
