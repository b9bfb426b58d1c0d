package cms

import (
	"crypto"
	"errors"
	"fmt"
	"math/big"
)

// TimestampRequest is a parsed TimeStampReq (RFC 3161, 2.4.1).
type TimestampRequest struct {
	HashAlgorithm []byte // AlgorithmIdentifier as encoded
	HashOID       OID
	Imprint       []byte
	Policy        OID      // requested policy or ""
	Nonce         *big.Int // or nil
	CertReq       bool
	Extensions    []RequestExtension
}

// RequestExtension is an extension that the request carries. This package refuses critical ones:
// none is known.
type RequestExtension struct {
	Type     OID
	Critical bool
	Value    []byte
}

// FailureInfo is the PKIFailureInfo bit of a refusal (RFC 3161, 2.4.2).
type FailureInfo int

// The failures.
const (
	BadAlgorithm        FailureInfo = 0
	BadRequest          FailureInfo = 2
	BadDataFormat       FailureInfo = 5
	TimeNotAvailable    FailureInfo = 14
	UnacceptedPolicy    FailureInfo = 15
	UnacceptedExtension FailureInfo = 16
	AddInfoNotAvailable FailureInfo = 17
	SystemFailure       FailureInfo = 25
)

// RequestError tells why a request is refused and which failure the answer has to carry.
type RequestError struct {
	Failure FailureInfo
	Reason  string
}

// Error says what is wrong with the request.
func (e *RequestError) Error() string { return "time-stamp request: " + e.Reason }

// maxRequest is the largest TimeStampReq read, in octets; a real one has some 100.
const maxRequest = 16 << 10

// maxNonceOctets bounds the nonce that is echoed; clients send 8 to 20 octets.
const maxNonceOctets = 64

// ParseTimestampRequest reads and checks a request: version 1, an imprint as long as its hash
// (SHA-1, SHA-2 and SHA-3; whether SHA-1 is accepted is the authority's policy), no critical
// extension, nothing after it. Every error is a *RequestError.
func ParseTimestampRequest(der []byte) (*TimestampRequest, error) {
	req, err := readRequest(der)
	if err != nil {
		var refused *RequestError
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, &RequestError{BadDataFormat, err.Error()}
	}
	return req, nil
}

func readRequest(der []byte) (*TimestampRequest, error) {
	if len(der) > maxRequest {
		return nil, fmt.Errorf("more than %d octets", maxRequest)
	}
	outer := newReader(der)
	r, _, err := outer.enter(tagSequence, "TimeStampReq")
	if err != nil {
		return nil, err
	}
	if !outer.empty() {
		return nil, errors.New("octets after the request")
	}
	version, _, err := r.smallInt("version")
	if err != nil {
		return nil, err
	}
	if version != 1 {
		return nil, &RequestError{BadRequest, fmt.Sprintf("version %d", version)}
	}
	req := &TimestampRequest{}
	if err := req.readImprint(&r); err != nil {
		return nil, err
	}
	if err := req.readOptions(&r); err != nil {
		return nil, err
	}
	return req, nil
}

func (q *TimestampRequest) readImprint(r *reader) error {
	imprint, _, err := r.enter(tagSequence, "messageImprint")
	if err != nil {
		return err
	}
	alg, e, err := imprint.enter(tagSequence, "hashAlgorithm")
	if err != nil {
		return err
	}
	q.HashAlgorithm = e.Raw
	if q.HashOID, err = alg.oid("hashAlgorithm"); err != nil {
		return err
	}
	value, err := imprint.expect(tagOctetString, "hashedMessage")
	if err != nil {
		return err
	}
	q.Imprint = value.Content
	size, ok := digestSizes[q.HashOID]
	if !ok {
		return &RequestError{BadAlgorithm, fmt.Sprintf("hash algorithm %s", q.HashOID)}
	}
	if len(q.Imprint) != size {
		return &RequestError{BadDataFormat, fmt.Sprintf("imprint of %d octets, hash of %d", len(q.Imprint), size)}
	}
	if !imprint.empty() {
		return errors.New("octets after hashedMessage")
	}
	return nil
}

