package asic

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/verify/signature"
)

func open(t testing.TB, data []byte) *signature.Document {
	t.Helper()
	doc, err := Open(budget.New(t.Context(), len(data)), data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// outcome is one signature in short: what is whole, and how each reference fares.
func outcome(s *signature.Signature) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s intact=%v", s.Container, s.Format, s.Filename, s.Intact)
	for _, r := range s.References {
		fmt.Fprintf(&b, " %s:%s=%v/%v", r.Type, r.Name, r.Found, r.Intact)
	}
	return b.String()
}

var (
	umowa    = entry{"umowa.txt", "umowa nr 1"}
	zalacz   = entry{"załącznik 1.txt", "załącznik"}
	zalaczIn = entry{"za%C5%82%C4%85cznik%201.txt", zalacz.content} // as manifests name it
)

func TestSignatures(t *testing.T) {
	s := newSigner(t, "officer-1")
	manifest := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", umowa, zalaczIn)}
	signed := entry{"META-INF/signature.p7s", string(s.cades(t, []byte(manifest.content)))}
	simple := entry{"META-INF/signature.p7s", string(s.cades(t, []byte(umowa.content)))}
	xml := entry{"META-INF/signatures0.xml", s.xml(t, map[string]string{umowa.name: umowa.content})}
	other := entry{umowa.name, "umowa nr 2"}
	const listed = "ASiC-E CAdES META-INF/signature.p7s intact=true message-digest:META-INF/ASiCManifest.xml=true/true "
	cases := []struct {
		name, kind string
		entries    []entry
		want       string
	}{
		{"manifest", "e", []entry{umowa, zalacz, manifest, signed},
			listed + "manifest-entry:umowa.txt=true/true manifest-entry:" + zalaczIn.name + "=true/true"},
		{"changed file", "e", []entry{other, zalacz, manifest, signed},
			listed + "manifest-entry:umowa.txt=true/false manifest-entry:" + zalaczIn.name + "=true/true"},
		{"missing file", "e", []entry{umowa, manifest, signed},
			listed + "manifest-entry:umowa.txt=true/true manifest-entry:" + zalaczIn.name + "=false/false"},
		{"changed manifest", "e", []entry{other, {manifest.name, manifestOf("META-INF/signature.p7s", other)}, signed},
			"ASiC-E CAdES META-INF/signature.p7s intact=true message-digest:META-INF/ASiCManifest.xml=true/false manifest-entry:umowa.txt=true/true"},
		{"simple", "s", []entry{umowa, simple},
			"ASiC-S CAdES META-INF/signature.p7s intact=true message-digest:umowa.txt=true/true"},
		{"simple, changed", "s", []entry{other, simple},
			"ASiC-S CAdES META-INF/signature.p7s intact=true message-digest:umowa.txt=true/false"},
		{"XML", "e", []entry{umowa, xml}, "ASiC-E XMLDSig META-INF/signatures0.xml intact=true data:umowa.txt=true/true"},
		{"XML, changed", "e", []entry{other, xml},
			"ASiC-E XMLDSig META-INF/signatures0.xml intact=true data:umowa.txt=true/false"},
		{"XML, two files of that name", "e", []entry{umowa, other, xml},
			"ASiC-E XMLDSig META-INF/signatures0.xml intact=true data:umowa.txt=false/false"},
		{"broken CMS", "e", []entry{umowa, {"META-INF/signature.p7s", "no CMS"}},
			"ASiC-E CAdES META-INF/signature.p7s intact=false"},
	}
	for _, c := range cases {
		doc := open(t, pack(t, c.kind, c.entries...))
		if len(doc.Signatures) != 1 {
			t.Errorf("%s: %d signatures", c.name, len(doc.Signatures))
			continue
		}
		if got := outcome(doc.Signatures[0]); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if faulty := c.name == "broken CMS" ||
			strings.Contains(c.name, "two files"); faulty != (len(doc.Signatures[0].Structure) > 0) {
			t.Errorf("%s: structure %v", c.name, doc.Signatures[0].Structure)
		}
	}
}

// TestOpenPackage: an Office Open XML document has its signatures where its relationships lead.
func TestOpenPackage(t *testing.T) {
	const to = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" ` +
		`Type="http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/`
	doc := open(t, pack(t, "x",
		entry{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`},
		entry{"_rels/.rels", to + `origin" Target="s/origin"/></Relationships>`}, entry{"s/origin", ""},
		entry{"s/_rels/origin.rels", to + `signature" Target="1.xml"/></Relationships>`}, entry{"s/1.xml", "<x/>"}))
	if len(doc.Signatures) != 1 || doc.Signatures[0].Filename != "s/1.xml" || doc.Signatures[0].Container != "" {
		t.Errorf("a package: %+v", doc.Signatures)
	}
}

// TestSimpleHoldsOneFile puts more or less than one data object into the root of an ASiC-S container.
func TestSimpleHoldsOneFile(t *testing.T) {
	s := newSigner(t, "officer-1")
	xml := entry{"META-INF/signatures0.xml", s.xml(t, map[string]string{umowa.name: umowa.content})}
	inside := entry{"akta/umowa.txt", umowa.content}
	deep := entry{xml.name, s.xml(t, map[string]string{inside.name: inside.content})}
	for name, entries := range map[string][]entry{
		"two files":                               {umowa, zalacz, xml},
		"a second in a folder":                    {umowa, inside, xml},
		"one, but in a folder":                    {inside, deep},
		"a name that a space tells from mimetype": {umowa, {"mimetype ", "application/vnd.etsi.asic-s+zip"}, xml},
	} {
		if doc := open(t, pack(t, "s", entries...)); len(doc.Signatures[0].Structure) == 0 {
			t.Errorf("%s: well-formed", name)
		}
	}
	if doc := open(t, pack(t, "s", umowa, xml)); len(doc.Signatures[0].Structure) != 0 {
		t.Errorf("one file: %v", doc.Signatures[0].Structure)
	}
}

func TestUnsignedFilesAreListed(t *testing.T) {
	s := newSigner(t, "officer-1")
	xml := entry{"META-INF/signatures0.xml", s.xml(t, map[string]string{umowa.name: umowa.content})}
	both := entry{"META-INF/signatures1.xml", s.xml(t, map[string]string{umowa.name: umowa.content, "obce.exe": "MZ"})}
	doc := open(t, pack(t, "e", umowa, entry{"obce.exe", "MZ"}, xml, both, entry{"META-INF/evil.txt", "x"},
		entry{"META-INF/signatures-evil.xml", "<html/>"},
		entry{"META-INF/ASiCManifest-evil.xml", manifestOf("META-INF/x.p7s", umowa)}))
	meta := []string{"META-INF/evil.txt", "META-INF/signatures-evil.xml", "META-INF/ASiCManifest-evil.xml"}
	for i, want := range [][]string{append([]string{"obce.exe"}, meta...), meta} {
		if got := doc.Signatures[i].Unsigned; !slices.Equal(got, want) {
			t.Errorf("signature %d: unsigned %q, want %q", i, got, want)
		}
	}
}

func TestIdentifiersAreUnique(t *testing.T) {
	s := newSigner(t, "officer-1")
	xml := s.xml(t, map[string]string{umowa.name: umowa.content})
	doc := open(t, pack(t, "e", umowa, entry{"META-INF/signatures0.xml", xml}, entry{"META-INF/signatures1.xml", xml}))
	if len(doc.Signatures) != 2 || doc.Signatures[0].ID == doc.Signatures[1].ID {
		t.Errorf("%d signatures with equal identifiers", len(doc.Signatures))
	}
}

func TestTimeAssertion(t *testing.T) {
	tsu := newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	first := entry{"META-INF/timestamp.tst", string(tsu.stamp(t, []byte(umowa.content)))}
	archive := entry{"META-INF/ASiCArchiveManifest.xml", manifestOf("META-INF/timestamp002.tst", first, umowa)}
	second := entry{"META-INF/timestamp002.tst", string(tsu.stamp(t, []byte(archive.content)))}
	cases := []struct {
		name     string
		entries  []entry
		imprints []bool
	}{
		{"one file", []entry{umowa, first}, []bool{true}},
		{"changed", []entry{{umowa.name, "inna"}, first}, []bool{false}},
		{"two files", []entry{umowa, zalacz, first}, []bool{false}},
		{"renewed", []entry{umowa, first, archive, second}, []bool{true, true}},
		{"renewed, changed", []entry{{umowa.name, "inna"}, first, archive, second}, []bool{false, false}},
	}
	for _, c := range cases {
		doc := open(t, pack(t, "s", c.entries...))
		var got []bool
		for _, stamp := range doc.Timestamps {
			if stamp.Type != signature.ContainerTimestamp || !stamp.Intact {
				t.Errorf("%s: %s, %v", c.name, stamp.Type, stamp.Structure)
			}
			got = append(got, stamp.Imprint)
		}
		if !slices.Equal(got, c.imprints) {
			t.Errorf("%s: imprints %v, want %v", c.name, got, c.imprints)
		}
	}
	doc := open(t, pack(t, "s", umowa, first, archive, second))
	if !slices.Contains(doc.Timestamps[1].Covers, sha256.Sum256([]byte(first.content))) {
		t.Error("the renewal does not cover the first time-stamp")
	}
}

// TestDigestsOfManifests: a file is no better protected than by the digest that the manifest names it by.
func TestDigestsOfManifests(t *testing.T) {
	s, tsu := newSigner(t, "officer-1"), newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	sum := sha1.Sum([]byte(umowa.content))
	weak := func(target string) string {
		m := manifestOf(target, umowa, zalacz)
		_, rest, _ := strings.Cut(m, "</asic:DataObjectReference>")
		return m[:strings.Index(m, "<asic:DataObjectReference")] + `<asic:DataObjectReference URI="` + umowa.name +
			`"><ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/><ds:DigestValue>` +
			base64.StdEncoding.EncodeToString(sum[:]) + `</ds:DigestValue></asic:DataObjectReference>` + rest
	}
	manifest := entry{"META-INF/ASiCManifest001.xml", weak("META-INF/signature001.p7s")}
	doc := open(t, pack(t, "e", umowa, zalacz, manifest, entry{"META-INF/signature001.p7s", string(s.cades(t, []byte(manifest.content)))}))
	stamped := entry{"META-INF/ASiCManifest002.xml", weak("META-INF/timestamp001.tst")}
	of := open(t, pack(t, "e", umowa, zalacz, stamped, entry{"META-INF/timestamp001.tst", string(tsu.stamp(t, []byte(stamped.content)))}))
	for _, name := range []string{"SHA-1", "SHA-256"} {
		use := signature.AlgorithmUse{Purpose: "reference", Algorithm: name}
		if !slices.Contains(doc.Signatures[0].Algorithms, use) || !doc.Signatures[0].ReferencesIntact() {
			t.Errorf("%s is no algorithm of the signature: %v", name, doc.Signatures[0].Algorithms)
		}
		if !slices.Contains(of.Timestamps[0].Algorithms, use) || !of.Timestamps[0].Imprint {
			t.Errorf("%s is no algorithm of the time-stamp: %v", name, of.Timestamps[0].Algorithms)
		}
	}
}

func TestArchiveManifest(t *testing.T) {
	s, tsu := newSigner(t, "officer-1"), newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	manifest := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", umowa)}
	signed := entry{"META-INF/signature.p7s", string(s.cades(t, []byte(manifest.content)))}
	archive := entry{"META-INF/ASiCArchiveManifest.xml", manifestOf("META-INF/timestamp.tst", signed, manifest, umowa)}
	stamp := entry{"META-INF/timestamp.tst", string(tsu.stamp(t, []byte(archive.content)))}
	doc := open(t, pack(t, "e", umowa, manifest, signed, archive, stamp))
	if len(doc.Timestamps) != 0 || len(doc.Signatures) != 1 || len(doc.Signatures[0].Timestamps) != 1 {
		t.Fatalf("%+v", doc)
	}
	got := doc.Signatures[0].Timestamps[0]
	if !got.Imprint || !got.CoversSignature || !slices.Contains(got.Covers, doc.Signatures[0].Value) {
		t.Errorf("%+v", got)
	}
	elsewhere := entry{archive.name, manifestOf("META-INF/timestamp.tst", entry{signed.name, "another"}, umowa)}
	doc = open(t, pack(t, "e", umowa, manifest, signed, elsewhere,
		entry{stamp.name, string(tsu.stamp(t, []byte(elsewhere.content)))}))
	got = doc.Signatures[0].Timestamps[0]
	if got.Imprint || got.CoversSignature || slices.Contains(got.Covers, doc.Signatures[0].Value) {
		t.Error("a time-stamp about another signature covers this one")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("umowa"), "cut": []byte("PK\x03\x04")} {
		if _, err := Open(budget.New(t.Context(), len(data)), data, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// fuzzLimit is what a small container may cost: some public-key operations, what a hundredfold inflated one holds,
// and much room.
var fuzzLimit = budgettest.Limit{Time: 300 * time.Millisecond, TimeAnOctet: 50 * time.Microsecond, Alloc: 8 << 20,
	AllocAnOctet: 4 << 10}

func FuzzOpen(f *testing.F) {
	s := newSigner(f, "officer-1")
	manifest := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", umowa)}
	f.Add(pack(f, "e", umowa, manifest, entry{"META-INF/signature.p7s", string(s.cades(f, []byte(manifest.content)))}))
	f.Add(pack(f, "e", umowa, entry{ersManifest, manifestOf(ersFile, umowa)}, entry{ersFile, s.record(f, umowa)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var doc *signature.Document
		budgettest.Check(t, len(data), fuzzLimit, func() {
			var err error
			if doc, err = Open(budget.New(t.Context(), len(data)), data, nil); err != nil {
				doc = &signature.Document{}
			}
		})
		for _, s := range doc.Signatures {
			if s.ID == "" || s.Container == "" {
				t.Error("a signature without a name")
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := newSigner(b, "officer-1")
	content := strings.Repeat("umowa ", 12<<10)
	data := pack(b, "e", entry{"umowa.txt", content},
		entry{"META-INF/signatures0.xml", s.xml(b, map[string]string{"umowa.txt": content})})
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(budget.New(b.Context(), len(data)), data, nil); err != nil {
			b.Fatal(err)
		}
	}
}
