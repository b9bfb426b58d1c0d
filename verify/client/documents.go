package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"trustcore/verify"
)

// Options say how a document is judged. The zero value is by verifyd's policy, now, for no service.
type Options struct {
	Name    string    // of the document, for reports that are kept: see Client.Kept
	At      time.Time // of validation; zero: now
	Policy  string    // name of a validation policy that verifyd offers
	Service string    // id of a service card, see Client.Services: the report says whether it accepts the document
	// Detached are the files that a detached signature is about, Digests stand in for such as stay where they are:
	// [NAME=]ALGORITHM:VALUE, in hexadecimal or base64.
	Detached []File
	Digests  []string
	// Passwords of an encrypted PDF.
	Passwords [][]byte
	// Active asks for what the document does besides being read: Report.ActiveContent.
	Active bool
	// Later has verifyd keep a document whose verdict may be another one soon, and judge it again then: see
	// Client.Result. It is sent once: what a network broke may have been kept.
	Later bool
}

// File is a file beside a document.
type File struct {
	Name    string
	Content []byte
}

// Validation is the answer about a document.
type Validation struct {
	Report *verify.Report
	// ID is that of a result which is to come yet, "" for none. It is the caller's alone for a day, or until verifyd is
	// started anew.
	ID string
	// Again is how long to wait before Result may have more; 0: the report is final.
	Again time.Duration
}

// Validate judges a document. It is read from its beginning for each attempt if it can seek, else into memory.
func (c *Client) Validate(ctx context.Context, document io.Reader, o Options) (*Validation, error) {
	r, err := o.request(document)
	if err != nil {
		return nil, err
	}
	v := &Validation{Report: new(verify.Report)}
	answer, err := c.ask(ctx, r, v.Report)
	if err != nil {
		return nil, err
	}
	v.ID, _ = strings.CutPrefix(answer.header.Get("Location"), "/v1/validations/")
	if v.ID != "" {
		v.Again = answer.after()
	}
	return v, nil
}

// request has a document judged.
func (o *Options) request(document io.Reader) (request, error) {
	again, err := repeatable(document)
	if err != nil {
		return request{}, err
	}
	r := request{method: http.MethodPost, path: "/v1/validations" + o.query(), media: "application/octet-stream",
		body: again, once: o.Later}
	if o.Name != "" || len(o.Detached)+len(o.Digests)+len(o.Passwords) > 0 {
		boundary := multipart.NewWriter(io.Discard).Boundary()
		r.media = "multipart/form-data; boundary=" + boundary
		r.body = func() (io.Reader, error) {
			content, err := again()
			if err != nil {
				return nil, err
			}
			return o.form(content, boundary)
		}
	}
	return r, nil
}

// ValidateDigest judges a detached signature by the digest of the file that it is about: [NAME=]ALGORITHM:VALUE.
func (c *Client) ValidateDigest(ctx context.Context, signature io.Reader, digest string, o Options) (
	*Validation, error) {
	o.Digests = append(o.Digests[:len(o.Digests):len(o.Digests)], digest)
	return c.Validate(ctx, signature, o)
}

// repeatable gives a document from its beginning, as often as it is wanted.
func repeatable(document io.Reader) (func() (io.Reader, error), error) {
	if seeker, ok := document.(io.Seeker); ok {
		start, err := seeker.Seek(0, io.SeekCurrent)
		if err == nil {
			return func() (io.Reader, error) {
				_, err := seeker.Seek(start, io.SeekStart)
				return io.NopCloser(document), err // http would close a file behind the first attempt
			}, nil
		}
	}
	data, err := io.ReadAll(io.LimitReader(document, verify.MaxDocument+1))
	if err == nil && len(data) > verify.MaxDocument {
		err = fmt.Errorf("the document has more than %d bytes", verify.MaxDocument)
	}
	return func() (io.Reader, error) { return bytes.NewReader(data), nil }, err
}

func (o *Options) query() string {
	q := url.Values{}
	if !o.At.IsZero() {
		q.Set("at", o.At.Format(time.RFC3339))
	}
	if o.Policy != "" {
		q.Set("policy", o.Policy)
	}
	if o.Service != "" {
		q.Set("service", o.Service)
	}
	if o.Active {
		q.Set("active", "true")
	}
	if o.Later {
		q.Set("later", "true")
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// form is the document with what goes beside it. The document itself is not copied.
func (o *Options) form(document io.Reader, boundary string) (io.Reader, error) {
	var before, after bytes.Buffer
	w := multipart.NewWriter(&before)
	err := w.SetBoundary(boundary)
	for _, f := range o.Detached {
		err = errors.Join(err, part(w.CreateFormFile("detached", f.Name))(f.Content))
	}
	for _, d := range o.Digests {
		err = errors.Join(err, part(w.CreateFormField("digest"))([]byte(d)))
	}
	for _, p := range o.Passwords {
		err = errors.Join(err, part(w.CreateFormField("password"))(p))
	}
	_, failed := w.CreateFormFile("document", cmp.Or(o.Name, "document"))
	fmt.Fprintf(&after, "\r\n--%s--\r\n", boundary)
	return io.MultiReader(&before, document, &after), errors.Join(err, failed)
}

func part(w io.Writer, err error) func([]byte) error {
	return func(content []byte) error {
		if err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
}

// Result is the newest report under an id that Validate gave.
func (c *Client) Result(ctx context.Context, id string) (*Validation, error) {
	v := &Validation{Report: new(verify.Report)}
	answer, err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/validations/" + url.PathEscape(id)}, v.Report)
	if err != nil {
		return nil, err
	}
	if answer.status == http.StatusAccepted {
		v.ID, v.Again = id, answer.after()
	}
	return v, nil
}

// after is how long to wait before asking again, a second at least.
func (r *response) after() time.Duration {
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil {
		seconds = 0
	}
	return time.Duration(max(seconds, 1)) * time.Second
}

// Wait asks for a result until it is final, or the context ends.
func (c *Client) Wait(ctx context.Context, id string) (*Validation, error) {
	for {
		v, err := c.Result(ctx, id)
		if err != nil || v.Again == 0 {
			return v, err
		}
		if err := c.sleep(ctx, v.Again); err != nil {
			return v, err
		}
	}
}

// Forget erases a document that is kept, and its result.
func (c *Client) Forget(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/v1/validations/" + url.PathEscape(id)})
	return err
}

// Original is a document that a signature is about.
type Original struct {
	Name            string `json:"name"`
	Content         []byte `json:"bytes"`
	DigestAlgorithm string `json:"digestAlgorithm"` // where only the digest is known, which Content is then; else ""
}

// Originals are what the signature with the id, or with "" the first one, is about.
func (c *Client) Originals(ctx context.Context, document []byte, signature string) ([]Original, error) {
	type signed struct {
		Bytes []byte `json:"bytes"`
	}
	in := struct {
		Document  signed `json:"signedDocument"`
		Signature string `json:"signatureId,omitempty"`
	}{signed{document}, signature}
	var list []Original
	err := c.send(ctx, "/services/rest/validation/getOriginalDocuments", in, &list)
	return list, err
}

// send posts JSON.
func (c *Client) send(ctx context.Context, path string, in, into any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, request{method: http.MethodPost, path: path, media: "application/json",
		body: func() (io.Reader, error) { return bytes.NewReader(data), nil }}, into)
	return err
}
