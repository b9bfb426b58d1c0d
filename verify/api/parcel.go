package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"trustcore/internal/parcel"
	"trustcore/internal/problem"
	"trustcore/verify/signature"
)

// ParcelRoute is where the dispatcher of batches hands over several small documents with one request (see package
// parcel). It is between the appliance's own daemons, and not in the description.
const ParcelRoute = "POST /v1/parcels"

// Bounds of parcels.
const (
	maxParcels  = 32 << 20             // bytes of parcels that are in memory
	answersSoon = 2 * time.Millisecond // that an answer may wait for others to go with it
	answersFull = 32 << 10             // bytes of answers that wait for no others
)

// parcelQuery are the parameters of all documents of a parcel.
var parcelQuery = []string{"at", "policy", "service"}

// parcel judges the documents of a parcel one after the other, each with a turn and a time of its own, and answers each
// as soon as it is judged: what one of them does to us costs the others nothing but waiting.
func (s *Server) parcel(w http.ResponseWriter, r *http.Request) {
	began, c := time.Now(), newCall(r)
	c.caller = s.cfg.Caller(r)
	in, documents, done, err := s.readParcel(c, r)
	if err == nil {
		defer done()
		s.answerParcel(w, r, in, documents, c.language)
	}
	s.cfg.Logger.Info("asked", "server", s.door.Name, "request", w.Header().Get(problem.IDHeader), "caller", c.caller,
		"route", ParcelRoute, "documents", len(documents), "served", err == nil, "took", time.Since(began).String())
	if err != nil {
		s.door.Fail(w, r, err)
	}
}

// readParcel receives the parcel to its end. The caller calls done when it needs the documents no more.
func (s *Server) readParcel(c *call, r *http.Request) (in order, documents []parcel.Document, done func(), err error) {
	if c.query, err = problem.Query(r, parcelQuery...); err != nil {
		return in, nil, nil, err
	}
	if in, err = s.ordered(c); err != nil {
		return in, nil, nil, err
	}
	if err := s.mayJudge(r, parcel.MaxBytes); err != nil {
		return in, nil, nil, err
	}
	if r.Header.Get("Content-Type") != parcel.MediaType || r.ContentLength < 0 {
		return in, nil, nil, refuse(http.StatusUnsupportedMediaType, "Content-Type",
			"send a parcel as %s, with its length", parcel.MediaType)
	}
	if !s.parcels.take(r.ContentLength) {
		return in, nil, nil, busy()
	}
	done = func() { s.parcels.give(r.ContentLength) }
	data := make([]byte, r.ContentLength)
	if _, err = io.ReadFull(r.Body, data); err == nil {
		if documents, err = parcel.Read(data); err != nil {
			err = refuse(http.StatusBadRequest, "", "%v", err)
		}
	}
	if err != nil {
		done()
	}
	return in, documents, done, err
}

// answerParcel judges the documents and sends what became of each, until the client has left.
func (s *Server) answerParcel(w http.ResponseWriter, r *http.Request, in order, documents []parcel.Document,
	language string) {
	w.Header().Set("Content-Type", parcel.AnswerMediaType)
	w.Header().Set("Cache-Control", "no-store")
	pen := &answerPen{to: w, id: w.Header().Get(problem.IDHeader)}
	defer pen.close()
	for _, d := range documents {
		content, err := s.judgeParcelled(r.Context(), in, d, language)
		if r.Context().Err() != nil {
			return
		}
		if err != nil {
			err = pen.problem(func() *problem.Problem { return s.door.Explain(w, r, err) })
		} else {
			err = pen.write(http.StatusOK, content)
		}
		if err != nil { // nobody reads on
			return
		}
	}
}

// judgeParcelled is the report on one document, JSON. The document has a turn of its own, as if it had come alone.
func (s *Server) judgeParcelled(ctx context.Context, in order, d parcel.Document, language string) (report []byte,
	err error) {
	in.Document = d.Content
	size := int64(len(d.Content))
	for _, f := range d.Beside {
		in.Detached = append(in.Detached, signature.Detached{Name: f.Name, Content: f.Content})
		size += int64(len(f.Content))
	}
	switch {
	case size > s.cfg.MaxDocument:
		return nil, &http.MaxBytesError{Limit: s.cfg.MaxDocument}
	case len(d.Content) == 0:
		return nil, refuse(http.StatusBadRequest, "document", "the document is empty")
	}
	done, err := s.turns.take(ctx, workDocument+workByte*size)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	verdict, err := s.judgeOrder(ctx, in, language)
	if err != nil {
		return nil, err
	}
	return verdict.JSON()
}

// answerPen sends answers together that come soon after each other: a write that is sent for itself costs as much as a
// good part of judging a small document.
type answerPen struct {
	id string // of the request

	mu     sync.Mutex
	to     http.ResponseWriter // guarded by mu, its headers too
	wait   []byte              // guarded by mu
	timer  *time.Timer         // sends what waits; nil where nothing does; guarded by mu
	failed error               // of sending; guarded by mu
}

// write takes an answer. An error tells that an earlier one did not go out.
func (p *answerPen) write(status int, content []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(status, content)
}

// problem takes one in place of a report.
func (p *answerPen) problem(explain func() *problem.Problem) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	told := *explain()
	told.RequestID = p.id
	content, err := json.Marshal(told)
	if err != nil {
		return err
	}
	return p.add(told.Status, content)
}

// add is called with mu held.
func (p *answerPen) add(status int, content []byte) error {
	p.wait = append(parcel.AppendAnswer(p.wait, status, len(content)), content...)
	switch {
	case len(p.wait) >= answersFull:
		p.flush()
	case p.timer == nil:
		p.timer = time.AfterFunc(answersSoon, p.close)
	}
	return p.failed
}

// close sends what waits.
func (p *answerPen) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

// flush is called with mu held.
func (p *answerPen) flush() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if len(p.wait) == 0 || p.failed != nil {
		return
	}
	if _, p.failed = p.to.Write(p.wait); p.failed == nil {
		p.failed = http.NewResponseController(p.to).Flush()
	}
	p.wait = p.wait[:0]
}
