package batch

import (
	"bufio"
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

	"trustcore/internal/parcel"
	"trustcore/internal/problem"
)

// Bounds of one question to verifyd.
const (
	answerTime   = 5 * time.Minute // verifyd gives a document a minute at most, its turn included
	maxBusy      = time.Minute
	maxProblem   = 64 << 10 // bytes
	tookTooLong  = "judging took longer"
	defaultAfter = time.Second

	answersAtOnce = 64 << 10 // bytes of a parcel's answers that are read at a time
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
	content, size, media, err := bodyOf(d)
	if err != nil {
		return Verdict{}, err
	}
	response, err := v.ask(ctx, "/v1/validations", d.Wish, content, size, media)
	if err != nil {
		return Verdict{}, err
	}
	defer response.Body.Close()
	report, err := readAll(response, maxResult)
	if err != nil {
		return Verdict{}, fmt.Errorf("verifyd was lost in its answer: %w", err)
	}
	return Verdict{Report: report, Again: again(report)}, nil
}

// JudgeParcel is a JudgeParcel. Each answer has the time that Judge has.
func (v *Verifyd) JudgeParcel(ctx context.Context, p Parcel, got func(Verdict, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(answerTime, func() { cancel(context.DeadlineExceeded) })
	defer silent.Stop()
	response, err := v.ask(ctx, "/v1/parcels", p.Wish, bytes.NewReader(p.Frames), int64(len(p.Frames)), parcel.MediaType)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answers := bufio.NewReaderSize(response.Body, answersAtOnce)
	for range p.Documents {
		status, content, err := parcel.ReadAnswer(answers, maxResult)
		switch {
		case err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			return errSilent
		case err != nil:
			return fmt.Errorf("verifyd was lost in its answers: %w", err)
		case status == http.StatusOK:
			got(Verdict{Report: content, Again: again(content)}, nil)
		default:
			got(Verdict{}, refusal(status, content, defaultAfter))
		}
		silent.Reset(answerTime)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(answers, 1)) // the end, so that the connection is used again
	return err
}

// errSilent tells that verifyd did not answer.
var errSilent = &Failure{http.StatusGatewayTimeout, "no answer in time"}

// ask sends a question. What is returned has status 200.
func (v *Verifyd) ask(ctx context.Context, path string, wish Wish, body io.Reader, size int64,
	media string) (*http.Response, error) {
	connected := false
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		connected = true
	}})
	request, err := http.NewRequestWithContext(traced, http.MethodPost, v.url+path+"?"+wish.query(), body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", media)
	if wish.Language != "" {
		request.Header.Set("Accept-Language", wish.Language)
	}
	response, err := v.client.Do(request)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, errSilent
	case err != nil && !connected:
		return nil, &Unreached{err}
	case err != nil:
		return nil, fmt.Errorf("verifyd was lost: %w", err)
	case response.StatusCode != http.StatusOK:
		defer response.Body.Close()
		return nil, refused(response)
	}
	return response, nil
}

// query is the wish as parameters of an address.
func (w Wish) query() string {
	query := url.Values{}
	for name, value := range map[string]string{"at": w.At, "policy": w.Policy, "service": w.Service} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query.Encode()
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
	text, err := readAll(response, maxProblem)
	if err != nil {
		return fmt.Errorf("verifyd was lost in its answer: %w", err)
	}
	return refusal(response.StatusCode, text, after(response))
}

// refusal makes an error of a problem with its status. after is how long the service asks to be left alone.
func refusal(status int, text []byte, after time.Duration) error {
	var p problem.Problem
	if json.Unmarshal(text, &p) != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("verifyd answered %d %s", status, http.StatusText(status))
	}
	switch {
	case status == http.StatusServiceUnavailable && strings.HasPrefix(p.Detail, tookTooLong):
		return &Failure{status, p.Detail}
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests,
		status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &Busy{after} // who is not let in now was let in before: the document is not at fault
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout:
		return &Failure{status, p.Detail}
	}
	return &Refusal{status, p.Detail}
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
