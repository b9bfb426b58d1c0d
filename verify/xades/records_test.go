package xades

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/internal/xmldsig"
	"trustcore/verify/certificate"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

const sha512URI = "http://www.w3.org/2001/04/xmlenc#sha512"

// archive makes evidence records: of RFC 6283, and of RFC 4998 where der is true.
type archive struct {
	t    testing.TB
	tsu  cmstest.Identity
	der  bool
	now  time.Time
	list []*archived
}

// archived is an ArchiveTimeStamp: the one list of its hash tree, and its token.
type archived struct {
	wide     bool // SHA-512
	newChain bool
	first    [][]byte
	token    []byte
}

func newArchive(t testing.TB, der bool) *archive {
	return &archive{t: t, tsu: cmstest.NewTSU(t, "p256", "Archive TSU"), der: der, now: cmstest.Now.AddDate(-5, 0, 0)}
}

// about begins a record whose first list has some digests.
func (a *archive) about(first ...[]byte) *archive {
	a.t.Helper()
	a.list = nil
	return a.stamp(false, true, first...)
}

func (a *archive) stamp(wide, newChain bool, first ...[]byte) *archive {
	a.t.Helper()
	root := first[0]
	if len(first) > 1 {
		root = sumOf(wide, first...)
	}
	a.now = a.now.AddDate(0, 1, 0)
	token, err := cms.SignTimestamp(cms.TimestampConfig{
		Signer: a.tsu.Key, Certificate: a.tsu.Cert.Raw, Hash: crypto.SHA256, Policy: cmstest.Policy,
		HashAlgorithm: hashIdentifier(wide), Imprint: root, Serial: big.NewInt(1), Time: a.now,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.list = append(a.list, &archived{wide, newChain, first, token})
	return a
}

// sumOf is the digest of values in binary ascending order.
func sumOf(wide bool, values ...[]byte) []byte {
	values = slices.Clone(values)
	slices.SortFunc(values, bytes.Compare)
	return digestOf(wide, bytes.Join(values, nil))
}

func digestOf(wide bool, data []byte) []byte {
	if wide {
		sum := sha512.Sum512(data)
		return sum[:]
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

func digestsOf(wide bool, parts [][]byte) [][]byte {
	var sums [][]byte
	for _, p := range parts {
		sums = append(sums, digestOf(wide, p))
	}
	return sums
}

// hashIdentifier is the AlgorithmIdentifier of SHA-256 or SHA-512.
func hashIdentifier(wide bool) []byte {
	last := byte(1)
	if wide {
		last = 3
	}
	return []byte{0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last}
}

// renew renews the last time-stamp.
func (a *archive) renew() *archive {
	last := a.list[len(a.list)-1]
	content := last.token
	if !a.der {
		content = []byte(strings.Replace(timestampElement(last), "<TimeStamp>", `<TimeStamp xmlns="`+ers.Namespace+`">`, 1))
	}
	return a.stamp(last.wide, false, digestOf(last.wide, content))
}

// rehash renews the hash tree by SHA-512; data are what the record is about, each by that.
func (a *archive) rehash(data ...[]byte) *archive {
	sequence := digestOf(true, a.sequence())
	if !a.der {
		return a.stamp(true, true, append(slices.Clone(data), sequence)...)
	}
	var first [][]byte
	for _, d := range data {
		first = append(first, digestOf(true, slices.Concat(d, sequence)))
	}
	return a.stamp(true, true, first...)
}

// sequence is the encoded ArchiveTimeStampSequence.
func (a *archive) sequence() []byte {
	if !a.der {
		return []byte(strings.Replace(a.sequenceElement(), "<ArchiveTimeStampSequence>",
			`<ArchiveTimeStampSequence xmlns="`+ers.Namespace+`">`, 1))
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, chain := range a.chains() {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, s := range chain {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(0xa2, func(b *cryptobyte.Builder) {
							b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
								for _, v := range s.first {
									b.AddASN1OctetString(v)
								}
							})
						})
						b.AddBytes(s.token)
					})
				}
			})
		}
	})
	return b.BytesOrPanic()
}

func (a *archive) chains() [][]*archived {
	var chains [][]*archived
	for _, s := range a.list {
		if s.newChain {
			chains = append(chains, nil)
		}
		chains[len(chains)-1] = append(chains[len(chains)-1], s)
	}
	return chains
}

