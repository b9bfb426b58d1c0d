package revocation_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/brainpool"
	"github.com/cloudflare/circl/sign/ed448"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// TestTopologiesOnOtherKeys mints the revocation cases of NIST PKITS again: names, extensions and relations stay, keys and
// signatures are of other kinds. The verdicts must stay too, from CRLs and from OCSP responses that say the same.
func TestTopologiesOnOtherKeys(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: the PKITS topologies are not minted again")
	}
	suite := readSuite(t, filepath.Join(corpus, "certpath", "pkits"))
	for name, kind := range keyKinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, suite, kind)
			for _, c := range suite.cases {
				w.judge(t, c)
			}
		})
	}
}

// signer is a private key with its encodings.
type signer struct {
	spki []byte
	sign func(message []byte) []byte
}

// keyKind makes keys of one algorithm.
type keyKind struct {
	algorithm []byte // AlgorithmIdentifier of signatures
	make      func() signer
}

func keyKinds() map[string]keyKind {
	return map[string]keyKind{
		"P-384":           ellipticKind(elliptic.P384(), asn1.ObjectIdentifier{1, 3, 132, 0, 34}),
		"brainpoolP256r1": ellipticKind(brainpool.P256r1(), asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 7}),
		"Ed448": {identifier(asn1.ObjectIdentifier{1, 3, 101, 113}, nil), func() signer {
			public, private, err := ed448.GenerateKey(rand.Reader)
			must(err)
			return signer{spki(identifier(asn1.ObjectIdentifier{1, 3, 101, 113}, nil), public),
				func(m []byte) []byte { return ed448.Sign(private, m, "") }}
		}},
		"PSS": {pssIdentifier(), func() signer {
			private, err := rsa.GenerateKey(rand.Reader, 1024) // short, since hundreds are made
			must(err)
			var b cryptobyte.Builder
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1BigInt(private.N)
				b.AddASN1Int64(int64(private.E))
			})
			return signer{spki(identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}, nil), b.BytesOrPanic()), func(m []byte) []byte {
				sum := sha256.Sum256(m)
				value, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
				must(err)
				return value
			}}
		}},
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func ellipticKind(curve elliptic.Curve, oid asn1.ObjectIdentifier) keyKind {
	return keyKind{identifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, nil), func() signer {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		parameters, err := asn1.Marshal(oid)
		must(err)
		//lint:ignore SA1019 brainpool curves have no other encoder
		point := elliptic.Marshal(curve, private.X, private.Y)
		return signer{spki(identifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, parameters), point), func(m []byte) []byte {
			sum := sha512.Sum512(m)
			value, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
			must(err)
			return value
		}}
	}}
}

func identifier(oid asn1.ObjectIdentifier, parameters []byte) []byte {
	out, err := asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: parameters}})
	must(err)
	return out
}

func pssIdentifier() []byte {
	parameters, err := hex.DecodeString("3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120")
	must(err)
	return identifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}, parameters)
}

func spki(algorithm, key []byte) []byte {
	return sequence(algorithm, bitString(key))
}

func sequence(parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, part := range parts {
			b.AddBytes(part)
		}
	})
	return b.BytesOrPanic()
}

func bitString(value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1BitString(value)
	return b.BytesOrPanic()
}

// elements splits the content of a SEQUENCE.
func elements(raw []byte) (list [][]byte) {
	input := cryptobyte.String(raw)
	var body cryptobyte.String
	if !input.ReadASN1(&body, der.SEQUENCE) {
		panic("no sequence")
	}
	for !body.Empty() {
		var one cryptobyte.String
		var tag der.Tag
		if !body.ReadAnyASN1Element(&one, &tag) {
			panic("no element")
		}
		list = append(list, one)
	}
	return list
}

// suite is PKITS as published, the revocation sections alone.
type suite struct {
	certificates map[string]*certificate.Certificate
	lists        map[string]*revocation.CRL
	cases        []pkitsCase
}

type pkitsCase struct {
	ID     string    `json:"id"`
	Anchor string    `json:"trust_anchor"`
	Path   []string  `json:"path"`
	CRLs   []string  `json:"crls"`
	Time   time.Time `json:"validation_time"`
	Valid  bool      `json:"should_validate"`
}

