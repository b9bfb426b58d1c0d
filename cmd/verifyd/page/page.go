// Package page is the place where people verify documents: one page with a place to drop files, and the verdicts below it.
// It parses no document itself: what is uploaded goes to the API as it is, and what is judged in the browser does not come
// here at all. Nothing is kept but a reader's language, colours and size of letters, in cookies of his browser.
//
// Another site's page can't gain by sending a form here: there is no session, nothing is changed by a request, and the
// answer is the sender's own document judged, which that page can't read. Such requests are refused all the same, so that no
// stranger's page spends the turns of an office whose certificate the browser shows.
package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"trustcore/cmd/internal/assets"
	"trustcore/cmd/verifyd/page/verdict"
	"trustcore/cmd/verifyd/page/words"
	"trustcore/internal/problem"
)

// In static lie, where the page was built with them, verify.wasm.br and wasm_exec.js (make build): with these, browsers judge.
//
//go:embed static
var staticFiles embed.FS

//go:embed messages/*.json
var messages embed.FS

//go:embed templates/page.html
var source string

// Config is what New needs.
type Config struct {
	API    http.Handler // POST /v1/validations, GET /v1/services where there is one
	Lists  func() Lists
	Logger *slog.Logger
	Name   string // of the data centre, by which reports that are kept say who judged; "" is none
	// Browsers lets those judge that can, where the page was built with its verifier and the API answers POST /v1/evidence.
	Browsers bool
}

// Lists is what the page says of the trusted lists.
type Lists struct {
	Ready   bool      // documents are judged; else nothing is
	Used    int       // lists in use
	Oldest  time.Time // of them, when the oldest was issued
	Overdue []string  // territories whose list is past its next update
}

// Page is safe for concurrent use.
type Page struct {
	cfg       Config
	door      problem.Door
	assets    *assets.Set
	templates map[string]*template.Template // by language
}

// New returns the page.
func New(cfg Config) (*Page, error) {
	if cfg.API == nil || cfg.Lists == nil || cfg.Logger == nil {
		return nil, errors.New("page: API, Lists or Logger is missing")
	}
	p := &Page{cfg: cfg, door: problem.Door{Name: "page", Logger: cfg.Logger}, templates: map[string]*template.Template{}}
	var err error
	if p.assets, err = assets.Load(staticFiles, "static"); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	for lang, list := range words.Load(messages) {
		functions := template.FuncMap{"t": list.Say, "asset": p.assets.Path, "date": date}
		if p.templates[lang], err = template.New("page").Funcs(functions).Parse(source); err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
	}
	return p, nil
}

// Over serves the page, and everything else by next.
func (p *Page) Over(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", guard(p.show))
	mux.Handle("POST /{$}", guard(p.judge))
	mux.Handle("POST /preferences", guard(p.setPreferences))
	mux.Handle("GET /static/", guard(p.assets.ServeHTTP))
	mux.Handle("/", next)
	return mux
}

// policy lets run what comes from here alone, and nothing that stands in the page itself; wasm-unsafe-eval lets WebAssembly be
// compiled, and no script.
const policy = "default-src 'none'; style-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func guard(next http.HandlerFunc) http.Handler { return assets.Guard(policy, next) }

// view is what the template shows.
type view struct {
	preferences
	Lists    Lists
	Services []service
	Chosen   string // id of the service that was chosen
	Verdict  template.HTML
	Title    string // of the verdict, for the window's title
}

// Forms are those of a report that is kept.
func (view) Forms() []string { return []string{"pdf", "html", "etsi-xml"} }

// worker is the address of the script that judges in the browser, "" where none does.
func (p *Page) worker() string {
	if !p.cfg.Browsers || p.assets.Path("verify.wasm") == "" || p.assets.Path("wasm_exec.js") == "" {
		return ""
	}
	return p.assets.Path("worker.js")
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, view{preferences: preferencesOf(r)})
}

// judge has the document of the form judged. Who asks for a fragment gets the verdict alone, under an id of his choice.
func (p *Page) judge(w http.ResponseWriter, r *http.Request) {
	like := preferencesOf(r)
	id, report := r.URL.Query().Get("fragment"), r.URL.Query().Get("report")
	if id != "" && !isID(id) {
		p.door.Fail(w, r, problem.RefuseField(http.StatusBadRequest, "fragment", "an id is a letter v and up to nine digits"))
		return
	}
	form, err := problem.FormOf(r)
	if err != nil {
		p.door.Fail(w, r, err)
		return
	}
	answer, sent := p.forward(r, form, like.Language, report)
	if answer.status == http.StatusOK && report != "" {
		answer.pass(w)
		return
	}
	status, v, chosen := p.told(answer, sent)
	if v.ID = id; id == "" {
		v.ID = "v0"
	}
	written, err := verdict.Write(like.Language, v)
	if err != nil {
		p.fault(w, r, err)
		return
	}
	if id != "" {
		send(w, status, like.Language, []byte(written))
		return
	}
	// verdict.Write escapes what is a stranger's.
	p.render(w, r, status, view{preferences: like, Verdict: template.HTML(written), Title: verdict.Displayed(v.Name), Chosen: chosen})
}

// isID tells an id that stands in a page without danger.
func isID(id string) bool {
	if len(id) < 2 || len(id) > 10 || id[0] != 'v' {
		return false
	}
	for _, c := range id[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// render writes the page only when all of it could be made.
func (p *Page) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.Lists, v.Services = p.cfg.Lists(), p.services(r, v.Language)
	var out bytes.Buffer
	shown := struct {
		view
		Worker, Exec, Module, Name string
	}{v, p.worker(), p.assets.Path("wasm_exec.js"), p.assets.Path("verify.wasm"), p.cfg.Name}
	if err := p.templates[v.Language].Execute(&out, shown); err != nil {
		p.fault(w, r, fmt.Errorf("making the page: %w", err))
		return
	}
	send(w, status, v.Language, out.Bytes())
}

func (p *Page) fault(w http.ResponseWriter, r *http.Request, err error) {
	p.door.Fail(w, r, &problem.Fault{Err: err})
}

func send(w http.ResponseWriter, status int, lang string, content []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	w.WriteHeader(status)
	_, _ = w.Write(content) // the client went away: nobody to tell
}

func date(t time.Time) string { return t.Format(time.DateOnly) }
