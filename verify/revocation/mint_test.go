package revocation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// The clock of the minted world: issued at day 0, validated at day 10 unless a test says otherwise.
var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func day(n int) time.Time { return day0.AddDate(0, 0, n) }

// holder is a key with its certificate.
type holder struct {
	key  *ecdsa.PrivateKey
	x    *x509.Certificate
	cert *certificate.Certificate
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// mint issues a certificate; a nil issuer signs itself, a nil key is made.
func mint(t testing.TB, issuer *holder, cn string, key *ecdsa.PrivateKey, change func(*x509.Certificate)) *holder {
	t.Helper()
	if key == nil {
		key = newKey(t)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, NotBefore: day(-30), NotAfter: day(300)}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.x, issuer.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := x509.ParseCertificate(raw) // nil for what the standard library cannot read; such a one issues nothing
	c, err := certificate.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{key, x, c}
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func asResponder(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	c.KeyUsage = x509.KeyUsageDigitalSignature
}

// with adds an extension.
func with(ext pkix.Extension) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, ext) }
}

func all(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// extension makes an Extension of a dotted identifier and its value.
func extension(oid asn1.ObjectIdentifier, critical bool, value []byte) pkix.Extension {
	return pkix.Extension{Id: oid, Critical: critical, Value: value}
}

func build(add func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	add(&b)
	return b.BytesOrPanic()
}

func addExtensions(b *cryptobyte.Builder, list []pkix.Extension) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range list {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(e.Id)
				if e.Critical {
					b.AddASN1Boolean(true)
				}
				b.AddASN1OctetString(e.Value)
			})
		}
	})
}

func addTime(b *cryptobyte.Builder, t time.Time) {
	b.AddASN1(der.UTCTime, func(b *cryptobyte.Builder) { b.AddBytes([]byte(t.UTC().Format("060102150405Z"))) })
}

var ecdsaSHA256 = build(func(b *cryptobyte.Builder) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
	})
})

// entry is one line of a minted CRL.
type entry struct {
	serial []byte // content octets
	date   time.Time
	reason Reason
	extra  []pkix.Extension
}

// list describes a minted CRL; version 2, signed with ECDSA and SHA-256.
type list struct {
	this, next time.Time
	entries    []entry
	raw        []byte // entries, encoded
	number     int64  // cRLNumber, 0 leaves it out
	base       int64  // BaseCRLNumber, 0 leaves it out
	idp        []byte
	extra      []pkix.Extension
	issuer     []byte // Name, DER; nil is the signer's subject
	version    *int64 // the INTEGER; nil is 1, below 0 leaves it out
}

func enum(n int) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(n)) })
}

func integer(n int64) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddASN1Int64(n) })
}

func (l list) extensions() (exts []pkix.Extension) {
	if l.number > 0 {
		exts = append(exts, extension(asn1.ObjectIdentifier{2, 5, 29, 20}, false, integer(l.number)))
	}
	if l.base > 0 {
		exts = append(exts, extension(asn1.ObjectIdentifier{2, 5, 29, 27}, true, integer(l.base)))
	}
	if l.idp != nil {
		exts = append(exts, extension(asn1.ObjectIdentifier{2, 5, 29, 28}, true, l.idp))
	}
	return append(exts, l.extra...)
}

func (e entry) add(b *cryptobyte.Builder) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(e.serial) })
		addTime(b, e.date)
		exts := e.extra
		if e.reason != NoReason {
			exts = append([]pkix.Extension{extension(asn1.ObjectIdentifier{2, 5, 29, 21}, false, enum(int(e.reason)))}, exts...)
		}
		if len(exts) > 0 {
			addExtensions(b, exts)
		}
	})
}

// der signs the list.
func (l list) der(t testing.TB, signer *holder) []byte {
	t.Helper()
	issuer := l.issuer
	if issuer == nil {
		issuer = signer.cert.RawSubject
	}
	tbs := build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			if version := l.version; version == nil {
				b.AddASN1Int64(1)
			} else if *version >= 0 {
				b.AddASN1Int64(*version)
			}
			b.AddBytes(ecdsaSHA256)
			b.AddBytes(issuer)
			addTime(b, l.this)
			if !l.next.IsZero() {
				addTime(b, l.next)
			}
			if len(l.entries) > 0 || l.raw != nil {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(l.raw)
					for _, e := range l.entries {
						e.add(b)
					}
				})
			}
			if exts := l.extensions(); len(exts) > 0 {
				b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addExtensions(b, exts) })
			}
		})
	})
	return signed(t, tbs, signer, nil)
}

// signed puts a signature behind a to-be-signed part, and certificates behind that where given (OCSP).
func signed(t testing.TB, tbs []byte, signer *holder, certificates [][]byte) []byte {
	t.Helper()
	sum := sha256.Sum256(tbs)
	value, err := signer.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(tbs)
			b.AddBytes(ecdsaSHA256)
			b.AddASN1BitString(value)
			if len(certificates) > 0 {
				b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, c := range certificates {
							b.AddBytes(c)
						}
					})
				})
			}
		})
	})
}

func (l list) crl(t testing.TB, signer *holder) *CRL {
	t.Helper()
	c, err := ParseCRL(l.der(t, signer))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// point is a GeneralNames of one URI under the tags of a DistributionPointName, explicit [0] included.
func point(uri string) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addURI(b, uri) })
		})
	})
}

func addURI(b *cryptobyte.Builder, uri string) {
	b.AddASN1(der.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(uri)) })
}

