package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// dssMinimal is the shortest constraint file that is read: every floor, and one algorithm.
func dssMinimal() string {
	tree := map[string]any{}
	for _, r := range rules {
		if r.floor == Ignore || r.context == Product {
			continue
		}
		inner := ""
		for _, v := range r.fixed {
			inner += "<Id>" + v + "</Id>"
		}
		enter(tree, r.path, fmt.Sprintf("Level=%q>%s", r.floor, inner))
	}
	return `<ConstraintsParameters Name="office" xmlns="` + dssNamespace + `"><Description>of the office</Description>` +
		elements(tree) + `<Cryptographic Level="FAIL"><AcceptableEncryptionAlgo><Algo>ECDSA</Algo></AcceptableEncryptionAlgo>` +
		`<MiniPublicKeySize><Algo Size="256">ECDSA</Algo></MiniPublicKeySize><AcceptableDigestAlgo><Algo>SHA256</Algo></AcceptableDigestAlgo>` +
		`<AlgoExpirationDate Format="yyyy-MM-dd"><Algo>SHA256</Algo></AlgoExpirationDate></Cryptographic>` +
		`<Model Value="SHELL"/></ConstraintsParameters>`
}

func elements(tree map[string]any) string {
	var b strings.Builder
	for _, name := range sortedKeys(tree) {
		if below, ok := tree[name].(map[string]any); ok {
			fmt.Fprintf(&b, "<%s>%s</%[1]s>\n", name, elements(below))
			continue
		}
		fmt.Fprintf(&b, "<%s %s</%[1]s>", name, tree[name])
	}
	return b.String()
}

// readDSS reads the shortest file with one change.
func readDSS(t *testing.T, from, to string) (*Policy, error) {
	t.Helper()
	text := strings.Replace(dssMinimal(), from, to, 1)
	if from != "" && text == dssMinimal() && from != to {
		t.Fatalf("%q does not stand in the file", from)
	}
	return Read([]byte(text))
}

func TestParseDSS(t *testing.T) {
	p, err := readDSS(t, "<Timestamp>", `<Timestamp><TimestampDelay Level="WARN" Unit="HOURS" Value="36"/>`)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name() != "office" || p.Description() != "of the office" || !strings.HasPrefix(p.Version(), "dss-") {
		t.Errorf("%q %q %q", p.Name(), p.Version(), p.Description())
	}
	if c := p.Constraint(Timestamp, "TimestampDelay"); c.Level != Warn || c.Period != 36*time.Hour {
		t.Errorf("TimestampDelay is %+v", c)
	}
	source, err := p.Source()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(source)
	if err != nil || again.Digest() != p.Digest() {
		t.Errorf("our form of it: %v", err)
	}
	if l, why := p.Suite(Signature).Judge("ECDSA-SHA256", 255, day(2025, 1, 1)); l != Fail {
		t.Errorf("a short key: %v (%s)", l, why)
	}
}

// TestDSSReports: what is known and not honoured is told by name.
func TestDSSReports(t *testing.T) {
	const at = "<SignatureConstraints>"
	_, err := readDSS(t, at, at+`<FullScope Level="FAIL"/><SignedAttributes><SigningTime Level="INFORM"/></SignedAttributes>`)
	if err == nil {
		t.Fatal("two elements SignedAttributes were read")
	}
	p, err := readDSS(t, at, at+`<StructuralValidation Level="FAIL"/><AcceptablePolicies Level="FAIL"><Id>*</Id></AcceptablePolicies>`)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range p.Remarks() {
		names[r.Constraint] = r.Laxer
	}
	if !names["SignatureConstraints/StructuralValidation"] {
		t.Error("StructuralValidation at FAIL is not among the remarks")
	}
	if _, told := names["SignatureConstraints/AcceptablePolicies"]; told {
		t.Error("a list that takes everything is among the remarks")
	}
	p, err = readDSS(t, "<Algo>SHA256</Algo></Acc", "<Algo>SHA256</Algo><Algo>WHIRLPOOL</Algo></Acc")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Remarks(), func(r Remark) bool { return strings.HasSuffix(r.Constraint, "/WHIRLPOOL") }) {
		t.Error("WHIRLPOOL is not among the remarks")
	}
}

