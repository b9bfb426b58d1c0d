package console

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"trustcore/internal/audit"
)

// Limits of sessions. They live in memory: a restart of the daemon ends them all.
const (
	sessionLife = 8 * time.Hour // a working day
	sessionIdle = 30 * time.Minute
	maxSessions = 100 // beyond them the one that was idle longest ends
)

// The prefixes make browsers refuse the cookies unless they are secure and, with Host, have no domain.
const (
	sessionCookie  = "__Secure-console"
	languageCookie = "__Host-language"
	themeCookie    = "__Host-theme"
)

// session is one officer's stay. Browsers send a cookie to every port of a host; the other daemons of this
// machine must not come to know a session. So its cookie is for a path that only its own pages have.
type session struct {
	place   string // unguessable
	actor   audit.Actor
	valid   func() bool
	expires time.Time
	seen    time.Time // guarded by Console.mu
	notice  *notice   // guarded by Console.mu; shown once
}

// notice tells the officer what came of the last act.
type notice struct {
	Message string // id
	Refused bool
	Order   string
	Detail  string // the registry's own words, English
	Command string // for the office, with its one-time token
}

// home is the path of the session's page; the cookie is for it and what lies below.
func (s *session) home() string { return "/s/" + s.place + "/" }

// cookie makes the session's cookie; an age below zero takes it back.
func (s *session) cookie(token string, age int) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: token, Path: s.home(), MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// open begins a session and hands its cookie out.
func (c *Console) open(w http.ResponseWriter, l login) *session {
	token, now := secret(), c.cfg.Now()
	s := &session{place: secret(), actor: l.actor, valid: l.valid, expires: now.Add(sessionLife), seen: now}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.sessions) >= maxSessions {
		c.endIdlest()
	}
	c.sessions[sha256.Sum256([]byte(token))] = s
	http.SetCookie(w, s.cookie(token, int(sessionLife.Seconds())))
	return s
}

func (c *Console) endIdlest() {
	var idlest digest
	var since time.Time
	for d, s := range c.sessions {
		if since.IsZero() || s.seen.Before(since) {
			idlest, since = d, s.seen
		}
	}
	delete(c.sessions, idlest)
}

// session returns the session that a request belongs to, or nil. Refreshing fragments is not the
// officer's doing, so it does not keep a session from being idle.
func (c *Console) session(r *http.Request) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	key, now := digest(sha256.Sum256([]byte(cookie.Value))), c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[key]
	if s == nil || s.place != r.PathValue("place") {
		return nil
	}
	if now.After(s.expires) || now.Sub(s.seen) > sessionIdle || !s.valid() {
		delete(c.sessions, key)
		return nil
	}
	if !strings.HasPrefix(r.URL.Path, s.home()+"fragments/") {
		s.seen = now
	}
	return s
}

// member lets only requests of a session through; others are sent to the login.
func (c *Console) member(do func(w http.ResponseWriter, r *http.Request, v view)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := c.session(r)
		switch {
		case s != nil:
			do(w, r, c.view(r, s))
		case isFragment(r):
			w.Header().Set("HX-Redirect", "/login")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	}
}

// isFragment: the script asks for a part of the page.
func isFragment(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// leave ends the session.
func (c *Console) leave(w http.ResponseWriter, r *http.Request, v view) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		c.mu.Lock()
		delete(c.sessions, sha256.Sum256([]byte(cookie.Value)))
		c.mu.Unlock()
	}
	if err := c.record(r.Context(), v.Actor, "console.logout", audit.Granted, ""); err != nil {
		c.cfg.Logger.Error("a logout is not in the audit log", "error", err)
	}
	http.SetCookie(w, v.session.cookie("", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// tell leaves a notice for the next page of the session and goes there.
func (c *Console) tell(w http.ResponseWriter, r *http.Request, v view, n notice) {
	c.mu.Lock()
	v.session.notice = &n
	c.mu.Unlock()
	http.Redirect(w, r, v.session.home()+"#notice", http.StatusSeeOther)
}

// told takes the notice.
func (c *Console) told(s *session) *notice {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := s.notice
	s.notice = nil
	return n
}

func (c *Console) setPreferences(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if lang := r.PostFormValue("language"); c.speech[lang] != nil {
		setPreference(w, languageCookie, lang)
	}
	if theme := r.PostFormValue("theme"); theme == "auto" || theme == "light" || theme == "dark" {
		setPreference(w, themeCookie, theme)
	}
	http.Redirect(w, r, v.session.home(), http.StatusSeeOther)
}

func setPreference(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 365 * 24 * 3600, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
