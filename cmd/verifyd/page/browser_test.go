package page_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trustcore/cmd/internal/browsertest"
	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/active"
	"trustcore/verify/scan"
)

// browser is one that looks at the page.
type browser struct{ *browsertest.Browser }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{browsertest.Start(t)}
}

// choose gives files to an input, each "name=content".
func (b *browser) choose(input string, files ...string) {
	b.Helper()
	var list strings.Builder
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		fmt.Fprintf(&list, "files.items.add(new File([%s], %s));", browsertest.Quote(content), browsertest.Quote(name))
	}
	b.Eval(`(() => { const files = new DataTransfer(); `+list.String()+` const input = document.querySelector(`+browsertest.Quote(input)+`); input.files = files.files;
		input.dispatchEvent(new Event("change")); })()`, nil)
}

// names are the files of the verdicts on the page, from above.
func (b *browser) names() (names []string) {
	b.Helper()
	b.Eval(`[...document.querySelectorAll("#verdicts article h2")].map((h) => h.textContent)`, &names)
	return names
}

// drop lets files and folders of the disk fall on an element.
func (b *browser) drop(element string, files ...string) {
	b.Helper()
	var at struct{ X, Y float64 }
	b.Eval(`(() => { const r = document.querySelector(`+browsertest.Quote(element)+`).getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()`, &at)
	for _, step := range []string{"dragEnter", "dragOver", "drop"} {
		b.Call("Input.dispatchDragEvent", map[string]any{"type": step, "x": at.X, "y": at.Y,
			"data": map[string]any{"items": []any{}, "files": files, "dragOperationsMask": 1}}, nil)
	}
}

func serve(t *testing.T, w *world) string {
	t.Helper()
	server := httptest.NewTLSServer(w.handler)
	t.Cleanup(func() {
		server.CloseClientConnections() // a request that is held would keep it from closing
		server.Close()
	})
	return server.URL + "/"
}

// TestManyFiles drops files and a detached pair, and looks at the order, at what was sent together, and at another pairing.
func TestManyFiles(t *testing.T) {
	w := open(t)
	b := startBrowser(t)
	b.Open(serve(t, w))
	b.choose("#document", "a.pdf=one", "umowa.pdf.p7s=signature", "umowa.pdf=signed", "b.pdf=two")
	b.Eval(`document.getElementById("verify").click()`, nil)
	b.Until(`document.querySelectorAll("#verdicts article").length === 3 && document.getElementById("queue").hidden`)
	if got := strings.Join(b.names(), " "); got != "b.pdf umowa.pdf.p7s a.pdf" {
		t.Errorf("verdicts: %s", got)
	}
	var said string
	b.Eval(`document.getElementById("said").textContent`, &said)
	if said != "b.pdf: Valid All files were verified." {
		t.Errorf("said %q", said)
	}
	b.Eval(`(() => { const s = document.querySelector("#v2 select"); s.value = [...s.options].find((o) => o.text === "b.pdf").value; s.dispatchEvent(new Event("change")); })()`, nil)
	b.Until(`document.querySelector("#v2 .hint").textContent.includes("b.pdf")`)
	if w.parts["document"][0] != "umowa.pdf.p7s=signature" || w.parts["detached"][0] != "b.pdf=two" {
		t.Errorf("sent %v", w.parts)
	}
	b.Eval(`document.querySelector("[name=theme]").click()`, nil)
	b.Until(`document.documentElement.dataset.theme === "light"`)
	if got := len(b.names()); got != 3 {
		t.Errorf("%d verdicts after another choice of colours", got)
	}
}

