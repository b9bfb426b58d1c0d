package ers_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

const (
	each = iota
	asn1Only
	xmlOnly
)

// attack is a record that must prove nothing, for the stated reason.
type attack struct {
	name   string
	syntax int
	data   [][]byte // what is at hand; nil: the contract
	make   func(r *rec)
	change func(record []byte) []byte
	want   string
	xml    string // what is wanted in XML, where that is another reason
}

var pair = [][]byte{contract, annex}

var treeAttacks = []attack{
	{name: "changed datum", data: [][]byte{[]byte("umowa!")}, make: func(r *rec) { r.first(contract) },
		want: "contract changed"},
	{name: "datum omitted", data: pair, make: func(r *rec) { r.first(annex) }, want: "contract changed"},
	{name: "a part covered", data: pair, make: func(r *rec) { r.first(contract) }, want: "annex changed"},
	{name: "hash as data", data: [][]byte{algorithm.SHA256.Sum(contract)}, make: func(r *rec) { r.first(contract) },
		want: "contract changed"},
	{name: "datum in the second list", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{leaves(algorithm.SHA256, other), leaves(algorithm.SHA256, contract)}})
	}, want: "contract changed"},
	{name: "swapped leaf", make: func(r *rec) { r.first(annex).last().tree[0] = leaves(algorithm.SHA256, contract) },
		want: "time-stamp 0: imprint"},
	{name: "swapped sibling", make: func(r *rec) { r.first(contract).last().tree[1] = leaves(algorithm.SHA256, annex) },
		want: "time-stamp 0: imprint"},
	{name: "added leaf", make: func(r *rec) {
		a := r.first(annex).last()
		a.tree[0] = append(a.tree[0], algorithm.SHA256.Sum(contract))
	}, want: "time-stamp 0: imprint"},
	{name: "duplicated leaf", make: func(r *rec) {
		a := r.first(contract, annex).last()
		a.tree[0] = append(a.tree[0], a.tree[0][0])
	}, data: pair, want: "time-stamp 0: imprint"},
	{name: "duplicated list", make: func(r *rec) { a := r.first(contract).last(); a.tree = append(a.tree, a.tree[1]) },
		want: "time-stamp 0: imprint"},
	{name: "removed list", make: func(r *rec) { a := r.first(contract).last(); a.tree = a.tree[:1] },
		want: "time-stamp 0: imprint"},
	{name: "tree taken away", make: func(r *rec) { r.first(contract).last().tree = nil }, want: "time-stamp 0: imprint"},
	{name: "bare time-stamp of something else", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{root: algorithm.SHA256.Sum(other)})
	}, want: "time-stamp 0: imprint"},
	{name: "bare time-stamp of one of two", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{root: algorithm.SHA256.Sum(contract)})
	}, data: [][]byte{contract, annex}, want: "changed"},
	{name: "tree before a bare time-stamp", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{root: algorithm.SHA256.Sum(other)}).last().tree = [][][]byte{leaves(algorithm.SHA256, contract)}
	}, want: "time-stamp 0: imprint"},
	{name: "lists reordered", make: func(r *rec) { slices.Reverse(r.first(contract).last().tree) },
		want: "contract changed"},
	{name: "leaf in two pieces", make: func(r *rec) {
		h := algorithm.SHA256.Sum(other)
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{{algorithm.SHA256.Sum(contract), h[:16], h[16:]}}})
	}, want: "no digest by SHA-256"},
	{name: "two leaves in one piece", make: func(r *rec) {
		h := slices.Concat(algorithm.SHA256.Sum(other), algorithm.SHA256.Sum(annex))
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{leaves(algorithm.SHA256, contract), {h}}})
	}, want: "no digest by SHA-256"},
	{name: "empty leaf", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{{algorithm.SHA256.Sum(contract), {}}}})
	}, want: "no digest by SHA-256"},
	{name: "another root stamped", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{leaves(algorithm.SHA256, contract, other)}, root: algorithm.SHA256.Sum(other)})
	}, want: "time-stamp 0: imprint"},
	{name: "stamped by another algorithm", make: func(r *rec) {
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{leaves(algorithm.SHA256, contract)}, hash: algorithm.SHA256, by: algorithm.SHA512})
	}, want: "a hash tree by SHA-256 is time-stamped by SHA-512"},
	{name: "token changed", make: func(r *rec) {
		a := r.first(contract).last()
		a.token = slices.Clone(a.token)
		a.token[len(a.token)-1] ^= 1
	}, want: "time-stamp 0 is not intact"},
	{name: "no token", make: func(r *rec) { r.first(contract).last().token = []byte{0x30, 0} },
		want: "time-stamp 0 is not intact"},
}

