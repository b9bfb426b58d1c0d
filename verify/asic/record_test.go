package asic

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/signature"
)

const (
	ersFile     = "META-INF/evidencerecord.ers"
	ersManifest = "META-INF/ASiCEvidenceRecordManifest.xml"
)

// record makes an evidence record of RFC 4998 about files.
func (s signer) record(t testing.TB, files ...entry) string {
	t.Helper()
	var hashes [][]byte
	for _, e := range files {
		sum := sha256.Sum256([]byte(e.content))
		hashes = append(hashes, sum[:])
	}
	stamped := []byte(files[0].content)
	if len(files) > 1 {
		slices.SortFunc(hashes, bytes.Compare)
		stamped = bytes.Join(hashes, nil)
	}
	sequence := func(write func(b *cryptobyte.Builder)) func(b *cryptobyte.Builder) {
		return func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, write) }
	}
	var b cryptobyte.Builder
	sequence(func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		sequence(func(b *cryptobyte.Builder) { b.AddBytes(sha256ID) })(b)
		sequence(sequence(sequence(func(b *cryptobyte.Builder) {
			b.AddASN1(0xa2, sequence(func(b *cryptobyte.Builder) {
				for _, h := range hashes {
					b.AddASN1OctetString(h)
				}
			}))
			b.AddBytes(s.stamp(t, stamped))
		})))(b)
	})(&b)
	return string(b.BytesOrPanic())
}

// recordOutcome is a record in short: whose it is, what keeps it from counting, how each object fares.
func recordOutcome(doc *signature.Document) string {
	list, whose := doc.EvidenceRecords, "alone"
	if len(doc.Signatures) > 0 {
		list, whose = doc.Signatures[0].EvidenceRecords, "of the signature"
	}
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%s", whose)
		for _, s := range r.Structure {
			b.WriteString(" ill-formed: " + s)
		}
		for _, ref := range r.References {
			fmt.Fprintf(&b, " %s=%v/%v", nameOf(ref), ref.Found, ref.Intact)
		}
		if r.CoversSignature {
			b.WriteString(" covers the signature")
		}
		b.WriteString(".")
	}
	return b.String()
}

func nameOf(ref signature.Reference) string {
	if ref.Name == "" {
		return ref.Type
	}
	return ref.Name
}

