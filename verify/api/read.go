package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/signature"
)

// maxParts bounds the files of one request.
const maxParts = 1000

// maxTime bounds the part of a form that names a time, in bytes.
const maxTime = 100

// readDocument reads what POST /v1/validations takes: the document as the body, or multipart/form-data with the parts document,
// detached (any number) and at.
func readDocument(c *call) (verify.Request, error) {
	at, err := parseTime(c.query.Get("at"))
	if err != nil {
		return verify.Request{}, err
	}
	if c.media == "multipart/form-data" {
		return readForm(c, at)
	}
	if c.body.size == 0 {
		return verify.Request{}, refuse(http.StatusBadRequest, "document", "the body is empty: send the document as the body, or as multipart/form-data with a part named document")
	}
	data, err := c.body.bytes()
	return verify.Request{Document: data, At: at}, err
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
	request  verify.Request
	document bool // there was one
	data     []byte
}

func readForm(c *call, at time.Time) (verify.Request, error) {
	f := parts{request: verify.Request{At: at}, data: make([]byte, 0, c.body.size)}
	if c.parameters["boundary"] == "" {
		return f.request, refuse(http.StatusBadRequest, "Content-Type", "multipart/form-data without a boundary")
	}
	reader := multipart.NewReader(c.body.reader(), c.parameters["boundary"])
	for n := 0; ; n++ {
		part, err := reader.NextPart()
		switch {
		case errors.Is(err, io.EOF) && !f.document:
			return f.request, refuse(http.StatusBadRequest, "document", "there is no part named document")
		case errors.Is(err, io.EOF):
			return f.request, nil
		case err != nil:
			return f.request, refuse(http.StatusBadRequest, "", "the request is no form that can be read: %v", err)
		case n == maxParts:
			return f.request, refuse(http.StatusBadRequest, "", "more than %d parts", maxParts)
		}
		if err := f.add(part); err != nil {
			return f.request, err
		}
	}
}

func (f *parts) add(part *multipart.Part) error {
	content, err := f.read(part)
	if err != nil {
		return refuse(http.StatusBadRequest, part.FormName(), "the request is broken: %v", err)
	}
	switch name := part.FormName(); {
	case name == "document" && f.document, name == "at" && !f.request.At.IsZero():
		return refuse(http.StatusBadRequest, name, "%s is there twice", name)
	case name == "document":
		f.request.Document, f.document = content, true
	case name == "detached":
		f.request.Detached = append(f.request.Detached, signature.Detached{Name: part.FileName(), Content: content})
	case name == "at":
		f.request.At, err = parseTime(string(bytes.TrimSpace(content[:min(len(content), maxTime)])))
	default:
		err = refuse(http.StatusBadRequest, name, "the part %.100q is none of document, detached, at", name)
	}
	return err
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
