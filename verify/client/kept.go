package client

import (
	"context"
	"io"
	"strings"
)

// Kept judges a document and returns a report that can be kept, in the form "pdf", "html" or "etsi-xml" and in
// Config.Language, Polish where that says none. It says the document's name where Options does.
func (c *Client) Kept(ctx context.Context, document io.Reader, o Options, form string) ([]byte, error) {
	o.Later = false // what comes later is no file
	r, err := o.request(document)
	if err != nil {
		return nil, err
	}
	sign := "?"
	if strings.Contains(r.path, "?") {
		sign = "&"
	}
	r.path += sign + "report=" + form
	answer, err := c.call(ctx, r)
	if err != nil {
		return nil, err
	}
	return answer.data, nil
}
