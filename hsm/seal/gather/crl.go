package gather

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxList is the longest list that comes into a seal, in octets: each seal would carry it. Who has a longer one has
// OCSP.
const maxList = 4 << 20

// list asks for a revocation list, and keeps it when it says nothing of the certificate.
func (r *round) list(address string, c, issuer *x509.Certificate) error {
	body, known := r.lists[address]
	if !known {
		var err error
		if body, err = r.cfg.Strangers.Get(r.ctx, address); err != nil {
			return fmt.Errorf("CRL from %s: %w", address, err)
		}
		if block, _ := pem.Decode(body); block != nil {
			body = block.Bytes
		}
		if r.lists == nil {
			r.lists = map[string][]byte{}
		}
		r.lists[address] = body
	}
	if len(body) > maxList {
		return fmt.Errorf("CRL from %s: of %d octets, at most %d come into a seal", address, len(body), maxList)
	}
	if err := r.takeCRL(body, address, c, issuer); err != nil {
		return fmt.Errorf("CRL from %s: %w", address, err)
	}
	return nil
}

// takeCRL holds a list against RFC 5280, 6.3: the issuer's, whole, fresh, and about such certificates.
func (r *round) takeCRL(body []byte, address string, c, issuer *x509.Certificate) error {
	l, err := x509.ParseRevocationList(body)
	if err != nil {
		return err
	}
	if !bytes.Equal(l.RawIssuer, c.RawIssuer) {
		return fmt.Errorf("it is the list of %q", l.Issuer)
	}
	if err := l.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("the issuer's signature: %w", err)
	}
	if l.NextUpdate.IsZero() {
		return errors.New("it does not say how long it counts (RFC 5280, 5.1.2.5)")
	}
	if err := r.fresh(l.ThisUpdate, l.NextUpdate); err != nil {
		return err
	}
	for _, e := range l.Extensions {
		if err := covers(e, address, c); err != nil {
			return err
		}
	}
	for _, entry := range l.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(c.SerialNumber) == 0 {
			return fmt.Errorf("%w since %s", ErrRevoked, entry.RevocationTime.UTC().Format(time.RFC3339))
		}
	}
	r.found.CRLs = appendOnce(r.found.CRLs, body)
	return nil
}

var oidScope = asn1.ObjectIdentifier{2, 5, 29, 28}

// scope is the IssuingDistributionPoint (RFC 5280, 5.2.5).
type scope struct {
	Point      asn1.RawValue  `asn1:"optional,explicit,tag:0"`
	Users      bool           `asn1:"optional,tag:1"`
	CAs        bool           `asn1:"optional,tag:2"`
	Reasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect   bool           `asn1:"optional,tag:4"`
	Attributes bool           `asn1:"optional,tag:5"`
}

// covers refuses a list that leaves certificates like this one out, or says so in an extension that is not known here.
func covers(e pkix.Extension, address string, c *x509.Certificate) error {
	if !e.Id.Equal(oidScope) {
		if e.Critical {
			return fmt.Errorf("it has the critical extension %s: it is not the whole list", e.Id)
		}
		return nil
	}
	var s scope
	if rest, err := asn1.Unmarshal(e.Value, &s); err != nil || len(rest) > 0 {
		return fmt.Errorf("its issuingDistributionPoint can't be read: %w", err)
	}
	switch {
	case s.Reasons.BitLength > 0 || s.Indirect || s.Attributes:
		return errors.New("it is a list of some reasons, of other issuers or of attribute certificates")
	case s.Users && c.IsCA, s.CAs && !c.IsCA:
		return errors.New("it leaves out certificates like this one")
	}
	if names := pointNames(s.Point); len(names) > 0 && !slices.Contains(names, address) &&
		!slices.ContainsFunc(names, func(n string) bool { return slices.Contains(c.CRLDistributionPoints, n) }) {
		return errors.New("it is the list of another distribution point")
	}
	return nil
}

// pointNames are the addresses of a DistributionPointName.
func pointNames(point asn1.RawValue) []string {
	var names []string
	var full asn1.RawValue
	if _, err := asn1.Unmarshal(point.Bytes, &full); err != nil || full.Tag != 0 {
		return nil
	}
	for rest := full.Bytes; len(rest) > 0; {
		var n asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &n); err != nil {
			return names
		}
		if n.Class == asn1.ClassContextSpecific && n.Tag == 6 {
			names = append(names, string(n.Bytes))
		}
	}
	return names
}
