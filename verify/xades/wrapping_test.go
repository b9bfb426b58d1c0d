package xades

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

const (
	good = `<pay Id="p1"><to>Anna</to><amount>10</amount></pay>`
	evil = `<pay><to>Mallory</to><amount>9999</amount></pay>`
	nsDS = `xmlns:ds="` + xmldsig.NamespaceDSig + `"`
)

// outcome puts facts into one word as the judge would, in the order of EN 319 102-1, 5.2, and the words that say why.
func outcome(s *signature.Signature) (word, why string) {
	data := func(r signature.Reference) bool {
		return !slices.Contains([]string{"signed-properties", "key-info", "manifest"}, r.Type)
	}
	which := func(f func(signature.Reference) bool) bool { return slices.ContainsFunc(s.References, f) }
	scopes := ""
	full := true
	for _, r := range s.References {
		if data(r) && !r.Empty && !r.Optional {
			scopes += r.Scope + "; "
			full = full && r.Full
		}
	}
	switch {
	case s.Unchecked != "":
		return "unchecked", s.Unchecked
	case len(s.Structure) > 0:
		return "format", strings.Join(s.Structure, "; ")
	case which(func(r signature.Reference) bool { return !r.Found && !r.Optional }):
		return "missing", strings.Join(s.Notes, "; ")
	case which(func(r signature.Reference) bool { return r.Unchecked != "" }):
		return "can't be checked", fmt.Sprint(s.References)
	case !s.ReferencesIntact():
		return "changed", ""
	case scopes == "":
		return "nothing", ""
	case !s.Intact:
		return "value", ""
	case len(s.Constraints) > 0:
		return "constraint", strings.Join(s.Constraints, "; ")
	case full:
		return "whole", scopes
	}
	return "part", scopes
}

// inside puts more into a text before the last occurrence of a tag.
func inside(text, before, more string) string {
	at := strings.LastIndex(text, before)
	return text[:at] + more + text[at:]
}

// signing mints the documents that the attacks begin with.
type signing struct {
	part, whole, object, apart string
}

func newSigning(t *testing.T) signing {
	signer := officer(t)
	m := basic(signer)
	sign := func(document string, refs ...string) string {
		m.references = refs
		return complete(t, strings.Replace(document, "SIGNATURE", m.text(), 1), nil, signer)
	}
	var s signing
	s.part = sign(`<doc>`+good+`SIGNATURE</doc>`, ref(`Id="S1-ref" URI="#p1"`, exclusiveURI))
	s.whole = sign(`<doc>`+good+`SIGNATURE</doc>`, ref(`Id="S1-ref" URI=""`, xmldsig.TransformEnveloped, exclusiveURI))
	m.objects = `<ds:Object Id="o1">` + good + `</ds:Object>`
	s.object = sign(`SIGNATURE`, ref(`Id="S1-ref" URI="#o1"`, exclusiveURI))
	s.apart = sign(`SIGNATURE`, ref(`Id="S1-ref" URI="#p1"`, exclusiveURI))
	return s
}

// moved is the part moved elsewhere, and another one in its place.
func (s signing) moved(before, wrapOpen, wrapClose string) string {
	return inside(strings.Replace(s.part, good, evil, 1), before, wrapOpen+good+wrapClose)
}

