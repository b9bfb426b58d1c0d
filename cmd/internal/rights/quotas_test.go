package rights_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"trustcore/cmd/internal/application"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/problem"
)

// TestQuotas holds each application to its own minute and day, by token and by certificate as one; others have none.
func TestQuotas(t *testing.T) {
	now := time.Date(2026, 3, 3, 12, 0, 10, 0, time.UTC)
	of := map[string]*application.Application{
		"ezd":  {Name: "ezd", Terms: application.Terms{RequestsAMinute: 3, DocumentsADay: 4}},
		"peup": {Name: "peup", Terms: application.Terms{RequestsAMinute: 1}},
		"free": {Name: "free"},
	}
	q := &rights.Quotas{Of: func(name string) *application.Application { return of[name] }, Days: true,
		Now: func() time.Time { return now }}
	served := q.Serve(problem.Door{Name: "api", Logger: slog.New(slog.DiscardHandler)},
		func(w http.ResponseWriter, _ *http.Request, _ rights.Holder) { w.WriteHeader(http.StatusNoContent) })
	ask := func(step, method string, who rights.Holder, status int, left, retry string) {
		t.Helper()
		w := httptest.NewRecorder()
		served(w, httptest.NewRequestWithContext(t.Context(), method, "/v1/validations", nil), who)
		if h := w.Header(); w.Code != status || h.Get("RateLimit") != left || h.Get("Retry-After") != retry {
			t.Errorf("%s: %d, RateLimit %q, Retry-After %q; want %d, %q, %q", step, w.Code, h.Get("RateLimit"),
				h.Get("Retry-After"), status, left, retry)
		}
	}
	token := rights.Holder{Profile: rights.TokenProfile, Name: "ezd"}
	certificate := rights.Holder{Profile: "daemon-client", Name: "ezd"}
	ask("first", "POST", token, 204, `"minute";r=2;t=50, "day";r=3;t=43190`, "")
	ask("by certificate", "POST", certificate, 204, `"minute";r=1;t=50, "day";r=2;t=43190`, "")
	ask("reading is no document", "GET", token, 204, `"minute";r=0;t=50`, "")
	ask("the minute is full", "POST", token, 429, `"minute";r=0;t=50, "day";r=1;t=43190`, "50")
	another := rights.Holder{Profile: rights.TokenProfile, Name: "peup"}
	ask("another's minute", "POST", another, 204, `"minute";r=0;t=50`, "")
	ask("without quotas", "POST", rights.Holder{Profile: rights.TokenProfile, Name: "free"}, 204, "", "")
	ask("not registered", "POST", rights.Holder{Profile: "daemon-client", Name: "other"}, 204, "", "")
	ask("an officer of its name", "POST", rights.Holder{Profile: "officer", Name: "peup"}, 204, "", "")
	now = now.Add(time.Minute)
	// What was refused is not counted.
	ask("the next minute", "POST", token, 204, `"minute";r=2;t=50, "day";r=1;t=43130`, "")
	ask("last of the day", "POST", token, 204, `"minute";r=1;t=50, "day";r=0;t=43130`, "")
	ask("the day is full", "POST", certificate, 429, `"minute";r=0;t=50, "day";r=0;t=43130`, "43130")
	now = now.Add(12 * time.Hour)
	ask("the next day", "POST", token, 204, `"minute";r=2;t=50, "day";r=3;t=86330`, "")
}
