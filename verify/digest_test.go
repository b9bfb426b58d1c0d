package verify

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify/algorithm"
	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

func hexOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// TestDigestsAreRead: in each spelling that people and programs write.
func TestDigestsAreRead(t *testing.T) {
	sum := sha256.Sum256([]byte("a"))
	for text, name := range map[string]string{
		"SHA-256:" + hexOf("a"):                                               "",
		"sha256:" + strings.ToUpper(hexOf("a")):                               "",
		"a=b=c:d=SHA_256:" + base64.StdEncoding.EncodeToString(sum[:]):        "a=b=c:d",
		"a.bin=SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]):        "a.bin",
		"dane/za%C5%82.bin=SHA3-256:" + hexOf("a"):                            "dane/za%C5%82.bin",
		"=SHA-512/256:" + hexOf("a"):                                          "",
		"x=sha512:" + hexOf("a") + hexOf("b"):                                 "x",
		"x=SHA-384:" + base64.StdEncoding.EncodeToString(make([]byte, 384/8)): "x",
	} {
		var d Digests
		if err := d.Add(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d.files[0].Name != name || len(d.files[0].Digests) != 1 {
			t.Errorf("%s: %+v", text, d.files)
		}
		var again Digests
		if err := again.Add(d.Texts()[0]); err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%s: written as %q: %v", text, d.Texts(), err)
		}
	}
}

