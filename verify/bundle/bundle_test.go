package bundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/verify/bundle"
	"trustcore/verify/trustlist"
)

func sample() *bundle.Bundle {
	file := func(name string) bundle.File { return bundle.File{Name: name, Content: []byte("content of " + name)} }
	return &bundle.Bundle{
		Document: file("../umowa.pdf"), SHA256: bundle.Digest(file("../umowa.pdf").Content), Detached: []bundle.File{file("a"), file("b")},
		Digests: []string{"c=SHA-256:" + bundle.Digest([]byte("c"))}, Password: true,
		At: time.Date(2026, 3, 3, 12, 0, 0, 123, time.UTC), Policy: bundle.Policy{Name: "strict", File: []byte("name: strict")},
		Certificates: [][]byte{{1}, {2}}, CRLs: [][]byte{{3}}, OCSPs: [][]byte{{4}},
		Later:   map[[32]byte]time.Time{{5}: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)},
		Origins: map[[32]byte]string{{6}: "CACHED"},
		Lists:   []bundle.File{file("pl.xml")}, LOTLSigners: []bundle.File{file("s.pem")}, Extra: []bundle.File{file("x.xml")},
		Anchors: []bundle.File{file("ca.pem")}, Status: []trustlist.Status{{File: "pl.xml", Territory: "PL", Sequence: 7}},
		Report: json.RawMessage(`{"signatures":[]}`),
	}
}

func pack(t *testing.T, b *bundle.Bundle) []byte {
	t.Helper()
	var packed bytes.Buffer
	if err := b.Write(&packed); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func read(packed []byte) (*bundle.Bundle, error) {
	return bundle.Read(bytes.NewReader(packed), int64(len(packed)))
}

func TestBundle(t *testing.T) {
	for _, whole := range []bool{true, false} {
		b := sample()
		if !whole {
			b.Document.Content, b.Policy.File = nil, nil
		}
		packed := pack(t, b)
		again, err := read(packed)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, b) {
			t.Errorf("%+v\n%+v", again, b)
		}
		if !bytes.Equal(pack(t, again), packed) {
			t.Error("the same bundle gives other bytes")
		}
	}
}

// TestBundleIsWhole: nothing is taken that was changed, that is missing, or that the manifest does not name.
func TestBundleIsWhole(t *testing.T) {
	type entries map[string]string
	for want, change := range map[string]func(entries){
		"was changed":             func(e entries) { e["ocsps/0000"] = "other" },
		`"crls/0000" is missing`:  func(e entries) { delete(e, "crls/0000") },
		"does not name its entry": func(e entries) { e["lists/0001"] = "a further list" },
		`"bundle.json" is missing`: func(e entries) {
			delete(e, "bundle.json")
		},
		"unknown field": func(e entries) { e["bundle.json"] = strings.Replace(e["bundle.json"], "policy", "polity", 1) },
		"of version 2": func(e entries) {
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"version": 1`, `"version": 2`, 1)
		},
		"there is no part": func(e entries) {
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"anchors": [`, `"anchor": [`, 1)
		},
		"0 reports": func(e entries) { e["bundle.json"] = strings.Replace(e["bundle.json"], `"report": [`, `"crls": [`, 1) },
		"names no validation": func(e entries) {
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"2026-03-03T12:00:00.000000123Z`, `"0001-01-01T00:00:00Z`, 1)
		},
		"validation_time or policy": func(e entries) {
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"policy": "strict"`, `"policy": ""`, 1)
		},
		"2 policies": func(e entries) {
			e["policy/0001"] = "{}"
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"policy": [`,
				`"policy": [{"entry": "policy/0001", "sha256": "`+bundle.Digest([]byte("{}"))+`"},`, 1)
		},
		"is no SHA-256 of a certificate": func(e entries) {
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"0500`, `"05`, 1)
		},
		"entry \"\" is missing": func(e entries) {
			e["bundle.json"] = strings.Replace(e["bundle.json"], `"entry": "crls/0000",`, ``, 1)
		},
	} {
		e := entries{}
		z, err := zip.NewReader(bytes.NewReader(pack(t, sample())), int64(len(pack(t, sample()))))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			e[f.Name] = string(content)
		}
		change(e)
		_, err = read(zipOf(t, slices.Sorted(maps.Keys(e)), e))
		if !errors.Is(err, bundle.ErrNotABundle) && want != "of version 2" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	twice := zipOf(t, []string{"bundle.json", "bundle.json"}, entries{"bundle.json": "{}"})
	if _, err := read(twice); err == nil || !strings.Contains(err.Error(), "two entries") {
		t.Errorf("want \"two entries\": %v", err)
	}
	if _, err := read([]byte("%PDF-1.7")); !errors.Is(err, bundle.ErrNotABundle) {
		t.Errorf("%v", err)
	}
}