func readSuite(t *testing.T, folder string) *suite {
	t.Helper()
	s := &suite{certificates: map[string]*certificate.Certificate{}, lists: map[string]*revocation.CRL{}}
	var every []pkitsCase
	data, err := os.ReadFile(filepath.Join(folder, "expected.json"))
	if err == nil {
		err = json.Unmarshal(data, &every)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range every {
		if strings.HasPrefix(c.ID, "4.4.") || strings.HasPrefix(c.ID, "4.14.") || strings.HasPrefix(c.ID, "4.15.") {
			s.cases = append(s.cases, c)
		}
	}
	for _, c := range s.cases {
		for _, name := range append(slices.Clone(c.Path), c.Anchor) {
			raw, err := os.ReadFile(filepath.Join(folder, "certs", name))
			if err != nil {
				t.Fatal(err)
			}
			if s.certificates[name], err = certificate.Parse(raw); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range c.CRLs {
			raw, err := os.ReadFile(filepath.Join(folder, "crls", name))
			if err != nil {
				t.Fatal(err)
			}
			l, err := revocation.ParseCRL(raw)
			if err != nil {
				t.Logf("%s stays away: %v", name, err)
				continue
			}
			s.lists[name] = l
		}
	}
	return s
}

// world is the suite on keys of one kind.
type world struct {
	kind         keyKind
	keys         map[[sha256.Size]byte]signer // by the SPKI of the published key
	byNewKey     map[string]signer
	certificates map[string]*certificate.Certificate
	lists        map[string]*revocation.CRL
}

func newWorld(t *testing.T, s *suite, kind keyKind) *world {
	t.Helper()
	w := &world{kind: kind, keys: map[[sha256.Size]byte]signer{}, byNewKey: map[string]signer{},
		certificates: map[string]*certificate.Certificate{}, lists: map[string]*revocation.CRL{}}
	for _, c := range s.certificates {
		w.key(c.RawSPKI)
	}
	for name, c := range s.certificates {
		tbs := elements(c.RawTBS)
		tbs[2], tbs[6] = kind.algorithm, w.key(c.RawSPKI).spki
		raw := w.sign(sequence(tbs...), w.signerOf(s, func(issuer *certificate.Certificate) bool { return signed(c, issuer) }))
		var err error
		if w.certificates[name], err = certificate.Parse(raw); err != nil {
			t.Fatal(err)
		}
	}
	for name, l := range s.lists {
		tbs := elements(l.RawTBS)
		at := slices.IndexFunc(tbs, func(e []byte) bool { return e[0] == 0x30 })
		tbs[at] = kind.algorithm
		by := w.signerOf(s, func(issuer *certificate.Certificate) bool {
			key, err := issuer.Key()
			if err != nil || !issuer.Subject.Equal(l.Issuer) {
				return false
			}
			_, err = l.VerifySignature(key)
			return err == nil
		})
		var err error
		if w.lists[name], err = revocation.ParseCRL(w.sign(sequence(tbs...), by)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) key(published []byte) signer {
	id := sha256.Sum256(published)
	k, ok := w.keys[id]
	if !ok {
		k = w.kind.make()
		w.keys[id], w.byNewKey[string(k.spki)] = k, k
	}
	return k
}

// signerOf finds the new key of who signed the published object; a stranger's where nobody did, so that false signatures stay
// false.
func (w *world) signerOf(s *suite, did func(*certificate.Certificate) bool) signer {
	for _, c := range s.certificates {
		if did(c) {
			return w.key(c.RawSPKI)
		}
	}
	return w.kind.make()
}

func signed(c, issuer *certificate.Certificate) bool {
	if !issuer.Subject.Equal(c.Issuer) {
		return false
	}
	key, err := issuer.Key()
	if err != nil {
		return false
	}
	scheme, err := algorithm.FromCertificate(c.SignatureAlgorithm)
	if err != nil {
		return false
	}
	_, err = scheme.Verify(key, c.RawTBS, c.Signature)
	return err == nil
}

func (w *world) sign(tbs []byte, by signer) []byte {
	return sequence(tbs, w.kind.algorithm, bitString(by.sign(tbs)))
}

// judge validates one case with its CRLs, then with OCSP responses that say what the CRLs do.
func (w *world) judge(t *testing.T, c pkitsCase) {
	t.Helper()
	var chain []*certificate.Certificate
	for _, name := range c.Path {
		chain = append(chain, w.certificates[name])
	}
	anchor := w.certificates[c.Anchor]
	var lists []*revocation.CRL
	for _, name := range c.CRLs {
		if l := w.lists[name]; l != nil {
			lists = append(lists, l)
		}
	}
	result := validate(t, chain, anchor, c.Time, nil, lists)
	if result.Valid != c.Valid {
		t.Errorf("%s by CRL: valid is %v: %v", c.ID, result.Valid, result.Reasons)
	}
	responses := w.mirror(t, chain, anchor, c.Time, lists)
	if result = validate(t, chain, anchor, c.Time, responses, nil); result.Valid != c.Valid {
		t.Errorf("%s by OCSP: valid is %v: %v", c.ID, result.Valid, result.Reasons)
	}
}

func validate(t *testing.T, chain []*certificate.Certificate, anchor *certificate.Certificate, at time.Time,
	responses []*revocation.Response, lists []*revocation.CRL) path.Result {
	t.Helper()
	trusted, err := path.AnchorFrom(anchor)
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := path.NewAnchors(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return path.Validate(context.Background(), path.Request{
		Target: chain[len(chain)-1], Pool: path.NewPool(chain...), Anchors: anchors, Time: at,
		Revocation: &path.RevocationRule{Required: true,
			Evidence: func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return responses, lists }},
	})
}

// mirror says in OCSP what the lists say of each certificate; where they say nothing that can be used, nothing is said.
func (w *world) mirror(t *testing.T, chain []*certificate.Certificate, anchor *certificate.Certificate, at time.Time,
	lists []*revocation.CRL) (responses []*revocation.Response) {
	t.Helper()
	issuers := append([]*certificate.Certificate{anchor}, chain...)
	for _, c := range chain {
		for _, issuer := range issuers {
			if !signed(c, issuer) {
				continue
			}
			key, _ := issuer.Key()
			q := revocation.Question{Certificate: c, Issuer: issuer, IssuerName: issuer.Subject, IssuerKey: key, Time: at,
				CRLIssuers: func(name certificate.Name) (found []*certificate.Certificate) {
					for _, candidate := range issuers {
						if candidate.Subject.Equal(name) {
							found = append(found, candidate)
						}
					}
					return found
				},
				Trusted: func(signer *certificate.Certificate) error {
					if result := validate(t, append(slices.Clone(chain), signer), anchor, at, nil, lists); !result.Valid {
						return errors.New(result.Reason().Detail)
					}
					return nil
				}}
			answer := revocation.CheckCRL(q, lists)
			if answer.Status == revocation.Good || answer.Status == revocation.Revoked {
				responses = append(responses, w.respond(t, c, issuer, answer))
			}
			break
		}
	}
	return responses
}

// respond mints an answer of the issuing key itself.
func (w *world) respond(t *testing.T, c, issuer *certificate.Certificate, answer revocation.Result) *revocation.Response {
	t.Helper()
	key, err := issuer.Key()
	if err != nil {
		t.Fatal(err)
	}
	name, hash := sha1.Sum(c.RawIssuer), sha1.Sum(key.BitString())
	generalized := func(b *cryptobyte.Builder, at time.Time) {
		b.AddASN1(der.GeneralizedTime, func(b *cryptobyte.Builder) { b.AddBytes([]byte(at.UTC().Format("20060102150405Z"))) })
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(issuer.RawSubject) })
		generalized(b, answer.ThisUpdate)
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(identifier(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, nil))
					b.AddASN1OctetString(name[:])
					b.AddASN1OctetString(hash[:])
					b.AddASN1(der.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(c.Serial) })
				})
				if answer.Status == revocation.Good {
					b.AddASN1(der.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
				} else {
					b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { generalized(b, answer.RevocationTime) })
				}
				generalized(b, answer.ThisUpdate)
				b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { generalized(b, answer.NextUpdate) })
			})
		})
	})
	basic := w.sign(b.BytesOrPanic(), w.byNewKey[string(issuer.RawSPKI)])
	var outer cryptobyte.Builder
	outer.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1})
				b.AddASN1OctetString(basic)
			})
		})
	})
	r, err := revocation.ParseOCSP(outer.BytesOrPanic())
	if err != nil {
		t.Fatal(err)
	}
	return r
}
