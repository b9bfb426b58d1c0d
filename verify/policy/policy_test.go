package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/verify/algorithm"
)

func named(t testing.TB, name string) *Policy {
	t.Helper()
	p, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// minimal is the shortest policy there is: every floor, and one algorithm.
func minimal() string {
	var b strings.Builder
	b.WriteString("Name: office\nVersion: '1'\nCryptographic: {Digests: {SHA256: no end}, Keys: {ECDSA: {256: no end}}}\n")
	tree := map[string]any{}
	for _, r := range rules {
		if r.floor > Ignore {
			c := Constraint{Level: r.floor}
			if r.kind == values {
				c.Values = r.fixed
			}
			enter(tree, r.path, c.tree())
		}
	}
	for _, name := range sortedKeys(tree) {
		fmt.Fprintf(&b, "%s: %s\n", name, flow(tree[name]))
	}
	return b.String()
}

// flow writes fields in one line.
func flow(value any) string {
	switch v := value.(type) {
	case map[string]any:
		var list []string
		for _, name := range sortedKeys(v) {
			list = append(list, name+": "+flow(v[name]))
		}
		return "{" + strings.Join(list, ", ") + "}"
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	}
	return fmt.Sprint(value)
}

func TestShipped(t *testing.T) {
	for _, name := range Names() {
		p := named(t, name)
		if p.Name() != name || p.Version() == "" || p.Description() == "" || len(p.Digest()) != 64 {
			t.Errorf("%s: %q %q %q %q", name, p.Name(), p.Version(), p.Description(), p.Digest())
		}
		source, err := p.Source()
		if err != nil {
			t.Fatal(err)
		}
		for form, data := range map[string][]byte{"canonical": p.Canonical(), "source": source, "shipped": ShippedSource(name)} {
			if again, err := Read(data); err != nil || again.Digest() != p.Digest() {
				t.Errorf("%s, %s form read again: %v", name, form, err)
			}
		}
	}
	if _, err := Named("lenient"); err == nil || !strings.Contains(err.Error(), "strict or dss-default") {
		t.Errorf("a policy that is not shipped: %v", err)
	}
}

// TestStrictIsJudgedAsWritten: nothing of the default is judged less than it says.
func TestStrictIsJudgedAsWritten(t *testing.T) {
	for _, r := range named(t, Strict).Remarks() {
		t.Errorf("%+v", r)
	}
}

// TestZeroLevel: who forgets to say what follows refuses; what a policy does not name is not asked.
func TestZeroLevel(t *testing.T) {
	if l := (Constraint{}).Level; l != Fail || !(Ignore < Inform && Inform < Warn && Warn < Fail) {
		t.Errorf("the zero level is %v", l)
	}
	if l := named(t, Strict).Level(Timestamp, "TimestampValid"); l != Ignore {
		t.Errorf("what is not named is %v", l)
	}
}

// TestLevels looks up what judges ask.
func TestLevels(t *testing.T) {
	strict, dss := named(t, Strict), named(t, DSSDefault)
	for _, c := range []struct {
		context     Context
		name        Name
		strict, dss Level
	}{
		{Signature, DocMDP, Fail, Warn},
		{Signature, PdfPageDifference, Fail, Fail},
		{Container, ManifestFilePresent, Inform, Fail},
		{Timestamp, SigningCertificatePresent, Fail, Warn},
		{Timestamp, TSAGeneralNameContentMatch, Fail, Warn},
		{Signature.Signer(), "RevocationDataAvailable", Fail, Fail},
		{Timestamp.CA(), "RevocationDataAvailable", Fail, Warn},
		{Signature.Signer(), RevocationFreshnessNextUpdate, Fail, Ignore},
		{Timestamp.Signer(), RevocationFreshnessNextUpdate, Warn, Ignore},
		{Product, SignerUse, Fail, Warn},
		{Product, TimestampServiceListed, Fail, Ignore},
		{CounterSignature.CA(), "CA", Fail, Fail},
	} {
		if a, b := strict.Level(c.context, c.name), dss.Level(c.context, c.name); a != c.strict || b != c.dss {
			t.Errorf("%v/%s: %v and %v, want %v and %v", c.context, c.name, a, b, c.strict, c.dss)
		}
	}
}

// TestWhatNoContextHasFails: a judge that asks for a constraint in a wrong place must not be told that it is ignored.
func TestWhatNoContextHasFails(t *testing.T) {
	p := named(t, DSSDefault)
	if l := p.Level(Revocation, DocMDP); l != Fail {
		t.Errorf("DocMDP of an OCSP answer is %v, want FAIL", l)
	}
	if l := p.Level(Signature, "DocMPD"); l != Fail {
		t.Errorf("a misspelt name is %v, want FAIL", l)
	}
}

func TestContexts(t *testing.T) {
	for _, c := range []struct{ got, want Context }{
		{Timestamp.Signer(), TimestampSigner}, {TimestampSigner.CA(), TimestampCA}, {SignatureCA.Signer(), SignatureSigner},
		{Revocation.CA(), RevocationCA}, {EvidenceRecord.Signer(), EvidenceRecord}, {Product.CA(), Product},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.path] {
			t.Errorf("%s stands twice in the catalogue", r.path)
		}
		seen[r.path] = true
		if r.floor > Ignore && (r.clause == "" || r.judged == NotJudged) {
			t.Errorf("%s has a floor without a clause, or that nobody judges", r.path)
		}
	}
}

