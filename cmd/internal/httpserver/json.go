package httpserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"trustcore/internal/problem"
)

// maxJSON bounds a JSON request in bytes. Documents travel as octets, outside this path.
const maxJSON = 1 << 20

// Door is how the server answers errors.
func (s Server) Door() problem.Door {
	return problem.Door{Name: s.Name, Logger: s.Logger, Body: s.Body, Away: s.Away, Speak: s.Speak}
}

// JSON makes a handler of a function from request to answer. A nil answer is 204. The request's address may have the
// parameters that query names (see problem.Query), no others.
func (s Server) JSON(do func(r *http.Request) (any, error), query ...string) http.Handler {
	door := s.Door()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := problem.Query(r, query...); err != nil {
			door.Fail(w, r, err)
			return
		}
		answer, err := do(r)
		if err == nil && answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		data, failed := json.Marshal(answer)
		if err = errors.Join(err, failed); err != nil {
			door.Fail(w, r, err)
			return
		}
		problem.Send(w, http.StatusOK, "application/json", data)
	})
}

// Decode reads one JSON object; unknown fields, trailing data and bodies over 1 MiB are refused.
func Decode(r *http.Request, into any) error {
	if err := problem.Limit(r, maxJSON); err != nil {
		return err
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return problem.OfJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return problem.Refuse(http.StatusBadRequest, "the request goes on after its JSON object")
	}
	return nil
}

// ReadAll reads a body of at most so many bytes.
func ReadAll(r *http.Request, max int64) ([]byte, error) {
	if err := problem.Limit(r, max); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return data, nil
}
