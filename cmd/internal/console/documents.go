package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
	"unicode"

	"trustcore/internal/problem"
)

// Limits of the drop zone. Files pass through as they come; none is kept.
const (
	maxUpload   = 1 << 30 // bytes of one request; the verification service has its own limit a document
	maxFiles    = 100     // of one request
	maxFileName = 120     // characters shown
)

// verdict is what the page shows of one document.
type verdict struct {
	Name       string
	Problem    string // id of a message when the document was not judged
	Detail     string // the service's own words, English
	Signatures []signature
	SHA256     string        `json:"sha256"`
	Policy     string        `json:"policy"`
	At         time.Time     `json:"validation_time"`
	Report     []reportEntry `json:"signatures"`
}

// reportEntry is the part of the service's report on one signature that the page shows.
type reportEntry struct {
	Format           string            `json:"format"`
	Level            string            `json:"level"`
	Indication       string            `json:"indication"`
	SubIndication    string            `json:"sub_indication"`
	Reasons          []string          `json:"reasons"`
	Notes            []string          `json:"notes"`
	SignatureIntact  bool              `json:"signature_intact"`
	ReferencesIntact bool              `json:"references_intact"`
	Qualification    string            `json:"qualification"`
	Kind             string            `json:"kind"`
	BestTime         time.Time         `json:"best_signature_time"`
	SigningTime      *time.Time        `json:"signing_time"`
	Sentence         map[string]string `json:"sentence"`
	Signer           struct {
		CommonName   string `json:"common_name"`
		GivenName    string `json:"given_name"`
		Surname      string `json:"surname"`
		Organization string `json:"organization"`
		Issuer       string `json:"issuer"`
	} `json:"signer"`
	Chain []struct {
		Subject string `json:"subject"`
		Anchor  bool   `json:"anchor"`
	} `json:"chain"`
}

// signature is one signature in the page's language.
type signature struct {
	reportEntry
	Sentence string
	Outcome  string // "passed", "failed" or "open": chooses sign and colour
	Anchor   string
}

// verdictsPage is what the verdicts template shows.
type verdictsPage struct {
	frame
	Verdicts []verdict
}

type documentsPage struct {
	frame
	Verify bool
}

func (c *Console) showDocuments(w http.ResponseWriter, r *http.Request, v view) {
	p := &documentsPage{c.framed(r, v, "documents", v.word("nav-documents")), c.cfg.Verify != nil}
	c.render(w, r, v, http.StatusOK, "documents", p)
}

// verifyDocuments hands each document of the form to the verification service, one after the other.
func (c *Console) verifyDocuments(w http.ResponseWriter, r *http.Request, v view) {
	if c.cfg.Verify == nil {
		problem.NotFound(w)
		return
	}
	f := c.framed(r, v, "documents", v.word("verdicts"))
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	parts, err := problem.FormOf(r)
	if err != nil {
		c.render(w, r, v, http.StatusBadRequest, "verdicts", verdictsPage{f, []verdict{{Problem: "document-none"}}})
		return
	}
	u := upload{parts: parts}
	var verdicts []verdict
	for {
		more, err := u.document()
		if err != nil {
			verdicts = append(verdicts, verdict{Problem: problemOf(err)})
		}
		if !more || err != nil {
			break
		}
		verdicts = append(verdicts, c.judge(r.Context(), v, &u))
	}
	if len(verdicts) == 0 {
		verdicts = []verdict{{Problem: "document-none"}}
	}
	name := "verdicts"
	if isFragment(r) {
		name = "verdict-list"
	}
	c.render(w, r, v, http.StatusOK, name, verdictsPage{f, verdicts})
}