// TestSignatureWrapping moves what was signed to every place that XML Signature and XAdES have, and puts something
// else in its place. The digests stay right, so what is told of the scope must be.
func TestSignatureWrapping(t *testing.T) {
	s := newSigning(t)
	qualifying := `<xades:QualifyingProperties xmlns:xades="` + ns132 + `" Target="#S1">`
	twin := s.whole[strings.Index(s.whole, "<ds:Signature"):strings.Index(s.whole, "</doc>")]
	for name, c := range map[string]struct{ text, want, why string }{
		"part":              {s.part, "part", "the part /doc/pay;"},
		"whole":             {s.whole, "whole", "the whole document but the signature;"},
		"object":            {s.object, "part", "the part /ds:Signature/ds:Object[2];"},
		"within the object": {s.apart, "part", "the part /ds:Signature/ds:Object[2]/pay;"},

		"into an own object":            {s.moved("</ds:Signature>", "<ds:Object>", "</ds:Object>"), "constraint", "an object of the signature that is not signed itself"},
		"into an object of an object":   {s.moved("</ds:Signature>", "<ds:Object><ds:Object>", "</ds:Object></ds:Object>"), "constraint", "not signed itself"},
		"into the object of properties": {s.moved("</ds:Object></ds:Signature>", "", ""), "constraint", "not signed itself"},
		"into key information":          {s.moved("</ds:KeyInfo>", "<x>", "</x>"), "constraint", "inside the key information"},
		"into X509Data":                 {s.moved("</ds:X509Data>", "<x>", "</x>"), "constraint", "inside the key information"},
		"into unsigned properties":      {s.moved("</xades:UnsignedSignatureProperties>", "", ""), "constraint", "inside the properties"},
		"into data properties":          {s.moved("</xades:UnsignedProperties>", "<xades:UnsignedDataObjectProperties>", "</xades:UnsignedDataObjectProperties>"), "constraint", "inside the properties"},
		"into a manifest":               {s.moved("</ds:Signature>", "<ds:Object><ds:Manifest>", "</ds:Manifest></ds:Object>"), "constraint", "not signed itself"},
		"into a signature property":     {s.moved("</ds:Signature>", "<ds:Object><ds:SignatureProperties><ds:SignatureProperty>", "</ds:SignatureProperty></ds:SignatureProperties></ds:Object>"), "constraint", "not signed itself"},
		"into another signature": {s.moved("<ds:Signature ", `<ds:Signature `+nsDS+`><ds:Object>`, "</ds:Object></ds:Signature>"), "constraint",
			"inside another signature"},
		"into another signature's KeyInfo": {s.moved("<ds:Signature ", `<ds:Signature `+nsDS+`><ds:KeyInfo>`, "</ds:KeyInfo></ds:Signature>"), "constraint",
			"inside another signature"},
		"around the signature": {strings.Replace(strings.Replace(s.moved("</ds:Signature>", "<ds:Object>", "</ds:Object>"), "</pay><ds:Sig", "<ds:Sig", 1), "</doc>", "</pay></doc>", 1),
			"constraint", "not signed itself"},
		"around an enveloping signature": {"<doc>" + evil + s.apart + "</doc>", "constraint", "not signed itself"},
		"into the wrapper's attributes":  {`<doc to="Mallory">` + s.apart + "</doc>", "constraint", "not signed itself"},
		"into the wrapper's text":        {`<doc>Mallory` + s.apart + "</doc>", "constraint", "not signed itself"},
		"a wrapper of nothing":           {`<doc xmlns:x="urn:x" x:a="" Id="w"> ` + s.apart + " </doc>", "part", "the part /doc/ds:Signature/ds:Object[2]/pay"},

		"into extensions":      {strings.Replace(s.part, good, evil+"<Extensions>"+good+"</Extensions>", 1), "part", "the part /doc/Extensions/pay;"},
		"beside a twin":        {strings.Replace(s.part, good, evil+good, 1), "part", "the part /doc/pay[2];"},
		"under a new root":     {"<env>" + evil + s.part + "</env>", "part", "the part /env/doc/pay;"},
		"object under a root":  {"<env>" + evil + s.object + "</env>", "part", "the part /env/ds:Signature/ds:Object[2];"},
		"a look-alike":         {s.moved("<ds:Signature ", `<x:Signature xmlns:x="urn:x"><x:Object>`, "</x:Object></x:Signature>"), "part", "the part /doc/x:Signature/x:Object/pay;"},
		"whole under a root":   {"<env>" + s.whole + "</env>", "changed", ""},
		"beside the root":      {`<?xml-stylesheet href="evil.xsl"?>` + s.whole, "changed", ""},
		"into the enveloped":   {inside(s.whole, "</ds:Signature>", "<ds:Object>"+evil+"</ds:Object>"), "part", "an object in it that is not signed"},
		"two of one signature": {inside(s.whole, "</doc>", twin), "format", "more than one element has this Id"},

		"same Id twice":     {strings.Replace(s.part, good, good+`<pay Id="p1"/>`, 1), "format", "more than one element has this Id"},
		"ID and Id":         {strings.Replace(s.part, good, good+`<pay ID="p1"/>`, 1), "format", "more than one element has this Id"},
		"id and Id":         {strings.Replace(s.part, good, good+`<pay id="p1"/>`, 1), "format", "more than one element has this Id"},
		"xml:id and Id":     {strings.Replace(s.part, good, good+`<pay xml:id="p1"/>`, 1), "format", "more than one element has this Id"},
		"the Id taken away": {strings.Replace(s.part, good, evil, 1), "missing", ""},

		"properties elsewhere": {strings.Replace(swapProperties(s.part, "<x/>"), "<ds:Signature", "<hide>"+propertiesOf(s.part)+"</hide><ds:Signature", 1),
			"constraint", "the reference to the signed properties names /doc/hide/xades:SignedProperties"},
		"properties in another object": {inside(swapProperties(s.part, ""), "</ds:Signature>", "<ds:Object>"+propertiesOf(s.part)+"</ds:Object>"), "constraint", "which is not those of the signature"},
		"a second SignedProperties":    {strings.Replace(s.part, "</xades:SignedProperties>", `</xades:SignedProperties><xades:SignedProperties Id="x"/>`, 1), "format", "holds another xades:SignedProperties"},
		"a first SignedProperties":     {strings.Replace(s.part, "<xades:SignedProperties ", `<xades:SignedProperties Id="x"/><xades:SignedProperties `, 1), "format", "holds another xades:SignedProperties"},
		"a second QualifyingProperties": {inside(s.part, "</ds:Signature>", "<ds:Object>"+qualifying+"</xades:QualifyingProperties></ds:Object>"), "format",
			"more than one QualifyingProperties"},
		"one of another version": {inside(s.part, "</ds:Signature>", `<ds:Object><QualifyingProperties xmlns="urn:x"/></ds:Object>`), "format",
			"more than one QualifyingProperties"},
		"QualifyingPropertiesReference": {inside(s.part, "</ds:Signature>", `<ds:Object><xades:QualifyingPropertiesReference xmlns:xades="`+ns132+`" URI="http://x/"/></ds:Object>`), "format",
			"qualifying properties elsewhere"},
		"another Target": {strings.Replace(s.part, `Target="#S1"`, `Target="#S2"`, 1), "format", "Target"},
		"no Target":      {strings.Replace(s.part, `Target="#S1"`, ``, 1), "format", "Target"},
	} {
		t.Run(name, func(t *testing.T) {
			all := mustOpen(t, c.text)
			at := slices.IndexFunc(all, func(s *signature.Signature) bool { return s.ID == "S1" })
			if at < 0 {
				t.Fatalf("no signature S1")
			}
			if word, why := outcome(all[at]); word != c.want || !strings.Contains(why, c.why) {
				t.Errorf("%s (%s), want %s (%s)", word, why, c.want, c.why)
			}
		})
	}
}

