package certificate_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trustcore/verify/certificate"
)

// corpus returns the folder of public samples, or skips.
func corpus(t *testing.T) string {
	folder := os.Getenv("TRUSTCORE_CORPUS")
	if folder == "" {
		t.Skip("TRUSTCORE_CORPUS is unset: the public samples are not at hand")
	}
	return folder
}

// certificateElements finds the certificates of a trusted list: those of services, of signatures and of pointers.
var certificateElements = regexp.MustCompile(`X509Certificate>([^<]*)<`)

// certificatesIn returns every certificate in a file: DER, PEM, or base64 in XML.
func certificatesIn(data []byte) [][]byte {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		reader, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil
		}
		if data, err = io.ReadAll(reader); err != nil {
			return nil
		}
	}
	var found [][]byte
	for _, m := range certificateElements.FindAllSubmatch(data, -1) {
		text := strings.Join(strings.Fields(strings.ReplaceAll(string(m[1]), "&#13;", "")), "")
		if der, err := base64.StdEncoding.DecodeString(text); err == nil && len(der) > 0 {
			found = append(found, der)
		}
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			found = append(found, block.Bytes)
		}
	}
	return found
}

// unreadable is how many certificates of the trusted lists cannot be read; it may only shrink.
const unreadable = 0

// noCertificates are files whose frame cannot be followed, on purpose of their publisher.
var noCertificates = []string{
	"serial_not_number.pem", "extensions_not_sequence.pem", "extensions_data_after_sequence.pem", "cert_skeleton.pem",
	"cert_signature_not_bit_string.pem", "cert_not_sequence.pem", "cert_missing_signature.pem", "cert_empty_sequence.pem",
	"cert_data_after_signature.pem", "cert_algorithm_not_sequence.pem",
}

func TestEveryCertificateOfTheTrustedLists(t *testing.T) {
	seen := map[string]bool{}
	failed := 0
	walk(t, filepath.Join(corpus(t), "trustlists"), func(file string, data []byte) {
		for _, der := range certificatesIn(data) {
			if seen[string(der)] {
				continue
			}
			seen[string(der)] = true
			c, err := certificate.Parse(der)
			if err != nil {
				failed++
				t.Logf("%s: %v (%d bytes)", filepath.Base(file), err, len(der))
				continue
			}
			for _, e := range c.Extensions {
				if e.Malformed {
					t.Logf("%s: %s: extension %s malformed", filepath.Base(file), c.Subject, e.OID)
				}
			}
			if _, err := c.Key(); err != nil {
				t.Errorf("%s: %s: key: %v", filepath.Base(file), c.Subject, err)
			}
		}
	})
	t.Logf("%d certificates, %d not readable", len(seen), failed)
	if failed > unreadable || len(seen) < 2000 {
		t.Errorf("%d of %d certificates of the trusted lists are not readable", failed, len(seen))
	}
}

func TestEveryCertificateOfThePathVectors(t *testing.T) {
	count := 0
	walk(t, filepath.Join(corpus(t), "certpath"), func(file string, data []byte) {
		ders := certificatesIn(data)
		if strings.HasSuffix(file, ".crt") && len(ders) == 0 {
			ders = [][]byte{data}
		}
		for _, der := range ders {
			count++
			if _, err := certificate.Parse(der); err != nil && !slices.Contains(noCertificates, filepath.Base(file)) {
				t.Errorf("%s: %v", file, err)
			}
		}
	})
	if count < 800 {
		t.Errorf("only %d certificates", count)
	}
}

func walk(t *testing.T, folder string, visit func(file string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if err == nil {
			visit(file, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
