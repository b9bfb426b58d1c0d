package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// Limits of CRLs.
const (
	// MaxCRLSize is the largest CRL that ParseCRL takes, in octets. The largest ones of public issuers reach 40 MB. The index
	// takes at most half as much again; offsets have 26 bits because of this limit.
	MaxCRLSize = 64 << 20
	// maxCRLNumber bounds cRLNumber, in octets; RFC 5280 5.2.3 allows 20.
	maxCRLNumber = 64
	// maxEntryIssuers bounds the different issuers named in one indirect CRL; national ones name hundreds.
	maxEntryIssuers = 10000
	// maxListExtensions bounds the extensions of a list; real ones have fewer than 10.
	maxListExtensions = 100
)

var errMalformed = errors.New("malformed")

// Extensions of lists and entries that the engine understands.
const (
	extCRLNumber           certificate.OID = "\x55\x1d\x14"
	extReasonCode          certificate.OID = "\x55\x1d\x15"
	extHoldInstruction     certificate.OID = "\x55\x1d\x17"
	extInvalidityDate      certificate.OID = "\x55\x1d\x18"
	extDeltaIndicator      certificate.OID = "\x55\x1d\x1b"
	extIssuingPoint        certificate.OID = "\x55\x1d\x1c"
	extCertificateIssuer   certificate.OID = "\x55\x1d\x1d"
	extExpiredCertsOnCRL   certificate.OID = "\x55\x1d\x3c"
	extAuthorityKeyID                      = certificate.ExtAuthorityKeyID
	extFreshestCRL                         = certificate.ExtFreshestCRL
	extIssuerAltName                       = certificate.ExtIssuerAltName
	extAuthorityInfoAccess                 = certificate.ExtAuthorityInfoAccess
)

// Findings of a CRL that are tolerated.
const (
	FindingArmoured     = "text encoding (PEM or base64) in place of DER"
	FindingEmptyList    = "empty list of revoked certificates (RFC 5280 5.1.2.6 wants it absent)"
	FindingNoNextUpdate = "no nextUpdate (RFC 5280 5.1.2.5)"
	FindingTime         = "time not in the form of RFC 5280"
	FindingDuplicate    = "certificate listed twice: the earliest date counts"
	FindingVersion      = "extensions in a CRL that is not version 2"
)

// CRL is a parsed CertificateList (RFC 5280 5.1). Its slices point into the bytes given to ParseCRL: nothing may be changed
// afterwards. It is immutable and safe for concurrent use.
type CRL struct {
	Raw                   []byte // the whole DER
	RawTBS                []byte // TBSCertList: what the signature covers
	SignatureAlgorithm    []byte // outer AlgorithmIdentifier, DER
	TBSSignatureAlgorithm []byte // the one inside; must be the same (RFC 5280 5.1.1.2)
	Signature             []byte // content of the BIT STRING without the octet of unused bits

	Issuer     certificate.Name
	ThisUpdate time.Time // UTC
	NextUpdate time.Time // zero where absent

	Number            *big.Int // cRLNumber, nil where absent
	Base              *big.Int // BaseCRLNumber of a delta CRL, nil for a complete one
	AKI               *certificate.AuthorityKeyID
	IssuingPoint      *IssuingPoint // nil where absent
	FreshestCRL       []certificate.DistributionPoint
	ExpiredCertsSince time.Time // expiredCertsOnCRL (X.509 9.5.2.8): expired certificates are kept from here on; zero where absent

	// Critical holds the critical extensions of the list that are not known, and of the entries the first one. Such a list never
	// says that a certificate is good (RFC 5280 5.2, 5.3).
	Critical []certificate.OID
	// Misflagged are known extensions whose criticality is not that of RFC 5280 5.2 and X.509 9.5.
	Misflagged []certificate.OID
	Findings   []string

	index index

	digestOnce sync.Once
	digest     [sha256.Size]byte
}

