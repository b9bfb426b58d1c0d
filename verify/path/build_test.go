package path_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	cryptorand "crypto/rand"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/brainpool"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// names returns the common names of the chain, the target first.
func names(r path.Result) (list []string) {
	for _, c := range r.Chain {
		list = append(list, c.Subject.CommonName())
	}
	return list
}

func TestBuildingFindsTheOneWay(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	stranger := mint(t, nil, "stranger", nil, ca)
	middle := mint(t, root, "middle", nil, ca)
	leaf := mint(t, middle, "leaf", nil)
	twin := mint(t, root, "middle", nil, ca)               // same name, other key
	crossed := mint(t, stranger, "middle", middle.key, ca) // same name and key, other issuer
	expired := mint(t, root, "middle", middle.key, ca, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	oldRoot := mint(t, nil, "root", nil, ca)         // key rollover of the root
	rolled := mint(t, oldRoot, "root", root.key, ca) // the new root's key under the old one
	loopA := mint(t, middle, "root", root.key, ca)   // root certified below itself
	heap := []*entity{twin, crossed, expired, rolled, loopA, middle, leaf, root, middle, stranger}
	for _, test := range []struct {
		name   string
		anchor *entity
		want   int // certificates of the chain
	}{{"shortest", root, 2}, {"cross certificate", stranger, 2}, {"root rollover", oldRoot, 3}} {
		for range 5 {
			rand.Shuffle(len(heap), func(i, j int) { heap[i], heap[j] = heap[j], heap[i] })
			r := validate(path.Request{Target: leaf.cert, Pool: pool(heap...), Anchors: anchors(t, test.anchor)})
			wantCode(t, r, path.OK)
			if len(r.Chain) != test.want {
				t.Errorf("%s: chain %v", test.name, names(r))
			}
		}
	}
	r := validate(path.Request{Target: leaf.cert, Pool: pool(twin, loopA), Anchors: anchors(t, root)})
	wantCode(t, r, path.BadSignature)
	r = validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root)})
	wantCode(t, r, path.NoPath)
	r = validate(path.Request{Target: leaf.cert, Pool: pool(heap...)})
	wantCode(t, r, path.NoAnchor)
}

func TestLoopsOfCrossCertificatesEnd(t *testing.T) {
	keys := make([]*entity, 6)
	for i := range keys {
		keys[i] = mint(t, nil, fmt.Sprint("ca", i), nil, ca)
	}
	var heap []*entity
	for i, issuer := range keys {
		for k, subject := range keys {
			if i != k {
				heap = append(heap, mint(t, issuer, fmt.Sprint("ca", k), subject.key, ca))
			}
		}
	}
	leaf := mint(t, keys[0], "leaf", nil)
	lost := mint(t, nil, "lost", nil, ca)
	r := validate(path.Request{Target: leaf.cert, Pool: pool(heap...), Anchors: anchors(t, lost)})
	wantCode(t, r, path.NoPath)
	entry := mint(t, lost, "ca5", keys[5].key, ca)
	r = validate(path.Request{Target: leaf.cert, Pool: pool(append(heap, entry)...), Anchors: anchors(t, lost)})
	wantCode(t, r, path.OK)
}

func TestAnchors(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	issuing := mint(t, root, "issuing", nil, ca, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, -1, 0) })
	leaf := mint(t, issuing, "leaf", nil)
	service, err := path.AnchorFrom(issuing.cert)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("an expired CA that is not self-signed", func(t *testing.T) {
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, service)}), path.OK)
	})
	t.Run("its validity counts when asked", func(t *testing.T) {
		a := service
		a.Validity = true
		r := validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, a)})
		wantCode(t, r, path.AnchorOutOfTime)
	})
	t.Run("the window of its service", func(t *testing.T) {
		a := service
		a.NotBefore, a.NotAfter = now.AddDate(0, 0, -2), now.AddDate(0, 0, -1)
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, a)}), path.AnchorOutOfTime)
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, a), Time: now.AddDate(0, 0, -1)}), path.OK)
	})
	t.Run("a bare name and key", func(t *testing.T) {
		a := path.Anchor{Name: service.Name, Key: service.Key, ID: "service-1"}
		r := validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, a)})
		wantCode(t, r, path.OK)
		if r.Anchor.ID != "service-1" {
			t.Errorf("anchor %v", r.Anchor)
		}
	})
	t.Run("the target itself", func(t *testing.T) {
		a, _ := path.AnchorFrom(leaf.cert)
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, a)}), path.NoPath)
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchorSet(t, a), DirectTrust: true}), path.OK)
	})
	t.Run("refused", func(t *testing.T) {
		if _, err := path.NewAnchors(path.Anchor{Name: service.Name}); err == nil {
			t.Error("an anchor without a key is taken")
		}
		if _, err := path.NewAnchors(path.Anchor{Name: service.Name, Key: service.Key, Validity: true}); err == nil {
			t.Error("an anchor without a certificate is to count by it")
		}
	})
}

