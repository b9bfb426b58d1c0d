package revocation

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// bigList is a CRL of the standard library's making with random serials of 16 octets and reasons.
func bigList(t testing.TB, entries int) (raw []byte, serials []*big.Int, issuer *holder) {
	t.Helper()
	ca := mint(t, nil, "CA", nil, asCA)
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: day(1), NextUpdate: day(20)}
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	for range entries {
		serial, err := rand.Int(rand.Reader, limit)
		if err != nil {
			t.Fatal(err)
		}
		serials = append(serials, serial)
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: day(0), ReasonCode: 1})
	}
	raw, err := x509.CreateRevocationList(rand.Reader, template, ca.x, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return raw, serials, ca
}

// content gives the content octets of an INTEGER.
func content(n *big.Int) []byte {
	octets := n.Bytes()
	if len(octets) == 0 || octets[0]&0x80 != 0 {
		octets = append([]byte{0}, octets...)
	}
	return octets
}

func TestIndexHoldsEveryEntry(t *testing.T) {
	raw, serials, ca := bigList(t, 20000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c, err := ParseCRL(raw)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 20000*80 {
		t.Errorf("index of 20,000 entries took %d octets", grown)
	}
	if c.Len() != len(serials) {
		t.Fatalf("%d entries of %d", c.Len(), len(serials))
	}
	for _, serial := range serials {
		if e, ok := c.Find(ca.cert.Subject, content(serial)); !ok || e.Reason != KeyCompromise || !e.RevocationDate.Equal(day(0)) {
			t.Fatalf("%x: %v %v", serial, e, ok)
		}
	}
	for range 1000 {
		strange, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
		if _, ok := c.Find(ca.cert.Subject, content(strange)); ok {
			t.Fatalf("%x is found", strange)
		}
	}
	if _, err := c.VerifySignature(mustKey(t, ca)); err != nil {
		t.Error(err)
	}
}

// TestLargestCRL reads a list of nearly MaxCRLSize with the shortest entries: memory stays below the list's own size.
func TestLargestCRL(t *testing.T) {
	ca := mint(t, nil, "CA", nil, asCA)
	const count = 2_500_000
	one := entry{serial: []byte{1, 0, 0, 0}, date: day(0), reason: NoReason}
	line := build(one.add)
	entries := make([]byte, 0, count*len(line))
	for i := range count {
		line[5], line[6], line[7] = byte(i>>16), byte(i>>8), byte(i)
		entries = append(entries, line...)
	}
	l := list{this: day(1), next: day(20), raw: entries}
	raw := l.der(t, ca)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := ParseCRL(raw)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; c.Len() != count || grown > uint64(len(raw)) {
		t.Fatalf("%d entries, %d octets for a list of %d", c.Len(), grown, len(raw))
	}
	t.Logf("%d octets of index for a list of %d", after.TotalAlloc-before.TotalAlloc, len(raw))
	if _, ok := c.Find(ca.cert.Subject, []byte{1, 1, 2, 3}); !ok {
		t.Error("an entry is not found")
	}
	if _, err := ParseCRL(make([]byte, MaxCRLSize+1)); err == nil {
		t.Error("a larger list is read")
	}
}

// compare runs own and peer in turn, so that what else the machine does falls on both, and reports their medians and the
// ratio of these.
func compare(b *testing.B, own, peer func()) {
	var owns, peers []time.Duration
	for b.Loop() {
		start := time.Now()
		own()
		middle := time.Now()
		peer()
		owns, peers = append(owns, middle.Sub(start)), append(peers, time.Since(middle))
	}
	slices.Sort(owns)
	slices.Sort(peers)
	a, p := float64(owns[len(owns)/2]), float64(peers[len(peers)/2])
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(a/1e3, "own-us")
	b.ReportMetric(p/1e3, "peer-us")
	b.ReportMetric(a/p, "own/peer")
}

// BenchmarkParseCRL compares the index of 100,000 entries with the standard library's list.
func BenchmarkParseCRL(b *testing.B) {
	raw, _, _ := bigList(b, 100000)
	compare(b, func() {
		if _, err := ParseCRL(raw); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := x509.ParseRevocationList(raw); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkIndex shows the memory of the index.
func BenchmarkIndex(b *testing.B) {
	raw, _, _ := bigList(b, 100000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCRL(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	raw, serials, ca := bigList(b, 100000)
	c, err := ParseCRL(raw)
	if err != nil {
		b.Fatal(err)
	}
	listed, strange := content(serials[len(serials)/2]), []byte("no such serial")
	b.Run("listed", func(b *testing.B) {
		for b.Loop() {
			if _, ok := c.Find(ca.cert.Subject, listed); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("strange", func(b *testing.B) {
		for b.Loop() {
			if _, ok := c.Find(ca.cert.Subject, strange); ok {
				b.Fatal("found")
			}
		}
	})
}

// BenchmarkOCSP compares reading, and reading with checking, with x/crypto/ocsp on the same response.
func BenchmarkOCSP(b *testing.B) {
	ca := mint(b, nil, "CA", nil, asCA)
	leaf := mint(b, ca, "leaf", nil, nil)
	raw, err := ocsp.CreateResponse(ca.x, ca.x, ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.x.SerialNumber,
		ThisUpdate: day(9), NextUpdate: day(12)}, ca.key)
	if err != nil {
		b.Fatal(err)
	}
	q := question(b, ca, leaf)
	q.Time = time.Now() // producedAt is the clock's
	q.Freshness = new(AnyAge)
	leaf.cert.NotAfter = q.Time.AddDate(1, 0, 0)
	b.Run("parse", func(b *testing.B) {
		compare(b, func() {
			if _, err := ParseOCSP(raw); err != nil {
				b.Fatal(err)
			}
		}, func() {
			if _, err := ocsp.ParseResponse(raw, nil); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("verify", func(b *testing.B) {
		compare(b, func() {
			r, err := ParseOCSP(raw)
			if err != nil {
				b.Fatal(err)
			}
			if got := CheckOCSP(q, r); got.Status != Good {
				b.Fatal(got.Code, got.Detail)
			}
		}, func() {
			if _, err := ocsp.ParseResponse(raw, ca.x); err != nil {
				b.Fatal(err)
			}
		})
	})
}
