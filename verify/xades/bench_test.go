package xades

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
)

// letter is the text of a minted document, in octets that are mostly not of ASCII's.
var letter = strings.Repeat("Zażółć gęślą jaźń. ", 800)

// timely mints an enveloped signature of level B-T.
func timely(t testing.TB) []byte {
	t.Helper()
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	m := basic(signer)
	m.unsigned = `<xades:SignatureTimeStamp Id="T1"><ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `">` +
		`</ds:CanonicalizationMethod><xades:EncapsulatedTimeStamp>TOKEN</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`
	text := complete(t, strings.Replace(envelop(m), "Wniosek", letter, 1), nil, signer)
	value, err := readNth(t, text, 0).ValueNode.Canonical(xmldsig.Canonicalization{Form: xmldsig.Exclusive})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.Replace(text, "TOKEN", b64(tsu.Stamp(t, value, cmstest.Now)), 1))
}

// BenchmarkOpen reads the facts of documents with warm caches. The public-key operations of their signatures and
// time-stamps are done beside, in turns: the metric "us/document" is what everything else takes.
func BenchmarkOpen(b *testing.B) {
	b.Run("minted", func(b *testing.B) { benchOpen(b, [][]byte{timely(b)}) })
	b.Run("corpus", func(b *testing.B) { benchOpen(b, signedSamples(b)) })
}

// signedSamples are the XML signatures of the public samples, or those that TRUSTCORE_BENCH lists, a path in the
// samples' folder a line.
func signedSamples(b *testing.B) [][]byte {
	root := os.Getenv("TRUSTCORE_CORPUS")
	if root == "" {
		b.Skip("TRUSTCORE_CORPUS names no folder of public samples")
	}
	names, err := filepath.Glob(filepath.Join(root, "signatures", "files", "*", "*.xml"))
	if err != nil {
		b.Fatal(err)
	}
	if list := os.Getenv("TRUSTCORE_BENCH"); list != "" {
		text, err := os.ReadFile(list)
		if err != nil {
			b.Fatal(err)
		}
		names = nil
		for _, name := range strings.Fields(string(text)) {
			names = append(names, filepath.Join(root, "signatures", name))
		}
	}
	var documents [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Open(budget.New(b.Context(), len(data)), data, nil); err == nil {
			documents = append(documents, data)
		}
	}
	return documents
}

func benchOpen(b *testing.B, documents [][]byte) {
	known, err := cache.New(cache.Config{Certificates: 10_000, Verdicts: 10_000, Evidence: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	ctx := cache.Within(b.Context(), known)
	operations := make([][]func(), len(documents))
	for i, data := range documents {
		operations[i] = publicKeyOperations(b, ctx, known, data)
	}
	open := func() {
		for _, data := range documents {
			if _, err := Open(budget.New(ctx, len(data)), data, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	open()
	runtime.ReadMemStats(&after)
	opened, bare := make([][]time.Duration, len(documents)), make([][]time.Duration, len(documents))
	for b.Loop() {
		for i, data := range documents {
			begun := time.Now()
			if _, err := Open(budget.New(ctx, len(data)), data, nil); err != nil {
				b.Fatal(err)
			}
			between := time.Now()
			for _, operation := range operations[i] {
				operation()
			}
			opened[i], bare[i] = append(opened[i], between.Sub(begun)), append(bare[i], time.Since(between))
		}
	}
	n := float64(len(documents))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric((undisturbed(opened)-undisturbed(bare))/n, "us/document")
	b.ReportMetric(undisturbed(bare)/n, "us-public-key")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/document")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/document")
}

// undisturbed sums up, in microseconds, what each took in the fastest tenth of its turns: other work on the machine
// disturbs that little.
func undisturbed(times [][]time.Duration) (sum float64) {
	for _, turns := range times {
		slices.Sort(turns)
		sum += float64(turns[len(turns)/10].Nanoseconds()) / 1e3
	}
	return sum
}

// publicKeyOperations are as many as the document has signatures and time-stamps, with their keys.
func publicKeyOperations(b *testing.B, ctx context.Context, known *cache.Cache, data []byte) (all []func()) {
	b.Helper()
	doc, err := Open(budget.New(ctx, len(data)), data, nil)
	if err != nil {
		b.Fatal(err)
	}
	add := func(signer []byte, uses []signature.AlgorithmUse) {
		key := known.KeyOf(signer)
		if key == nil {
			return
		}
		size, uri := (key.Bits()+7)/8, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
		if key.Kind() == algorithm.KindEC {
			size, uri = 2*size, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
		}
		scheme, err := algorithm.FromXML(uri, nil)
		if err != nil {
			b.Fatal(err)
		}
		value, digest := bytes.Repeat([]byte{1}, size), make([]byte, sha256.Size)
		all = append(all, func() { _, _ = scheme.VerifyDigest(key, digest, value) })
	}
	for _, s := range doc.Signatures {
		add(s.Signer, s.Algorithms)
		for _, t := range s.Timestamps {
			add(t.Signer, t.Algorithms)
		}
	}
	return all
}
