package xmldsig

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// KeyInfo is a ds:KeyInfo (XML Signature 1.1, 4.5): hints, none of them to be trusted.
type KeyInfo struct {
	Element    Node
	Names      []string
	X509       []X509Data
	Keys       []KeyValue
	Retrievals []Retrieval // ds:RetrievalMethod and dsig11:KeyInfoReference
	Retrieved  []X509Data  // what those of the document lead to; bare keys are among Keys
	Problems   []string    // what could not be read
}

// X509Data is a ds:X509Data.
type X509Data struct {
	Certificates  [][]byte // DER
	CRLs          [][]byte // DER
	SubjectNames  []string // RFC 4514 text as written
	IssuerSerials []IssuerSerial
	SKIs          [][]byte
	Digests       []CertificateDigest
}

// IssuerSerial names a certificate by text; compare with care, names are written in many ways.
type IssuerSerial struct {
	Issuer string
	Serial *big.Int
}

// CertificateDigest is a dsig11:X509Digest.
type CertificateDigest struct {
	Method string
	Value  []byte
}

// KeyValue is a bare public key.
type KeyValue struct {
	Source string // "key-value" or "der-encoded-key-value"
	Kind   string // "rsa", "dsa", "ec", or "" for a DER-encoded key
	SPKI   []byte // DER SubjectPublicKeyInfo
}

// Retrieval points to key information elsewhere.
type Retrieval struct {
	URI, Type string
	Element   Node
}

// ReadKeyInfo reads a ds:KeyInfo and what it points to in its document. What cannot be read is listed in Problems, since
// a verifier may do without.
func ReadKeyInfo(e Node) *KeyInfo {
	k := readKeyInfo(e)
	k.retrieve()
	return k
}

// readKeyInfo follows no pointers.
func readKeyInfo(e Node) *KeyInfo {
	k := &KeyInfo{Element: e}
	for c := range e.Elements() {
		if err := k.read(c); err != nil {
			k.Problems = append(k.Problems, err.Error())
		}
	}
	return k
}

func (k *KeyInfo) read(c Node) error {
	switch {
	case c.Is(NamespaceDSig, "KeyName"):
		k.Names = append(k.Names, trimSpace(c.Text()))
	case c.Is(NamespaceDSig, "X509Data"):
		x, err := ReadX509Data(c)
		k.X509 = append(k.X509, x)
		return err
	case c.Is(NamespaceDSig, "KeyValue"):
		for v := range c.Elements() {
			key, err := ReadKeyValue(v)
			if err != nil {
				return err
			}
			k.Keys = append(k.Keys, key)
		}
	case c.Is(NamespaceDSig11, "DEREncodedKeyValue"):
		spki, err := c.Bytes()
		if err != nil {
			return fmt.Errorf("DEREncodedKeyValue: %w", err)
		}
		k.Keys = append(k.Keys, KeyValue{Source: "der-encoded-key-value", SPKI: spki})
	case c.Is(NamespaceDSig, "RetrievalMethod"), c.Is(NamespaceDSig11, "KeyInfoReference"):
		r := Retrieval{Element: c}
		r.URI, _ = c.Attr("", "URI")
		r.Type, _ = c.Attr("", "Type")
		k.Retrievals = append(k.Retrievals, r)
	}
	return nil
}

// maxSerialDigits is far beyond the 49 digits of the longest serial number (RFC 5280, 4.1.2.2). Reading a number
// takes the square of its length.
const maxSerialDigits = 256

// ReadX509Data reads a ds:X509Data; the error tells of parts that could not be read, the others are there.
func ReadX509Data(e Node) (X509Data, error) {
	var x X509Data
	var problems []error
	octets := func(into *[][]byte, c Node) {
		b, err := c.Bytes()
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", c.Name(), err))
			return
		}
		*into = append(*into, b)
	}
	for c := range e.Elements() {
		switch {
		case c.Is(NamespaceDSig, "X509Certificate"):
			octets(&x.Certificates, c)
		case c.Is(NamespaceDSig, "X509CRL"):
			octets(&x.CRLs, c)
		case c.Is(NamespaceDSig, "X509SKI"):
			octets(&x.SKIs, c)
		case c.Is(NamespaceDSig, "X509SubjectName"):
			x.SubjectNames = append(x.SubjectNames, trimSpace(c.Text()))
		case c.Is(NamespaceDSig, "X509IssuerSerial"):
			text := trimSpace(c.Child(NamespaceDSig, "X509SerialNumber").Text())
			serial, ok := new(big.Int).SetString(text[:min(len(text), maxSerialDigits+1)], 10)
			if !ok || len(text) > maxSerialDigits {
				problems = append(problems, errors.New("X509SerialNumber is not a number"))
				continue
			}
			x.IssuerSerials = append(x.IssuerSerials, IssuerSerial{trimSpace(c.Child(NamespaceDSig, "X509IssuerName").Text()), serial})
		case c.Is(NamespaceDSig11, "X509Digest"):
			var all [][]byte
			if octets(&all, c); len(all) == 1 {
				method, _ := c.Attr("", "Algorithm")
				x.Digests = append(x.Digests, CertificateDigest{method, all[0]})
			}
		}
	}
	return x, errors.Join(problems...)
}

const namespaceDSMore2001 = "http://www.w3.org/2001/04/xmldsig-more#"

