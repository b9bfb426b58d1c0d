package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"trustcore/cmd/verifyd/page/verdict"
	"trustcore/internal/problem"
	"trustcore/verify"
)

// forward has the documents of a form judged by the API, which sees them as they come in; report is the form of a
// report that is kept, "" for one that the page shows.
func (p *Page) forward(r *http.Request, form *problem.Form, language, report string) (*answer, *forwarded) {
	body, out := io.Pipe()
	w := multipart.NewWriter(out)
	passed := make(chan *forwarded, 1)
	go func() {
		f := &forwarded{}
		err := f.pass(form, w)
		out.CloseWithError(err) // nil ends the body
		passed <- f
	}()
	inner := inside(r, http.MethodPost, "/v1/validations", language, body)
	query := url.Values{"active": {"true"}}
	if report != "" {
		query.Set("report", report)
	}
	inner.URL.RawQuery = query.Encode()
	inner.Header.Set("Content-Type", w.FormDataContentType())
	answer := p.through(inner)
	_ = body.Close() // the API may have refused before the end
	return answer, <-passed
}

// told is the status and the verdict for a page of what the API answered, and the service that was chosen.
func (p *Page) told(a *answer, f *forwarded) (int, verdict.Verdict, string) {
	v := verdict.Verdict{Name: f.document, Signed: f.signed, Place: verdict.Server}
	if a.status != http.StatusOK {
		v.Problem = p.problemOf(a.status, f)
		return a.status, v, f.service
	}
	v.Report = &verify.Report{}
	v.JSON = bytes.TrimSpace(a.body.Bytes())
	if err := json.Unmarshal(v.JSON, v.Report); err != nil {
		p.cfg.Logger.Error("the report of a document can't be shown", "error", err)
		v.Report, v.JSON, v.Problem = nil, nil, verdict.Unreachable
		return http.StatusInternalServerError, v, f.service
	}
	return http.StatusOK, v, f.service
}

func (p *Page) problemOf(status int, f *forwarded) verdict.Problem {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return verdict.TooLarge
	case http.StatusUnprocessableEntity:
		return verdict.Unreadable
	case http.StatusBadRequest:
		if f.documents == 0 {
			return verdict.Nothing
		}
		return verdict.Unreadable
	case http.StatusServiceUnavailable, http.StatusRequestTimeout, http.StatusTooManyRequests:
		if !p.cfg.Lists().Ready {
			return verdict.NoLists
		}
		return verdict.Busy
	}
	return verdict.Unreachable
}

// inside makes a request to the API on behalf of the one that came: the same caller, another address.
func inside(r *http.Request, method, path, language string, body io.Reader) *http.Request {
	inner := r.Clone(r.Context())
	inner.Method, inner.URL, inner.RequestURI = method, &url.URL{Path: path}, path
	inner.Header = http.Header{"Accept-Language": {language}, "Accept": {"application/json"}}
	inner.Body, inner.ContentLength = http.NoBody, 0
	if body != nil {
		inner.Body, inner.ContentLength = io.NopCloser(body), -1
	}
	return inner
}

func (p *Page) through(r *http.Request) *answer {
	a := &answer{header: http.Header{}, status: http.StatusOK}
	p.cfg.API.ServeHTTP(a, r)
	return a
}

// answer is what the API answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// pass answers with a report to be saved, as the API gave it.
func (a *answer) pass(w http.ResponseWriter) {
	for _, name := range []string{"Content-Type", "Content-Disposition", "Content-Language", "Content-Security-Policy"} {
		w.Header().Set(name, a.header.Get(name))
	}
	_, _ = w.Write(a.body.Bytes()) // the client went away: nobody to tell
}

// forwarded is what was seen of a form while it was passed on.
type forwarded struct {
	document, signed, service string
	documents                 int
}

// maxText bounds what is chosen in a form beside files, in bytes.
const maxText = 200

// pass writes the parts that have something in them: a browser sends an empty part for a field that nobody filled.
func (f *forwarded) pass(form *problem.Form, w *multipart.Writer) error {
	for {
		part, err := form.Next()
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return err
		}
		switch name := part.FormName(); {
		case part.FileName() != "":
			err = f.passFile(name, part, w)
		case name == "service":
			err = f.passService(part, w)
		case name != "document" && name != "detached":
			err = fmt.Errorf("the form has a field %.40q", name)
		}
		if err != nil {
			return err
		}
	}
}

func (f *forwarded) passFile(name string, part *multipart.Part, w *multipart.Writer) error {
	switch name {
	case "document":
		f.document = part.FileName()
		f.documents++
	case "detached":
		f.signed = strings.TrimPrefix(f.signed+", "+part.FileName(), ", ")
	}
	to, err := w.CreateFormFile(name, part.FileName())
	if err == nil {
		_, err = io.Copy(to, part)
	}
	return err
}

func (f *forwarded) passService(part *multipart.Part, w *multipart.Writer) error {
	text, err := io.ReadAll(io.LimitReader(part, maxText))
	if err != nil || len(text) == 0 {
		return err
	}
	f.service = string(text)
	return w.WriteField("service", f.service)
}

// service is a service that documents may be handed in for.
type service struct{ ID, Name string }

// services are those that the API knows, none where it knows none.
func (p *Page) services(r *http.Request, language string) []service {
	a := p.through(inside(r, http.MethodGet, "/v1/services", language, nil))
	var known struct {
		Services []struct {
			ID   string            `json:"id"`
			Name map[string]string `json:"name"`
		} `json:"services"`
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body.Bytes(), &known) != nil {
		return nil
	}
	var list []service
	for _, s := range known.Services {
		one := service{s.ID, s.ID}
		if name := s.Name[language]; name != "" {
			one.Name = name
		}
		list = append(list, one)
	}
	return list
}