// TestDroppedAndStopped drops a file and a folder on the page, gives all up while the first is sent, and tries one again.
func TestDroppedAndStopped(t *testing.T) {
	w := open(t)
	b := startBrowser(t)
	b.Open(serve(t, w))
	w.held.Store(true)
	dir := t.TempDir()
	for name, content := range map[string]string{"a.pdf": "x", "folder/b.pdf": "y", "folder/in/c.pdf": "signed", "folder/in/c.pdf.p7s": "z"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	b.drop("#drop", filepath.Join(dir, "a.pdf"), filepath.Join(dir, "folder"))
	b.Until(`document.querySelectorAll("#waiting li").length === 3`)
	b.Eval(`document.getElementById("stop-all").click()`, nil)
	b.Until(`document.querySelectorAll("#verdicts article.none").length === 3`)
	w.held.Store(false)
	b.Eval(`[...document.querySelectorAll("article")].find((a) => a.querySelector("h2").textContent === "c.pdf.p7s").querySelector("button.retry").click()`, nil)
	b.Until(`document.querySelector("article.passed")`)
	if w.parts["document"][0] != "c.pdf.p7s=z" || w.parts["detached"][0] != "c.pdf=signed" {
		t.Errorf("sent %v", w.parts)
	}
}

// savedReports is a script that notes what the page would have saved: the name and the beginning.
const savedReports = `URL.createObjectURL = (blob) => { window.kept = blob; return "#"; };
	HTMLAnchorElement.prototype.click = function () { window.kept.text().then((text) => { window.saved = this.download + " " + text.slice(0, 20); }); };`

// TestReportsOfTheServer: each result that the server gave has buttons that have its file judged once more, and save the
// report.
func TestReportsOfTheServer(t *testing.T) {
	w := open(t)
	b := startBrowser(t)
	b.Open(serve(t, w))
	b.choose("#document", "umowa.pdf.p7s=signature", "umowa.pdf=signed")
	b.Eval(`document.getElementById("verify").click()`, nil)
	b.Until(`document.querySelector("#v1") && document.getElementById("queue").hidden`)
	b.Eval(savedReports+`
		document.querySelectorAll("#v1 button.keep")[0].click()`, nil)
	b.Until(`window.saved && !document.querySelector("button.keep:disabled")`)
	var saved string
	b.Eval(`window.saved`, &saved)
	if strings.TrimSpace(saved) != "umowa.pdf.p7s.report.pdf %PDF-kept" || w.query != "active=true&report=pdf" || w.parts["detached"][0] != "umowa.pdf=signed" {
		t.Errorf("saved %q; the API was asked %s %v", saved, w.query, w.parts)
	}
	w.refused = problem.Refuse(503, "busy")
	b.Eval(`document.querySelectorAll("#v1 button.keep")[1].click()`, nil)
	b.Until(`document.getElementById("said").textContent === "The report could not be made."`)
}

// TestKeyboard goes through the page by Tab alone: everything that can be used gets the focus, in the order of the page, and the
// focus can be seen.
func TestKeyboard(t *testing.T) {
	w := open(t)
	w.offered = `{"services":[{"id":"budowa"}]}`
	b := startBrowser(t)
	b.Open(serve(t, w))
	b.choose("#document", "a.pdf=one")
	b.Eval(`document.getElementById("verify").click()`, nil)
	b.Until(`document.querySelector("#v1") && document.getElementById("queue").hidden`)
	b.Eval(`document.activeElement.blur()`, nil)
	var path []string
	for range 30 {
		b.Press("Tab")
		var at struct{ Name, Outline string }
		b.Eval(`(() => { const e = document.activeElement; return {name: e.id || e.name || e.className || e.localName, outline: getComputedStyle(e).outlineStyle}; })()`, &at)
		if at.Name == "body" || len(path) > 0 && at.Name == path[0] {
			break
		}
		if at.Outline == "none" {
			t.Errorf("the focus on %s can't be seen", at.Name)
		}
		path = append(path, at.Name)
	}
	want := []string{"skip", "home", "size", "size", "size", "theme", "language", "document", "choose-folder", "service", "verify", "summary", "summary", "summary", "button",
		"keep", "keep", "keep"}
	if !slices.Equal(path, want) {
		t.Errorf("the way by Tab:\n%q, want\n%q", path, want)
	}
}

// states are what a reader may see on the page.
var states = map[string]func(w *world, b *browser){
	"empty":    func(*world, *browser) {},
	"no lists": func(w *world, _ *browser) { w.lists.Used = 0 },
	"services": func(w *world, _ *browser) { w.offered = `{"services":[{"id":"budowa"}]}` },
	"passed":   func(w *world, b *browser) { w.report = report(verify.TotalPassed, "") },
	"failed":   func(w *world, b *browser) { w.report = report(verify.TotalFailed, "HASH_FAILURE") },
	"open": func(w *world, b *browser) {
		w.report = report(verify.Indeterminate, "SIGNED_DATA_NOT_FOUND")
		w.report.Service = &verify.ServiceReport{Outcome: "formal-defect", Sentence: map[string]string{"pl": "Brak formalny.", "en": "A formal defect."},
			Ask: map[string]string{"pl": "Wzywam do podpisania.", "en": "Sign it, please."}}
	},
	"unsigned": func(w *world, b *browser) {
		w.report = &verify.Report{ValidationTime: noon, Summary: map[string]string{"pl": "Bez podpisu.", "en": "No signature."}}
	},
	"infected": func(w *world, b *browser) {
		w.report = report(verify.TotalFailed, "HASH_FAILURE")
		w.report.Scan = &verify.ScanReport{Result: scan.Result{State: scan.Infected},
			Sentence: map[string]string{"pl": "Plik zawiera złośliwe oprogramowanie.", "en": "The file holds malicious software."},
			Notice:   map[string]string{"pl": "Nie otworzyliśmy pliku.", "en": "We have not opened the file."}}
	},
	"not scanned": func(w *world, b *browser) {
		w.report = report(verify.TotalPassed, "")
		w.report.Scan = &verify.ScanReport{Result: scan.Result{State: scan.Away},
			Sentence: map[string]string{"pl": "Nie sprawdzono.", "en": "It was not looked at."}}
	},
	"active": func(w *world, b *browser) {
		w.report = report(verify.TotalPassed, "")
		w.report.ActiveContent = &verify.ActiveContent{Findings: active.Findings{Items: []active.Item{{}}, Complete: true},
			Sentence: map[string]string{"pl": "Dokument zawiera skrypt.", "en": "The document holds a script."}}
	},
	"refused": func(w *world, b *browser) { w.refused = problem.Refuse(422, "no format") },
	"waiting": func(w *world, b *browser) { w.held.Store(true) },
}

// reached says when a state is there, a script; "" for those in which no document was chosen.
func reached(state string) string {
	switch state {
	case "empty", "no lists", "services":
		return ""
	case "waiting":
		return `document.querySelector("#waiting progress")`
	}
	return `document.querySelector("#v1") && document.getElementById("queue").hidden`
}

// TestAccessible has axe-core look at every state of the page, in both languages, at two widths, in the themes, with everything
// unfolded. TRUSTCORE_AXE names the file axe.min.js of the npm package axe-core.
func TestAccessible(t *testing.T) {
	file := os.Getenv("TRUSTCORE_AXE")
	if file == "" {
		t.Skip("TRUSTCORE_AXE names no axe.min.js (of the npm package axe-core): the page was not looked at by axe-core")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	for name, prepare := range states {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			address := serve(t, w)
			for _, language := range []string{"pl", "en"} {
				for _, theme := range []string{"light", "dark", "contrast"} {
					for _, width := range []int{1280, 320} {
						prepare(w, b)
						b.look(t, address, language, theme, width, string(axe), reached(name))
					}
				}
			}
		})
	}
}

