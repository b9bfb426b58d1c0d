package ocsp

import (
	"crypto"
	_ "crypto/sha1"   // CertIDs of RFC 5019 clients
	_ "crypto/sha256" // CertIDs
	_ "crypto/sha512" // CertIDs
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/pki/profile"
)

// Limits of what a request may hold. A request for one certificate takes 70 to 150 octets.
const (
	MaxRequest   = 16 << 10 // octets of DER: MaxCertIDs of the largest kind fit
	MaxCertIDs   = 32       // answered in one response
	MaxSerial    = 64       // content octets; RFC 5280 4.1.2.2 allows 20
	MaxNonce     = 128      // octets, RFC 9654 2.1
	maxExtension = 32       // extensions of a request
)

// ErrMalformed is wrapped by every error of ParseRequest.
var ErrMalformed = errors.New("malformed OCSP request")

// CertID names a certificate by hashes of its issuer's name and key, and its serial number (RFC 6960 4.1.1).
type CertID struct {
	Raw      []byte // DER, echoed in the answer as it came
	Hash     crypto.Hash
	NameHash []byte
	KeyHash  []byte
	Serial   *big.Int
}

// Request is an OCSPRequest. Requestor name and signature are read over: the responder answers everyone.
type Request struct {
	CertIDs  []CertID
	Nonce    []byte // nil when the request has none
	HasNonce bool
}

var (
	oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
)

type certIDHash struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}

// certIDHashes are the hash algorithms that a CertID may use.
var certIDHashes = []certIDHash{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
}

// ParseRequest reads an OCSPRequest of RFC 6960 4.1.1. The result keeps slices of der.
// Errors wrap ErrMalformed.
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > MaxRequest {
		return nil, malformed("%d octets, at most %d are read", len(der), MaxRequest)
	}
	input := cryptobyte.String(der)
	var outer, tbs cryptobyte.String
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !input.Empty() || !outer.ReadASN1(&tbs, cbasn1.SEQUENCE) {
		return nil, malformed("no OCSPRequest")
	}
	if !outer.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()) || !outer.Empty() {
		return nil, malformed("octets after the TBSRequest")
	}
	return parseTBS(tbs)
}

func parseTBS(tbs cryptobyte.String) (*Request, error) {
	version := 0
	if !tbs.ReadOptionalASN1Integer(&version, cbasn1.Tag(0).ContextSpecific().Constructed(), 0) || version != 0 {
		return nil, malformed("version is not v1")
	}
	var list, extensions cryptobyte.String
	var hasExtensions bool
	if !tbs.SkipOptionalASN1(cbasn1.Tag(1).ContextSpecific().Constructed()) ||
		!tbs.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&extensions, &hasExtensions, cbasn1.Tag(2).ContextSpecific().Constructed()) ||
		!tbs.Empty() {
		return nil, malformed("no TBSRequest")
	}
	request := &Request{}
	for !list.Empty() {
		if len(request.CertIDs) == MaxCertIDs {
			return nil, malformed("more than %d certificates asked for", MaxCertIDs)
		}
		id, err := parseSingle(&list)
		if err != nil {
			return nil, err
		}
		request.CertIDs = append(request.CertIDs, id)
	}
	if len(request.CertIDs) == 0 {
		return nil, malformed("no certificate asked for")
	}
	if !hasExtensions {
		return request, nil
	}
	return request, parseExtensions(extensions, request)
}

func parseSingle(list *cryptobyte.String) (CertID, error) {
	var single, element, extensions cryptobyte.String
	var hasExtensions bool
	if !list.ReadASN1(&single, cbasn1.SEQUENCE) ||
		!single.ReadASN1Element(&element, cbasn1.SEQUENCE) ||
		!single.ReadOptionalASN1(&extensions, &hasExtensions, cbasn1.Tag(0).ContextSpecific().Constructed()) ||
		!single.Empty() {
		return CertID{}, malformed("no Request in requestList")
	}
	if hasExtensions {
		// No extension of a single request changes the answer; a critical one that is not known forbids it.
		if err := parseExtensions(extensions, nil); err != nil {
			return CertID{}, err
		}
	}
	return parseCertID(element)
}

