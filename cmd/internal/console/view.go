package console

import (
	"bytes"
	"fmt"
	"net/http"

	"trustcore/internal/audit"
)

// view is what every page has: who looks, in which language and colours.
type view struct {
	Actor    audit.Actor
	Language string
	Theme    string // "auto", "light" or "dark"
	Leader   string // who runs the data centre; may be empty

	speech  *speech
	session *session // nil on the login page
}

func (c *Console) view(r *http.Request, s *session) view {
	v := view{Language: c.preferred(r), Theme: "auto", Leader: c.cfg.Registry.Leader().Name, session: s}
	v.speech = c.speech[v.Language]
	if cookie, err := r.Cookie(themeCookie); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		v.Theme = cookie.Value
	}
	if s != nil {
		v.Actor = s.actor
	}
	return v
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
	c.render(w, r, v, status, "fault", faultPage{v, back, id})
}
