package xades

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

const (
	inclusiveURI   = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	inclusive11URI = "http://www.w3.org/2006/12/xml-c14n11"
)

// costly are documents of about so many octets that are made to cost more than they look like, by what they aim at.
var costly = map[string]func(size int) string{
	"Ids in an expression": func(size int) string {
		return costDocument(filled(size-16<<10, "<b/>"), xpathRef("id('"+strings.Repeat("a ", 8000)+"')"))
	},
	"Ids that are there": func(size int) string {
		return costDocument(filled(size-16<<10, "<b Id='a'/><b Id='b'/>"), xpathRef("id('"+strings.Repeat("q ", 8000)+"')"))
	},
	"an attribute for every node": func(size int) string {
		return costDocument("<b big='"+strings.Repeat("a", size/2)+"'/>"+filled(size/2, "<b/>"), xpathRef("/doc/b/@big = 'x'"))
	},
	"digits for every node": func(size int) string {
		return costDocument("<b big='"+strings.Repeat("7", size/2)+"'/>"+filled(size/2, "<b/>"), xpathRef("/doc/b/@big > 1"))
	},
	"the text of all for every node": func(size int) string {
		return costDocument(filled(size, "<b>x</b>"), xpathRef("contains(/, 'zz')"))
	},
	"joined texts": func(size int) string {
		return costDocument("<t>"+strings.Repeat("a", size)+"</t>", xpathRef("concat("+strings.Repeat("/doc/t,", 60)+"'') = 1"))
	},
	"joined texts of joined texts": func(size int) string {
		x := "/doc/t"
		for range 12 {
			x = "concat(" + x + "," + x + ")"
			if len(x) > 7000 {
				break
			}
		}
		return costDocument("<t>"+strings.Repeat("a", size)+"</t>", xpathRef(x+" = 1"))
	},
	"translated text": func(size int) string {
		return costDocument("<t>"+strings.Repeat("a", size/2)+"</t>"+filled(size/2, "<b/>"), xpathRef("translate(/doc/t,'"+strings.Repeat("z", 8000)+"','') = 1"))
	},
	"pieces of text": func(size int) string {
		return costDocument("<t>"+strings.Repeat("a", size/2)+"</t>"+filled(size/2, "<b/>"), xpathRef("substring(/doc/t, 5) = substring(/doc/t, 6)"))
	},
	"words": func(size int) string {
		return costDocument("<t>"+strings.Repeat("a ", size/4)+"</t>"+filled(size/2, "<b/>"), xpathRef("normalize-space(/doc/t) = string-length(/doc/t)"))
	},
	"namespace axes": func(size int) string {
		return costDocument("<b "+manyPrefixes(900)+">"+filled(size, "<b/>")+"</b>", xpathRef("count(//namespace::*) = 1"))
	},
	"namespace nodes that are kept": func(size int) string {
		return costDocument("<b "+manyPrefixes(900)+">"+filled(size, "<b/>")+"</b>", xpathRef("true()"))
	},
	"namespace nodes of stray elements": func(size int) string {
		return costDocument("<b "+manyPrefixes(900)+">"+filled(size, "<c><d/></c>")+"</b>", xpathRef("not(self::c)", inclusiveURI), xpathRef("self::d", inclusiveURI))
	},
	"declarations over declarations": func(size int) string {
		return costDocument("<b "+manyPrefixes(900)+">"+filled(size, "<c xmlns:p1='urn:y'/>")+"</b>", xpathRef("namespace::p1"))
	},
	"preceding": func(size int) string {
		return costDocument(filled(size, "<b/>"), xpathRef("count(preceding::*) = 1"))
	},
	"preceding siblings": func(size int) string {
		return costDocument(filled(size, "<b/>"), xpathRef("preceding-sibling::*[1]"))
	},
	"following": func(size int) string {
		return costDocument(filled(size, "<b/>"), xpathRef("following::c | following-sibling::c"))
	},
	"ancestors": func(size int) string {
		open := strings.Repeat("<b>", 500)
		return costDocument(filled(size, open+strings.Repeat("</b>", 500)), xpathRef("count(ancestor::*[count(ancestor::*) = 3]) = 7"))
	},
	"unions": func(size int) string {
		return costDocument(filled(size, "<b/>"), filterRef("//node()"+strings.Repeat("|//node()", 1500)))
	},
	"lists at once": func(size int) string {
		return costDocument(filled(size, "<b/>"), filterRef("/*[concat("+strings.Repeat("//node(),", 60)+"'')]"))
	},
	"every node with every node": func(size int) string {
		return costDocument(filled(size, "<b>x</b>"), filterRef("//*[. = //*/text()]"))
	},
	"numbers": func(size int) string {
		big := strings.Repeat("9", 300)
		return costDocument(filled(size, "<b/>"), xpathRef("string("+big+") = "+big+" mod 0."+strings.Repeat("0", 200)+"1"))
	},
	"predicates": func(size int) string {
		return costDocument(filled(size, "<b/>"), xpathRef("//*[last()][position() = 1]"))
	},
	"small steps": func(size int) string {
		return costDocument(filled(size, "<b/>"), refs(300, func(n int) string { return xpathRef(fmt.Sprintf("self::b or %d = 0", n)) })...)
	},
	"filters": func(size int) string {
		return costDocument(filled(size/2, "<b/>"), refs(size/600, func(n int) string { return filterRef(fmt.Sprintf("/doc/b[%d]", n+1)) })...)
	},
	"signatures taken out": func(size int) string {
		return costDocument(filled(size/2, "<b/>"), refs(size/800, func(int) string {
			return xpathRef("not(ancestor-or-self::ds:Signature)", inclusiveURI)
		})...)
	},
	"nothing that is content": func(size int) string {
		return costDocument(filled(size/2, "<b/>"), refs(size/800, func(int) string { return filterRef("//ds:KeyInfo") })...)
	},
	"long namespace names": func(size int) string {
		return costDocument("<b xmlns:a='urn:"+strings.Repeat("a", 1000)+"'>"+filled(size, "<a:b/>")+"</b>", refs(20, func(n int) string { return prefixRef("", n) })...)
	},
	"namespaces of each reference": func(size int) string {
		return costDocument("<b "+manyPrefixes(900)+"><t Id='t'/></b>", refs(size/500, func(n int) string { return prefixRef("#t", n) })...)
	},
	"inherited attributes": func(size int) string {
		return costDocument("<b xml:lang='"+strings.Repeat("a", size/3)+"'>"+filled(size/2, "<c><d/></c>")+"</b>", xpathRef("not(self::b or self::c or self::doc)", inclusiveURI))
	},
	"attributes of ancestors": func(size int) string {
		var open strings.Builder
		for range size / 2 / 7000 {
			open.WriteString("<b")
			for a := range 1000 {
				fmt.Fprintf(&open, " a%d=''", a)
			}
			open.WriteString(">")
		}
		return costDocument(open.String()+filled(size/2, "<c/>")+strings.Repeat("</b>", size/2/7000), xpathRef("self::c", inclusiveURI))
	},
	"joined bases": func(size int) string {
		base := "http://x/" + strings.Repeat("a/", 80)
		open := strings.Repeat("<b xml:base='"+base+"'>", 200)
		return costDocument(open+filled(size/2, "<c xml:base='x'/>")+strings.Repeat("</b>", 200), xpathRef("self::c", inclusive11URI))
	},
	"sorted attributes": func(size int) string {
		var b strings.Builder
		for k := range 30 {
			fmt.Fprintf(&b, " xmlns:n%d='urn:%s%d'", k, strings.Repeat("a", 900), k)
		}
		var attributes strings.Builder
		for a := range 900 {
			fmt.Fprintf(&attributes, " n%d:a%d=''", (a*7)%30, a)
		}
		return costDocument("<b"+b.String()+">"+filled(size/2, "<c"+attributes.String()+"/>")+"</b>", refs(size/1000, func(n int) string { return prefixRef("", n) })...)
	},
	"parsed again and again": func(size int) string {
		return costDocument(filled(size/2, "<b/>"), refs(size/4000, func(n int) string {
			return ref(fmt.Sprintf(`URI="#xpointer(/)" Id="r%d"`, n), inclusiveURI, exclusiveURI, inclusiveURI, exclusiveURI, inclusiveURI,
				exclusiveURI, inclusiveURI, exclusiveURI, inclusiveURI, exclusiveURI, inclusiveURI, exclusiveURI, inclusiveURI, exclusiveURI, inclusiveURI)
		})...)
	},
	"decoded again and again": func(size int) string {
		return costDocument("<t>"+strings.Repeat("QUFB", size/8)+"</t>", refs(size/800, func(n int) string {
			return strings.Replace(xpathRef("self::text()", xmldsig.TransformBase64), "<ds:Reference", fmt.Sprintf("<ds:Reference Id='r%d'", n), 1)
		})...)
	},
	"digests that are slow": func(size int) string {
		return costDocument("<t>"+strings.Repeat("a", size/2)+"</t>", refs(size/1000, func(n int) string {
			return strings.Replace(prefixRef("", n), sha256URI, "http://www.w3.org/2001/04/xmlenc#ripemd160", 1)
		})...)
	},
	"signatures in signatures": func(size int) string {
		const depth = 200
		one := costSignature(ref(`URI=""`, exclusiveURI))
		at := strings.Index(one, "</ds:Signature>")
		return "<doc>" + strings.Repeat(one[:at]+"<ds:Object>", depth) + filled(size-depth*len(one), "<b/>") + strings.Repeat("</ds:Object>"+one[at:], depth) + "</doc>"
	},
	"values in values": func(size int) string {
		open := `<ds:Signature xmlns:ds="` + xmldsig.NamespaceDSig + `"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"/><ds:SignatureMethod Algorithm="x"/>` +
			ref(`URI=""`) + `</ds:SignedInfo><ds:KeyInfo/><ds:SignatureValue>`
		return "<doc>" + strings.Repeat(open, 150) + filled(size-150*len(open), "QUFB") + strings.Repeat("</ds:SignatureValue></ds:Signature>", 150) + "</doc>"
	},
	"serial numbers": func(size int) string {
		one := costSignature(ref(`URI=""`))
		return "<doc>" + strings.Replace(one, "<ds:KeyInfo>", "<ds:KeyInfo><ds:X509Data><ds:X509IssuerSerial><ds:X509SerialNumber>"+strings.Repeat("9", size)+
			"</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data>", 1) + "</doc>"
	},
	"names": func(size int) string {
		var b strings.Builder
		for n := 0; b.Len() < size; n++ {
			fmt.Fprintf(&b, "<a%x/>", n)
		}
		return costDocument(b.String(), ref(`URI=""`))
	},
	"prefixes": func(size int) string {
		var b strings.Builder
		for n := 0; b.Len() < size/2; n++ {
			fmt.Fprintf(&b, "<b xmlns:p%x='u:'/>", n)
		}
		return costDocument("<t Id='t'/>"+b.String(), refs(size/800, func(n int) string { return prefixRef("#t", n) })...)
	},
	"objects beside references": func(size int) string {
		return "<doc>" + strings.Replace(costSignature(refs(size/900, func(n int) string { return ref(fmt.Sprintf(`URI="#o%d"`, n)) })...), "</ds:Signature>",
			objects(size/900)+"</ds:Signature>", 1) + "</doc>"
	},
	"entries of a manifest": func(size int) string {
		entries := refs(size/400, func(n int) string { return ref(fmt.Sprintf(`URI="#x%d"`, n)) })
		return "<doc>" + strings.Replace(costSignature(ref(`Type="`+typeManifest+`" URI="#m"`)), "</ds:Signature>",
			"<ds:Object><ds:Manifest Id='m'>"+strings.Join(entries[:min(len(entries), 4000)], "")+"</ds:Manifest></ds:Object></ds:Signature>", 1) + "</doc>"
	},
}