func (q *TimestampRequest) readOptions(r *reader) error {
	if r.peek() == tagOID {
		policy, err := r.oid("reqPolicy")
		if err != nil {
			return err
		}
		q.Policy = policy
	}
	nonce, ok, err := r.optional(tagInteger, "nonce")
	if err != nil {
		return err
	}
	if ok {
		if q.Nonce, err = nonceOf(nonce.Content); err != nil {
			return err
		}
	}
	certReq, ok, err := r.optional(tagBoolean, "certReq")
	if err != nil {
		return err
	}
	q.CertReq = ok && len(certReq.Content) == 1 && certReq.Content[0] != 0
	if r.peek() == tagContext|tagConstructed {
		if err := q.readExtensions(r); err != nil {
			return err
		}
	}
	if !r.empty() {
		return errors.New("unknown fields at the end")
	}
	return nil
}

func nonceOf(content []byte) (*big.Int, error) {
	if len(content) == 0 || len(content) > maxNonceOctets || content[0]&0x80 != 0 {
		return nil, fmt.Errorf("nonce is negative or longer than %d octets", maxNonceOctets)
	}
	return new(big.Int).SetBytes(content), nil
}

func (q *TimestampRequest) readExtensions(r *reader) error {
	list, _, err := r.enter(tagContext|tagConstructed, "extensions")
	if err != nil {
		return err
	}
	for !list.empty() {
		if len(q.Extensions) >= maxExtensions {
			return fmt.Errorf("more than %d extensions", maxExtensions)
		}
		in, _, err := list.enter(tagSequence, "Extension")
		if err != nil {
			return err
		}
		x, err := in.extension()
		if err != nil {
			return err
		}
		if x.Critical {
			return &RequestError{UnacceptedExtension, fmt.Sprintf("critical extension %s", x.Type)}
		}
		q.Extensions = append(q.Extensions, x)
	}
	return nil
}

// extension reads the fields of one Extension (RFC 5280, 4.1).
func (r *reader) extension() (RequestExtension, error) {
	var x RequestExtension
	var err error
	if x.Type, err = r.oid("extnID"); err != nil {
		return x, err
	}
	critical, ok, err := r.optional(tagBoolean, "critical")
	if err != nil {
		return x, err
	}
	x.Critical = ok && (len(critical.Content) != 1 || critical.Content[0] != 0)
	value, err := r.expect(tagOctetString, "extnValue")
	if err != nil {
		return x, err
	}
	x.Value = value.Content
	return x, nil
}

// digestSizes are the hash functions whose imprint length is known.
var digestSizes = map[OID]int{
	"\x2b\x0e\x03\x02\x1a":                 20, // SHA-1
	"\x60\x86\x48\x01\x65\x03\x04\x02\x01": 32,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x02": 48,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x03": 64,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x04": 28,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x05": 28, // SHA-512/224
	"\x60\x86\x48\x01\x65\x03\x04\x02\x06": 32, // SHA-512/256
	"\x60\x86\x48\x01\x65\x03\x04\x02\x07": 28, // SHA3-224
	"\x60\x86\x48\x01\x65\x03\x04\x02\x08": 32,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x09": 48,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x0a": 64,
}

// NewTimestampRequest makes a TimeStampReq for a digest. Policy may be "" and nonce nil.
func NewTimestampRequest(hash crypto.Hash, digest []byte, policy OID, nonce *big.Int, certReq bool) ([]byte, error) {
	algorithm, err := hashIdentifier(hash)
	if err != nil {
		return nil, fmt.Errorf("time-stamp request: %w", err)
	}
	if len(digest) != hash.Size() {
		return nil, fmt.Errorf("time-stamp request: digest of %d octets for %v", len(digest), hash)
	}
	fields := [][]byte{integer(1), element(tagSequence, algorithm, element(tagOctetString, digest))}
	if policy != "" {
		fields = append(fields, element(tagOID, []byte(policy)))
	}
	if nonce != nil {
		fields = append(fields, bigInteger(nonce))
	}
	if certReq {
		fields = append(fields, []byte{tagBoolean, 1, 0xff})
	}
	return element(tagSequence, fields...), nil
}

