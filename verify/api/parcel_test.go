package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"trustcore/internal/parcel"
	"trustcore/internal/problem"
	"trustcore/verify"
)

const parcels = "/v1/parcels"

// parcelOf is a parcel with these documents.
func parcelOf(contents ...string) (frames []byte) {
	for _, c := range contents {
		frames = append(parcel.AppendDocument(frames, len(c)), c...)
	}
	return frames
}

// sendParcel returns the answer as it begins; the test closes it.
func (s *service) sendParcel(query string, frames []byte) *http.Response {
	s.t.Helper()
	response, err := http.Post(s.url+parcels+query, parcel.MediaType, bytes.NewReader(frames))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// next reads one answer of a parcel.
func (s *service) next(from io.Reader) (status int, answer map[string]any) {
	s.t.Helper()
	status, content, err := parcel.ReadAnswer(from, 1<<20)
	if err == nil {
		err = json.Unmarshal(content, &answer)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", content, err)
	}
	return status, answer
}

// TestParcel judges each document for itself, by what the address asks for, and answers in their order; one that can't
// be judged, is too large or empty has a problem, and the others have their reports.
func TestParcel(t *testing.T) {
	s := newService(t, func(c *Config) { c.Cards = cardsOf(t, officeCards) })
	var seen []asked
	s.do = func(context.Context) (*verify.Report, error) { return nil, nil }
	s.api.cfg.Judge = func(_ context.Context, r verify.Request) (*verify.Report, error) {
		a := asked{data: string(r.Document), at: r.At}
		for _, d := range r.Detached {
			a.detached = append(a.detached, d.Name+"="+string(d.Content))
		}
		seen = append(seen, a)
		switch a.data {
		case "poison":
			return nil, &verify.Fault{Reason: "panic"}
		case "bad":
			return nil, errors.New("nothing in it can be verified")
		}
		return &verify.Report{Policy: a.data, Notes: []string{}}, nil
	}
	frames := append(parcelOf("one"), parcel.AppendBeside(nil, "a.txt", 6)...)
	frames = append(append(frames, "signed"...), parcelOf("poison", "bad", strings.Repeat("x", 1001), "", "two")...)
	response := s.sendParcel("?at=2026-03-03T12:00:00Z&service=podatki", frames)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != parcel.AnswerMediaType {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	for n, want := range []struct {
		status int
		member string
		is     any
	}{{200, "policy", "one"}, {500, "title", "Internal Server Error"}, {422, "detail", "nothing in it can be verified"},
		{413, "detail", "a request to this address has at most 1000 bytes"},
		{400, "field", "document"}, {200, "policy", "two"}} {
		status, answer := s.next(response.Body)
		if status != want.status || answer[want.member] != want.is {
			t.Errorf("answer %d: %d %v", n, status, answer)
		}
		if id := response.Header.Get(problem.IDHeader); status != 200 && (id == "" || answer["request_id"] != id) {
			t.Errorf("answer %d has not the request's id %q: %v", n, id, answer)
		}
	}
	if _, _, err := parcel.ReadAnswer(response.Body, 1<<20); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last answer: %v", err)
	}
	if len(seen) != 4 || seen[0].data != "one" || strings.Join(seen[0].detached, "") != "a.txt=signed" ||
		seen[0].at.IsZero() || len(seen[1].detached) != 0 {
		t.Errorf("judged: %+v", seen)
	}
}

// TestParcelRefused: what is no parcel, or asks for what may not be asked, is refused as a whole and judged in no part.
func TestParcelRefused(t *testing.T) {
	s := newService(t, func(c *Config) {
		c.Cards = cardsOf(t, officeCards)
		c.MayAsk = func(_, service string) error {
			if service == "skargi" {
				return refuse(http.StatusForbidden, "service", "not yours")
			}
			return nil
		}
	})
	s.do = func(context.Context) (*verify.Report, error) { t.Error("judged"); return nil, nil }
	one := string(parcelOf("one"))
	s.wantProblem(parcels, parcel.MediaType, one[:9], 400, "")
	s.wantProblem(parcels, parcel.MediaType, strings.Repeat("x", parcel.MaxBytes+1), 413, "")
	s.wantProblem(parcels, "application/octet-stream", one, 415, "Content-Type")
	s.wantProblem(parcels+"?service=skargi", parcel.MediaType, one, 403, "service")
	s.wantProblem(parcels+"?policy=none", parcel.MediaType, one, 400, "policy")
	s.wantProblem(parcels+"?later=true", parcel.MediaType, one, 400, "later")
	unknown := httptest.NewRequest(http.MethodPost, parcels, strings.NewReader(one))
	unknown.Header.Set("Content-Type", parcel.MediaType)
	unknown.ContentLength = -1
	recorder := httptest.NewRecorder()
	if s.api.ServeHTTP(recorder, unknown); recorder.Code != http.StatusUnsupportedMediaType {
		t.Errorf("without its length: %d", recorder.Code)
	}
	s.api.parcels.max = int64(len(one)) - 1
	s.wantProblem(parcels, parcel.MediaType, one, 503, "")
	if used := s.api.parcels.used.Load(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

// TestParcelAnswersSoon: what is judged is told while the next document is being judged, and each has a turn of its
// own, which the one that came alone has between them.
func TestParcelAnswersSoon(t *testing.T) {
	s := newService(t, nil)
	g := newGate()
	t.Cleanup(func() { close(g.release) })
	s.do = g.judge
	response := make(chan *http.Response, 1)
	go func() { response <- s.sendParcel("", parcelOf("one", "two")) }()
	<-g.started
	alone := make(chan int, 1)
	go func() {
		status, _, _ := s.post(validations, "application/octet-stream", strings.NewReader("x"))
		alone <- status
	}()
	until(t, "the one that came alone", func() bool { _, waiting, _ := s.api.turns.state(); return waiting == 1 })
	g.release <- struct{}{}
	until(t, "the first answer", func() bool { return len(response) == 1 })
	answers := <-response
	if status, _ := s.next(answers.Body); status != http.StatusOK {
		t.Errorf("the first: %d", status)
	}
	<-g.started
	g.release <- struct{}{} // the one that came alone was called first
	if status := <-alone; status != http.StatusOK {
		t.Errorf("alone: %d", status)
	}
	<-g.started
	g.release <- struct{}{}
	if status, _ := s.next(answers.Body); status != http.StatusOK {
		t.Errorf("the second: %d", status)
	}
	until(t, "the end of the turns", func() bool { held, _, taken := s.api.turns.state(); return held == 0 && taken == 0 })
	until(t, "that all bytes are given back", func() bool { return s.api.parcels.used.Load() == 0 })
}
