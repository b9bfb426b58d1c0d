package revocation

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// Limits of OCSP responses.
const (
	// MaxOCSPSize is the largest response that ParseOCSP takes, in octets; real ones have 500 to 10,000.
	MaxOCSPSize = 1 << 20
	// maxSingles bounds the single responses; responders answer for one certificate, rarely for a handful.
	maxSingles = 1000
	// maxResponderCertificates bounds the certificates in a response; a chain has fewer than 5.
	maxResponderCertificates = 50
	maxNonce                 = 1024 // octets; RFC 9654 allows 128
)

// Extensions of responses and single responses that the engine understands.
const (
	oidBasicResponse  certificate.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01"
	extNonce          certificate.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x02"
	extCRLReferences  certificate.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x03"
	extArchiveCutoff  certificate.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x06"
	extExtendedRevoke certificate.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x09"
	extCertHash       certificate.OID = "\x2b\x24\x08\x03\x0d"                     // 1.3.36.8.3.13, Common PKI
	extTimestampList  certificate.OID = "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x05" // RFC 6962 3.3: says nothing about the status
)

// ResponseStatus is OCSPResponseStatus (RFC 6960 4.2.1); 0 is successful.
type ResponseStatus int

var responseStatusNames = map[ResponseStatus]string{0: "successful", 1: "malformedRequest", 2: "internalError", 3: "tryLater",
	5: "sigRequired", 6: "unauthorized"}

// String is the name of RFC 6960.
func (s ResponseStatus) String() string {
	if name, ok := responseStatusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("status %d", int(s))
}

// Response is a parsed OCSPResponse with its BasicOCSPResponse. Its slices point into the bytes given to ParseOCSP: nothing
// may be changed afterwards. It is immutable and safe for concurrent use.
type Response struct {
	Raw    []byte
	Status ResponseStatus // where not 0, nothing below is set

	RawTBS             []byte // ResponseData: what the signature covers
	SignatureAlgorithm []byte // AlgorithmIdentifier, DER
	Signature          []byte // content of the BIT STRING without the octet of unused bits

	ResponderName *certificate.Name // byName, else nil
	ResponderKey  []byte            // byKey: SHA-1 of the responder's key, else nil
	ProducedAt    time.Time         // UTC
	Singles       []Single

	Nonce          []byte // content of the nonce, nil where absent
	HasNonce       bool
	ExtendedRevoke bool
	Critical       []certificate.OID // critical extensions of the response that are not known

	// RawCertificates are the certificates in the response, DER, unparsed.
	RawCertificates [][]byte

	certificatesOnce sync.Once
	certificates     []*certificate.Certificate
	digestOnce       sync.Once
	digest           [sha256.Size]byte
}

// Single is one SingleResponse.
type Single struct {
	CertID

	Status         Status // Good, Revoked or Unknown
	RevocationTime time.Time
	Reason         Reason
	ThisUpdate     time.Time
	NextUpdate     time.Time // zero where absent

	ArchiveCutoff time.Time // zero where absent
	CertHash      []byte    // nil where absent
	CertHashAlg   []byte    // AlgorithmIdentifier, DER
	Critical      []certificate.OID
}

// CertID names a certificate (RFC 6960 4.1.1).
type CertID struct {
	HashAlgorithm  []byte // AlgorithmIdentifier, DER
	IssuerNameHash []byte
	IssuerKeyHash  []byte
	Serial         []byte // content octets of the INTEGER
}

// Digest is the SHA-256 of the DER.
func (r *Response) Digest() [sha256.Size]byte {
	r.digestOnce.Do(func() { r.digest = sha256.Sum256(r.Raw) })
	return r.digest
}

// Certificates are those in the response that can be read.
func (r *Response) Certificates() []*certificate.Certificate {
	r.certificatesOnce.Do(func() {
		for _, der := range r.RawCertificates {
			if c, err := certificate.Parse(der); err == nil {
				r.certificates = append(r.certificates, c)
			}
		}
	})
	return r.certificates
}

