package sealed

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"trustcore/hsm/seal"
)

// besideForms are those that take a further seal.
func besideForms() []form {
	var list []form
	for _, f := range forms() {
		switch {
		case f.packaging == seal.Detached, f.packaging == seal.Compact, f.format == seal.FormatXAdES &&
			f.packaging == seal.Enveloping:
		default:
			list = append(list, f)
		}
	}
	return list
}

// sealTwice seals a document, and what came of it by another key.
func (h *house) sealTwice(t *testing.T, f form, level seal.Level) []byte {
	t.Helper()
	options := h.options(f, level)
	options.Parallel = true
	once, err := seal.Seal(t.Context(), f.documents, h.signers[f.key], options)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	other := map[string]string{"RSA": "P-256", "P-256": "P-384", "P-384": "RSA"}[f.key]
	twice, err := seal.Seal(t.Context(), []seal.Document{{Name: "sealed" + f.extension(), Content: once}},
		h.signers[other], h.options(f, level))
	if err != nil {
		t.Fatalf("%s, a second seal: %v", f, err)
	}
	return twice
}

// TestSealsBesideEachOther: a second seal leaves the first as good as it was, and both are raised together.
func TestSealsBesideEachOther(t *testing.T) {
	h := newHouse(t)
	for _, f := range besideForms() {
		twice := h.sealTwice(t, f, seal.LevelT)
		for _, level := range []seal.Level{seal.LevelLT, seal.LevelLTA} {
			raised, err := seal.Extend(t.Context(), twice, nil, h.options(form{}, level))
			if err != nil {
				t.Errorf("%s: %v", f, err)
				break
			}
			h.expect(t, f, level, raised, 2)
			twice = raised
		}
		h.expect(t, f, seal.LevelLTA, h.sealTwice(t, f, seal.LevelLTA), 2)
	}
}

// TestSecondSealThatWouldBreakTheFirst: XML whose seal leaves no room for another keeps the one it has.
func TestSecondSealThatWouldBreakTheFirst(t *testing.T) {
	h := newHouse(t)
	f := among(t, seal.FormatXAdES, seal.Enveloped)
	once := h.seal(t, f, seal.LevelB)
	_, err := seal.Seal(t.Context(), []seal.Document{{Content: once}}, h.signers["RSA"], h.options(f, seal.LevelB))
	if err == nil || !strings.Contains(err.Error(), "which a further one inside would break") {
		t.Errorf("got %v", err)
	}
}

// TestWhatIsArchivedStaysAsItIs: a container with seals of both kinds, of which the archive time-stamp covers every
// file: to extend the XAdES one afterwards would break it.
func TestWhatIsArchivedStaysAsItIs(t *testing.T) {
	h := newHouse(t)
	f := among(t, seal.FormatXAdES, seal.ASiCE)
	first := h.seal(t, f, seal.LevelLT)
	both, err := seal.Seal(t.Context(), []seal.Document{{Name: "sealed.asice", Content: first}}, h.signers["P-256"],
		h.options(among(t, seal.FormatCAdES, seal.ASiCE), seal.LevelLTA))
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.Extend(t.Context(), both, nil, h.options(form{}, seal.LevelLTA))
	if err != nil {
		t.Fatal(err)
	}
	h.expect(t, f, seal.LevelLTA, again, 2)
	const name = "META-INF/signatures001.xml"
	if before, after := unpack(t, both, name), unpack(t, again, name); !bytes.Equal(before, after) {
		t.Errorf("%s had %d octets when it was archived, and has %d now", name, len(before), len(after))
	}
}

// unpack is a file of a container.
func unpack(t *testing.T, container []byte, name string) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(container), int64(len(container)))
	if err != nil {
		t.Fatal(err)
	}
	content, err := fs.ReadFile(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