var chainAttacks = []attack{
	{name: "first time-stamp cut off", make: func(r *rec) { r.first(contract).renew(); r.chains[0] = r.chains[0][1:] },
		want: "contract changed"},
	{name: "middle time-stamp cut out", make: func(r *rec) {
		r.first(contract).renew().renew()
		r.chains[0] = slices.Delete(r.chains[0], 1, 2)
	}, want: "time-stamp 1: imprint"},
	{name: "time-stamps swapped", make: func(r *rec) { r.first(contract).renew(); slices.Reverse(r.chains[0]) },
		want: "renews one of"},
	{name: "time-stamp twice", make: func(r *rec) { r.first(contract); r.chains[0] = append(r.chains[0], r.last()) },
		want: "time-stamp 1: imprint"},
	{name: "renewal of another record's token", make: func(r *rec) {
		foreign := newRecord(r.t, r.xml).first(contract)
		r.first(contract).add(&ats{tree: [][][]byte{{algorithm.SHA256.Sum(foreign.content(foreign.last()))}}})
	}, want: "time-stamp 1: imprint"},
	{name: "renewal about the data", make: func(r *rec) {
		r.first(contract).add(&ats{tree: [][][]byte{leaves(algorithm.SHA256, contract)}})
	}, want: "time-stamp 1: imprint"},
	{name: "token in the second list of a renewal", make: func(r *rec) {
		r.first(contract)
		r.add(&ats{tree: [][][]byte{leaves(algorithm.SHA256, other), {algorithm.SHA256.Sum(r.content(r.last()))}}})
	}, want: "time-stamp 1: imprint"},
	{name: "bare renewal of another token",
		make: func(r *rec) { r.first(contract).add(&ats{root: algorithm.SHA256.Sum(other)}) },
		want: "time-stamp 1: imprint"},
	{name: "swapped leaf of a renewal", make: func(r *rec) {
		r.first(contract).add(&ats{tree: [][][]byte{leaves(algorithm.SHA256, other)}})
		r.last().tree[0][0] = algorithm.SHA256.Sum(r.content(r.chains[0][0]))
	}, want: "time-stamp 1: imprint"},
	{name: "renewal by another algorithm", make: func(r *rec) {
		r.first(contract)
		r.add(&ats{tree: [][][]byte{{algorithm.SHA512.Sum(r.content(r.last()))}}, by: algorithm.SHA512, root: algorithm.SHA512.Sum(r.content(r.last()))})
	}, want: "a chain uses SHA-256 and SHA-512", xml: "a hash tree by SHA-256 is time-stamped by SHA-512"},
	{name: "renewal in the past", make: func(r *rec) {
		r.first(contract)
		r.add(&ats{tree: [][][]byte{{algorithm.SHA256.Sum(r.content(r.last()))}}, at: start})
	}, want: "renews one of"},
	{name: "hash-tree renewal in the past", make: func(r *rec) {
		r.first(contract).open(algorithm.SHA512, &ats{tree: [][][]byte{r.group(algorithm.SHA512, 1, contract)}, at: start})
	}, want: "renews one of"},
	{name: "renewal of fewer objects", data: pair,
		make: func(r *rec) { r.first(contract, annex).rehash(algorithm.SHA512, contract) },
		want: "time-stamp 1: imprint"},
	{name: "renewal of fewer objects of two", data: pair,
		make: func(r *rec) { r.first(contract, annex).rehash(algorithm.SHA512, annex) },
		want: "time-stamp 1: imprint"},
	{name: "renewal of another object", make: func(r *rec) { r.first(contract).rehash(algorithm.SHA512, annex) },
		want: "time-stamp 1: imprint"},
	{name: "second renewal of fewer objects", data: pair, make: func(r *rec) {
		r.first(contract, annex).rehash(algorithm.SHA512, contract, annex).rehash(algorithm.SHA256, contract)
	}, want: "time-stamp 2: imprint"},
	{name: "renewal without the chains before", make: func(r *rec) {
		r.first(contract).open(algorithm.SHA512, &ats{tree: [][][]byte{leaves(algorithm.SHA512, contract)}})
	}, want: "time-stamp 1: imprint"},
	{name: "renewal without the data", make: func(r *rec) {
		r.first(contract).open(algorithm.SHA512, &ats{tree: [][][]byte{{algorithm.SHA512.Sum(r.before(1))}}})
	}, want: "time-stamp 1: imprint"},
	{name: "renewal of a shorter sequence", make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract)
		r.open(algorithm.SHA256, &ats{tree: [][][]byte{r.group(algorithm.SHA256, 1, contract)}})
	}, want: "time-stamp 2: imprint"},
	{name: "time-stamp added before a renewal", make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract)
		r.now = start.AddDate(0, 1, 0)
		a := r.stamp(algorithm.SHA256, &ats{root: algorithm.SHA256.Sum(r.content(r.chains[0][0])), at: r.now})
		r.chains[0] = append(r.chains[0], a)
	}, want: "time-stamp 2: imprint"},
	{name: "chain of another record", make: func(r *rec) {
		foreign := newRecord(r.t, r.xml).first(contract).rehash(algorithm.SHA512, contract)
		r.first(contract)
		r.chains, r.hashes = append(r.chains, foreign.chains[1]), foreign.hashes
	}, want: "time-stamp 1: imprint"},
	{name: "first chain of another record", make: func(r *rec) {
		foreign := newRecord(r.t, r.xml).first(contract)
		r.first(contract).rehash(algorithm.SHA512, contract)
		r.chains[0] = foreign.chains[0]
	}, want: "time-stamp 1: imprint"},
	{name: "middle chain cut out", make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract).rehash(algorithm.SHA256, contract)
		r.chains, r.hashes = slices.Delete(r.chains, 1, 2), slices.Delete(r.hashes, 1, 2)
	}, want: "time-stamp 1: imprint"},
	{name: "renewal cut off and chains joined", make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA256, contract)
		r.chains = [][]*ats{append(r.chains[0], r.chains[1]...)}
	}, want: "time-stamp 1: imprint"},
	{name: "tree of a hash-tree renewal swapped", make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, annex).last().tree[0] = r.group(algorithm.SHA512, 1, contract)
	}, want: "time-stamp 1: imprint"},
}