// IssuingPoint is the issuingDistributionPoint (RFC 5280 5.2.5): the scope of a list.
type IssuingPoint struct {
	Raw            []byte // value of the extension
	Name           *certificate.DistributionPointName
	OnlyUser       bool
	OnlyCA         bool
	OnlyAttribute  bool
	Indirect       bool
	HasSomeReasons bool
	SomeReasons    certificate.ReasonFlags
}

// Digest is the SHA-256 of the DER.
func (c *CRL) Digest() [sha256.Size]byte {
	c.digestOnce.Do(func() { c.digest = sha256.Sum256(c.Raw) })
	return c.digest
}

// Len is the number of entries, duplicates counted once.
func (c *CRL) Len() int { return c.index.count }

// Delta reports whether this is a delta CRL.
func (c *CRL) Delta() bool { return c.Base != nil }

// ParseCRL reads a CertificateList: DER, or the PEM or base64 that some distribution points serve. Work and memory are
// linear in the input; nothing is copied of DER.
func ParseCRL(data []byte) (*CRL, error) {
	if len(data) > MaxCRLSize {
		return nil, fmt.Errorf("CRL of %d octets, the limit is %d", len(data), MaxCRLSize)
	}
	c := &CRL{Raw: data}
	if len(data) > 0 && data[0] != 0x30 {
		der, ok := unarmour(data)
		if !ok {
			return nil, fmt.Errorf("CRL: %w", errMalformed)
		}
		c.Raw = der
		c.find(FindingArmoured)
	}
	if err := c.parse(); err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	return c, nil
}

// unarmour decodes PEM, or base64 without its frame.
func unarmour(data []byte) ([]byte, bool) {
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes, true
	}
	packed := bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, data)
	der := make([]byte, base64.StdEncoding.DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Decode(der, packed)
	return der[:n], err == nil && n > 0
}

func (c *CRL) find(finding string) { c.Findings = append(c.Findings, finding) }

// Has reports whether a finding was made.
func (c *CRL) Has(finding string) bool {
	for _, f := range c.Findings {
		if f == finding {
			return true
		}
	}
	return false
}

func (c *CRL) parse() error {
	input := cryptobyte.String(c.Raw)
	var list, tbs, alg, bits cryptobyte.String
	if !input.ReadASN1(&list, asn1.SEQUENCE) || !list.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!list.ReadASN1Element(&alg, asn1.SEQUENCE) || !list.ReadASN1(&bits, asn1.BIT_STRING) || !list.Empty() {
		return errMalformed
	}
	if len(bits) < 1 || bits[0] != 0 {
		return fmt.Errorf("%w signature", errMalformed)
	}
	if trailing := bytes.Trim(input, "\x00\r\n"); len(trailing) > 0 {
		return fmt.Errorf("%w: data after the end", errMalformed)
	}
	c.Raw = c.Raw[:len(c.Raw)-len(input)]
	c.RawTBS, c.SignatureAlgorithm, c.Signature = tbs, alg, bits[1:]
	return c.parseTBS(tbs)
}

