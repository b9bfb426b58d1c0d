package problem

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
)

// Form reads multipart/form-data (RFC 7578, RFC 2046 5.1.1) part by part. mime/multipart alone takes a body that was cut behind a
// part, or in the head of one, for one that has ended: what was to follow would be missing without a word.
type Form struct {
	parts *multipart.Reader
	seen  lastBytes
	end   []byte
}

// NewForm reads a body whose Content-Type has this boundary.
func NewForm(body io.Reader, boundary string) *Form {
	f := &Form{end: []byte("--" + boundary + "--")}
	f.parts = multipart.NewReader(io.TeeReader(body, &f.seen), boundary)
	return f
}

// FormOf reads a request's body; what is no form is refused.
func FormOf(r *http.Request) (*Form, error) {
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, RefuseField(http.StatusUnsupportedMediaType, "Content-Type", "send multipart/form-data with its boundary")
	}
	return NewForm(r.Body, parameters["boundary"]), nil
}

// Next returns the next part, as it was sent; io.EOF behind the last; io.ErrUnexpectedEOF where the body ends before the form does.
// Other errors may repeat a part of the body.
func (f *Form) Next() (*multipart.Part, error) {
	part, err := f.parts.NextRawPart()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
		if bytes.Contains(f.seen.data, f.end) {
			err = io.EOF
		}
	}
	return part, err
}

// lastBytes keeps the end of what was written.
type lastBytes struct{ data []byte }

// keptBytes is more than multipart's reader takes in one go (4 KiB) and the longest boundary (70 bytes).
const keptBytes = 8 << 10

// Write never fails. It keeps some more than it must, so that not each one moves all.
func (l *lastBytes) Write(p []byte) (int, error) {
	l.data = append(l.data, p[max(0, len(p)-keptBytes):]...)
	if len(l.data) > 4*keptBytes {
		l.data = append(l.data[:0], l.data[len(l.data)-keptBytes:]...)
	}
	return len(p), nil
}