// judge asks for the verdict on the document that the upload has come to.
func (c *Console) judge(ctx context.Context, v view, u *upload) verdict {
	d := verdict{Name: displayName(u.waiting.FileName())}
	answer, err := c.cfg.Verify(ctx, u.next)
	u.skip()
	if err == nil {
		if err = json.Unmarshal(answer, &d); err != nil {
			err = fmt.Errorf("the verification service's report: %w", err)
		}
	}
	if err != nil {
		if d.Problem, d.Detail = problemOf(err), detailOf(err); d.Problem == "document-unreachable" {
			c.cfg.Logger.Error("a document was not judged", "error", err)
		}
		return d
	}
	for _, s := range d.Report {
		d.Signatures = append(d.Signatures, s.in(v.Language))
	}
	return d
}

func (s reportEntry) in(lang string) signature {
	out := signature{reportEntry: s, Sentence: s.Sentence[lang], Outcome: "open"}
	switch s.Indication {
	case "TOTAL-PASSED":
		out.Outcome = "passed"
	case "TOTAL-FAILED":
		out.Outcome = "failed"
	}
	for _, certificate := range s.Chain {
		if certificate.Anchor {
			out.Anchor = certificate.Subject
		}
	}
	return out
}

// Name returns the signatory's name as a person reads it.
func (s signature) Name() string {
	if s.Signer.GivenName != "" || s.Signer.Surname != "" {
		return strings.TrimSpace(s.Signer.GivenName + " " + s.Signer.Surname)
	}
	return s.Signer.CommonName
}

// problemOf chooses the message for a document that was not judged.
func problemOf(err error) string {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return "document-too-large"
	}
	var p *problem.Problem
	if errors.As(err, &p) {
		switch p.Status {
		case http.StatusRequestEntityTooLarge:
			return "document-too-large"
		case http.StatusUnprocessableEntity, http.StatusBadRequest:
			return "document-unreadable"
		case http.StatusServiceUnavailable:
			return "document-busy"
		}
	}
	if errors.Is(err, errTooManyFiles) {
		return "document-too-many"
	}
	return "document-unreachable"
}

func detailOf(err error) string {
	var p *problem.Problem
	if errors.As(err, &p) {
		return p.Detail
	}
	return ""
}

var errTooManyFiles = errors.New("too many files")

// upload walks through the files of a form as they come in: a document, what it signs, the next document.
type upload struct {
	parts   *problem.Form
	waiting *multipart.Part // the document that is next
	turned  bool            // waiting is the document after the one that was asked about
	files   int
}

// document reports whether there is another document.
func (u *upload) document() (bool, error) {
	for u.waiting == nil {
		p, err := u.part()
		if err != nil || p == nil {
			return false, err
		}
		if p.FormName() == "document" {
			u.waiting = p
		}
	}
	return true, nil
}

// skip leaves a document that the service was not asked about, so that the walk always goes on.
func (u *upload) skip() {
	if !u.turned {
		u.waiting = nil
	}
	u.turned = false
}

// next gives the waiting document, then the files that it signs.
func (u *upload) next() (*File, error) {
	if p := u.waiting; p != nil && !u.turned {
		u.waiting = nil
		return &File{Name: p.FileName(), Body: p}, nil
	}
	if u.turned {
		return nil, io.EOF
	}
	p, err := u.part()
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, io.EOF
	case p.FormName() == "document":
		u.waiting, u.turned = p, true
		return nil, io.EOF
	}
	return &File{Name: p.FileName(), Signed: true, Body: p}, nil
}

// part returns the next part that holds a file; nil after the last. A field left empty has no file name.
func (u *upload) part() (*multipart.Part, error) {
	for {
		p, err := u.parts.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the form: %w", err)
		}
		if p.FileName() == "" {
			continue
		}
		if u.files++; u.files > maxFiles {
			return nil, errTooManyFiles
		}
		return p, nil
	}
}

// displayName is a file's name without the signs that turn text around or hide in it.
func displayName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, name)
	if r := []rune(name); len(r) > maxFileName {
		name = string(r[:maxFileName]) + "…"
	}
	return name
}