// TestFloors lowers every constraint that makes up what it means that a signature verifies.
func TestFloors(t *testing.T) {
	if _, err := Parse([]byte(minimal())); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.floor == Ignore {
			continue
		}
		p, err := Parse([]byte(minimal()))
		if err != nil {
			t.Fatal(err)
		}
		k := key{r.context, r.name}
		c := p.constraints[k]
		c.Level--
		p.constraints[k] = c
		source, err := p.Source()
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(source)
		refused(t, r.path+" lowered", err, r.path+": ", "no policy may go under ("+r.clause)
		delete(p.constraints, k)
		if source, err = p.Source(); err != nil {
			t.Fatal(err)
		}
		_, err = Parse(source)
		refused(t, r.path+" absent", err, r.path+": IGNORE is below")
	}
}

func refused(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	var field *FieldError
	if !errors.As(err, &field) {
		t.Errorf("%s: got %v; want a refusal of %v", what, err, want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v; want %q", what, err, w)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown field", "Name: office", "Name: office\nNames: x", "line 2, Names: there is no constraint of this name"},
		{"constraint elsewhere", "Name: office", "Name: office\nDocMDP: FAIL", "DocMDP: there is no constraint of this name"},
		{"field twice", "Name: office", "Name: office\nName: office", `"Name" stands twice`},
		{"constraint twice", "SignedAttributes: {", "SignedAttributes: {CertDigestMatch: FAIL, ", `"CertDigestMatch" stands twice`},
		{"level", "CertDigestMatch: FAIL", "CertDigestMatch: fail", `"fail" is no level: write FAIL`},
		{"null level", "CertDigestMatch: FAIL", "CertDigestMatch: ", "CertDigestMatch: write one value here"},
		{"no level", "CertDigestMatch: FAIL", "CertDigestMatch: {}", "CertDigestMatch/Level: write FAIL"},
		{"values of what has none", "CertDigestMatch: FAIL", "CertDigestMatch: {Level: FAIL, Values: [a]}", "CertDigestMatch/Values: there is no such field"},
		{"no values", "{Level: FAIL, Values: [keyCertSign]}", "FAIL", "KeyUsage/Values: list at least one value"},
		{"value twice", "[keyCertSign]", "[keyCertSign, keyCertSign]", `"keyCertSign" stands twice`},
		{"other values", "[keyCertSign]", "[cRLSign]", "KeyUsage: it is FAIL, and this version does not refuse by it"},
		{"values no list", "[keyCertSign]", "keyCertSign", "write a list"},
		{"no name", "Name: office", "Name: ''", "Name: name the policy"},
		{"name not printable", "Name: office", `Name: "a\e[2J"`, "Name: name the policy"},
		{"no version", "Version: '1'", "Description: x", "Version: give the edition"},
		{"long description", "Version: '1'", "Version: '1'\nDescription: " + strings.Repeat("x", maxDescription+1), "Description: at most"},
		{"no algorithms", "Cryptographic: {", "NotHonoured: []\n#", "Cryptographic: list the digests"},
		{"unknown digest", "SHA256: no end", "SHA257: no end", "Cryptographic/Digests/SHA257: this digest is not known"},
		{"digest by its other name", "SHA256: no end", "SHA-256: no end", "this digest is not known here; write it as SHA256"},
		{"unknown key", "ECDSA: {", "ECDHE: {", "Cryptographic/Keys/ECDHE: keys of this kind"},
		{"key without sizes", "{256: no end}", "{}", "at least one size"},
		{"size", "{256: no end}", "{-1: no end}", `"-1" is no size`},
		{"size spelt twice", "{256: no end}", "{256: no end, 0256: no end}", `"0256" is no size`},
		{"date", "SHA256: no end", "SHA256: 2029-13-01", `"2029-13-01" is no date that serves: write it as 2029-01-01`},
		{"date with a time", "SHA256: no end", "SHA256: 2029-01-01T00:00:00Z", "is no date that serves"},
		{"date too far", "SHA256: no end", "SHA256: 3029-01-01", "from 1990 to 2100"},
		{"update date", "{Digests", "{UpdateDate: today, Digests", "Cryptographic/UpdateDate"},
		{"level of ends", "{Digests", "{Level: MAYBE, Digests", "Cryptographic/Level"},
		{"field of the table", "{Digests", "{Digest: {}, Digests", "Cryptographic/Digest: there is no such field"},
		{"MD5 for ever", "SHA256: no end", "SHA256: no end, MD5: no end", "no policy may rely on it after 2011-03-31"},
		{"SHA-1 for long", "SHA256: no end", "SHA256: no end, SHA1: 2030-01-01", "no policy may rely on it after 2020-01-05"},
		{"short RSA for long", "{256: no end}}", "{256: no end}, RSA: {512: 2013-01-01, 2048: no end}}", "Keys/RSA/512: no policy may rely on it after 2010-12-31"},
		{"anchor", "Name: office", "Name: &n office", "without anchors and tags"},
		{"alias", "Name: office", "Name: office\nDescription: &d x\nVersion2: *d", "without anchors and tags"},
		{"tag", "Name: office", "Name: !!str office", "without anchors and tags"},
		{"merge", "Name: office", "Name: office\n<<: {Version: '2'}", "<<: there is no constraint"},
		{"not honoured, unknown", "Name: office", "Name: office\nNotHonoured: [Signature/X]", `"Signature/X" is no constraint`},
		{"not judged at FAIL", "SignedAttributes: {", "SignedAttributes: {SignerLocation: FAIL, ", "NotHonoured, CounterSignatureConstraints/SignedAttributes/SignerLocation: it is FAIL"},
		{"told at FAIL", "Name: office", "Name: office\nContainerConstraints: {AllFilesSigned: FAIL}", "NotHonoured, ContainerConstraints/AllFilesSigned"},
		{"period without a length", "SigningCertificate: {", "SigningCertificate: {RevocationFreshness: FAIL, ", "RevocationFreshness: say how long"},
		{"period of nothing", "SigningCertificate: {", "SigningCertificate: {RevocationFreshness: {Level: FAIL, Days: 0}, ", "RevocationFreshness: say how long"},
		{"period in two units", "SigningCertificate: {", "SigningCertificate: {RevocationFreshness: {Level: FAIL, Days: 1, Hours: 2}, ", "beside another unit"},
		{"period negative", "SigningCertificate: {", "SigningCertificate: {RevocationFreshness: {Level: FAIL, Days: -1}, ", `"-1": write a whole number`},
		{"period too long", "SigningCertificate: {", "SigningCertificate: {RevocationFreshness: {Level: FAIL, Days: 36501}, ", "write a whole number up to 36500"},
	} {
		text := strings.Replace(minimal(), c.from, c.to, 1)
		if text == minimal() {
			t.Errorf("%s: %q does not stand in the file", c.name, c.from)
		}
		_, err := Parse([]byte(text))
		refused(t, c.name, err, c.want)
	}
}

