package gather

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // names issuers in OCSP (RFC 6960, 4.3)
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/fetch"
)

const (
	skew      = 5 * time.Minute // between a responder's clock and ours
	unbounded = time.Hour       // age of an answer that does not say when the next one comes
	maxAnswer = 256 << 10       // octets of an OCSP response; real ones have 0.5 to 5 KB
)

// ocsp asks a responder about a certificate, and keeps the answer when it is good.
func (r *round) ocsp(client *fetch.Client, address string, c, issuer *x509.Certificate) error {
	request, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		return err
	}
	answer, err := client.Post(r.ctx, address, "application/ocsp-request", request)
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("an answer of %d octets, at most %d are taken", len(answer), maxAnswer)
	}
	if err == nil {
		err = r.takeOCSP(answer, c, issuer)
	}
	if err != nil {
		return fmt.Errorf("OCSP from %s: %w", address, err)
	}
	return nil
}

// takeOCSP holds an answer against RFC 6960, 3.2: about this certificate, signed by who may, fresh, and good.
func (r *round) takeOCSP(answer []byte, c, issuer *x509.Certificate) error {
	response, err := ocsp.ParseResponseForCert(answer, c, nil)
	if err != nil {
		return err
	}
	if err := r.authorised(response, issuer); err != nil {
		return err
	}
	if err := aboutIssuer(response, c, issuer); err != nil {
		return err
	}
	if err := r.fresh(response.ThisUpdate, response.NextUpdate); err != nil {
		return err
	}
	switch response.Status {
	case ocsp.Good:
	case ocsp.Revoked:
		return fmt.Errorf("%w since %s", ErrRevoked, response.RevokedAt.UTC().Format(time.RFC3339))
	default:
		return errors.New("the responder does not know the certificate")
	}
	r.found.OCSPs = appendOnce(r.found.OCSPs, answer)
	if d := response.Certificate; d != nil && !d.Equal(issuer) {
		r.found.Certificates = appendOnce(r.found.Certificates, d.Raw)
		r.queue = append(r.queue, d) // its own status, where its issuer does not say that nobody need ask
	}
	return nil
}

// authorised demands that the issuer signed, or somebody whom it made a responder (RFC 6960, 4.2.2.2). The library
// asks for less.
func (r *round) authorised(response *ocsp.Response, issuer *x509.Certificate) error {
	d := response.Certificate
	if d == nil || d.Equal(issuer) {
		if err := response.CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("the issuer's signature: %w", err)
		}
		return nil
	}
	switch {
	case !issued(issuer, d):
		return fmt.Errorf("%q signed, to whom the issuer gave no certificate", d.Subject)
	case !slices.Contains(d.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return fmt.Errorf("%q signed, whom the issuer did not make a responder (RFC 6960, 4.2.2.2)", d.Subject)
	case response.ProducedAt.Before(d.NotBefore) || response.ProducedAt.After(d.NotAfter) || r.now.After(d.NotAfter):
		return fmt.Errorf("the responder's certificate is valid from %s to %s", d.NotBefore.UTC().Format(time.RFC3339),
			d.NotAfter.UTC().Format(time.RFC3339))
	}
	return response.CheckSignatureFrom(d)
}

// fresh demands that an answer counts now.
func (r *round) fresh(this, next time.Time) error {
	switch {
	case this.After(r.now.Add(skew)):
		return fmt.Errorf("it is of the future: %s", this.UTC().Format(time.RFC3339))
	case next.IsZero() && r.now.Sub(this) > unbounded:
		return fmt.Errorf("it is of %s, and does not say how long it counts", this.UTC().Format(time.RFC3339))
	case !next.IsZero() && r.now.After(next):
		return fmt.Errorf("it counted until %s", next.UTC().Format(time.RFC3339))
	}
	return nil
}

// The parts of a BasicOCSPResponse that name the certificate (RFC 6960, 4.2.1); the library compares serial numbers
// alone.
type (
	responseData struct {
		Version     int `asn1:"optional,default:0,explicit,tag:0"`
		ResponderID asn1.RawValue
		ProducedAt  time.Time `asn1:"generalized"`
		Responses   []singleResponse
		Extensions  asn1.RawValue `asn1:"optional,explicit,tag:1"`
	}
	singleResponse struct {
		ID     certID
		Status asn1.RawValue
		This   time.Time     `asn1:"generalized"`
		Next   asn1.RawValue `asn1:"optional,explicit,tag:0"`
		More   asn1.RawValue `asn1:"optional,explicit,tag:1"`
	}
	certID struct {
		Algorithm pkix.AlgorithmIdentifier
		Name, Key []byte
		Serial    asn1.RawValue
	}
)

// aboutIssuer demands that the answer speaks of this issuer's certificate: serial numbers are unique for one issuer
// only.
func aboutIssuer(response *ocsp.Response, c, issuer *x509.Certificate) error {
	var data responseData
	if _, err := asn1.Unmarshal(response.TBSResponseData, &data); err != nil {
		return err
	}
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &key); err != nil {
		return err
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	if err != nil || !response.IssuerHash.Available() {
		return errors.Join(err, errors.New("the answer names the issuer by a hash that is not known here"))
	}
	sum := func(data []byte) []byte {
		h := response.IssuerHash.New()
		h.Write(data)
		return h.Sum(nil)
	}
	for _, s := range data.Responses {
		if bytes.Equal(s.ID.Serial.FullBytes, serial) {
			if bytes.Equal(s.ID.Name, sum(issuer.RawSubject)) && bytes.Equal(s.ID.Key, sum(key.Key.RightAlign())) {
				return nil
			}
			return errors.New("the answer is about a certificate of another issuer")
		}
	}
	return errors.New("the answer is about another certificate")
}

// hasNoCheck tells of id-pkix-ocsp-nocheck in a responder's certificate.
func hasNoCheck(c *x509.Certificate) bool {
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) &&
		slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
			return e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5})
		})
}
