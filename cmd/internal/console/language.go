package console

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // officers read local time, on machines without zone files too

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"trustcore/internal/problem"
)

//go:embed messages/*.json
var messageFiles embed.FS

//go:embed templates/*.html
var templateFiles embed.FS

// languages of the page, the default first.
var languages = []string{"pl", "en"}

// zone is where the officers sit.
const zone = "Europe/Warsaw"

// speech is everything that depends on the language: messages, and the templates bound to them.
type speech struct {
	localizer *i18n.Localizer
	templates *template.Template
	zone      *time.Location
	now       func() time.Time
	ids       []string // of the messages, in alphabetical order
}

func loadSpeech(asset func(string) string, now func() time.Time) (map[string]*speech, error) {
	bundle := i18n.NewBundle(language.Polish)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	all := map[string]*speech{}
	var ids []string
	for _, lang := range languages {
		file, err := bundle.LoadMessageFileFS(messageFiles, "messages/"+lang+".json")
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		ids = ids[:0] // the languages have the same
		for _, m := range file.Messages {
			ids = append(ids, m.ID)
		}
	}
	slices.Sort(ids)
	for _, lang := range languages {
		s := &speech{localizer: i18n.NewLocalizer(bundle, lang), zone: location, now: now, ids: ids}
		s.templates, err = template.New("").Funcs(template.FuncMap{
			"t": s.say, "n": s.count, "term": s.term, "time": s.time, "date": s.date, "day": s.day, "bytes": s.bytes, "ago": s.ago,
			"asset": asset, "short": short, "badge": s.badge, "step": s.step, "masked": masked, "query": query,
		}).ParseFS(templateFiles, "templates/*.html")
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		all[lang] = s
	}
	return all, nil
}

var spoken = problem.Speaks(languages...)

// say returns a message; data are pairs of name and value.
func (s *speech) say(id string, data ...any) (string, error) {
	if len(data)%2 != 0 {
		return "", errors.New("a message takes pairs of name and value")
	}
	values := map[string]any{}
	for i := 0; i < len(data); i += 2 {
		values[fmt.Sprint(data[i])] = data[i+1]
	}
	return s.localizer.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: values})
}

// count returns a message in the plural form of n.
func (s *speech) count(id string, n int) (string, error) {
	return s.localizer.Localize(&i18n.LocalizeConfig{MessageID: id, PluralCount: n, TemplateData: map[string]any{"N": n}})
}

// list are the values of a closed list that have a name, in alphabetical order.
func (s *speech) list(of string) (all []string) {
	for _, id := range s.ids {
		if value, ok := strings.CutPrefix(id, of); ok {
			all = append(all, value)
		}
	}
	return all
}

// term names a value of a closed list, such as a state; one that is not known is shown as it is.
func (s *speech) term(list string, value any) string {
	if text, err := s.say(list + "." + fmt.Sprint(value)); err == nil {
		return text
	}
	return fmt.Sprint(value)
}

// time shows a moment in local time, with UTC for those who compare logs.
func (s *speech) time(at any) template.HTML { return s.moment(at, "2006-01-02 15:04:05") }

// date shows the day of a moment.
func (s *speech) date(at any) template.HTML { return s.moment(at, time.DateOnly) }

func (s *speech) moment(at any, layout string) template.HTML {
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
	utc := t.UTC().Format(time.RFC3339)
	// Digits and signs only: nothing here needs escaping.
	return template.HTML(`<time datetime="` + utc + `" title="` + utc + `">` + t.In(s.zone).Format(layout) + `</time>`)
}

// day returns today in the officers' zone, for the bounds of a date field.
func (s *speech) day() string { return s.now().In(s.zone).Format(time.DateOnly) }

// ago says how long something is past, in the largest unit that fits.
func (s *speech) ago(at time.Time) (string, error) {
	if at.IsZero() {
		return s.say("never")
	}
	switch age := s.now().Sub(at); {
	case age < time.Minute:
		return s.count("ago-seconds", max(0, int(age/time.Second)))
	case age < time.Hour:
		return s.count("ago-minutes", int(age/time.Minute))
	case age < 48*time.Hour:
		return s.count("ago-hours", int(age/time.Hour))
	default:
		return s.count("ago-days", int(age/(24*time.Hour)))
	}
}

// bytes writes an amount of octets with a binary unit.
func (s *speech) bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	amount, i := float64(n), 0
	for amount >= 1024 && i < len(units)-1 {
		amount, i = amount/1024, i+1
	}
	digits := 1
	if i == 0 || amount >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(amount, 'f', digits, 64) + "\u00a0" + units[i]
}

// query writes a value for the query of an address.
func query(value string) string { return url.QueryEscape(value) }

// short cuts an identifier that a column has no room for; the whole one stands in the title.
func short(id string) string {
	if len(id) <= 12 {
		return id
	}
	return id[:12] + "…"
}

// tones says how a value of a list is marked: by sign and colour beside its word, never by colour alone.
var tones = map[string]string{
	"order.submitted": "wait", "order.rejected": "bad", "order.approved": "wait", "order.active": "ok", "order.carried-out": "ok",
	"tunnel.up": "ok", "tunnel.stale": "wait", "tunnel.down": "bad", "tunnel.removing": "wait",
	"key.pending": "wait", "key.active": "ok", "key.suspended": "bad",
	"extractable.never": "ok", "extractable.unproven": "bad",
	"certificate.valid": "ok", "certificate.soon": "wait", "certificate.revoked": "bad", "certificate.suspended": "bad",
	"motion-state.submitted": "wait", "motion-state.rejected": "bad", "motion-state.approved": "wait", "motion-state.carried-out": "ok",
	"application.active": "ok", "application.revoked": "bad", "use.used": "ok", "use.refused": "bad", "use.failed": "bad",
	"outcome.granted": "ok", "outcome.refused": "bad", "outcome.failed": "bad",
	"expires.0": "bad", "expires.1": "bad", "expires.7": "wait", "expires.14": "wait",
	"expires.30": "wait", "expires.60": "wait", "expires.act": "wait",
	"verdict.passed": "ok", "verdict.failed": "bad", "verdict.open": "wait",
}

var signs = map[string]string{"ok": "✓", "wait": "!", "bad": "✕", "idle": "–"}

// badge shows a value with its sign and word.
func (s *speech) badge(list string, value any) template.HTML {
	tone := tones[list+"."+fmt.Sprint(value)]
	if tone == "" {
		tone = "idle"
	}
	word := template.HTMLEscapeString(s.term(list, value))
	return template.HTML(`<span class="badge ` + tone + `"><span class="sign" aria-hidden="true">` + signs[tone] + `</span>` + word + `</span>`)
}

// step names a step of an order; those of a change order name the order that they undo.
func (s *speech) step(name string) string {
	what, order, undoes := strings.Cut(name, " of ")
	if !undoes {
		return s.term("step", what)
	}
	return s.term("step", what) + " (" + order + ")"
}
