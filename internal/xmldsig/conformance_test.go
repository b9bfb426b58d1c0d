package xmldsig

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCorpusAgainstXmllint canonicalises every XML of the public samples and the trusted lists in all forms.
func TestCorpusAgainstXmllint(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples")
	}
	xmllint := tool(t, "xmllint")
	read, refusedBoth := 0, 0
	err := filepath.WalkDir(corpus, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".xml") && !strings.HasSuffix(name, ".xml.gz") {
			return err
		}
		data := readSample(t, name)
		d, err := Parse(data, Limits{})
		for flag, form := range map[string]Form{"--c14n": Inclusive10, "--c14n11": Inclusive11, "--exc-c14n": Exclusive} {
			cmd := exec.Command(xmllint, "--nonet", "--huge", flag, "-")
			cmd.Stdin = bytes.NewReader(data)
			want, lintErr := cmd.Output()
			if err != nil {
				if lintErr == nil {
					t.Errorf("%s: refused: %v", name, err)
				}
				refusedBoth++
				break
			}
			var got bytes.Buffer
			if err := d.WholeDocument().Canonical(&got, Canonicalization{Form: form, Comments: true}); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s %s: differs, %v, %v", name, flag, err, lintErr)
			}
			read++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d canonical forms agree, %d documents are refused by both", read, refusedBoth)
	if read < 900 {
		t.Error("fewer samples than before")
	}
}

func readSample(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
