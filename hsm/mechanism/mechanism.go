// Package mechanism names the ways in which a key of the HSM may sign, or decrypt. The names are those of orders,
// grants, audit entries and the gateway's interface; every mechanism that signs takes a finished digest, so no
// document passes through the HSM.
package mechanism

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
)

// Mechanism is one way of signing: a scheme and the hash whose digest is signed; or one of decrypting, see Decrypts.
type Mechanism string

// The mechanisms. SHA-1 is not among them, and neither is raw RSA: whoever could have an arbitrary block signed could
// forge any DigestInfo.
const (
	RSAPKCS1SHA256 Mechanism = "RSA-PKCS1-SHA256"
	RSAPKCS1SHA384 Mechanism = "RSA-PKCS1-SHA384"
	RSAPKCS1SHA512 Mechanism = "RSA-PKCS1-SHA512"
	RSAPSSSHA256   Mechanism = "RSA-PSS-SHA256"
	RSAPSSSHA384   Mechanism = "RSA-PSS-SHA384"
	RSAPSSSHA512   Mechanism = "RSA-PSS-SHA512"
	ECDSASHA256    Mechanism = "ECDSA-SHA256"
	ECDSASHA384    Mechanism = "ECDSA-SHA384"
	ECDSASHA512    Mechanism = "ECDSA-SHA512"
)

// ErrUnsupported says that a mechanism is unknown, or that key and mechanism do not fit.
var ErrUnsupported = errors.New("mechanism is not supported")

type family byte

const (
	pkcs1 family = iota + 1
	pss
	ec
	oaep
)

// table is in the order of the wire codes (index + 1): new entries go to the end.
var table = []struct {
	name   Mechanism
	family family
	hash   crypto.Hash
}{
	{RSAPKCS1SHA256, pkcs1, crypto.SHA256},
	{RSAPKCS1SHA384, pkcs1, crypto.SHA384},
	{RSAPKCS1SHA512, pkcs1, crypto.SHA512},
	{RSAPSSSHA256, pss, crypto.SHA256},
	{RSAPSSSHA384, pss, crypto.SHA384},
	{RSAPSSSHA512, pss, crypto.SHA512},
	{ECDSASHA256, ec, crypto.SHA256},
	{ECDSASHA384, ec, crypto.SHA384},
	{ECDSASHA512, ec, crypto.SHA512},
	{RSAOAEPSHA1, oaep, crypto.SHA1},
	{RSAOAEPSHA256, oaep, crypto.SHA256},
}

// Parse returns the mechanism of that name.
func Parse(name string) (Mechanism, error) {
	m := Mechanism(name)
	if m.Code() == 0 {
		return "", fmt.Errorf("%w: %q", ErrUnsupported, name)
	}
	return m, nil
}

// ByCode returns the mechanism of a wire code.
func ByCode(code byte) (Mechanism, error) {
	if code == 0 || int(code) > len(table) {
		return "", fmt.Errorf("%w: code %d", ErrUnsupported, code)
	}
	return table[code-1].name, nil
}

// Code is the mechanism's number between trustd and the worker; 0 for an unknown one.
func (m Mechanism) Code() byte {
	for i := range table {
		if table[i].name == m {
			return byte(i + 1)
		}
	}
	return 0
}

// Hash is the hash whose digest the mechanism signs; 0 for an unknown mechanism.
func (m Mechanism) Hash() crypto.Hash {
	if c := m.Code(); c != 0 {
		return table[c-1].hash
	}
	return 0
}

// Options are the options with which crypto.Signer.Sign means this mechanism; PSS salts are as long as the hash (RFC
// 8017 9.1). Nil for an unknown mechanism, and for one that decrypts.
func (m Mechanism) Options() crypto.SignerOpts {
	c := m.Code()
	switch {
	case c == 0, table[c-1].family == oaep:
		return nil
	case table[c-1].family == pss:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: table[c-1].hash}
	}
	return table[c-1].hash
}

// Fits reports whether keys like pub can sign, or decrypt, so.
func (m Mechanism) Fits(pub crypto.PublicKey) bool {
	c := m.Code()
	if c == 0 {
		return false
	}
	switch pub.(type) {
	case *rsa.PublicKey:
		return table[c-1].family != ec
	case *ecdsa.PublicKey:
		return table[c-1].family == ec
	}
	return false
}

// CheckDigest refuses a digest that is not as long as the mechanism's hash, and every digest for a mechanism that
// decrypts.
func (m Mechanism) CheckDigest(digest []byte) error {
	h := m.Hash()
	if h == 0 {
		return fmt.Errorf("%w: %q", ErrUnsupported, string(m))
	}
	if m.Decrypts() {
		return fmt.Errorf("%w: %s", ErrDecrypts, m)
	}
	if len(digest) != h.Size() {
		return fmt.Errorf("digest has %d bytes, %s signs digests of %d", len(digest), m, h.Size())
	}
	return nil
}

// Verify reports whether a signature, RSA or ECDSA in DER, is one by this mechanism over the digest.
func (m Mechanism) Verify(pub crypto.PublicKey, digest, signature []byte) bool {
	if m.CheckDigest(digest) != nil || !m.Fits(pub) {
		return false
	}
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(p, digest, signature)
	case *rsa.PublicKey:
		if options, pss := m.Options().(*rsa.PSSOptions); pss {
			return rsa.VerifyPSS(p, m.Hash(), digest, signature, options) == nil
		}
		return rsa.VerifyPKCS1v15(p, m.Hash(), digest, signature) == nil
	}
	return false
}

// For lists the mechanisms by which keys like pub sign.
func For(pub crypto.PublicKey) []Mechanism {
	var fit []Mechanism
	for _, e := range table {
		if e.family != oaep && e.name.Fits(pub) {
			fit = append(fit, e.name)
		}
	}
	return fit
}

// Of returns the mechanism that a call of crypto.Signer.Sign with a key like pub means. It refuses the absent hash
// (raw RSA) and PSS salts that are not as long as the hash; PSSSaltLengthAuto, which leaves the choice to the signer,
// is taken as that length.
func Of(pub crypto.PublicKey, opts crypto.SignerOpts) (Mechanism, error) {
	if opts == nil {
		return "", fmt.Errorf("%w: no hash is named", ErrUnsupported)
	}
	want := pkcs1
	if _, ok := pub.(*ecdsa.PublicKey); ok {
		want = ec
	}
	if o, ok := opts.(*rsa.PSSOptions); ok {
		if l := o.SaltLength; l != rsa.PSSSaltLengthAuto && l != rsa.PSSSaltLengthEqualsHash && (o.Hash == 0 || l != o.Hash.Size()) {
			return "", fmt.Errorf("%w: PSS with a salt of %d bytes", ErrUnsupported, l)
		}
		want = pss
	}
	for _, e := range table {
		if e.family == want && e.hash == opts.HashFunc() && e.name.Fits(pub) {
			return e.name, nil
		}
	}
	return "", fmt.Errorf("%w: %T with %v", ErrUnsupported, pub, opts.HashFunc())
}

// ParseList reads the names of mechanisms, as an order or a registry row lists them; each may stand once.
func ParseList(names []string) ([]Mechanism, error) {
	list := make([]Mechanism, 0, len(names))
	for _, n := range names {
		m, err := Parse(n)
		if err != nil {
			return nil, err
		}
		if slices.Contains(list, m) {
			return nil, fmt.Errorf("mechanism %s stands twice", m)
		}
		list = append(list, m)
	}
	return list, nil
}