// TestForms refuses what is no policy file at all.
func TestForms(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "empty",
		"# nothing\n":                    "empty",
		"[a, b]":                         "write fields here",
		"a: [":                           "policy: yaml",
		minimal() + "---\nName: another": "goes on after the policy",
		strings.Repeat("#", MaxFile+1):   "at most 262144 are read",
		"? {a: b}\n: c":                  "write one value here",
		"SignatureConstraints: FAIL":     "SignatureConstraints: write fields here",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

// TestAcknowledged: what is known not to be honoured is read, and told.
func TestAcknowledged(t *testing.T) {
	const path = "CounterSignatureConstraints/SignedAttributes/SignerLocation"
	text := strings.Replace(minimal(), "SignedAttributes: {", "SignedAttributes: {SignerLocation: FAIL, ", 1) + "NotHonoured: [" + path + "]\n"
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Remarks(), func(r Remark) bool { return r.Constraint == path && r.Level == Fail && r.Laxer }) {
		t.Errorf("%s is not among the remarks", path)
	}
}

// TestFollows: freshness is asked by one level a chain; a file that gives its CA certificates another one is told so.
func TestFollows(t *testing.T) {
	text := strings.Replace(minimal(), "SignatureConstraints: {BasicSignatureConstraints: {CACertificate: {",
		"SignatureConstraints: {BasicSignatureConstraints: {CACertificate: {RevocationFreshnessNextUpdate: WARN, ", 1)
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Remarks(), func(r Remark) bool {
		return strings.HasSuffix(r.Constraint, "CACertificate/RevocationFreshnessNextUpdate")
	})
	if i < 0 || !p.Remarks()[i].Laxer || !strings.Contains(p.Remarks()[i].Text, "judged as in SignatureConstraints/") {
		t.Errorf("no remark: %v", p.Remarks())
	}
}

