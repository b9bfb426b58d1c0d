package verdict

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"trustcore/cmd/verifyd/page/words"
	"trustcore/verify"
	"trustcore/verify/picture"
)

// writer writes one verdict.
type writer struct {
	html
	*Verdict
	language string
	words    words.Words
	err      error // the first one
}

// t is a text of the language.
func (w *writer) t(id string, filled ...any) string {
	text, err := w.words.Say(id, filled...)
	if w.err == nil {
		w.err = err
	}
	return text
}

// term names a value of a closed list; one that is not known is shown as it is.
func (w *writer) term(list, value string) string { return cmp.Or(w.words[list+"."+value], value) }

func (w *writer) article() {
	attributes := []attribute{class("verdict " + string(w.Tone())), {"id", w.ID}, {"aria-labelledby", w.ID + "-name"}, {"data-place", string(w.Place)}}
	if w.detached() {
		attributes = append(attributes, attribute{"data-detached", ""})
	}
	w.open("article", attributes...)
	w.open("header")
	w.element("h2", cmp.Or(w.Name, w.t("document")), attribute{"id", w.ID + "-name"})
	w.badge(w.Tone())
	w.close(1)
	if w.Signed != "" {
		w.element("p", w.t("signed-file", w.Signed), class("hint"))
	}
	if w.Report == nil {
		w.element("p", w.t("problem."+string(w.Problem)), class("sentence"))
	} else {
		w.report()
	}
	w.footer()
	w.close(1)
}

func (w *writer) badge(t Tone) {
	w.open("span", class("badge "+string(t)))
	w.element("span", signs[t], attribute{"aria-hidden", "true"})
	w.text(" " + w.t("tone."+string(t)))
	w.close(1)
}

func (w *writer) report() {
	r := w.Report
	w.element("p", r.Summary[w.language], class("sentence"))
	if r.Service != nil {
		w.service(r.Service)
	}
	if r.Scan != nil {
		w.scan(r.Scan)
	}
	if c := r.ActiveContent; c != nil && (len(c.Items) > 0 || !c.Complete) {
		w.element("p", c.Sentence[w.language], class("service"))
	}
	for i := range r.Signatures {
		w.signature(i)
	}
	if len(r.Timestamps) > 0 {
		w.fold(w.t("timestamps"), func() { w.stamps(r.Timestamps) })
	}
	if len(r.Notes) > 0 {
		w.fold(w.t("file-notes"), func() { w.list(r.Notes) })
	}
	w.open("p", class("hint basis"))
	w.text(w.t("judged-at") + " ")
	w.time(&r.ValidationTime)
	w.text(" · " + w.t("policy", r.Policy, r.PolicyVersion) + " · SHA-256 ")
	w.element("span", r.SHA256, class("mono"))
	w.close(1)
}

func (w *writer) service(s *verify.ServiceReport) {
	w.open("div", class("service "+string(s.Outcome)))
	w.element("p", s.Sentence[w.language])
	if ask := s.Ask[w.language]; ask != "" {
		w.fold(w.t("summons"), func() { w.element("p", ask, class("ready")) })
	}
	w.close(1)
}

func (w *writer) scan(s *verify.ScanReport) {
	w.open("div", class("service "+string(s.State)))
	w.element("p", s.Sentence[w.language])
	if notice := s.Notice[w.language]; notice != "" {
		w.fold(w.t("notice"), func() { w.element("p", notice, class("ready")) })
	}
	w.close(1)
}

// signature writes about one signature. Of a single one the report's summary has said the sentence.
func (w *writer) signature(i int) {
	s, title := &w.Report.Signatures[i], w.t("signature-of", i+1, len(w.Report.Signatures))
	w.open("section", class("signature"), attribute{"aria-label", title})
	if len(w.Report.Signatures) > 1 {
		w.element("h3", title)
		w.element("p", s.Sentence[w.language], class("sentence"))
	}
	w.rows(s)
	w.fold(w.t("pictures"), func() {
		w.open("div", class("pair"))
		id := fmt.Sprintf("%s-%d", w.ID, i)
		w.picture("timeline", picture.Timeline(s, w.Report.ValidationTime, w.language).SVG(id+"-timeline"))
		w.picture("chain", picture.Chain(s, w.language).SVG(id+"-chain"))
		w.close(1)
	})
	w.fold(w.t("expert"), func() { w.expert(s) })
	w.close(1)
}