func addDirectory(b *cryptobyte.Builder, name []byte) {
	b.AddASN1(der.Tag(4).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(name) })
}

// idp makes an IssuingDistributionPoint: point (explicit [0], may be nil) and flags by tag number; 3 is a ReasonFlags octet.
func idp(name []byte, flags map[int]byte) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(name)
			for tag := 1; tag <= 5; tag++ {
				v, ok := flags[tag]
				if !ok {
					continue
				}
				b.AddASN1(der.Tag(tag).ContextSpecific(), func(b *cryptobyte.Builder) {
					if tag == 3 {
						b.AddUint8(0)
					}
					b.AddUint8(v)
				})
			}
		})
	})
}

// distributionPoint is one DistributionPoint of a certificate.
type distributionPoint struct {
	name    []byte // explicit [0]
	reasons byte   // first octet of ReasonFlags, 0 leaves it out
	issuer  []byte // Name, DER
}

func crlPoints(points ...distributionPoint) func(*x509.Certificate) {
	value := build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range points {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(p.name)
					if p.reasons != 0 {
						b.AddASN1(der.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte{0, p.reasons}) })
					}
					if p.issuer != nil {
						b.AddASN1(der.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addDirectory(b, p.issuer) })
					}
				})
			}
		})
	})
	return with(extension(asn1.ObjectIdentifier{2, 5, 29, 31}, false, value))
}

// question asks about a leaf of an issuer on day 10.
func question(t testing.TB, issuer, leaf *holder) Question {
	t.Helper()
	key, err := issuer.cert.Key()
	if err != nil {
		t.Fatal(err)
	}
	return Question{Certificate: leaf.cert, Issuer: issuer.cert, IssuerName: issuer.cert.Subject, IssuerKey: key, Time: day(10)}
}

// single is one minted SingleResponse.
type single struct {
	serial     []byte
	issuer     *holder
	hash       asn1.ObjectIdentifier // nil: SHA-1
	keyHash    []byte                // nil: the issuer's
	status     Status
	at         time.Time
	reason     Reason
	this, next time.Time
	extra      []pkix.Extension
}

// answer is a minted OCSP response; byKey names the responder by its key.
type answer struct {
	produced     time.Time
	singles      []single
	byKey        bool
	name         []byte // Name of the responder, DER; nil is the signer's
	certificates [][]byte
	extra        []pkix.Extension
}

func addGeneralized(b *cryptobyte.Builder, t time.Time) {
	b.AddASN1(der.GeneralizedTime, func(b *cryptobyte.Builder) { b.AddBytes([]byte(t.UTC().Format("20060102150405Z"))) })
}

func keyBits(h *holder) []byte {
	key, err := h.cert.Key()
	if err != nil {
		panic(err)
	}
	return key.BitString()
}

func (s single) add(b *cryptobyte.Builder) {
	oid, sum := asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, func(d []byte) []byte { h := sha1.Sum(d); return h[:] }
	if s.hash != nil {
		oid, sum = s.hash, func(d []byte) []byte { h := sha256.Sum256(d); return h[:] }
	}
	keyHash := s.keyHash
	if keyHash == nil {
		keyHash = sum(keyBits(s.issuer))
	}
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid); b.AddASN1NULL() })
			b.AddASN1OctetString(sum(s.issuer.cert.RawSubject))
			b.AddASN1OctetString(keyHash)
			b.AddASN1(der.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(s.serial) })
		})
		s.addStatus(b)
		addGeneralized(b, s.this)
		if !s.next.IsZero() {
			b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addGeneralized(b, s.next) })
		}
		if len(s.extra) > 0 {
			b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addExtensions(b, s.extra) })
		}
	})
}

func (s single) addStatus(b *cryptobyte.Builder) {
	switch s.status {
	case Good:
		b.AddASN1(der.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
	case Revoked:
		b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			addGeneralized(b, s.at)
			if s.reason != NoReason {
				b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.reason)) })
			}
		})
	default:
		b.AddASN1(der.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
	}
}

func (a answer) der(t testing.TB, signer *holder) []byte {
	t.Helper()
	name := a.name
	if name == nil {
		name = signer.cert.RawSubject
	}
	tbs := build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			if a.byKey {
				sum := sha1.Sum(keyBits(signer))
				b.AddASN1(der.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum[:]) })
			} else {
				b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(name) })
			}
			addGeneralized(b, a.produced)
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, s := range a.singles {
					s.add(b)
				}
			})
			if len(a.extra) > 0 {
				b.AddASN1(der.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addExtensions(b, a.extra) })
			}
		})
	})
	basic := signed(t, tbs, signer, a.certificates)
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Enum(0)
			b.AddASN1(der.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1})
					b.AddASN1OctetString(basic)
				})
			})
		})
	})
}

func (a answer) response(t testing.TB, signer *holder) *Response {
	t.Helper()
	r, err := ParseOCSP(a.der(t, signer))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// countVerify counts the signatures that are checked.
func countVerify(n *int) func(algorithm.Scheme, *algorithm.PublicKey, Signed) ([]string, error) {
	return func(s algorithm.Scheme, key *algorithm.PublicKey, signed Signed) ([]string, error) {
		*n++
		return s.Verify(key, signed.Message, signed.Signature)
	}
}

func mustKey(t testing.TB, h *holder) *algorithm.PublicKey {
	t.Helper()
	key, err := h.cert.Key()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