func (c *CRL) parseTBS(element cryptobyte.String) error {
	var tbs, alg, issuer cryptobyte.String
	element.ReadASN1(&tbs, asn1.SEQUENCE)
	version := 0
	if tbs.PeekASN1Tag(asn1.INTEGER) && (!tbs.ReadASN1Integer(&version) || version != 1) {
		return fmt.Errorf("%w version: where it is written it must be 2 (RFC 5280 5.1.2.1)", errMalformed)
	}
	if !tbs.ReadASN1Element(&alg, asn1.SEQUENCE) || !tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) {
		return fmt.Errorf("%w head", errMalformed)
	}
	c.TBSSignatureAlgorithm = alg
	var err error
	if c.Issuer, err = certificate.ParseName(issuer); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if c.ThisUpdate, err = c.readTime(&tbs); err != nil {
		return fmt.Errorf("thisUpdate: %w", err)
	}
	if tbs.PeekASN1Tag(asn1.UTCTime) || tbs.PeekASN1Tag(asn1.GeneralizedTime) {
		if c.NextUpdate, err = c.readTime(&tbs); err != nil {
			return fmt.Errorf("nextUpdate: %w", err)
		}
	} else {
		c.find(FindingNoNextUpdate)
	}
	var entries cryptobyte.String
	hasEntries := tbs.PeekASN1Tag(asn1.SEQUENCE)
	if hasEntries && !tbs.ReadASN1(&entries, asn1.SEQUENCE) {
		return fmt.Errorf("%w list", errMalformed)
	}
	if hasEntries && entries.Empty() {
		c.find(FindingEmptyList)
	}
	if err := c.parseExtensions(&tbs, version); err != nil {
		return err
	}
	if err := c.index.build(c, entries); err != nil {
		return err
	}
	if c.index.extended && version != 1 {
		c.find(FindingVersion)
	}
	return nil
}

func (c *CRL) readTime(input *cryptobyte.String) (time.Time, error) {
	t, lax, err := certificate.ReadTime(input)
	if lax != "" && !c.Has(FindingTime) {
		c.find(FindingTime)
	}
	return t, err
}

// parseExtensions reads crlExtensions, [0] EXPLICIT, which must end the TBSCertList.
func (c *CRL) parseExtensions(tbs *cryptobyte.String, version int) error {
	var wrapped, list cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&wrapped, &present, asn1.Tag(0).Constructed().ContextSpecific()) || !tbs.Empty() {
		return fmt.Errorf("%w extensions", errMalformed)
	}
	if !present {
		return nil
	}
	if version != 1 {
		c.find(FindingVersion)
	}
	if !wrapped.ReadASN1(&list, asn1.SEQUENCE) || !wrapped.Empty() {
		return fmt.Errorf("%w extensions", errMalformed)
	}
	seen := make(map[certificate.OID]bool)
	for !list.Empty() {
		id, critical, value, ok := readExtension(&list)
		if !ok || len(seen) == maxListExtensions || seen[id] {
			return fmt.Errorf("%w extensions", errMalformed)
		}
		seen[id] = true
		known, err := c.readExtension(id, value)
		if err != nil {
			return fmt.Errorf("extension %s: %w", id, err)
		}
		switch scope := id == extDeltaIndicator || id == extIssuingPoint; {
		case critical && !known:
			c.Critical = append(c.Critical, id)
		case known && critical != scope && id != extIssuerAltName:
			c.Misflagged = append(c.Misflagged, id)
		}
	}
	return nil
}

// readExtension reads one Extension (RFC 5280 4.1).
func readExtension(list *cryptobyte.String) (id certificate.OID, critical bool, value []byte, ok bool) {
	var entry, oid, octets, flag cryptobyte.String
	if !list.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || len(oid) == 0 {
		return "", false, nil, false
	}
	if entry.PeekASN1Tag(asn1.BOOLEAN) {
		if !entry.ReadASN1(&flag, asn1.BOOLEAN) || len(flag) != 1 {
			return "", false, nil, false
		}
		critical = flag[0] != 0
	}
	if !entry.ReadASN1(&octets, asn1.OCTET_STRING) || !entry.Empty() {
		return "", false, nil, false
	}
	return certificate.OID(oid), critical, octets, true
}

// readExtension reads what the engine needs of one extension of the list.
func (c *CRL) readExtension(id certificate.OID, value []byte) (known bool, err error) {
	switch id {
	case extCRLNumber:
		c.Number, err = readNumber(value)
	case extDeltaIndicator:
		c.Base, err = readNumber(value)
	case extIssuingPoint:
		c.IssuingPoint, err = parseIssuingPoint(value)
	case extAuthorityKeyID:
		c.AKI, err = certificate.ParseAuthorityKeyID(value)
	case extFreshestCRL:
		c.FreshestCRL, err = certificate.ParseDistributionPoints(value)
	case extExpiredCertsOnCRL:
		input := cryptobyte.String(value)
		if c.ExpiredCertsSince, err = c.readTime(&input); err == nil && !input.Empty() {
			err = errMalformed
		}
	case extIssuerAltName, extAuthorityInfoAccess:
	default:
		return false, nil
	}
	return true, err
}

