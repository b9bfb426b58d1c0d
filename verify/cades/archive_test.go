package cades_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// looseBER is the signature in BER: a content in segments, lengths that are indefinite or longer than need be.
func looseBER(t *testing.T, der []byte) []byte {
	t.Helper()
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	data := sd.Content.Bytes()
	encap := slices.Concat([]byte{0x30, 0x80}, sd.Content.RawType, []byte{0xa0, 0x80, 0x24, 0x80}, tlv(0x04, data[:5]), tlv(0x04, data[5:]), make([]byte, 6))
	si := sd.Signers[0]
	signer := long(0x30, si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, si.RawSignedAttributes, si.SignatureAlgorithm, long(0x04, si.Signature),
		long(0xa1, si.UnsignedAttributes[0].Raw))
	loose := *sd
	loose.RawCertificates = slices.Concat([]byte{0xa0, 0x80}, sd.Certificates[0], []byte{0, 0})
	return wrapped(&loose, encap, signer)
}

// TestArchiveTimestampV2: the imprint is over the parts as they stand (TS 101 733, 6.4.1), or in DER as some programs
// have it, with the unsigned attributes as a set or one after the other; nothing else passes.
func TestArchiveTimestampV2(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	stamped, err := cms.AddUnsignedAttribute(der, 0, cms.NewTimestampAttribute(tsu.Stamp(t, sd.Signers[0].Signature, cmstest.Now)))
	if err != nil {
		t.Fatal(err)
	}
	for encoding, file := range map[string][]byte{"DER": stamped, "BER": looseBER(t, stamped)} {
		for form, message := range map[string]func(parts ...[]byte) []byte{
			"as it stands": func(parts ...[]byte) []byte { return bytes.Join(parts, nil) },
			"in DER":       func(parts ...[]byte) []byte { return inDER(t, parts...) },
		} {
			sd, err := cms.Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			si := sd.Signers[0]
			fields := [][]byte{sd.Content.Raw, sd.RawCertificates, si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, si.RawSignedAttributes,
				si.SignatureAlgorithm, si.RawSignature}
			for name, c := range map[string]struct {
				parts   [][]byte
				imprint bool
			}{
				"a set":             {append(slices.Clone(fields), tlv(0xa1, si.UnsignedAttributes[0].Raw)), true},
				"one after another": {append(slices.Clone(fields), si.UnsignedAttributes[0].Raw), true},
				"no attributes":     {fields, false},
				"no certificates":   {append(append(fields[:1:1], fields[2:]...), si.UnsignedAttributes[0].Raw), false},
				"no content":        {append(fields[1:len(fields):len(fields)], si.UnsignedAttributes[0].Raw), false},
			} {
				token := tsu.Stamp(t, message(c.parts...), cmstest.Now.Add(time.Hour))
				s := only(t, addRaw(t, file, cms.NewAttribute(cms.OIDArchiveTimestampV2, token)))
				if ts := last(s); !ts.Found || ts.Imprint != c.imprint || c.imprint != slices.Contains(ts.Covers, s.Value) || s.Level != "A" {
					t.Errorf("%s, %s, %s: found %t, imprint %t, covers %d, level %s", encoding, form, name, ts.Found, ts.Imprint, len(ts.Covers), s.Level)
				}
			}
		}
	}
}

func inDER(t *testing.T, parts ...[]byte) []byte {
	t.Helper()
	var all []byte
	for _, p := range parts {
		der, err := cms.ToDER(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, der...)
	}
	return all
}

// addRaw adds an unsigned attribute behind the others and leaves every other part octet for octet, BER included.
func addRaw(t *testing.T, file []byte, a cms.Attribute) []byte {
	t.Helper()
	sd, err := cms.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var raw [][]byte
	for _, other := range sd.Signers[0].UnsignedAttributes {
		raw = append(raw, other.Raw)
	}
	return wrapped(sd, sd.Content.Raw, sd.Signers[0].WithUnsigned(append(raw, a.Raw)))
}

// indexParts are what an ats-hash-index is made of.
type indexParts struct {
	typ                            cms.OID
	algorithm                      []byte
	certificates, crls, attributes [][]byte
	hash                           func([]byte) []byte
}

