package problem

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
)

// compressed reports whether the body is compressed with gzip (RFC 1952), or refuses a coding that is not taken here
// (RFC 9110, 15.5.16).
func (b Body) compressed(a *answer, r *http.Request) (bool, error) {
	coding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ","))
	switch {
	case coding == "", coding == "identity":
		return false, nil
	case b.Gzip && (coding == "gzip" || coding == "x-gzip"):
		return true, nil
	case b.Gzip:
		a.Header().Set("Accept-Encoding", "gzip, identity")
		return false, RefuseField(http.StatusUnsupportedMediaType, "Content-Encoding",
			"a body is taken as it is, or compressed once with gzip")
	}
	a.Header().Set("Accept-Encoding", "identity")
	return false, RefuseField(http.StatusUnsupportedMediaType, "Content-Encoding",
		"bodies are taken as they are: send it without compression")
}

// gzipBody is what comes out of a compressed body.
type gzipBody struct {
	io.ReadCloser
	out *gzip.Reader // nil before the first byte is asked for
}

// Read makes a problem of what is no gzip, or breaks off.
func (g *gzipBody) Read(p []byte) (n int, err error) {
	if g.out == nil {
		out, err := gzip.NewReader(g.ReadCloser)
		if err != nil {
			return 0, ofGzip(err)
		}
		g.out = out
	}
	if n, err = g.out.Read(p); err != nil && !errors.Is(err, io.EOF) {
		err = ofGzip(err)
	}
	return n, err
}

// ofGzip makes a problem of what the reader says; what is wrong with the body itself stays what it is.
func ofGzip(err error) error {
	if errors.As(err, new(*Problem)) || errors.As(err, new(*http.MaxBytesError)) {
		return err
	}
	return RefuseField(http.StatusBadRequest, "Content-Encoding",
		"the body is no gzip, or was cut off: what its header announces did not come")
}
