package dss

import (
	"encoding/hex"
	"strconv"
	"strings"

	"trustcore/verify/trace"
)

// Token is an object's octets or their digest.
type Token struct {
	Base64Encoded []byte  `json:"Base64Encoded"`
	Digest        *Digest `json:"DigestAlgoAndValue"`
}

// Digest is a digest; null where it could not be read.
type Digest struct {
	DigestMethod *string `json:"DigestMethod"`
	DigestValue  []byte  `json:"DigestValue"`
	Match        *bool   `json:"match"`
}

// DigestMatcher is one covered datum.
type DigestMatcher struct {
	DataFound       bool    `json:"DataFound"`
	DataIntact      bool    `json:"DataIntact"`
	ObjectReference none    `json:"ObjectReference"`
	DigestMethod    *string `json:"DigestMethod"`
	DigestValue     []byte  `json:"DigestValue"`
	Match           *bool   `json:"match"`
	Type            string  `json:"type"`
	ID              *string `json:"id"`
	URI             *string `json:"uri"`
	DocumentName    *string `json:"documentName"`
	Duplicated      none    `json:"duplicated"`
}

// BasicSignature is the cryptographic core of anything signed.
type BasicSignature struct {
	EncryptionAlgo  *string `json:"EncryptionAlgoUsedToSignThisToken"`
	KeyLength       *string `json:"KeyLengthUsedToSignThisToken"`
	DigestAlgo      *string `json:"DigestAlgoUsedToSignThisToken"`
	SignatureIntact bool    `json:"SignatureIntact"`
	SignatureValid  bool    `json:"SignatureValid"`
}

// CertificateID refers to a certificate.
type CertificateID struct {
	PublicKey   []byte `json:"PublicKey"`
	Certificate string `json:"Certificate"`
}

// ChainItem is a certificate of a path.
type ChainItem struct {
	Certificate string `json:"Certificate"`
}

// token is the octets where they are wanted, else their digest.
func token(der []byte, sum trace.Digest, wanted bool) Token {
	if wanted && len(der) > 0 {
		return Token{Base64Encoded: der}
	}
	d := digest(sum)
	return Token{Digest: &d}
}

// idDigest is the SHA-256 that an id is made of.
func idDigest(id string) trace.Digest {
	_, text, _ := strings.Cut(id, "-")
	text, _, _ = strings.Cut(text, "-")
	value, err := hex.DecodeString(text)
	if err != nil {
		return trace.Digest{}
	}
	return trace.Digest{Algorithm: "SHA-256", Value: value}
}

func digest(d trace.Digest) Digest {
	return Digest{DigestMethod: orNil(digests[d.Algorithm]), DigestValue: d.Value}
}

func basic(b trace.Basic) BasicSignature {
	d := BasicSignature{EncryptionAlgo: orNil(schemes[b.Scheme]), DigestAlgo: orNil(digests[b.Digest]),
		SignatureIntact: b.Intact, SignatureValid: b.Valid}
	if b.KeyBits > 0 {
		size := strconv.Itoa(b.KeyBits)
		d.KeyLength = &size
	}
	return d
}

// matcherTypes are DSS's names of the kinds of references.
var matcherTypes = map[string]string{
	"data": "REFERENCE", "signed-properties": "SIGNED_PROPERTIES", "key-info": "KEY_INFO", "manifest": "MANIFEST",
	"manifest-entry": "MANIFEST_ENTRY", "counter-signature": "COUNTER_SIGNATURE", "message-digest": "MESSAGE_DIGEST",
	"byte-range": "MESSAGE_DIGEST", "object": "OBJECT", "orphan": "EVIDENCE_RECORD_ORPHAN_REFERENCE",
	"timestamp-imprint": "MESSAGE_IMPRINT",
}

func matchers(references []trace.Reference) []DigestMatcher {
	matchers := []DigestMatcher{}
	for _, r := range references {
		kind := matcherTypes[r.Type]
		if kind == "" {
			kind = "REFERENCE"
		}
		matchers = append(matchers, DigestMatcher{DataFound: r.Found, DataIntact: r.Intact,
			DigestMethod: orNil(digests[r.Digest.Algorithm]),
			DigestValue:  r.Digest.Value, Type: kind, ID: orNil(r.XMLID), URI: orNil(r.Name),
			DocumentName: orNil(r.Document)})
	}
	return matchers
}

func (w *writer) certificateID(id string) *CertificateID {
	if w.certificates[id] == nil {
		return nil
	}
	return &CertificateID{Certificate: id}
}

func (w *writer) chain(items []trace.ChainItem) []ChainItem {
	chain := []ChainItem{}
	for _, c := range items {
		if w.certificates[c.Certificate] != nil {
			chain = append(chain, ChainItem{c.Certificate})
		}
	}
	return chain
}