var syntaxAttacks = []attack{
	{name: "first chain cut off", syntax: asn1Only, make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract)
		r.chains = r.chains[1:]
	}, want: "contract changed"},
	{name: "sequence before datum", syntax: asn1Only, make: func(r *rec) {
		h := algorithm.SHA512
		r.first(contract)
		r.open(h, &ats{tree: [][][]byte{{h.Sum(h.Sum(r.before(1)), h.Sum(contract))}}})
	}, want: "time-stamp 1: imprint"},
	{name: "datum and sequence side by side", syntax: asn1Only, make: func(r *rec) {
		h := algorithm.SHA512
		r.first(contract)
		r.open(h, &ats{tree: [][][]byte{{h.Sum(r.before(1)), h.Sum(contract)}}})
	}, want: "time-stamp 1: imprint"},
	{name: "algorithm not listed", syntax: asn1Only, make: func(r *rec) {
		r.first(contract).listed = []algorithm.Hash{algorithm.SHA512}
	}, want: "SHA-256 is not among"},
	{name: "tree named by another algorithm", syntax: asn1Only, make: func(r *rec) {
		r.first(contract).last().hash = algorithm.SHA512
		r.listed = []algorithm.Hash{algorithm.SHA256, algorithm.SHA512}
	}, want: "a hash tree by SHA-512 is time-stamped by SHA-256"},
	{name: "octets behind", syntax: asn1Only, make: func(r *rec) { r.first(contract) },
		change: func(b []byte) []byte { return append(b, 0) }, want: "octets follow"},
	{name: "version 2", make: func(r *rec) { r.first(contract) }, change: func(b []byte) []byte {
		b = bytes.Replace(b, []byte{2, 1, 1}, []byte{2, 1, 2}, 1)
		return bytes.Replace(b, []byte(`Version="1.0"`), []byte(`Version="2.0"`), 1)
	}, want: "no version 1", xml: "version 1.0"},
	{name: "empty tree", make: func(r *rec) { r.first(contract).last().tree = [][][]byte{} },
		want: "empty reducedHashtree", xml: "no Sequence"},
	{name: "empty list", make: func(r *rec) { r.first(contract).last().tree[1] = nil },
		want: "empty PartialHashtree", xml: "no DigestValue"},
	{name: "empty chain", make: func(r *rec) { r.first(contract).chains[0] = nil },
		want: "empty ArchiveTimeStampChain", xml: "no ArchiveTimeStamp in"},
	{name: "no chain", make: func(r *rec) { r.first(contract).chains = nil }, want: "no ArchiveTimeStampChain"},
	{name: "chains out of order", syntax: xmlOnly, make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract).orders = []int{2, 1}
	}, want: "renews one of"},
	{name: "order from 2", syntax: xmlOnly, make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract)
		r.chains, r.hashes, r.orders = r.chains[1:], r.hashes[1:], []int{2}
	}, want: `the Order "2"`},
	{name: "order twice", syntax: xmlOnly, make: func(r *rec) {
		r.first(contract).rehash(algorithm.SHA512, contract).orders = []int{1, 1}
	}, want: `the Order "1"`},
	{name: "evidence added to a renewed time-stamp", syntax: xmlOnly, make: func(r *rec) { r.first(contract).renew() },
		change: replace("</TimeStampToken>", `</TimeStampToken><CryptographicInformationList>`+
			`<CryptographicInformation Order="1" Type="CERT">AAAA</CryptographicInformation></CryptographicInformationList>`),
		want: "time-stamp 1: imprint"},
	{name: "attribute added before a hash-tree renewal", syntax: xmlOnly,
		make:   func(r *rec) { r.first(contract).rehash(algorithm.SHA512, contract) },
		change: replace("</TimeStamp>", `</TimeStamp><Attributes/>`), want: "time-stamp 1: imprint"},
	{name: "two trees", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("<HashTree>", "<HashTree/><HashTree>"),
		want:   "unexpected <HashTree>"},
	{name: "two time-stamps", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("<TimeStamp>", "<TimeStamp/><TimeStamp>"),
		want:   "unexpected <TimeStamp>"},
	{name: "a stranger's element", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("<HashTree>", `<HashTree><x xmlns="urn:x"/>`), want: "unexpected <x>"},
	{name: "an element of another namespace", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("<TimeStamp>", `<TimeStamp xmlns="urn:x">`), want: "unexpected <TimeStamp>"},
	{name: "another namespace", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("ns:ers", "ns:sre"),
		want:   "no EvidenceRecord"},
	{name: "no base64", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("<DigestValue>", "<DigestValue>%"),
		want:   "base64"},
	{name: "unknown digest algorithm", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("xmlenc#sha256", "xmlenc#sha257"),
		want:   "unchecked: "},
	{name: "unknown canonicalisation", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace(c14n, "urn:c14n"),
		want:   "unchecked: "},
	{name: "another kind of token", syntax: xmlOnly, make: func(r *rec) { r.first(contract) },
		change: replace("RFC3161", "XMLENTRUST"),
		want:   "unchecked: "},
	{name: "encrypted objects", make: func(r *rec) { r.first(contract) }, change: func(b []byte) []byte {
		if b[0] == '<' {
			return replace("<ArchiveTimeStampSequence>", "<EncryptionInformation/><ArchiveTimeStampSequence>")(b)
		}
		return insertEncryption(b)
	}, want: "unchecked: evidence record: the record is about encrypted"},
	{name: "too many chains", make: func(r *rec) {
		r.first(contract)
		for len(r.chains) <= 64 {
			r.chains, r.hashes = append(r.chains, r.chains[0]), append(r.hashes, r.hashes[0])
		}
	}, want: "unchecked: evidence record: more than 64"},
	{name: "too many time-stamps", make: func(r *rec) {
		r.first(contract)
		for len(r.chains[0]) <= 256 {
			r.chains[0] = append(r.chains[0], r.chains[0][0])
		}
	}, want: "unchecked: evidence record: more than 256"},
	{name: "too many hash values", make: func(r *rec) {
		r.first(contract).last().tree[1] = slices.Repeat(leaves(algorithm.SHA256, other), 100_000)
	}, want: "unchecked: evidence record: more than 100000"},
}

