package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// served is a client of a handler, with a clock of its own that notes how long it waited.
func served(t *testing.T, cfg Config, handler http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	cfg.URL = server.URL
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var waits []time.Duration
	c.sleep = func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}
	return c, &waits
}

func TestNew(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://verifyd.example:8444": true, "https://verifyd.example/": true, "http://127.0.0.1:1": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://verifyd.example": false, "http://127.0.0.1.example": false, "": false, "verifyd": false, "ftp://127.0.0.1": false,
		"https://user:secret@verifyd.example": false, "https://verifyd.example/?a=b": false, "https://": false,
	} {
		if _, err := New(Config{URL: address}); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestCalledAgain: what verifyd can't do now is asked for again when it says so, and what the network broke; nothing
// else is.
func TestCalledAgain(t *testing.T) {
	for name, test := range map[string]struct {
		answers []int // statuses; 0 breaks the connection
		after   string
		once    bool
		calls   int
		status  int // of the problem; 0: none, -1: another error
		wait    time.Duration
	}{
		"taken at once":          {answers: []int{200}, calls: 1},
		"busy":                   {answers: []int{503, 429, 200}, after: "7", calls: 3, wait: 7 * time.Second},
		"busy for long":          {answers: []int{503, 200}, after: "86400", calls: 2, wait: time.Minute},
		"busy, when isn't said":  {answers: []int{503, 200}, calls: 2, wait: firstWait},
		"busy without end":       {answers: []int{503}, after: "1", calls: 4, status: 503, wait: time.Second},
		"broken":                 {answers: []int{0, 200}, calls: 2, wait: firstWait},
		"broken without end":     {answers: []int{0}, calls: 4, status: -1, wait: firstWait},
		"broken, to be kept":     {answers: []int{0, 200}, once: true, calls: 1, status: -1},
		"busy, to be kept":       {answers: []int{503, 200}, once: true, after: "1", calls: 2, wait: time.Second},
		"refused":                {answers: []int{400}, calls: 1, status: 400},
		"not judged":             {answers: []int{422}, calls: 1, status: 422},
		"a fault":                {answers: []int{500}, calls: 1, status: 500},
		"a redirect to somebody": {answers: []int{302}, calls: 1, status: 302},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			c, waits := served(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != "letter" {
					t.Errorf("%q %v", body, err)
				}
				status := test.answers[min(calls, len(test.answers)-1)]
				calls++
				if status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Retry-After", test.after)
				w.Header().Set("Location", "http://192.0.2.1/")
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"status":%d,"title":"t","detail":"d","field":"f"}`, status)
			})
			_, err := c.Validate(t.Context(), strings.NewReader("letter"), Options{Later: test.once})
			var p *Problem
			switch {
			case test.status == 0 && err != nil, test.status == -1 && (err == nil || errors.As(err, &p)):
				t.Error(err)
			case test.status > 0 && (!errors.As(err, &p) || p.Status != test.status || p.Detail != "d" || p.Field != "f"):
				t.Errorf("%v", err)
			}
			if calls != test.calls || len(*waits) != calls-1 {
				t.Errorf("%d calls, waited %v", calls, *waits)
			}
			for _, wait := range *waits {
				if wait < test.wait || wait > max(test.wait, 2*firstWait<<len(*waits)) {
					t.Errorf("waited %s, want %s", wait, test.wait)
				}
			}
		})
	}
}

// TestGivenUp: a context that ends while the client waits ends the call, with the reason of the last attempt.
func TestGivenUp(t *testing.T) {
	calls := 0
	c, _ := served(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	c.sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
	var p *Problem
	if _, err := c.Services(t.Context()); !errors.As(err, &p) || p.Status != 503 || calls != 1 || !strings.Contains(p.Detail, "no problem is told") {
		t.Errorf("%v, %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestAnswersAreBounded: an answer without end is not read, nor asked for again.
func TestAnswersAreBounded(t *testing.T) {
	calls := 0
	c, _ := served(t, Config{MaxAnswer: 1000}, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = w.Write(make([]byte, 1001))
	})
	if _, err := c.Services(t.Context()); !errors.Is(err, errTooLarge) || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
}

// TestWhatIsSent holds the parameters and parts of a request.
func TestWhatIsSent(t *testing.T) {
	var got []string
	c, _ := served(t, Config{Language: "pl"}, func(w http.ResponseWriter, r *http.Request) {
		got = []string{r.URL.RawQuery, r.Header.Get("Accept-Language")}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			form, err := r.MultipartReader()
			if err != nil {
				t.Error(err)
				return
			}
			for part, err := form.NextPart(); err == nil; part, err = form.NextPart() {
				content, _ := io.ReadAll(part)
				got = append(got, part.FormName()+":"+part.FileName()+"="+string(content))
			}
		} else {
			content, _ := io.ReadAll(r.Body)
			got = append(got, string(content))
		}
		_, _ = io.WriteString(w, "{}")
	})
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	for want, send := range map[string]func() error{
		"|pl|letter": func() error { _, err := c.Validate(t.Context(), strings.NewReader("letter"), Options{}); return err },
		"at=2026-03-03T12%3A00%3A00Z&later=true&policy=strict&service=podatki|pl|letter": func() error {
			_, err := c.Validate(t.Context(), io.MultiReader(strings.NewReader("letter")), Options{At: at, Policy: "strict", Service: "podatki", Later: true})
			return err
		},
		"|pl|detached:a=first|digest:=b=SHA-256:00|password:=tajne|document:document=letter": func() error {
			_, err := c.ValidateDigest(t.Context(), strings.NewReader("letter"), "b=SHA-256:00",
				Options{Detached: []File{{"a", []byte("first")}}, Passwords: [][]byte{[]byte("tajne")}})
			return err
		},
	} {
		if err := send(); err != nil || strings.Join(got, "|") != want {
			t.Errorf("%q %v, want %q", strings.Join(got, "|"), err, want)
		}
	}
}

// TestFromItsBeginning: a document is sent from where its reader stood, at each attempt.
func TestFromItsBeginning(t *testing.T) {
	var got []string
	c, _ := served(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		if got = append(got, string(content)); len(got)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "{}")
	})
	name := filepath.Join(t.TempDir(), "letter")
	if err := os.WriteFile(name, []byte("a letter"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for _, document := range []io.Reader{file, io.MultiReader(strings.NewReader("letter")), bytes.NewReader([]byte("letter"))} {
		if _, err := c.Validate(t.Context(), document, Options{}); err != nil {
			t.Error(err)
		}
	}
	if strings.Join(got, " ") != "letter letter letter letter letter letter" {
		t.Errorf("%q", got)
	}
}

// TestResults: a result that is to come is asked for until it is final, when verifyd says.
func TestResults(t *testing.T) {
	asked := 0
	c, waits := served(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.Header().Set("Location", "/v1/validations/ABC")
			w.Header().Set("Retry-After", "30")
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
			return
		case r.URL.Path != "/v1/validations/ABC":
			http.NotFound(w, r)
			return
		default:
			if asked++; asked < 3 {
				w.Header().Set("Retry-After", "5")
				w.WriteHeader(http.StatusAccepted)
			}
		}
		fmt.Fprintf(w, `{"sha256":"%d"}`, asked)
	})
	v, err := c.Validate(t.Context(), strings.NewReader("letter"), Options{Later: true})
	if err != nil || v.ID != "ABC" || v.Again != 30*time.Second {
		t.Fatalf("%+v %v", v, err)
	}
	v, err = c.Wait(t.Context(), v.ID)
	if err != nil || v.Again != 0 || v.ID != "" || v.Report.SHA256 != "3" || fmt.Sprint(*waits) != "[5s 5s]" {
		t.Errorf("%+v %v, waited %v", v, err, *waits)
	}
	if err := c.Forget(t.Context(), "ABC"); err != nil {
		t.Error(err)
	}
	var p *Problem
	if _, err := c.Result(t.Context(), "../ABC"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("%v", err)
	}
}

// TestBatchAnswer refuses an answer that is not about all questions.
func TestBatchAnswer(t *testing.T) {
	c, _ := served(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"line":1}`+"\n") })
	if _, err := c.Certificates(t.Context(), make([]CertificateQuestion, 2)); err == nil || !strings.Contains(err.Error(), "1 lines to 2 questions") {
		t.Errorf("%v", err)
	}
	if list, err := c.Certificates(t.Context(), make([]CertificateQuestion, 1)); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}

// TestCertified refuses files that are none.
func TestCertified(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, "nowhere.pem"} {
		if _, err := Certified(file, file, file); err == nil {
			t.Errorf("%s is taken", file)
		}
	}
}
