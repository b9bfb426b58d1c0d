package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/poland"
	"trustcore/verify/signature"
)

// maxParts bounds the files of one request.
const maxParts = 1000

// maxText bounds the parts of a form that are no files, in bytes: a time, the name of a policy, a digest with its name.
const maxText = 2 << 10

// order is what is to be judged, and for which service.
type order struct {
	verify.Request
	card *poland.Card // nil: for none
	name string       // of the document, where the caller gave one
}

// readDocument reads what POST /v1/validations takes: the document as the body, or multipart/form-data with the parts
// document, detached, digest and password (any number), at, policy and service. What it returns holds passwords also
// where it fails.
func (s *Server) readDocument(c *call) (in order, err error) {
	if in, err = s.ordered(c); err != nil {
		return in, err
	}
	if c.media == "multipart/form-data" {
		f := parts{server: s, caller: c.caller, request: in}
		err := f.readForm(c)
		return f.request, err
	}
	if c.body.size == 0 {
		return in, refuse(http.StatusBadRequest, "document",
			"the body is empty: send the document as the body, or as multipart/form-data with a part named document")
	}
	in.Document, err = c.body.bytes()
	return in, err
}

// ordered is what the parameters of the address say of a document.
func (s *Server) ordered(c *call) (in order, err error) {
	if in.At, err = parseTime(c.query.Get("at")); err != nil {
		return in, err
	}
	if in.Policy, err = s.policyOf(c.query.Get("policy")); err != nil {
		return in, err
	}
	if in.card, err = s.cardOf(c.caller, c.query.Get("service")); err != nil {
		return in, err
	}
	in.Active, err = boolean("active", c.query.Get("active"))
	return in, err
}

// policyOf is the policy that a caller may choose by its name; "" is none, which leaves it to the judge.
func (s *Server) policyOf(name string) (*verify.Policy, error) {
	if name == "" {
		return nil, nil
	}
	var names []string
	for _, p := range s.cfg.Policies() {
		if p.Name() == name {
			return p, nil
		}
		names = append(names, p.Name())
	}
	return nil, refuse(http.StatusBadRequest, "policy",
		"%.100q is no policy that can be chosen here: choose one of %s, or none", name, strings.Join(names, ", "))
}

// parseTime reads a time; "" is the zero time.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, refuse(http.StatusBadRequest, "at", "%.40q is no time: write one such as 2026-03-03T12:00:00Z", text)
	}
	return at, nil
}

// parts collects the parts of a multipart request. Their contents lie one behind the other in data, which is as large as the
// request at the beginning, so that no content is copied while it grows.
type parts struct {
	server   *Server
	caller   string
	request  order
	document bool // there was one
	digests  verify.Digests
	data     []byte
}

// readForm reads the request. Where it has passwords they are left in it alone.
func (f *parts) readForm(c *call) error {
	if c.parameters["boundary"] == "" {
		return refuse(http.StatusBadRequest, "Content-Type", "multipart/form-data without a boundary")
	}
	f.data = make([]byte, 0, c.body.size)
	err := f.readParts(problem.NewForm(c.body.reader(), c.parameters["boundary"]))
	if len(f.request.Passwords) > 0 {
		clear(c.body.memory)
	}
	if err != nil {
		return err
	}
	if f.request.Detached, err = f.digests.Beside(f.request.Detached); err != nil {
		return refuse(http.StatusBadRequest, "digest", "%v", err)
	}
	return nil
}

func (f *parts) readParts(form *problem.Form) error {
	for n := 0; ; n++ {
		part, err := form.Next()
		switch {
		case errors.Is(err, io.EOF) && !f.document:
			return refuse(http.StatusBadRequest, "document", "there is no part named document")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil: // which may repeat a line of it, and that be a password
			return refuse(http.StatusBadRequest, "",
				"the request is no form that can be read: its parts don't stand between the boundary that Content-Type names")
		case n == maxParts:
			return refuse(http.StatusBadRequest, "", "more than %d parts", maxParts)
		}
		if err := f.add(part); err != nil {
			return err
		}
	}
}

func (f *parts) add(part *multipart.Part) error {
	content, err := f.read(part)
	if err != nil {
		return refuse(http.StatusBadRequest, part.FormName(), "the request is broken: %v", err)
	}
	switch name := part.FormName(); {
	case name == "document" && f.document, name == "at" && !f.request.At.IsZero(),
		name == "policy" && f.request.Policy != nil, name == "service" && f.request.card != nil:
		return refuse(http.StatusBadRequest, name, "%s is there twice", name)
	case name == "document":
		f.request.Document, f.document, f.request.name = content, true, part.FileName()
	case name == "detached":
		f.request.Detached = append(f.request.Detached, signature.Detached{Name: part.FileName(), Content: content})
	case name == "password":
		err = f.addPassword(content)
	default:
		err = f.addText(name, string(bytes.TrimSpace(content[:min(len(content), maxText)])))
	}
	return err
}

func (f *parts) addText(name, text string) (err error) {
	switch name {
	case "at":
		f.request.At, err = parseTime(text)
	case "policy":
		f.request.Policy, err = f.server.policyOf(text)
	case "service":
		f.request.card, err = f.server.cardOf(f.caller, text)
	case "digest":
		if err = f.digests.Add(text); err != nil {
			err = refuse(http.StatusBadRequest, name, "%v", err)
		}
	default:
		err = refuse(http.StatusBadRequest, name,
			"the part %.100q is none of document, detached, digest, password, at, policy, service", name)
	}
	return err
}

// addPassword takes a password; the end of a line behind it, which a file has, is no part of it.
func (f *parts) addPassword(content []byte) error {
	content = bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
	f.request.Passwords = append(f.request.Passwords, content)
	if err := verify.CheckPasswords(f.request.Passwords); err != nil {
		return refuse(http.StatusBadRequest, "password", "%v", err)
	}
	return nil
}

// read reads a part to its end.
func (f *parts) read(part io.Reader) ([]byte, error) {
	start := len(f.data)
	for len(f.data) < cap(f.data) {
		n, err := part.Read(f.data[len(f.data):cap(f.data)])
		f.data = f.data[:len(f.data)+n]
		if errors.Is(err, io.EOF) {
			return f.data[start:len(f.data):len(f.data)], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("its parts are longer than itself")
}

func refuse(status int, field, format string, args ...any) error {
	return problem.RefuseField(status, field, format, args...)
}
