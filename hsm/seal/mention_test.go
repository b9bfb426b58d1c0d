package seal_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/seal"
	"trustcore/hsm/seal/sealtest"
)

// What is mentioned is named by a reference that leads nowhere else, whatever its name is; elsewhere than in
// enveloped XAdES, or without a digest, nothing is mentioned.
func TestMentions(t *testing.T) {
	a := sealtest.New(t)
	by := a.Sealer(a.Signer(t, "P-256", "Urząd"))
	sum := sha256.Sum256([]byte("x"))
	try := func(f seal.Format, p seal.Packaging, m ...seal.Mention) (string, error) {
		sealed, err := seal.Seal(t.Context(), []seal.Document{{Name: "a", Content: []byte("<p/>")}}, by,
			seal.Options{Format: f, Packaging: p, Level: seal.LevelB, Time: time.Now(), Mentions: m})
		return string(sealed), err
	}
	for name, uri := range map[string]string{
		"pismo.pdf": "pismo.pdf", "a b&<\">.xml": "a%20b&amp;%3C%22%3E.xml", "../../etc/passwd": "..%2F..%2Fetc%2Fpasswd", "..": "%2E%2E",
		"http://evil/x": "http%3A%2F%2Fevil%2Fx", "//evil": "%2F%2Fevil", "#x": "%23x", "?x": "%3Fx", "ąę": "%C4%85%C4%99",
	} {
		sealed, err := try(seal.FormatXAdES, seal.Enveloped, seal.Mention{Name: name, SHA256: sum})
		if err != nil || !strings.Contains(sealed, ` URI="`+uri+`"`) {
			t.Errorf("%q: %v; want %s", name, err, uri)
		}
	}
	for what, c := range map[string]struct {
		format    seal.Format
		packaging seal.Packaging
		mention   seal.Mention
	}{
		"stand in enveloped XAdES seals alone": {seal.FormatCAdES, seal.Detached, seal.Mention{Name: "a", SHA256: sum}},
		"not in XAdES detached":                {seal.FormatXAdES, seal.Detached, seal.Mention{Name: "a", SHA256: sum}},
		"write 1 to":                           {seal.FormatXAdES, seal.Enveloped, seal.Mention{SHA256: sum}},
		"UTF-8":                                {seal.FormatXAdES, seal.Enveloped, seal.Mention{Name: "\xff", SHA256: sum}},
		"digest":                               {seal.FormatXAdES, seal.Enveloped, seal.Mention{Name: "a"}},
	} {
		if _, err := try(c.format, c.packaging, c.mention); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v; want %q", err, what)
		}
	}
}
