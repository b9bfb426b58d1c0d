package assets

import "net/http"

// Guard sets the headers of every answer of a page for people, with its Content-Security-Policy, and refuses requests that
// change something and come from another site's page.
func Guard(policy string, next http.Handler) http.Handler { return GuardOr(policy, nil, next) }

// GuardOr is Guard, where deny answers what is refused; nil is the answer of the library.
func GuardOr(policy string, deny, next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(deny)
	protected := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would make the Origin of our own forms null
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		protected.ServeHTTP(w, r)
	})
}