// propertiesOf cuts the signed properties out of a signed document; their canonical form brings its namespaces along.
func propertiesOf(text string) string {
	from, to := strings.Index(text, "<xades:SignedProperties"), strings.Index(text, "</xades:SignedProperties>")
	part := text[from : to+len("</xades:SignedProperties>")]
	return strings.Replace(part, "<xades:SignedProperties", `<xades:SignedProperties xmlns:xades="`+ns132+`" `+nsDS, 1)
}

// swapProperties puts something in the place of the qualifying properties.
func swapProperties(text, with string) string {
	from, to := strings.Index(text, "<xades:QualifyingProperties"), strings.Index(text, "</xades:QualifyingProperties>")
	return text[:from] + with + text[to+len("</xades:QualifyingProperties>"):]
}

// TestWhatIsSigned signs less than a reader would think.
func TestWhatIsSigned(t *testing.T) {
	signer := officer(t)
	xpath := func(uri, expression string) string {
		return strings.Replace(xpathRef(expression, exclusiveURI), `URI=""`, `Id="S1-ref" URI="`+uri+`"`, 1)
	}
	file := []signature.Detached{{Name: "a.xml", Content: []byte("<a b=\"\"></a>")}, {Name: "b.xml", Content: []byte("<a b=''/>")}, {Name: "c.txt", Content: []byte("QUFB")}, {Name: "blank", Content: []byte(" \n")}}
	second := `<ds:Signature ` + nsDS + `><ds:SignedInfo/><ds:SignatureValue/></ds:Signature>`
	for name, c := range map[string]struct {
		document  string
		objects   string
		reference string
		want, why string
	}{
		"no data at all":         {want: "nothing"},
		"XPath of nothing":       {reference: xpath("", "false()"), want: "nothing"},
		"XPath of the signature": {reference: xpath("", "ancestor-or-self::ds:KeyInfo"), want: "nothing"},
		"XPath of blanks":        {document: "<doc> <a/>SIGNATURE</doc>", reference: xpath("", "self::text()[normalize-space(.) = '' and not(ancestor::ds:Signature)]"), want: "nothing"},
		"XPath of a part":        {reference: xpath("", "ancestor-or-self::to"), want: "part", why: "a part of /doc;"},
		"XPath but attributes":   {reference: xpath("", "not(self::node()[name() = 'Id']) and not(ancestor-or-self::ds:Signature)"), want: "part"},
		"XPath but text":         {reference: xpath("", "not(self::text()) and not(ancestor-or-self::ds:Signature)"), want: "part"},
		"XPath but here":         {reference: xpath("", "count(ancestor-or-self::ds:Signature | here()/ancestor::ds:Signature[1]) > count(ancestor-or-self::ds:Signature)"), want: "whole", why: "the whole document but the signature;"},
		"XPath but signatures": {document: "<doc>" + good + "SIGNATURE" + second + "</doc>", reference: xpath("", "not(ancestor-or-self::ds:Signature)"),
			want: "whole", why: "but the signatures;"},
		"a signature with data": {document: "<doc>" + good + "SIGNATURE" + strings.Replace(second, "<ds:SignatureValue/>", "<ds:SignatureValue/><ds:Object>"+evil+"</ds:Object>", 1) + "</doc>",
			reference: xpath("", "not(ancestor-or-self::ds:Signature)"), want: "part", why: "but the signatures;"},
		"a signature with more": {document: "<doc>" + good + "SIGNATURE" + strings.Replace(second, "<ds:SignedInfo/>", "<ds:SignedInfo/>"+evil, 1) + "</doc>",
			reference: xpath("", "not(ancestor-or-self::ds:Signature)"), want: "part", why: "but the signatures;"},
		"filter of nothing":       {reference: filterRef("//nothing"), want: "nothing"},
		"filter of a part":        {reference: filterRef("//to"), want: "part", why: "a part of /doc;"},
		"all but a part":          {reference: strings.Replace(filterRef("//to | here()/ancestor::ds:Signature"), "intersect", "subtract", 1), want: "part"},
		"all but the signature":   {reference: strings.Replace(filterRef("here()/ancestor::ds:Signature"), "intersect", "subtract", 1), want: "whole"},
		"enveloped twice":         {reference: ref(`URI=""`, xmldsig.TransformEnveloped, xmldsig.TransformEnveloped), want: "whole"},
		"enveloped part":          {document: "<doc><a Id='p2'>x SIGNATURE</a></doc>", reference: ref(`URI="#p2"`, xmldsig.TransformEnveloped), want: "part", why: "a part of /doc/a;"},
		"root by Id":              {document: "<doc Id='d'>" + good + "SIGNATURE</doc>", reference: ref(`URI="#d"`, xmldsig.TransformEnveloped), want: "whole"},
		"root by Id, PI before":   {document: "<?xml-stylesheet href='evil'?><doc Id='d'>" + good + "SIGNATURE</doc>", reference: ref(`URI="#d"`, xmldsig.TransformEnveloped), want: "part"},
		"root by Id, PI after":    {document: "<doc Id='d'>" + good + "SIGNATURE</doc><?x y?>", reference: ref(`URI="#d"`, xmldsig.TransformEnveloped), want: "part"},
		"comments beside":         {document: "<!--c--><doc Id='d'>" + good + "SIGNATURE</doc><!--c-->", reference: ref(`URI="#d"`, xmldsig.TransformEnveloped), want: "whole"},
		"xpointer of the whole":   {reference: ref(`URI="#xpointer(/)"`, xmldsig.TransformEnveloped), want: "whole"},
		"xpointer of a part":      {reference: ref(`URI="#xpointer(id('p1'))"`), want: "part", why: "the part /doc/pay;"},
		"base64 of the text":      {document: "<doc evil='Mallory'>QUFBSIGNATURE</doc>", reference: ref(`URI=""`, xmldsig.TransformEnveloped, xmldsig.TransformBase64), want: "part", why: "a part of /doc;"},
		"base64 of nothing":       {document: "<doc evil='Mallory'><t Id='t'/>SIGNATURE</doc>", reference: ref(`URI="#t"`, xmldsig.TransformBase64), want: "nothing"},
		"an empty object":         {objects: "<ds:Object Id='o'/>", reference: ref(`URI="#o"`), want: "nothing"},
		"an object of blanks":     {objects: "<ds:Object Id='o'> \n </ds:Object>", reference: ref(`URI="#o"`), want: "nothing"},
		"an object":               {objects: "<ds:Object Id='o'>x</ds:Object>", reference: ref(`URI="#o"`), want: "part"},
		"key information":         {reference: ref(`URI="#ki"`), want: "nothing"},
		"signature properties":    {objects: "<ds:Object><ds:SignatureProperties Id='o'>x</ds:SignatureProperties></ds:Object>", reference: ref(`URI="#o"`), want: "nothing"},
		"a manifest of nothing":   {objects: "<ds:Object><ds:Manifest Id='o'></ds:Manifest></ds:Object>", reference: ref(`Type="` + typeManifest + `" URI="#o"`), want: "nothing"},
		"a manifest not at hand":  {objects: "<ds:Object><ds:Manifest Id='o'>" + ref(`URI="lost"`) + "</ds:Manifest></ds:Object>", reference: ref(`Type="` + typeManifest + `" URI="#o"`), want: "nothing"},
		"a file":                  {reference: ref(`URI="a.xml"`), want: "whole", why: `the whole file "a.xml";`},
		"a canonical file":        {reference: ref(`URI="a.xml"`, exclusiveURI), want: "whole", why: `the whole file "a.xml";`},
		"a file made canonical":   {reference: ref(`URI="b.xml"`, exclusiveURI), want: "part", why: `a part of the file "b.xml";`},
		"a file decoded":          {reference: ref(`URI="c.txt"`, xmldsig.TransformBase64), want: "part", why: `a part of the file "c.txt";`},
		"a blank file decoded":    {reference: ref(`URI="blank"`, xmldsig.TransformBase64), want: "nothing"},
		"a part of a file":        {reference: strings.Replace(xpathRef("false()"), `URI=""`, `URI="a.xml"`, 1), want: "nothing"},
		"an unknown transform":    {reference: ref(`URI=""`, "urn:x"), want: "can't be checked", why: "not supported"},
		"XSLT":                    {reference: ref(`URI=""`, xmldsig.TransformXSLT), want: "can't be checked", why: "not supported"},
		"an unknown digest":       {reference: strings.Replace(ref(`URI="#p1"`), sha256URI, "urn:whirlpool", 1), want: "can't be checked", why: "not supported"},
		"an unknown form":         {reference: ref(`URI="#p1"`, "urn:c14n"), want: "can't be checked", why: "not supported"},
		"properties without type": {reference: ref(`URI="#p1"`), want: "constraint", why: "by its Type"},
	} {
		t.Run(name, func(t *testing.T) {
			m := basic(signer)
			m.data, m.objects, m.references = "", c.objects, nil
			if c.reference != "" {
				m.references = []string{c.reference}
			}
			document := c.document
			if document == "" {
				document = "<doc>" + good + "SIGNATURE</doc>"
			}
			text := strings.Replace(document, "SIGNATURE", m.text(), 1)
			text = strings.Replace(text, "<ds:KeyInfo>", `<ds:KeyInfo Id="ki">`, 1)
			if name == "properties without type" {
				text = strings.Replace(text, `Type="http://uri.etsi.org/01903#SignedProperties" `, "", 1)
			}
			if c.want == "can't be checked" {
				text = strings.Replace(text, "<ds:DigestValue></ds:DigestValue>", "<ds:DigestValue>AAAA</ds:DigestValue>", 1)
			}
			s := mustOpen(t, complete(t, text, exact(file), signer), file...)[0]
			if word, why := outcome(s); word != c.want || !strings.Contains(why, c.why) {
				t.Errorf("%s (%s), want %s (%s): %+v", word, why, c.want, c.why, s.References)
			}
		})
	}
}
