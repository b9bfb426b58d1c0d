package verify

import (
	"bytes"
	"crypto/sha256"
	"os"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

// benchDocument is a document with the files that it is about.
type benchDocument struct {
	data     []byte
	detached []signature.Detached
}

func mintedMix(b *testing.B) ([]benchDocument, *Evidence, time.Time) {
	w := newWorld(b)
	ev := w.evidence(w.ca.CRL(b, mint.Day, nil))
	var list []benchDocument
	for _, data := range minted(b, w) {
		list = append(list, benchDocument{data: data})
	}
	return list, ev, mint.Day.Add(time.Hour)
}

// BenchmarkJudge opens and judges a minted mix with warm caches. "limit" is what those documents cost at the
// least: a public-key operation for each signature value in them, and a hash over their bytes; the metric
// x-limit is how many times that a document takes.
func BenchmarkJudge(b *testing.B) {
	list, ev, at := mintedMix(b)
	benchJudge(b, list, ev, at)
}

// BenchmarkConformanceJudge is the same over the public samples.
func BenchmarkConformanceJudge(b *testing.B) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		b.Skip("set TRUSTCORE_CORPUS to the folder of public samples")
	}
	ev := corpusEvidence(b, corpus, "eu-2023-10")
	var list []benchDocument
	for _, s := range samples(b, corpus, "dss-6.4-2023.jsonl") {
		data, detached := readSample(b, corpus, s)
		list = append(list, benchDocument{data, detached})
	}
	benchJudge(b, list, ev, time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC))
}

func benchJudge(b *testing.B, list []benchDocument, ev *Evidence, at time.Time) {
	b.Helper()
	judge := func() {
		for _, d := range list {
			doc, err := Open(budget.New(b.Context(), len(d.data)), d.data, d.detached...)
			if err != nil {
				continue
			}
			if _, err := Judge(budget.New(b.Context(), len(d.data)), doc, ev, DefaultPolicy(), at); err != nil {
				b.Fatal(err)
			}
		}
	}
	judge()
	least := leastWork(b, list, ev)
	for b.Loop() {
		judge()
	}
	perRun := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(perRun.Microseconds())/float64(len(list)), "us/document")
	b.ReportMetric(float64(perRun)/float64(least), "x-limit")
}

// leastWork is the time of the hashes over the documents and of one verification for each signature value.
func leastWork(b *testing.B, list []benchDocument, ev *Evidence) time.Duration {
	b.Helper()
	var operations []func()
	add := func(der []byte) {
		if c, err := ev.Cache.Parse(der); err == nil {
			if key, err := c.Key(); err == nil {
				operations = append(operations, operation(key))
			}
		}
	}
	for _, d := range list {
		doc, err := Open(budget.New(b.Context(), len(d.data)), d.data, d.detached...)
		if err != nil {
			continue
		}
		for _, s := range doc.Signatures {
			add(s.Signer)
			for _, t := range s.Timestamps {
				add(t.Signer)
			}
		}
	}
	const rounds = 5
	start := time.Now()
	for range rounds {
		for _, d := range list {
			sha256.Sum256(d.data)
			for _, file := range d.detached {
				sha256.Sum256(file.Content)
			}
		}
		for _, op := range operations {
			op()
		}
	}
	return time.Since(start) / rounds
}

// operation is a verification that fails at its very end, since a value of the right form is checked in full.
func operation(key *algorithm.PublicKey) func() {
	size, uri := (key.Bits()+7)/8, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	if strings.HasPrefix(key.Name(), "EC") {
		size, uri = 2*size, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	}
	scheme, err := algorithm.FromXML(uri, nil)
	if err != nil {
		return func() {}
	}
	value, digest := bytes.Repeat([]byte{1}, size), make([]byte, sha256.Size)
	return func() { _, _ = scheme.VerifyDigest(key, digest, value) }
}
