package csc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"trustcore/hsm/gateway"
	"trustcore/internal/problem"
)

// fault is an error as the API has it (1.0.4.0, 10.1; RFC 6749, 5.2): a code, and a sentence that says what is wrong
// and what to do.
type fault struct {
	problem.Problem
	code string
}

func refuse(status int, code, format string, args ...any) *fault {
	return &fault{*problem.Refuse(status, format, args...), code}
}

// invalid refuses a request that is wrong in itself.
func invalid(format string, args ...any) *fault {
	return refuse(http.StatusBadRequest, "invalid_request", format, args...)
}

// codes are those of refusals that come from the house, by their status.
var codes = map[int]string{
	http.StatusUnauthorized: "access_denied", http.StatusForbidden: "access_denied", http.StatusConflict: "access_denied",
	http.StatusTooManyRequests: "temporarily_unavailable", http.StatusServiceUnavailable: "temporarily_unavailable",
}

// faultOf is the fault that an error is. Of one that is no refusal nothing is told: the log has it.
func (s *service) faultOf(err error) *fault {
	var f *fault
	var p *problem.Problem
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &p) && p.Status < http.StatusInternalServerError, errors.As(err, &p) && codes[p.Status] != "":
		code := codes[p.Status]
		if code == "" {
			code = "invalid_request"
		}
		return &fault{*p, code}
	}
	s.Logger.Error("CSC API", "error", err)
	return refuse(http.StatusInternalServerError, "server_error", "the request could not be carried out because of a fault of this service")
}

// fail answers an error.
func (s *service) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := s.faultOf(err)
	s.Logger.Info("refused", "server", "csc", "request", w.Header().Get(problem.IDHeader), "status", f.Status, "code", f.code,
		"detail", f.Detail)
	told := problem.Door{Speak: speak}.Told(r, &f.Problem)
	data, failed := json.Marshal(map[string]string{"error": f.code, "error_description": told.Error()})
	if failed != nil { // strings always marshal
		data = []byte(`{"error":"server_error"}`)
	}
	if f.code == "invalid_token" {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	if codes[f.Status] == "temporarily_unavailable" {
		w.Header().Set("Retry-After", strconv.Itoa(max(f.RetryAfter, 1)))
	}
	problem.Send(w, f.Status, "application/json", data)
}

func (s *service) send(w http.ResponseWriter, r *http.Request, answer any) {
	data, err := json.Marshal(answer)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	problem.Send(w, http.StatusOK, "application/json", data)
}

var preferred = problem.Speaks("en", "pl")

// speak is a problem.Door's: it says a refusal in Polish to who prefers that; the gateway says its own.
func speak(accept, format string, args []any) string {
	if preferred(accept) != "pl" {
		return ""
	}
	text := polish[format]
	if text == "" {
		return gateway.Speak(accept, format, args)
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, slices.Clone(args)...)
}

// polish says refusals, by their English formats. Sentences of the API's own text stay as that has them.
var polish = map[string]string{
	"the API has no such method; info lists those that it has, all by POST": "API nie ma takiej metody; info wylicza te, które ma, wszystkie przez POST",
	"the versions of the API are v1 and v2":                                 "API ma wersje v1 i v2",
	"the token is unknown, or its time is over: ask for a new one":          "token jest nieznany albo jego czas minął: poproś o nowy",
	"the SAD are unknown, were used before, or their time is over: authorize the hashes anew": "SAD są nieznane, już użyte albo ich czas minął: " +
		"autoryzuj skróty ponownie",
	"the SAD stand for another credential": "SAD dotyczą innego poświadczenia",
}
