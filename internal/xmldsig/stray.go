package xmldsig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"trustcore/internal/budget"
)

// grammar is what XML Signature 1.1, EN 319 132-1 with its older versions, and RFC 6283 define inside a ds:Signature
// beside what it signs itself: an element and the elements that may stand in it, by local name. "=der" and "=base64" mark
// elements whose text is such a value, "=text" those whose text is a name, a number or a time. Elements that may hold
// anything (xades:Any) are left out on purpose.
const grammar = `
Signature: SignedInfo SignatureValue=base64 KeyInfo Object
KeyInfo: KeyName=text KeyValue DEREncodedKeyValue=base64 RetrievalMethod KeyInfoReference X509Data PGPData SPKIData EncryptedKey AgreementMethod SecurityTokenReference
KeyValue: RSAKeyValue DSAKeyValue ECKeyValue ECDSAKeyValue
RSAKeyValue: Modulus=base64 Exponent=base64
DSAKeyValue: P=base64 Q=base64 G=base64 Y=base64 J=base64 Seed=base64 PgenCounter=base64
ECKeyValue: NamedCurve PublicKey=base64
ECDSAKeyValue: DomainParameters PublicKey
DomainParameters: NamedCurve
PublicKey: X Y
RetrievalMethod: Transforms
Transforms: Transform
Transform: InclusiveNamespaces
X509Data: X509IssuerSerial X509SKI=base64 X509SubjectName=text X509Certificate=der X509CRL=der X509Digest=base64 OCSPResponse=der
X509IssuerSerial: X509IssuerName=text X509SerialNumber=text
PGPData: PGPKeyID=base64 PGPKeyPacket=base64
SPKIData: SPKISexp=base64
EncryptedKey: EncryptionMethod KeyInfo CipherData
CipherData: CipherValue=base64
SecurityTokenReference: Reference KeyIdentifier=base64 X509Data
Object: QualifyingProperties
QualifyingProperties: SignedProperties UnsignedProperties
UnsignedProperties: UnsignedSignatureProperties
UnsignedSignatureProperties: CounterSignature SignatureTimeStamp ArchiveTimeStamp ArchiveTimeStampV2 SigAndRefsTimeStamp SigAndRefsTimeStampV2 RefsOnlyTimeStamp RefsOnlyTimeStampV2
UnsignedSignatureProperties: CompleteCertificateRefs CompleteCertificateRefsV2 CompleteRevocationRefs AttributeCertificateRefs AttributeCertificateRefsV2 AttributeRevocationRefs
UnsignedSignatureProperties: CertificateValues RevocationValues AttrAuthoritiesCertValues AttributeRevocationValues TimeStampValidationData AnyValidationData
UnsignedSignatureProperties: SignaturePolicyStore RenewedDigests RenewedDigestsV2 SealingEvidenceRecords
CounterSignature: Signature
SignatureTimeStamp ArchiveTimeStamp ArchiveTimeStampV2: Include HashDataInfo ReferenceInfo CanonicalizationMethod EncapsulatedTimeStamp=der
SigAndRefsTimeStamp SigAndRefsTimeStampV2 RefsOnlyTimeStamp RefsOnlyTimeStampV2: Include HashDataInfo CanonicalizationMethod EncapsulatedTimeStamp=der
HashDataInfo: Transforms
ReferenceInfo: DigestMethod DigestValue=base64
CanonicalizationMethod DigestMethod: InclusiveNamespaces
CompleteCertificateRefs AttributeCertificateRefs: CertRefs Cert
CompleteCertificateRefsV2 AttributeCertificateRefsV2: CertRefs
CertRefs: Cert
Cert: CertDigest IssuerSerial=text IssuerSerialV2=base64
IssuerSerial: X509IssuerName=text X509SerialNumber=text
CertDigest DigestAlgAndValue: DigestMethod DigestValue=base64
CompleteRevocationRefs AttributeRevocationRefs: CRLRefs OCSPRefs
CRLRefs: CRLRef
CRLRef: DigestAlgAndValue CRLIdentifier
CRLIdentifier: Issuer=text IssueTime=text Number=text
OCSPRefs: OCSPRef
OCSPRef: OCSPIdentifier DigestAlgAndValue
OCSPIdentifier: ResponderID=text ProducedAt=text
ResponderID: ByName=text ByKey=base64
CertificateValues AttrAuthoritiesCertValues: EncapsulatedX509Certificate=der
RevocationValues AttributeRevocationValues: CRLValues OCSPValues EncapsulatedOCSPValue=der
CRLValues: EncapsulatedCRLValue=der
OCSPValues: EncapsulatedOCSPValue=der
TimeStampValidationData AnyValidationData: CertificateValues RevocationValues
SignaturePolicyStore: SPDocSpecification SignaturePolicyDocument=base64 SigPolDocLocalURI=text
SPDocSpecification: Identifier=text
RenewedDigests RenewedDigestsV2: DigestMethod RecomputedDigestValue=base64
RecomputedDigestValue: NewSDODigestValue=base64 OriginalRefDigest=base64
SealingEvidenceRecords: EvidenceRecord ASN1EvidenceRecord=der
EvidenceRecord: ArchiveTimeStampSequence
ArchiveTimeStampSequence: ArchiveTimeStampChain
ArchiveTimeStampChain: DigestMethod CanonicalizationMethod ArchiveTimeStamp
ArchiveTimeStamp: HashTree TimeStamp
HashTree: Sequence
Sequence: DigestValue=base64
TimeStamp: TimeStampToken=der CryptographicInformationList
CryptographicInformationList: CryptographicInformation=base64
`

