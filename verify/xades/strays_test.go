package xades

import (
	"strings"
	"testing"

	"trustcore/internal/xmldsig"
)

// TestStrays puts into a signature what nobody signs, wherever the digest of an enveloped signature leaves room for it.
func TestStrays(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`URI=""`, xmldsig.TransformEnveloped, exclusiveURI)}
	whole := complete(t, "<doc>"+good+m.text()+"</doc>", nil, signer)
	before := func(tag, more string) string { return inside(whole, tag, more) }
	after := func(tag, more string) string { return strings.Replace(whole, tag, tag+more, 1) }
	counter := func(inner string) string {
		return before("</xades:UnsignedSignatureProperties>", `<xades:CounterSignature><ds:Signature>`+inner+`</ds:Signature></xades:CounterSignature>`)
	}
	certificate := b64(signer.Cert.Raw)
	for name, c := range map[string]struct{ text, stray string }{
		"nothing":            {whole, ""},
		"blanks":             {before("</ds:KeyInfo>", " \n\t "), ""},
		"a comment":          {before("</ds:KeyInfo>", "<!-- pay -->"), ""},
		"a key's name":       {before("</ds:KeyInfo>", "<ds:KeyName>Anna</ds:KeyName>"), ""},
		"a chain":            {before("</ds:X509Data>", "<ds:X509Certificate>"+certificate+"</ds:X509Certificate>"), ""},
		"certificate values": {before("</xades:UnsignedSignatureProperties>", "<xades:CertificateValues><xades:EncapsulatedX509Certificate Id='c'>"+certificate+"</xades:EncapsulatedX509Certificate></xades:CertificateValues>"), ""},
		"of version 1.4.1":   {before("</xades:UnsignedSignatureProperties>", "<x:TimeStampValidationData xmlns:x='"+ns141+"' URI='#t'><xades:CertificateValues/></x:TimeStampValidationData>"), ""},
		"a counter-signature": {counter("<ds:SignedInfo><ds:Reference/></ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue><ds:Object>" +
			"<xades:QualifyingProperties><xades:SignedProperties><xades:City>x</xades:City></xades:SignedProperties></xades:QualifyingProperties></ds:Object>"), ""},

		"text in the signature":         {before("</ds:Signature>", "pay"), "text in /doc/ds:Signature"},
		"text before SignedInfo":        {strings.Replace(whole, "<ds:SignedInfo>", "pay<ds:SignedInfo>", 1), "text in /doc/ds:Signature"},
		"CDATA in the signature":        {before("</ds:Signature>", "<![CDATA[pay]]>"), "text in /doc/ds:Signature"},
		"a reference to a character":    {before("</ds:Signature>", "&#112;"), "text in /doc/ds:Signature"},
		"a no-break space":              {before("</ds:Signature>", "\u00a0"), "text in /doc/ds:Signature"},
		"an instruction":                {before("</ds:Signature>", "<?pay 9999?>"), "a processing instruction in /doc/ds:Signature"},
		"text in key information":       {before("</ds:KeyInfo>", "pay"), "text in /doc/ds:Signature/ds:KeyInfo"},
		"an element there":              {before("</ds:KeyInfo>", evil), "the element /doc/ds:Signature/ds:KeyInfo/pay"},
		"one of another namespace":      {before("</ds:KeyInfo>", "<h:p xmlns:h='http://www.w3.org/1999/xhtml'>pay</h:p>"), "the element /doc/ds:Signature/ds:KeyInfo/h:p"},
		"one of a known name":           {before("</ds:KeyInfo>", "<KeyName>pay</KeyName>"), "the element /doc/ds:Signature/ds:KeyInfo/KeyName"},
		"one of XAdES there":            {before("</ds:KeyInfo>", "<xades:City xmlns:xades='"+ns132+"'>pay</xades:City>"), "the element /doc/ds:Signature/ds:KeyInfo/xades:City"},
		"MgmtData":                      {before("</ds:KeyInfo>", "<ds:MgmtData>pay</ds:MgmtData>"), "the element /doc/ds:Signature/ds:KeyInfo/ds:MgmtData"},
		"text in X509Data":              {before("</ds:X509Data>", "pay"), "text in /doc/ds:Signature/ds:KeyInfo/ds:X509Data"},
		"an element in X509Data":        {before("</ds:X509Data>", evil), "the element /doc/ds:Signature/ds:KeyInfo/ds:X509Data/pay"},
		"no certificate":                {before("</ds:X509Data>", "<ds:X509Certificate>Pay Mallory 9999 now</ds:X509Certificate>"), "ds:X509Certificate[2]"},
		"no base64":                     {before("</ds:X509Data>", "<ds:X509SKI>Pay!</ds:X509SKI>"), "text in /doc/ds:Signature/ds:KeyInfo/ds:X509Data/ds:X509SKI"},
		"a letter for a name":           {before("</ds:KeyInfo>", "<ds:KeyName>"+strings.Repeat("pay ", 200)+"</ds:KeyName>"), "ds:KeyName"},
		"an element in a name":          {before("</ds:KeyInfo>", "<ds:KeyName>Anna "+evil+"</ds:KeyName>"), "ds:KeyName"},
		"an attribute":                  {strings.Replace(whole, "<ds:KeyInfo>", "<ds:KeyInfo title='pay'>", 1), "an attribute of /doc/ds:Signature/ds:KeyInfo"},
		"one of another namespace on":   {strings.Replace(whole, "<ds:KeyInfo>", "<ds:KeyInfo xmlns:h='urn:h' h:title='pay'>", 1), "an attribute of /doc/ds:Signature/ds:KeyInfo"},
		"text in the object":            {after("<ds:Object>", "pay"), "text in /doc/ds:Signature/ds:Object"},
		"text in another object":        {before("</ds:Signature>", "<ds:Object>pay</ds:Object>"), "text in /doc/ds:Signature/ds:Object[2]"},
		"text in properties":            {before("</xades:QualifyingProperties>", "pay"), "text in /doc/ds:Signature/ds:Object/xades:QualifyingProperties"},
		"text in unsigned ones":         {before("</xades:UnsignedProperties>", "pay"), "xades:QualifyingProperties/xades:UnsignedProperties"},
		"text deeper":                   {before("</xades:UnsignedSignatureProperties>", "pay"), "xades:UnsignedSignatureProperties"},
		"an element in unsigned ones":   {before("</xades:UnsignedSignatureProperties>", evil), "xades:UnsignedSignatureProperties/pay"},
		"a signed one among unsigned":   {before("</xades:UnsignedSignatureProperties>", "<xades:SignerRole><xades:City>pay</xades:City></xades:SignerRole>"), "xades:SignerRole"},
		"properties of data":            {before("</xades:UnsignedProperties>", "<xades:UnsignedDataObjectProperties>"+evil+"</xades:UnsignedDataObjectProperties>"), "xades:UnsignedDataObjectProperties"},
		"a certificate of another sort": {before("</xades:UnsignedSignatureProperties>", "<xades:CertificateValues><xades:OtherCertificate>pay</xades:OtherCertificate></xades:CertificateValues>"), "xades:OtherCertificate"},
		"a time-stamp of text":          {before("</xades:UnsignedSignatureProperties>", "<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>UGF5</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>"), "xades:EncapsulatedTimeStamp"},
		"text among parts": {before("</xades:UnsignedSignatureProperties>", "<xades:CompleteCertificateRefs><xades:CertRefs><xades:Cert><xades:IssuerSerial>pay<ds:X509IssuerName>a</ds:X509IssuerName>"+
			"</xades:IssuerSerial></xades:Cert></xades:CertRefs></xades:CompleteCertificateRefs>"), "xades:IssuerSerial"},
		"text in a counter-signature": {counter("<ds:SignedInfo/>pay"), "xades:CounterSignature/ds:Signature"},
		"in the KeyInfo of one":       {counter("<ds:SignedInfo/><ds:KeyInfo>pay</ds:KeyInfo>"), "xades:CounterSignature/ds:Signature/ds:KeyInfo"},
	} {
		t.Run(name, func(t *testing.T) {
			all := mustOpen(t, c.text)
			s := all[0]
			if got := strings.Join(s.Strays, "; "); !strings.Contains(got, c.stray) || (got == "") != (c.stray == "") {
				t.Errorf("strays %q, want %q", got, c.stray)
			}
			if word, why := outcome(s); (word == "whole") != (c.stray == "") || !s.Intact {
				t.Errorf("%s (%s), intact %t", word, why, s.Intact)
			}
		})
	}
}