func (p indexParts) archive(t *testing.T, file []byte, tsu cmstest.Identity) []byte {
	t.Helper()
	sd, err := cms.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var lists [][]byte
	for _, objects := range [][][]byte{p.certificates, p.crls, p.attributes} {
		var digests [][]byte
		for _, o := range objects {
			digests = append(digests, tlv(0x04, p.hash(o)))
		}
		lists = append(lists, tlv(0x30, digests...))
	}
	index := tlv(0x30, append([][]byte{p.algorithm}, lists...)...)
	si := sd.Signers[0]
	message := slices.Concat(sd.Content.RawType, sha256Of(string(content)), si.RawVersion, si.RawIdentifier, si.DigestAlgorithm,
		si.RawSignedAttributes, si.SignatureAlgorithm, si.RawSignature, index)
	token, err := cms.AddUnsignedAttribute(tsu.Stamp(t, message, cmstest.Now.Add(time.Hour)), 0, cms.NewAttribute(p.typ, index))
	if err != nil {
		t.Fatal(err)
	}
	return addRaw(t, file, cms.NewAttribute(cms.OIDArchiveTimestampV3, token))
}

// TestArchiveTimestampV3: all forms of the index over all encodings of the file; an index that names what is not there
// proves nothing, and what it does not name is not proven.
func TestArchiveTimestampV3(t *testing.T) {
	id, tsu, stranger := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1"), cmstest.NewSigner(t, "p256", "stranger")
	der := sign(t, id, nil)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	attribute := cms.NewTimestampAttribute(tsu.Stamp(t, sd.Signers[0].Signature, cmstest.Now))
	stamped, err := cms.AddUnsignedAttribute(der, 0, attribute)
	if err != nil {
		t.Fatal(err)
	}
	whole, value := attribute.Raw, slices.Concat(attribute.RawType(), attribute.Values[0])
	sha := func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }
	weak := func(b []byte) []byte { sum := sha1.Sum(b); return sum[:] }
	sha1Identifier := tlv(0x30, []byte("\x06\x05\x2b\x0e\x03\x02\x1a"))
	certificates, attributeCertificate := [][]byte{id.Cert.Raw}, tlv(0xa2, []byte{2, 1, 1})
	withAC := bytes.Clone(stamped)
	if withAC, err = cms.AddEvidence(withAC, [][]byte{attributeCertificate}, nil, nil); err != nil {
		t.Fatal(err)
	}
	for encoding, file := range map[string][]byte{"DER": stamped, "BER": looseBER(t, stamped)} {
		for name, c := range map[string]struct {
			parts          indexParts
			file           []byte
			found, imprint bool
			covered        bool // the signature time-stamp is
			says           string
		}{
			"first form":               {indexParts{cms.OIDATSHashIndex, nil, certificates, nil, [][]byte{whole}, sha}, nil, true, true, true, ""},
			"first, algorithm said":    {indexParts{cms.OIDATSHashIndex, sha1Identifier, certificates, nil, [][]byte{whole}, weak}, nil, true, true, true, ""},
			"second form":              {indexParts{cms.OIDATSHashIndexV2, sha256Identifier, certificates, nil, [][]byte{whole}, sha}, nil, true, true, true, ""},
			"third form":               {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, certificates, nil, [][]byte{value}, sha}, nil, true, true, true, ""},
			"attribute certificate":    {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, [][]byte{id.Cert.Raw, attributeCertificate}, nil, [][]byte{value}, sha}, withAC, true, true, true, ""},
			"nothing but a signature":  {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, nil, nil, nil, sha}, nil, true, true, false, ""},
			"third as the second":      {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, certificates, nil, [][]byte{whole}, sha}, nil, true, false, false, "an unsigned attribute of the ats-hash-index is not there"},
			"second as the third":      {indexParts{cms.OIDATSHashIndexV2, sha256Identifier, certificates, nil, [][]byte{value}, sha}, nil, true, false, false, "an unsigned attribute of the ats-hash-index is not there"},
			"a certificate gone":       {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, [][]byte{id.Cert.Raw, stranger.Cert.Raw}, nil, nil, sha}, nil, true, false, false, "a certificate of the ats-hash-index is not there"},
			"a list gone":              {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, nil, [][]byte{{0x30, 0}}, nil, sha}, nil, true, false, false, "a CRL or OCSP response of the ats-hash-index is not there"},
			"an attribute gone":        {indexParts{cms.OIDATSHashIndexV3, sha256Identifier, nil, nil, [][]byte{{0x30, 0}}, sha}, nil, true, false, false, "an unsigned attribute of the ats-hash-index is not there"},
			"second without algorithm": {indexParts{cms.OIDATSHashIndexV2, nil, certificates, nil, nil, sha}, nil, false, false, false, "no hashIndAlgorithm"},
			"third without algorithm":  {indexParts{cms.OIDATSHashIndexV3, nil, certificates, nil, nil, sha}, nil, false, false, false, "no hashIndAlgorithm"},
		} {
			subject := file
			if c.file != nil {
				subject = c.file
			}
			s := only(t, c.parts.archive(t, subject, tsu))
			ts, signed := last(s), s.Timestamps[0]
			if ts.Found != c.found || ts.Imprint != c.imprint || slices.Contains(ts.Covers, sha256.Sum256(signed.Token)) != c.covered {
				t.Errorf("%s, %s: found %t, imprint %t, covers the time-stamp %t; %q %q", encoding, name, ts.Found, ts.Imprint,
					slices.Contains(ts.Covers, sha256.Sum256(signed.Token)), s.Notes, ts.Structure)
			}
			if !strings.Contains(strings.Join(append(s.Notes, ts.Structure...), "|"), c.says) {
				t.Errorf("%s, %s: notes %q, structure %q; want %q", encoding, name, s.Notes, ts.Structure, c.says)
			}
		}
	}
	if bare := last(only(t, addRaw(t, stamped, cms.NewAttribute(cms.OIDArchiveTimestampV3, tsu.Stamp(t, content, cmstest.Now))))); len(bare.Structure) != 1 || bare.Imprint {
		t.Errorf("no index: %q, imprint %t", bare.Structure, bare.Imprint)
	}
	s := only(t, indexParts{typ: cms.OIDATSHashIndex, algorithm: sha1Identifier, certificates: certificates, hash: weak}.archive(t, stamped, tsu))
	if !slices.Contains(last(s).Algorithms, signature.AlgorithmUse{Purpose: "ats-hash-index", Algorithm: "SHA-1"}) {
		t.Errorf("the hash of the index is not judged: %v", last(s).Algorithms)
	}
}

