package path_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"trustcore/verify/cache"
	"trustcore/verify/path"
)

// rsaChain mints root, middle and leaf with RSA keys of the given size.
func rsaChain(b *testing.B, bits int) (root, middle, leaf *entity) {
	b.Helper()
	key := func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			b.Fatal(err)
		}
		return k
	}
	root = mint(b, nil, "root", key(), ca)
	middle = mint(b, root, "middle", key(), ca)
	return root, middle, mint(b, middle, "leaf", key())
}

// BenchmarkChain compares a chain of three certificates with crypto/x509 in the same run.
func BenchmarkChain(b *testing.B) {
	for _, size := range []struct {
		name string
		bits int
	}{{"RSA-2048", 2048}, {"RSA-4096", 4096}} {
		root, middle, leaf := rsaChain(b, size.bits)
		request := path.Request{Target: leaf.cert, Pool: pool(middle), Anchors: anchors(b, root), Time: now}
		b.Run(size.name+"/cold", func(b *testing.B) { benchValidate(b, request) })
		b.Run(size.name+"/crypto_x509", func(b *testing.B) {
			b.ReportAllocs()
			options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
			options.Roots.AddCert(root.std)
			options.Intermediates.AddCert(middle.std)
			for b.Loop() {
				if _, err := leaf.std.Verify(options); err != nil {
					b.Fatal(err)
				}
			}
		})
		cache := newCache(b)
		request.Cache = cache
		b.Run(size.name+"/cached", func(b *testing.B) { benchValidate(b, request) })
		b.Run(size.name+"/cached_from_bytes", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchFromBytes(b, cache, request, leaf, middle)
			}
		})
	}
}

// benchFromBytes is one validation of a caller that has DER alone: digests, both caches and a pool of its own.
func benchFromBytes(b *testing.B, cache *cache.Cache, request path.Request, leaf, middle *entity) {
	target, err := cache.Parse(leaf.cert.Raw)
	if err != nil {
		b.Fatal(err)
	}
	above, err := cache.Parse(middle.cert.Raw)
	if err != nil {
		b.Fatal(err)
	}
	request.Target, request.Pool = target, path.NewPool(above)
	if r := validate(request); !r.Valid {
		b.Fatal(r.Reasons)
	}
}

func benchValidate(b *testing.B, request path.Request) {
	b.ReportAllocs()
	for b.Loop() {
		if r := validate(request); !r.Valid {
			b.Fatal(r.Reasons)
		}
	}
}
