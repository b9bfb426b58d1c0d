package tsa

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"trustcore/internal/problem"
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
		problem.MethodNotAllowed(w, "POST")
		return
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), queryType) {
		problem.Refuse(http.StatusUnsupportedMediaType, "send a body of the type %s", queryType).Write(w)
		return
	}
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	if err != nil {
		problem.OfBody(err).Write(w)
		return
	}
	reply := a.Respond(r.Context(), der)
	w.Header().Set("Content-Type", replyType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	// A client that went away has no use for the error.
	_, _ = w.Write(reply)
}
