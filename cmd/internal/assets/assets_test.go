package assets_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"trustcore/cmd/internal/assets"
)

func TestServe(t *testing.T) {
	set, err := assets.Load(fstest.MapFS{"static/a.js": {Data: []byte("script")}, "static/b.wasm.br": {Data: []byte("packed")}}, "static")
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		path, accept string
		status       int
		header       http.Header
	}{
		{set.Path("a.js"), "", 200, http.Header{"Content-Type": {"text/javascript; charset=utf-8"}, "Cache-Control": {"public, max-age=31536000, immutable"}}},
		{"/static/a.js?v=of-another-version", "", 200, http.Header{"Cache-Control": nil}},
		{set.Path("b.wasm"), "gzip, br", 200, http.Header{"Content-Type": {"application/wasm"}, "Content-Encoding": {"br"}, "Vary": {"Accept-Encoding"}}},
		{set.Path("b.wasm"), "gzip", 406, nil},
		{"/static/c.js", "", 404, nil},
		{"/static/x/a.js", "", 404, nil},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, try.path, nil)
		r.Header.Set("Accept-Encoding", try.accept)
		w := httptest.NewRecorder()
		set.ServeHTTP(w, r)
		if w.Code != try.status {
			t.Errorf("%s: %d, want %d", try.path, w.Code, try.status)
		}
		for name, want := range try.header {
			if got := w.Header().Values(name); len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
				t.Errorf("%s: %s %q, want %q", try.path, name, got, want)
			}
		}
	}
	if set.Path("c.js") != "" {
		t.Error("a file that is not there has an address")
	}
}