func TestAnchorsExtensionsCountWhenAsked(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*x509.Certificate)
		need   bool
		want   path.Code
	}{
		{"right", ca, false, path.OK},
		{"no CA", func(c *x509.Certificate) { c.BasicConstraintsValid = true }, false, path.NotACA},
		{"nothing said", func(*x509.Certificate) {}, false, path.OK},
		{"nothing said, but needed", func(*x509.Certificate) {}, true, path.NotACA},
		{"path length", func(c *x509.Certificate) { ca(c); c.MaxPathLenZero = true }, false, path.PathTooLong},
		{"key usage", func(c *x509.Certificate) { ca(c); c.KeyUsage = x509.KeyUsageCRLSign }, false, path.NotForCertSigning},
		{"names", func(c *x509.Certificate) { ca(c); c.PermittedDNSDomains = []string{"other.example"} }, false, path.NameNotPermitted},
		{"purposes", func(c *x509.Certificate) { ca(c); c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, false, path.PurposeMismatch},
		{"unknown critical", func(c *x509.Certificate) { ca(c); with([]int{1, 2, 3}, true, 5, 0)(c) }, false, path.UnknownCritical},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := newKey(t)
			root := mint(t, nil, "root", key, test.change)
			signer := mint(t, nil, "root", key, ca)
			middle := mint(t, signer, "middle", nil, ca)
			leaf := mint(t, middle, "leaf", nil, func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} })
			a, _ := path.AnchorFrom(root.cert)
			request := path.Request{Target: leaf.cert, Pool: pool(middle), Purposes: []certificate.OID{certificate.PurposeServerAuth}}
			request.Anchors = anchorSet(t, a)
			wantCode(t, validate(request), path.OK)
			a.Constraints, a.BasicConstraints = true, test.need
			request.Anchors = anchorSet(t, a)
			wantCode(t, validate(request), test.want)
		})
	}
}

// blowUp is a time that no machine needs for what a budget allows, however busy it is: the budget holds nothing then.
const blowUp = time.Minute