// TestDigest: the digest is of what a policy says, not of how it is written.
func TestDigest(t *testing.T) {
	digest := func(text string) string {
		p, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest()
	}
	base := digest(minimal())
	lines := strings.Split(strings.TrimSpace(minimal()), "\n")
	slices.Reverse(lines)
	if digest(strings.Join(lines, "\n")+"\n# a remark\n") != base {
		t.Error("order and comments change the digest")
	}
	if digest(minimal()+"ProductConstraints: {SignerUse: IGNORE}\n") != base {
		t.Error("IGNORE and absence have different digests")
	}
	for _, change := range []string{"ProductConstraints: {SignerUse: INFORM}\n", "Description: another\n"} {
		if digest(minimal()+change) == base {
			t.Errorf("%q does not change the digest", change)
		}
	}
	if digest(strings.Replace(minimal(), "256: no end", "384: no end", 1)) == base {
		t.Error("another size does not change the digest")
	}
}

// TestStrictTableIsTheRegistrys: today's judges ask the registry's table; strict says the same.
func TestStrictTableIsTheRegistrys(t *testing.T) {
	strict := named(t, Strict)
	names := []string{"Ed25519", "Ed448", "Ed25519ph", "ML-DSA-65", "SLH-DSA-SHA2-128s", "RSA", "RSASSA-PSS", "EC P-256", "DSA", "none", "RSA-PKCS1-none"}
	for d := range digestNames {
		names = append(names, d, "RSA-PKCS1-"+d, "RSA-PSS-"+d, "ECDSA-"+d, "DSA-"+d)
	}
	for h := algorithm.MD5; h.Valid(); h++ {
		names = append(names, h.Name())
	}
	for _, name := range names {
		for _, bits := range []int{0, 159, 160, 163, 224, 256, 512, 785, 786, 1023, 1024, 1536, 1899, 1900, 2048, 2999, 3000, 4096} {
			for at := day(2003, 1, 1); at.Year() < 2031; at = at.AddDate(0, 0, 61) {
				want, _ := algorithm.Acceptable(name, bits, at)
				if got, why := strict.Acceptable(Signature, name, bits, at); got != want {
					t.Fatalf("%s with %d bits at %s: %v (%s), the registry says %v", name, bits, at.Format(time.DateOnly), got, why, want)
				}
			}
		}
	}
}