func objects(n int) string {
	var b strings.Builder
	for k := range n {
		fmt.Fprintf(&b, "<ds:Object Id='o%d'><x Id='p%d'/></ds:Object>", k, k)
	}
	return b.String()
}

func refs(n int, one func(int) string) []string {
	var all []string
	for k := range min(n, 4000) {
		all = append(all, one(k))
	}
	return all
}

func manyPrefixes(n int) string {
	var b strings.Builder
	for k := range n {
		fmt.Fprintf(&b, " xmlns:p%d='urn:%d'", k, k)
	}
	return b.String()
}

func filled(size int, piece string) string { return strings.Repeat(piece, max(size, 0)/len(piece)) }

// xpathRef is a reference to the document through an XPath transform, and others after it.
func xpathRef(expression string, then ...string) string {
	r := ref(`URI=""`, append([]string{xmldsig.TransformXPath}, then...)...)
	return strings.Replace(r, `"></ds:Transform>`, `"><ds:XPath>`+strings.NewReplacer("<", "&lt;", "&", "&amp;").Replace(expression)+`</ds:XPath></ds:Transform>`, 1)
}

// filterRef is a reference to the document through an XPath filter.
func filterRef(expression string) string {
	return strings.Replace(ref(`URI=""`, xmldsig.TransformXPathFilter), `"></ds:Transform>`, `"><f:XPath xmlns:f="`+xmldsig.TransformXPathFilter+
		`" Filter="intersect">`+strings.ReplaceAll(expression, "<", "&lt;")+`</f:XPath></ds:Transform>`, 1)
}