func TestRecords(t *testing.T) {
	s, tsu := newSigner(t, "officer-1"), newSigner(t, "tsu")
	inna := entry{umowa.name, "umowa nr 2"}
	ers := entry{ersFile, tsu.record(t, umowa, zalacz)}
	manifest := func(files ...entry) entry { return entry{ersManifest, manifestOf(ersFile, files...)} }
	both := manifest(umowa, zalaczIn)
	short, long := sha256.Sum256([]byte(umowa.content)), sha512.Sum512([]byte(umowa.content))
	longer := entry{ersManifest, strings.NewReplacer(base64.StdEncoding.EncodeToString(short[:]),
		base64.StdEncoding.EncodeToString(long[:])).
		Replace(strings.Replace(both.content, "xmlenc#sha256", "xmlenc#sha512", 1))}
	signature := signed(t, s, umowa)
	p7s := signature[2]
	over := entry{ersFile, tsu.record(t, umowa, p7s)}
	sealed := append(slices.Clone(signature), over, manifest(umowa, p7s))
	second := entry{"META-INF/evidencerecord2.ers", tsu.record(t, over)}
	secondManifest := entry{"META-INF/ASiCEvidenceRecordManifest2.xml", manifestOf(second.name, over)}
	const good = "alone umowa.txt=true/true za%C5%82%C4%85cznik%201.txt=true/true."
	for _, c := range []struct {
		name, kind string
		entries    []entry
		want       string
	}{
		{"good", "e", []entry{umowa, zalacz, ers, both}, good},
		{"good, in the manifest's folder", "e",
			[]entry{umowa, zalacz, ers, {both.name, manifestOf("evidencerecord.ers", umowa, zalaczIn)}}, good},
		{"no manifest", "e", []entry{umowa, zalacz, ers}, "alone orphan=false/false orphan=false/false."},
		{"a part of the group", "e", []entry{umowa, zalacz, ers, manifest(umowa)},
			"alone umowa.txt=true/true orphan=false/false."},
		{"changed file", "e", []entry{inna, zalacz, ers, both},
			"alone umowa.txt=true/false za%C5%82%C4%85cznik%201.txt=true/true orphan=false/false."},
		{"changed file and manifest", "e", []entry{inna, zalacz, ers, manifest(inna, zalaczIn)},
			"alone umowa.txt=true/false za%C5%82%C4%85cznik%201.txt=true/true orphan=false/false."},
		{"changed manifest", "e", []entry{umowa, zalacz, ers, manifest(inna, zalaczIn)},
			"alone umowa.txt=true/false za%C5%82%C4%85cznik%201.txt=true/true orphan=false/false."},
		{"manifest of another file too", "e", []entry{umowa, zalacz, {"x", "x"}, ers,
			manifest(umowa, zalaczIn, entry{"x", "x"})},
			"alone umowa.txt=true/true za%C5%82%C4%85cznik%201.txt=true/true x=true/false."},
		{"manifest by another algorithm", "e", []entry{umowa, zalacz, ers, longer},
			"alone umowa.txt=true/false za%C5%82%C4%85cznik%201.txt=true/true orphan=false/false."},
		{"absent file", "e", []entry{umowa, ers, both},
			"alone umowa.txt=true/true za%C5%82%C4%85cznik%201.txt=false/false orphan=false/false."},
		{"two manifests", "e", []entry{umowa, zalacz, ers, both, {secondManifest.name, both.content}},
			"alone ill-formed: 2 manifests name this evidence record orphan=false/false orphan=false/false."},
		{"manifest that names a file twice", "e", []entry{umowa, zalacz, ers, manifest(umowa, umowa, zalaczIn)},
			"alone ill-formed: " + ersManifest +
				`: "umowa.txt" is named twice umowa.txt=true/true umowa.txt=true/true za%C5%82%C4%85cznik%201.txt=true/true.`},
		{"manifest of a signature", "e", []entry{umowa, zalacz, ers, {"META-INF/ASiCManifest.xml", both.content}},
			"alone orphan=false/false orphan=false/false."},
		{"no record", "e", []entry{umowa, zalacz, {ersFile, "0\x01\x00"}, both},
			"alone ill-formed: evidence record: no version 1 with its digest algorithms."},
		{"no data object", "e", []entry{ers, both},
			"alone ill-formed: the container holds no data object umowa.txt=false/false " +
				"za%C5%82%C4%85cznik%201.txt=false/false orphan=false/false orphan=false/false."},

		{"ASiC-S", "s", []entry{umowa, {ersFile, tsu.record(t, umowa)}}, "alone umowa.txt=true/true."},
		{"ASiC-S by content", "", []entry{umowa, {ersFile, tsu.record(t, umowa)}}, "alone umowa.txt=true/true."},
		{"ASiC-S, changed", "s", []entry{inna, {ersFile, tsu.record(t, umowa)}},
			"alone umowa.txt=true/false orphan=false/false."},
		{"ASiC-S, manifest of another", "s", []entry{inna, {ersFile, tsu.record(t, umowa)}, manifest(umowa)},
			"alone umowa.txt=true/false orphan=false/false."},
		{"ASiC-E by its manifest", "", []entry{umowa, {ersFile, tsu.record(t, umowa)}, manifest(inna)},
			"alone umowa.txt=true/false orphan=false/false."},
		{"ASiC-S, time-stamp beside it", "s", []entry{umowa, {ersFile, tsu.record(t, umowa)},
			{"META-INF/timestamp.tst", string(tsu.stamp(t, []byte(umowa.content)))}},
			"alone ill-formed: an ASiC-S container has either a signature or a time-stamp or an evidence record " +
				"of the data object, this one has a time-stamp and another (EN 319 162-1 4.3.3) umowa.txt=true/true."},

		{"over a signature", "e", sealed,
			"of the signature umowa.txt=true/true META-INF/signature.p7s=true/true covers the signature."},
		{"over another signature", "e", append(signed(t, s, umowa), over, manifest(umowa, p7s)),
			"of the signature umowa.txt=true/true META-INF/signature.p7s=true/false orphan=false/false."},
		{"over a record over a signature", "e", append(slices.Clone(sealed), second, secondManifest),
			"of the signature umowa.txt=true/true META-INF/signature.p7s=true/true covers the signature." +
				"of the signature META-INF/evidencerecord.ers=true/true."},
		{"the same, the later one first", "e", append([]entry{second, secondManifest}, sealed...),
			"of the signature umowa.txt=true/true META-INF/signature.p7s=true/true covers the signature." +
				"of the signature META-INF/evidencerecord.ers=true/true."},
	} {
		if got := recordOutcome(open(t, pack(t, c.kind, c.entries...))); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	one := open(t, pack(t, "e", append(slices.Clone(sealed), second, secondManifest)...)).Signatures[0]
	first, later := one.EvidenceRecords[0], one.EvidenceRecords[1]
	if token := sha256.Sum256(first.Timestamps[0].Token); !slices.Contains(later.Covers, token) {
		t.Error("a record over a record proves nothing of its time-stamp")
	}
	if !slices.Contains(first.Covers, one.Value) {
		t.Error("a record over a signature proves nothing of its value")
	}
	if len(one.Unsigned) != 0 {
		t.Errorf("unsigned: %q", one.Unsigned)
	}
}

// TestCompleteCoverage: a time-stamp of a signature or of a time-stamp covers what that is about, too.
func TestCompleteCoverage(t *testing.T) {
	s, tsu := newSigner(t, "officer-1"), newSigner(t, "tsu")
	of := signed(t, s, umowa, zalacz)
	manifest, p7s := of[2], of[3]
	zalacz := zalaczIn
	stamped := func(files ...entry) []entry {
		m := entry{"META-INF/ASiCArchiveManifest.xml", manifestOf("META-INF/timestamp2.tst", files...)}
		return []entry{m, {"META-INF/timestamp2.tst", string(tsu.stamp(t, []byte(m.content)))}}
	}
	first := entry{"META-INF/timestamp.tst", string(tsu.stamp(t, []byte(umowa.content)))}
	xml := entry{"META-INF/signatures0.xml", s.xml(t, map[string]string{umowa.name: umowa.content})}
	for _, c := range []struct {
		name, kind string
		entries    []entry
		want       string
	}{
		{"all", "e", append(slices.Clone(of), stamped(p7s, manifest, umowa, zalacz)...), ""},
		{"without a file", "e", append(slices.Clone(of), stamped(p7s, manifest, umowa)...),
			`covers "META-INF/signature.p7s", but not "załącznik 1.txt"`},
		{"without the manifest", "e", append(slices.Clone(of), stamped(p7s, umowa, zalacz)...), ""},
		{"XML", "e", append([]entry{umowa, xml}, stamped(xml, umowa)...), ""},
		{"XML without the file", "e", append([]entry{umowa, entry{"x", "x"}, xml}, stamped(xml, entry{"x", "x"})...),
			`but not "umowa.txt"`},
		{"ASiC-S", "s", append([]entry{umowa, first}, stamped(first, umowa)...), ""},
		{"ASiC-S without the file", "s", append([]entry{umowa, first}, stamped(first)...), `but not "umowa.txt"`},
	} {
		doc := open(t, pack(t, c.kind, c.entries...))
		list := doc.Timestamps
		if len(doc.Signatures) > 0 {
			list = doc.Signatures[0].Timestamps
		}
		got := strings.Join(list[len(list)-1].Structure, "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOpenDocumentCoverage: the manifest of an OpenDocument package tells what each file is, so it has to be signed.
func TestOpenDocumentCoverage(t *testing.T) {
	s := newSigner(t, "officer-1")
	files := map[string]string{umowa.name: umowa.content, "mimetype": "application/vnd.oasis.opendocument.text",
		packageManifest: "<m/>"}
	for _, left := range []string{"", "mimetype", packageManifest, umowa.name} {
		signedFiles := map[string]string{}
		for name, content := range files {
			if name != left {
				signedFiles[name] = content
			}
		}
		doc := open(t, pack(t, "o", umowa, entry{packageManifest, "<m/>"},
			entry{"META-INF/documentsignatures.xml", s.xml(t, signedFiles)}))
		if got := strings.Join(doc.Signatures[0].Unsigned, " "); got != left {
			t.Errorf("without %q: unsigned %q", left, got)
		}
	}
}
