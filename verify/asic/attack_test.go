package asic

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/signature"
)

// attached signs data that the CMS carries.
func (s signer) attached(t testing.TB, data string) string {
	t.Helper()
	der, err := cms.Sign(cms.SignConfig{Signer: s.key, Certificate: s.cert, Hash: crypto.SHA256, Content: []byte(data),
		SigningTime: day})
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// outcomeOf is what can only come out of the facts, in the order in which they are judged.
func outcomeOf(s *signature.Signature) string {
	if len(s.Structure) > 0 {
		return "ill-formed: " + strings.Join(s.Structure, "; ")
	}
	content := false
	for _, r := range s.References {
		switch {
		case !r.Found:
			return "not found: " + r.Name
		case r.Unchecked != "":
			return "unchecked: " + r.Unchecked
		case !r.Intact:
			return "changed: " + r.Name
		}
		content = content || !r.Empty && r.Type != "signed-properties"
	}
	switch {
	case !s.Intact:
		return "broken"
	case !content:
		return "nothing is signed"
	}
	return "good, unsigned: " + strings.Join(s.Unsigned, " ")
}

// TestAttacks tries what an attacker does who holds no key of the signer: a signature of theirs in a container
// of the attacker's making is never about what it was not about.
func TestAttacks(t *testing.T) {
	s := newSigner(t, "officer-1")
	const (
		p7s      = "META-INF/signature.p7s"
		manifest = "META-INF/ASiCManifest.xml"
	)
	inna := entry{"inna.txt", "umowa nr 2"}
	good := manifestOf(p7s, umowa)
	sign := func(content string) entry { return entry{p7s, string(s.cades(t, []byte(content)))} }
	about := func(content string) []entry { return []entry{umowa, {manifest, content}, sign(content)} }
	edit := func(old, new string) []entry { return about(strings.Replace(good, old, new, 1)) }
	xml := func(files map[string]string) entry { return entry{"META-INF/signatures.xml", s.xml(t, files)} }
	for _, c := range []struct {
		name, kind string
		entries    []entry
		want       string // beginning of the first signature's verdict
	}{
		{"good", "e", about(good), "good, unsigned: "},
		{"good, ASiC-S", "s", []entry{umowa, sign(umowa.content)}, "good, unsigned: "},
		{"good, target from the manifest's folder", "e", edit(p7s, "signature.p7s"), "good, unsigned: "},
		{"good, data of the signature's name beside it", "e",
			append(edit(p7s, "signature.p7s"), entry{"signature.p7s", "x"}), "good, unsigned: signature.p7s"},

		{"CMS with a content under another's manifest", "e",
			[]entry{umowa, {manifest, good}, {p7s, s.attached(t, "umowa nr 3")}},
			"ill-formed: the CMS has a content of its own"},
		{"CMS whose content is the manifest", "e", []entry{umowa, {manifest, good}, {p7s, s.attached(t, good)}},
			"good, unsigned: "},
		{"CMS with a content in ASiC-S", "s", []entry{umowa, {p7s, s.attached(t, "umowa nr 3")}},
			"ill-formed: the CMS has a content of its own"},
		{"CMS whose content is the file, in ASiC-S", "s", []entry{umowa, {p7s, s.attached(t, umowa.content)}},
			"good, unsigned: "},
		{"CMS whose content begins with the file", "s", []entry{umowa, {p7s, s.attached(t, umowa.content+"0")}},
			"ill-formed: the CMS has a content of its own"},
		{"CMS whose content is the data object, under a manifest", "e",
			[]entry{umowa, {manifest, good}, {p7s, s.attached(t, umowa.content)}},
			"ill-formed: the CMS has a content of its own"},
		{"CMS whose content is the manifest, without it", "e", []entry{umowa, {p7s, s.attached(t, good)}},
			"ill-formed: the CMS has a content of its own"},
		{"time-stamp token as signature", "e", []entry{umowa, {manifest, good}, {p7s, string(s.stamp(t, []byte(good)))}},
			"ill-formed: the CMS has a content of its own"},
		{"no manifest", "e", []entry{umowa, sign(umowa.content)}, "ill-formed: no manifest"},
		{"no manifest in OpenDocument", "o", []entry{umowa, sign(umowa.content)}, "ill-formed: no manifest"},
		{"manifest of another signature", "e", edit(p7s, "META-INF/signature2.p7s"), "ill-formed: no manifest"},
		{"manifest that names a data object as the signature", "e", edit(p7s, umowa.name), "ill-formed: no manifest"},
		{"manifest under the name of an archive manifest, of another", "e",
			[]entry{umowa, {"META-INF/ASiCArchiveManifest.xml", good}, sign(umowa.content)},
			"changed: META-INF/ASiCArchiveManifest.xml"},
		{"two manifests", "e", append(about(good), entry{"META-INF/ASiCManifest2.xml", manifestOf(p7s, inna)}, inna),
			"ill-formed: 2 manifests name"},
		{"record manifest of a signature", "e", append(about(good), entry{ersManifest, good}),
			"good, unsigned: " + ersManifest},
		{"two targets", "e", edit("<asic:Data", `<asic:SigReference URI="META-INF/x.p7s"/><asic:Data`),
			"ill-formed: " + manifest + ": 2 references"},
		{"manifest that names itself", "e", about(manifestOf(p7s, umowa, entry{manifest, "x"})),
			"ill-formed: " + manifest + ": it names itself"},
		{"manifest that names its signature", "e", about(manifestOf(p7s, umowa, entry{p7s, "x"})),
			"ill-formed: " + manifest + ": it names itself"},
		{"manifest that names a file twice", "e", about(manifestOf(p7s, umowa, umowa)),
			"ill-formed: " + manifest + `: "umowa.txt" is named twice`},
		{"manifest that names a file by two spellings", "e",
			about(manifestOf(p7s, umowa, entry{"./umowa%2Etxt", umowa.content})),
			"ill-formed: " + manifest + `: "./umowa%2Etxt" is named twice`},
		{"manifest without a digest", "e", about(strings.ReplaceAll(good, "DigestValue>", "Value>")),
			"ill-formed: " + manifest + `: no digest of "umowa.txt"`},
		{"manifest with an empty digest", "e", about(emptyDigest(good)),
			"ill-formed: " + manifest + `: no digest of "umowa.txt"`},
		{"manifest by an unknown digest", "e", edit("xmlenc#sha256", "xmlenc#sha257"), "unchecked: "},
		{"manifest of nothing", "e", about(manifestOf(p7s)), "ill-formed: " + manifest + ": it names no file"},
		{"manifest of another kind", "e", about(strings.ReplaceAll(good, "asic:ASiCManifest", "asic:Manifest")),
			"ill-formed: no manifest"},
		{"two root files", "e", about(strings.ReplaceAll(manifestOf(p7s, umowa, inna), "DataObjectReference URI",
			`DataObjectReference Rootfile="true" URI`)), "ill-formed: " + manifest + ": 2 root files"},
		{"manifest of a file that is absent", "e", []entry{inna, {manifest, good}, sign(good)}, "not found: umowa.txt"},
		{"manifest of the mimetype alone", "e", about(manifestOf(p7s, entry{"mimetype", "application/vnd.etsi.asic-e+zip"})),
			"nothing is signed"},
		{"XML signature of the mimetype alone", "e",
			[]entry{umowa, xml(map[string]string{"mimetype": "application/vnd.etsi.asic-e+zip"})}, "nothing is signed"},
		{"no data object", "e", []entry{xml(map[string]string{"mimetype": "application/vnd.etsi.asic-e+zip"})},
			"ill-formed: the container holds no data object"},
		{"XML signature of another file in ASiC-S", "s", []entry{umowa, xml(map[string]string{"inna.txt": inna.content})},
			"changed: inna.txt"},
		{"XML signature of the file by another name in ASiC-S", "s",
			[]entry{umowa, xml(map[string]string{"inna.txt": umowa.content})}, "not found: inna.txt"},
		{"signature and time-stamp in ASiC-S", "s",
			[]entry{umowa, sign(umowa.content), {"META-INF/timestamp.tst", string(s.stamp(t, []byte(umowa.content)))}},
			"ill-formed: an ASiC-S container has either"},

		{"XML signature about its own object", "e",
			[]entry{umowa, {"META-INF/signatures.xml", s.xml(t, map[string]string{"#own": own})}}, "nothing is signed"},
		{"two files that one URI may mean", "e",
			[]entry{zalacz, {zalaczIn.name, "inny"}, {manifest, manifestOf(p7s, zalaczIn)}, sign(manifestOf(p7s, zalaczIn))},
			"not found: " + zalaczIn.name},
		{"second file", "e", append(about(good), inna), "good, unsigned: inna.txt"},
		{"file in META-INF", "e", append(about(good), entry{"META-INF/inna.txt", "x"}), "good, unsigned: META-INF/inna.txt"},
		{"file named as a signature", "e", append(about(good), entry{"META-INF/signature-umowa.xml", "<html/>"}),
			"good, unsigned: META-INF/signature-umowa.xml"},
		{"file named as a manifest", "e", append(about(good), entry{"META-INF/ASiCManifest-umowa.xml", "<html/>"}),
			"good, unsigned: META-INF/ASiCManifest-umowa.xml"},
		{"file that differs in case", "e", append(about(good), entry{"UMOWA.TXT", "x"}), "ill-formed: container: the names"},
		{"file in a folder that cancels itself", "e", append(about(good), entry{"x/../umowa.txt", "x"}),
			"ill-formed: container: the name"},
		{"Office document around", "e", append(about(good), entry{"[Content_Types].xml", "<x/>"},
			entry{"word/document.xml", "<x/>"}), "ill-formed: the container is Office Open XML too"},
	} {
		doc := open(t, pack(t, c.kind, c.entries...))
		if len(doc.Signatures) == 0 {
			t.Errorf("%s: no signature", c.name)
			continue
		}
		got := outcomeOf(doc.Signatures[0])
		if !strings.HasPrefix(got, c.want) || strings.HasPrefix(c.want, "good") && got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func emptyDigest(manifest string) string {
	from, to := strings.Index(manifest, "<ds:DigestValue>"), strings.Index(manifest, "</ds:DigestValue>")
	return manifest[:from] + "<ds:DigestValue>" + manifest[to:]
}

// TestManifestIsAsked: XML signatures need none by the standard, and a policy that asks for one can.
func TestManifestIsAsked(t *testing.T) {
	s := newSigner(t, "officer-1")
	xml := entry{"META-INF/signatures0.xml", s.xml(t, map[string]string{umowa.name: umowa.content})}
	for _, c := range []struct {
		kind    string
		entries []entry
		want    bool
	}{
		{"e", []entry{umowa, xml}, true},
		{"e", []entry{umowa, xml, {"META-INF/manifest.xml", "<m/>"}}, false},
		{"e", []entry{umowa, xml, {"META-INF/ASiCArchiveManifest.xml", "<m/>"}}, false},
		{"e", []entry{umowa, xml, {"META-INF/ASiCEvidenceRecordManifest.xml", "<m/>"}}, false},
		{"s", []entry{umowa, {"META-INF/signatures.xml", xml.content}}, false},
		{"o", []entry{umowa, xml}, false},
	} {
		if got := open(t, pack(t, c.kind, c.entries...)).Signatures[0].NoManifest; got != c.want {
			t.Errorf("%s %v: %v", c.kind, c.entries, got)
		}
	}
}

// TestForeignPackage: a package of another type that is signed in full is that, and says so.
func TestForeignPackage(t *testing.T) {
	s := newSigner(t, "officer-1")
	got := open(t, pack(t, "e", signed(t, s, entry{"content.xml", "<x/>"}, entry{"styles.xml", "<x/>"})...)).Signatures[0]
	if outcomeOf(got) != "good, unsigned: " ||
		!slices.ContainsFunc(got.Notes, func(n string) bool { return strings.Contains(n, "is OpenDocument too") }) {
		t.Errorf("%s, notes %q", outcomeOf(got), got.Notes)
	}
	other := open(t, pack(t, "x", signed(t, s, umowa)...)).Signatures[0]
	if !slices.ContainsFunc(other.Notes, func(n string) bool {
		return strings.Contains(n, `mimetype entry says "application/vnd.etsi.asic-x+zip"`)
	}) {
		t.Errorf("notes %q", other.Notes)
	}
}

// TestTimestampAttacks does the same to time-stamps that stand for themselves.
func TestTimestampAttacks(t *testing.T) {
	tsu := newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	const (
		tst      = "META-INF/timestamp.tst"
		second   = "META-INF/timestamp002.tst"
		manifest = "META-INF/ASiCManifest.xml"
	)
	first := entry{tst, string(tsu.stamp(t, []byte(umowa.content)))}
	over := func(name, target string, list ...entry) []entry {
		m := manifestOf(target, list...)
		return []entry{{name, m}, {target, string(tsu.stamp(t, []byte(m)))}}
	}
	for _, c := range []struct {
		name, kind string
		entries    []entry
		want       string // part of Structure of the last time-stamp, "" for none
	}{
		{"good", "s", []entry{umowa, first}, ""},
		{"renewed", "s", append([]entry{umowa, first}, over("META-INF/ASiCArchiveManifest.xml", second, first, umowa)...),
			""},
		{"renewed without the data", "s", append([]entry{umowa, first},
			over("META-INF/ASiCArchiveManifest.xml", second, first)...), "covers no data object"},
		{"ASiC-E", "e", append([]entry{umowa}, over(manifest, tst, umowa)...), ""},
		{"ASiC-E without a manifest", "e", []entry{umowa, first}, "no manifest of the container names this time-stamp"},
		{"two manifests", "e", append([]entry{umowa, {"META-INF/ASiCManifest2.xml", manifestOf(tst, zalacz)}},
			over(manifest, tst, umowa)...), "2 manifests name"},
		{"manifest that names itself", "e", append([]entry{umowa}, over(manifest, tst, umowa, entry{manifest, "x"})...),
			"it names itself"},
		{"signature beside it", "s", []entry{umowa, first,
			{"META-INF/signature.p7s", string(tsu.cades(t, []byte(umowa.content)))}}, "either a signature or a time-stamp"},
		{"second file", "s", []entry{umowa, zalacz, first}, "holds one data object"},
		{"name that turns around", "s", []entry{{"umowa\u202efdp.exe", umowa.content}, first}, "how it is shown"},
	} {
		doc := open(t, pack(t, c.kind, c.entries...))
		if len(doc.Timestamps) == 0 {
			t.Errorf("%s: no time-stamp", c.name)
			continue
		}
		got := strings.Join(doc.Timestamps[len(doc.Timestamps)-1].Structure, "; ")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	doc := open(t, pack(t, "e", append([]entry{umowa, zalacz}, over(manifest, tst, umowa)...)...))
	if !slices.ContainsFunc(doc.Notes, func(n string) bool { return strings.Contains(n, zalacz.name) }) {
		t.Errorf("a file that no time-stamp covers is not named: %q", doc.Notes)
	}
}

// TestTimestampOfAbsent: what a manifest names and is not there leaves open what the time-stamp is about; what is there
// and is another file, breaks it. A digest stands in for a file that was kept back.
func TestTimestampOfAbsent(t *testing.T) {
	tsu := newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	const tst = "META-INF/timestamp.tst"
	inna := entry{"inna.txt", "umowa nr 2"}
	of := func(content string) []signature.Detached {
		sum := sha256.Sum256([]byte(content))
		return []signature.Detached{{Name: inna.name, Digests: map[string][]byte{"SHA-256": sum[:]}}}
	}
	long := sha512.Sum512([]byte(inna.content))
	another := []signature.Detached{{Name: inna.name, Digests: map[string][]byte{"SHA-512": long[:]}}}
	for _, c := range []struct {
		name     string
		manifest string
		change   func(manifest string) string
		files    []entry
		given    []signature.Detached
		want     string // found/imprint
	}{
		{"all there", "ASiCManifest", nil, []entry{umowa, inna}, nil, "true/true"},
		{"one absent", "ASiCManifest", nil, []entry{umowa}, nil, "false/false"},
		{"one absent, archive manifest", "ASiCArchiveManifest", nil, []entry{umowa}, nil, "false/false"},
		{"one changed", "ASiCManifest", nil, []entry{umowa, {inna.name, "x"}}, nil, "true/false"},
		{"one absent, one changed", "ASiCManifest", nil, []entry{{umowa.name, "x"}}, nil, "true/false"},
		{"one by an unknown digest", "ASiCManifest",
			func(m string) string { return strings.Replace(m, "xmlenc#sha256", "xmlenc#sha257", 1) },
			[]entry{umowa, inna}, nil, "false/false"},
		{"another case of the name", "ASiCManifest", nil, []entry{umowa, {strings.ToUpper(inna.name), inna.content}}, nil,
			"false/false"},
		{"in a folder", "ASiCManifest", nil, []entry{umowa, {"x/" + inna.name, inna.content}}, nil, "false/false"},
		{"kept back", "ASiCManifest", nil, []entry{umowa}, of(inna.content), "true/true"},
		{"kept back, another", "ASiCManifest", nil, []entry{umowa}, of("x"), "true/false"},
		{"kept back, by another algorithm", "ASiCManifest", nil, []entry{umowa}, another, "false/false"},
	} {
		m := manifestOf(tst, umowa, inna)
		if c.change != nil {
			m = c.change(m)
		}
		data := pack(t, "e", append(c.files, entry{"META-INF/" + c.manifest + ".xml", m},
			entry{tst, string(tsu.stamp(t, []byte(m)))})...)
		doc, err := Open(budget.New(t.Context(), len(data)), data, c.given)
		if err != nil {
			t.Fatal(err)
		}
		s := doc.Timestamps[0]
		if got := fmt.Sprint(s.Found, "/", s.Imprint); got != c.want || len(s.References) != 2 {
			t.Errorf("%s: %s with %v, want %s", c.name, got, s.References, c.want)
		}
	}
}
