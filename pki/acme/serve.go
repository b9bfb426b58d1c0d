package acme

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/go-chi/chi/v5"
	step "github.com/smallstep/certificates/acme"
	"github.com/smallstep/certificates/authority"
	"go.step.sm/crypto/jose"

	"trustcore/internal/problem"
	"trustcore/pki"
)

// maxBody bounds a request in octets: a finalization with the largest request for a certificate.
const maxBody = 100 << 10

// sessionKey is where a request's context has its session.
type sessionKey struct{}

func sessionOf(r *http.Request) *session {
	s, _ := r.Context().Value(sessionKey{}).(*session)
	return s
}

// serve answers one request: smallstep's server writes into a buffer, and what leaves is ours to judge.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	own := &session{Server: s}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		own.caller = ap.Addr().Unmap()
	}
	a := &answer{header: http.Header{}}
	switch body, err := own.admit(r); {
	case err != nil:
		a.refuse(err)
	default:
		r.Body = io.NopCloser(bytes.NewReader(body))
		ctx := authority.NewContext(context.WithValue(r.Context(), sessionKey{}, own), s.authority)
		ctx = step.NewContext(ctx, own, &prober{session: own, ctx: ctx}, s.links, nil)
		s.routes.ServeHTTP(a, r.WithContext(ctx))
	}
	own.send(w, r, a)
}

// admit reads a request that is for this host, of a size and from a caller that may come now.
func (s *session) admit(r *http.Request) ([]byte, error) {
	if r.Host != s.host {
		return nil, refuse(step.ErrorMalformedType, http.StatusMisdirectedRequest, "this server is %s", s.cfg.Base)
	}
	if wait := s.callers.take(s.caller, s.cfg.Now()); wait > 0 {
		s.after = wait
		return nil, refuse(step.ErrorRateLimitedType, http.StatusTooManyRequests, "too many requests come from %s", s.caller)
	}
	if err := problem.Limit(r, maxBody); err != nil {
		return nil, refuse(step.ErrorMalformedType, http.StatusRequestEntityTooLarge, "a request has at most %d octets", maxBody)
	}
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p := problem.OfBody(err)
		return nil, refuse(step.ErrorMalformedType, p.Status, "%s", p.Detail)
	}
	return body, nil
}

// answer is what smallstep's server writes, and why.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	fault  error
}

// Header is an http.ResponseWriter's.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader is an http.ResponseWriter's.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write is an http.ResponseWriter's.
func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(text)
}

// Fields belongs to WithFields.
func (*answer) Fields() map[string]any { return nil }

// WithFields is how smallstep's server tells errors that it does not show.
func (a *answer) WithFields(fields map[string]any) {
	if err, is := fields["error"].(error); is {
		a.fault = err
	}
}

// refuse replaces what was written.
func (a *answer) refuse(err error) {
	a.body.Reset()
	a.status, a.fault = http.StatusInternalServerError, err
}

// send writes the answer out; an error becomes a problem document (RFC 8555 6.7) with nothing of the inside in it.
func (s *session) send(w http.ResponseWriter, r *http.Request, a *answer) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	text := a.body.Bytes()
	if a.status >= 300 {
		told := s.told(a)
		if told.Status >= 500 {
			s.cfg.Logger.Error("a request by ACME failed", "error", errors.Join(a.fault, s.cause), "path", r.URL.Path, "partner", s.partner)
		}
		body := struct {
			*step.Error
			Status int `json:"status"`
		}{told, told.Status}
		var err error
		if text, err = json.Marshal(body); err != nil { // texts and a number always marshal
			text = []byte(`{"type":"urn:ietf:params:acme:error:serverInternal","status":500}`)
		}
		a.status = told.Status
		w.Header().Set("Content-Type", problem.MediaType)
		if s.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(s.after))
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // a client that went away has no use for the error
	}
}

// told is what the client learns of an error.
func (s *session) told(a *answer) *step.Error {
	var wrong *pki.RequestError
	switch {
	case errors.As(s.cause, &wrong):
		return refuse(step.ErrorBadCSRType, http.StatusBadRequest, "%s", wrong.Error())
	case errors.Is(s.cause, pki.ErrUnavailable):
		s.after = 5
		return refuse(step.ErrorServerInternalType, http.StatusServiceUnavailable, "the authority can't sign now: finalize the order again in a moment")
	}
	var known *step.Error
	if errors.As(s.cause, &known) || errors.As(a.fault, &known) {
		return s.known(known)
	}
	switch a.status {
	case http.StatusNotFound:
		return notFound("resource")
	case http.StatusMethodNotAllowed:
		return refuse(step.ErrorMalformedType, a.status, "the resource does not have this method")
	}
	if malformed(a.fault) {
		return refuse(step.ErrorMalformedType, http.StatusBadRequest, "the request can't be read")
	}
	return step.NewErrorISE("%v", a.fault)
}

// known gives an error of the protocol the status that RFC 8555 shows, and keeps what smallstep takes for its own fault though the
// client's request is to blame.
func (s *session) known(e *step.Error) *step.Error {
	is := func(kind step.ProblemType) bool { return e.Type == step.NewError(kind, "").Type }
	switch {
	case errors.Is(e.Err, jose.ErrCryptoFailure) && e.Status >= 500:
		return refuse(step.ErrorUnauthorizedType, http.StatusForbidden, "a signature does not prove its key")
	case malformed(e.Err) && e.Status >= 500:
		return refuse(step.ErrorMalformedType, http.StatusBadRequest, "the request can't be read")
	}
	told := &step.Error{Type: e.Type, Detail: e.Detail, Subproblems: e.Subproblems, Status: e.Status}
	switch {
	case is(step.ErrorUnauthorizedType):
		told.Status = http.StatusForbidden
		if s.detail != "" {
			told.Detail = s.detail
		}
	case is(step.ErrorOrderNotReadyType):
		told.Status = http.StatusForbidden
	case is(step.ErrorRateLimitedType):
		told.Status = http.StatusTooManyRequests
	}
	return told
}

// malformed tells what only a client's text brings about.
func malformed(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var encoding base64.CorruptInputError
	return errors.As(err, &syntax) || errors.As(err, &kind) || errors.As(err, &encoding) || errors.Is(err, io.ErrUnexpectedEOF)
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // into a buffer
}

// fail answers with an error.
func fail(w http.ResponseWriter, err error) {
	if a, is := w.(*answer); is {
		a.refuse(err)
	}
}

// directory names the resources (RFC 8555 7.1.1, RFC 9773 3).
func (s *Server) directory(w http.ResponseWriter, r *http.Request) {
	if chi.URLParam(r, "provisionerID") != provisionerName {
		fail(w, notFound("directory"))
		return
	}
	ctx := step.NewProvisionerContext(r.Context(), s.offices)
	link := func(kind step.LinkType) string { return s.links.GetLink(ctx, kind) }
	writeJSON(w, map[string]any{
		"newNonce": link(step.NewNonceLinkType), "newAccount": link(step.NewAccountLinkType), "newOrder": link(step.NewOrderLinkType),
		"revokeCert": link(step.RevokeCertLinkType), "keyChange": link(step.KeyChangeLinkType),
		"renewalInfo": s.cfg.Base + prefix + "/" + provisionerName + "/renewal-info",
		"meta":        map[string]any{"externalAccountRequired": true},
	})
}
