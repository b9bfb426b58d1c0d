package batch_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/batch"
	"trustcore/internal/problem"
)

// verifyd answers as a test says, and tells what it was asked.
func verifyd(t *testing.T, answer http.HandlerFunc) *batch.Verifyd {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	return batch.NewVerifyd(s.URL, s.Client())
}

func document(content string, beside ...string) batch.Document {
	d := batch.Document{Name: "a.p7s", Content: strings.NewReader(content), Size: int64(len(content)),
		Wish: batch.Wish{Policy: "strict", Service: "wnioski", At: "2026-03-03T12:00:00Z", Language: "pl"}}
	for _, b := range beside {
		d.Beside = append(d.Beside, batch.File{Name: "a.txt", Content: strings.NewReader(b), Size: int64(len(b))})
	}
	return d
}

// TestAsksVerifyd sends a document as it is, and one with what lies beside it as a form.
func TestAsksVerifyd(t *testing.T) {
	v := verifyd(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/validations" || r.Header.Get("Accept-Language") != "pl" ||
			r.ContentLength <= 0 ||
			r.URL.RawQuery != "at=2026-03-03T12%3A00%3A00Z&policy=strict&service=wnioski" {
			t.Errorf("%s %s %v of %d bytes", r.Method, r.URL, r.Header, r.ContentLength)
		}
		text := ""
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			form, err := problem.FormOf(r)
			for err == nil {
				part, next := form.Next()
				if err = next; err == nil {
					data, _ := io.ReadAll(part)
					text += part.FormName() + " " + part.FileName() + " " + string(data) + ","
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		} else if data, err := io.ReadAll(r.Body); err == nil {
			text = string(data)
		}
		problem.Send(w, http.StatusOK, "application/json",
			[]byte(`{"got":"`+text+`","signatures":[{"try_again":"2026-03-03T12:00:00Z"},{"try_again":null},
			{"try_again":"2026-03-03T13:00:00Z"}]}`))
	})
	verdict, err := v.Judge(t.Context(), document("a"))
	if err != nil || !strings.HasPrefix(string(verdict.Report), `{"got":"a"`) ||
		!verdict.Again.Equal(time.Date(2026, 3, 3, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("%s, %v, %v", verdict.Report, verdict.Again, err)
	}
	verdict, err = v.Judge(t.Context(), document("a", "signed", "too"))
	if err != nil || !strings.HasPrefix(string(verdict.Report),
		`{"got":"document a.p7s a,detached a.txt signed,detached a.txt too,"`) {
		t.Errorf("%s, %v", verdict.Report, err)
	}
}

// TestWhatVerifydSays tells a document's fault from the service's, and a service that is away from one that a
// document ended.
func TestWhatVerifydSays(t *testing.T) {
	refuse := func(p *problem.Problem) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { p.Write(w) }
	}
	busy := problem.Refuse(http.StatusServiceUnavailable, "too many requests are being judged")
	busy.RetryAfter = 7
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		is     func(error) bool
	}{
		"too large":  {refuse(problem.Refuse(413, "large")), isRefusal(413)},
		"unreadable": {refuse(problem.Refuse(422, "what is it")), isRefusal(422)},
		"busy":       {refuse(busy), isBusy(7 * time.Second)},
		"shut out":   {refuse(problem.Refuse(403, "no")), isBusy(time.Second)},
		"too long":   {refuse(problem.Refuse(503, "judging took longer than 30s and was given up")), isFailure(503)},
		"fault":      {refuse(problem.Refuse(500, "fault")), isFailure(500)},
		"lost":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, isLost},
		"lost in the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"half":`)
		}, isLost},
	} {
		if _, err := verifyd(t, c.answer).Judge(t.Context(), document("a")); !c.is(err) {
			t.Errorf("%s: %T %v", name, err, err)
		}
	}
	s := httptest.NewTLSServer(nil)
	s.Close()
	var unreached *batch.Unreached
	if _, err := batch.NewVerifyd(s.URL, s.Client()).Judge(t.Context(), document("a")); !errors.As(err, &unreached) {
		t.Errorf("away: %T %v", err, err)
	}
}

func isRefusal(status int) func(error) bool {
	return func(err error) bool { var no *batch.Refusal; return errors.As(err, &no) && no.Status == status }
}

func isFailure(status int) func(error) bool {
	return func(err error) bool { var no *batch.Failure; return errors.As(err, &no) && no.Status == status }
}

func isBusy(after time.Duration) func(error) bool {
	return func(err error) bool { var no *batch.Busy; return errors.As(err, &no) && no.After == after }
}

func isLost(err error) bool {
	var unreached *batch.Unreached
	return err != nil && !errors.As(err, &unreached) && !isBusy(time.Second)(err) && !isFailure(500)(err) &&
		!isRefusal(500)(err)
}

// TestVerifydReady asks whether verifyd lets batchd in.
func TestVerifydReady(t *testing.T) {
	status := http.StatusOK
	v := verifyd(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	if err := v.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if status = http.StatusForbidden; v.Ready(t.Context()) == nil {
		t.Error("403 is not ready")
	}
}
