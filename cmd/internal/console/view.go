package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
)

// maxHere bounds the address that a page says back, in bytes: a search of every field fits.
const maxHere = 4 << 10

// view is what every page has: who looks, in which language, colours and size of letters.
type view struct {
	Actor audit.Actor
	preferences
	Leader  string // who runs the data centre; may be empty
	Home    string // path of the session's pages; "/" before the login
	Here    string // address to which a choice of language leads back
	Section string // of the navigation that the page is in
	Title   string

	speech  *speech
	session *session // nil on the login page
}

// frame is what every page of a session has.
type frame struct {
	view
	Notice *notice
	Now    time.Time
}

func (c *Console) view(r *http.Request, s *session) view {
	v := view{preferences: c.preferencesOf(r), Leader: c.cfg.Registry.Leader().Name, session: s, Home: "/", Here: "/"}
	v.speech = c.speech[v.Language]
	if s != nil {
		v.Actor, v.Home = s.actor, s.home()
		if v.Here = v.Home; r.Method == http.MethodGet && len(r.URL.RequestURI()) <= maxHere {
			v.Here = r.URL.RequestURI()
		}
	}
	return v
}

// word is a message of this package's own, in the reader's language.
func (v view) word(id string, data ...any) string {
	text, err := v.speech.say(id, data...)
	if err != nil {
		return id // a test holds the ids against the messages
	}
	return text
}

// May reports whether who looks may use a route below the session's home, such as "POST orders/approve".
func (v view) May(method, path string) bool {
	return v.session != nil && rights.Allows(rights.Console, v.session.role, method+" "+base+path)
}

// Sections are the entries of the navigation.
func (v view) Sections() []entry {
	all := []entry{{"", "nav-start"}, {"orders", "nav-orders"}, {"partners", "nav-partners"}, {"keys", "nav-keys"},
		{"certificates", "nav-certificates"}, {"tunnels", "nav-tunnels"}, {"expiring", "nav-expiring"}, {"motions", "nav-motions"},
		{"audit", "nav-audit"}, {"documents", "nav-documents"}, {"settings", "nav-settings"}}
	all = slices.DeleteFunc(all, func(e entry) bool { return !v.May(http.MethodGet, e.route()) })
	for i := range all {
		all[i].Word = v.word(all[i].Word)
	}
	return all
}

// entry is one of the navigation.
type entry struct{ Path, Word string }

func (e entry) route() string {
	if e.Path == "" {
		return start
	}
	return e.Path
}

// framed is the frame of a page. A page that refreshes itself leaves the notice to the one that the officer opens.
func (c *Console) framed(r *http.Request, v view, section, title string) frame {
	v.Section, v.Title = section, title
	f := frame{view: v, Now: c.cfg.Now()}
	if v.session != nil && !isFragment(r) {
		f.Notice = c.told(v.session)
	}
	return f
}

// reading bounds what one page reads.
func reading(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), readTimeout)
}

// render writes a page only when all of it could be made.
func (c *Console) render(w http.ResponseWriter, r *http.Request, v view, status int, name string, data any) {
	var out bytes.Buffer
	if err := v.speech.templates.ExecuteTemplate(&out, name, data); err != nil {
		c.door.Fail(w, r, fmt.Errorf("making the page %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Language)
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // the client went away: nobody to tell
}

// faultPage is what the fault template shows.
type faultPage struct {
	view
	Back    string
	Request string // id of the request, under which the log has the reason
}

// fault answers a request that failed through nobody's wish.
func (c *Console) fault(w http.ResponseWriter, r *http.Request, err error) {
	id := c.door.Fault(w, r, err)
	v, back := c.view(r, nil), "/login"
	if place := r.PathValue("place"); place != "" {
		back = "/s/" + place + "/"
	}
	status := http.StatusInternalServerError
	if c.cfg.Away != nil && c.cfg.Away(err) != "" {
		status = http.StatusServiceUnavailable
	}
	v.Title = v.word("fault-title")
	c.render(w, r, v, status, "fault", faultPage{v, back, id})
}

// saidPage is what a page shows that has nothing but a sentence to say.
type saidPage struct {
	frame
	Text, Detail string // Detail is English, in the words of the registry; optional
	Back         string
}

// nowhere answers a request for what is not there: an address, or an order, a key, a partner of that name.
func (c *Console) nowhere(w http.ResponseWriter, r *http.Request, v view) {
	c.said(w, r, v, http.StatusNotFound, v.word("missing-title"), v.word("missing-text"))
}

func (c *Console) said(w http.ResponseWriter, r *http.Request, v view, status int, title, text string) {
	back := "/login"
	if v.session != nil {
		back = v.Home
	}
	c.render(w, r, v, status, "said", saidPage{frame: c.framed(r, v, "none", title), Text: text, Back: back})
}

// stranger answers a request for an address that is no page, before the login.
func (c *Console) stranger(w http.ResponseWriter, r *http.Request) { c.nowhere(w, r, c.view(r, nil)) }

// foreign answers a request that changes something and comes from another site's page.
func (c *Console) foreign(w http.ResponseWriter, r *http.Request) {
	v := c.view(r, nil)
	c.said(w, r, v, http.StatusForbidden, v.word("refused-title"), v.word("refused-foreign"))
}