func (a *archive) sequenceElement() string {
	var b strings.Builder
	b.WriteString("<ArchiveTimeStampSequence>")
	for i, chain := range a.chains() {
		method := sha256URI
		if chain[0].wide {
			method = sha512URI
		}
		fmt.Fprintf(&b, `<ArchiveTimeStampChain Order="%d"><DigestMethod Algorithm="%s"></DigestMethod>`+
			`<CanonicalizationMethod Algorithm="%s"></CanonicalizationMethod>`, i+1, method, exclusiveURI)
		for j, s := range chain {
			fmt.Fprintf(&b, `<ArchiveTimeStamp Order="%d"><HashTree><Sequence Order="1">`, j+1)
			for _, v := range s.first {
				b.WriteString("<DigestValue>" + b64(v) + "</DigestValue>")
			}
			b.WriteString("</Sequence></HashTree>" + timestampElement(s) + "</ArchiveTimeStamp>")
		}
		b.WriteString("</ArchiveTimeStampChain>")
	}
	return b.String() + "</ArchiveTimeStampSequence>"
}

func timestampElement(s *archived) string {
	return `<TimeStamp><TimeStampToken Type="RFC3161">` + b64(s.token) + `</TimeStampToken></TimeStamp>`
}

// element is the record as SealingEvidenceRecords holds it.
func (a *archive) element() string {
	if !a.der {
		return `<EvidenceRecord xmlns="` + ers.Namespace + `" Version="1.0">` + a.sequenceElement() + `</EvidenceRecord>`
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(hashIdentifier(false))
			b.AddBytes(hashIdentifier(true))
		})
		b.AddBytes(a.sequence())
	})
	return `<en:ASN1EvidenceRecord>` + b64(b.BytesOrPanic()) + `</en:ASN1EvidenceRecord>`
}

func sealing(records ...string) string {
	return `<en:SealingEvidenceRecords xmlns:en="` + ns19132 + `">` + strings.Join(records, "") +
		`</en:SealingEvidenceRecords>`
}

// members are the data objects that a record of the nth signature is about, as TS 119 132-3 lists them: what the
// references yield, SignedInfo, SignatureValue, KeyInfo, the unsigned properties, and the objects without properties.
func members(t testing.TB, text string, n int, resolve xmldsig.Resolver) [][]byte {
	t.Helper()
	x := readNth(t, text, n)
	var all [][]byte
	for _, r := range x.References {
		var b bytes.Buffer
		if _, err := r.WriteData(&b, resolve, x.Form); err != nil {
			t.Fatal(err)
		}
		all = append(all, b.Bytes())
	}
	elements := []xmldsig.Node{x.SignedInfo, x.ValueNode, x.KeyInfo.Element}
	unsigned := x.Element.Child(xmldsig.NamespaceDSig, "Object").
		Path(ns132, "QualifyingProperties", "UnsignedProperties", "UnsignedSignatureProperties")
	elements = slices.AppendSeq(elements, unsigned.Elements())
	for _, n := range append(elements, x.Objects[1:]...) {
		octets, err := n.Canonical(x.Form)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, octets)
	}
	return all
}

// whole is the digest of all members.
func whole(parts [][]byte) []byte { return sumOf(false, digestsOf(false, parts)...) }

// sealed adds a property to the last of the unsigned ones.
func sealed(text, property string) string {
	return inside(text, "</xades:UnsignedSignatureProperties>", property)
}

// word puts a record into one word, as the judge would.
func word(r *signature.EvidenceRecord) string {
	good := 0
	for _, ref := range r.References {
		switch {
		case ref.Unchecked != "":
			return "unchecked"
		case ref.Found && !ref.Intact:
			return "changed"
		case ref.Intact:
			good++
		case ref.Type != "orphan":
			return "missing"
		}
	}
	switch {
	case r.Unchecked != "":
		return "unchecked"
	case len(r.Structure) > 0:
		return "format"
	case good == 0:
		return "missing"
	}
	for _, t := range r.Timestamps {
		if !t.Intact || !t.Imprint {
			return "stamp"
		}
	}
	if !r.CoversSignature {
		return "proves nothing"
	}
	return "good"
}

func words(s *signature.Signature) string {
	var all []string
	for _, r := range s.EvidenceRecords {
		all = append(all, word(r))
	}
	return strings.Join(all, ", ")
}

