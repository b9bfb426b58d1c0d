package xmldsig

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reference is a ds:Reference of a template that xmlsec1 fills in.
func reference(uri string, transforms ...string) string {
	text := `<Reference URI="` + uri + `"><Transforms>`
	for _, t := range transforms {
		if !strings.HasPrefix(t, "<") {
			t = `<Transform Algorithm="` + t + `"/>`
		}
		text += t
	}
	return strings.Replace(text+`</Transforms>`, "<Transforms></Transforms>", "", 1) +
		`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue></DigestValue></Reference>`
}

func xpath(expression string) string {
	return `<Transform Algorithm="` + TransformXPath + `"><XPath xmlns:p="urn:p" xmlns:ds="` + NamespaceDSig + `">` + expression + `</XPath></Transform>`
}

func filter(parts ...string) string {
	text := `<Transform Algorithm="` + TransformXPathFilter + `">`
	for i := 0; i < len(parts); i += 2 {
		text += `<XPath xmlns="` + namespaceFilter2 + `" xmlns:p="urn:p" Filter="` + parts[i] + `">` + parts[i+1] + `</XPath>`
	}
	return text + `</Transform>`
}

func signed(references ...string) string {
	return `<Signature xmlns="` + NamespaceDSig + `"><SignedInfo>` +
		`<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>` +
		strings.Join(references, "") + `</SignedInfo><SignatureValue></SignatureValue></Signature>`
}

func enveloped(references ...string) string {
	return `<?xml version="1.0"?><!-- before -->` + "\n" + `<p:doc xmlns:p="urn:p" xmlns="urn:d" xml:lang="pl"><part xml:id="one" a="&lt;">text &amp; <!-- comment --><p:deep z="1" p:y="2"/></part>` +
		`<p:part xmlns:q="urn:q"><q:x xmlns=""><y/></q:x></p:part><code xml:id="b64">YWJj<i/>ZGVm</code>` + signed(references...) + `</p:doc>`
}

const exclusiveURI, c14nURI = "http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"

// templates use every transform and every form of same-document reference.
var templates = map[string]string{
	"enveloped":           enveloped(reference("", TransformEnveloped)),
	"enveloped exclusive": enveloped(reference("", TransformEnveloped, exclusiveURI+"WithComments")),
	"whole with comments": enveloped(reference("#xpointer(/)", TransformEnveloped, c14nURI+"#WithComments")),
	"by id":               enveloped(reference("#one"), reference("#one", exclusiveURI), reference("#xpointer(id('one'))", c14nURI+"#WithComments")),
	"base64":              enveloped(reference("#b64", TransformBase64)),
	"c14n 1.1":            enveloped(reference("#one", "http://www.w3.org/2006/12/xml-c14n11")),
	"xpath":               enveloped(reference("", xpath("not(ancestor-or-self::ds:Signature)"))),
	"xpath odd sets": enveloped(
		reference("", xpath("not(ancestor-or-self::ds:Signature) and (self::text() or self::p:* or self::*[@a])")),
		reference("", xpath("ancestor-or-self::p:part"), exclusiveURI),
		reference("", xpath("ancestor-or-self::p:part and (count(parent::node()/namespace::*) != count(parent::node()/namespace::* | self::node()))")),
		reference("", xpath("ancestor-or-self::p:part and name() != 'q'"), exclusiveURI),
		reference("", xpath("not(self::p:doc) and not(ancestor-or-self::ds:Signature)"), `<Transform Algorithm="`+exclusiveURI+`"><InclusiveNamespaces xmlns="`+exclusiveURI+`" PrefixList="p #default"/></Transform>`),
	),
	"filter": enveloped(
		reference("", filter("intersect", "/p:doc/p:part", "subtract", "//y")),
		reference("", filter("subtract", "//*[local-name()='Signature']", "union", "//*[@z]"), exclusiveURI),
	),
	"here": enveloped(reference("", xpath("count(ancestor-or-self::ds:Signature | here()/ancestor::ds:Signature[1]) &gt; count(ancestor-or-self::ds:Signature)"))),
}

