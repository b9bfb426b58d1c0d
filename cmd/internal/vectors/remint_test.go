package vectors

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/brainpool"
	"github.com/cloudflare/circl/sign/ed448"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// A minter makes keys of one algorithm and signs with them.
type minter struct {
	name       string
	identifier []byte // AlgorithmIdentifier of the signatures, DER
	generate   func(t *testing.T) mintedKey
}

// A mintedKey is a key of a minter.
type mintedKey struct {
	spki   []byte
	sign   func(message []byte) []byte
	signer crypto.Signer // of P-384 alone
}

// spkiOf wraps a key's octets; parameters may be nil.
func spkiOf(id, parameters, key []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(id) })
			b.AddBytes(parameters)
		})
		b.AddASN1BitString(key)
	})
	return b.BytesOrPanic()
}

// identifierOf is an AlgorithmIdentifier.
func identifierOf(id []byte, parameters ...byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(id) })
		b.AddBytes(parameters)
	})
	return b.BytesOrPanic()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func dotted(text string) []byte { return []byte(must(certificate.ParseOID(text))) }

// pssIdentifier is RSASSA-PSS with SHA-256, MGF1 with SHA-256 and 32 octets of salt.
func pssIdentifier() []byte {
	hash := identifierOf(dotted("2.16.840.1.101.3.4.2.1"), 5, 0)
	mgf := identifierOf(dotted("1.2.840.113549.1.1.8"), hash...)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(hash) })
		b.AddASN1(asn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(mgf) })
		b.AddASN1(asn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1Int64(32) })
	})
	return identifierOf(dotted("1.2.840.113549.1.1.10"), b.BytesOrPanic()...)
}

func minters() []minter {
	return []minter{
		{"P-384", identifierOf(dotted("1.2.840.10045.4.3.3")), func(*testing.T) mintedKey {
			key := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
			return mintedKey{spki: must(x509.MarshalPKIXPublicKey(&key.PublicKey)), signer: key, sign: func(m []byte) []byte {
				digest := sha512.Sum384(m)
				return must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
			}}
		}},
		{"RSA-PSS", pssIdentifier(), func(*testing.T) mintedKey {
			key := must(rsa.GenerateKey(rand.Reader, 1024))
			return mintedKey{spki: must(x509.MarshalPKIXPublicKey(&key.PublicKey)), sign: func(m []byte) []byte {
				digest := sha256.Sum256(m)
				return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32}))
			}}
		}},
		{"Ed448", identifierOf(dotted("1.3.101.113")), func(*testing.T) mintedKey {
			public, private, err := ed448.GenerateKey(rand.Reader)
			if err != nil {
				panic(err)
			}
			return mintedKey{spki: spkiOf(dotted("1.3.101.113"), nil, public), sign: func(m []byte) []byte { return ed448.Sign(private, m, "") }}
		}},
		{"brainpoolP256r1", identifierOf(dotted("1.2.840.10045.4.3.2")), func(*testing.T) mintedKey {
			key := must(ecdsa.GenerateKey(brainpool.P256r1(), rand.Reader))
			point := slices.Concat([]byte{4}, key.X.FillBytes(make([]byte, 32)), key.Y.FillBytes(make([]byte, 32)))
			curve := append([]byte{6, 9}, dotted("1.3.36.3.3.2.8.1.1.7")...)
			return mintedKey{spki: spkiOf(dotted("1.2.840.10045.2.1"), curve, point), sign: func(m []byte) []byte {
				digest := sha256.Sum256(m)
				return must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
			}}
		}},
	}
}

// A remint holds PKITS as it would be, had NIST chosen another algorithm.
type remint struct {
	t      *testing.T
	minter minter
	issuer map[string][]*certificate.Certificate // by canonical subject: who may have signed
	keys   map[[32]byte]mintedKey                // by the old key
	minted map[string][]byte                     // by the old object
}