func parseCertID(element cryptobyte.String) (CertID, error) {
	id := CertID{Raw: element, Serial: new(big.Int)}
	var body, algorithm, name, key, serial cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !element.ReadASN1(&body, cbasn1.SEQUENCE) ||
		!body.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!body.ReadASN1(&name, cbasn1.OCTET_STRING) || !body.ReadASN1(&key, cbasn1.OCTET_STRING) ||
		!body.ReadASN1Element(&serial, cbasn1.INTEGER) || !body.Empty() {
		return CertID{}, malformed("no CertID")
	}
	if !algorithm.Empty() {
		var null cryptobyte.String
		if !algorithm.ReadASN1(&null, cbasn1.NULL) || !null.Empty() || !algorithm.Empty() {
			return CertID{}, malformed("CertID: hash algorithm with parameters")
		}
	}
	if len(serial) > MaxSerial+2 || !serial.ReadASN1Integer(id.Serial) {
		return CertID{}, malformed("CertID: serial number is not an INTEGER of up to %d octets", MaxSerial)
	}
	id.NameHash, id.KeyHash = name, key
	for _, known := range certIDHashes {
		if known.oid.Equal(oid) {
			id.Hash = known.hash
		}
	}
	if id.Hash != 0 && (len(name) != id.Hash.Size() || len(key) != id.Hash.Size()) {
		return CertID{}, malformed("CertID: hash of %d octets for %v", len(name), id.Hash)
	}
	return id, nil
}

// parseExtensions reads Extensions; request is nil for those of a single certificate.
func parseExtensions(wrapped cryptobyte.String, request *Request) error {
	var list cryptobyte.String
	if !wrapped.ReadASN1(&list, cbasn1.SEQUENCE) || !wrapped.Empty() {
		return malformed("no Extensions")
	}
	for count := 0; !list.Empty(); count++ {
		var extension, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if count == maxExtension || !list.ReadASN1(&extension, cbasn1.SEQUENCE) ||
			!extension.ReadASN1ObjectIdentifier(&oid) ||
			!extension.ReadOptionalASN1Boolean(&critical, cbasn1.BOOLEAN, false) ||
			!extension.ReadASN1(&value, cbasn1.OCTET_STRING) || !extension.Empty() {
			return malformed("no Extension")
		}
		if oid.Equal(oidNonce) && request != nil {
			if err := parseNonce(value, request); err != nil {
				return err
			}
		} else if critical {
			return malformed("critical extension %v is not known", oid)
		}
	}
	return nil
}

func parseNonce(value cryptobyte.String, request *Request) error {
	var nonce cryptobyte.String
	if request.HasNonce {
		return malformed("two nonces")
	}
	if !value.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !value.Empty() {
		return malformed("nonce is not an OCTET STRING")
	}
	if len(nonce) == 0 || len(nonce) > MaxNonce {
		return malformed("nonce of %d octets, RFC 9654 allows 1 to %d", len(nonce), MaxNonce)
	}
	request.Nonce, request.HasNonce = nonce, true
	return nil
}

// NewRequest makes a request for certificates of one issuer, as a client would: CertIDs by SHA-1 or SHA-256, and the nonce unless
// it is nil.
func NewRequest(issuer *x509.Certificate, hash crypto.Hash, nonce []byte, serials ...*big.Int) ([]byte, error) {
	hashes, err := hashesOf(issuer, hash)
	if err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, serial := range serials {
					id, err := newCertID(hash, hashes, serial)
					if err != nil {
						b.SetError(err)
						return
					}
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(id.Raw) })
				}
			})
			if nonce == nil {
				return
			}
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addExtension(b, oidNonce, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
				})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	return der, nil
}

func hashesOf(issuer *x509.Certificate, hash crypto.Hash) (issuerHashes, error) {
	bits, err := profile.KeyBits(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return issuerHashes{}, fmt.Errorf("issuer: %w", err)
	}
	return issuerHashes{name: digest(hash, issuer.RawSubject), key: digest(hash, bits)}, nil
}

// newCertID is the CertID that a client would ask with.
func newCertID(hash crypto.Hash, issuer issuerHashes, serial *big.Int) (CertID, error) {
	i := slices.IndexFunc(certIDHashes, func(known certIDHash) bool { return known.hash == hash })
	if i < 0 {
		return CertID{}, fmt.Errorf("no CertID by %v", hash)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(certIDHashes[i].oid)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(issuer.name)
		b.AddASN1OctetString(issuer.key)
		b.AddASN1BigInt(serial)
	})
	der, err := b.Bytes()
	if err != nil {
		return CertID{}, fmt.Errorf("encoding a CertID: %w", err)
	}
	return CertID{Raw: der, Hash: hash, NameHash: issuer.name, KeyHash: issuer.key, Serial: serial}, nil
}
