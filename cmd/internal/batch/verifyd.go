package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"trustcore/internal/problem"
)

// Bounds of one question to verifyd.
const (
	answerTime   = 5 * time.Minute // verifyd gives a document a minute at most, its turn included
	maxBusy      = time.Minute
	maxProblem   = 64 << 10 // bytes
	tookTooLong  = "judging took longer"
	defaultAfter = time.Second
)

// Verifyd has documents judged by the interface of a verifyd.
type Verifyd struct {
	url    string
	client *http.Client
}

// NewVerifyd returns the verifyd at an https URL. The client should keep as many connections as documents are handed
// over at a time.
func NewVerifyd(address string, client *http.Client) *Verifyd {
	return &Verifyd{strings.TrimSuffix(address, "/"), client}
}

// Ready says why verifyd can't be asked now.
func (v *Verifyd) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+"/openapi.json", nil)
	if err != nil {
		return err
	}
	response, err := v.client.Do(request)
	if err != nil {
		return fmt.Errorf("verifyd does not answer: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("verifyd's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("verifyd answered %s", response.Status)
	}
	return nil
}

// Judge is a Judge.
func (v *Verifyd) Judge(ctx context.Context, d Document) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	request, err := v.request(ctx, d)
	if err != nil {
		return Verdict{}, err
	}
	response, err := v.client.Do(request)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Verdict{}, &Failure{http.StatusGatewayTimeout, "no answer in time"}
	case err != nil && !connected:
		return Verdict{}, &Unreached{err}
	case err != nil:
		return Verdict{}, fmt.Errorf("verifyd was lost: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Verdict{}, refused(response)
	}
	report, err := readAll(response, maxResult)
	if err != nil {
		return Verdict{}, fmt.Errorf("verifyd was lost in its answer: %w", err)
	}
	return Verdict{Report: report, Again: again(report)}, nil
}

// readAll reads an answer of at most so many bytes, and one more.
func readAll(response *http.Response, most int64) ([]byte, error) {
	var text bytes.Buffer
	if n := response.ContentLength; n > 0 {
		text.Grow(int(min(n, most)) + bytes.MinRead)
	}
	_, err := text.ReadFrom(io.LimitReader(response.Body, most+1))
	return text.Bytes(), err
}

func (v *Verifyd) request(ctx context.Context, d Document) (*http.Request, error) {
	query := url.Values{}
	for name, value := range map[string]string{"at": d.Wish.At, "policy": d.Wish.Policy, "service": d.Wish.Service} {
		if value != "" {
			query.Set(name, value)
		}
	}
	body, size, media, err := bodyOf(d)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"/v1/validations?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", media)
	if d.Wish.Language != "" {
		request.Header.Set("Accept-Language", d.Wish.Language)
	}
	return request, nil
}

// bodyOf is a document as verifyd takes it: alone as the body, with what lies beside it as a form.
func bodyOf(d Document) (body io.Reader, size int64, media string, err error) {
	for _, content := range append([]io.ReadSeeker{d.Content}, contents(d.Beside)...) {
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return nil, 0, "", &Unreached{err}
		}
	}
	if len(d.Beside) == 0 {
		if d.Size == 0 {
			return http.NoBody, 0, "application/octet-stream", nil
		}
		return io.LimitReader(d.Content, d.Size), d.Size, "application/octet-stream", nil
	}
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	var all []io.Reader
	for i, f := range append([]File{{d.Name, d.Content, d.Size}}, d.Beside...) {
		part := [...]string{"document", "detached"}[min(i, 1)]
		if _, err := form.CreateFormFile(part, f.Name); err != nil {
			return nil, 0, "", err
		}
		size += int64(head.Len()) + f.Size
		all = append(all, bytes.NewReader(bytes.Clone(head.Bytes())), io.LimitReader(f.Content, f.Size))
		head.Reset()
	}
	if err := form.Close(); err != nil {
		return nil, 0, "", err
	}
	return io.MultiReader(append(all, &head)...), size + int64(head.Len()), form.FormDataContentType(), nil
}

func contents(files []File) []io.ReadSeeker {
	all := make([]io.ReadSeeker, len(files))
	for i, f := range files {
		all[i] = f.Content
	}
	return all
}

// refused makes an error of an answer that is no report.
func refused(response *http.Response) error {
	var p problem.Problem
	text, err := readAll(response, maxProblem)
	if err != nil {
		return fmt.Errorf("verifyd was lost in its answer: %w", err)
	}
	if json.Unmarshal(text, &p) != nil || p.Detail == "" {
		p.Detail = "verifyd answered " + response.Status
	}
	switch status := response.StatusCode; {
	case status == http.StatusServiceUnavailable && strings.HasPrefix(p.Detail, tookTooLong):
		return &Failure{status, p.Detail}
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests,
		status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &Busy{after(response)} // who is not let in now was let in before: the document is not at fault
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout:
		return &Failure{status, p.Detail}
	}
	return &Refusal{response.StatusCode, p.Detail}
}

// after is how long the service asks to be left alone.
func after(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		return defaultAfter
	}
	return min(time.Duration(seconds)*time.Second, maxBusy)
}

// again is the latest time at which a report's signatures ask to be judged again.
func again(report []byte) (latest time.Time) {
	if !bytes.Contains(report, []byte(`"try_again":"`)) {
		return latest
	}
	var r struct {
		Signatures []struct {
			TryAgain time.Time `json:"try_again"`
		} `json:"signatures"`
	}
	if json.Unmarshal(report, &r) != nil {
		return latest
	}
	for _, s := range r.Signatures {
		if s.TryAgain.After(latest) {
			latest = s.TryAgain
		}
	}
	return latest
}
