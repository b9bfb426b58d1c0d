package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
)

// Limits of the login. A code has 256 bits and can't be guessed: the limit keeps the audit log short. A right code is taken
// whatever others guess.
const (
	codeLife    = 2 * time.Minute
	maxGuesses  = 10 // wrong codes in a guessWindow; those beyond are not recorded
	guessWindow = time.Minute
	maxForm     = 64 << 10 // bytes of a form without files
)

// digest is the SHA-256 of a code or of a session's token: what is kept instead of the secret.
type digest [sha256.Size]byte

// login is a code that was given out and not used yet.
type login struct {
	actor   audit.Actor
	role    rights.Role
	admits  func(route string) bool
	expires time.Time
}

// guesses counts wrong codes.
type guesses struct {
	since time.Time
	wrong int
}

// Code makes the one-time code with which an officer enters within two minutes; an earlier code of the
// same officer that was not used is void from now on. role says what of the console may be used, by the table of rights.
// admits is asked at the login and at every request of the session, by the route of the table: it says whether the
// certificate that the officer asked with still holds and opens the route, and has it recorded when it does not.
func (c *Console) Code(ctx context.Context, actor audit.Actor, role rights.Role, admits func(route string) bool) (string, error) {
	if !rights.Allows(rights.Console, role, Start) || actor.ID == "" || admits == nil {
		return "", errors.New("console: only who may use the console, with a certificate, gets a code")
	}
	if err := c.record(ctx, actor, "console.code", audit.Granted, ""); err != nil {
		return "", err
	}
	code := secret()
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for d, l := range c.codes {
		if l.actor == actor || now.After(l.expires) {
			delete(c.codes, d)
		}
	}
	c.codes[sha256.Sum256([]byte(code))] = login{actor: actor, role: role, admits: admits, expires: now.Add(codeLife)}
	return code, nil
}

// secret returns 256 random bits as text for URLs and cookies.
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: the process ends instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// record writes an audit entry of a login or a logout.
func (c *Console) record(ctx context.Context, actor audit.Actor, action, outcome, reason string) error {
	_, err := c.cfg.Audit.Append(ctx, audit.Entry{Time: c.cfg.Now(), Actor: actor, Action: action, Subject: "console", Outcome: outcome, Reason: reason})
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	return nil
}

// loginPage is what the login template shows.
type loginPage struct {
	view
	Code    string
	Problem string // id of a message, or ""
}

// showLogin shows a button, so that a program that previews links does not use the code up.
func (c *Console) showLogin(w http.ResponseWriter, r *http.Request) {
	c.loginForm(w, r, http.StatusOK, r.URL.Query().Get("code"), "")
}

func (c *Console) loginForm(w http.ResponseWriter, r *http.Request, status int, code, problem string) {
	v := c.view(r, nil)
	v.Title = v.word("console")
	if lang := r.FormValue("language"); c.speech[lang] != nil {
		v.Language, v.speech = lang, c.speech[lang]
	}
	c.render(w, r, v, status, "login", loginPage{view: v, Code: code, Problem: problem})
}

// enter trades a code for a session.
func (c *Console) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	l, problem := c.redeem(r.PostFormValue("code"))
	switch {
	case problem == "login-limited":
		w.Header().Set("Retry-After", "60")
		c.loginForm(w, r, http.StatusTooManyRequests, "", problem)
		return
	case problem != "":
		if err := c.record(r.Context(), l.actor, "console.login", audit.Refused, reasons[problem]); err != nil {
			c.cfg.Logger.Error("a refused login is not in the audit log", "error", err)
		}
		c.loginForm(w, r, http.StatusForbidden, "", problem)
		return
	}
	if err := c.record(r.Context(), l.actor, "console.login", audit.Granted, ""); err != nil {
		c.fault(w, r, err)
		return
	}
	s := c.open(w, l)
	if lang := r.PostFormValue("language"); c.speech[lang] != nil {
		setPreference(w, languageCookie, lang)
	}
	http.Redirect(w, r, s.home(), http.StatusSeeOther)
}

// reasons are the refusals of a login as the audit log has them.
var reasons = map[string]string{
	"login-unknown": "the code is unknown, used or void",
	"login-expired": "the code has expired",
	"login-revoked": "the officer's certificate does not hold any more",
}

// redeem takes a code out, right or wrong. The problem is the id of a message, "" when the code is good.
func (c *Console) redeem(code string) (login, string) {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.guesses.since) >= guessWindow {
		c.guesses = guesses{since: now}
	}
	key := digest(sha256.Sum256([]byte(code)))
	l, known := c.codes[key]
	delete(c.codes, key)
	switch {
	case !known && c.guesses.wrong >= maxGuesses:
		return login{}, "login-limited"
	case !known:
		c.guesses.wrong++
		return login{actor: audit.Actor{Kind: "officer", ID: "unknown"}}, "login-unknown"
	case now.After(l.expires):
		return l, "login-expired"
	case !l.admits(Start):
		return l, "login-revoked"
	}
	return l, ""
}
