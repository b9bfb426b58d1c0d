package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Cookies of what a reader prefers, by the names that the page of verifyd uses: who reads both chooses once.
const (
	languageCookie = "__Host-language"
	themeCookie    = "__Host-theme"
	sizeCookie     = "__Host-size"
)

// Themes and sizes of letters, the default first. Each button of the theme leads to the next one.
var (
	themes = []string{"auto", "light", "dark", "contrast"}
	sizes  = []string{"normal", "large", "largest"}
)

// preferences are those of one reader.
type preferences struct{ Language, Theme, Size string }

// Themes and Sizes are those that can be chosen, Languages too.
func (preferences) Themes() []string    { return themes }
func (preferences) Sizes() []string     { return sizes }
func (preferences) Languages() []string { return languages }

// NextTheme is the theme that the button of themes leads to.
func (p preferences) NextTheme() string { return themes[(slices.Index(themes, p.Theme)+1)%len(themes)] }

func (c *Console) preferencesOf(r *http.Request) preferences {
	choice := func(name string, known []string, otherwise string) string {
		if c, err := r.Cookie(name); err == nil && slices.Contains(known, c.Value) {
			return c.Value
		}
		return otherwise
	}
	accepted := cmp.Or(spoken(r.Header.Get("Accept-Language")), languages[0])
	return preferences{choice(languageCookie, languages, accepted), choice(themeCookie, themes, themes[0]),
		choice(sizeCookie, sizes, sizes[0])}
}

// setPreferences takes one choice and goes back to the page on which it was made.
func (c *Console) setPreferences(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	for _, one := range []struct {
		field, cookie string
		known         []string
	}{{"language", languageCookie, languages}, {"theme", themeCookie, themes}, {"size", sizeCookie, sizes}} {
		if value := r.PostFormValue(one.field); slices.Contains(one.known, value) {
			setPreference(w, one.cookie, value)
		}
	}
	back := r.PostFormValue("back")
	if !strings.HasPrefix(back, v.Home) || strings.ContainsFunc(back, func(c rune) bool { return c < ' ' }) {
		back = v.Home // leads nowhere but to the session's own pages
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func setPreference(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 365 * 24 * 3600, Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode})
}
