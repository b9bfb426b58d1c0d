package ocsp

import (
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
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
	der, status := readRequest(w, request)
	if status != 0 {
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, http.StatusText(status), status)
		return
	}
	answer := failure(ocsp.Malformed)
	if der != nil {
		answer = r.respond(request.Context(), der)
	}
	r.write(w, request, answer)
}

// readRequest returns the DER of the request, nil when there is none to be found, or the HTTP status of a refusal.
func readRequest(w http.ResponseWriter, request *http.Request) (der []byte, status int) {
	switch request.Method {
	case http.MethodPost:
		if kind, _, _ := strings.Cut(request.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), requestType) {
			return nil, http.StatusUnsupportedMediaType
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, MaxRequest))
		if err != nil {
			return nil, http.StatusRequestEntityTooLarge
		}
		return body, 0
	case http.MethodGet, http.MethodHead:
		return decodePath(strings.TrimPrefix(request.URL.Path, "/")), 0
	}
	return nil, http.StatusMethodNotAllowed
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