func newRemint(t *testing.T, m minter, certs [][]byte) *remint {
	r := &remint{t: t, minter: m, issuer: map[string][]*certificate.Certificate{}, keys: map[[32]byte]mintedKey{}, minted: map[string][]byte{}}
	for _, der := range certs {
		c, err := certificate.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		r.issuer[c.Subject.Canonical()] = append(r.issuer[c.Subject.Canonical()], c)
	}
	return r
}

// key returns the new key in place of the certificate's old one.
func (r *remint) key(c *certificate.Certificate) mintedKey {
	k, ok := r.keys[c.KeyFingerprint]
	if !ok {
		k = r.minter.generate(r.t)
		r.keys[c.KeyFingerprint] = k
	}
	return k
}

// sign signs the new bytes with the key that is in the place of the one that signed the old; where none did, the new
// signature is broken too.
func (r *remint) sign(issuer certificate.Name, oldTBS, oldAlgorithm, oldSignature, tbs []byte) []byte {
	if c := r.signer(issuer, oldTBS, oldAlgorithm, oldSignature); c != nil {
		return r.signed(tbs, r.key(c).sign(tbs))
	}
	broken := r.minter.generate(r.t).sign(tbs)
	broken[len(broken)-1] ^= 1
	return r.signed(tbs, broken)
}

// signer returns the certificate whose old key signed the old bytes, nil when none did.
func (r *remint) signer(issuer certificate.Name, tbs, identifier, signature []byte) *certificate.Certificate {
	scheme, err := algorithm.FromCertificate(identifier)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range r.issuer[issuer.Canonical()] {
		if key, err := c.Key(); err == nil {
			if _, err := scheme.Verify(key, tbs, signature); err == nil {
				return c
			}
		}
	}
	return nil
}

func (r *remint) issuerOf(c *certificate.Certificate) *certificate.Certificate {
	return r.signer(c.Issuer, c.RawTBS, c.SignatureAlgorithm, c.Signature)
}

func (r *remint) signed(tbs, signature []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(r.minter.identifier)
		b.AddASN1BitString(signature)
	})
	return b.BytesOrPanic()
}