// TestAgainstXmlsec lets xmlsec1 sign templates and checks that our digests and canonical SignedInfo agree.
func TestAgainstXmlsec(t *testing.T) {
	xmlsec := tool(t, "xmlsec1")
	dir := t.TempDir()
	secret := []byte("a secret of the test only")
	write(t, filepath.Join(dir, "key"), secret)
	for name, template := range templates {
		t.Run(name, func(t *testing.T) {
			in, out := filepath.Join(t.TempDir(), "in.xml"), filepath.Join(t.TempDir(), "out.xml")
			write(t, in, []byte(template))
			cmd := exec.Command(xmlsec, "--sign", "--hmackey", filepath.Join(dir, "key"), "--output", out, in)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("xmlsec1: %v\n%s", err, text)
			}
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			checkSigned(t, text, secret)
		})
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkSigned(t *testing.T, text, secret []byte) {
	t.Helper()
	d, err := Parse(text, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSignature(d.Signatures()[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range s.References {
		out, err := r.Check(nil)
		if err != nil || !out.Intact {
			var data bytes.Buffer
			_, _ = r.WriteData(&data, nil, Canonicalization{})
			t.Errorf("reference %d: intact %v, %v; ours is %q", i, out.Intact, err, data.Bytes())
		}
	}
	info, err := s.CanonicalSignedInfo()
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(info)
	if !hmac.Equal(mac.Sum(nil), s.Value) {
		t.Errorf("the canonical SignedInfo differs: %s", info)
	}
}

// TestCovered: what counts as signed are nodes, never names.
func TestCovered(t *testing.T) {
	check := func(t *testing.T, reference string) (Outcome, *Document) {
		t.Helper()
		d := mustParse(t, enveloped(reference))
		s, err := ReadSignature(d.Signatures()[0])
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.References[0].Check(nil)
		if err != nil {
			t.Fatal(err)
		}
		return out, d
	}
	one := func(d *Document) Node { return d.Root().Child("urn:d", "part") }
	for name, c := range map[string]struct {
		reference    string
		root, covers bool
	}{
		"whole":                       {reference("", TransformEnveloped), true, true},
		"by id":                       {reference("#one"), false, true},
		"text only":                   {reference("#b64", TransformBase64), false, false},
		"without attributes":          {reference("#one", xpath("self::* or self::text()")), false, false},
		"without namespace nodes":     {reference("#one", xpath("self::* or self::text() or self::node()[name() = 'a' or parent::p:deep]")), false, false},
		"everything by an expression": {reference("#one", xpath("true()")), false, true},
		"parsed again":                {reference("#one", c14nURI, xpath("true()")), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			out, d := check(t, c.reference)
			if got := out.Nodes.Whole(d.Signatures()...); got != c.root {
				t.Errorf("whole document: %v", got)
			}
			if got := out.Nodes.Covers(one(d)); got != c.covers {
				t.Errorf("covers the part: %v", got)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	for name, reference := range map[string]string{
		"XSLT":     reference("", TransformXSLT),
		"unknown":  reference("", "urn:unknown"),
		"function": reference("", xpath("document('x')")),
		"xpointer": reference("#xpointer(//a)"),
		"digest":   strings.Replace(reference("#one"), "#sha256", "#sha-unknown", 1),
	} {
		s, err := ReadSignature(mustParse(t, enveloped(reference)).Signatures()[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.References[0].Check(nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExternal(t *testing.T) {
	s, err := ReadSignature(mustParse(t, enveloped(reference("a.xml"), reference("a.xml", exclusiveURI), reference("b"))).Signatures()[0])
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(name string) ([]byte, error) {
		if name != "a.xml" {
			return nil, ErrNotFound
		}
		return []byte(`<a  b='1'/>`), nil
	}
	for i, want := range []string{`<a  b='1'/>`, `<a b="1"></a>`} {
		var got bytes.Buffer
		out, err := s.References[i].WriteData(&got, resolve, Canonicalization{})
		if err != nil || got.String() != want || !out.External || out.Nodes.Document() != nil {
			t.Errorf("reference %d: %q, %+v, %v", i, got.String(), out, err)
		}
	}
	if out, err := s.References[2].Check(resolve); !errors.Is(err, ErrNotFound) || out.Found {
		t.Errorf("an absent file: %+v, %v", out, err)
	}
}

func TestMalformedSignature(t *testing.T) {
	good := signed(reference("#x"))
	for name, text := range map[string]string{
		"two values":     strings.Replace(good, "<SignatureValue>", "<SignatureValue></SignatureValue><SignatureValue>", 1),
		"no SignedInfo":  `<Signature xmlns="` + NamespaceDSig + `"><SignatureValue/></Signature>`,
		"stranger":       strings.Replace(good, "<SignatureValue>", "<x xmlns='urn:x'/><SignatureValue>", 1),
		"no reference":   signed(),
		"two methods":    strings.Replace(good, "<Reference", `<SignatureMethod Algorithm="x"/><Reference`, 1),
		"no form":        strings.Replace(good, `"`+exclusiveURI+`"`, `""`, 1),
		"many transform": signed(reference("#x", strings.Split(strings.Repeat(c14nURI+" ", 17), " ")[:17]...)),
		"no digest":      strings.Replace(good, "<DigestValue></DigestValue>", "", 1),
	} {
		if _, err := ReadSignature(mustParse(t, text).Root()); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

// withMethod is a signature by RSA-PSS whose method has such content.
func withMethod(content string) string {
	begin, rest, _ := strings.Cut(signed(reference("#x")), "<SignatureMethod")
	_, rest, _ = strings.Cut(rest, ">")
	return begin + `<SignatureMethod Algorithm="` + NamespaceDSMore + `rsa-pss">` + content + `</SignatureMethod>` + strings.TrimPrefix(rest, "</SignatureMethod>")
}

// TestPSSParams: parameters that can be read in two ways are not read.
func TestPSSParams(t *testing.T) {
	const digest = `<DigestMethod Algorithm="urn:a"/>`
	inner := func(s string) string {
		return `<pss:RSAPSSParams xmlns:pss="` + NamespaceDSMore + `">` + s + `</pss:RSAPSSParams>`
	}
	mask := func(s string) string {
		return `<pss:MaskGenerationFunction Algorithm="` + MGF1 + `">` + s + `</pss:MaskGenerationFunction>`
	}
	whole := inner(digest + mask(digest) + `<pss:SaltLength> 32 </pss:SaltLength><pss:TrailerField>2</pss:TrailerField>`)
	s, err := ReadSignature(mustParse(t, withMethod(whole)).Root())
	if want := (PSSParams{"urn:a", MGF1, "urn:a", 32, 2}); err != nil || *s.Method.PSS != want {
		t.Fatalf("%+v, %v; want %+v", s, err, want)
	}
	s, err = ReadSignature(mustParse(t, withMethod(inner(""))).Root())
	if want := (PSSParams{SaltLength: -1, Trailer: 1}); err != nil || *s.Method.PSS != want {
		t.Fatalf("defaults: %+v, %v", s, err)
	}
	for name, content := range map[string]string{
		"twice":             inner("") + inner(""),
		"two digests":       inner(digest + digest),
		"two masks":         inner(mask(digest) + mask(digest)),
		"two mask digests":  inner(mask(digest + digest)),
		"two salts":         inner("<pss:SaltLength>32</pss:SaltLength><pss:SaltLength>20</pss:SaltLength>"),
		"two trailers":      inner("<pss:TrailerField>1</pss:TrailerField><pss:TrailerField>2</pss:TrailerField>"),
		"stranger":          inner(`<SaltLength>20</SaltLength>`),
		"stranger in mask":  inner(mask("<pss:SaltLength>20</pss:SaltLength>")),
		"negative salt":     inner("<pss:SaltLength>-1</pss:SaltLength>"),
		"salt in hex":       inner("<pss:SaltLength>0x20</pss:SaltLength>"),
		"salt without end":  inner("<pss:SaltLength>99999999999999999999</pss:SaltLength>"),
		"trailer of nobody": inner("<pss:TrailerField>x</pss:TrailerField>"),
	} {
		if _, err := ReadSignature(mustParse(t, withMethod(content)).Root()); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

// TestUnusableSignature: what only keeps a value from being verified leaves the rest of the signature readable.
func TestUnusableSignature(t *testing.T) {
	good := signed(reference("#x"))
	s, err := ReadSignature(mustParse(t, strings.Replace(good, exclusiveURI, "urn:form", 1)).Root())
	if err != nil || !errors.Is(s.FormError, ErrUnsupported) {
		t.Fatalf("unknown form: %v", err)
	}
	if _, err := s.CanonicalSignedInfo(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("SignedInfo in an unknown form: %v", err)
	}
	s, err = ReadSignature(mustParse(t, strings.Replace(good, "<SignatureValue>", "<SignatureValue>!", 1)).Root())
	if err != nil || s.Value != nil {
		t.Errorf("a value that is no base64: %v", err)
	}
	s, err = ReadSignature(mustParse(t, strings.Replace(good, "<DigestValue>", "<DigestValue>!", 1)).Root())
	if err != nil || s.References[0].DigestValue != nil {
		t.Errorf("a digest that is no base64: %v", err)
	}
}

func TestKeyInfo(t *testing.T) {
	d := mustParse(t, `<KeyInfo xmlns="`+NamespaceDSig+`"><KeyName> k </KeyName><KeyValue><RSAKeyValue><Modulus>AQAB</Modulus><Exponent>Aw==</Exponent></RSAKeyValue></KeyValue>
		<X509Data><X509IssuerSerial><X509IssuerName>CN=a</X509IssuerName><X509SerialNumber>12</X509SerialNumber></X509IssuerSerial><X509SKI>AQI=</X509SKI><X509Certificate>!</X509Certificate></X509Data>
		<KeyValue><ECKeyValue xmlns="`+NamespaceDSig11+`"><NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/><PublicKey>BAAA</PublicKey></ECKeyValue></KeyValue></KeyInfo>`)
	k := ReadKeyInfo(d.Root())
	if len(k.Names) != 1 || k.Names[0] != "k" || len(k.Keys) != 2 || k.Keys[0].Kind != "rsa" || k.Keys[1].Kind != "ec" {
		t.Errorf("read %+v", k)
	}
	if len(k.X509) != 1 || k.X509[0].IssuerSerials[0].Serial.Int64() != 12 || len(k.X509[0].SKIs) != 1 || len(k.Problems) != 1 {
		t.Errorf("read %+v", k.X509)
	}
}

func TestTrimECDSA(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\x01\x02\x03\x04", "\x01\x02\x03\x04"}, {"\x00\x01\x02\x00\x03\x04", "\x01\x02\x03\x04"},
		{"\x01\x01\x02\x00\x03\x04", "\x01\x01\x02\x00\x03\x04"}, {"\x00\x00\x00", "\x00\x00\x00"},
	} {
		if got := TrimECDSA([]byte(c.in), 2); string(got) != c.want {
			t.Errorf("%x gives %x", c.in, got)
		}
	}
}

// TestRelationships has the transform of Open Packaging Conventions on a part with white space and a stranger.
func TestRelationships(t *testing.T) {
	part := `<Relationships xmlns="` + namespaceRelationships + `"> <Relationship Target="b&amp;c" Id="r2" Type="t2"/>
		<Relationship Id="r1" TargetMode="External" Type="t1" Target="a"/><Relationship Id="r3" Type="t3" Target="c"/></Relationships>`
	transform := mustParse(t, `<Transform xmlns="`+NamespaceDSig+`" xmlns:m="`+NamespaceOPCSignature+
		`"><m:RelationshipReference SourceId="r2"/><m:RelationshipsGroupReference SourceType="t1"/></Transform>`).Root()
	var got sliceWriter
	err := Process(&got, OctetData([]byte(part)), []Transform{{TransformRelationship, transform}}, Node{})
	want := `<Relationships xmlns="` + namespaceRelationships + `"><Relationship Id="r1" Target="a" TargetMode="External" Type="t1"></Relationship>` +
		`<Relationship Id="r2" Target="b&amp;c" TargetMode="Internal" Type="t2"></Relationship></Relationships>`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestDecodeBase64: white space does not matter, wherever it stands; nothing stands for nothing, which is no error.
func TestDecodeBase64(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " \n": "", "QUJD": "ABC", "QU\r\nJ\tD\n": "ABC", "Q Q = =": "A", "QQ\n=\n=": "A", "QQ=\n": "!",
		"QQ==QQ==": "!", "Q": "!", "QQ==\nQ": "!", "QUJD\x00": "!", "QUJD-": "!", "=": "!",
	} {
		got, err := DecodeBase64([]byte(text))
		if (err == nil) != (want != "!") || err == nil && (got == nil || string(got) != want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestBase64LikeTheStandardLibrary: what is made of pieces of base64 is read as the standard library reads it, which
// knows no white space but ends of lines.
func TestBase64LikeTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	pieces := []string{
		"QUJD", "/+9z", "Q", "Qz", "=", "==", "\n", "\r\n", "-", "\x00", "é", "QQ==", "QUI=", "QUJDREVGR0hJ",
	}
	for range 100_000 {
		text := ""
		for range random.IntN(7) {
			text += pieces[random.IntN(len(pieces))]
		}
		want, wrong := base64.StdEncoding.DecodeString(text)
		got, err := DecodeBase64([]byte(text))
		if (err == nil) != (wrong == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q: %q, %v; want %q, %v", text, got, err, want, wrong)
		}
	}
}