func TestDSSRefusals(t *testing.T) {
	const sig, sha, crypto = "<SignatureConstraints>", "<Algo>SHA256</Algo></Acc", `<Cryptographic Level="FAIL">`
	for _, c := range []struct{ name, from, to, want string }{
		{"other root", "ConstraintsParameters Name", "Constraints Name", "policy: "},
		{"other namespace", dssNamespace, "urn:other", "not of the namespace"},
		{"foreign element", sig, sig + `<x:y xmlns:x="urn:x"/>`, "not of the namespace"},
		{"document type", "<ConstraintsParameters", "<!DOCTYPE a [<!ENTITY b 'c'>]><ConstraintsParameters", "a document type is not read"},
		{"entity", "of the office", "&office;", "policy: "},
		{"second root", "</ConstraintsParameters>", "</ConstraintsParameters><ConstraintsParameters xmlns='" + dssNamespace + "'/>", "a second policy"},
		{"unknown block", "<Model", "<Modus/><Model", "Modus: there is no such block"},
		{"the product's block", "<Model", `<ProductConstraints><SignerUse Level="IGNORE"/></ProductConstraints><Model`, "ProductConstraints: there is no such block"},
		{"unknown constraint", sig, sig + `<FullScoop Level="FAIL"/>`, "SignatureConstraints/FullScoop: there is no constraint"},
		{"constraint elsewhere", sig, sig + `<DocMDP Level="FAIL"/>`, "SignatureConstraints/DocMDP: there is no constraint"},
		{"no level", sig, sig + `<FullScope/>`, `SignatureConstraints/FullScope/@Level: "" is no level`},
		{"bad level", sig, sig + `<FullScope Level="ERROR"/>`, `"ERROR" is no level`},
		{"level of a group", sig, `<SignatureConstraints Level="FAIL">`, "the attribute Level is not known here"},
		{"unknown attribute", sig, sig + `<FullScope Level="WARN" Mode="x"/>`, "the attribute Mode is not known"},
		{"twice", sig, sig + `<FullScope Level="WARN"/><FullScope Level="FAIL"/>`, "FullScope: stands twice"},
		{"text", sig, sig + "FAIL", `text between elements: "FAIL"`},
		{"values of what has none", sig, sig + `<FullScope Level="WARN"><Id>x</Id></FullScope>`, "it holds nothing but its level"},
		{"no values", sig, sig + `<AcceptableFormats Level="FAIL"/>`, "AcceptableFormats/Values: list at least one"},
		{"foreign values", sig, sig + `<AcceptableFormats Level="FAIL"><Value>x</Value></AcceptableFormats>`, "write each value in an element Id"},
		{"floor", `<ReferenceDataIntact Level="FAIL">`, `<ReferenceDataIntact Level="WARN">`, "ReferenceDataIntact: WARN is below FAIL"},
		{"floor by absence", `<ReferenceDataIntact Level="FAIL"></ReferenceDataIntact>`, "", "ReferenceDataIntact: IGNORE is below FAIL"},
		{"unit", "<Timestamp>", `<Timestamp><TimestampDelay Level="WARN" Unit="WEEKS" Value="1"/>`, `@Unit: "WEEKS"`},
		{"period", "<Timestamp>", `<Timestamp><TimestampDelay Level="WARN" Unit="DAYS" Value="1.5"/>`, `@Value: "1.5"`},
		{"chain model", "SHELL", "CHAIN", "only the model SHELL"},
		{"no model", `<Model Value="SHELL"/>`, "<Model/>", "only the model SHELL"},
		{"no algorithms", crypto, `<Cryptographic Level="FAIL"/><!--`, "policy: "},
		{"weak algorithms warned", crypto, `<Cryptographic Level="WARN">`, "what is not listed fails under every policy"},
		{"unlisted digests warned", "<AcceptableDigestAlgo>", `<AcceptableDigestAlgo Level="INFORM">`, "AcceptableDigestAlgo: what is not listed fails"},
		{"short keys warned", "<MiniPublicKeySize>", `<MiniPublicKeySize Level="WARN">`, "MiniPublicKeySize: what is not listed fails"},
		{"no level of algorithms", crypto, "<Cryptographic>", "what is not listed fails"},
		{"unknown digest", sha, "<Algo>SHA257</Algo></Acc", "AcceptableDigestAlgo/SHA257: this digest is not known"},
		{"unknown key", "<Algo>ECDSA</Algo></Acc", "<Algo>GOST</Algo></Acc", "AcceptableEncryptionAlgo/GOST: keys of this kind"},
		{"MD5 without an end", sha, "<Algo>MD5</Algo></Acc", "AlgoExpirationDate/MD5: no policy may rely on it after 2011-03-31"},
		{"date", `"><Algo>SHA256</Algo></Algo`, `"><Algo Date="01.01.2030">SHA256</Algo></Algo`, `"01.01.2030" is no date`},
		{"date format", `"yyyy-MM-dd"`, `"dd.MM.yyyy"`, "dates are read as yyyy-MM-dd alone"},
		{"size", `Size="256"`, `Size="+256"`, `"+256" is no size`},
		{"algorithm twice", "<Algo>ECDSA</Algo></Acc", "<Algo>ECDSA</Algo><Algo>ECDSA</Algo></Acc", "ECDSA stands twice"},
		{"two encodings, two tables", "<Algo>ECDSA</Algo></Acc", "<Algo>ECDSA</Algo><Algo>PLAIN-ECDSA</Algo></Acc", "are one algorithm here"},
		{"unknown part", crypto, crypto + "<AcceptableCurve/>", "AcceptableCurve: it is not known here"},
		{"not an algorithm", "<Algo>ECDSA</Algo></Acc", "<Algorithm>ECDSA</Algorithm></Acc", "only elements Algo stand here"},
		{"no name", `Name="office"`, "", "Name: name the policy"},
		{"deep", sig, sig + strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20), "more elements than a policy has"},
		{"many", sig, sig + strings.Repeat("<a/>", maxElements+1), "more elements than a policy has"},
	} {
		if p, err := readDSS(t, c.from, c.to); err == nil {
			t.Errorf("%s: read, as %q", c.name, p.Name())
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// TestDSSSuites: a context without a table of its own has the whole policy's, and one with a part of it the rest.
func TestDSSSuites(t *testing.T) {
	const own = `<Cryptographic Level="FAIL"><AcceptableDigestAlgo><Algo>SHA512</Algo></AcceptableDigestAlgo></Cryptographic>`
	p, err := readDSS(t, "<Timestamp><BasicSignatureConstraints>", "<Timestamp><BasicSignatureConstraints>"+own)
	if err != nil {
		t.Fatal(err)
	}
	at := day(2025, 1, 1)
	for _, c := range []struct {
		context Context
		name    string
		want    bool
	}{
		{Timestamp, "ECDSA-SHA512", true}, {Timestamp, "ECDSA-SHA256", false}, {Signature, "ECDSA-SHA256", true}, {TimestampCA, "ECDSA-SHA512", false},
	} {
		if ok, why := p.Acceptable(c.context, c.name, 256, at); ok != c.want {
			t.Errorf("%v: %s: %v (%s)", c.context, c.name, ok, why)
		}
	}
	p, err = readDSS(t, "<Timestamp><BasicSignatureConstraints>", "<Timestamp><BasicSignatureConstraints><Cryptographic/>")
	if err != nil {
		t.Fatal(err)
	}
	if p.Suite(Timestamp) != p.Suite(Signature) {
		t.Error("an empty table is not the whole policy's")
	}
}

// TestLines joins the shortest key with the ends.
func TestLines(t *testing.T) {
	ends := &dssPart{algorithms: []dssAlgorithm{{"RSA", 3000, time.Time{}}, {"RSA", 1024, day(2010, 1, 1)}, {"RSA", 1900, day(2029, 1, 1)}}}
	for shortest, want := range map[int][]Line{
		0:    {{1024, day(2010, 1, 1)}, {1900, day(2029, 1, 1)}, {3000, time.Time{}}},
		1536: {{1536, day(2010, 1, 1)}, {1900, day(2029, 1, 1)}, {3000, time.Time{}}},
		1900: {{1900, day(2029, 1, 1)}, {3000, time.Time{}}},
		4096: {{4096, time.Time{}}},
	} {
		sizes := &dssPart{algorithms: []dssAlgorithm{{"RSA", shortest, time.Time{}}}}
		if got := linesOf("RSA", sizes, ends); !slices.Equal(got, want) {
			t.Errorf("at least %d bits: %v, want %v", shortest, got, want)
		}
	}
	if got := linesOf("DSA", absent, ends); !slices.Equal(got, []Line{{0, time.Time{}}}) {
		t.Errorf("no sizes and no ends: %v", got)
	}
}