// prefixRef is a reference whose transform differs from that of others by its list of prefixes.
func prefixRef(uri string, n int) string {
	return strings.Replace(ref(`URI="`+uri+`"`, exclusiveURI), `"></ds:Transform>`, fmt.Sprintf(`"><e:InclusiveNamespaces xmlns:e="%s" PrefixList="q%d p1 p2"/></ds:Transform>`, exclusiveURI, n), 1)
}

// costDocument has content, and before it a signature with the references, whose value is false.
func costDocument(content string, references ...string) string {
	return "<doc>" + costSignature(references...) + content + "</doc>"
}

func costSignature(references ...string) string {
	return `<ds:Signature xmlns:ds="` + xmldsig.NamespaceDSig + `"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + exclusiveURI + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>` + strings.Join(references, "") +
		`</ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue><ds:KeyInfo></ds:KeyInfo></ds:Signature>`
}

// TestCostIsBounded opens every costly document with a small budget: it must be the budget that ends the work, and
// what is left unchecked must accuse nobody.
func TestCostIsBounded(t *testing.T) {
	const work, held = 100_000_000, 16 << 20
	limit := budgettest.Limit{Time: 15 * work, Alloc: 4 * work}
	for name, document := range costly {
		t.Run(name, func(t *testing.T) {
			text := []byte(document(256 << 10))
			budgettest.Check(t, len(text), limit, func() {
				b := budget.Of(t.Context(), work, held)
				doc, err := Open(b, text, nil)
				if err != nil {
					if !errors.Is(err, budget.ErrExceeded) {
						t.Errorf("no document: %v", err)
					}
					return
				}
				last := doc.Signatures[len(doc.Signatures)-1]
				if b.Err() != nil && (last.Unchecked == "" || len(last.Structure)+len(last.Constraints)+len(last.References) > 0) {
					t.Errorf("beyond the budget: %+v", last)
				}
			})
		})
	}
}

