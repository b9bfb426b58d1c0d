package page

import (
	"cmp"
	"net/http"
	"slices"

	"trustcore/cmd/verifyd/page/words"
	"trustcore/internal/problem"
)

// Cookies of what a reader prefers. Language and theme have the names that the console of the same host uses: who reads both
// chooses once.
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

// NextTheme is the theme that the button of themes leads to.
func (p preferences) NextTheme() string {
	return themes[(slices.Index(themes, p.Theme)+1)%len(themes)]
}

// Sizes are those that can be chosen.
func (preferences) Sizes() []string { return sizes }

// preferencesOf are what the cookies say; without one the language is what the browser asks for, else Polish.
func preferencesOf(r *http.Request) preferences {
	choice := func(name string, known []string, otherwise string) string {
		if c, err := r.Cookie(name); err == nil && slices.Contains(known, c.Value) {
			return c.Value
		}
		return otherwise
	}
	return preferences{choice(languageCookie, words.Languages, accepted(r)), choice(themeCookie, themes, themes[0]), choice(sizeCookie, sizes, sizes[0])}
}

var spoken = problem.Speaks(words.Languages...)

func accepted(r *http.Request) string {
	return cmp.Or(spoken(r.Header.Get("Accept-Language")), words.Languages[0])
}

// maxPreferences bounds the form of preferences, in bytes.
const maxPreferences = 1 << 10

// setPreferences takes one choice and shows the page again.
func (p *Page) setPreferences(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxPreferences)
	for _, one := range []struct {
		field, cookie string
		known         []string
	}{{"language", languageCookie, words.Languages}, {"theme", themeCookie, themes}, {"size", sizeCookie, sizes}} {
		if value := r.PostFormValue(one.field); slices.Contains(one.known, value) {
			http.SetCookie(w, &http.Cookie{Name: one.cookie, Value: value, Path: "/", MaxAge: 365 * 24 * 3600, Secure: true, HttpOnly: true,
				SameSite: http.SameSiteStrictMode})
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