// attributes without a namespace that those specifications define, for references, algorithms and numbers.
var attributes = words("Id ID id Algorithm URI Type Encoding MimeType Target Order Version VersionNumber URN Value " +
	"ValueType EncodingType PrefixList uri referencedData Recipient")

func words(list string) map[string]bool {
	m := map[string]bool{}
	for _, word := range strings.Fields(list) {
		m[word] = true
	}
	return m
}

// namespaces are those of the elements of the grammar: XML Signature and what it and XAdES take along.
var namespaces = map[string]bool{
	NamespaceDSig: true, NamespaceDSig11: true, NamespaceDSMore: true, namespaceDSMore2001: true,
	"http://www.w3.org/2001/04/xmlenc#": true, "http://www.w3.org/2009/xmlenc11#": true, "http://www.w3.org/2001/10/xml-exc-c14n#": true,
	"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd": true,
	"http://uri.etsi.org/01903/v1.1.1#":                                                 true, "http://uri.etsi.org/01903/v1.2.2#": true,
	"http://uri.etsi.org/01903/v1.3.2#": true, "http://uri.etsi.org/01903/v1.4.1#": true,
	"http://uri.etsi.org/19132/v1.1.1#": true, "urn:ietf:params:xml:ns:ers": true,
}

// holders are the elements that hold XAdES's properties, known in those namespaces alone in which they are read as such: in any
// other they would say something that nobody checks, such as whose certificate it is.
var holders = words("QualifyingProperties SignedProperties UnsignedProperties UnsignedSignatureProperties")

// defines tells of a namespace that it has an element of the grammar.
func defines(space, local string) bool {
	if holders[local] {
		return slices.Contains([]string{"http://uri.etsi.org/01903/v1.1.1#", "http://uri.etsi.org/01903/v1.2.2#", "http://uri.etsi.org/01903/v1.3.2#"}, space)
	}
	return namespaces[space]
}

const namespaceXSI = "http://www.w3.org/2001/XMLSchema-instance"

