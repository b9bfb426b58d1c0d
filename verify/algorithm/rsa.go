package algorithm

import (
	"bytes"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"math/big"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// NoteNoNull is the note of an RSA signature whose DigestInfo lacks the NULL of RFC 8017 9.2. The Polish
// podpis zaufany is written so; the two encodings are both fixed strings, so accepting either gives a
// forger nothing.
const NoteNoNull = "RSA PKCS#1 v1.5: DigestInfo without the NULL parameters"

// assemblyRSABits is the size at which crypto/rsa beats math/big; at the others it is up to three times slower. Our own
// path stays the judge: what crypto/rsa refuses is looked at again.
const assemblyRSABits = 2048

// rsaPublic is signature^e mod n as k octets (RFC 8017 5.2.2).
func (k *PublicKey) rsaPublic(signature []byte) ([]byte, error) {
	size := (k.bits + 7) / 8
	if len(signature) != size {
		return nil, fmt.Errorf("%w: RSA value of %d octets under a key of %d", ErrSignature, len(signature), size)
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(k.rsa.n) >= 0 {
		return nil, fmt.Errorf("%w: RSA value is not below the modulus", ErrSignature)
	}
	return powPublic(s, k.rsa.e, k.rsa.n).FillBytes(make([]byte, size)), nil
}

// powPublic is s^e mod n by squaring and dividing: for the short exponents of public keys this beats
// big.Int.Exp, which prepares a window for long ones, and the constant-time ladder of crypto/rsa.
func powPublic(s, e, n *big.Int) *big.Int {
	var product, quotient big.Int
	x := new(big.Int).Set(s)
	exponent := e.Uint64()
	for i := bits.Len64(exponent) - 2; i >= 0; i-- {
		product.Mul(x, x)
		quotient.QuoRem(&product, n, x)
		if exponent>>i&1 == 1 {
			product.Mul(x, s)
			quotient.QuoRem(&product, n, x)
		}
	}
	return x
}

// verifyPKCS1 compares the recovered block with the two fixed encodings (RFC 8017 8.2.2: by building,
// never by parsing).
func (s Scheme) verifyPKCS1(key *PublicKey, digest, signature []byte) ([]string, error) {
	if std := s.hash.Std(); key.rsa.std != nil && std != 0 && rsa.VerifyPKCS1v15(key.rsa.std, std, digest, signature) == nil {
		return s.notes(nil)
	}
	block, err := key.rsaPublic(signature)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(block, pkcs1Block(s.hash, digest, len(block), true)) {
		return s.notes(nil)
	}
	if bytes.Equal(block, pkcs1Block(s.hash, digest, len(block), false)) {
		notes, _ := s.notes(nil)
		return append(notes, NoteNoNull), nil
	}
	return nil, ErrSignature
}

// pkcs1Block is EMSA-PKCS1-v1_5 (RFC 8017 9.2), or nil where the key is too short for the digest.
func pkcs1Block(h Hash, digest []byte, size int, null bool) []byte {
	prefix := digestInfoPrefixes[h][0]
	if !null {
		prefix = digestInfoPrefixes[h][1]
	}
	padding := size - len(prefix) - len(digest) - 3
	if padding < 8 {
		return nil
	}
	block := make([]byte, 0, size)
	block = append(block, 0, 1)
	block = append(block, bytes.Repeat([]byte{0xff}, padding)...)
	block = append(block, 0)
	return append(append(block, prefix...), digest...)
}

// digestInfoPrefix is the fixed DER that stands before a digest: SEQUENCE { AlgorithmIdentifier, OCTET STRING }.
func digestInfoPrefix(h Hash, null bool) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(encodeOID(h.OID())) })
			if null {
				b.AddASN1NULL()
			}
		})
		b.AddASN1OctetString(make([]byte, h.Size()))
	})
	info := b.BytesOrPanic()
	return info[:len(info)-h.Size()]
}

// digestInfoPrefixes is indexed by hash; the first of each pair has NULL.
var digestInfoPrefixes = func() (table [hashCount][2][]byte) {
	for h := MD5; h < hashCount; h++ {
		table[h] = [2][]byte{digestInfoPrefix(h, true), digestInfoPrefix(h, false)}
	}
	return table
}()

// verifyPSS is EMSA-PSS-VERIFY (RFC 8017 9.1.2) with any salt length and any hash of MGF1.
func verifyPSS(key *PublicKey, digest, signature []byte, h, mgf Hash, salt int) error {
	if std := h.Std(); key.rsa.std != nil && std != 0 && mgf == h && salt == h.Size() {
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		if rsa.VerifyPSS(key.rsa.std, std, digest, signature, options) == nil {
			return nil
		}
	}
	block, err := key.rsaPublic(signature)
	if err != nil {
		return err
	}
	emBits := key.bits - 1
	if emBits%8 == 0 { // the encoded message is one octet shorter than the modulus
		if block[0] != 0 {
			return ErrSignature
		}
		block = block[1:]
	}
	size := h.Size()
	masked := len(block) - size - 1
	if masked < salt+1 || block[len(block)-1] != 0xbc {
		return ErrSignature
	}
	unused := 8*len(block) - emBits
	if block[0]>>(8-unused) != 0 {
		return ErrSignature
	}
	db, seed := block[:masked], block[masked:masked+size]
	maskWith(db, seed, mgf)
	db[0] &= 0xff >> unused
	zeros := masked - salt - 1
	for _, octet := range db[:zeros] {
		if octet != 0 {
			return ErrSignature
		}
	}
	if db[zeros] != 1 || !bytes.Equal(h.Sum(make([]byte, 8), digest, db[zeros+1:]), seed) {
		return ErrSignature
	}
	return nil
}

// maskWith adds the mask of seed to db: MGF1 (RFC 8017 B.2.1), or SHAKE as its own mask generation
// function (RFC 8692 2.1).
func maskWith(db, seed []byte, mgf Hash) {
	if mgf == SHAKE128 || mgf == SHAKE256 {
		maskWithShake(db, seed, mgf)
		return
	}
	var counter [4]byte
	d := mgf.New()
	mask := make([]byte, 0, mgf.Size())
	for done := 0; done < len(db); done += mgf.Size() {
		d.Reset()
		d.Write(seed)
		d.Write(counter[:])
		mask = d.Sum(mask[:0])
		subtle.XORBytes(db[done:], db[done:], mask)
		for i := 3; i >= 0; i-- {
			if counter[i]++; counter[i] != 0 {
				break
			}
		}
	}
}

func maskWithShake(db, seed []byte, mgf Hash) {
	xof := mgf.New().(*shake).xof
	xof.Write(seed)
	mask := make([]byte, len(db))
	xof.Read(mask)
	subtle.XORBytes(db, db, mask)
}