// replaced is a SEQUENCE with parts of its content replaced, each at its first place.
func replaced(sequence []byte, pairs ...[]byte) []byte {
	input := cryptobyte.String(sequence)
	var body cryptobyte.String
	input.ReadASN1(&body, asn1.SEQUENCE)
	content := []byte(body)
	for i := 0; i < len(pairs); i += 2 {
		content = bytes.Replace(content, pairs[i], pairs[i+1], 1)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}

func (r *remint) certificate(der []byte) []byte {
	c, err := certificate.Parse(der)
	if err != nil {
		r.t.Fatal(err)
	}
	tbs := replaced(c.RawTBS, c.TBSSignatureAlgorithm, r.minter.identifier, c.RawSPKI, r.key(c).spki)
	return r.sign(c.Issuer, c.RawTBS, c.SignatureAlgorithm, c.Signature, tbs)
}

func (r *remint) list(der []byte) []byte {
	input := cryptobyte.String(der)
	var outer, tbs, identifier, raw, inner, issuer cryptobyte.String
	input.ReadASN1(&outer, asn1.SEQUENCE)
	outer.ReadASN1Element(&tbs, asn1.SEQUENCE)
	outer.ReadASN1Element(&identifier, asn1.SEQUENCE)
	outer.ReadASN1(&raw, asn1.BIT_STRING)
	content := tbs
	content.ReadASN1(&content, asn1.SEQUENCE)
	content.SkipOptionalASN1(asn1.INTEGER)
	content.ReadASN1Element(&inner, asn1.SEQUENCE)
	content.ReadASN1Element(&issuer, asn1.SEQUENCE)
	name, err := certificate.ParseName(issuer)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.sign(name, tbs, identifier, raw[1:], replaced(tbs, inner, r.minter.identifier))
}

// newPKITS reads PKITS for minting it anew with the minter.
func newPKITS(t *testing.T, m minter) (*suite, *remint) {
	s := newSuite(t)
	files, err := filepath.Glob(filepath.Join(s.folder, "pkits", "certs", "*.crt"))
	if err != nil {
		t.Fatal(err)
	}
	var certs [][]byte
	for _, file := range files {
		certs = append(certs, must(os.ReadFile(file)))
	}
	return s, newRemint(t, m, certs)
}

// chain mints the certificates and lists of a case, each once.
func (r *remint) chain(c *chainLine) {
	each := func(list [][]byte, mint func([]byte) []byte) {
		for i, der := range list {
			if r.minted[string(der)] == nil {
				r.minted[string(der)] = mint(der)
			}
			list[i] = r.minted[string(der)]
		}
	}
	target := [][]byte{c.Certificate}
	each(target, r.certificate)
	c.Certificate = target[0]
	each(c.Untrusted, r.certificate)
	each(c.Anchors, r.certificate)
	each(c.CRLs, r.list)
}

// inherited is the case about a DSA key that takes its parameters from its issuer: no other algorithm has that.
const inherited = "4.1.5"

// TestPKITSOnOtherKeys mints every PKITS topology anew with other algorithms: the verdicts must stay.
func TestPKITSOnOtherKeys(t *testing.T) {
	for _, m := range minters() {
		t.Run(m.name, func(t *testing.T) {
			s, r := newPKITS(t, m)
			s.pkits(r.chain)
			s.drop(inherited)
			s.judge(248)
		})
	}
}

// TestPKITSByOCSP gives, in place of the lists, an answer of the issuer about each certificate: revoked where one of the
// lists of the case says so. The verdicts of the cases that are valid, or invalid by a listed certificate, must stay.
func TestPKITSByOCSP(t *testing.T) {
	s, r := newPKITS(t, minters()[0])
	now := time.Now().UTC().Truncate(time.Minute)
	unlisted := []string{inherited}
	s.pkits(func(c *chainLine) {
		crls := slices.Clone(c.CRLs)
		revoked := false
		for _, der := range append(slices.Clone(c.Untrusted), c.Certificate) {
			subject := must(certificate.Parse(der))
			issuer := r.issuerOf(subject)
			if issuer == nil {
				continue // a broken signature: nobody answers for it
			}
			status := ocsp.Good
			if listed(crls, subject) {
				status = ocsp.Revoked
				// The certificate of a CRL issuer is on no path here.
				revoked = revoked || !subject.HasKeyUsage || subject.KeyUsage != certificate.CRLSign
			}
			c.OCSP = append(c.OCSP, r.answer(subject, issuer, status, now))
		}
		r.chain(c)
		c.CRLs, c.Time = nil, now.Add(time.Minute)
		if !s.published[c.ID.(string)] && !revoked {
			unlisted = append(unlisted, c.ID.(string)) // invalid for what a list, or the path, is and not for what a list says
		}
	})
	s.drop(unlisted...)
	s.judge(137)
}

// listed reports whether one of the lists revokes the certificate.
func listed(crls [][]byte, c *certificate.Certificate) bool {
	found := false
	for _, der := range crls {
		list, err := revocation.ParseCRL(der)
		if err != nil {
			continue // it says nothing that could be read
		}
		if entry, ok := list.Find(c.Issuer, c.Serial); ok && entry.Reason == revocation.RemoveFromCRL {
			return false // a delta takes it off the list
		} else if ok {
			found = true
		}
	}
	return found
}

// answer makes an OCSP response of the issuer's new key.
func (r *remint) answer(c, issuer *certificate.Certificate, status int, now time.Time) []byte {
	key := r.key(issuer)
	serial := new(big.Int).SetBytes(c.Serial)
	if c.Serial[0]&0x80 != 0 {
		serial.Sub(serial, new(big.Int).Lsh(big.NewInt(1), uint(8*len(c.Serial))))
	}
	responder := &x509.Certificate{RawSubject: issuer.RawSubject, RawSubjectPublicKeyInfo: key.spki}
	return must(ocsp.CreateResponse(responder, responder, ocsp.Response{
		Status: status, SerialNumber: serial, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), RevokedAt: now.Add(-2 * time.Hour),
	}, key.signer))
}
