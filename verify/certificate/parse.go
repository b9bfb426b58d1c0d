package certificate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ErrTrailing is returned by Parse for bytes after the end of the certificate; whoever expects padding cuts it first.
var ErrTrailing = errors.New("data after the end of the certificate")

// Parse reads one DER certificate, which must be the whole of der. It keeps der: the caller must not change it.
func Parse(der []byte) (*Certificate, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("certificate of %d bytes: more than %d", len(der), MaxSize)
	}
	c := &Certificate{}
	input := cryptobyte.String(der)
	var raw, outer, tbs cryptobyte.String
	if !input.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return nil, errors.New("certificate is no DER SEQUENCE")
	}
	if !input.Empty() {
		return nil, ErrTrailing
	}
	c.Raw, c.Fingerprint = raw, sha256.Sum256(raw)
	raw.ReadASN1(&outer, asn1.SEQUENCE)
	if !outer.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		return nil, errors.New("malformed TBSCertificate")
	}
	c.RawTBS = tbs
	if err := c.readSignature(&outer); err != nil {
		return nil, err
	}
	var body cryptobyte.String
	tbs.ReadASN1(&body, asn1.SEQUENCE)
	if err := c.readTBS(body); err != nil {
		return nil, err
	}
	if !bytes.Equal(c.SignatureAlgorithm, c.TBSSignatureAlgorithm) {
		c.find(AlgorithmMismatch, "", "")
	}
	return c, nil
}

// readSignature reads signatureAlgorithm and signatureValue.
func (c *Certificate) readSignature(outer *cryptobyte.String) error {
	var algorithm, raw, value cryptobyte.String
	if !outer.ReadASN1Element(&algorithm, asn1.SEQUENCE) || !outer.ReadASN1Element(&raw, asn1.BIT_STRING) {
		return errors.New("malformed signature")
	}
	c.SignatureAlgorithm, c.RawSignature = algorithm, raw
	if !raw.ReadASN1(&value, asn1.BIT_STRING) || len(value) == 0 || value[0] > 7 {
		return errors.New("malformed signature")
	}
	if value[0] != 0 {
		c.find(BadBitString, "", "")
	}
	c.Signature = value[1:]
	if !outer.Empty() {
		c.find(TrailingData, "", "after the signature")
	}
	return nil
}

// readTBS reads the fields of TBSCertificate (RFC 5280 4.1.2).
func (c *Certificate) readTBS(tbs cryptobyte.String) error {
	if err := c.readVersion(&tbs); err != nil {
		return err
	}
	if err := c.readSerial(&tbs); err != nil {
		return err
	}
	var algorithm, issuer, validity, subject, spki cryptobyte.String
	if !tbs.ReadASN1Element(&algorithm, asn1.SEQUENCE) || !tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!tbs.ReadASN1(&validity, asn1.SEQUENCE) || !tbs.ReadASN1Element(&subject, asn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&spki, asn1.SEQUENCE) {
		return errors.New("malformed TBSCertificate")
	}
	c.TBSSignatureAlgorithm, c.RawIssuer, c.RawSubject, c.RawSPKI = algorithm, issuer, subject, spki
	c.KeyFingerprint = sha256.Sum256(spki)
	if err := c.readValidity(validity); err != nil {
		return err
	}
	if err := c.readNames(); err != nil {
		return err
	}
	c.readKeyFindings()
	return c.readTail(tbs)
}

func (c *Certificate) readVersion(tbs *cryptobyte.String) error {
	var field cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&field, &present, asn1.Tag(0).Constructed().ContextSpecific()) {
		return errors.New("malformed version")
	}
	c.Version = 1
	if !present {
		return nil
	}
	var v int
	if !field.ReadASN1Integer(&v) || !field.Empty() || v < 0 || v > 2 {
		return errors.New("unknown certificate version")
	}
	if c.Version = v + 1; v == 0 {
		c.find(ExplicitDefault, "", "version")
	}
	return nil
}

func (c *Certificate) readSerial(tbs *cryptobyte.String) error {
	var serial cryptobyte.String
	if !tbs.ReadASN1(&serial, asn1.INTEGER) || len(serial) == 0 {
		return errors.New("malformed serial number")
	}
	c.Serial = serial
	switch {
	case serial[0]&0x80 != 0:
		c.find(NegativeSerial, "", "")
	case len(bytes.TrimLeft(serial, "\x00")) == 0:
		c.find(ZeroSerial, "", "")
	}
	if len(serial) > 20 {
		c.find(LongSerial, "", "")
	}
	if len(serial) > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
		c.find(NonMinimalInteger, "", "serial number")
	}
	return nil
}

func (c *Certificate) readValidity(validity cryptobyte.String) error {
	for i, field := range []string{"notBefore", "notAfter"} {
		t, lax, err := ReadTime(&validity)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if lax != "" {
			c.find(lax, "", field)
		}
		if i == 0 {
			c.NotBefore = t
		} else {
			c.NotAfter = t
		}
	}
	if !validity.Empty() {
		c.find(TrailingData, "", "validity")
	}
	return nil
}

func (c *Certificate) readNames() error {
	var err error
	if c.Issuer, err = ParseName(c.RawIssuer); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if c.Issuer.Empty() {
		c.find(EmptyIssuer, "", "")
	}
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		c.Subject = c.Issuer
		c.Subject.Raw = c.RawSubject
	} else if c.Subject, err = ParseName(c.RawSubject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	for _, a := range c.Subject.Attributes {
		if _, ok := decodeString(a.Tag, nil); !ok && a.Type == AttrPostalAddress {
			c.find(PostalAddress, "", "")
		}
	}
	return nil
}

// readTail reads the unique identifiers and the extensions.
func (c *Certificate) readTail(tbs cryptobyte.String) error {
	for i, id := range []*[]byte{&c.IssuerUniqueID, &c.SubjectUniqueID} {
		var field cryptobyte.String
		var present bool
		if !tbs.ReadOptionalASN1(&field, &present, asn1.Tag(i+1).ContextSpecific()) {
			return errors.New("malformed unique identifier")
		}
		if present {
			if len(field) == 0 || field[0] > 7 {
				return errors.New("malformed unique identifier")
			}
			*id = field[1:]
			if c.Version < 2 {
				c.find(BadVersion, "", "unique identifier")
			}
		}
	}
	var field cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&field, &present, asn1.Tag(3).Constructed().ContextSpecific()) {
		return errors.New("malformed extensions")
	}
	if !tbs.Empty() {
		return errors.New("data after the extensions")
	}
	if !present {
		return nil
	}
	if c.Version != 3 {
		c.find(BadVersion, "", "extensions")
	}
	return c.readExtensions(field)
}
