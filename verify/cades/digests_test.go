package cades_test

import (
	"crypto"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"strings"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// byDigests is a file of which digests alone were given.
func byDigests(name string, data []byte, names ...string) signature.Detached {
	f := signature.Detached{Name: name, Digests: map[string][]byte{}}
	for _, n := range names {
		switch n {
		case "MD5":
			sum := md5.Sum(data)
			f.Digests[n] = sum[:]
		case "SHA-256":
			sum := sha256.Sum256(data)
			f.Digests[n] = sum[:]
		case "SHA-512":
			sum := sha512.Sum512(data)
			f.Digests[n] = sum[:]
		}
	}
	return f
}

// TestDigestInPlaceOfTheFile: a detached signature is judged by a digest that the office computed, where one by its own
// algorithm was given and the signature has signed attributes that hold it.
func TestDigestInPlaceOfTheFile(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der := sign(t, id, detachedFrom(content))
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	sum, si := sha256.Sum256(content), sd.Signers[0]
	value, err := id.Key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	// The value over the content itself, the content left out.
	bare := wrapped(sd, sd.Content.Raw, tlv(0x30, si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, si.SignatureAlgorithm, tlv(0x04, value)))
	short := byDigests("a", content, "SHA-256")
	short.Digests["SHA-256"] = short.Digests["SHA-256"][:31]
	for name, c := range map[string]struct {
		der           []byte
		files         []signature.Detached
		found, intact bool
		note          string
	}{
		"its digest":              {der, []signature.Detached{byDigests("a", content, "SHA-256")}, true, true, ""},
		"among others":            {der, []signature.Detached{byDigests("b", []byte("x"), "SHA-256"), byDigests("a", content, "SHA-512", "SHA-256")}, true, true, ""},
		"of another file":         {der, []signature.Detached{byDigests("a", []byte("x"), "SHA-256")}, true, false, ""},
		"by another algorithm":    {der, []signature.Detached{byDigests("a", content, "SHA-512")}, false, false, "digests were given by SHA-512, and none by SHA-256"},
		"cut":                     {der, []signature.Detached{short}, false, false, "31 octets, one by SHA-256 has 32"},
		"no digest: an empty one": {der, []signature.Detached{{Name: "a", Digests: map[string][]byte{}}}, true, false, ""},
		"no signed attributes":    {bare, []signature.Detached{byDigests("a", content, "SHA-256")}, false, false, "a digest can't stand in"},
	} {
		s := only(t, c.der, c.files...)
		r := s.References[0]
		if r.Found != c.found || r.Intact != c.intact || !strings.Contains(strings.Join(s.Notes, "|"), c.note) {
			t.Errorf("%s: found %t, intact %t, notes %q; want %t, %t, %q", name, r.Found, r.Intact, s.Notes, c.found, c.intact, c.note)
		}
		if c.intact && !strings.Contains(r.Scope, "the whole file a, of which a digest alone was given") {
			t.Errorf("%s: scope %q", name, r.Scope)
		}
	}
	if s := only(t, bare, signature.Detached{Name: "a", Content: content}); !s.Intact || !s.ReferencesIntact() {
		t.Errorf("control: the content itself: %+v", s)
	}
}

// TestDigestBesideTheData: who gives a digest beside data that the signature carries wants to know of that.
func TestDigestBesideTheData(t *testing.T) {
	der := sign(t, cmstest.NewSigner(t, "p256", "officer-1"), nil)
	mixed := byDigests("a", content, "SHA-512")
	mixed.Digests["SHA-256"] = byDigests("", []byte("x"), "SHA-256").Digests["SHA-256"]
	for name, c := range map[string]struct {
		file signature.Detached
		ok   bool
	}{
		"its own": {byDigests("a", content, "SHA-256"), true}, "another's": {byDigests("a", []byte("x"), "SHA-256"), false},
		"weak alone": {byDigests("a", content, "MD5"), false}, "one of two": {mixed, false},
		"unknown": {signature.Detached{Name: "a", Digests: map[string][]byte{"CRC": {1}}}, false},
	} {
		_, err := openAll(t, der, c.file)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, cades.ErrOtherData) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokenByDigest: a time-stamp alone needs the digest by the algorithm of its imprint.
func TestTokenByDigest(t *testing.T) {
	token := cmstest.NewTSU(t, "p256", "TSU 1").Stamp(t, content, cmstest.Now)
	for name, c := range map[string]struct {
		file           signature.Detached
		found, imprint bool
		note           string
	}{
		"its own":              {byDigests("a", content, "SHA-256"), true, true, ""},
		"another's":            {byDigests("a", []byte("x"), "SHA-256"), true, false, ""},
		"by another algorithm": {byDigests("a", content, "SHA-512"), false, false, "none by SHA-256"},
	} {
		doc, err := openAll(t, token, c.file)
		if err != nil {
			t.Fatal(err)
		}
		if ts := doc.Timestamps[0]; ts.Found != c.found || ts.Imprint != c.imprint || !strings.Contains(strings.Join(doc.Notes, "|"), c.note) {
			t.Errorf("%s: %t, %t, %q", name, ts.Found, ts.Imprint, doc.Notes)
		}
	}
}
