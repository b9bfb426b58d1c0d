package revocation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRealEvidence reads CRLs and OCSP responses that were seen in production.
func TestRealEvidence(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: the real CRLs and OCSP responses are not read")
	}
	files, err := filepath.Glob(filepath.Join(corpus, "revocation-real", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if strings.HasSuffix(file, ".bin") {
				r, err := ParseOCSP(data)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d answers, %d certificates, critical %v", len(r.Singles), len(r.Certificates()), r.Critical)
			} else {
				c, err := ParseCRL(data)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d entries, critical %v, %v", c.Issuer, c.Len(), c.Critical, c.Findings)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}
