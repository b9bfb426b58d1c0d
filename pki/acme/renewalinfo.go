package acme

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"trustcore/pki"
)

// renewalAgain is after how many seconds a client looks again (RFC 9773 4.3).
const renewalAgain = 6 * 3600

// renewalInfo says when a certificate is best renewed (RFC 9773): in the last third of its life, and at once when it counts no more.
func (s *Server) renewalInfo(w http.ResponseWriter, r *http.Request) {
	number, issuer, ok := certificateID(chi.URLParam(r, "id"))
	if !ok {
		fail(w, notFound("certificate"))
		return
	}
	c, err := s.cfg.CA.Certificate(r.Context(), hexSerial(number))
	isOurs := err == nil && (c.Profile == pki.PartnerServer || c.Profile == pki.PartnerPeer)
	if errors.Is(err, pki.ErrUnknownCertificate) || err == nil && (!isOurs || !strings.EqualFold(c.IssuerID(), issuer)) {
		err = notFound("certificate")
	}
	if err != nil {
		fail(w, err)
		return
	}
	life := c.NotAfter.Sub(c.NotBefore)
	start := c.NotBefore.Add(life * 2 / 3)
	end := start.Add(life / 12)
	if c.State != pki.Valid {
		end = s.cfg.Now().Add(-time.Minute)
		start = end.Add(-time.Hour)
	}
	w.Header().Set("Retry-After", strconv.Itoa(renewalAgain))
	writeJSON(w, map[string]any{"suggestedWindow": map[string]time.Time{
		"start": start.UTC().Truncate(time.Second), "end": end.UTC().Truncate(time.Second)}})
}

// certificateID takes apart what names a certificate: its issuer's key identifier and its serial number, as DER has them
// (RFC 9773 4.1). issuer is lower-case hex.
func certificateID(text string) (number *big.Int, issuer string, ok bool) {
	const longest = 100 // characters: both parts have some 27
	left, right, _ := strings.Cut(text, ".")
	if len(text) > longest {
		return nil, "", false
	}
	key, err1 := base64.RawURLEncoding.Strict().DecodeString(left)
	content, err2 := base64.RawURLEncoding.Strict().DecodeString(right)
	if err1 != nil || err2 != nil || len(key) == 0 || len(content) == 0 {
		return nil, "", false
	}
	rest, err := asn1.Unmarshal(append([]byte{asn1.TagInteger, byte(len(content))}, content...), &number)
	return number, hex.EncodeToString(key), err == nil && len(rest) == 0 && number.Sign() > 0
}