// look loads the page, has a document judged and everything unfolded, and lists what axe-core finds.
func (b *browser) look(t *testing.T, address, language, theme string, width int, axe, reached string) {
	t.Helper()
	b.Size(width)
	for name, value := range map[string]string{"language": language, "theme": theme} {
		b.Call("Network.setCookie", map[string]any{"name": "__Host-" + name, "value": value, "url": address, "path": "/", "secure": true}, nil)
	}
	b.Open(address)
	if reached != "" {
		b.choose("#document", "dokument o bardzo długiej nazwie, która się nie mieści w jednym wierszu.pdf=one")
		b.Eval(`document.getElementById("verify").click()`, nil)
		b.Until(reached)
		b.Eval(`for (const d of document.querySelectorAll("details")) d.open = true`, nil)
	}
	found := b.axe(axe)
	if found.Theme != theme || found.Language != language {
		t.Fatalf("the page is %s %s, want %s %s", found.Language, found.Theme, language, theme)
	}
	if found.Wide > 0 {
		t.Errorf("%s %s %d: the page is %d pixels wider than the window", language, theme, width, found.Wide)
	}
	for _, v := range found.Violations {
		t.Errorf("%s %s %d: %s", language, theme, width, v)
	}
}

// seen is what axe-core and the width say of the page.
type seen struct {
	Theme, Language string
	Wide            int // pixels more than the window has
	Violations      []string
}

// axe has axe-core look at the page as it is.
func (b *browser) axe(axe string) (found seen) {
	b.Helper()
	b.Eval(axe+`; axe.run(document, {resultTypes: ["violations"]}).then((r) => ({theme: document.documentElement.dataset.theme, language: document.documentElement.lang,
		wide: document.documentElement.scrollWidth - document.documentElement.clientWidth, violations: r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 120) + " " + n.failureSummary).join("; "))}))`, &found)
	return found
}

// TestLooks takes pictures of the page for a person to look at: TRUSTCORE_SCREENSHOTS names the folder.
func TestLooks(t *testing.T) {
	dir := os.Getenv("TRUSTCORE_SCREENSHOTS")
	if dir == "" {
		t.Skip("pictures of the page are taken when TRUSTCORE_SCREENSHOTS names a folder for them")
	}
	b := startBrowser(t)
	for name, prepare := range states {
		w := open(t)
		prepare(w, b)
		for _, as := range []struct {
			language, theme string
			width           int
		}{{"pl", "light", 1280}, {"en", "dark", 320}, {"pl", "contrast", 640}} {
			b.look(t, serve(t, w), as.language, as.theme, as.width, "window.axe = {run: async () => ({violations: []})}", reached(name))
			var shot struct{ Data string }
			b.Call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": b.whole()}, &shot)
			data, err := base64.StdEncoding.DecodeString(shot.Data)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d.png", strings.ReplaceAll(name, " ", "-"), as.language, as.theme, as.width)), data, 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// whole is the area of the page.
func (b *browser) whole() json.RawMessage {
	b.Helper()
	var clip json.RawMessage
	b.Eval(`({x: 0, y: 0, width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight, scale: 1})`, &clip)
	return clip
}