// TestEnds looks at the day on which an end passes, and at forecasts.
func TestEnds(t *testing.T) {
	strict, dss := named(t, Strict).Suite(Timestamp), named(t, DSSDefault).Suite(Timestamp)
	for _, c := range []struct {
		name        string
		bits        int
		at          time.Time
		strict, dss Level
	}{
		{"RSA-PKCS1-SHA256", 2048, day(2029, 1, 1), Ignore, Ignore},
		{"RSA-PKCS1-SHA256", 2048, day(2029, 1, 1).Add(time.Second), Fail, Warn},
		{"RSA-PKCS1-SHA256", 1024, day(2019, 10, 1).Add(time.Second), Fail, Fail},
		{"SHA-1", 0, day(2012, 8, 1), Ignore, Ignore},
		{"SHA-1", 0, day(2012, 8, 2), Fail, Fail},
		{"ECDSA-SHA1", 256, day(2012, 8, 2), Fail, Fail},
		{"ECDSA-SHA224", 256, day(2030, 1, 1), Fail, Warn},
		{"RSA-PKCS1-SHA256", 785, day(2005, 1, 1), Fail, Fail},
		{"SHA3-224", 0, day(2005, 1, 1), Fail, Fail},
		{"Ed25519", 256, day(2025, 1, 1), Fail, Fail},
		{"whatever", 256, day(2025, 1, 1), Fail, Fail},
		{"", 0, day(2025, 1, 1), Fail, Fail},
	} {
		a, whyA := strict.Judge(c.name, c.bits, c.at)
		b, whyB := dss.Judge(c.name, c.bits, c.at)
		if a != c.strict || b != c.dss {
			t.Errorf("%s with %d bits at %v: %v (%s) and %v (%s), want %v and %v", c.name, c.bits, c.at, a, whyA, b, whyB, c.strict, c.dss)
		}
	}
}

// TestUntil: the end that is told is the one that the key is judged by, that of the longest of which it has the length.
func TestUntil(t *testing.T) {
	s := named(t, DSSDefault).Suite(Signature)
	for _, c := range []struct {
		name string
		bits int
		want time.Time
	}{
		{"RSA-PKCS1-SHA256", 2048, day(2029, 1, 1)}, {"RSA-PKCS1-SHA256", 1024, day(2019, 10, 1)},
		{"RSA-PKCS1-SHA1", 4096, day(2012, 8, 1)}, {"RSA-PKCS1-SHA256", 0, time.Time{}}, {"RSA-PSS-SHA256", 4096, time.Time{}},
		{"SHA-1", 0, day(2012, 8, 1)}, {"whatever", 256, time.Time{}},
	} {
		if got := s.Until(c.name, c.bits); !got.Equal(c.want) {
			t.Errorf("%s with %d bits: %v, want %v", c.name, c.bits, got, c.want)
		}
	}
}

// TestCeilings: where a policy only warns of ends, what is broken in public fails all the same.
func TestCeilings(t *testing.T) {
	text := strings.Replace(minimal(), "{Digests: {SHA256: no end}, Keys: {ECDSA: {256: no end}}}",
		"{Level: WARN, Digests: {SHA256: no end, MD5: 2004-08-01, SHA1: 2012-08-01}, Keys: {RSA: {512: 2009-01-01, 1024: 2012-01-01}}}", 1)
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		bits int
		at   time.Time
		want Level
	}{
		{"RSA-PKCS1-MD5", 2048, day(2011, 3, 31), Warn},
		{"RSA-PKCS1-MD5", 2048, day(2011, 4, 1), Fail},
		{"SHA-1", 0, day(2020, 1, 5), Warn},
		{"SHA-1", 0, day(2020, 1, 6), Fail},
		{"RSA-PKCS1-SHA256", 768, day(2010, 12, 31), Warn},
		{"RSA-PKCS1-SHA256", 768, day(2011, 1, 1), Fail},
		{"RSA-PKCS1-SHA256", 1024, day(2026, 1, 1), Warn},
	} {
		if got, why := p.Suite(Signature).Judge(c.name, c.bits, c.at); got != c.want {
			t.Errorf("%s with %d bits at %s: %v (%s), want %v", c.name, c.bits, c.at.Format(time.DateOnly), got, why, c.want)
		}
	}
}

