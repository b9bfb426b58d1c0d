package page_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/verifyd/page"
	"trustcore/internal/problem"
	"trustcore/verify"
)

var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

// report is what the API says of a document with one signature.
func report(i verify.Indication, sub verify.SubIndication) *verify.Report {
	say := func(pl, en string) map[string]string { return map[string]string{"pl": pl, "en": en} }
	rows := verify.Rows{Integrity: "cała", Signatory: "„Anna Kowalska”", Kind: "kwalifikowany", Time: "3 marca 2026 r.", Trust: "lista"}
	s := verify.SignatureReport{ID: "S-1", Format: "PAdES", Level: "B-LT", Indication: i, SubIndication: sub, Qualification: "QESig",
		Sentence: say("Zdanie o podpisie.", "A sentence on the signature."), Rows: map[string]verify.Rows{"pl": rows, "en": rows},
		BestSignatureTime: noon, Timestamps: []verify.TimestampReport{{Indication: verify.Passed, Time: &noon, SignedBy: "TSA", Qualification: "QTSA"}},
		Scopes: []verify.Scope{{Name: "a.pdf", Scope: "the whole document"}}, Reasons: []string{"powód <b>"},
		Chain: []verify.Certificate{{SHA256: "ab", Subject: "CN=Anna Kowalska", NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0), Status: "good (OCSP)"},
			{SHA256: "cd", Subject: "CN=CA", NotAfter: noon.AddDate(9, 0, 0), Anchor: true}}}
	if i != verify.TotalPassed {
		s.Next, s.TryAgain = say("Sprawdź ponownie później.", "Verify again later."), &noon
	}
	return &verify.Report{SHA256: strings.Repeat("0", 64), Policy: "strict", PolicyVersion: "1", ValidationTime: noon, Notes: []string{"uwaga do pliku"},
		Signatures: []verify.SignatureReport{s}, Timestamps: []verify.TimestampReport{}, Summary: s.Sentence}
}

// world is the page over an API that notes what it was asked.
type world struct {
	*testing.T
	handler http.Handler
	lists   page.Lists
	report  *verify.Report
	refused *problem.Problem // what the API answers in place of a report
	offered string           // answer of GET /v1/services, "" for none

	held  atomic.Bool         // the API answers when the caller has left
	asked http.Header         // of the last request to the API
	query string              // of it
	parts map[string][]string // of it: name of a file=content
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, lists: page.Lists{Ready: true, Used: 31, Oldest: noon}, report: report(verify.TotalPassed, "")}
	p, err := page.New(page.Config{API: http.HandlerFunc(w.api), Lists: func() page.Lists { return w.lists }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.handler = problem.Door{Name: "page", Logger: slog.New(slog.DiscardHandler)}.Guard(p.Over(http.NotFoundHandler()))
	return w
}

func (w *world) api(out http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/services" && w.offered != "" {
		_, _ = io.WriteString(out, w.offered)
		return
	}
	if r.URL.Path != "/v1/validations" {
		problem.NotFound(out)
		return
	}
	w.asked, w.query, w.parts = r.Header.Clone(), r.URL.RawQuery, map[string][]string{}
	form, err := problem.FormOf(r)
	for err == nil {
		var part *multipart.Part
		if part, err = form.Next(); err == nil {
			content, _ := io.ReadAll(part)
			w.parts[part.FormName()] = append(w.parts[part.FormName()], part.FileName()+"="+string(content))
		}
	}
	switch {
	case w.held.Load():
		<-r.Context().Done()
	case err != io.EOF:
		problem.Refuse(http.StatusBadRequest, "%v", err).Write(out)
	case w.refused != nil:
		w.refused.Write(out)
	case w.parts["document"] == nil:
		problem.Refuse(http.StatusBadRequest, "there is no document").Write(out)
	case r.URL.Query().Has("report"):
		out.Header().Set("Content-Disposition", `attachment; filename="report.pdf"`)
		out.Header().Set("Content-Security-Policy", "sandbox")
		problem.Send(out, http.StatusOK, "application/pdf", []byte("%PDF-kept"))
	default:
		data, _ := json.Marshal(w.report)
		problem.Send(out, http.StatusOK, "application/json", data)
	}
}

