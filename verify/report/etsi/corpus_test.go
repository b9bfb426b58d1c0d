package etsi_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// TestCorpus writes a report on every public sample.
func TestCorpus(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	v := corpusVerifier(t, corpus)
	reports := map[string][]byte{}
	for file, detached := range samples(t, corpus) {
		r, err := v.Verify(t.Context(), verify.Request{Document: content(t, corpus, file), Detached: detached, Trace: true})
		if err == nil {
			t.Run(file, func(t *testing.T) { _, reports[file] = holds(t, r) })
		}
	}
	if len(reports) < 400 {
		t.Errorf("only %d samples were read", len(reports))
	}
	valid(t, reports)
	t.Logf("%d reports", len(reports))
}

func corpusVerifier(t testing.TB, corpus string) *verify.Verifier {
	t.Helper()
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{
		Dir:         filepath.Join(corpus, "trustlists", "eu-2023-10"),
		LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers"),
		Extra:       []string{filepath.Join(corpus, "trustlists", "test", "EE_T.xml.gz")},
	})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := cache.New(cache.Config{Certificates: 10_000, Verdicts: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	return verifier(t, lists, cache, time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC))
}

// samples are the files of the corpus with those that they are about.
func samples(t testing.TB, corpus string) map[string][]signature.Detached {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus, "signatures", "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := map[string][]signature.Detached{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var s struct {
			File  string
			Cases []struct {
				Detached []string `json:"detached_contents"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		list[s.File] = nil
		for _, c := range s.Cases {
			for _, name := range c.Detached {
				list[s.File] = append(list[s.File], signature.Detached{Name: filepath.Base(name),
					Content: content(t, corpus, name)})
			}
		}
	}
	return list
}

func content(t testing.TB, corpus, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, "signatures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