// TestSealingRecords: a record covers the signature as it was before the property came in.
func TestSealingRecords(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.unsigned = `<xades:CertificateValues><xades:EncapsulatedX509Certificate>` + b64(signer.Cert.Raw) +
		`</xades:EncapsulatedX509Certificate></xades:CertificateValues>`
	m.objects = `<ds:Object><note>1</note></ds:Object>`
	text := complete(t, envelop(m), nil, signer)
	parts := members(t, text, 0, nil)
	wide := sumOf(true, digestsOf(true, parts)...)
	stranger := digestOf(false, []byte("of another archive"))
	late := `<xades:CertificateValues><xades:EncapsulatedX509Certificate>AAAA` +
		`</xades:EncapsulatedX509Certificate></xades:CertificateValues>`
	for _, der := range []bool{false, true} {
		a := newArchive(t, der)
		one := sealed(text, sealing(a.about(whole(parts)).element()))
		second := a.about(whole(members(t, one, 0, nil))).element()
		for name, text := range map[string]string{
			"one digest":           one,
			"beside a stranger":    sealed(text, sealing(a.about(whole(parts), stranger).element())),
			"each member":          sealed(text, sealing(a.about(digestsOf(false, parts)...).element())),
			"each, and a stranger": sealed(text, sealing(a.about(append(digestsOf(false, parts), stranger)...).element())),
			"renewed":              sealed(text, sealing(a.about(whole(parts)).renew().renew().element())),
			"renewed tree":         sealed(text, sealing(a.about(whole(parts)).rehash(wide).renew().element())),
			"renewed tree, members": sealed(text, sealing(
				a.about(digestsOf(false, parts)...).rehash(digestsOf(true, parts)...).element())),
			"a later property": sealed(one, late),
			"two":              sealed(text, sealing(a.about(whole(parts)).element(), a.about(whole(parts)).element())),
			"one over one":     sealed(one, sealing(second)),
		} {
			s := mustOpen(t, text)[0]
			want := strings.Repeat("good, ", len(s.EvidenceRecords)-1) + "good"
			if got := words(s); got != want || !intact(s) {
				t.Errorf("%s, DER %t: %s: %+v", name, der, got, s)
			}
			if strings.HasPrefix(name, "one over") {
				if len(s.EvidenceRecords) != 2 {
					t.Fatalf("%d records", len(s.EvidenceRecords))
				}
				token := sha256.Sum256(s.EvidenceRecords[0].Timestamps[0].Token)
				if !slices.Contains(s.EvidenceRecords[1].Covers, token) || slices.Contains(s.EvidenceRecords[0].Covers, token) {
					t.Errorf("DER %t: the second record does not cover the first one's time-stamp, or that itself", der)
				}
			}
		}
		covers := mustOpen(t, one)[0].EvidenceRecords[0].Covers
		if !slices.Contains(covers, mustOpen(t, one)[0].Value) || !slices.Contains(covers, sha256.Sum256(signer.Cert.Raw)) {
			t.Errorf("DER %t: value and certificate are not proved to have existed", der)
		}
	}
}

