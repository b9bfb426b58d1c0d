package asic

import (
	"crypto/sha256"
	"crypto/sha512"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

// TestKeptBack: a digest stands in for a data object that the container does not hold, and for no other.
func TestKeptBack(t *testing.T) {
	s := newSigner(t, "officer-1")
	tsu := newSigner(t, "unit")
	manifest := signed(t, s, umowa, zalaczIn)[2:]
	xml := entry{"META-INF/signatures0.xml", s.xml(t, map[string]string{umowa.name: umowa.content})}
	stamped := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/timestamp.tst", umowa)}
	token := entry{"META-INF/timestamp.tst", string(tsu.stamp(t, []byte(stamped.content)))}
	of := func(name, content string) signature.Detached {
		sum := sha256.Sum256([]byte(content))
		return signature.Detached{Name: name, Digests: map[string][]byte{"SHA-256": sum[:]}}
	}
	long := sha512.Sum512([]byte(umowa.content))
	another := signature.Detached{Name: umowa.name, Digests: map[string][]byte{"SHA-512": long[:]}}
	good, other := of(umowa.name, umowa.content), of(umowa.name, "umowa nr 2")
	second := of(zalacz.name, zalacz.content)
	for name, c := range map[string]struct {
		entries []entry
		given   []signature.Detached
		want    string // how the references to data fare
		full    bool   // all is covered
	}{
		"manifest":             {manifest, []signature.Detached{good, second}, "true/true true/true", true},
		"another file":         {manifest, []signature.Detached{other, second}, "true/false true/true", false},
		"one of two":           {manifest, []signature.Detached{good}, "true/true false/false", false},
		"none":                 {manifest, nil, "false/false false/false", false},
		"by another algorithm": {manifest, []signature.Detached{another, second}, "true/false true/true", false},
		"under another name": {manifest, []signature.Detached{of("x", umowa.content), second},
			"false/false true/true", false},
		"without a name": {manifest, []signature.Detached{of("", umowa.content), second},
			"false/false true/true", false},
		"the file itself beside": {manifest,
			[]signature.Detached{{Name: umowa.name, Content: []byte(umowa.content)}, second}, "false/false true/true", false},
		"an XML signature":          {[]entry{xml}, []signature.Detached{good}, "true/true", true},
		"an XML signature, another": {[]entry{xml}, []signature.Detached{other}, "true/false", false},
		"the file is there, changed": {append([]entry{{umowa.name, "umowa nr 2"}}, xml), []signature.Detached{good},
			"true/false", false},
		"a file that nobody signed": {append([]entry{{"dopisek.txt", "dopisek"}}, xml), []signature.Detached{good},
			"true/true", false},
		"manifest and a stranger file": {append([]entry{{"dopisek.txt", "x"}}, manifest...),
			[]signature.Detached{good, second}, "true/true true/true", false},
	} {
		t.Run(name, func(t *testing.T) {
			data := pack(t, "e", c.entries...)
			doc, err := Open(budget.New(t.Context(), len(data)), data, c.given)
			if err != nil {
				t.Fatal(err)
			}
			s := doc.Signatures[0]
			var got []string
			for _, ref := range s.References {
				if ref.Type == "message-digest" {
					continue
				}
				fate := map[bool]string{true: "true", false: "false"}
				got = append(got, fate[ref.Found]+"/"+fate[ref.Intact])
				if alone := strings.HasSuffix(ref.Scope, signature.DigestAlone); ref.Intact && (!alone || ref.Empty) {
					t.Errorf("%s: scope %q, empty %v", ref.Name, ref.Scope, ref.Empty)
				}
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
			if full := s.ReferencesIntact() && len(s.Structure) == 0 && len(s.Unsigned) == 0; full != c.full {
				t.Errorf("full %v, want %v: %v %v", full, c.full, s.Structure, s.Unsigned)
			}
		})
	}
	data := pack(t, "e", stamped, token)
	doc, err := Open(budget.New(t.Context(), len(data)), data, []signature.Detached{good})
	if err != nil {
		t.Fatal(err)
	}
	if stamp := doc.Timestamps[0]; len(stamp.Structure) == 0 {
		t.Error("a time-stamp is about a file that is not there")
	}
}

// TestKeptBackDigests: what counts as a digest of a data object.
func TestKeptBackDigests(t *testing.T) {
	full, short := make([]byte, sha256.Size), make([]byte, 20)
	const method = "http://www.w3.org/2001/04/xmlenc#sha256"
	of := func(sum []byte) map[string][]byte { return map[string][]byte{"SHA-256": sum} }
	by := func(sum []byte) []byte { return (&signature.Detached{Digests: of(sum)}).DigestBy(method) }
	if by(full) == nil || by(short) != nil || by(nil) != nil {
		t.Error("a digest of another size is one")
	}
	files := []signature.Detached{{Name: "a", Content: []byte("a")}, {Digests: of(full)}, {Name: "b", Digests: of(full)}}
	if given := keptBack(files); len(given) != 1 {
		t.Errorf("a file beside the container, or a digest without a name, is taken: %v", given)
	}
	r := &reader{keptBack: map[string]*signature.Detached{"a b": {}, "a%20b": {}, "c d": {}}}
	if r.given("a%20b") != nil || r.given("c%20d") == nil || r.given("e") != nil {
		t.Error("a URI of two names has a digest, or one of one name has none")
	}
}