// TestNothingHalfIsWritten: a bundle that could not be read again, or that is about another document, is not written.
func TestNothingHalfIsWritten(t *testing.T) {
	for name, change := range map[string]func(*bundle.Bundle){
		"no time":          func(b *bundle.Bundle) { b.At = time.Time{} },
		"no policy":        func(b *bundle.Bundle) { b.Policy.Name = "" },
		"no report":        func(b *bundle.Bundle) { b.Report = nil },
		"no digest":        func(b *bundle.Bundle) { b.SHA256, b.Document.Content = "", nil },
		"another document": func(b *bundle.Bundle) { b.SHA256 = bundle.Digest(nil) },
	} {
		b := sample()
		change(b)
		if err := b.Write(io.Discard); err == nil {
			t.Errorf("%s: it is written", name)
		}
	}
	entries := map[string]string{}
	for i := range 10_001 {
		entries[strconv.Itoa(i)] = ""
	}
	many := zipOf(t, slices.Sorted(maps.Keys(entries)), entries)
	if _, err := read(many); err == nil || !strings.Contains(err.Error(), "more than 10000 entries") {
		t.Errorf("10,001 entries: %v", err)
	}
}

// TestBundleUnpacksWithinItsBound: a bundle may be a bomb.
func TestBundleUnpacksWithinItsBound(t *testing.T) {
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	w, err := z.Create("bundle.json")
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range 9 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := read(packed.Bytes()); err == nil || !strings.Contains(err.Error(), `"bundle.json" has more`) || packed.Len() > 1<<20 {
		t.Errorf("%v, %d bytes packed", err, packed.Len())
	}
}

// TestBundleUnpacksAsMuchAsItMay: a small bundle unpacks to little, all entries together.
func TestBundleUnpacksAsMuchAsItMay(t *testing.T) {
	b := sample()
	b.Lists = nil
	for range 5 {
		b.Lists = append(b.Lists, bundle.File{Name: "list.xml", Content: make([]byte, 1<<20)})
	}
	if _, err := read(pack(t, b)); err == nil || !strings.Contains(err.Error(), "bytes unpacked") {
		t.Errorf("5 MB in %d octets: %v", len(pack(t, b)), err)
	}
	b.Lists = b.Lists[:3]
	b.Document.Content = make([]byte, 20<<20)
	b.SHA256 = bundle.Digest(b.Document.Content)
	b.Detached = []bundle.File{{Name: "data.bin", Content: b.Document.Content}}
	if again, err := read(pack(t, b)); err != nil || again.SHA256 != b.SHA256 {
		t.Errorf("documents of zeros: %v", err)
	}
}

func zipOf(t *testing.T, names []string, contents map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, contents[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// FuzzRead: what is read is written as it is read.
func FuzzRead(f *testing.F) {
	var packed bytes.Buffer
	if err := sample().Write(&packed); err != nil {
		f.Fatal(err)
	}
	f.Add(packed.Bytes())
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b *bundle.Bundle
		var err error
		limit := budgettest.Limit{Time: 200 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 8 << 20, AllocAnOctet: 8_000}
		budgettest.Check(t, len(data), limit, func() { b, err = read(data) })
		if err != nil || len(b.Report) == 0 || b.Document.Content == nil && b.SHA256 == "" {
			return
		}
		again, err := read(pack(t, b))
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%v\n%+v\n%+v", err, b, again)
		}
	})
}
