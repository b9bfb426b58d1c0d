package fetch

import (
	"context"
	"net/http"
)

// Version is what a server says of a version of what it serves (RFC 9110, 8.8). It means something to that server alone.
type Version struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"` // Last-Modified as it was sent
}

// Answer is what a server says to who has a version.
type Answer struct {
	Content   []byte // nil where it is unchanged
	Version   Version
	Unchanged bool
}

// maxValidator bounds a validator in bytes; what is longer is not kept, so that the next question is without it.
const maxValidator = 256

// GetSince asks for what has changed since a version; the zero one is none.
func (c *Client) GetSince(ctx context.Context, rawURL string, have Version) (*Answer, error) {
	header := http.Header{}
	if have.ETag != "" {
		header.Set("If-None-Match", have.ETag)
	}
	if have.Modified != "" {
		header.Set("If-Modified-Since", have.Modified)
	}
	response, err := c.ask(ctx, http.MethodGet, rawURL, header, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotModified && have != (Version{}) {
		return &Answer{Version: have, Unchanged: true}, nil
	}
	content, err := c.read(response)
	if err != nil {
		return nil, err
	}
	return &Answer{Content: content, Version: versionOf(response.Header)}, nil
}

func versionOf(h http.Header) Version {
	v := Version{ETag: h.Get("ETag"), Modified: h.Get("Last-Modified")}
	if len(v.ETag) > maxValidator {
		v.ETag = ""
	}
	if len(v.Modified) > maxValidator {
		v.Modified = ""
	}
	return v
}