// TestPropertiesOfAnotherNamespace: properties that are not read as such are not taken for known, whatever else that namespace has.
func TestPropertiesOfAnotherNamespace(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`URI=""`, xmldsig.TransformEnveloped, exclusiveURI)}
	for _, space := range []string{ns141, ns19132, "http://www.w3.org/2001/04/xmlenc#", xmldsig.NamespaceDSig11, "http://uri.etsi.org/01903/v9.9.9#"} {
		s := mustOpen(t, complete(t, "<doc>"+good+strings.ReplaceAll(m.text(), ns132, space)+"</doc>", nil, signer))[0]
		if got := strings.Join(s.Strays, "; "); !s.Intact || !strings.Contains(got, "the element /doc/ds:Signature/ds:Object/xades:QualifyingProperties") {
			t.Errorf("%s: intact %t, strays %q, %q", space, s.Intact, got, s.Structure)
		}
	}
}

// TestSignedIsNoStray: what the signature covers is nobody else's, whatever it is.
func TestSignedIsNoStray(t *testing.T) {
	signer := officer(t)
	for name, c := range map[string]struct{ key, object, reference string }{
		"key information":     {" Id='k'", "", ref(`URI="#k"`, exclusiveURI)},
		"text in an object":   {"", `<ds:Object Id="o">pay</ds:Object>`, ref(`URI="#o"`, exclusiveURI)},
		"base64 in an object": {"", `<ds:Object Id="o">UGF5</ds:Object>`, ref(`URI="#o"`, xmldsig.TransformBase64)},
	} {
		m := basic(signer)
		m.references, m.objects = []string{ref(`URI=""`, xmldsig.TransformEnveloped), c.reference}, c.object
		text := m.text()
		if c.key != "" {
			text = strings.Replace(text, "<ds:KeyInfo>", "<ds:KeyInfo"+c.key+">pay", 1)
		}
		if s := mustOpen(t, complete(t, "<doc>"+good+text+"</doc>", nil, signer))[0]; len(s.Strays) > 0 {
			t.Errorf("%s: %q", name, s.Strays)
		}
	}
}

