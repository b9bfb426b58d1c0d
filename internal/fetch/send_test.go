package fetch_test

import (
	"io"
	"net/http"
	"testing"

	"trustcore/internal/fetch"
)

// TestSend posts headers and body, and tells success from anything else.
func TestSend(t *testing.T) {
	u, c := serve(t, fetch.Config{}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Webhook-Id") != "1" || string(body) != "{}" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	header := http.Header{"Webhook-Id": {"1"}}
	if err := c.Send(t.Context(), u, header, []byte("{}")); err != nil {
		t.Error(err)
	}
	if err := c.Send(t.Context(), u+"/gone", header, []byte("{}")); err == nil {
		t.Error("410 is no success")
	}
}