// ParseOCSP reads a DER OCSPResponse. An error of the responder is no error here: see Status.
func ParseOCSP(der []byte) (*Response, error) {
	if len(der) > MaxOCSPSize {
		return nil, fmt.Errorf("OCSP response of %d octets, the limit is %d", len(der), MaxOCSPSize)
	}
	r := &Response{Raw: der}
	if err := r.parse(); err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	return r, nil
}

func (r *Response) parse() error {
	input := cryptobyte.String(r.Raw)
	var outer, wrapped, holder, oid, basic cryptobyte.String
	var status int
	var present bool
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() || !outer.ReadASN1Enum(&status) ||
		!outer.ReadOptionalASN1(&wrapped, &present, explicit(0)) || !outer.Empty() {
		return errMalformed
	}
	r.Status = ResponseStatus(status)
	if r.Status != 0 {
		return nil
	}
	if !present || !wrapped.ReadASN1(&holder, asn1.SEQUENCE) || !wrapped.Empty() ||
		!holder.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !holder.ReadASN1(&basic, asn1.OCTET_STRING) || !holder.Empty() {
		return fmt.Errorf("%w response bytes", errMalformed)
	}
	if certificate.OID(oid) != oidBasicResponse {
		return fmt.Errorf("response type %s is not the basic one", certificate.OID(oid))
	}
	return r.parseBasic(basic)
}

func explicit(n uint8) asn1.Tag { return asn1.Tag(n).Constructed().ContextSpecific() }

func (r *Response) parseBasic(der cryptobyte.String) error {
	var basic, tbs, alg, bits, wrapped, list cryptobyte.String
	var hasCertificates bool
	if !der.ReadASN1(&basic, asn1.SEQUENCE) || !der.Empty() || !basic.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!basic.ReadASN1Element(&alg, asn1.SEQUENCE) || !basic.ReadASN1(&bits, asn1.BIT_STRING) ||
		!basic.ReadOptionalASN1(&wrapped, &hasCertificates, explicit(0)) || !basic.Empty() || len(bits) < 1 || bits[0] != 0 {
		return fmt.Errorf("%w basic response", errMalformed)
	}
	r.RawTBS, r.SignatureAlgorithm, r.Signature = tbs, alg, bits[1:]
	if hasCertificates {
		if !wrapped.ReadASN1(&list, asn1.SEQUENCE) || !wrapped.Empty() {
			return fmt.Errorf("%w certificates", errMalformed)
		}
		for !list.Empty() {
			var one cryptobyte.String
			if len(r.RawCertificates) == maxResponderCertificates || !list.ReadASN1Element(&one, asn1.SEQUENCE) {
				return fmt.Errorf("%w certificates", errMalformed)
			}
			r.RawCertificates = append(r.RawCertificates, one)
		}
	}
	return r.parseData(tbs)
}

func (r *Response) parseData(element cryptobyte.String) error {
	var data, wrapped, list cryptobyte.String
	var present bool
	element.ReadASN1(&data, asn1.SEQUENCE)
	if !data.ReadOptionalASN1(&wrapped, &present, explicit(0)) {
		return fmt.Errorf("%w version", errMalformed)
	}
	if version := 0; present && (!wrapped.ReadASN1Integer(&version) || version != 0 || !wrapped.Empty()) {
		return fmt.Errorf("%w version", errMalformed)
	}
	if err := r.parseResponder(&data); err != nil {
		return err
	}
	var err error
	if r.ProducedAt, err = readGeneralizedTime(&data); err != nil {
		return fmt.Errorf("producedAt: %w", err)
	}
	if !data.ReadASN1(&list, asn1.SEQUENCE) {
		return fmt.Errorf("%w responses", errMalformed)
	}
	for !list.Empty() {
		var entry cryptobyte.String
		if len(r.Singles) == maxSingles || !list.ReadASN1(&entry, asn1.SEQUENCE) {
			return fmt.Errorf("%w responses", errMalformed)
		}
		single, err := parseSingle(entry)
		if err != nil {
			return err
		}
		r.Singles = append(r.Singles, single)
	}
	if !data.ReadOptionalASN1(&wrapped, &present, explicit(1)) || !data.Empty() {
		return fmt.Errorf("%w extensions", errMalformed)
	}
	if !present {
		return nil
	}
	return eachExtension(wrapped, r.readExtension)
}

