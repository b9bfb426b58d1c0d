package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"trustcore/internal/problem"
)

// maxValues bounds the members and elements of a JSON request: two bytes of text could else become a hundred in memory.
const maxValues = 20_000

// errTooManyValues is a counter's.
var errTooManyValues = errors.New("too many values")

// decode reads one JSON object; a field that is not known is refused by its name.
func decode(b *body, into any) error {
	d := json.NewDecoder(&counter{Reader: b.reader()})
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return refuse(http.StatusBadRequest, "", "the request goes on after its JSON object")
	}
	if errors.Is(err, errTooManyValues) {
		return refuse(http.StatusBadRequest, "", "a request has at most %d values", maxValues)
	}
	return problem.OfJSON(err)
}

// counter fails when what it reads has more than maxValues values as JSON, before anything is made of them.
type counter struct {
	io.Reader
	values  int
	text    bool // within a string
	escaped bool // behind a backslash in it
}

// Read reads on and counts: each value but the first follows a comma or opens an object or array.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	for _, b := range p[:n] {
		switch {
		case c.escaped:
			c.escaped = false
		case c.text:
			c.text, c.escaped = b != '"', b == '\\'
		case b == '"':
			c.text = true
		case b == ',' || b == '{' || b == '[':
			c.values++
		}
	}
	if c.values > maxValues {
		return 0, errTooManyValues // and no byte, else what is complete up to here would be decoded
	}
	return n, err
}