func (w *world) do(r *http.Request, header ...string) *httptest.ResponseRecorder {
	w.Helper()
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

func (w *world) get(path string, header ...string) *httptest.ResponseRecorder {
	w.Helper()
	return w.do(httptest.NewRequestWithContext(w.Context(), http.MethodGet, path, nil), header...)
}

// form sends parts "field:file name=content" as a browser does, with an empty part for each field that nobody filled.
func (w *world) form(path string, parts []string, header ...string) *httptest.ResponseRecorder {
	w.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for _, p := range parts {
		name, content, _ := strings.Cut(p, "=")
		field, file, isFile := strings.Cut(name, ":")
		var part io.Writer
		var err error
		if isFile {
			part, err = m.CreateFormFile(field, file)
		} else {
			part, err = m.CreateFormField(field)
		}
		if err == nil {
			_, err = io.WriteString(part, content)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		w.Fatal(err)
	}
	r := httptest.NewRequestWithContext(w.Context(), http.MethodPost, path, &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return w.do(r, header...)
}

func (w *world) wants(text string, parts ...string) {
	w.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			w.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

// TestPageIsStrict looks at the headers of every answer, and for what the policy would not let run.
func TestPageIsStrict(t *testing.T) {
	w := open(t)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script>|<script [^>]*>[^<]|javascript:|https?://`)
	for _, answer := range []*httptest.ResponseRecorder{w.get("/"), w.form("/", []string{"document:a.pdf=x"}), w.form("/?fragment=v12", []string{"document:a.pdf=x"})} {
		if answer.Code != http.StatusOK {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		csp := answer.Header().Get("Content-Security-Policy")
		if want := "default-src 'none'; style-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
			"base-uri 'none'; frame-ancestors 'none'"; csp != want {
			t.Errorf("policy %q", csp)
		}
		if answer.Header().Get("Cache-Control") != "no-store" || answer.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v", answer.Header())
		}
		if found := inline.FindString(answer.Body.String()); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
	scripts, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range scripts {
		source, err := os.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), ".js") && f.Name() != "wasm_exec.js" && bytes.Contains(source, []byte("http")) {
			t.Errorf("%s names an address outside", f.Name())
		}
	}
}

// TestOneFileWithoutScript posts the form as a browser does without a script.
func TestOneFileWithoutScript(t *testing.T) {
	w := open(t)
	answer := w.form("/", []string{"document:umowa.pdf.p7s=signature", "detached:umowa.pdf=what it signs", "service="}, "Accept-Language", "pl,en;q=0.5")
	text := answer.Body.String()
	w.wants(text, `<html lang="pl"`, "umowa.pdf.p7s", "Podpisany plik: umowa.pdf", "Zdanie o podpisie.", "Treść dokumentu", "„Anna Kowalska”", "Źródło zaufania", "powód &lt;b&gt;",
		"uwaga do pliku", "Dokument przesłano do serwera", `download="umowa.pdf.p7s.json" href="data:application/json;base64,`, "<svg", "<form method=\"post\" action=\"/\"")
	if strings.Contains(text, "Sprawdzono w Państwa przeglądarce") || strings.Count(text, "Zdanie o podpisie.") != 1 {
		t.Error("where it was judged is wrong, or the sentence is said twice")
	}
	if got := w.parts; len(got) != 2 || got["document"][0] != "umowa.pdf.p7s=signature" || got["detached"][0] != "umowa.pdf=what it signs" || w.asked.Get("Accept-Language") != "pl" {
		t.Errorf("the API was asked %v %v", got, w.asked)
	}
	answer = w.form("/", []string{"document:a.pdf=x", "detached:=", "service=budowa"}, "Accept-Language", "en")
	w.wants(answer.Body.String(), `<html lang="en"`, "A sentence on the signature.", "The document was sent to the server")
	if got := w.parts; len(got["detached"]) != 0 || got["service"][0] != "=budowa" {
		t.Errorf("the API was asked %v: an empty field is no file", got)
	}
}

// TestReportIsSaved: without a script the form has buttons that answer with a report to be saved, as the API gave it; what
// can't be judged is told on the page.
func TestReportIsSaved(t *testing.T) {
	w := open(t)
	w.wants(w.get("/").Body.String(), `formaction="/?report=pdf"`, `formaction="/?report=html"`, `formaction="/?report=etsi-xml"`)
	answer := w.form("/?report=pdf", []string{"document:umowa.pdf=x", "service=budowa"}, "Accept-Language", "en")
	if answer.Body.String() != "%PDF-kept" || w.query != "active=true&report=pdf" || w.asked.Get("Accept-Language") != "en" ||
		w.parts["service"][0] != "=budowa" {
		t.Errorf("%s; the API was asked %s %v", answer.Body, w.query, w.parts)
	}
	for name, want := range map[string]string{"Content-Type": "application/pdf", "Content-Security-Policy": "sandbox",
		"Content-Disposition": `attachment; filename="report.pdf"`, "X-Content-Type-Options": "nosniff"} {
		if got := answer.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	w.refused = problem.Refuse(422, "no format")
	w.wants(w.form("/?report=pdf", []string{"document:a.pdf=x"}).Body.String(), "Tego pliku nie można sprawdzić")
}

// TestOutcomes shows what a verdict is by word and sign, what to do next, and the service's outcome with the summons.
func TestOutcomes(t *testing.T) {
	w := open(t)
	w.report = report(verify.Indeterminate, verify.TryLater)
	w.report.Service = &verify.ServiceReport{Outcome: "formal-defect", Sentence: map[string]string{"pl": "Brak formalny."}, Ask: map[string]string{"pl": "Wzywam do podpisania."}}
	w.wants(w.form("/?fragment=v7", []string{"document:a.pdf=x"}).Body.String(), `class="verdict open" id="v7"`, "Nie potwierdzono", "Co dalej", "Sprawdź ponownie później.",
		"Najwcześniej:", "2026-03-03 13:00:00", "Brak formalny.", "Wzywam do podpisania.")
	w.report = report(verify.TotalFailed, "HASH_FAILURE")
	w.wants(w.form("/", []string{"document:a.pdf=x"}).Body.String(), `class="verdict failed"`, "✕", "Nieważny", "TOTAL-FAILED / HASH_FAILURE")
	w.report = report(verify.Indeterminate, "SIGNED_DATA_NOT_FOUND")
	w.wants(w.form("/?fragment=v1", []string{"document:a.p7s=x"}).Body.String(), "data-detached")
	second := w.report.Signatures[0]
	w.report.Signatures = append(w.report.Signatures, second)
	w.report.Summary = map[string]string{"pl": "Podpisów: 2."}
	w.wants(w.form("/", []string{"document:a.pdf=x"}).Body.String(), "Podpisów: 2.", "Podpis 1 z 2", "Podpis 2 z 2")
	w.report = &verify.Report{Summary: map[string]string{"pl": "Dokument nie zawiera podpisu elektronicznego."}, ValidationTime: noon}
	w.wants(w.form("/", []string{"document:a.pdf=x"}).Body.String(), `class="verdict unsigned"`, "Bez podpisu", "Dokument nie zawiera podpisu elektronicznego.")
}

// TestProblemsAreSaid in the reader's words, whatever the API answers.
func TestProblemsAreSaid(t *testing.T) {
	w := open(t)
	for status, text := range map[int]string{400: "Tego pliku nie można sprawdzić", 422: "Tego pliku nie można sprawdzić", 413: "za duży", 503: "zajęty", 500: "powiadom administratora"} {
		w.refused = problem.Refuse(status, "inner words")
		answer := w.form("/?fragment=v1", []string{"document:a.pdf=x"})
		if answer.Code != status || strings.Contains(answer.Body.String(), "inner words") || strings.Contains(answer.Body.String(), "<a class=\"button\"") {
			t.Errorf("%d: %d %s", status, answer.Code, answer.Body)
		}
		w.wants(answer.Body.String(), text, "Nie sprawdzono", `class="verdict none"`)
	}
	w.refused = nil
	w.wants(w.form("/", []string{"document:="}).Body.String(), "Nie wybrano pliku.")
	w.lists.Ready, w.refused = false, problem.Refuse(503, "no list")
	w.wants(w.form("/", []string{"document:a.pdf=x"}).Body.String(), "nie ma teraz żadnej listy zaufania")
	for path, want := range map[string]int{"/?fragment=v": 400, "/?fragment=x1": 400, "/?fragment=v1%22": 400, "/?fragment=v1234567890": 400} {
		if answer := w.form(path, []string{"document:a.pdf=x"}); answer.Code != want {
			t.Errorf("%s: %d, want %d", path, answer.Code, want)
		}
	}
	if answer := w.do(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("a=b"))); answer.Code != http.StatusUnsupportedMediaType {
		t.Errorf("no form: %d", answer.Code)
	}
}

// TestNamesShowNoTricks: a file's name can turn no text around, and brings no element along.
func TestNamesShowNoTricks(t *testing.T) {
	w := open(t)
	text := w.form("/", []string{"document:umowa\u202efdp.<img src=x>=x"}).Body.String()
	if strings.ContainsRune(text, '\u202e') || strings.Contains(text, "<img") {
		t.Error("the name is shown as it came")
	}
}

func TestListsAreTold(t *testing.T) {
	w := open(t)
	w.wants(w.get("/").Body.String(), "Listy zaufania: 31, najstarsza wydana 2026-03-03.")
	w.lists.Overdue = []string{"PL", "LV"}
	w.wants(w.get("/").Body.String(), "po terminie aktualizacji: 2 z 31", "PL, LV")
	w.lists = page.Lists{}
	w.wants(w.get("/").Body.String(), "Serwer nie ma żadnej listy zaufania")
}

func TestServicesAreOffered(t *testing.T) {
	w := open(t)
	if strings.Contains(w.get("/").Body.String(), "<select") {
		t.Error("a choice without services")
	}
	w.offered = `{"services":[]}`
	if strings.Contains(w.get("/").Body.String(), "<select") {
		t.Error("a choice of nothing")
	}
	w.offered = `{"services":[{"id":"budowa","name":{"pl":"Pozwolenie na budowę"}},{"id":"b2"}]}`
	w.wants(w.get("/").Body.String(), `<option value="budowa">Pozwolenie na budowę</option>`, `<option value="b2">b2</option>`)
	w.wants(w.form("/", []string{"document:a.pdf=x", "service=b2"}).Body.String(), `<option value="b2" selected>`)
}

// TestPreferences keeps language, colours and size in cookies, and nothing that is not known.
func TestPreferences(t *testing.T) {
	w := open(t)
	set := func(form string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/preferences", strings.NewReader(form))
		return w.do(r, "Content-Type", "application/x-www-form-urlencoded")
	}
	answer := set("theme=contrast")
	if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/" {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
	cookie := answer.Result().Cookies()[0]
	if cookie.Name != "__Host-theme" || cookie.Value != "contrast" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" {
		t.Errorf("%v", cookie)
	}
	if cookies := set("theme=x&size=huge&language=de").Result().Cookies(); len(cookies) != 0 {
		t.Errorf("%v", cookies)
	}
	w.wants(w.get("/", "Cookie", "__Host-theme=contrast; __Host-size=largest; __Host-language=en", "Accept-Language", "pl").Body.String(),
		`<html lang="en" data-theme="contrast" data-size="largest">`, `name="theme" value="auto"`)
	w.wants(w.get("/", "Cookie", "__Host-theme=<b>").Body.String(), `<html lang="pl" data-theme="auto" data-size="normal">`)
}

// TestOtherSitesAreRefused: a form on a stranger's page spends nobody's turns.
func TestOtherSitesAreRefused(t *testing.T) {
	w := open(t)
	if answer := w.form("/", []string{"document:a.pdf=x"}, "Sec-Fetch-Site", "cross-site"); answer.Code != http.StatusForbidden || w.parts != nil {
		t.Errorf("%d, the API was asked %v", answer.Code, w.parts)
	}
}

// TestLanguagesHaveTheSameTexts keeps one language from lacking what the other says.
func TestLanguagesHaveTheSameTexts(t *testing.T) {
	for _, dir := range []string{"messages", "verdict/messages"} {
		texts := map[string]map[string]string{}
		for _, language := range []string{"pl", "en"} {
			data, err := os.ReadFile(dir + "/" + language + ".json")
			if err != nil {
				t.Fatal(err)
			}
			list := map[string]string{}
			if err := json.Unmarshal(data, &list); err != nil {
				t.Fatal(err)
			}
			texts[language] = list
		}
		for id, text := range texts["pl"] {
			if other := texts["en"][id]; other == "" || strings.Count(other, "%") != strings.Count(text, "%") {
				t.Errorf("%s: %s: %q, %q", dir, id, text, other)
			}
		}
		if len(texts["pl"]) != len(texts["en"]) {
			t.Errorf("%s: %d and %d texts", dir, len(texts["pl"]), len(texts["en"]))
		}
	}
}