func readNumber(value []byte) (*big.Int, error) {
	input := cryptobyte.String(value)
	n := new(big.Int)
	if len(value) > maxCRLNumber || !input.ReadASN1Integer(n) || !input.Empty() || n.Sign() < 0 {
		return nil, errMalformed
	}
	return n, nil
}

// parseIssuingPoint reads IssuingDistributionPoint. An empty one and one for user and CA certificates at once are
// refused (RFC 5280 5.2.5): their meaning is not defined.
func parseIssuingPoint(value []byte) (*IssuingPoint, error) {
	input := cryptobyte.String(value)
	var seq, name, reasons cryptobyte.String
	var hasName bool
	p := &IssuingPoint{Raw: value}
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() || seq.Empty() {
		return nil, errMalformed
	}
	if !seq.ReadOptionalASN1(&name, &hasName, asn1.Tag(0).Constructed().ContextSpecific()) ||
		!readFlag(&seq, &p.OnlyUser, 1) || !readFlag(&seq, &p.OnlyCA, 2) ||
		!seq.ReadOptionalASN1(&reasons, &p.HasSomeReasons, asn1.Tag(3).ContextSpecific()) ||
		!readFlag(&seq, &p.Indirect, 4) || !readFlag(&seq, &p.OnlyAttribute, 5) || !seq.Empty() {
		return nil, errMalformed
	}
	var err error
	if hasName {
		if p.Name, err = certificate.ParseDistributionPointName(name); err != nil {
			return nil, err
		}
	}
	if p.HasSomeReasons {
		if p.SomeReasons, err = certificate.ParseReasonFlags(reasons); err != nil {
			return nil, err
		}
	}
	if p.OnlyUser && p.OnlyCA {
		return nil, errMalformed
	}
	return p, nil
}

// readFlag reads an optional BOOLEAN with an implicit context tag, default FALSE.
func readFlag(seq *cryptobyte.String, flag *bool, tag uint8) bool {
	var body cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&body, &present, asn1.Tag(tag).ContextSpecific()) || present && len(body) != 1 {
		return false
	}
	*flag = present && body[0] != 0
	return true
}

// Strict says what keeps a list from being one that RFC 5280 allows an issuer to publish and a reader to use, beyond what the
// engine refuses: it is for conformance tests and for our own lists. Real issuers write empty lists, and the engine takes a
// listed certificate as revoked even where a critical extension is not known.
func (c *CRL) Strict() error {
	if len(c.Critical) > 0 {
		return fmt.Errorf("critical extension %s is not known", c.Critical[0])
	}
	for _, finding := range []string{FindingEmptyList, FindingVersion, FindingTime} {
		if c.Has(finding) {
			return errors.New(finding)
		}
	}
	if why := c.departs(); why != "" {
		return errors.New(why)
	}
	return nil
}

// departs says what a list lacks of RFC 5280 5.2 that Question.Strict asks for.
func (c *CRL) departs() string {
	switch {
	case c.Number == nil:
		return "no cRLNumber (RFC 5280 5.2.3)"
	case len(c.Misflagged) > 0:
		return "extension " + c.Misflagged[0].String() + " is of the wrong criticality (RFC 5280 5.2)"
	}
	return ""
}

// VerifySignature checks the list's signature with a key and nothing else.
func (c *CRL) VerifySignature(key *algorithm.PublicKey) ([]string, error) {
	scheme, err := algorithm.FromCertificate(c.SignatureAlgorithm)
	if err != nil {
		return nil, err
	}
	return scheme.Verify(key, c.RawTBS, c.Signature)
}
