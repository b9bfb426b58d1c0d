package p11kit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"time"

	"trustcore/hsm/mechanism"
)

// Key is a key as programs see it.
type Key struct {
	ID         []byte // CKA_ID
	Label      string
	Public     crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	Mechanisms []mechanism.Mechanism
	Chain      [][]byte // certificates, DER, the key's own first

	VerifiesAlone bool // there is no private key to be found: another one signs in its place
}

// object is what a program finds.
type object struct {
	name       string // the same object has the same one, whenever it is read
	attributes map[uint32][]byte
	key        *Key // of a private or public key
}

func (o *object) class() uint64 { return binary.BigEndian.Uint64(o.attributes[ckaClass]) }

// matches reports whether the object has all of the template.
func (o *object) matches(template []attribute) bool {
	for _, a := range template {
		value, has := o.attributes[a.kind]
		if !has || !bytes.Equal(value, a.value) {
			return false
		}
	}
	return true
}

// secret reports whether an attribute is a part of a private key.
func (o *object) secret(kind uint32) bool {
	return o.class() == ckoPrivateKey && (kind >= ckaPrivateExponent && kind <= ckaCoefficient || kind == ckaValue)
}

func ulong(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func truth(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}

// objectsOf are the objects of the keys: both halves of each, its certificate, and the certificates above it, each
// once.
func objectsOf(keys []Key) []*object {
	var all []*object
	authorities := map[string]bool{}
	for i := range keys {
		k := &keys[i]
		parts, known := halves(k)
		if !known {
			continue
		}
		all = append(all, parts...)
		for n, der := range k.Chain {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				break // what stands above it is of no use either
			}
			if n > 0 {
				if authorities[string(der)] {
					continue
				}
				authorities[string(der)] = true
			}
			all = append(all, certificateObject(k, c, n > 0))
		}
	}
	return all
}

// halves are the private and the public key; false for a kind that nobody knows.
func halves(k *Key) ([]*object, bool) {
	of, known := material(k.Public)
	if !known {
		return nil, false
	}
	common := map[uint32][]byte{
		ckaToken: truth(true), ckaLabel: []byte(k.Label), ckaID: k.ID, ckaModifiable: truth(false), ckaCopyable: truth(false),
		ckaDerive: truth(false), ckaLocal: truth(true), ckaStartDate: {}, ckaEndDate: {}, ckaSubject: k.subject(),
	}
	decrypts := k.decrypts()
	private := map[uint32][]byte{
		ckaClass: ulong(ckoPrivateKey), ckaPrivate: truth(true), ckaSensitive: truth(true), ckaAlwaysSensitive: truth(true),
		ckaExtractable: truth(false), ckaNeverExtract: truth(true), ckaSign: truth(!decrypts), ckaSignRecover: truth(false),
		ckaDecrypt: truth(decrypts), ckaUnwrap: truth(false), ckaAlwaysAuth: truth(false), ckaWrapWithTrusted: truth(false),
	}
	public := map[uint32][]byte{
		ckaClass: ulong(ckoPublicKey), ckaPrivate: truth(false), ckaTrusted: truth(false), ckaVerify: truth(!decrypts),
		ckaVerifyRecover: truth(false), ckaEncrypt: truth(false), ckaWrap: truth(false),
	}
	for _, half := range []map[uint32][]byte{private, public} {
		for _, shared := range []map[uint32][]byte{common, of} {
			for kind, value := range shared {
				half[kind] = value
			}
		}
	}
	delete(private, ckaModulusBits)
	delete(private, ckaECPoint)
	found := []*object{{"public " + string(k.ID), public, k}}
	if !k.VerifiesAlone {
		found = append([]*object{{"private " + string(k.ID), private, k}}, found...)
	}
	return found, true
}

// subject is that of the key's certificate, empty without one.
func (k *Key) subject() []byte {
	if len(k.Chain) > 0 {
		if c, err := x509.ParseCertificate(k.Chain[0]); err == nil {
			return c.RawSubject
		}
	}
	return []byte{}
}

// curves are the objects' CKA_EC_PARAMS.
var curves = map[elliptic.Curve]asn1.ObjectIdentifier{
	elliptic.P256(): {1, 2, 840, 10045, 3, 1, 7}, elliptic.P384(): {1, 3, 132, 0, 34},
}

// material is what makes a public key.
func material(public crypto.PublicKey) (map[uint32][]byte, bool) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return map[uint32][]byte{
			ckaKeyType: ulong(ckkRSA), ckaModulus: p.N.Bytes(), ckaModulusBits: ulong(uint64(p.N.BitLen())),
			ckaPublicExponent: big.NewInt(int64(p.E)).Bytes(),
		}, true
	case *ecdsa.PublicKey:
		params, err := asn1.Marshal(curves[p.Curve])
		if err != nil {
			return nil, false
		}
		point, err := p.Bytes()
		if err != nil {
			return nil, false
		}
		if point, err = asn1.Marshal(point); err != nil { // an OCTET STRING (PKCS#11 2.40, 2.3.3)
			return nil, false
		}
		return map[uint32][]byte{ckaKeyType: ulong(ckkEC), ckaECParams: params, ckaECPoint: point}, true
	}
	return nil, false
}

func certificateObject(k *Key, c *x509.Certificate, above bool) *object {
	serial, _ := asn1.Marshal(c.SerialNumber) // numbers always marshal
	id, label, category := k.ID, k.Label, uint64(1)
	if above {
		sum := sha1.Sum(c.RawSubjectPublicKeyInfo) // a name that programs expect, no protection
		id, label, category = sum[:], c.Subject.CommonName, 2
	}
	return &object{name: "certificate " + string(c.Raw), attributes: map[uint32][]byte{
		ckaClass: ulong(ckoCertificate), ckaToken: truth(true), ckaPrivate: truth(false), ckaModifiable: truth(false), ckaCopyable: truth(false),
		ckaLabel: []byte(label), ckaID: id, ckaCertificateType: ulong(0), ckaCategory: ulong(category), ckaTrusted: truth(false),
		ckaValue: c.Raw, ckaSubject: c.RawSubject, ckaIssuer: c.RawIssuer, ckaSerialNumber: serial,
		ckaStartDate: date(c.NotBefore), ckaEndDate: date(c.NotAfter),
	}}
}

// date is a CK_DATE.
func date(t time.Time) []byte { return []byte(t.UTC().Format("20060102")) }