func TestBudgets(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	t.Run("thousands of namesakes", func(t *testing.T) {
		keys := []*entity{mint(t, nil, "middle", nil), mint(t, nil, "middle", nil), mint(t, nil, "middle", nil)}
		var heap []*entity
		for i := range 3_000 {
			heap = append(heap, mint(t, keys[i%3], "middle", keys[(i+1)%3].key, ca))
		}
		for name, issuer := range map[string]*entity{"of another key": mint(t, nil, "middle", nil, ca), "that sign each other": keys[0]} {
			leaf := mint(t, issuer, "leaf", nil)
			start := time.Now()
			r := validate(path.Request{Target: leaf.cert, Pool: pool(heap...), Anchors: anchors(t, root)})
			if code := r.Reason().Code; code != path.BadSignature && code != path.Budget && code != path.NoPath {
				t.Errorf("%s: reasons %v", name, r.Reasons)
			}
			if took := time.Since(start); took > blowUp {
				t.Errorf("%s: took %v", name, took)
			}
		}
	})
	t.Run("signatures", func(t *testing.T) {
		sameID := func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }
		middle := mint(t, root, "middle", nil, ca, sameID)
		var heap []*entity
		for range 20 {
			heap = append(heap, mint(t, root, "middle", nil, ca, sameID))
		}
		leaf := mint(t, middle, "leaf", nil)
		request := path.Request{Target: leaf.cert, Pool: pool(append(heap, middle)...), Anchors: anchors(t, root), Limits: path.Limits{Signatures: 10}}
		r := validate(request)
		wantCode(t, r, path.Budget)
		if r.Spent.Signatures > 10 {
			t.Errorf("%d signatures", r.Spent.Signatures)
		}
		request.Limits.Signatures = 30
		wantCode(t, validate(request), path.OK)
	})
	t.Run("dear keys", func(t *testing.T) {
		lost := mint(t, nil, "middle", nil, ca)
		leaf := mint(t, lost, "leaf", nil)
		shape := mint(t, root, "middle", nil, ca)
		var heap []*certificate.Certificate
		for range 150 {
			key, err := ecdsa.GenerateKey(brainpool.P512r1(), cryptorand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			heap = append(heap, withBrainpoolKey(t, shape.cert, &key.PublicKey))
		}
		start := time.Now()
		r := validate(path.Request{Target: leaf.cert, Pool: path.NewPool(heap...), Anchors: anchors(t, root)})
		wantCode(t, r, path.Budget)
		if took := time.Since(start); took > blowUp || r.Spent.Work > path.DefaultLimits.Work {
			t.Errorf("took %v, %+v", took, r.Spent)
		}
	})
	t.Run("names times constraints", func(t *testing.T) {
		var hosts, forbidden []string
		for i := range 600 {
			hosts, forbidden = append(hosts, fmt.Sprintf("h%d.example", i)), append(forbidden, fmt.Sprintf("h%d.test", i))
		}
		request := chainOf(t, func(c *x509.Certificate) { c.ExcludedDNSDomains = forbidden }, func(c *x509.Certificate) { c.DNSNames = hosts })
		wantCode(t, validate(request), path.Budget)
		request.Limits.Comparisons = 600 * 600
		wantCode(t, validate(request), path.OK)
	})
	t.Run("candidates", func(t *testing.T) {
		middle := mint(t, root, "middle", nil, ca)
		leaf := mint(t, middle, "leaf", nil)
		r := validate(path.Request{Target: leaf.cert, Pool: pool(middle), Anchors: anchors(t, root), Limits: path.Limits{Candidates: 1}})
		wantCode(t, r, path.Budget)
	})
	t.Run("depth", func(t *testing.T) {
		issuer, heap := root, []*entity(nil)
		for i := range 10 {
			issuer = mint(t, issuer, fmt.Sprint("ca", i), nil, ca)
			heap = append(heap, issuer)
		}
		leaf := mint(t, issuer, "leaf", nil)
		request := path.Request{Target: leaf.cert, Pool: pool(heap...), Anchors: anchors(t, root)}
		wantCode(t, validate(request), path.OK)
		request.Limits.Depth = 5
		wantCode(t, validate(request), path.PathTooLong)
		request.Limits.Depth, request.MaxDepth = 0, new(int)
		*request.MaxDepth = 9
		wantCode(t, validate(request), path.PathTooLong)
	})
	t.Run("time", func(t *testing.T) {
		leaf := mint(t, root, "leaf", nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		wantCode(t, path.Validate(ctx, path.Request{Target: leaf.cert, Anchors: anchors(t, root), Time: now}), path.Budget)
	})
}

// withBrainpoolKey puts a brainpoolP512r1 key in the place of the certificate's own; its signature is left to be wrong.
func withBrainpoolKey(t *testing.T, c *certificate.Certificate, key *ecdsa.PublicKey) *certificate.Certificate {
	t.Helper()
	var spki cryptobyte.Builder
	spki.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte{6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 0x0d})
		})
		//lint:ignore SA1019 the standard library encodes no keys of this curve
		b.AddASN1BitString(slices.Concat([]byte{4}, key.X.FillBytes(make([]byte, 64)), key.Y.FillBytes(make([]byte, 64))))
	})
	tbs := cryptobyte.String(c.RawTBS)
	tbs.ReadASN1(&tbs, asn1.SEQUENCE)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(bytes.Replace(tbs, c.RawSPKI, spki.BytesOrPanic(), 1))
		})
		b.AddBytes(c.SignatureAlgorithm)
		b.AddBytes(c.RawSignature)
	})
	changed, err := certificate.Parse(b.BytesOrPanic())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := changed.Key(); err != nil {
		t.Fatal(err)
	}
	return changed
}