func (w *writer) rows(s *verify.SignatureReport) {
	rows := s.Rows[w.language]
	w.open("dl", class("rows"))
	for _, one := range [][2]string{{"integrity", rows.Integrity}, {"signatory", rows.Signatory}, {"kind", rows.Kind}, {"time", rows.Time}, {"trust", rows.Trust}} {
		w.row(w.t(one[0]), func() { w.text(one[1]) })
	}
	if next := s.Next[w.language]; next != "" {
		w.row(w.t("next"), func() {
			w.text(next)
			if s.TryAgain != nil {
				w.text(" " + w.t("try-again") + " ")
				w.time(s.TryAgain)
			}
		}, class("next"))
	}
	w.close(1)
}

// picture writes a picture, which is SVG.
func (w *writer) picture(name, svg string) {
	w.open("figure")
	w.element("figcaption", w.t(name))
	w.WriteString(svg)
	w.close(1)
}

func (w *writer) expert(s *verify.SignatureReport) {
	texts := func(id string, list []string) {
		if len(list) > 0 {
			w.row(w.t(id), func() { w.list(list) })
		}
	}
	w.open("dl", class("facts"))
	w.row("EN 319 102-1", func() { w.text(joined(" / ", string(s.Indication), string(s.SubIndication))) })
	w.row(w.t("format"), func() { w.text(joined(", ", s.Format, s.Level, string(s.Container), s.Filename)) })
	w.row(w.t("qualification"), func() { w.text(w.term("qualification", s.Qualification)) })
	texts("reasons", s.Reasons)
	texts("notes", s.Notes)
	texts("scopes", told(s.Scopes, func(c verify.Scope) string { return joined(": ", c.Name, c.Scope) }))
	texts("changes", told(s.Changes, w.change))
	texts("unsigned", s.Unsigned)
	if len(s.Timestamps) > 0 {
		w.row(w.t("timestamps"), func() { w.stamps(s.Timestamps) })
	}
	texts("certificates", told(s.Chain, func(c verify.Certificate) string { return c.Subject + " · SHA-256 " + c.SHA256 }))
	w.close(1)
}

func (w *writer) change(c verify.Change) string {
	if c.Forbidden != "" {
		return c.What + " (" + w.t("forbidden") + ")"
	}
	return c.What
}

func (w *writer) stamps(list []verify.TimestampReport) {
	w.open("ul")
	for i := range list {
		t := &list[i]
		w.open("li")
		w.time(t.Time)
		w.text(" – " + joined(", ", t.SignedBy, w.t("tone."+string(toneOf(t.Indication))), string(t.SubIndication), w.term("qualification", t.Qualification)))
		w.list(t.Reasons)
		w.close(1)
	}
	w.close(1)
}

// footer says where the document was judged, and lets the report be kept: its address holds it, so that this needs neither a
// script nor another request.
func (w *writer) footer() {
	w.open("footer")
	if w.Report != nil {
		w.element("p", w.t("place."+string(w.Place)), class("place"))
	}
	if w.JSON != nil {
		w.open("p", class("actions"))
		w.element("a", w.t("json"), class("button"), attribute{"download", cmp.Or(w.Name, w.t("document")) + ".json"},
			attribute{"href", "data:application/json;base64," + base64.StdEncoding.EncodeToString(w.JSON)})
		if w.Place == Browser {
			w.element("button", w.t("confirm"), attribute{"type", "button"}, class("confirm"))
		}
		w.close(1)
	}
	w.close(1)
}

// time writes a moment as the clocks in Poland show it.
func (w *writer) time(t *time.Time) {
	if t == nil || t.IsZero() {
		w.text("–")
		return
	}
	w.element("time", t.In(verify.Zone()).Format("2006-01-02 15:04:05"), attribute{"datetime", t.UTC().Format(time.RFC3339)})
}

// joined joins texts that are not empty.
func joined(by string, texts ...string) string {
	list := texts[:0]
	for _, t := range texts {
		if t != "" {
			list = append(list, t)
		}
	}
	return strings.Join(list, by)
}

func told[T any](list []T, tell func(T) string) (texts []string) {
	for _, one := range list {
		texts = append(texts, tell(one))
	}
	return texts
}