// rules are the grammar by parent and child; the value is the kind of the child's text.
var rules = sync.OnceValue(func() map[[2]string]string {
	m := map[[2]string]string{}
	for line := range strings.Lines(grammar) {
		parents, children, _ := strings.Cut(line, ":")
		for _, parent := range strings.Fields(parents) {
			for _, child := range strings.Fields(children) {
				local, kind, _ := strings.Cut(child, "=")
				m[[2]string{parent, local}] = kind
			}
		}
	}
	return m
})

// maxStrays bounds what is told of one signature.
const maxStrays = 16

// maxName bounds the text of an element that holds a name, a number or a time, in octets.
const maxName = 512

// Strays tells, in words, of everything in a ds:Signature or another element that the specifications know there that is
// not what they define: text, elements, attributes and processing instructions that a reader may take for content. What
// signed says yes to is left out, with all that it holds; it is asked for elements in question alone.
func (n Node) Strays(signed func(Node) bool) []string {
	w := strays{signed: signed}
	w.element(n, "")
	return w.found
}

type strays struct {
	signed func(Node) bool
	found  []string
	room   []byte // for values that are decoded to see whether they are some
}

func (w *strays) tell(n Node, format string) {
	if len(w.found) < maxStrays {
		w.found = append(w.found, fmt.Sprintf(format, n.Place()))
	}
}

// element looks through one that is where it may be; kind is that of its text.
func (w *strays) element(n Node, kind string) {
	d := n.d
	w.attributes(n)
	text, elements := false, false
	for i := n.i + 1; i < d.nodes[n.i].end; i = d.nodes[i].end {
		if len(w.found) == maxStrays || d.budget.Work(budget.Node) != nil {
			return
		}
		switch c := (Node{d, i}); c.Kind() {
		case TextNode:
			text = text || !blank(d.content(&d.nodes[i]))
		case ElementNode:
			elements = true
			w.child(n, c)
		case InstructionNode:
			w.tell(n, "a processing instruction in %s")
		}
	}
	if text && (elements || !w.holds(n, kind)) {
		w.tell(n, "text in %s")
	}
}

func (w *strays) child(parent, n Node) {
	kind, known := rules()[[2]string{parent.Local(), n.Local()}]
	switch {
	case w.signed(n):
	case known && defines(n.Space(), n.Local()):
		w.element(n, kind)
	default:
		w.tell(n, "the element %s")
	}
}

func (w *strays) attributes(n Node) {
	x := &n.d.nodes[n.i]
	for a := x.attr; a < x.attr+int32(x.nattr); a++ {
		switch at := &n.d.attrs[a]; n.d.atoms[at.uri] {
		case NamespaceXML, namespaceXSI, namespaceWSU:
		case "":
			if !attributes[n.d.atoms[n.d.names[at.name].local]] {
				w.tell(n, "an attribute of %s")
			}
		default:
			w.tell(n, "an attribute of %s")
		}
	}
}

// holds tells whether the text of an element is what its kind says. Objects are decoded for good: they are read later.
func (w *strays) holds(n Node, kind string) bool {
	switch kind {
	case "text":
		_, octets := n.textSize()
		return octets <= maxName
	case "base64":
		value, err := n.decode(w.room)
		if err == nil {
			w.room = value
		}
		return err == nil
	case "der":
		value, err := n.Bytes()
		return err == nil && isSequence(value)
	}
	return false
}

// isSequence tells whether octets are one SEQUENCE and nothing else, as certificates, lists, answers and tokens are.
func isSequence(b []byte) bool {
	if len(b) < 2 || b[0] != 0x30 {
		return false
	}
	length, header := int(b[1]), 2
	switch {
	case b[1] == 0x80:
		return bytes.HasSuffix(b, []byte{0, 0})
	case b[1] > 0x84:
		return false
	case b[1] > 0x80:
		header += int(b[1] & 0x7f)
		length = 0
		for _, o := range b[2:min(header, len(b))] {
			length = length<<8 | int(o)
		}
	}
	return header+length == len(b)
}