// TestObjectsOfCounterSignatures: what another signature within this one carries is no part of what this one covers.
func TestObjectsOfCounterSignatures(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = []string{ref(`URI=""`, xmldsig.TransformEnveloped, exclusiveURI)}
	m.unsigned = `<xades:CounterSignature><ds:Signature><ds:SignedInfo/><ds:Object>` + evil + `</ds:Object></ds:Signature></xades:CounterSignature>`
	s := mustOpen(t, complete(t, "<doc>"+good+m.text()+"</doc>", nil, signer))[0]
	if word, why := outcome(s); word != "part" || !strings.Contains(why, "an object in it that is not signed") {
		t.Errorf("%s (%s)", word, why)
	}
}

// TestIdsWithWhiteSpace: whoever knows that an attribute is an Id takes white space off, and finds another element.
func TestIdsWithWhiteSpace(t *testing.T) {
	s := newSigning(t)
	for _, twin := range []string{`xml:id=" p1"`, `xml:id="p1 "`, `xml:id="&#9;p1&#10;"`, `Id=" p1"`, `ID="p1 "`, `id=" p1 "`} {
		text := strings.Replace(s.part, good, good+`<pay `+twin+`/>`, 1)
		if word, why := outcome(mustOpen(t, text)[0]); word != "format" || !strings.Contains(why, "white space around it") {
			t.Errorf("%s: %s (%s)", twin, word, why)
		}
		text = strings.Replace(s.part, `Id="p1"`, twin, 1)
		if word, why := outcome(mustOpen(t, text)[0]); word != "format" || !strings.Contains(why, "white space around it") {
			t.Errorf("%s alone: %s (%s)", twin, word, why)
		}
	}
	text := strings.Replace(s.part, good, good+`<pay xml:id="p 1"/><pay Id=" p2"/>`, 1)
	if word, why := outcome(mustOpen(t, text)[0]); word != "part" {
		t.Errorf("other Ids: %s (%s)", word, why)
	}
}

// TestOtherNames: names in the key information are hints of whoever wrote them.
func TestOtherNames(t *testing.T) {
	s := newSigning(t)
	name := officer(t).Cert.Subject.CommonName
	const subject, key = "<ds:X509SubjectName>", "<ds:KeyName>"
	for text, want := range map[string]string{
		key + "CN=Mallory</ds:KeyName>": "ds:KeyName gives another name", key + "Mallory</ds:KeyName>": "ds:KeyName gives another name",
		subject + "CN=Mallory,C=PL</ds:X509SubjectName>": "ds:X509SubjectName gives another name",
		key + strings.ToUpper(name) + "</ds:KeyName>":    "", subject + "C=PL,CN=" + name + "</ds:X509SubjectName>": "",
	} {
		tag := "</ds:KeyInfo>"
		if strings.HasPrefix(text, subject) {
			tag = "</ds:X509Data>"
		}
		notes := strings.Join(mustOpen(t, inside(s.whole, tag, text))[0].Notes, "; ")
		if !strings.Contains(notes, want) || (want == "") != !strings.Contains(notes, "another name") || strings.Contains(notes, "Mallory") {
			t.Errorf("%s: notes %q", text, notes)
		}
	}
}
