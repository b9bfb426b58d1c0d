package problem

import (
	"net/http"
	"net/url"
	"slices"
)

// Query returns the parameters of the request's address. One that is not among known is refused by its name, as is one that is
// there twice; a known name that ends in "*" may be repeated.
func Query(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Refuse(http.StatusBadRequest, "the parameters of the address can't be read: %v", err)
	}
	for name, given := range values {
		many := slices.Contains(known, name+"*")
		switch {
		case !many && !slices.Contains(known, name):
			return nil, RefuseField(http.StatusBadRequest, name, "there is no parameter %q at this address", name)
		case !many && len(given) > 1:
			return nil, RefuseField(http.StatusBadRequest, name, "the parameter %q is there %d times", name, len(given))
		}
	}
	return values, nil
}