func replace(from, to string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) }
}

// insertEncryption puts an empty encryptionInfo before the last member of an EvidenceRecord with one algorithm.
func insertEncryption(b []byte) []byte {
	head := 4 // SEQUENCE with a length of two octets
	algorithms := head + 3 + 2 + int(b[head+3+1])
	out := slices.Concat(b[:algorithms], []byte{0xa1, 0}, b[algorithms:])
	n := len(out) - head
	out[2], out[3] = byte(n>>8), byte(n)
	return out
}

func TestAttacks(t *testing.T) {
	for _, a := range slices.Concat(treeAttacks, chainAttacks, syntaxAttacks) {
		for _, xml := range []bool{false, true} {
			if xml && a.syntax == asn1Only || !xml && a.syntax == xmlOnly {
				continue
			}
			r := newRecord(t, xml)
			a.make(r)
			record := r.encode()
			if a.change != nil {
				record = a.change(record)
			}
			data, want := a.data, a.want
			if data == nil {
				data = [][]byte{contract}
			}
			if xml && a.xml != "" {
				want = a.xml
			}
			got := parse(record, data...)
			if f := fault(got); !strings.Contains(f, want) {
				t.Errorf("%s, XML %v: %q, want %q", a.name, xml, f, want)
			}
			if proves(got) {
				t.Errorf("%s, XML %v: it proves something", a.name, xml)
			}
		}
	}
}

