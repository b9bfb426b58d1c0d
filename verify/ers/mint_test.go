package ers_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/algorithm"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// ats is an archive time-stamp that is being made.
type ats struct {
	tree [][][]byte
	hash algorithm.Hash // the field, NoHash: absent (RFC 4998)
	root []byte         // what is stamped, where that is not the tree's
	by   algorithm.Hash // of the imprint, where that is another
	at   time.Time

	token []byte
}

// rec is a record that is being made, of either syntax.
type rec struct {
	t      testing.TB
	tsu    cmstest.Identity
	xml    bool
	now    time.Time
	chains [][]*ats
	hashes []algorithm.Hash // of the chains
	listed []algorithm.Hash // digestAlgorithms
	// orders are the Order attributes of chains, where they are not 1, 2, 3.
	orders []int
	bare   bool   // tokens without certificates
	infos  []byte // an attribute of cryptoInfos
	// information stands beside each token in XML.
	information string
}

var start = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

func newRecord(t testing.TB, xml bool) *rec {
	return &rec{t: t, tsu: cmstest.NewTSU(t, "p256", "Archive TSU"), xml: xml, now: start}
}

var (
	contract = []byte("umowa")
	annex    = []byte("zalacznik")
	other    = []byte("another archive's document")
)

// sum is the root of a list as RFC 4998 4.3 says, written down once more.
func sum(h algorithm.Hash, values ...[]byte) []byte {
	if len(values) == 1 {
		return values[0]
	}
	values = slices.Clone(values)
	slices.SortFunc(values, bytes.Compare)
	return h.Sum(values...)
}

func (a *ats) top(h algorithm.Hash) []byte {
	var value []byte
	for _, list := range a.tree {
		if value != nil {
			list = append(slices.Clone(list), value)
		}
		value = sum(h, list...)
	}
	return value
}

func identifier(t testing.TB, h algorithm.Hash) []byte {
	t.Helper()
	oid, err := cms.ParseOID(h.OID())
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(oid)) })
	})
	return b.BytesOrPanic()
}

// stamp makes the token of an archive time-stamp.
func (r *rec) stamp(h algorithm.Hash, a *ats) *ats {
	r.t.Helper()
	root := a.root
	if root == nil {
		root = a.top(h)
	}
	if a.by != algorithm.NoHash {
		h = a.by
	}
	if a.at.IsZero() {
		r.now = r.now.AddDate(0, 1, 0)
		a.at = r.now
	}
	token, err := cms.SignTimestamp(cms.TimestampConfig{
		Signer: r.tsu.Key, Certificate: r.tsu.Cert.Raw, Hash: crypto.SHA256, Policy: cmstest.Policy,
		OmitCertificates: r.bare, HashAlgorithm: identifier(r.t, h), Imprint: root, Serial: big.NewInt(1), Time: a.at,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	a.token = token
	return a
}

// open begins a chain with a time-stamp.
func (r *rec) open(h algorithm.Hash, a *ats) *rec {
	r.t.Helper()
	r.chains, r.hashes = append(r.chains, []*ats{r.stamp(h, a)}), append(r.hashes, h)
	return r
}

// first begins the record about data, beside a stranger's hash one level up.
func (r *rec) first(data ...[]byte) *rec {
	r.t.Helper()
	return r.open(algorithm.SHA256, &ats{tree: [][][]byte{leaves(algorithm.SHA256, data...), {algorithm.SHA256.Sum(other)}}})
}

func leaves(h algorithm.Hash, data ...[]byte) [][]byte {
	var list [][]byte
	for _, d := range data {
		list = append(list, h.Sum(d))
	}
	return list
}

// content is what a renewal of a time-stamp is about.
func (r *rec) content(a *ats) []byte {
	if !r.xml {
		return a.token
	}
	return []byte(strings.Replace(r.timestampElement(a), "<TimeStamp>", `<TimeStamp xmlns="`+ers.Namespace+`">`, 1))
}

// last is the newest time-stamp.
func (r *rec) last() *ats {
	chain := r.chains[len(r.chains)-1]
	return chain[len(chain)-1]
}

// add renews in the newest chain by a time-stamp.
func (r *rec) add(a *ats) *rec {
	r.t.Helper()
	n := len(r.chains) - 1
	r.chains[n] = append(r.chains[n], r.stamp(r.hashes[n], a))
	return r
}

// renew is a time-stamp renewal as it should be.
func (r *rec) renew() *rec {
	r.t.Helper()
	h := r.hashes[len(r.hashes)-1]
	return r.add(&ats{tree: [][][]byte{{h.Sum(r.content(r.last())), h.Sum(other)}}})
}

// rehash is a hash-tree renewal about data.
func (r *rec) rehash(h algorithm.Hash, data ...[]byte) *rec {
	r.t.Helper()
	return r.open(h, &ats{tree: [][][]byte{r.group(h, len(r.chains), data...)}})
}

// group is the first list of a hash-tree renewal that covers so many chains.
func (r *rec) group(h algorithm.Hash, chains int, data ...[]byte) [][]byte {
	sequence := h.Sum(r.before(chains))
	if r.xml {
		return append(leaves(h, data...), sequence)
	}
	var list [][]byte
	for _, d := range data {
		list = append(list, h.Sum(h.Sum(d), sequence))
	}
	return list
}

// before is the encoded sequence of so many chains.
func (r *rec) before(chains int) []byte {
	if r.xml {
		return []byte(strings.Replace(r.sequenceElement(chains), "<ArchiveTimeStampSequence>",
			`<ArchiveTimeStampSequence xmlns="`+ers.Namespace+`">`, 1))
	}
	var b cryptobyte.Builder
	r.addSequence(&b, chains)
	return b.BytesOrPanic()
}

func (r *rec) encode() []byte {
	if r.xml {
		return []byte(`<?xml version="1.0"?>` + "\n" + `<EvidenceRecord xmlns="` + ers.Namespace + `" Version="1.0">` +
			r.sequenceElement(len(r.chains)) + `</EvidenceRecord>`)
	}
	listed := r.listed
	if listed == nil {
		listed = r.hashes
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, h := range listed {
				b.AddBytes(identifier(r.t, h))
			}
		})
		if r.infos != nil {
			b.AddASN1(0xa0, func(b *cryptobyte.Builder) { b.AddBytes(r.infos) })
		}
		r.addSequence(b, len(r.chains))
	})
	return b.BytesOrPanic()
}

