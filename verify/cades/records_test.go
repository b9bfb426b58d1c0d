package cades_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// record is an evidence record (RFC 4998) with one time-stamp over a group of data objects.
func record(t *testing.T, tsu cmstest.Identity, at time.Time, objects ...[]byte) []byte {
	t.Helper()
	if len(objects) == 1 {
		return recordOf(nil, tsu.Stamp(t, objects[0], at))
	}
	var digests [][]byte
	for _, o := range objects {
		digests = append(digests, sha256Of(string(o)))
	}
	slices.SortFunc(digests, bytes.Compare)
	token := tsu.Stamp(t, bytes.Join(digests, nil), at)
	for i := range digests {
		digests[i] = tlv(0x04, digests[i])
	}
	return recordOf(tlv(0xa2, tlv(0x30, digests...)), token)
}

func recordOf(tree, token []byte) []byte {
	return tlv(0x30, []byte{2, 1, 1}, tlv(0x30, sha256Identifier), tlv(0x30, tlv(0x30, tlv(0x30, tree, token))))
}

// TestEvidenceRecords: a record is about the file as it was before the record came in.
func TestEvidenceRecords(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	stamp := cms.NewTimestampAttribute(tsu.Stamp(t, sd.Signers[0].Signature, cmstest.Now))
	stamped, err := cms.AddUnsignedAttribute(der, 0, stamp)
	if err != nil {
		t.Fatal(err)
	}
	ber := looseBER(t, stamped)
	internal := func(objects ...[]byte) cms.Attribute {
		return cms.NewAttribute(cms.OIDEvidenceInternal, record(t, tsu, cmstest.Now.Add(time.Hour), objects...))
	}
	grown := func(file []byte, list ...cms.Attribute) []byte {
		for _, a := range list {
			if file, err = cms.AddUnsignedAttribute(file, 0, a); err != nil {
				t.Fatal(err)
			}
		}
		return file
	}
	for name, c := range map[string]struct {
		file   []byte
		intact bool
	}{
		"no other attribute":  {grown(der, internal(der)), true},
		"a time-stamp before": {grown(stamped, internal(stamped)), true},
		"in BER":              {spliced(t, ber, internal(ber)), true},
		"in DER of it":        {spliced(t, ber, internal(inDER(t, ber))), true},
		"of another file":     {grown(der, internal(stamped)), false},
		"an attribute after":  {grown(der, internal(der), stamp), false},
		"a certificate after": {func() []byte {
			more, err := cms.AddEvidence(grown(der, internal(der)), [][]byte{tsu.Cert.Raw}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			return more
		}(), false},
	} {
		s := only(t, c.file)
		if len(s.EvidenceRecords) != 1 {
			t.Fatalf("%s: %d records", name, len(s.EvidenceRecords))
		}
		rec := s.EvidenceRecords[0]
		r := rec.References[0]
		if !r.Found || r.Intact != c.intact || rec.CoversSignature != c.intact || slices.Contains(rec.Covers, s.Value) != c.intact || !s.Intact {
			t.Errorf("%s: %+v, covers %d, structure %q", name, r, len(rec.Covers), rec.Structure)
		}
	}
}

// spliced adds an unsigned attribute as a program does that leaves every length as wide as it was.
func spliced(t *testing.T, ber []byte, a cms.Attribute) []byte {
	t.Helper()
	sd, err := cms.Parse(ber)
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	signer := long(0x30, append(si.SignedFields(), long(0xa1, si.UnsignedAttributes[0].Raw, a.Raw))...)
	head, _, _ := bytes.Cut(ber, long(0x31, si.Raw))
	return slices.Concat(head, long(0x31, signer), make([]byte, 6))
}

// TestSeveralRecords: a second record is about the file with the first in it, or stands beside it; it proves the age of
// the first one's time-stamp in the one case alone.
func TestSeveralRecords(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, nil)
	one := cms.NewAttribute(cms.OIDEvidenceInternal, record(t, tsu, cmstest.Now, der))
	with, err := cms.AddUnsignedAttribute(der, 0, one)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		about  []byte
		covers bool
	}{"behind it": {with, true}, "beside it": {der, false}} {
		second := cms.NewAttribute(cms.OIDEvidenceInternal, record(t, tsu, cmstest.Now.Add(time.Hour), c.about))
		file, err := cms.AddUnsignedAttribute(der, 0, one)
		if err != nil {
			t.Fatal(err)
		}
		if file = addAsWritten(t, file, second); file == nil {
			t.Fatal(name)
		}
		s := only(t, file)
		if len(s.EvidenceRecords) != 2 {
			t.Fatalf("%s: %d records", name, len(s.EvidenceRecords))
		}
		first, later := s.EvidenceRecords[0], s.EvidenceRecords[1]
		if !first.References[0].Intact || !later.References[0].Intact {
			t.Errorf("%s: %+v %+v", name, first.References, later.References)
		}
		if slices.Contains(later.Covers, sha256.Sum256(first.Timestamps[0].Token)) != c.covers {
			t.Errorf("%s: the second covers the first one's time-stamp: %t", name, !c.covers)
		}
	}
}