// TestDetached: a file that is given and not in the tree is not accused, and a record about others is seen to be that.
func TestDetached(t *testing.T) {
	open := func(record []byte, files ...signature.Detached) *signature.EvidenceRecord {
		doc, err := ers.Open(budget.New(context.Background(), len(record)), record, files)
		if err != nil {
			t.Fatal(err)
		}
		return doc.EvidenceRecords[0]
	}
	record := newRecord(t, false).first(contract).encode()
	of := func(h algorithm.Hash) map[string][]byte { return map[string][]byte{h.Name(): h.Sum(contract)} }
	for _, c := range []struct {
		name string
		file signature.Detached
		want string
	}{
		{"content", signature.Detached{Name: "contract", Content: contract}, ""},
		{"digest", signature.Detached{Name: "contract", Digests: of(algorithm.SHA256)}, ""},
		{"digest by another algorithm", signature.Detached{Name: "contract", Digests: of(algorithm.SHA512)}, "contract unchecked: no digest of it"},
		{"another file", signature.Detached{Name: "annex", Content: annex}, "annex not found"},
		{"an empty file", signature.Detached{Name: "annex", Content: []byte{}}, "annex not found"},
	} {
		got := open(record, c.file)
		if f := fault(got); !strings.HasPrefix(f, c.want) || (f == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.name, f, c.want)
		}
		if scope := got.References[0].Scope; c.name == "digest" && !strings.HasSuffix(scope, signature.DigestAlone) {
			t.Errorf("%s: the scope is %q", c.name, scope)
		}
		if proves(got) != (c.want == "") {
			t.Errorf("%s: proves %v", c.name, proves(got))
		}
	}
	if f := fault(open(record)); f != "about nothing at hand" {
		t.Errorf("no file: %q", f)
	}
	if f := fault(open(newRecord(t, false).first(contract).rehash(algorithm.SHA512, contract).encode())); f != "time-stamp 1: not found" {
		t.Errorf("no file of a renewed record: %q", f)
	}
}

// TestBareDetached: a time-stamp without a hash tree is about the one file: of another one, or none, nobody is accused.
func TestBareDetached(t *testing.T) {
	for _, xml := range []bool{false, true} {
		r := newRecord(t, xml)
		r.open(algorithm.SHA256, &ats{root: algorithm.SHA256.Sum(contract)})
		for name, c := range map[string]struct {
			files []signature.Detached
			want  string
		}{
			"the file":     {[]signature.Detached{{Name: "contract", Content: contract}}, ""},
			"another":      {[]signature.Detached{{Name: "annex", Content: annex}}, "time-stamp 0: not found"},
			"none":         {nil, "time-stamp 0: not found"},
			"the two":      {[]signature.Detached{{Name: "annex", Content: annex}, {Name: "contract", Content: contract}}, "annex not found"},
			"other digest": {[]signature.Detached{{Name: "contract", Digests: map[string][]byte{"SHA-512": algorithm.SHA512.Sum(contract)}}}, "time-stamp 0: not found"},
		} {
			record := r.encode()
			doc, err := ers.Open(budget.New(t.Context(), len(record)), record, c.files)
			if err != nil {
				t.Fatal(err)
			}
			got := doc.EvidenceRecords[0]
			if f := fault(got); !strings.HasPrefix(f, c.want) || (f == "") != (c.want == "") || got.Origin != signature.RecordOutside {
				t.Errorf("%s, XML %v: %q, want %q; %s", name, xml, f, c.want, got.Origin)
			}
			if proves(got) != (c.want == "") {
				t.Errorf("%s, XML %v: proves %v", name, xml, proves(got))
			}
		}
	}
}
