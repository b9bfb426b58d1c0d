package acme

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"

	step "github.com/smallstep/certificates/acme"
	"go.step.sm/crypto/jose"

	"trustcore/pki"
)

// reasons are those that a client may give (RFC 5280 5.3.1): it neither suspends nor speaks for an authority.
var reasons = []pki.Reason{pki.Unspecified, pki.KeyCompromise, pki.AffiliationChanged, pki.Superseded,
	pki.CessationOfOperation, pki.PrivilegeWithdrawn}

// revoking revokes what smallstep's handler agreed to: it has judged by then that the account is the certificate's, or that the
// request is signed by the certificate's own key (RFC 8555 7.6).
func (s *Server) revoking(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		h(w, r)
		a, is := w.(*answer)
		if !is || a.status != http.StatusOK {
			return
		}
		if err := sessionOf(r).revoke(r, body); err != nil {
			a.refuse(err)
		}
	}
}

func (s *session) revoke(r *http.Request, body []byte) error {
	var asked struct {
		Certificate string     `json:"certificate"`
		Reason      pki.Reason `json:"reason"`
	}
	if err := payloadOf(body, &asked); err != nil {
		return err
	}
	if !slices.Contains(reasons, asked.Reason) {
		return refuse(step.ErrorBadRevocationReasonType, http.StatusBadRequest, "give reason 0, 1, 3, 4, 5 or 9, or none")
	}
	der, err := base64.RawURLEncoding.DecodeString(asked.Certificate)
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	known, err := s.cfg.CA.Certificate(r.Context(), hexSerial(c.SerialNumber))
	if err != nil {
		return err
	}
	if s.partner == "" { // by the certificate's own key
		s.partner = known.Partner
	}
	_, err = s.cfg.CA.Revoke(r.Context(), s.actor(), pki.Selector{Serial: known.Serial}, asked.Reason, known.Order)
	return err
}

// payloadOf reads the payload of a request that was verified before.
func payloadOf(body []byte, into any) error {
	var jws struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(body, &jws); err != nil {
		return err
	}
	text, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// protectedOf reads the header of a request that was verified before.
func protectedOf(body []byte) (header jose.Header, url string, err error) {
	jws, err := jose.ParseJWS(string(body))
	if err != nil {
		return header, "", err
	}
	if len(jws.Signatures) != 1 {
		return header, "", refuse(step.ErrorMalformedType, http.StatusBadRequest, "a request has one signature")
	}
	header = jws.Signatures[0].Protected
	url, _ = header.ExtraHeaders["url"].(string)
	return header, url, nil
}