// TestHonestCost: documents as people sign them take a small part of what they may.
func TestHonestCost(t *testing.T) {
	signer := officer(t)
	rows := filled(1<<20, `<Wiersz lp="1"><Opis>Usługa &amp; towar</Opis><Kwota waluta="PLN">1.00</Kwota></Wiersz>`)
	text := complete(t, strings.Replace(envelop(basic(signer)), "Wniosek", rows, 1), nil, signer)
	b := budget.New(t.Context(), len(text))
	before := b.Left()
	doc, err := Open(b, []byte(text), nil)
	if err != nil || !intact(doc.Signatures[0]) {
		t.Fatal(err, doc)
	}
	if spent := before - b.Left(); spent > before/20 {
		t.Errorf("a megabyte takes %d units of %d", spent, before)
	}
}

// TestSlowKeysCost: whoever makes a document chooses the keys, and how often they are tried.
func TestSlowKeysCost(t *testing.T) {
	issuer := officer(t)
	n := new(big.Int).SetBit(big.NewInt(1), 16383, 1)
	var certificates strings.Builder
	for k := range 64 {
		pub := &rsa.PublicKey{N: new(big.Int).Add(n, big.NewInt(int64(2*k))), E: 1<<31 - 1}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(int64(k + 1))}, issuer.Cert, pub, issuer.Key)
		if err != nil {
			t.Fatal(err)
		}
		certificates.WriteString("<ds:X509Certificate>" + b64(der) + "</ds:X509Certificate>")
	}
	one := strings.Replace(costSignature(ref(`URI="#x"`)), "</ds:KeyInfo>", "<ds:X509Data>"+certificates.String()+"</ds:X509Data></ds:KeyInfo>", 1)
	one = strings.Replace(one, ">AAAA<", ">"+b64(bytes.Repeat([]byte{1}, 2048))+"<", 1)
	text := []byte("<doc>" + strings.Repeat(one, 4) + "</doc>")
	const work = 100_000_000
	budgettest.Check(t, len(text), budgettest.Limit{Time: 15 * work, Alloc: work}, func() {
		b := budget.Of(t.Context(), work, 16<<20)
		doc, err := Open(b, text, nil)
		if err != nil || doc.Signatures[3].Unchecked == "" {
			t.Errorf("256 slow keys were tried: %v", err)
		}
	})
}