// ReadKeyValue reads ds:RSAKeyValue, ds:DSAKeyValue, dsig11:ECKeyValue or ECDSAKeyValue of RFC 4050 as a
// SubjectPublicKeyInfo.
func ReadKeyValue(e Node) (KeyValue, error) {
	v := KeyValue{Source: "key-value"}
	var err error
	switch {
	case e.Is(NamespaceDSig, "RSAKeyValue"):
		v.Kind = "rsa"
		v.SPKI, err = rsaSPKI(e)
	case e.Is(NamespaceDSig, "DSAKeyValue"):
		v.Kind = "dsa"
		v.SPKI, err = dsaSPKI(e)
	case e.Is(NamespaceDSig11, "ECKeyValue"):
		v.Kind = "ec"
		v.SPKI, err = ecSPKI(e)
	case e.Is(namespaceDSMore2001, "ECDSAKeyValue"):
		v.Kind = "ec"
		v.SPKI, err = ecdsaSPKI(e)
	default:
		err = ErrUnsupported
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", e.Name(), err)
	}
	return v, err
}

// maxKeyNumber is the longest number of a key value in bytes: RSA and DSA of 16384 bits.
const maxKeyNumber = 2048

func cryptoBinary(e Node, local string) (*big.Int, error) {
	b, err := e.Child(NamespaceDSig, local).Bytes()
	if err != nil || len(b) == 0 || len(b) > maxKeyNumber {
		return nil, fmt.Errorf("%s is missing or malformed", local)
	}
	return new(big.Int).SetBytes(b), nil
}

type algorithmIdentifier struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

func encodeSPKI(oid asn1.ObjectIdentifier, parameters, key []byte) ([]byte, error) {
	return asn1.Marshal(struct {
		Algorithm algorithmIdentifier
		Key       asn1.BitString
	}{
		algorithmIdentifier{oid, asn1.RawValue{FullBytes: parameters}},
		asn1.BitString{Bytes: key, BitLength: 8 * len(key)},
	})
}

func rsaSPKI(e Node) ([]byte, error) {
	n, err := cryptoBinary(e, "Modulus")
	if err != nil {
		return nil, err
	}
	x, err := cryptoBinary(e, "Exponent")
	if err != nil {
		return nil, err
	}
	key, err := asn1.Marshal(struct{ N, E *big.Int }{n, x})
	if err != nil {
		return nil, err
	}
	return encodeSPKI(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullBytes, key)
}

func dsaSPKI(e Node) ([]byte, error) {
	var numbers [4]*big.Int
	for i, local := range [...]string{"P", "Q", "G", "Y"} {
		var err error
		if numbers[i], err = cryptoBinary(e, local); err != nil {
			return nil, err
		}
	}
	parameters, err := asn1.Marshal(struct{ P, Q, G *big.Int }{numbers[0], numbers[1], numbers[2]})
	if err != nil {
		return nil, err
	}
	key, err := asn1.Marshal(numbers[3])
	if err != nil {
		return nil, err
	}
	return encodeSPKI(asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, parameters, key)
}

func ecSPKI(e Node) ([]byte, error) {
	uri, ok := e.Child(NamespaceDSig11, "NamedCurve").Attr("", "URI")
	if !ok {
		return nil, fmt.Errorf("explicit parameters: %w", ErrUnsupported)
	}
	point, err := e.Child(NamespaceDSig11, "PublicKey").Bytes()
	if err != nil {
		return nil, err
	}
	return namedCurveSPKI(uri, point)
}

func namedCurveSPKI(urn string, point []byte) ([]byte, error) {
	oid, err := parseOID(strings.TrimPrefix(urn, "urn:oid:"))
	if err != nil {
		return nil, err
	}
	parameters, err := asn1.Marshal(oid)
	if err != nil {
		return nil, err
	}
	return encodeSPKI(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, parameters, point)
}

// curveBytes are the coordinate lengths of the curves that RFC 4050 keys occur on.
var curveBytes = map[string]int{
	"urn:oid:1.2.840.10045.3.1.1": 24, "urn:oid:1.3.132.0.33": 28, "urn:oid:1.2.840.10045.3.1.7": 32,
	"urn:oid:1.3.132.0.34": 48, "urn:oid:1.3.132.0.35": 66,
}

// ecdsaSPKI reads RFC 4050, where coordinates are decimal numbers in attributes.
func ecdsaSPKI(e Node) ([]byte, error) {
	urn, _ := e.Child(namespaceDSMore2001, "DomainParameters").Child(namespaceDSMore2001, "NamedCurve").Attr("", "URN")
	size, ok := curveBytes[urn]
	if !ok {
		return nil, fmt.Errorf("curve %q: %w", urn, ErrUnsupported)
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	for i, local := range [...]string{"X", "Y"} {
		text, _ := e.Child(namespaceDSMore2001, "PublicKey").Child(namespaceDSMore2001, local).Attr("", "Value")
		n, ok := new(big.Int).SetString(text[:min(len(text), 256)], 10)
		if !ok || n.Sign() < 0 || n.BitLen() > 8*size {
			return nil, fmt.Errorf("coordinate %s is malformed", local)
		}
		n.FillBytes(point[1+i*size : 1+(i+1)*size])
	}
	return namedCurveSPKI(urn, point)
}

func parseOID(s string) (asn1.ObjectIdentifier, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 32 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	oid := make(asn1.ObjectIdentifier, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is not an object identifier", s)
		}
		oid[i] = int(n)
	}
	return oid, nil
}

func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }
