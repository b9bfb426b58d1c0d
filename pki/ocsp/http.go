package ocsp

import (
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/problem"
)

// MaxAge is how long HTTP caches between us and the client may repeat an answer: a revocation must be seen soon.
const MaxAge = 60 * time.Second

const (
	requestType  = "application/ocsp-request"
	responseType = "application/ocsp-response"
)

// ServeHTTP answers POST with a request in the body and GET with one in base64 as the rest of the path (RFC 6960 A.1). Errors of
// OCSP are answers with status 200, as clients expect.
func (r *Responder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	der, refused := readRequest(w, request)
	if refused != nil {
		w.Header().Set("Allow", "GET, HEAD, POST")
		refused.Write(w)
		return
	}
	answer := failure(ocsp.Malformed)
	if der != nil {
		answer = r.respond(request.Context(), der)
	}
	r.write(w, request, answer)
}

// readRequest returns the DER of the request, nil when there is none to be found, or why it is refused.
func readRequest(w http.ResponseWriter, request *http.Request) (der []byte, refused *problem.Problem) {
	switch request.Method {
	case http.MethodPost:
		if kind, _, _ := strings.Cut(request.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), requestType) {
			return nil, problem.Refuse(http.StatusUnsupportedMediaType, "send a body of the type %s", requestType)
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, MaxRequest))
		if err != nil {
			return nil, problem.OfBody(err)
		}
		return body, nil
	case http.MethodGet, http.MethodHead:
		return decodePath(strings.TrimPrefix(request.URL.Path, "/")), nil
	}
	return nil, problem.Refuse(http.StatusMethodNotAllowed, "this address takes GET, HEAD or POST")
}

// decodePath accepts base64 with or without padding; some clients strip it.
func decodePath(text string) []byte {
	if len(text) > base64.StdEncoding.EncodedLen(MaxRequest) {
		return nil
	}
	der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil
	}
	return der
}

// write sends the headers of RFC 5019 6.2 with an answer that may be kept, and no-store with any other.
func (r *Responder) write(w http.ResponseWriter, request *http.Request, answer response) {
	h := w.Header()
	h.Set("Content-Type", responseType)
	if !answer.cacheable {
		h.Set("Cache-Control", "no-store")
	} else {
		age := min(MaxAge, answer.nextUpdate.Sub(r.cfg.Now()))
		h.Set("Cache-Control", "max-age="+strconv.Itoa(max(0, int(age/time.Second)))+", public, no-transform, must-revalidate")
		h.Set("Last-Modified", answer.thisUpdate.Format(http.TimeFormat))
		h.Set("Expires", answer.nextUpdate.Format(http.TimeFormat))
		h.Set("ETag", answer.etag)
		if request.Method != http.MethodPost && request.Header.Get("If-None-Match") == answer.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(answer.der)))
	// A client that went away has no use for the error.
	_, _ = w.Write(answer.der)
}
