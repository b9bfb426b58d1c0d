package evidence

import (
	"net/http"
	"testing"
	"time"
)

// TestOrigins: what was asked for now is told from what was at hand, also where a source that fails now leaves what it
// said before in force, and where it comes from the keep.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/crl")
	want := func(when string, f Found, origin Origin) {
		t.Helper()
		if len(f.CRLs) != 1 || len(f.Origins) != 1 {
			t.Fatalf("%s: %d lists, %d origins: %v", when, len(f.CRLs), len(f.Origins), f.Problems)
		}
		for _, got := range f.Origins {
			if got != origin {
				t.Errorf("%s: %s, want %s", when, got, origin)
			}
		}
	}
	want("at first", w.gather(g, leaf), External)
	w.pass(time.Second)
	want("again", w.gather(g, leaf), Cached)
	want("offline", w.gather(w.gatherer(func(c *Config) { c.Offline = true }), leaf), Cached)
	w.instead("/crl", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusServiceUnavailable) })
	w.pass(listAge + time.Minute)
	want("from a source that fails", w.gather(g, leaf), Cached)
}
