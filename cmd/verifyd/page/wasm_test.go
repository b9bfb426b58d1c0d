package page_test

import (
	"bufio"
	"bytes"
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
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/browsertest"
	"trustcore/cmd/verifyd/page"
	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/exchange"
	"trustcore/verify/poland"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// judged is verifyd as a browser sees it, with documents that the browser may read as a clerk's disk.
type judged struct {
	*testing.T
	url  string
	at   time.Time
	api  http.Handler
	disk [][]byte // by position, below /disk/

	mu   sync.Mutex
	sent []request // all that the browser sent; guarded by mu
}

// request is what a browser sent.
type request struct {
	path string
	body []byte
}

// serveJudging serves page and API by the lists, at a time; the test is skipped where the page was built without the verifier.
func serveJudging(t *testing.T, lists *trustlist.Snapshot, at time.Time) *judged {
	t.Helper()
	if _, err := os.Stat("static/verify.wasm.br"); err != nil {
		t.Skip("the page was built without its verifier: make build, or deploy/wasm.sh")
	}
	j := &judged{T: t, at: at}
	now, current := func() time.Time { return at }, func() *trustlist.Snapshot { return lists }
	v, err := verify.New(verify.Config{Lists: current, Policy: verify.DefaultPolicy(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	cards, err := poland.ParseCards([]byte(`{"version": 1, "cards": [{"id": "budowa", "accepts": ["qualified"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	source := &exchange.Source{Lists: current, Policy: verify.DefaultPolicy, Pins: poland.ShippedSource(), Now: now}
	server, err := api.New(api.Config{Judge: v.Verify, Evidence: source.Answer, Cards: func() poland.Cards { return cards },
		Certificate: func(context.Context, api.CertificateQuestion) (*chain.Report, error) {
			return nil, errors.New("nobody asks")
		},
		Logger: slog.New(slog.DiscardHandler), SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	j.api = server
	p, err := page.New(page.Config{API: server, Browsers: true, Lists: func() page.Lists { return page.Lists{Ready: true, Used: 1} }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	door := problem.Door{Name: "page", Logger: slog.New(slog.DiscardHandler), Body: api.Bodies(100 << 20)}
	served := httptest.NewTLSServer(j.recorded(door.Guard(p.Over(server))))
	t.Cleanup(func() {
		served.CloseClientConnections()
		served.Close()
	})
	j.url = served.URL + "/"
	return j
}

// recorded keeps what is sent, and hands out what is on the disk.
func (j *judged) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/disk/%d", &n); err == nil {
			_, _ = w.Write(j.disk[n])
			return
		}
		body, _ := io.ReadAll(r.Body)
		j.mu.Lock()
		j.sent = append(j.sent, request{r.URL.Path, body})
		j.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// document is a file, and the one that it signs if that lies beside it.
type document struct {
	name    string
	content []byte
	signed  *document
}

// server is the API's report on a document, in Polish, and how long it took.
func (j *judged) server(d document) (string, time.Duration) {
	j.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	add := func(field string, d document) {
		part, err := w.CreateFormFile(field, d.name)
		if err == nil {
			_, err = part.Write(d.content)
		}
		if err != nil {
			j.Fatal(err)
		}
	}
	add("document", d)
	if d.signed != nil {
		add("detached", *d.signed)
	}
	if err := w.Close(); err != nil {
		j.Fatal(err)
	}
	r := httptest.NewRequestWithContext(j.Context(), http.MethodPost, "/v1/validations?active=true", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Accept-Language", "pl")
	answer := httptest.NewRecorder()
	began := time.Now()
	j.api.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK {
		return "", time.Since(began)
	}
	return strings.TrimSpace(answer.Body.String()), time.Since(began)
}

// apart is the report of the browser, "" where it gives none, and how long it took there.
func (j *judged) apart(b *browser, d document) (string, time.Duration) {
	j.Helper()
	j.disk = [][]byte{d.content}
	signed := "null"
	if d.signed != nil {
		j.disk = append(j.disk, d.signed.content)
		signed = `await file(1, ` + browsertest.Quote(d.signed.name) + `)`
	}
	var got struct {
		JSON, Problem string
		Took          float64
	}
	b.Eval(`(async () => {
		const file = async (n, name) => new File([await (await fetch("/disk/" + n)).arrayBuffer()], name);
		const entry = {id: "v1", file: await file(0, `+browsertest.Quote(d.name)+`), signed: `+signed+`};
		const form = document.getElementById("documents").dataset;
		window.tested ||= new BrowserJudge({worker: form.worker, exec: form.exec, module: form.module});
		const began = performance.now();
		try {
			const html = await window.tested.judge(entry, "pl", "");
			const took = performance.now() - began;
			const link = new DOMParser().parseFromString(html, "text/html").querySelector("a[download]");
			const octets = Uint8Array.from(atob(link.href.split(",")[1]), (c) => c.charCodeAt(0));
			return {json: new TextDecoder().decode(octets), took};
		} catch (problem) { return {problem: String(problem), took: performance.now() - began}; }
	})()`, &got)
	return got.JSON, time.Duration(got.Took * float64(time.Millisecond))
}

// without leaves out what differs from one judging of a document to the next.
func without(report string) string {
	return regexp.MustCompile(`"validation_time":"[^"]*"`).ReplaceAllString(report, "")
}

// unsent fails when anything was sent but questions that hold certificates, revocation lists and OCSP responses alone.
func (j *judged) unsent(d document) {
	j.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.sent {
		if len(one.body) == 0 && (one.path == "/" || strings.HasPrefix(one.path, "/static/")) {
			continue
		}
		if why := foreign(one.path, one.body); why != "" {
			j.Errorf("%s: %s: %s: %.300q", d.name, one.path, why, one.body)
		}
	}
	j.sent = nil
}

// foreign says what in a request is none of the certificates of a document and what came with them, "" for nothing.
func foreign(path string, body []byte) string {
	if path != "/v1/evidence" {
		return "nobody should be asked this"
	}
	q := new(exchange.Question)
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(q); err != nil {
		return err.Error()
	}
	for _, sum := range q.Have {
		if len(sum) != 64 {
			return sum + " is no digest of a piece"
		}
	}
	for _, der := range q.Octets {
		_, asCertificate := certificate.Parse(der)
		_, asResponse := revocation.ParseOCSP(der)
		_, asList := revocation.ParseCRL(der)
		malformed := bytes.Contains(der[:min(len(der), 12)], []byte("\x0a\x01\x00\xa0")) // a response by its beginning
		if asCertificate != nil && asResponse != nil && asList != nil && !malformed {
			return fmt.Sprintf("%x is no evidence: %v, %v, %v", der[:min(len(der), 40)], asCertificate, asResponse, asList)
		}
	}
	return ""
}

// TestJudgedInTheBrowser chooses a document on the page: it is judged there, nothing of it is sent, the page says so, and the server
// confirms it when the clerk asks.
func TestJudgedInTheBrowser(t *testing.T) {
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{National: poland.Shipped().Anchors()})
	if err != nil {
		t.Fatal(err)
	}
	j := serveJudging(t, lists, noon)
	b := startBrowser(t)
	b.Call("Network.setCookie", map[string]any{"name": "__Host-language", "value": "pl", "url": j.url, "path": "/", "secure": true}, nil)
	b.Open(j.url)
	d := document{name: "pismo.xml", content: []byte(`<pismo><treść>Wypłacić 100 zł pani Kowalskiej, Zielona 3, Katowice.</treść></pismo>`)}
	choose := func() {
		b.choose("#document", d.name+"="+string(d.content))
		b.Eval(`document.getElementById("verify").click()`, nil)
	}
	choose()
	b.Until(`document.querySelector("#v1.unsigned") && document.getElementById("queue").hidden`)
	var text string
	b.Eval(`document.getElementById("v1").textContent`, &text)
	j.wantsIn(text, "pismo.xml", "Sprawdzono w Państwa przeglądarce", "Dokument nie zawiera podpisu elektronicznego.", "Wyślij plik, aby potwierdził to serwer")
	j.unsent(d)
	if file := os.Getenv("TRUSTCORE_AXE"); file != "" {
		axe, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range b.axe(string(axe)).Violations {
			t.Error(v)
		}
	}
	for i, want := range []string{"pismo.xml.report.pdf %PDF-1.7", "pismo.xml.report.html <!doctype html>", "pismo.xml.report.xml <?xml"} {
		b.Eval(savedReports+fmt.Sprintf(`window.saved = ""; document.querySelectorAll("#v1 button.keep")[%d].click()`, i), nil)
		b.Until(`window.saved && !document.querySelector("button.keep:disabled")`)
		b.Eval(`window.saved`, &text)
		j.wantsIn(text, want)
		b.Eval(`window.kept.text()`, &text)
		if i == 1 {
			j.wantsIn(text, "nikt nie opieczętuje", "przeglądarka", d.name)
		}
	}
	j.unsent(d)
	b.Eval(`document.querySelector("#v1 button.confirm").click()`, nil)
	b.Until(`document.querySelector("#v1[data-place=server]")`)
	b.Eval(`document.getElementById("v1").textContent`, &text)
	j.wantsIn(text, "Dokument przesłano do serwera")

	j.mu.Lock()
	j.sent = nil
	j.mu.Unlock()
	b.Eval(`(() => { const s = document.getElementById("service"); s.value = "budowa"; })()`, nil)
	choose()
	b.Until(`document.querySelector("#v2 .service.formal-defect") && document.getElementById("queue").hidden`)
	j.unsent(d)
	b.Eval(`document.getElementById("service").value = ""`, nil)
	b.choose("#document", "notatka.txt=Nie jest to dokument.")
	b.Eval(`document.getElementById("verify").click()`, nil)
	b.Until(`document.querySelector("#v3.none[data-place=browser]")`)
	j.unsent(document{name: "notatka.txt"})
	b.Eval(`document.getElementById("local").click()`, nil) // the clerk sends files after all
	choose()
	b.Until(`document.querySelector("#v4[data-place=server]")`)
}

func (j *judged) wantsIn(text string, parts ...string) {
	j.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			j.Errorf("%q is not in %s", p, text)
		}
	}
}

// The figures of judging in the browser that are held by TestBrowserConformance, on a machine that does nothing beside.
const (
	firstVerdict = 3 * time.Second
	nextVerdict  = 300 * time.Millisecond // of documents below smallSize
	smallSize    = 1 << 20
	mostTimes    = 20 // as long as the server takes, the median
)

// TestScannedDocumentsAreSent: where browsers may not judge, the page does not offer it.
func TestScannedDocumentsAreSent(t *testing.T) {
	w := open(t)
	if text := w.get("/").Body.String(); !strings.Contains(text, `data-worker=""`) {
		t.Errorf("the page has a worker: %s", text)
	}
}

// TestBrowserConformance judges every file of the corpus in a browser: the report is the API's, and no request holds the document.
func TestBrowserConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{Dir: filepath.Join(corpus, "trustlists", "eu-2025-08"),
		LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers"), Extra: []string{filepath.Join(corpus, "trustlists", "test", "EE_T.xml.gz")},
		National: poland.Shipped().Anchors()})
	if err != nil {
		t.Fatal(err)
	}
	j := serveJudging(t, lists, time.Date(2025, 8, 12, 0, 0, 0, 0, time.UTC))
	b := startBrowser(t)
	b.Open(j.url)
	var first time.Duration
	var later, times []float64
	same := 0
	for _, d := range corpusDocuments(t, filepath.Join(corpus, "signatures")) {
		want, there := j.server(d)
		got, here := j.apart(b, d)
		j.unsent(d)
		if without(got) != without(want) {
			t.Errorf("%s: the browser says\n%.2000s\nthe API says\n%.2000s", d.name, got, want)
			continue
		}
		same++
		switch {
		case first == 0:
			first = here
		case len(d.content) < smallSize:
			later, times = append(later, here.Seconds()*1000), append(times, here.Seconds()/there.Seconds())
		}
	}
	slices.Sort(later)
	slices.Sort(times)
	t.Logf("%d documents have the API's report; first verdict after %s, later ones %.0f ms (median), %.0f ms (95 %%), %.0f ms (most); %.1f x the API (median), %.1f x (95 %%)",
		same, first.Round(time.Millisecond), later[len(later)/2], later[len(later)*95/100], later[len(later)-1], times[len(times)/2], times[len(times)*95/100])
	if os.Getenv("TRUSTCORE_FIGURES") == "" {
		return // other work on this machine would fail them
	}
	if median := time.Duration(later[len(later)/2] * float64(time.Millisecond)); first > firstVerdict || median > nextVerdict || times[len(times)/2] > mostTimes {
		t.Errorf("at most %s, %s and %d x are right", firstVerdict, nextVerdict, mostTimes)
	}
}

// corpusDocuments are the files of the corpus, each with the first that it signs.
func corpusDocuments(t *testing.T, dir string) (list []document) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(name string) document {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return document{name: filepath.Base(name), content: data}
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var sample struct {
			File  string
			Cases []struct {
				Detached []string `json:"detached_contents"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &sample); err != nil {
			t.Fatal(err)
		}
		d := read(sample.File)
		for _, c := range sample.Cases {
			if len(c.Detached) > 0 && d.signed == nil {
				signed := read(c.Detached[0])
				d.signed = &signed
			}
		}
		list = append(list, d)
	}
	return list
}
