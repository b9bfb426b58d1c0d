package ers_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/ers"
	"trustcore/verify/signature"
)

// good are records as RFC 4998 and RFC 6283 want them, about the contract and the annex, or about the contract alone.
var good = []struct {
	name string
	both bool
	make func(r *rec)
}{
	{"group", true, func(r *rec) { r.first(contract, annex) }},
	{"one datum with a tree", false, func(r *rec) { r.first(contract) }},
	{"one list of one value", false, func(r *rec) { r.open(algorithm.SHA256, &ats{tree: [][][]byte{leaves(algorithm.SHA256, contract)}}) }},
	{"no tree", false, func(r *rec) { r.open(algorithm.SHA256, &ats{root: algorithm.SHA256.Sum(contract)}) }},
	{"the algorithm named", false, func(r *rec) {
		r.open(algorithm.SHA512, &ats{tree: [][][]byte{leaves(algorithm.SHA512, contract, other)}, hash: algorithm.SHA512})
	}},
	{"time-stamp renewal", true, func(r *rec) { r.first(contract, annex).renew().renew() }},
	{"time-stamp renewal without a tree", false, func(r *rec) {
		r.first(contract)
		r.add(&ats{root: algorithm.SHA256.Sum(r.content(r.last()))})
	}},
	{"hash-tree renewal", true, func(r *rec) { r.first(contract, annex).rehash(algorithm.SHA512, contract, annex) }},
	{"all renewals", true, func(r *rec) {
		r.first(contract, annex).renew().rehash(algorithm.SHA512, contract, annex).renew().rehash(algorithm.SHA256, annex, contract)
	}},
	{"renewed in the same second", false, func(r *rec) {
		r.first(contract)
		r.add(&ats{tree: [][][]byte{{algorithm.SHA256.Sum(r.content(r.last()))}}, at: r.last().at})
	}},
}

func TestGood(t *testing.T) {
	for _, xml := range []bool{false, true} {
		for _, c := range good {
			r := newRecord(t, xml)
			c.make(r)
			data := [][]byte{contract}
			if c.both {
				data = append(data, annex)
			}
			got := parse(r.encode(), data...)
			if f := fault(got); f != "" {
				t.Errorf("%s, XML %v: %s", c.name, xml, f)
				continue
			}
			if !got.CoversSignature || len(got.Covers) != len(data) || !got.Timestamps[0].CoversSignature {
				t.Errorf("%s, XML %v: covers %d objects of %d", c.name, xml, len(got.Covers), len(data))
			}
			if kinds := map[bool]signature.EvidenceRecordType{false: signature.ASN1EvidenceRecord, true: signature.XMLEvidenceRecord}; got.Type != kinds[xml] {
				t.Errorf("%s: type %s", c.name, got.Type)
			}
			var renewals []signature.Renewal
			for _, s := range got.Timestamps {
				renewals = append(renewals, s.Renewal)
			}
			if want := r.renewals(); !slices.Equal(renewals, want) {
				t.Errorf("%s, XML %v: renewals %q, want %q", c.name, xml, renewals, want)
			}
			if len(got.Algorithms) != len(r.chains) {
				t.Errorf("%s: %d algorithms of %d chains", c.name, len(got.Algorithms), len(r.chains))
			}
		}
	}
}

// renewals are what the time-stamps of the record renew.
func (r *rec) renewals() []signature.Renewal {
	var list []signature.Renewal
	for i, c := range r.chains {
		for k := range c {
			switch {
			case k > 0:
				list = append(list, signature.TimestampRenewal)
			case i > 0:
				list = append(list, signature.HashTreeRenewal)
			default:
				list = append(list, signature.NoRenewal)
			}
		}
	}
	return list
}