// TestDigestsAreRefused: with what is wrong and what to write.
func TestDigestsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "[NAME=]ALGORITHM:VALUE",
		hexOf("a"):                         "[NAME=]ALGORITHM:VALUE",
		":" + hexOf("a"):                   "no digest algorithm",
		"SHA-265:" + hexOf("a"):            `"SHA-265" is no digest algorithm`,
		"SHA-256:" + hexOf("a")[1:]:        "64 hexadecimal digits",
		"SHA-256:" + hexOf("a") + "00":     "64 hexadecimal digits",
		"SHA-256:":                         "64 hexadecimal digits",
		"SHA-512:" + hexOf("a"):            "128 hexadecimal digits",
		"SHA-256:" + hexOf("a")[:62] + "g": "64 hexadecimal digits",
		"a=SHA-1:" + hexOf("a")[:40]:       "give one by SHA-256",
		"sha1:" + hexOf("a")[:40]:          "or the file itself",
		"MD5:" + hexOf("a")[:32]:           "give one by SHA-256",
		"RIPEMD160:" + hexOf("a")[:40]:     "give one by SHA-256",
		"SHA-1:no":                         "give one by SHA-256",
		strings.Repeat("n", 2000) + "=SHA-256:" + hexOf("a"): "1024 octets",
	} {
		var d Digests
		if err := d.Add(text); err == nil || !strings.Contains(err.Error(), want) || len(d.files) > 0 {
			t.Errorf("%.80q: %v, want %q", text, err, want)
		}
	}
	var d Digests
	for i, want := range []string{"", "", "has two digests", "", "has two digests"} {
		text := []string{"a=SHA-256:", "SHA-256:", "a=SHA256:", "a=SHA3-256:", "SHA-256:"}[i] + hexOf("a")
		if err := d.Add(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := d.Beside([]signature.Detached{{Name: "a"}}); err == nil || !strings.Contains(err.Error(), "give one of them") {
		t.Error(err)
	}
	if files, err := d.Beside([]signature.Detached{{Name: "b"}}); err != nil || len(files) != 3 {
		t.Error(files, err)
	}
	var many Digests
	for i := range MaxDigests {
		if err := many.Add(fmt.Sprintf("%d=SHA-256:%s", i, hexOf("a"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := many.Add("x=SHA-256:" + hexOf("a")); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Error(err)
	}
}

// TestSums reads what the coreutils write, also of names with an end of line in them.
func TestSums(t *testing.T) {
	a, b, long := hexOf("a"), hexOf("b"), hexOf("a")+hexOf("b")
	var d Digests
	err := d.AddSums(strings.NewReader(a + "  a b.bin\n\n" + b + " *b\r\n" + `\` + a + `  c\nd\\e` + "\nSHA512 (x (1)) = " + long + "\n" + long + "  b\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a b.bin=SHA-256:" + a, "b=SHA-256:" + b, "b=SHA-512:" + long, "c\nd\\e=SHA-256:" + a, "x (1)=SHA-512:" + long}
	if got := d.Texts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	for text, want := range map[string]string{
		a:                                    "line 1: no line of sha256sum",
		a + "  a\n" + a + " a\n":             "line 2: no line of sha256sum",
		a[:40] + "  a\n":                     "line 1: a digest by SHA-1 proves nothing",
		a[:32] + "  a\n":                     "line 1: a digest by MD5 proves nothing",
		"MD5 (a) = " + a[:32]:                "line 1: a digest by MD5 proves nothing",
		"CRC (a) = " + a:                     "line 1: no line of sha256sum",
		a[:50] + "  a\n":                     "line 1: no line of sha256sum",
		a[:63] + "g  a\n":                    "line 1: ",
		a + "  a\n" + a + "  a\n":            "line 2: the file \"a\" has two digests",
		a + "  " + strings.Repeat("a", 9000): "no list of digests",
	} {
		var d Digests
		if err := d.AddSums(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// TestDigestInPlaceOfTheFile: for every format the digest gives the verdict that the file gives, says so, and another
// one is a broken signature.
func TestDigestInPlaceOfTheFile(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t)
	evidence := &Evidence{CRLs: w.evidence(w.ca.CRL(t, mint.Day, nil)).CRLs}
	signed := signedPDF(t, w)
	byteRange, contents := partsOfPDF(t, signed)
	sum := sha256.Sum256([]byte(letter))
	detached, err := cms.Sign(cms.SignConfig{Signer: w.officer.Key, Certificate: w.officer.Cert.Raw, Hash: crypto.SHA256, Digest: sum[:]})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ signed, content []byte }{
		"CAdES":                   {detached, []byte(letter)},
		"the byte range of a PDF": {contents, byteRange},
	} {
		for digest, want := range map[string]Indication{string(c.content): TotalPassed, "x": TotalFailed} {
			var d Digests
			if err := d.Add("SHA-256:" + hexOf(digest)); err != nil {
				t.Fatal(err)
			}
			r, err := v.Verify(t.Context(), Request{Document: c.signed, Detached: d.files, At: mint.Day.AddDate(0, 0, 1), Evidence: evidence})
			if err != nil {
				t.Fatal(name, err)
			}
			s := &r.Signatures[0]
			alone := len(s.Scopes) == 1 && strings.HasSuffix(s.Scopes[0].Scope, signature.DigestAlone)
			if s.Indication != want || want == TotalPassed && !alone {
				t.Errorf("%s: %s %s %v %v", name, s.Indication, s.SubIndication, s.Reasons, s.Scopes)
			}
		}
	}
	for _, beside := range [][]signature.Detached{nil, {{Name: "evil.pdf", Content: []byte("x")}}} {
		r, err := v.Verify(t.Context(), Request{Document: signed, Detached: beside, At: mint.Day.AddDate(0, 0, 1), Evidence: evidence})
		if err != nil || r.Signatures[0].Indication != TotalPassed || slices.Contains(r.Notes, signature.NotAbout) != (beside != nil) {
			t.Errorf("%+v %v", r, err)
		}
	}
}

// partsOfPDF are the octets that the signature of a PDF covers, and those of its Contents.
func partsOfPDF(t *testing.T, signed []byte) (byteRange, contents []byte) {
	t.Helper()
	file, err := pdf.Open(signed)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := file.Fields()
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := file.Covered(fields[0].Signature)
	if !ok {
		t.Fatal("no byte range")
	}
	return slices.Concat(before, after), fields[0].Signature.Contents
}

// TestCostOfDigests: as many digests as are taken, beside a document that refers to as many files.
func TestCostOfDigests(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(t)
	var d Digests
	var references strings.Builder
	for i := range MaxDigests {
		if err := d.Add(fmt.Sprintf("%d%s=SHA-256:%s", i, strings.Repeat("n", 1000), hexOf("a"))); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&references, `<Reference URI="x/%d%%20+"><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>AA==</DigestValue></Reference>`, i)
	}
	xml := `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"/>` + references.String() + `</SignedInfo><SignatureValue>AA==</SignatureValue></Signature>`
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprintf("x/%d", i)
	}
	header := fmt.Sprintf(`{"alg":"ES256","crit":["sigD"],"sigD":{"mId":"http://uri.etsi.org/19182/ObjectIdByURI","pars":["%s"]}}`, strings.Join(names, `","`))
	jose := base64.RawURLEncoding.EncodeToString([]byte(header)) + ".." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	sum := sha256.Sum256([]byte("a"))
	detached, err := cms.Sign(cms.SignConfig{Signer: w.officer.Key, Certificate: w.officer.Cert.Raw, Hash: crypto.SHA256, Digest: sum[:]})
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string][]byte{"XML": []byte(xml), "JSON": []byte(jose), "CMS": detached} {
		limit := budgettest.Limit{Time: time.Second, Alloc: 128 << 20}
		budgettest.Check(t, len(document), limit, func() {
			r, err := v.Verify(t.Context(), Request{Document: document, Detached: d.files, At: mint.Day})
			if err != nil || len(r.Signatures) != 1 {
				t.Errorf("%s: %+v %v", name, r, err)
			}
		})
	}
}

// TestDigestsAreTheirSize: programs that bring octets are held to the same.
func TestDigestsAreTheirSize(t *testing.T) {
	for size := range 65 {
		var d Digests
		if err := d.AddValue("a", algorithm.SHA256, make([]byte, size)); (err == nil) != (size == sha256.Size) {
			t.Errorf("%d octets are taken: %v", size, err)
		}
	}
	for _, h := range []algorithm.Hash{algorithm.NoHash, algorithm.MD5, algorithm.SHA1} {
		var d Digests
		if err := d.AddValue("a", h, make([]byte, h.Size())); err == nil {
			t.Errorf("a digest by %s is taken", h)
		}
	}
}