func (r *Response) parseResponder(data *cryptobyte.String) error {
	var wrapped, hash cryptobyte.String
	var byName bool
	if !data.ReadOptionalASN1(&wrapped, &byName, explicit(1)) {
		return fmt.Errorf("%w responder", errMalformed)
	}
	if byName {
		name, err := certificate.ParseName(wrapped)
		if err != nil {
			return fmt.Errorf("responder: %w", err)
		}
		r.ResponderName = &name
		return nil
	}
	if !data.ReadASN1(&wrapped, explicit(2)) || !wrapped.ReadASN1(&hash, asn1.OCTET_STRING) || !wrapped.Empty() || len(hash) == 0 {
		return fmt.Errorf("%w responder", errMalformed)
	}
	r.ResponderKey = hash
	return nil
}

func readGeneralizedTime(input *cryptobyte.String) (time.Time, error) {
	if !input.PeekASN1Tag(asn1.GeneralizedTime) {
		return time.Time{}, fmt.Errorf("%w time", errMalformed)
	}
	t, _, err := certificate.ReadTime(input)
	return t, err
}

func parseSingle(entry cryptobyte.String) (Single, error) {
	s := Single{Reason: NoReason}
	bad := fmt.Errorf("%w single response", errMalformed)
	var id, wrapped cryptobyte.String
	var present bool
	if !entry.ReadASN1(&id, asn1.SEQUENCE) || !s.CertID.read(id) {
		return s, bad
	}
	if err := s.readStatus(&entry); err != nil {
		return s, err
	}
	var err error
	if s.ThisUpdate, err = readGeneralizedTime(&entry); err != nil {
		return s, fmt.Errorf("thisUpdate: %w", err)
	}
	if !entry.ReadOptionalASN1(&wrapped, &present, explicit(0)) {
		return s, bad
	}
	if present {
		if s.NextUpdate, err = readGeneralizedTime(&wrapped); err != nil || !wrapped.Empty() {
			return s, bad
		}
	}
	if !entry.ReadOptionalASN1(&wrapped, &present, explicit(1)) || !entry.Empty() {
		return s, bad
	}
	if present {
		return s, eachExtension(wrapped, s.readExtension)
	}
	return s, nil
}

func (id *CertID) read(seq cryptobyte.String) bool {
	var alg, name, key, serial cryptobyte.String
	if !seq.ReadASN1Element(&alg, asn1.SEQUENCE) || !seq.ReadASN1(&name, asn1.OCTET_STRING) ||
		!seq.ReadASN1(&key, asn1.OCTET_STRING) || !seq.ReadASN1(&serial, asn1.INTEGER) || !seq.Empty() || len(serial) == 0 {
		return false
	}
	*id = CertID{HashAlgorithm: alg, IssuerNameHash: name, IssuerKeyHash: key, Serial: serial}
	return true
}

