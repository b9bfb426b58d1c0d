package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	step "github.com/smallstep/certificates/acme"
	"go.step.sm/crypto/jose"

	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// bodyOf takes a copy of a request's body, which serve has read.
func bodyOf(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body) // of a reader over bytes
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// keyChange changes an account's key (RFC 8555 7.3.5), which smallstep's server does not: its handler judges the outer request, by
// nonce, URL and the account's key, and says that it goes no further.
func (s *Server) keyChange(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, is := w.(*answer)
		body := bodyOf(r)
		h(w, r)
		if !is || a.status != http.StatusNotImplemented {
			return
		}
		a.status, a.fault = 0, nil
		a.body.Reset()
		a.header.Del("Content-Type")
		own := sessionOf(r)
		if err := own.changeKey(r.Context(), body); err != nil {
			a.refuse(err)
			return
		}
		writeJSON(w, own.account)
	}
}

// accountAlgorithms are those that the server takes from accounts.
var accountAlgorithms = []string{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}

func (s *session) changeKey(ctx context.Context, body []byte) error {
	if s.account == nil {
		return errors.New("a change of key without its account")
	}
	outer, url, err := protectedOf(body)
	if err != nil {
		return err
	}
	next, err := s.newKey(body, outer.KeyID, url)
	if err != nil {
		return err
	}
	if err := s.checkAccountKey(ctx, next); err != nil {
		return err
	}
	before, err := step.KeyToID(s.account.Key)
	if err != nil {
		return err
	}
	after, err := step.KeyToID(next)
	if err != nil {
		return err
	}
	jwk, err := json.Marshal(next)
	if err != nil {
		return err
	}
	entry := audit.Entry{Actor: s.actor(), Action: "acme.account-key", Subject: s.account.ID, Partner: s.partner,
		Details: map[string]string{"key_thumbprint": after}}
	err = s.cfg.Audit.Act(ctx, entry, s.cfg.Now, func() error {
		result, err := s.cfg.DB.ExecContext(ctx, `UPDATE acme_account SET thumbprint = $1, jwk = $2 WHERE id = $3 AND thumbprint = $4`,
			after, string(jwk), s.account.ID, before)
		if err != nil {
			return err
		}
		if count, err := result.RowsAffected(); err != nil || count != 1 {
			return errors.Join(refuse(step.ErrorUnauthorizedType, http.StatusForbidden, "the account's key was changed meanwhile"), err)
		}
		return nil
	})
	if store.Taken(err) {
		return refuse(step.ErrorMalformedType, http.StatusConflict, "the new key is another account's")
	}
	return err
}

// newKey judges the inner request: it is signed by the new key, for this account and its old key, at this address.
func (s *session) newKey(body []byte, kid, url string) (*jose.JSONWebKey, error) {
	no := func(why string) error {
		return refuse(step.ErrorMalformedType, http.StatusBadRequest, "the inner request: %s", why)
	}
	var text json.RawMessage
	if err := payloadOf(body, &text); err != nil {
		return nil, err
	}
	jws, err := jose.ParseJWS(string(text))
	if err != nil || len(jws.Signatures) != 1 {
		return nil, no("can't be read")
	}
	inner := jws.Signatures[0].Protected
	at, _ := inner.ExtraHeaders["url"].(string)
	switch {
	case inner.JSONWebKey == nil || inner.KeyID != "":
		return nil, no("has to bring the new key as jwk")
	case !slices.Contains(accountAlgorithms, inner.Algorithm):
		return nil, refuse(step.ErrorBadSignatureAlgorithmType, http.StatusBadRequest, "the inner request: unsuitable algorithm")
	case at != url:
		return nil, no("its url is not that of the outer request")
	case inner.Nonce != "":
		return nil, no("has no nonce")
	}
	payload, err := jws.Verify(inner.JSONWebKey)
	if err != nil {
		return nil, no("is not signed by the new key")
	}
	var change struct {
		Account string           `json:"account"`
		OldKey  *jose.JSONWebKey `json:"oldKey"`
	}
	if err := json.Unmarshal(payload, &change); err != nil || change.OldKey == nil {
		return nil, no("has to name account and oldKey")
	}
	old, err1 := step.KeyToID(change.OldKey)
	own, err2 := step.KeyToID(s.account.Key)
	if err1 != nil || err2 != nil || old != own || change.Account != kid {
		return nil, no("names another account or key")
	}
	return inner.JSONWebKey, nil
}