// TestArchiveByDigest: an archive time-stamp of the third version is about the digest of the content, one of the second
// version about the content itself.
func TestArchiveByDigest(t *testing.T) {
	id, tsu := cmstest.NewSigner(t, "p256", "officer-1"), cmstest.NewTSU(t, "p256", "TSU 1")
	der := sign(t, id, detachedFrom(content))
	v3 := indexParts{typ: cms.OIDATSHashIndexV3, algorithm: sha256Identifier, certificates: [][]byte{id.Cert.Raw},
		hash: func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }}.archive(t, der, tsu)
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	v2 := addRaw(t, der, cms.NewAttribute(cms.OIDArchiveTimestampV2, tsu.Stamp(t, slices.Concat(sd.Content.Raw, content, sd.RawCertificates,
		bytes.Join(sd.Signers[0].SignedFields(), nil)), cmstest.Now)))
	file := signature.Detached{Name: "a", Content: content}
	for name, c := range map[string]struct {
		der            []byte
		file           signature.Detached
		found, imprint bool
	}{
		"third, file": {v3, file, true, true}, "third, digest": {v3, byDigests("a", content, "SHA-256"), true, true},
		"third, other digest": {v3, byDigests("a", []byte("x"), "SHA-256"), true, false},
		"second, file":        {v2, file, true, true}, "second, digest": {v2, byDigests("a", content, "SHA-256"), false, false},
	} {
		if ts := last(only(t, c.der, c.file)); ts.Found != c.found || ts.Imprint != c.imprint {
			t.Errorf("%s: found %t, imprint %t", name, ts.Found, ts.Imprint)
		}
	}
}