// TestCovers: a renewal proves that the token before it existed, a hash-tree renewal besides all of them and the data.
func TestCovers(t *testing.T) {
	for _, xml := range []bool{false, true} {
		r := newRecord(t, xml).first(contract).renew().rehash(algorithm.SHA512, contract)
		got := parse(r.encode(), contract)
		if f := fault(got); f != "" {
			t.Fatal(f)
		}
		object, first, second := sha256.Sum256(contract), sha256.Sum256(r.chains[0][0].token), sha256.Sum256(r.chains[0][1].token)
		certificate := sha256.Sum256(r.tsu.Cert.Raw)
		for i, want := range [][][32]byte{{object}, {first, certificate}, {object, first, certificate, second, certificate}} {
			if !slices.Equal(got.Timestamps[i].Covers, want) {
				t.Errorf("XML %v: time-stamp %d covers %d objects, not the %d", xml, i, len(got.Timestamps[i].Covers), len(want))
			}
		}
	}
}

// TestCoversTheNewest: a renewal is about the time-stamp before it alone.
func TestCoversTheNewest(t *testing.T) {
	r := newRecord(t, false).first(contract).renew().renew()
	got := parse(r.encode(), contract)
	if first := sha256.Sum256(r.chains[0][0].token); slices.Contains(got.Timestamps[2].Covers, first) || fault(got) != "" {
		t.Errorf("covers more than the time-stamp before it; %s", fault(got))
	}
}