// NewTimestampResponse wraps a token in a granted TimeStampResp.
func NewTimestampResponse(token []byte) []byte {
	return element(tagSequence, element(tagSequence, integer(0)), token)
}

// RefuseTimestamp makes a TimeStampResp with status rejection. Text is for a person and may be "".
func RefuseTimestamp(failure FailureInfo, text string) []byte {
	fields := [][]byte{integer(2)}
	if text != "" {
		fields = append(fields, element(tagSequence, element(tagUTF8String, []byte(text))))
	}
	octets := int(failure)/8 + 1
	bits := make([]byte, octets+1)
	bits[0] = byte(8*octets - int(failure) - 1)
	bits[1+int(failure)/8] = 0x80 >> (int(failure) % 8)
	fields = append(fields, element(tagBitString, bits))
	return element(tagSequence, element(tagSequence, fields...))
}

// TimestampResponse is a parsed TimeStampResp.
type TimestampResponse struct {
	Status  int           // 0 granted, 1 granted with modifications, 2 and above refused
	Text    string        // for a person
	Failure []FailureInfo // the bits that are set
	Token   []byte        // ContentInfo as encoded, nil when refused
}

// Granted tells whether there is a token to be used.
func (t *TimestampResponse) Granted() bool { return t.Status <= 1 && t.Status >= 0 && t.Token != nil }

// ParseTimestampResponse reads a TimeStampResp (RFC 3161, 2.4.2), which nothing may follow. The token is not opened.
func ParseTimestampResponse(der []byte) (*TimestampResponse, error) {
	outer := newReader(der)
	r, _, err := outer.enter(tagSequence, "TimeStampResp")
	if err != nil {
		return nil, err
	}
	status, _, err := r.enter(tagSequence, "PKIStatusInfo")
	if err != nil {
		return nil, err
	}
	t := &TimestampResponse{}
	if t.Status, _, err = status.smallInt("status"); err != nil {
		return nil, err
	}
	if err := t.readReasons(&status); err != nil {
		return nil, err
	}
	if !r.empty() {
		token, err := r.expect(tagSequence, "timeStampToken")
		if err != nil {
			return nil, err
		}
		t.Token = token.Raw
	}
	if after := len(r.rest) + len(outer.rest); after > 0 {
		return nil, fmt.Errorf("%d octets after the TimeStampResp or its token are no part of it", after)
	}
	return t, nil
}

// maxStatusText bounds what is taken over from a status text, in octets.
const maxStatusText = 1024

func (t *TimestampResponse) readReasons(status *reader) error {
	if status.peek() == tagSequence {
		texts, _, err := status.enter(tagSequence, "statusString")
		if err != nil {
			return err
		}
		if !texts.empty() {
			e, err := texts.next()
			if err != nil {
				return err
			}
			t.Text = string(e.Content[:min(len(e.Content), maxStatusText)])
		}
	}
	bits, ok, err := status.optional(tagBitString, "failInfo")
	if err == nil && !status.empty() {
		err = errors.New("PKIStatusInfo: unknown fields at the end")
	}
	if err != nil || !ok {
		return err
	}
	if len(bits.Content) > 5 {
		return errors.New("failInfo is too long")
	}
	for i := 8; i < 8*len(bits.Content); i++ {
		if bits.Content[i/8]&(0x80>>(i%8)) != 0 {
			t.Failure = append(t.Failure, FailureInfo(i-8))
		}
	}
	return nil
}