// TestStampedOctetsCost: the octets that a time-stamp is about are paid for once.
func TestStampedOctetsCost(t *testing.T) {
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	file := []signature.Detached{{Name: "a", Content: bytes.Repeat([]byte("a"), 1<<20)}}
	spent := func(data string) int64 {
		m := basic(signer)
		m.references, m.data = []string{ref(`Id="S1-ref" URI="a"`)}, data
		text := complete(t, m.text(), exact(file), signer)
		b := budget.New(t.Context(), len(text))
		before := b.Left()
		doc, err := Open(b, []byte(text), file)
		if err != nil || data != "" && !doc.Signatures[0].Timestamps[0].Imprint {
			t.Fatal(err, doc)
		}
		return before - b.Left()
	}
	stamp := `<xades:AllDataObjectsTimeStamp><xades:EncapsulatedTimeStamp>` + b64(tsu.Stamp(t, file[0].Content, cmstest.Now)) +
		`</xades:EncapsulatedTimeStamp></xades:AllDataObjectsTimeStamp>`
	if more := spent(stamp) - spent(""); more > budget.Octet*5<<20/4 {
		t.Errorf("a time-stamp over a megabyte costs %d units", more)
	}
}

// TestStampsCost: each archive time-stamp covers all that stands before it.
func TestStampsCost(t *testing.T) {
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	m := basic(signer)
	stamp := `<a:ArchiveTimeStamp xmlns:a="` + ns141 + `"><xades:EncapsulatedTimeStamp>` + b64(tsu.Stamp(t, []byte("x"), cmstest.Now)) + `</xades:EncapsulatedTimeStamp></a:ArchiveTimeStamp>`
	m.unsigned = `<xades:CertificateValues>` + filled(256<<10, `<xades:EncapsulatedX509Certificate>AAAA</xades:EncapsulatedX509Certificate>`) +
		`</xades:CertificateValues>` + strings.Repeat(stamp, 200)
	text := []byte(complete(t, envelop(m), nil, signer))
	const work = 100_000_000
	budgettest.Check(t, len(text), budgettest.Limit{Time: 15 * work, Alloc: 4 * work}, func() {
		b := budget.Of(t.Context(), work, 16<<20)
		doc, err := Open(b, text, nil)
		if err != nil || doc.Signatures[0].Unchecked == "" {
			t.Errorf("200 archive time-stamps were compared: %v", err)
		}
	})
}