// TestLooks: what begins as a record is told from whatever else a file may be.
func TestLooks(t *testing.T) {
	for _, xml := range []bool{false, true} {
		record := newRecord(t, xml).first(contract).encode()
		if !ers.Looks(record) || !ers.Looks(record[:min(len(record), 1024)]) {
			t.Errorf("XML %v: a record is not recognised", xml)
		}
	}
	root := `EvidenceRecord xmlns="` + ers.Namespace + `">`
	for text, want := range map[string]bool{
		"\ufeff<?xml version=\"1.0\"?>\n<!-- <a> -->\n<e:" + root: true,
		"<a><" + root: false, "<EvidenceRecord xmlns='urn:other'>": false, "<EvidenceRecords " + root[15:]: false,
		"": false, "0": false, "0\x03\x02\x01\x01": false, "0\x05\x02\x01\x010\x00": false, "0\x80\x02\x01\x010\x800\x80": false,
		"0\x0b\x02\x01\x020\x060\x04\x06\x02*\x03": false, "0\x0b\x02\x01\x010\x060\x04\x06\x02*\x03": true,
		"0\x0b\x02\x01\x010\x060\x04\x05\x02*\x03": false,
	} {
		if got := ers.Looks([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestCanonical: RFC 6283 digests XML in canonical form, and a renewal has to keep to the form.
func TestCanonical(t *testing.T) {
	plain, form := []byte("<?xml version='1.0'?>\n<a  b='1'/>"), []byte(`<a b="1"></a>`)
	open := func(r *rec, content []byte) *signature.EvidenceRecord {
		record := r.encode()
		files := []signature.Detached{{Name: "a.xml", Content: content}}
		doc, err := ers.Open(budget.New(t.Context(), len(record)), record, files)
		if err != nil {
			t.Fatal(err)
		}
		return doc.EvidenceRecords[0]
	}
	for _, c := range []struct {
		name    string
		record  *rec
		content []byte
		want    string
	}{
		{"canonical form", newRecord(t, true).first(form), plain, ""},
		{"octets", newRecord(t, true).first(plain), plain, ""},
		{"RFC 4998 knows none", newRecord(t, false).first(form), plain, "a.xml not found"},
		{"another document", newRecord(t, true).first(form), []byte("<a b='2'/>"), "a.xml not found"},
		{"other comments", newRecord(t, true).first(form), []byte("<!-- kwota 999 --><a b='1'/>"), ""},
		{"no XML", newRecord(t, true).first(form), []byte("<a"), "a.xml not found"},
		{"renewed", newRecord(t, true).first(form).rehash(algorithm.SHA512, form), plain, ""},
		{"renewed by its octets", newRecord(t, true).first(form).rehash(algorithm.SHA512, plain), plain, "time-stamp 1: imprint"},
	} {
		record := open(c.record, c.content)
		if f := fault(record); f != c.want {
			t.Errorf("%s: %q, want %q", c.name, f, c.want)
		}
		whole := c.name == "octets"
		if ref := record.References[0]; ref.Intact && (ref.Full != whole || strings.HasPrefix(ref.Scope, "the whole file") != whole) {
			t.Errorf("%s: full %t, %q", c.name, ref.Full, ref.Scope)
		}
	}
}

// TestObjects: an object that is absent, or can't be digested, accuses nobody and proves nothing.
func TestObjects(t *testing.T) {
	record := newRecord(t, true).first(contract).encode()
	for text, c := range map[string]struct {
		err  error
		want string
	}{
		"absent":    {fmt.Errorf("here: %w", ers.ErrAbsent), "contract not found"},
		"unchecked": {errors.New("no such algorithm"), "contract unchecked: no such algorithm"},
	} {
		failing := func(algorithm.Hash) ([]byte, error) { return nil, c.err }
		byForm := func(algorithm.Hash, xmldsig.Canonicalization) ([]byte, error) { return nil, c.err }
		for name, o := range map[string]ers.Object{"octets": {Digest: failing}, "form": {Canonical: byForm}} {
			o.Name, o.Named, o.Covers, o.Signature = "contract", true, [][32]byte{{}}, true
			r := ers.Parse(budget.New(t.Context(), len(record)), record, o)
			if f := fault(r); f != c.want || proves(r) {
				t.Errorf("%s, %s: %q, proves %v", text, name, f, proves(r))
			}
		}
	}
}

// TestRenewalWithoutDigest: where the digest by the new algorithm of a renewal was not given, nobody changed the data.
func TestRenewalWithoutDigest(t *testing.T) {
	for _, xml := range []bool{false, true} {
		record := newRecord(t, xml).first(contract).rehash(algorithm.SHA512, contract).encode()
		for _, h := range []algorithm.Hash{algorithm.NoHash, algorithm.SHA512} {
			r := ers.Parse(budget.New(t.Context(), len(record)), record, ers.Object{Name: "contract", Digest: func(by algorithm.Hash) ([]byte, error) {
				if by != algorithm.SHA256 && by != h {
					return nil, errors.New("not given")
				}
				return by.Sum(contract), nil
			}})
			if s := r.Timestamps[1]; s.Found != (h == algorithm.SHA512) || s.Imprint != s.Found || proves(r) != s.Found {
				t.Errorf("xml %t, with %s: found %t, imprint %t, proves %t", xml, h, s.Found, s.Imprint, proves(r))
			}
		}
	}
}

// TestEvidence: certificates beside the chains find the signer of a token, but no time-stamp covers them; those in the
// time-stamp of RFC 6283 are covered by its renewal.
func TestEvidence(t *testing.T) {
	r := newRecord(t, false)
	r.bare = true
	r.first(contract)
	if f := fault(parse(r.encode(), contract)); !strings.HasPrefix(f, "time-stamp 0 is not intact") {
		t.Errorf("without its certificate: %q", f)
	}
	r.renew()
	r.infos = cms.NewAttribute(cms.OIDCertificateValues, derSequence(r.tsu.Cert.Raw)).Raw
	got := parse(r.encode(), contract)
	if f := fault(got); f != "" {
		t.Fatalf("cryptoInfos: %s", f)
	}
	certificate := sha256.Sum256(r.tsu.Cert.Raw)
	if slices.Contains(got.Timestamps[1].Covers, certificate) || len(got.Timestamps[1].Certificates) != 1 {
		t.Error("cryptoInfos are covered, or not there")
	}
	x := newRecord(t, true)
	x.bare = true
	x.information = `<CryptographicInformationList><CryptographicInformation Order="1" Type="CERT">` +
		base64.StdEncoding.EncodeToString(x.tsu.Cert.Raw) + `</CryptographicInformation></CryptographicInformationList>`
	x.first(contract).renew()
	got = parse(x.encode(), contract)
	if f := fault(got); f != "" {
		t.Fatalf("CryptographicInformation: %s", f)
	}
	if certificate = sha256.Sum256(x.tsu.Cert.Raw); !slices.Contains(got.Timestamps[1].Covers, certificate) {
		t.Error("CryptographicInformation is not covered by the renewal")
	}
}