func (r *rec) addSequence(b *cryptobyte.Builder, chains int) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, chain := range r.chains[:chains] {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, a := range chain {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { r.addTimestamp(b, a) })
				}
			})
		}
	})
}

func (r *rec) addTimestamp(b *cryptobyte.Builder, a *ats) {
	if a.hash != algorithm.NoHash {
		field := identifier(r.t, a.hash)
		b.AddBytes(append([]byte{0xa0}, field[1:]...))
	}
	if a.tree != nil {
		b.AddASN1(0xa2, func(b *cryptobyte.Builder) {
			for _, list := range a.tree {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, value := range list {
						b.AddASN1OctetString(value)
					}
				})
			}
		})
	}
	b.AddBytes(a.token)
}

var uris = map[algorithm.Hash]string{
	algorithm.SHA256: "http://www.w3.org/2001/04/xmlenc#sha256", algorithm.SHA512: "http://www.w3.org/2001/04/xmlenc#sha512",
	algorithm.SHA1: "http://www.w3.org/2000/09/xmldsig#sha1",
}

const c14n = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"

func (r *rec) sequenceElement(chains int) string {
	var s strings.Builder
	s.WriteString("<ArchiveTimeStampSequence>")
	for i, chain := range r.chains[:chains] {
		order := i + 1
		if r.orders != nil {
			order = r.orders[i]
		}
		fmt.Fprintf(&s, `<ArchiveTimeStampChain Order="%d"><DigestMethod Algorithm="%s"></DigestMethod>`, order, uris[r.hashes[i]])
		fmt.Fprintf(&s, `<CanonicalizationMethod Algorithm="%s"></CanonicalizationMethod>`, c14n)
		for j, a := range chain {
			fmt.Fprintf(&s, `<ArchiveTimeStamp Order="%d">%s%s</ArchiveTimeStamp>`, j+1, treeElement(a), r.timestampElement(a))
		}
		s.WriteString("</ArchiveTimeStampChain>")
	}
	s.WriteString("</ArchiveTimeStampSequence>")
	return s.String()
}

func treeElement(a *ats) string {
	if a.tree == nil {
		return ""
	}
	var s strings.Builder
	s.WriteString("<HashTree>")
	for i, list := range a.tree {
		fmt.Fprintf(&s, `<Sequence Order="%d">`, i+1)
		for _, value := range list {
			fmt.Fprintf(&s, "<DigestValue>%s</DigestValue>", base64.StdEncoding.EncodeToString(value))
		}
		s.WriteString("</Sequence>")
	}
	return s.String() + "</HashTree>"
}

func (r *rec) timestampElement(a *ats) string {
	token := base64.StdEncoding.EncodeToString(a.token)
	return `<TimeStamp><TimeStampToken Type="RFC3161">` + token + `</TimeStampToken>` + r.information + `</TimeStamp>`
}

func derSequence(content []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}

// object is data that the record claims to be about.
func object(name string, data []byte) ers.Object {
	digest := func(h algorithm.Hash) ([]byte, error) { return h.Sum(data), nil }
	return ers.Object{Name: name, Named: true, Digest: digest, Covers: [][32]byte{[32]byte(algorithm.SHA256.Sum(data))}, Signature: true}
}

// parse checks a record about data, the first of which is called contract, the second annex.
func parse(record []byte, data ...[]byte) *signature.EvidenceRecord {
	var objects []ers.Object
	for i, d := range data {
		objects = append(objects, object([]string{"contract", "annex"}[i], d))
	}
	return ers.Parse(budget.New(context.Background(), len(record)), record, objects...)
}

// fault is the first reason why a record proves nothing, or "".
func fault(r *signature.EvidenceRecord) string {
	if len(r.Structure) > 0 {
		return "structure: " + r.Structure[0]
	}
	if r.Unchecked != "" {
		return "unchecked: " + r.Unchecked
	}
	for i, t := range r.Timestamps {
		switch {
		case !t.Intact || len(t.Structure) > 0:
			return fmt.Sprintf("time-stamp %d is not intact: %v", i, t.Structure)
		case !t.Found:
			return fmt.Sprintf("time-stamp %d: not found", i)
		case !t.Imprint:
			return fmt.Sprintf("time-stamp %d: imprint", i)
		}
	}
	intact := false
	for _, ref := range r.References {
		switch {
		case ref.Type == "orphan":
		case ref.Unchecked != "":
			return ref.Name + " unchecked: " + ref.Unchecked
		case !ref.Found:
			return ref.Name + " not found"
		case !ref.Intact:
			return ref.Name + " changed"
		default:
			intact = true
		}
	}
	if !intact {
		return "about nothing at hand"
	}
	return ""
}

// proves tells whether anything of the record is a proof of existence.
func proves(r *signature.EvidenceRecord) bool {
	if len(r.Covers) > 0 || r.CoversSignature {
		return true
	}
	return slices.ContainsFunc(r.Timestamps, func(t *signature.Timestamp) bool { return len(t.Covers) > 0 || t.CoversSignature })
}