// TestSealingRecordsOfOtherSignatures are about manifests, files beside the signature, counter-signatures, and
// signatures whose references leave node-sets.
func TestSealingRecordsOfOtherSignatures(t *testing.T) {
	signer, witness := officer(t), cmstest.NewSigner(t, "p256", "officer-2")
	files := []signature.Detached{{Name: "a.xml", Content: []byte("<a/>")}, {Name: "b.txt", Content: []byte("b")}}
	a := newArchive(t, false)
	listed := basic(signer)
	listed.references = []string{ref(`Id="S1-ref" Type="`+typeManifest+`" URI="#m"`, exclusiveURI)}
	listed.objects = `<ds:Object><ds:Manifest Id="m">` + ref(`URI="b.txt"`) + `</ds:Manifest></ds:Object>`
	text := strings.Replace(listed.text(), "<ds:DigestValue></ds:DigestValue></ds:Reference></ds:Manifest>",
		"<ds:DigestValue>"+b64(digestOf(false, []byte("b")))+"</ds:DigestValue></ds:Reference></ds:Manifest>", 1)
	text = complete(t, text, exact(files), signer)
	parts := members(t, text, 0, exact(files))
	entries := append(slices.Clone(parts), []byte("b"))
	check := func(name, text, want string, files ...signature.Detached) {
		t.Helper()
		if got := words(mustOpen(t, text, files...)[0]); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	record := func(text string, parts [][]byte) string {
		return sealed(text, sealing(a.about(whole(parts)).element()))
	}
	check("manifest", record(text, entries), "good", files...)
	check("manifest without its entry", record(text, parts), "changed", files...)
	check("manifest, nothing beside", record(text, entries), "missing")
	check("manifest, another file", record(text, entries), "changed",
		files[0], signature.Detached{Name: "b.txt", Content: []byte("c")})

	beside := basic(signer)
	beside.references = []string{ref(`Id="S1-ref" URI="a.xml"`), ref(`URI="b.txt"`)}
	text = complete(t, beside.text(), exact(files), signer)
	parts = members(t, text, 0, exact(files))
	check("files", record(text, parts), "good", files...)
	check("files, one lost", record(text, parts), "missing",
		files[0], signature.Detached{Name: "x", Content: []byte("b")})
	known := map[string][]byte{"SHA-256": digestOf(false, []byte("b"))}
	digests := []signature.Detached{files[0], {Name: "b.txt", Digests: known}}
	check("digests of files", record(text, parts), "good", digests...)
	check("the files alone", record(text, parts[:2]), "changed", files...)

	nodes := basic(signer)
	nodes.references = []string{ref(`Id="S1-ref" URI=""`, xmldsig.TransformEnveloped)}
	unused := strings.Replace(envelop(nodes), "<pismo ", `<pismo xmlns:u="urn:unused" `, 1)
	text = complete(t, unused, nil, signer)
	check("node-set", record(text, members(t, text, 0, nil)), "good")

	counter := template{id: "S2", signer: witness, claimed: witness.Cert.Raw,
		references: []string{ref(`Type="`+typeCountersigned+`" URI="#S1-value"`, exclusiveURI)}}
	m := basic(signer)
	m.unsigned = `<xades:CounterSignature>` + counter.text() + `</xades:CounterSignature>`
	text = complete(t, envelop(m), nil, signer, witness)
	check("over a counter-signature", record(text, members(t, text, 0, nil)), "good")
	own := strings.Replace(text, "</xades:UnsignedSignatureProperties>",
		sealing(a.about(whole(members(t, text, 1, nil))).element())+"</xades:UnsignedSignatureProperties>", 1)
	if all := mustOpen(t, own); words(all[1]) != "good" || len(all[0].EvidenceRecords) > 0 {
		t.Errorf("of a counter-signature: %q, of its parent: %q", words(all[1]), words(all[0]))
	}
	moved := strings.Replace(text, "</xades:UnsignedSignatureProperties>",
		sealing(a.about(whole(members(t, text, 0, nil))).element())+"</xades:UnsignedSignatureProperties>", 1)
	if all := mustOpen(t, moved); words(all[1]) != "changed" || len(all[0].EvidenceRecords) > 0 {
		t.Errorf("the parent's in a counter-signature: %q, the parent: %q", words(all[1]), words(all[0]))
	}
}

// TestRecordAttacks: a record proves what it is about and nothing else, and only where it belongs.
func TestRecordAttacks(t *testing.T) {
	signer := officer(t)
	m := basic(signer)
	m.references = append(m.references, ref(`Id="S1-part" URI="#tresc"`, exclusiveURI))
	m.unsigned = `<xades:CertificateValues><xades:EncapsulatedX509Certificate>` + b64(signer.Cert.Raw) +
		`</xades:EncapsulatedX509Certificate></xades:CertificateValues>`
	m.objects = `<ds:Object><note>1</note></ds:Object>`
	text := complete(t, envelop(m), nil, signer)
	parts := members(t, text, 0, nil)
	names := []string{"the document", "a part", "signed properties", "SignedInfo", "SignatureValue", "KeyInfo",
		"an unsigned property", "an object"}
	if len(parts) != len(names) {
		t.Fatalf("%d members", len(parts))
	}
	late := `<xades:RevocationValues/>`
	wide := sumOf(true, digestsOf(true, parts)...)
	other := strings.Replace(text, "Wniosek", "Odmowa", 1)
	for _, der := range []bool{false, true} {
		a := newArchive(t, der)
		good := a.about(whole(parts)).element()
		check := func(name, text, want string) {
			t.Helper()
			s := mustOpen(t, text)[0]
			got := words(s)
			if got != want {
				t.Errorf("%s, DER %t: %q, want %q: %+v", name, der, got, want, s.EvidenceRecords)
			}
			for _, r := range s.EvidenceRecords {
				if word(r) != "good" && (r.CoversSignature || len(r.Covers) > 0) {
					t.Errorf("%s, DER %t: it proves something", name, der)
				}
			}
		}
		for i, name := range names {
			less := slices.Delete(slices.Clone(parts), i, i+1)
			check("without "+name, sealed(text, sealing(a.about(whole(less)).element())), "changed")
			check("each but "+name, sealed(text, sealing(a.about(digestsOf(false, less)...).element())), "changed")
			check("each, a stranger for "+name, sealed(text, sealing(a.about(
				append(digestsOf(false, less), digestOf(false, []byte("x")))...).element())), "changed")
			check("nothing but "+name, sealed(text, sealing(a.about(digestOf(false, parts[i])).element())), "changed")
		}
		stale := a.about(whole(parts)).rehash(wide)
		stale.list = stale.list[1:] // of RFC 6283 the second chain is a record by itself, of its later time
		withoutFirst := stale.element()
		sums := digestsOf(false, parts)
		slices.SortFunc(sums, func(a, b []byte) int { return bytes.Compare(b, a) })
		overLater := a.about(whole(members(t, sealed(text, late), 0, nil))).element()
		overGood := a.about(whole(members(t, sealed(text, sealing(good)), 0, nil))).element()
		begun := func() *archive { return a.about(whole(parts)) }
		apart := func() *archive { return a.about(digestsOf(false, parts)...) }
		x := digestOf(false, []byte("x"))
		for _, c := range []struct{ name, record, want string }{
			{"other data", a.about(x).element(), "changed"},
			{"in descending order", a.about(digestOf(false, bytes.Join(sums, nil))).element(), "changed"},
			{"octets in a row", a.about(digestOf(false, bytes.Join(parts, nil))).element(), "changed"},
			{"over one beside it", good + overGood, "good, changed"},
			{"renewal of other data", begun().stamp(false, false, x).element(), "stamp"},
			{"renewal of the renewed", renewedBefore(a, parts), "stamp"},
			{"tree renewal without the group", begun().rehash(digestOf(true, []byte("x"))).element(), "stamp"},
			{"tree renewal by old digests", begun().rehash(digestOf(true, whole(parts))).element(), "stamp"},
			{"tree renewal of members", begun().rehash(digestsOf(true, parts)...).element(), "stamp"},
			{"tree renewal without a member", apart().rehash(digestsOf(true, parts[1:])...).element(), "stamp"},
			{"first chain taken out", withoutFirst, map[bool]string{false: "good", true: "changed"}[der]},
			{"wrapped", "<x>" + good + "</x>", ""},
			{"in an object", "<ds:Object>" + good + "</ds:Object>", ""},
		} {
			check(c.name, sealed(text, sealing(c.record)), c.want)
		}
		beneath := `<xades:CertificateValues>` + sealing(good) + `</xades:CertificateValues>`
		beside := "<xades:UnsignedDataObjectProperties>" + sealing(good) + "</xades:UnsignedDataObjectProperties>"
		for _, c := range []struct{ name, text, want string }{
			{"of a changed document", sealed(other, sealing(good)), "changed"},
			{"a property before it", sealed(text, late+sealing(good)), "changed"},
			{"over a later property", sealed(text, sealing(overLater)+late), "changed"},
			{"twice, one over the other", sealed(text, sealing(good)+sealing(good)), "good, changed"},
			{"in a namespace of XAdES", sealed(text, strings.ReplaceAll(sealing(good), ns19132, ns132)), ""},
			{"in no property", strings.Replace(text, "<ds:Object><note>", sealing(good)+"<ds:Object><note>", 1), ""},
			{"in an object", strings.Replace(text, "<note>1</note>", sealing(good), 1), ""},
			{"beneath another property", sealed(text, beneath), ""},
			{"beside the signature properties", inside(text, "</xades:UnsignedProperties>", beside), ""},
		} {
			check(c.name, c.text, c.want)
		}
	}
	for name, content := range map[string]string{
		"no base64": "!", "nothing": "", "no record": "MAA=", "a token": b64([]byte{0x30, 0x03, 2, 1, 1}),
	} {
		record := "<en:ASN1EvidenceRecord>" + content + "</en:ASN1EvidenceRecord>"
		if got := words(mustOpen(t, sealed(text, sealing(record)))[0]); got != "format" {
			t.Errorf("%s: %q", name, got)
		}
	}
	empty := `<EvidenceRecord xmlns="` + ers.Namespace + `" Version="1.0"/>`
	if got := words(mustOpen(t, sealed(text, sealing(empty)))[0]); got != "format" {
		t.Errorf("an empty record: %q", got)
	}
}

// TestRecordNames: what has the names of records in another namespace is none.
func TestRecordNames(t *testing.T) {
	signer := officer(t)
	text := complete(t, envelop(basic(signer)), nil, signer)
	whole := whole(members(t, text, 0, nil))
	xml := newArchive(t, false).about(whole).element()
	der := strings.ReplaceAll(newArchive(t, true).about(whole).element(), "en:ASN1EvidenceRecord", "xades:ASN1EvidenceRecord")
	for name, record := range map[string]string{
		"EvidenceRecord":     strings.Replace(xml, `="`+ers.Namespace, `="urn:x`, 1),
		"ASN1EvidenceRecord": der,
	} {
		if s := mustOpen(t, sealed(text, sealing(record)))[0]; len(s.EvidenceRecords) > 0 || len(s.Notes) == 0 {
			t.Errorf("%s of another namespace: %q", name, words(s))
		}
	}
}

// renewedBefore is a record whose second renewal is about the first time-stamp once more.
func renewedBefore(a *archive, parts [][]byte) string {
	a.about(whole(parts)).renew()
	first := a.list[1].first
	return a.stamp(false, false, first...).element()
}

// TestRecordsOfTwins moves a record between two signatures of one document, and gives both the same Id.
func TestRecordsOfTwins(t *testing.T) {
	signer := officer(t)
	one, two := basic(signer), basic(signer)
	two.id = "S2"
	two.references = []string{ref(`Id="S2-ref" URI="#tresc"`, exclusiveURI)}
	two.data = ""
	one.references = []string{ref(`Id="S1-ref" URI="#tresc"`, exclusiveURI)}
	text := complete(t, strings.Replace(envelope, "SIGNATURE", one.text()+two.text(), 1), nil, signer, signer)
	a := newArchive(t, false)
	ofFirst := sealing(a.about(whole(members(t, text, 0, nil))).element())
	at := strings.Index(text, "</xades:UnsignedSignatureProperties>")
	all := mustOpen(t, text[:at]+ofFirst+text[at:])
	if words(all[0]) != "good" || len(all[1].EvidenceRecords) > 0 {
		t.Errorf("of the first: %q, %q", words(all[0]), words(all[1]))
	}
	all = mustOpen(t, sealed(text, ofFirst))
	if words(all[1]) != "changed" || len(all[0].EvidenceRecords) > 0 {
		t.Errorf("moved to the second: %q, %q", words(all[0]), words(all[1]))
	}
	both := sealed(text[:at]+ofFirst+text[at:], ofFirst)
	ids := map[string]bool{}
	for _, s := range mustOpen(t, both) {
		for _, r := range s.EvidenceRecords {
			ids[r.ID], ids[r.Timestamps[0].ID] = true, true
		}
	}
	if len(ids) != 4 {
		t.Errorf("IDs of a record that stands twice: %v", ids)
	}
	if s := mustOpen(t, strings.ReplaceAll(text[:at]+ofFirst+text[at:], `"S2`, `"S1`))[0]; len(s.Structure) == 0 {
		t.Errorf("two signatures of one Id: %q, %+v", words(s), s.Structure)
	}
}

// TestRecordsBesideStamps: time-stamps cover the records before them, and the records the time-stamps.
func TestRecordsBesideStamps(t *testing.T) {
	signer, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	text := complete(t, envelop(basic(signer)), nil, signer)
	a := newArchive(t, false)
	value, err := readNth(t, text, 0).ValueNode.Canonical(xmldsig.Canonicalization{})
	if err != nil {
		t.Fatal(err)
	}
	token := tsu.Stamp(t, value, cmstest.Now)
	text = sealed(text, `<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>`+b64(token)+
		`</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>`)
	text = sealed(text, sealing(a.about(whole(members(t, text, 0, nil))).element()))
	archiveToken := tsu.Stamp(t, bytes.Join(inclusiveMembers(t, text), nil), cmstest.Now)
	text = sealed(text, `<a:ArchiveTimeStamp xmlns:a="`+ns141+`"><xades:EncapsulatedTimeStamp>`+b64(archiveToken)+
		`</xades:EncapsulatedTimeStamp></a:ArchiveTimeStamp>`)
	s := mustOpen(t, text)[0]
	if words(s) != "good" || len(s.Timestamps) != 2 || s.Level != "B-T" {
		t.Fatalf("%q, level %s: %+v", words(s), s.Level, s)
	}
	if !slices.Contains(s.EvidenceRecords[0].Covers, sha256.Sum256(token)) {
		t.Error("the record does not cover the time-stamp before it")
	}
	stamp := s.Timestamps[1]
	if !stamp.Imprint || !slices.Contains(stamp.Covers, sha256.Sum256(s.EvidenceRecords[0].Timestamps[0].Token)) {
		t.Errorf("the archive time-stamp does not cover the record's: %+v", stamp)
	}
}

// inclusiveMembers are those of an archive time-stamp without a method, in Canonical XML 1.0.
func inclusiveMembers(t testing.TB, text string) [][]byte {
	t.Helper()
	const method = `CanonicalizationMethod Algorithm="`
	text = strings.Replace(text, method+exclusiveURI, method+inclusiveURI, 1)
	exclusive := members(t, strings.Replace(text, inclusiveURI, exclusiveURI, 1), 0, nil)
	all := members(t, text, 0, nil)
	info := strings.Replace(string(all[2]), inclusiveURI, exclusiveURI, 1)
	all[2] = []byte(info)
	all[0], all[1] = exclusive[0], exclusive[1]
	return all
}

// TestRecordsCost: each record is held against all that the signature is made of.
func TestRecordsCost(t *testing.T) {
	signer := officer(t)
	a := newArchive(t, false)
	text := complete(t, envelop(basic(signer)), nil, signer)
	record := sealing(a.about(whole(members(t, text, 0, nil))).element())
	many := mustOpen(t, sealed(text, strings.Repeat(record, 40)))[0]
	if len(many.EvidenceRecords) != maxRecords || !strings.HasPrefix(words(many), "good, changed") {
		t.Errorf("%d records: %s", len(many.EvidenceRecords), words(many))
	}
	other := sealing(a.about(whole([][]byte{{1}})).rehash([]byte("x")).element())
	big := sealed(text, filled(1<<20, `<xades:RevocationValues/>`)+strings.Repeat(other, 16))
	const work = 100_000_000
	budgettest.Check(t, len(big), budgettest.Limit{Time: 15 * work, Alloc: 4 * work}, func() {
		b := budget.Of(t.Context(), work, 16<<20)
		doc, err := Open(b, []byte(big), nil)
		if err != nil || doc.Signatures[0].Unchecked == "" || len(doc.Signatures[0].EvidenceRecords) > 0 {
			t.Errorf("the budget did not end it: %v, %+v", err, doc)
		}
	})
}

// TestRecordsShareDigests: what records of one algorithm are about is digested once.
func TestRecordsShareDigests(t *testing.T) {
	signer := officer(t)
	a := newArchive(t, false)
	rows := filled(1<<20, `<Wiersz lp="1">1.00</Wiersz>`)
	m := basic(signer)
	m.references = []string{ref(`Id="S1-ref" URI=""`, xmldsig.TransformEnveloped)} // leaves a node-set
	text := complete(t, strings.Replace(envelop(m), "Wniosek", rows, 1), nil, signer)
	record := a.about(whole(members(t, text, 0, nil))).element()
	spent := func(records ...string) int64 {
		b := budget.New(t.Context(), len(text))
		before := b.Left()
		doc, err := Open(b, []byte(sealed(text, sealing(records...))), nil)
		if err != nil || !strings.HasPrefix(words(doc.Signatures[0]), "good") {
			t.Fatal(err, doc)
		}
		return before - b.Left()
	}
	one, ten := spent(record), spent(slices.Repeat([]string{record}, 10)...)
	if ten > one+one/5 {
		t.Errorf("one record costs %d, ten %d", one, ten)
	}
}

// TestExtents: a certificate and the same with padding after it are two objects.
func TestExtents(t *testing.T) {
	r := &reader{budget: budget.New(t.Context(), 1<<20), certificates: map[extent]*certificate.Certificate{}}
	padded := append(bytes.Clone(officer(t).Cert.Raw), 0)
	whole := r.certificate(padded[:len(padded)-1])
	if whole == nil || r.certificate(padded) != nil || r.certificate(padded[:len(padded)-1]) != whole || r.certificate(nil) != nil {
		t.Error("the same certificate of different octets")
	}
}