// addAsWritten adds an attribute behind the others, in DER but for the order of the set.
func addAsWritten(t *testing.T, file []byte, a cms.Attribute) []byte {
	t.Helper()
	sd, err := cms.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	var raw [][]byte
	for _, other := range si.UnsignedAttributes {
		raw = append(raw, other.Raw)
	}
	return rebuild(t, sd, content, append(si.SignedFields(), tlv(0xa1, append(raw, a.Raw)...)))
}

// TestExternalRecord: a record of a detached signature is about the file beside it too.
func TestExternalRecord(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der, attached := sign(t, id, detachedFrom(content)), sign(t, id, nil)
	external := func(file []byte, objects ...[]byte) []byte {
		grown, err := cms.AddUnsignedAttribute(file, 0, cms.NewAttribute(cms.OIDEvidenceExternal, record(t, tsu, cmstest.Now, objects...)))
		if err != nil {
			t.Fatal(err)
		}
		return grown
	}
	right, wrong := signature.Detached{Name: "a", Content: content}, signature.Detached{Name: "a", Content: []byte("x")}
	for name, c := range map[string]struct {
		file          []byte
		detached      []signature.Detached
		found, intact bool // of the content
	}{
		"the file":          {external(der, der, content), []signature.Detached{right}, true, true},
		"its digest":        {external(der, der, content), []signature.Detached{byDigests("a", content, "SHA-256")}, true, true},
		"another":           {external(der, der, content), []signature.Detached{wrong}, true, false},
		"none":              {external(der, der, content), nil, false, false},
		"not in the record": {external(der, der), []signature.Detached{right}, true, false},
		"attached":          {external(attached, attached, content), nil, false, false},
	} {
		s := only(t, c.file, c.detached...)
		list := s.EvidenceRecords[0].References
		if len(list) < 2 || !list[0].Intact || list[1].Found != c.found || list[1].Intact != c.intact {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

// TestManyRecords: no more of them are looked at than one signature has in years of renewals.
func TestManyRecords(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, nil)
	many, err := cms.AddUnsignedAttribute(der, 0, cms.NewAttribute(cms.OIDEvidenceInternal, slices.Repeat([][]byte{record(t, tsu, cmstest.Now, der)}, 100)...))
	if err != nil {
		t.Fatal(err)
	}
	if s := only(t, many); len(s.EvidenceRecords) != 16 || len(s.Notes) != 1 {
		t.Errorf("%d records, notes %q", len(s.EvidenceRecords), s.Notes)
	}
}

// TestRecordOfACounterSignature: a record is about a file, and a counter-signature is none.
func TestRecordOfACounterSignature(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	counter, err := cms.ParseSignerInfo(counterSign(t, id, sd.Signers[0].Signature))
	if err != nil {
		t.Fatal(err)
	}
	carried := cms.NewAttribute(cms.OIDEvidenceInternal, record(t, tsu, cmstest.Now, der))
	der, err = cms.AddUnsignedAttribute(der, 0, cms.NewAttribute(cms.OIDCounterSignature, counter.WithUnsigned([][]byte{carried.Raw})))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openAll(t, der)
	if err != nil || len(doc.Signatures) != 2 || len(doc.Signatures[1].EvidenceRecords) != 0 || !strings.Contains(strings.Join(doc.Signatures[1].Notes, "|"), "evidence record") {
		t.Errorf("of a counter-signature: %+v, %v", doc, err)
	}
}