// TestSuiteOfAContext: a context's own table holds there alone.
func TestSuiteOfAContext(t *testing.T) {
	text := strings.Replace(minimal(), "Timestamp: {BasicSignatureConstraints: {",
		"Timestamp: {BasicSignatureConstraints: {Cryptographic: {Digests: {SHA512: no end}, Keys: {RSA: {3000: no end}}}, ", 1)
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	at := day(2025, 1, 1)
	for _, c := range []struct {
		context Context
		name    string
		bits    int
		want    bool
	}{
		{Timestamp, "RSA-PKCS1-SHA512", 3072, true}, {Timestamp, "ECDSA-SHA256", 256, false},
		{Timestamp.Signer(), "ECDSA-SHA256", 256, true}, {Signature, "RSA-PKCS1-SHA512", 3072, false},
	} {
		if ok, why := p.Acceptable(c.context, c.name, c.bits, at); ok != c.want {
			t.Errorf("%v: %s: %v (%s)", c.context, c.name, ok, why)
		}
	}
}

func TestDiff(t *testing.T) {
	a, b := named(t, Strict), named(t, DSSDefault)
	if d := Diff(a, a); len(d) != 0 {
		t.Errorf("a policy differs from itself: %v", d)
	}
	list := Diff(a, b)
	for _, want := range []Difference{
		{"Name", "strict", "dss-default"}, {"ProductConstraints/SignerUse", "FAIL", "WARN"},
		{"Cryptographic/LevelAfterUpdate", "FAIL", "WARN"}, {"SignatureConstraints/StructuralValidation", "", "WARN"},
	} {
		if !slices.Contains(list, want) {
			t.Errorf("no %+v among the differences", want)
		}
	}
	if !slices.IsSortedFunc(list, func(x, y Difference) int { return strings.Compare(x.Path, y.Path) }) {
		t.Error("the differences are not sorted")
	}
}

// TestFloorsAreDocumented: administrators read in docs/policies.md what no policy can switch off.
func TestFloorsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(doc), "\n")
	for _, r := range rules {
		want := []string{"`" + string(r.name) + "`", " " + r.floor.String() + " ", r.clause}
		found := slices.ContainsFunc(lines, func(line string) bool {
			return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(line, w) })
		})
		if r.floor > Ignore && !found {
			t.Errorf("docs/policies.md has no line with %q", want)
		}
	}
	for _, c := range ceilings {
		if want := c.until.Format(time.DateOnly); !strings.Contains(string(doc), want) {
			t.Errorf("docs/policies.md does not say %s of %s", want, c.name)
		}
	}
}

// TestOpenFile: a file may be named as a shipped policy only where it is that policy.
func TestOpenFile(t *testing.T) {
	shipped, err := os.ReadFile("strict.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(shipped)
	weaker := strings.Replace(text, "UnsignedContent: FAIL", "UnsignedContent: IGNORE", 1)
	if weaker == text {
		t.Fatal("the test changes nothing")
	}
	for name, c := range map[string]struct{ text, want string }{
		"a copy":                 {text, ""},
		"a weaker one":           {weaker, "give it a name of its own"},
		"of another version":     {strings.Replace(text, `Version: "1"`, `Version: "2"`, 1), "give it a name of its own"},
		"a weaker one by a name": {strings.Replace(weaker, "Name: strict", "Name: ours", 1), ""},
	} {
		file := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFile(file); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
