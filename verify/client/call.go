package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"time"

	"trustcore/internal/problem"
)

// request is one call, which may be made several times.
type request struct {
	method, path string
	media        string                    // of the body
	header       map[string]string         // further ones
	body         func() (io.Reader, error) // from its beginning; nil: there is none
	once         bool                      // what verifyd may have got is not sent again
}

// response is what came back, in full.
type response struct {
	status int
	header http.Header
	data   []byte
}

// call makes a request until it is answered: again after 429 and 503 when verifyd says so, and after a failure of the
// network. What is not status 2xx is a *Problem.
func (c *Client) call(ctx context.Context, r request) (*response, error) {
	for attempt := 1; ; attempt++ {
		answer, err := c.try(ctx, r)
		wait, again := c.pause(r, err, attempt)
		if err == nil || !again || attempt == c.cfg.Attempts || ctx.Err() != nil {
			return answer, err
		}
		if c.sleep(ctx, wait) != nil {
			return nil, err // which tells more than that the time is over
		}
	}
}

// pause is how long to wait before a request is made again, if it is.
func (c *Client) pause(r request, err error, attempt int) (wait time.Duration, again bool) {
	wait = firstWait << min(attempt-1, 10)
	wait += time.Duration(rand.Int64N(int64(wait)))
	var p *Problem
	switch {
	case err == nil, errors.Is(err, errTooLarge):
		return 0, false
	case !errors.As(err, &p):
		return min(wait, c.cfg.Wait), !r.once
	case p.Status != http.StatusTooManyRequests && p.Status != http.StatusServiceUnavailable:
		return 0, false
	}
	return min(max(wait, time.Duration(p.RetryAfter)*time.Second), c.cfg.Wait), true
}

// try makes a request once.
func (c *Client) try(ctx context.Context, r request) (*response, error) {
	var body io.Reader
	if r.body != nil {
		var err error
		if body, err = r.body(); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, body)
	if err != nil {
		return nil, err
	}
	if r.media != "" {
		request.Header.Set("Content-Type", r.media)
	}
	if c.cfg.Language != "" {
		request.Header.Set("Accept-Language", c.cfg.Language)
	}
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	came, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer came.Body.Close()
	data, err := readAll(came, c.cfg.MaxAnswer+1)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer: %w", err)
	case int64(len(data)) > c.cfg.MaxAnswer:
		return nil, errTooLarge
	case came.StatusCode/100 != 2:
		return nil, problemOf(came, data)
	}
	return &response{came.StatusCode, came.Header, data}, nil
}

// problemOf is the problem of an answer; of one that has none, such as a proxy's, its status.
func problemOf(came *http.Response, data []byte) *Problem {
	p := new(Problem)
	media, _, err := mime.ParseMediaType(came.Header.Get("Content-Type"))
	if err != nil || media != problem.MediaType || json.Unmarshal(data, p) != nil {
		p = problem.Refuse(came.StatusCode, "the answer is %s, and no problem is told", came.Status)
	}
	p.Status = came.StatusCode
	if seconds, err := strconv.Atoi(came.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		p.RetryAfter = seconds
	}
	return p
}

// ask makes a request whose answer is JSON.
func (c *Client) ask(ctx context.Context, r request, into any) (*response, error) {
	answer, err := c.call(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer.data, into); err != nil {
		return nil, fmt.Errorf("the answer to %s %s: %w", r.method, r.path, err)
	}
	return answer, nil
}

// readAll reads an answer of at most so many bytes; room for what was announced is made at once, up to firstRoom.
func readAll(came *http.Response, most int64) ([]byte, error) {
	const firstRoom = 1 << 20
	var data bytes.Buffer
	if n := came.ContentLength; n > 0 {
		data.Grow(int(min(n, firstRoom)) + bytes.MinRead)
	}
	_, err := data.ReadFrom(io.LimitReader(came.Body, most))
	return data.Bytes(), err
}
