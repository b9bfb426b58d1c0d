package tsa

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// MaxRequest is how many octets of a request are read; a usual one has 60 to 100.
const MaxRequest = 16 << 10

const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"
)

// ServeHTTP answers POST of a TimeStampReq (RFC 3161 3.4). Refusals are answers with status 200, as clients expect.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
		return
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), queryType) {
		http.Error(w, "send "+queryType, http.StatusUnsupportedMediaType)
		return
	}
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	if err != nil {
		http.Error(w, "the request is too large or incomplete", http.StatusRequestEntityTooLarge)
		return
	}
	reply := a.Respond(r.Context(), der)
	w.Header().Set("Content-Type", replyType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	// A client that went away has no use for the error.
	_, _ = w.Write(reply)
}
