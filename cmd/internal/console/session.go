package console

import (
	"crypto/sha256"
	"net/http"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
)

// Limits of sessions. They live in memory: a restart of the daemon ends them all.
const (
	sessionLife = 8 * time.Hour // a working day
	sessionIdle = 30 * time.Minute
	maxSessions = 100 // beyond them the one that was idle longest ends
)

// sessionCookie has a prefix that makes browsers refuse it unless it is secure.
const sessionCookie = "__Secure-console"

// session is one officer's stay. Browsers send a cookie to every port of a host; the other daemons of this
// machine must not come to know a session. So its cookie is for a path that only its own pages have.
type session struct {
	place   string // unguessable
	actor   audit.Actor
	role    rights.Role
	admits  func(route string) bool
	expires time.Time
	seen    time.Time // guarded by Console.mu
	notice  *notice   // guarded by Console.mu; shown once
}

// notice tells the officer what came of the last act.
type notice struct {
	Message string // id
	Refused bool
	Order   string
	Text    string // the reason in the officer's language
	Detail  string // the reason in the registry's own words, English
	Command string // for the office
	Token   string // its one-time token
	To      string // the page that shows it, below the session's home
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
	s := &session{place: secret(), actor: l.actor, role: l.role, admits: l.admits, expires: now.Add(sessionLife), seen: now}
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

// session returns the session that a request belongs to, or nil. A page that refreshes itself is not the
// officer's doing, so that does not keep a session from being idle.
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
	if now.After(s.expires) || now.Sub(s.seen) > sessionIdle || !s.admits(Start) {
		delete(c.sessions, key)
		return nil
	}
	if !refreshes(r) {
		s.seen = now
	}
	return s
}

// member lets only requests of a session through; others are sent to the login.
func (c *Console) member(do page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := c.session(r)
		switch {
		case s != nil && r.Pattern != base && !rights.Allows(rights.Console, s.role, r.Pattern):
			c.forbidden(w, r, c.view(r, s))
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

// lost answers a request of a session for a page that there is not; others are sent to the login.
func (c *Console) lost(w http.ResponseWriter, r *http.Request) { c.member(c.nowhere)(w, r) }

// forbidden answers who may not use a route, by the table of rights; who admits has it recorded.
func (c *Console) forbidden(w http.ResponseWriter, r *http.Request, v view) {
	v.session.admits(r.Pattern)
	c.said(w, r, v, http.StatusForbidden, v.word("refused-title"), v.word("refused-role"))
}

// refreshes: a part of the page asks for itself again, by its own clock.
func refreshes(r *http.Request) bool { return isFragment(r) && r.Method == http.MethodGet }

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
	http.Redirect(w, r, v.Home+n.To+"#notice", http.StatusSeeOther)
}

// told takes the notice.
func (c *Console) told(s *session) *notice {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := s.notice
	s.notice = nil
	return n
}
