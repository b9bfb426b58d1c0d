package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// Status is what the responder says of a certificate.
type Status struct {
	Code      int       // ocsp.Good, ocsp.Revoked or ocsp.Unknown of golang.org/x/crypto/ocsp
	RevokedAt time.Time // when revoked
	Reason    int       // CRLReason, when revoked
}

// errorResponse is an OCSPResponse without responseBytes (RFC 6960 4.2.1).
func errorResponse(status ocsp.ResponseStatus) []byte {
	return []byte{0x30, 0x03, 0x0a, 0x01, byte(status)}
}

// single is one SingleResponse.
type single struct {
	certID []byte // DER
	status Status
}

// answer is what build signs.
type answer struct {
	singles          []single
	producedAt, next time.Time
	nonce            []byte // nil: no nonce
	archiveCutoff    time.Time
	responderKeyHash []byte
	delegate         []byte // DER
}

var oidArchiveCutoff = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}

// build returns an OCSPResponse with a BasicOCSPResponse of RFC 6960 4.2.1 signed by key.
func build(a answer, key crypto.Signer) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { a.responseData(b) })
	tbs, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding an OCSP answer: %w", err)
	}
	algorithm, signature, err := sign(key, tbs)
	if err != nil {
		return nil, fmt.Errorf("signing an OCSP answer: %w", err)
	}
	var out cryptobyte.Builder
	out.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(ocsp.Success))
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { basic(b, tbs, algorithm, signature, a.delegate) })
			})
		})
	})
	der, err := out.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding an OCSP answer: %w", err)
	}
	return der, nil
}

func basic(b *cryptobyte.Builder, tbs, algorithm, signature, delegate []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(delegate) })
		})
	})
}

func (a answer) responseData(b *cryptobyte.Builder) {
	b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(a.responderKeyHash) })
	addTime(b, a.producedAt)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, s := range a.singles {
			a.single(b, s)
		}
	})
	if a.nonce == nil {
		return
	}
	b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addExtension(b, oidNonce, func(b *cryptobyte.Builder) { b.AddASN1OctetString(a.nonce) })
		})
	})
}

func (a answer) single(b *cryptobyte.Builder, s single) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.certID)
		switch s.status.Code {
		case ocsp.Good:
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		case ocsp.Revoked:
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { revokedInfo(b, s.status) })
		default:
			b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
		}
		addTime(b, a.producedAt) // thisUpdate: the status was read at this moment
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { addTime(b, a.next) })
		if a.archiveCutoff.IsZero() || s.status.Code == ocsp.Unknown {
			return
		}
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addExtension(b, oidArchiveCutoff, func(b *cryptobyte.Builder) { addTime(b, a.archiveCutoff) })
			})
		})
	})
}

func revokedInfo(b *cryptobyte.Builder, s Status) {
	addTime(b, s.RevokedAt)
	if s.Reason == ocsp.Unspecified { // RFC 5280 5.3.1: rather absent than unspecified
		return
	}
	b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
}

func addTime(b *cryptobyte.Builder, t time.Time) {
	b.AddASN1GeneralizedTime(t.UTC().Truncate(time.Second))
}

func addExtension(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}

func explicit(tag uint8) cbasn1.Tag { return cbasn1.Tag(tag).ContextSpecific().Constructed() }

// AlgorithmIdentifiers of the responder's signatures.
var (
	algECDSA256 = []byte{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02}
	algECDSA384 = []byte{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03}
	algRSA256   = []byte{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00}
	algEd25519  = []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}
)

// algorithmOf chooses the signature algorithm of a key; hash 0 means that the message itself is signed.
func algorithmOf(public crypto.PublicKey) (algorithm []byte, hash crypto.Hash, err error) {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize > 256 {
			return algECDSA384, crypto.SHA384, nil
		}
		return algECDSA256, crypto.SHA256, nil
	case *rsa.PublicKey:
		return algRSA256, crypto.SHA256, nil
	case ed25519.PublicKey:
		return algEd25519, 0, nil
	}
	return nil, 0, fmt.Errorf("a key of type %T can't sign OCSP answers", public)
}

func sign(key crypto.Signer, message []byte) (algorithm, signature []byte, err error) {
	algorithm, hash, err := algorithmOf(key.Public())
	if err != nil {
		return nil, nil, err
	}
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	signature, err = key.Sign(rand.Reader, message, hash)
	return algorithm, signature, err
}
