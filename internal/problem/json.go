package problem

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"encoding/json"
)

// IsJSON reports whether a body of this Content-Type is taken for JSON; one without a type is.
func IsJSON(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// OfJSON makes a problem of what encoding/json says about a request's body, with the field where it names one. Errors of
// reading the body stay what they are.
func OfJSON(err error) error {
	var wrongType *json.UnmarshalTypeError
	var large *http.MaxBytesError
	var p *Problem
	switch {
	case errors.As(err, &large), errors.As(err, &p):
		return err
	case errors.As(err, &wrongType):
		return RefuseField(http.StatusBadRequest, wrongType.Field, "a JSON %s can't stand here", wrongType.Value)
	}
	if _, name, found := strings.Cut(err.Error(), "json: unknown field "); found {
		name = strings.Trim(name, `"`)
		return RefuseField(http.StatusBadRequest, name, "there is no field %q", name)
	}
	return Refuse(http.StatusBadRequest, "the request is not the JSON that is expected: %v", err)
}
