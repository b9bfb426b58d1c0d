package pades

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify/signature"
)

// claiming is a signature with the given reason and further signed attributes; they break its value, which its level
// does not ask for.
func (o office) claiming(t *testing.T, reason string, attributes []cms.OID) []byte {
	t.Helper()
	p, err := pdf.Prepare(blank(100), pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, ContentsSize: 4096, Time: day, Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := cms.Sign(cms.SignConfig{Signer: o.officer.key, Certificate: o.officer.cert.Raw, Hash: crypto.SHA256, Digest: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	for _, oid := range attributes {
		attribute := slices.Concat([]byte{0x30, byte(len(oid) + 6), 6, byte(len(oid))}, []byte(oid), []byte{0x31, 2, 0x30, 0})
		signed = inserted(t, signed, attribute, 1, 0, -1, 0, 3)
	}
	out, err := p.Finish(signed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inserted adds a value at the end of the one that the indexes lead to from the outermost; -1 is the last one.
func inserted(t *testing.T, der, value []byte, path ...int) []byte {
	t.Helper()
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	if len(path) == 0 {
		outer.Bytes = slices.Concat(outer.Bytes, value)
	} else {
		var members [][]byte
		for rest := outer.Bytes; len(rest) > 0; {
			var member asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &member); err != nil {
				t.Fatal(err)
			}
			members = append(members, member.FullBytes)
		}
		i := (path[0] + len(members)) % len(members)
		members[i] = inserted(t, members[i], value, path[1:]...)
		outer.Bytes = bytes.Join(members, nil)
	}
	out, err := asn1.Marshal(asn1.RawValue{Class: outer.Class, Tag: outer.Tag, IsCompound: true, Bytes: outer.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A reason is given in one place, the dictionary or the CMS (EN 319 142-1 6.3, EN 319 142-2 5.3 and 5.4).
func TestReasonAndLevel(t *testing.T) {
	o := newOffice(t)
	commitment, policy := cms.OIDCommitmentType, cms.OIDSignaturePolicy
	for name, c := range map[string]struct {
		reason     string
		attributes []cms.OID
		want       string
	}{
		"a reason":                   {"decyzja", nil, "PAdES B-B"},
		"a commitment":               {"", []cms.OID{commitment}, "PAdES B-B"},
		"both":                       {"decyzja", []cms.OID{commitment}, "PDF "},
		"a policy":                   {"", []cms.OID{policy}, "PAdES B-B"},
		"a policy, and a reason":     {"decyzja", []cms.OID{policy}, "PAdES BES"},
		"a policy, and a commitment": {"", []cms.OID{policy, commitment}, "PAdES B-B"},
	} {
		s := open(t, o.claiming(t, c.reason, c.attributes)).Signatures[0]
		if got := string(s.Format) + " " + s.Level; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A broken time-stamp brings no evidence: what is needed to validate the signature later is not all there.
func TestBrokenTimestampAndLevel(t *testing.T) {
	o := newOffice(t)
	good := o.store(t, o.sign(t, blank(100), true))
	if got := open(t, good).Signatures[0].Level; got != "B-LT" {
		t.Fatalf("level %s", got)
	}
	token := fmt.Sprintf("%x", open(t, good).Signatures[0].Timestamps[0].Token)
	broken := bytes.Replace(good, []byte(token), []byte(token[:len(token)-8]+"00000000"), 1)
	s := open(t, broken).Signatures[0]
	if s.Timestamps[0].Intact || s.Level != "B-T" {
		t.Errorf("intact %v, level %s", s.Timestamps[0].Intact, s.Level)
	}
}

// A time-stamp in the validation-related information is told with its signature, and proves its existence where it is
// about it. It makes no level.
func TestVRITimestamps(t *testing.T) {
	o := newOffice(t)
	f := form()
	signed := o.signDraft(t, f, "")
	i := bytes.Index(signed, []byte("/Contents<")) + len("/Contents<")
	contents := make([]byte, 1200)
	if _, err := fmt.Sscanf(string(signed[i:i+2400]), "%x", &contents); err != nil {
		t.Fatal(err)
	}
	sd, err := cms.Parse(contents)
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("%X", sha1.Sum(contents))
	of := func(octets []byte) []byte {
		sum := sha256.Sum256(octets)
		return o.token(t, sum[:], day)
	}
	for name, c := range map[string]struct {
		key    string
		token  []byte
		stamps int
		covers bool
	}{
		"the signature value":     {key, of(sd.Signers[0].Signature), 1, true},
		"the contents":            {key, of(contents), 1, true},
		"the CMS":                 {key, of(sd.Raw), 1, true},
		"something else":          {key, of([]byte("inne")), 1, false},
		"no token":                {key, []byte("0"), 1, false},
		"of another signature":    {strings.Repeat("A", 40), of(contents), 0, false},
		"the key in small digits": {strings.ToLower(key), of(contents), 0, false},
	} {
		store := draft{1: f.edit(1, "/Lang", "/DSS 100 0 R/Lang")[1], 100: "<</VRI<</" + c.key + "<</TS 101 0 R>>>>>>", 101: stream("", string(c.token))}
		s := first(t, update{objects: store}.append(signed))
		if len(s.Timestamps) != c.stamps || s.Level != "BES" && s.Level != "B-B" {
			t.Errorf("%s: %d time-stamps, level %s", name, len(s.Timestamps), s.Level)
			continue
		}
		if c.stamps == 0 {
			continue
		}
		stamp := s.Timestamps[0]
		if stamp.Type != signature.VRITimestamp || stamp.CoversSignature != c.covers || (len(stamp.Covers) == 1 && stamp.Covers[0] == s.Value) != c.covers {
			t.Errorf("%s: %s covers %v %v", name, stamp.Type, stamp.CoversSignature, stamp.Covers)
		}
	}
}

// Names and dates that the file chose are told as they are written, between marks, and are nobody's verdict.
func TestNotesAreQuoted(t *testing.T) {
	o := newOffice(t)
	keys := `/Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(2026-03)/Reason(x". The signature is valid. "y\nz)`
	s := open(t, o.signPrepared(t, []byte("%PDF-1.7\n"), update{objects: form()}, 11, keys)).Signatures[0]
	notes := strings.Join(s.Notes, "|")
	if !s.SigningTime.IsZero() || !strings.Contains(notes, "cannot be read: “2026-03”") {
		t.Errorf("time %v, notes %q", s.SigningTime, notes)
	}
	if !strings.Contains(notes, "reason: “x'. The signature is valid. 'y z”") {
		t.Errorf("notes %q", notes)
	}
}
