package xmldsig

import (
	"strings"
	"testing"
)

// TestRetrieval follows pointers that stay in the document, one step, and to key information alone.
func TestRetrieval(t *testing.T) {
	const data = `<X509Data><X509Certificate>MAA=</X509Certificate></X509Data>`
	const key = `<KeyValue><RSAKeyValue><Modulus>AQAB</Modulus><Exponent>Aw==</Exponent></RSAKeyValue></KeyValue>`
	method := func(kind, transforms string) string {
		return `<RetrievalMethod URI="#k" Type="` + kind + `">` + transforms + `</RetrievalMethod>`
	}
	pointer := `<KeyInfoReference xmlns="` + NamespaceDSig11 + `" URI="#k"/>`
	picked := `<Transforms><Transform Algorithm="` + TransformXPath + `"><XPath xmlns:d="` + NamespaceDSig + `">ancestor-or-self::d:X509Data</XPath></Transform></Transforms>`
	decoded := `<Transforms><Transform Algorithm="` + TransformBase64 + `"/></Transforms>`
	for name, c := range map[string]struct {
		keyInfo, elsewhere string
		certificates, keys int
		problem            string
	}{
		"KeyInfoReference":           {pointer, `<KeyInfo Id="k">` + data + key + `</KeyInfo>`, 1, 1, ""},
		"X509Data":                   {method(NamespaceDSig+"X509Data", ""), strings.Replace(data, "<X509Data", `<X509Data Id="k"`, 1), 1, 0, ""},
		"X509Data picked":            {method(NamespaceDSig+"X509Data", picked), `<o Id="k"><p/>` + data + `</o>`, 1, 0, ""},
		"RSAKeyValue":                {method(NamespaceDSig+"RSAKeyValue", ""), strings.Replace(key, "<RSAKeyValue", `<RSAKeyValue Id="k"`, 1), 0, 1, ""},
		"DEREncodedKeyValue":         {method(NamespaceDSig11+"DEREncodedKeyValue", ""), `<DEREncodedKeyValue xmlns="` + NamespaceDSig11 + `" Id="k">MAA=</DEREncodedKeyValue>`, 0, 1, ""},
		"raw certificate":            {method(typeRawCertificate, decoded), `<o Id="k">MAA=</o>`, 1, 0, ""},
		"no type":                    {`<RetrievalMethod URI="#k"/>`, strings.Replace(data, "<X509Data", `<X509Data Id="k"`, 1), 1, 0, ""},
		"another file":               {`<RetrievalMethod URI="keys.xml#k" Type="` + NamespaceDSig + `X509Data"/>`, `<KeyInfo Id="k">` + data + `</KeyInfo>`, 0, 0, ""},
		"wrong type":                 {method(NamespaceDSig+"RSAKeyValue", ""), strings.Replace(data, "<X509Data", `<X509Data Id="k"`, 1), 0, 0, "is not of the type"},
		"no key information":         {method("", ""), `<o Id="k"/>`, 0, 0, "leads to no key information"},
		"KeyInfo by RetrievalMethod": {method("", ""), `<KeyInfo Id="k">` + data + `</KeyInfo>`, 0, 0, "leads to no key information"},
		"KeyInfoReference to data":   {pointer, `<o Id="k">` + data + `</o>`, 0, 0, "leads to no key information"},
		"names alone":                {pointer, `<KeyInfo Id="k"><KeyName>officer-1</KeyName></KeyInfo>`, 0, 0, "leads to no key information"},
		"a second step":              {pointer, `<KeyInfo Id="k">` + strings.Replace(pointer, "#k", "#l", 1) + `</KeyInfo><KeyInfo Id="l">` + data + `</KeyInfo>`, 0, 0, "leads to no key information"},
		"dangling":                   {pointer, ``, 0, 0, "no element has this Id"},
		"twice the Id":               {pointer, strings.Repeat(`<KeyInfo Id="k">`+data+`</KeyInfo>`, 2), 0, 0, "more than one element"},
		"program":                    {method(NamespaceDSig+"X509Data", `<Transforms><Transform Algorithm="`+TransformXSLT+`"/></Transforms>`), `<o Id="k"/>`, 0, 0, "is not run"},
		"many":                       {strings.Repeat(pointer, maxRetrievals+1), `<KeyInfo Id="k">` + data + `</KeyInfo>`, maxRetrievals, 0, "more than 8 pointers"},
		"itself":                     {strings.Replace(pointer, "#k", "#S", 1) + data, ``, 0, 0, "leads to no key information"},
	} {
		d := mustParse(t, `<doc xmlns="`+NamespaceDSig+`"><Signature><KeyInfo Id="S">`+c.keyInfo+`</KeyInfo></Signature>`+c.elsewhere+`</doc>`)
		k := ReadKeyInfo(d.Root().Child(NamespaceDSig, "Signature").Child(NamespaceDSig, "KeyInfo"))
		certificates := 0
		for _, x := range k.Retrieved {
			certificates += len(x.Certificates)
		}
		problems := strings.Join(k.Problems, "; ")
		if certificates != c.certificates || len(k.Keys) != c.keys || !strings.Contains(problems, c.problem) || c.problem == "" && problems != "" {
			t.Errorf("%s: %d certificates, %d keys, problems %q", name, certificates, len(k.Keys), problems)
		}
	}
}

// TestDigestOnly: a digest stands in for the octets, not for what transforms would make of them.
func TestDigestOnly(t *testing.T) {
	sha256URI := "http://www.w3.org/2001/04/xmlenc#sha256"
	for name, c := range map[string]struct {
		reference     string
		digests       map[string][]byte
		found, intact bool
	}{
		"digest":        {reference("a"), map[string][]byte{sha256URI: make([]byte, 32)}, true, true},
		"another":       {reference("a"), map[string][]byte{sha256URI: append(make([]byte, 31), 1)}, true, false},
		"another hash":  {reference("a"), map[string][]byte{"http://www.w3.org/2000/09/xmldsig#sha1": make([]byte, 20)}, false, false},
		"short":         {reference("a"), map[string][]byte{sha256URI: make([]byte, 20)}, false, false},
		"none":          {reference("a"), nil, false, false},
		"transforms":    {reference("a", exclusiveURI), map[string][]byte{sha256URI: make([]byte, 32)}, false, false},
		"within itself": {reference("#S"), map[string][]byte{sha256URI: make([]byte, 32)}, false, false},
	} {
		text := strings.Replace(signed(c.reference), "<DigestValue>", "<DigestValue>"+strings.Repeat("A", 43)+"=", 1)
		s, err := ReadSignature(mustParse(t, text).Root())
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.References[0].Check(func(string) ([]byte, error) {
			return nil, DigestOnly(func(method string) []byte { return c.digests[method] })
		})
		if out.Found != c.found || out.Intact != c.intact || (err == nil) != c.found || c.found && !out.Verbatim {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}
