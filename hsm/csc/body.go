package csc

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"trustcore/hsm/gateway"
	"trustcore/internal/budget"
	"trustcore/internal/jws"
	"trustcore/internal/problem"
)

// body is the object that a request brings. Names are as the API has them, to the letter; none occurs twice. Fields
// that the API has and this service has no use for are not looked at.
type body struct{ *jws.Value }

// readBody reads the request's JSON. Without a body it is an empty object, which is what info takes.
func readBody(r *http.Request) (body, error) {
	if !problem.IsJSON(r.Header.Get("Content-Type")) {
		return body{}, refuse(http.StatusUnsupportedMediaType, "invalid_request", "send application/json")
	}
	data, err := readAll(r)
	if err != nil {
		return body{}, err
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	v, err := jws.Parse(budget.New(r.Context(), len(data)), data)
	if err != nil || !v.Is(jws.Object) {
		return body{}, invalid("the request is not a JSON object in which each name stands once")
	}
	return body{v}, nil
}

func readAll(r *http.Request) ([]byte, error) {
	if err := problem.Limit(r, maxBody); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, problem.OfBody(err)
	}
	return data, nil
}

// readForm reads the request's form (RFC 6749, 3.2): no parameter may stand twice.
func readForm(r *http.Request) (url.Values, error) {
	if r.Header.Get("Content-Type") == "" || r.URL.RawQuery != "" {
		return nil, invalid("send application/x-www-form-urlencoded in the body")
	}
	if err := problem.Limit(r, maxBody); err != nil {
		return nil, err
	}
	if err := r.ParseForm(); err != nil {
		return nil, invalid("the form can't be read")
	}
	for name, values := range r.PostForm {
		if len(values) != 1 {
			return nil, invalid("the parameter %s stands more than once", strconv.Quote(name[:min(len(name), 40)]))
		}
	}
	return r.PostForm, nil
}

// member is the value by one of its names: that of version 1, and that of version 2 where the two differ. Both at once
// would be read differently by different readers.
func (b body) member(names ...string) (*jws.Value, error) {
	var found *jws.Value
	for _, name := range names {
		v := b.Member(name)
		if v == nil || v.Is(jws.Null) {
			continue
		}
		if found != nil {
			return nil, invalid("%s and %s say the same: send one of them", names[0], names[1])
		}
		found = v
	}
	return found, nil
}

// text is a string; "" where it is absent.
func (b body) text(names ...string) (string, error) {
	v, err := b.member(names...)
	switch {
	case err != nil:
		return "", err
	case v == nil:
		return "", nil
	case !v.Is(jws.String):
		return "", invalid("Missing (or invalid type) string parameter %s", names[0])
	}
	return string(v.Text()), nil
}

// need is a string that has to be there.
func (b body) need(names ...string) (string, error) {
	text, err := b.text(names...)
	if err == nil && text == "" {
		err = invalid("Missing (or invalid type) string parameter %s", names[0])
	}
	return text, err
}

// truth is a boolean; false where it is absent.
func (b body) truth(name string) (bool, error) {
	v := b.Member(name)
	if v != nil && !v.Is(jws.Bool) {
		return false, invalid("Invalid type of parameter %s: send true or false", name)
	}
	return v.True(), nil
}

// integers are whole numbers as JSON writes them: no sign, no fraction, no exponent.
var integers = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

// number is a whole number from 1 on; 0 where it is absent.
func (b body) number(name string) (int, error) {
	v := b.Member(name)
	if v == nil || v.Is(jws.Null) {
		return 0, nil
	}
	if !integers.MatchString(v.Literal()) {
		return 0, invalid("Missing (or invalid type) integer parameter %s", name)
	}
	return strconv.Atoi(v.Literal())
}

// hashes are the hashes to sign, in base64, all of one length.
func (b body) hashes() ([][]byte, error) {
	v, err := b.member("hash", "hashes")
	switch {
	case err != nil:
		return nil, err
	case !v.Is(jws.Array):
		return nil, invalid("Missing (or invalid type) array parameter hash")
	case len(v.Items()) == 0:
		return nil, invalid("Empty hash array")
	case len(v.Items()) > gateway.MaxBatch:
		return nil, invalid("Invalid parameter hash: at most %d are signed at once", gateway.MaxBatch)
	}
	hashes := make([][]byte, 0, len(v.Items()))
	for _, item := range v.Items() {
		hash, err := base64.StdEncoding.Strict().DecodeString(string(item.Text()))
		if err != nil || !item.Is(jws.String) {
			return nil, invalid("Invalid Base64 hash string parameter")
		}
		if hashOf(len(hash)) == 0 || len(hashes) > 0 && len(hash) != len(hashes[0]) {
			return nil, invalid("Invalid parameter hash: hashes of SHA-256, SHA-384 or SHA-512 are signed, of one length all")
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}