// readStatus reads CertStatus.
func (s *Single) readStatus(entry *cryptobyte.String) error {
	bad := fmt.Errorf("%w status", errMalformed)
	var body cryptobyte.String
	var tag asn1.Tag
	if !entry.ReadAnyASN1(&body, &tag) {
		return bad
	}
	switch tag {
	case asn1.Tag(0).ContextSpecific():
		s.Status = Good
	case asn1.Tag(2).ContextSpecific():
		s.Status = Unknown
	case explicit(1):
		s.Status = Revoked
		var err error
		if s.RevocationTime, err = readGeneralizedTime(&body); err != nil {
			return bad
		}
		var wrapped cryptobyte.String
		var present bool
		if !body.ReadOptionalASN1(&wrapped, &present, explicit(0)) || !body.Empty() {
			return bad
		}
		if code := 0; present {
			if !wrapped.ReadASN1Enum(&code) || !wrapped.Empty() {
				return bad
			}
			s.Reason = Reason(code)
		}
	default:
		return bad
	}
	if s.Status != Revoked && !body.Empty() {
		return bad
	}
	return nil
}

// eachExtension reads Extensions and stops at the first error.
func eachExtension(der cryptobyte.String, read func(id certificate.OID, critical bool, value []byte) error) error {
	var list cryptobyte.String
	if !der.ReadASN1(&list, asn1.SEQUENCE) || !der.Empty() {
		return fmt.Errorf("%w extensions", errMalformed)
	}
	for count := 0; !list.Empty(); count++ {
		id, critical, value, ok := readExtension(&list)
		if !ok || count == maxListExtensions {
			return fmt.Errorf("%w extensions", errMalformed)
		}
		if err := read(id, critical, value); err != nil {
			return fmt.Errorf("extension %s: %w", id, err)
		}
	}
	return nil
}

func (r *Response) readExtension(id certificate.OID, critical bool, value []byte) error {
	switch id {
	case extNonce:
		if len(value) > maxNonce {
			return fmt.Errorf("nonce of %d octets", len(value))
		}
		r.Nonce, r.HasNonce = nonceOctets(value), true
	case extExtendedRevoke:
		r.ExtendedRevoke = true
	default:
		if critical {
			r.Critical = append(r.Critical, id)
		}
	}
	return nil
}

// nonceOctets unwraps the OCTET STRING of RFC 9654 2.1; raw octets, which some responders write, stand for themselves.
func nonceOctets(value []byte) []byte {
	input := cryptobyte.String(value)
	var octets cryptobyte.String
	if input.ReadASN1(&octets, asn1.OCTET_STRING) && input.Empty() {
		return octets
	}
	return value
}

func (s *Single) readExtension(id certificate.OID, critical bool, value []byte) error {
	input := cryptobyte.String(value)
	switch id {
	case extArchiveCutoff:
		t, err := readGeneralizedTime(&input)
		if err != nil {
			return err
		}
		s.ArchiveCutoff = t
	case extCertHash:
		var seq, alg, hash cryptobyte.String
		if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Element(&alg, asn1.SEQUENCE) ||
			!seq.ReadASN1(&hash, asn1.OCTET_STRING) || !seq.Empty() {
			return errMalformed
		}
		s.CertHashAlg, s.CertHash = alg, hash
	case extCRLReferences, extTimestampList, extReasonCode, extInvalidityDate, extHoldInstruction, extCertificateIssuer:
	default:
		if critical {
			s.Critical = append(s.Critical, id)
		}
	}
	return nil
}

// Names reports whether the CertID is that of a certificate with this serial number, issued under one of the names by this key.
// The hash may be any of the registry (RFC 6960 4.1.1, RFC 9654).
func (id *CertID) Names(serial []byte, key *algorithm.PublicKey, names ...[]byte) bool {
	if !bytes.Equal(shortest(id.Serial), shortest(serial)) {
		return false
	}
	hash, err := algorithm.HashByIdentifier(id.HashAlgorithm)
	if err != nil || len(id.IssuerKeyHash) != hash.Size() || !bytes.Equal(hash.Sum(key.BitString()), id.IssuerKeyHash) {
		return false
	}
	for _, name := range names {
		if name != nil && bytes.Equal(hash.Sum(name), id.IssuerNameHash) {
			return true
		}
	}
	return false
}
