package batch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trustcore/cmd/internal/batch"
	"trustcore/internal/problem"
)

// asker drives the interface as a program does.
type asker struct {
	*desk
	url string
}

func (d *desk) serve() asker {
	d.Helper()
	door := problem.Door{Name: "batches", Logger: slog.New(slog.DiscardHandler), Body: batch.Bodies(1 << 20)}
	mux := http.NewServeMux()
	for pattern, do := range d.queue.Routes(door) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { do(w, r, r.Header.Get("Owner")) })
	}
	s := httptest.NewServer(door.Guard(mux))
	d.Cleanup(s.Close)
	return asker{d, s.URL}
}

func (a asker) ask(method, path, media, body string, header ...string) (status int, text string, h http.Header) {
	a.Helper()
	request, err := http.NewRequestWithContext(a.Context(), method, a.url+path, strings.NewReader(body))
	a.must(err)
	request.Header.Set("Owner", "ezd")
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	a.must(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	a.must(err)
	return response.StatusCode, string(answer), response.Header
}

// form is a body with files, in threes of part, name and content.
func form(t *testing.T, files ...string) (media, body string) {
	t.Helper()
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	for i := 0; i+2 < len(files); i += 3 {
		part, err := w.CreateFormFile(files[i], files[i+1])
		if err == nil {
			_, err = io.WriteString(part, files[i+2])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), text.String()
}

const lines = "application/x-ndjson"

// TestHTTP drives the interface as a program does.
func TestHTTP(t *testing.T) {
	a := open(t, func(c *batch.Config) {
		c.Terms = func(string) batch.Terms {
			return batch.Terms{MayAsk: func(service string) bool { return service == "wnioski" }}
		}
	}).serve()
	status, text, _ := a.ask("POST", "/v1/batches", "application/json",
		`{"name":"marzec","language":"pl","service":"wnioski"}`)
	var info batch.Info
	a.must(json.Unmarshal([]byte(text), &info))
	if status != 201 || info.Language != "pl" || info.State != batch.Taking {
		t.Fatal(status, text)
	}
	at := "/v1/batches/" + info.ID
	media, body := form(t, "document", "a.p7s", "a", "detached", "a.txt", "signed", "document", "w folderze/b.xml", "b")
	_, empty := form(t)
	for _, c := range []struct {
		method, path, media, body string
		status                    int
		part                      string
	}{
		{"POST", at + "/documents", media, body, 200, `{"documents":2}`},
		{"PUT", at + "/documents/w%20folderze/c.pdf", "application/pdf", "c", 200, `{"documents":3}`},
		{"PUT", at + "/documents/w%20folderze/c.pdf", "application/pdf", "c", 200, `{"documents":3}`},
		{"PUT", at + "/documents/w%20folderze/c.pdf", "application/pdf", "d", 409, "already"},
		{"POST", at + "/documents?first=2", media, body, 409, "the batch has 3 documents"},
		{"POST", at + "/documents", media, body, 409, "a.p7s"},
		{"POST", at + "/documents?first=x", media, body, 400, "no number of a document"},
		{"POST", at + "/documents?when=2", media, body, 400, "when"},
		{"POST", at + "/documents", media, body[:len(body)/2], 400, "can't be read to its end"},
		{"POST", at + "/documents", media, empty, 400, "can't be read to its end"},
		{"POST", at + "/documents", "application/pdf", "c", 415, "multipart/form-data"},
		{"PUT", at + "/documents/d", "", strings.Repeat("x", 1<<20+1), 413, "at most"},
		{"POST", at + "/documents", lines, `{"root":"archive","path":"a"}`, 403, "no place"},
		{"POST", at + "/documents", lines, `{"root":"archive"`, 400, "JSON"},
		{"POST", at + "/documents", lines, `{"colour":"red"}`, 400, "colour"},
		{"POST", "/v1/batches", "", `{"at":"yesterday"}`, 400, "2026-03-03T12:00:00Z"},
		{"POST", "/v1/batches", "", `{"language":"de"}`, 400, "neither en nor pl"},
		{"POST", "/v1/batches", "", `{"colour":"red"}`, 400, "colour"},
		{"POST", "/v1/batches", "", `{"service":"przetargi"}`, 403, "przetargi"},
		{"GET", "/v1/batches/none", "", "", 404, "no such batch"},
		{"POST", at + "/explode", "", "", 404, "no such batch"},
		{"POST", at + "/close", "", "", 200, `"documents":3`},
		{"PUT", at + "/documents/d", "", "c", 409, "takes no more"},
	} {
		if status, text, _ := a.ask(c.method, c.path, c.media, c.body); status != c.status ||
			!strings.Contains(text, c.part) {
			t.Errorf("%s %s: %d %s; want %d and %q", c.method, c.path, status, text, c.status, c.part)
		}
	}
	a.finished("ezd", info.ID)
	a.fetched(at)
	if status, text, _ = a.ask("GET", "/v1/batches", "", ""); status != 200 ||
		!strings.Contains(text, `"state":"finished"`) {
		t.Errorf("%d %s", status, text)
	}
	if status, _, _ = a.ask("DELETE", at, "", ""); status != 204 || len(a.left()) > 0 {
		t.Errorf("%d %v", status, a.left())
	}
}

// fetched reads results whole, from a byte on, and in order from a document on.
func (a asker) fetched(at string) {
	a.Helper()
	status, text, _ := a.ask("GET", at+"/results", "", "")
	if all := readLines(a.T, strings.NewReader(text)); status != 200 || len(all) != 3 {
		a.Errorf("%d %s", status, text)
	}
	begin := strings.IndexByte(text, '\n') + 1
	if status, rest, _ := a.ask("GET", at+"/results", "", "", "Range", fmt.Sprintf("bytes=%d-", begin)); status != 206 ||
		rest != text[begin:] {
		a.Errorf("%d %s, want %s", status, rest, text[begin:])
	}
	status, text, _ = a.ask("GET", at+"/results?from=1", "", "")
	if all := readLines(a.T, strings.NewReader(text)); status != 200 || len(all) != 2 ||
		all[0].Name != "w folderze/b.xml" || all[1].Name != "w folderze/c.pdf" {
		a.Errorf("%d %s", status, text)
	}
	if status, text, _ = a.ask("GET", at+"/results?from=-1", "", ""); status != 400 {
		a.Errorf("%d %s", status, text)
	}
}

// TestFull tells who has no room left when to come again.
func TestFull(t *testing.T) {
	a := open(t, func(c *batch.Config) { c.Quota = 10 }).serve()
	id := a.begin("ezd", batch.Wish{})
	if status, text, h := a.ask("PUT", "/v1/batches/"+id+"/documents/a", "", "0123456789"); status != 429 ||
		h.Get("Retry-After") != "10" {
		t.Errorf("%d %s, Retry-After %q", status, text, h.Get("Retry-After"))
	}
	if status, text, _ := a.ask("PUT", "/v1/batches/"+id+"/documents/a", "", "01234"); status != 200 {
		t.Errorf("%d %s", status, text)
	}
}

// TestSources judges documents where they lie, and nothing that lies elsewhere.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	inside, outside := filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
	for path, content := range map[string]string{"inside/2026/a.p7s": "a", "inside/2026/03/b.xml": "b",
		"inside/a.txt": "signed", "outside": "secret"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o700),
			os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(inside, "2026/link")),
		os.Symlink("..", filepath.Join(inside, "up")),
		syscall.Mkfifo(filepath.Join(inside, "2026/pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var fetched []string
	a := open(t, func(c *batch.Config) {
		c.Concurrency = 1
		c.Roots = map[string]batch.Root{"archive": {Folder: root, Owners: []string{"ezd"}}}
		c.Hosts = []batch.Host{{Origin: "https://ezd.gmina.pl", Owners: []string{"ezd"},
			Fetch: func(_ context.Context, address string) ([]byte, error) {
				fetched = append(fetched, address)
				if strings.HasSuffix(address, "/gone") {
					return nil, errors.New("404")
				}
				return []byte("fetched"), nil
			}}}
	}).serve()
	id := a.begin("ezd", batch.Wish{})
	at := "/v1/batches/" + id
	good := `{"root":"archive","folder":"2026"}
{"name":"with its file","root":"archive","path":"2026/a.p7s","beside":["a.txt"]}
{"root":"archive","path":"2026/link"}
{"root":"archive","path":"up/outside"}
{"root":"archive","path":"2026/pipe"}
{"root":"archive","path":"2026"}
{"root":"archive","path":"nothing"}
{"url":"https://ezd.gmina.pl/dokumenty/1"}
{"url":"https://ezd.gmina.pl/gone"}
`
	if status, text, _ := a.ask("POST", at+"/documents", lines, good); status != 200 ||
		!strings.Contains(text, `"documents":10`) {
		t.Fatal(status, text)
	}
	for _, bad := range []string{
		`{"root":"archive","path":"../outside"}`, `{"root":"archive","path":"/etc/passwd"}`,
		`{"root":"archive","folder":".."}`, `{"root":"elsewhere","path":"a"}`,
		`{"url":"http://ezd.gmina.pl/1"}`, `{"url":"https://ezd.gmina.pl:8443/1"}`,
		`{"url":"https://ezd.gmina.pl.example.com/1"}`,
		`{"url":"https://me@ezd.gmina.pl/1"}`, `{"url":"https://169.254.169.254/"}`,
		`{"url":"https://ezd.gmina.pl/1","root":"archive"}`, `{"root":"archive"}`, `{}`,
	} {
		if status, text, _ := a.ask("POST", at+"/documents", lines, bad); status != 400 && status != 403 {
			t.Errorf("%s: %d %s", bad, status, text)
		}
	}
	another := "/v1/batches/" + a.begin("peup", batch.Wish{}) + "/documents"
	for _, theirs := range []string{`{"root":"archive","path":"2026/a.p7s"}`, `{"url":"https://ezd.gmina.pl/dokumenty/1"}`} {
		if status, text, _ := a.ask("POST", another, lines, theirs, "Owner", "peup"); status != 403 {
			t.Errorf("another's archive, %s: %d %s", theirs, status, text)
		}
	}
	if info := a.finished("ezd", id); info.Refused != 6 {
		t.Errorf("%+v", info)
	}
	a.wantSources(id)
	if len(fetched) != 4 { // what is gone is asked for three times
		t.Errorf("fetched: %v", fetched)
	}
}

func (a asker) wantSources(id string) {
	a.Helper()
	got := map[string]string{}
	for _, l := range a.results("ezd", id) {
		got[l.Name] = l.Report["sha256"]
	}
	for name, content := range map[string]string{"2026/a.p7s": "a", "2026/03/b.xml": "b", "with its file": "aa.txtsigned",
		"https://ezd.gmina.pl/dokumenty/1": "fetched"} {
		if got[name] != digest(content) {
			a.Errorf("%s: %s", name, got[name])
		}
		delete(got, name)
	}
	for name, sum := range got {
		if sum != "" {
			a.Errorf("%s was read", name)
		}
	}
}

// TestCompressedUpload: what comes out of gzip is the document, and what the limits are about.
func TestCompressedUpload(t *testing.T) {
	a := open(t, func(c *batch.Config) { c.MaxDocument = 1000 }).serve()
	id := a.begin("ezd", batch.Wish{})
	for content, want := range map[string]int{"signed": 200, strings.Repeat("x", 1001): 413} {
		var body bytes.Buffer
		w := gzip.NewWriter(&body)
		_, err := io.WriteString(w, content)
		a.must(errors.Join(err, w.Close()))
		if status, text, _ := a.ask(http.MethodPut, "/v1/batches/"+id+"/documents/"+fmt.Sprint(want), "", body.String(),
			"Content-Encoding", "gzip"); status != want {
			t.Errorf("%.20q: %d %s", content, status, text)
		}
	}
	if all := a.finished("ezd", id); all.Documents != 1 || a.results("ezd", id)[0].Report["sha256"] != digest("signed") {
		t.Errorf("%+v", all)
	}
}
