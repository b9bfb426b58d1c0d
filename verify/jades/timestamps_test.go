package jades

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// stamper stamps a flattened signature again and again.
type stamper struct {
	t          *testing.T
	tsu        cmstest.Identity
	text       string
	header     string
	properties []string
	clear      bool
}

func newStamper(t *testing.T) *stamper {
	t.Helper()
	id := officer(t)
	return &stamper{t: t, tsu: cmstest.NewTSU(t, "p256", "TSU 1"), text: flat(t, id, head(id)), header: head(id)}
}

func (s *stamper) stamp(data string) []byte { return s.tsu.Stamp(s.t, []byte(data), cmstest.Now) }

// sigTst adds a time-stamp on the value.
func (s *stamper) sigTst() *stamper { return s.add(stampOf("sigTst", s.stamp(valueOf(s.text)))) }

func (s *stamper) add(property string) *stamper {
	s.properties = append(s.properties, property)
	return s
}

// item is a property as it stands in etsiU.
func (s *stamper) item(property string) string {
	if s.clear {
		return property
	}
	return url64([]byte(property))
}

// before is what an archive time-stamp covers.
func (s *stamper) before() string {
	text := url64([]byte(content)) + "." + url64([]byte(s.header)) + "." + valueOf(s.text) + "."
	for _, p := range s.properties {
		text += s.item(p)
	}
	return text
}

// arcTst adds an archive time-stamp.
func (s *stamper) arcTst() *stamper {
	property := stampOf("arcTst", s.stamp(s.before()))
	if s.clear {
		property = strings.Replace(property, "{\"tst", "{\"canonAlg\":\"http://json-canonicalization.org/algorithm\",\"tst", 1)
	}
	return s.add(property)
}

func (s *stamper) open() *signature.Signature {
	s.t.Helper()
	if s.clear {
		return only(s.t, with(s.text, `"etsiU":[`+strings.Join(s.properties, " ,\n")+`]`))
	}
	return only(s.t, with(s.text, etsiU(s.properties...)))
}

// imprints tell of each time-stamp whether its imprint was found and matches.
func imprints(s *signature.Signature) string {
	var all []string
	for _, ts := range s.Timestamps {
		word := map[bool]string{true: "right", false: "wrong"}[ts.Imprint]
		if !ts.Found {
			word = "nothing"
		}
		if !ts.Intact || len(ts.Structure) > 0 {
			word += " broken"
		}
		all = append(all, strings.ToLower(string(ts.Type))+" "+word)
	}
	return strings.Join(all, ", ")
}

func xVals(der []byte) string { return `{"xVals":[{"x509Cert":{"val":"` + std64(der) + `"}}]}` }
func rVals(der []byte) string { return `{"rVals":{"crlVals":[{"val":"` + std64(der) + `"}]}}` }

// TestLevels: what stands in etsiU makes the level, and its time-stamps cover what stands before them.
func TestLevels(t *testing.T) {
	crl := []byte{0x30, 0x00}
	archive := func(s *stamper) *stamper {
		return s.sigTst().add(xVals(s.tsu.Cert.Raw)).add(rVals(crl)).arcTst()
	}
	for _, c := range []struct {
		name  string
		make  func(s *stamper) *stamper
		level string
		want  string
	}{
		{"T", (*stamper).sigTst, "B-T", "signature_timestamp right"},
		{"two of them", func(s *stamper) *stamper { return s.sigTst().sigTst() }, "B-T", "signature_timestamp right, signature_timestamp right"},
		{"two tokens in one", func(s *stamper) *stamper {
			return s.add(stampOf("sigTst", s.stamp(valueOf(s.text)), s.stamp(valueOf(s.text))))
		}, "B-B", "signature_timestamp right, signature_timestamp right"},
		{"LT", func(s *stamper) *stamper { return s.sigTst().add(rVals(crl)) }, "B-LT", "signature_timestamp right"},
		{"no time-stamp", func(s *stamper) *stamper { return s.add(rVals(crl)) }, "B-B", ""},
		{"a time-stamp that cannot be read", func(s *stamper) *stamper { return s.add(stampOf("sigTst", []byte{0x30, 0})).add(rVals(crl)) }, "B-B", "signature_timestamp nothing broken"},
		{"an archive time-stamp that cannot be read", func(s *stamper) *stamper { return s.sigTst().add(rVals(crl)).add(stampOf("arcTst", []byte{0x30, 0})) }, "B-LT", "signature_timestamp right, archive_timestamp nothing broken"},
		{"certificates alone", func(s *stamper) *stamper { return s.sigTst().add(xVals(s.tsu.Cert.Raw)) }, "B-T", "signature_timestamp right"},
		{"LTA", archive, "B-LTA", "signature_timestamp right, archive_timestamp right"},
		{"LTA twice", func(s *stamper) *stamper { return archive(s).add(`{"tstVD":{"xVals":[],"rVals":{}}}`).arcTst() }, "B-LTA",
			"signature_timestamp right, archive_timestamp right, archive_timestamp right"},
		{"LTA, clear", func(s *stamper) *stamper { s.clear = true; return archive(s) }, "B-LTA", "signature_timestamp right, archive_timestamp right"},
		{"LTA, clear, an unknown canonicalization", func(s *stamper) *stamper {
			s.clear = true
			archive(s)
			s.properties[3] = strings.Replace(s.properties[3], "algorithm", "other", 1)
			return s
		}, "B-LTA", "signature_timestamp right, archive_timestamp nothing"},
		{"LTA, clear, another order of members", func(s *stamper) *stamper {
			s.clear = true
			archive(s)
			s.properties[2] = `{"rVals" : {"ocspVals":[], "crlVals":[{"val":"MAA="}]}}`
			return s
		}, "B-LTA", "signature_timestamp right, archive_timestamp wrong"},
		{"something put before the archive time-stamp", func(s *stamper) *stamper {
			archive(s)
			s.properties = slices.Insert(s.properties, 3, xVals(s.tsu.Cert.Raw))
			return s
		}, "B-LTA", "signature_timestamp right, archive_timestamp wrong"},
		{"something taken from there", func(s *stamper) *stamper {
			archive(s)
			s.properties = slices.Delete(s.properties, 1, 2)
			return s
		}, "B-LTA", "signature_timestamp right, archive_timestamp wrong"},
		{"something put after it", func(s *stamper) *stamper { return archive(s).add(xVals(s.tsu.Cert.Raw)) }, "B-LTA",
			"signature_timestamp right, archive_timestamp right"},
		{"an archive time-stamp first", func(s *stamper) *stamper { return s.arcTst().sigTst().add(rVals(crl)) }, "B-LTA",
			"archive_timestamp right, signature_timestamp right"},
		{"LTA of a part", func(s *stamper) *stamper {
			archive(s)
			s.properties[3] = strings.Replace(s.properties[3], `{"tst`, `{"timeStamped":"previousArcTst","tst`, 1)
			return s
		}, "B-LTA", "signature_timestamp right, archive_timestamp nothing"},
		{"a time-stamp of another value", func(s *stamper) *stamper { return s.add(stampOf("sigTst", s.stamp("AAAA"))) }, "B-T", "signature_timestamp wrong"},
		{"a time-stamp of the value's octets", func(s *stamper) *stamper {
			return s.add(stampOf("sigTst", s.tsu.Stamp(s.t, only(s.t, s.text).Value[:], cmstest.Now)))
		}, "B-T", "signature_timestamp wrong"},
		{"references", func(s *stamper) *stamper {
			s.sigTst().add(`{"xRefs":[` + digestOf(s.tsu.Cert.Raw) + `]}`).add(`{"rRefs":{}}`)
			tail := s.item(s.properties[1]) + s.item(s.properties[2])
			s.add(stampOf("rfsTst", s.stamp(tail)))
			return s.add(stampOf("sigRTst", s.stamp(valueOf(s.text)+"."+s.item(s.properties[0])+tail)))
		}, "B-T", "signature_timestamp right, validation_data_refsonly_timestamp right, validation_data_timestamp right"},
		{"references that are not there", func(s *stamper) *stamper { return s.sigTst().add(stampOf("rfsTst", s.stamp(""))) }, "B-T",
			"signature_timestamp right, validation_data_refsonly_timestamp nothing"},
		{"no token", func(s *stamper) *stamper { return s.add(`{"sigTst":{"tstTokens":[{"val":"AAAA"}]}}`) }, "B-B", "signature_timestamp nothing broken"},
		{"a kind that is not known", func(s *stamper) *stamper {
			return s.add(strings.Replace(stampOf("sigTst", s.stamp(valueOf(s.text))), `{"val"`, `{"type":"urn:x","val"`, 1))
		}, "B-T", "signature_timestamp right broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.make(newStamper(t)).open()
			if got := imprints(s); got != c.want || s.Level != c.level || outcome(s) != "passes" {
				t.Errorf("%s, level %s, %s\nwant %s, %s", got, s.Level, outcome(s), c.want, c.level)
			}
		})
	}
}

func digestOf(der []byte) string {
	return fmt.Sprintf(`{"digAlg":"S256","digVal":%q}`, url64(sha256Of(string(der))))
}

// TestMixed: an archive time-stamp over clear and encoded properties covers nobody knows what.
func TestMixed(t *testing.T) {
	s := newStamper(t).sigTst()
	s.arcTst()
	s.properties[1] = strings.Replace(s.properties[1], "{\"tst", "{\"canonAlg\":\"http://json-canonicalization.org/algorithm\",\"tst", 1)
	text := with(s.text, `"etsiU":[`+s.properties[0]+`,"`+url64([]byte(s.properties[1]))+`"]`)
	if got := imprints(only(t, text)); got != "signature_timestamp right, archive_timestamp nothing" {
		t.Error(got)
	}
}

// TestCovers: what a time-stamp proves.
func TestCovers(t *testing.T) {
	crl := []byte{0x30, 0x00}
	m := newStamper(t).sigTst()
	m.add(xVals(m.tsu.Cert.Raw)).add(rVals(crl)).arcTst()
	later := []byte{0x30, 0x01, 0x00}
	m.add(rVals(later))
	s := m.open()
	sum := func(der []byte) [32]byte { return sha256.Sum256(der) }
	first, last := s.Timestamps[0], s.Timestamps[1]
	for name, c := range map[string]struct {
		ts     *signature.Timestamp
		object [32]byte
		want   bool
	}{
		"the value":                      {first, s.Value, true},
		"the signer":                     {first, sum(s.Signer), true},
		"a CRL, by the first":            {first, sum(crl), false},
		"the value, by the last":         {last, s.Value, true},
		"the token":                      {last, sum(first.Token), true},
		"a CRL":                          {last, sum(crl), true},
		"a certificate":                  {last, sum(m.tsu.Cert.Raw), true},
		"the last itself":                {last, sum(last.Token), false},
		"a CRL that was put there since": {last, sum(later), false},
	} {
		if got := slices.Contains(c.ts.Covers, c.object); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !first.CoversSignature || !last.CoversSignature {
		t.Error("a time-stamp does not cover the signature")
	}
	wrong := newStamper(t)
	wrong.add(stampOf("sigTst", wrong.stamp("AAAA")))
	if ts := wrong.open().Timestamps[0]; len(ts.Covers) > 0 || ts.CoversSignature {
		t.Error("a time-stamp of something else proves something")
	}
	// An old value, and a header of today that names a certificate of today.
	borrowed, new := newStamper(t), officer(t)
	borrowed.text = strings.Replace(borrowed.text, url64([]byte(borrowed.header)), url64([]byte(head(new))), 1)
	ts := borrowed.sigTst().open().Timestamps[0]
	if !ts.Imprint || slices.Contains(ts.Covers, sum(new.Cert.Raw)) {
		t.Error("a value that does not verify proves the age of a certificate")
	}
	denied, header := newStamper(t), head(new, `"x5t":"AAAA"`)
	denied.text = flat(t, new, header)
	if s := denied.sigTst().open(); !s.Intact || !s.Timestamps[0].Imprint || slices.Contains(s.Timestamps[0].Covers, sum(new.Cert.Raw)) {
		t.Error("a header that denies a certificate proves its age")
	}
}

// TestDataTimestamps: adoTst covers what is signed, and proves no signature.
func TestDataTimestamps(t *testing.T) {
	id, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	for data, want := range map[string]bool{url64([]byte(content)): true, content: false} {
		container := stampOf("adoTst", tsu.Stamp(t, []byte(data), cmstest.Now))
		s := only(t, compact(t, id, head(id, container[1:len(container)-1])))
		if ts := s.Timestamps[0]; ts.Type != signature.ContentTimestamp || ts.Imprint != want || !ts.Found || ts.CoversSignature || s.Level != "B-B" {
			t.Errorf("%q: %+v", data, ts)
		}
	}
}

// TestDataNotAtHand: a digest of a file is not the file that a time-stamp is about, and its absence is no change.
func TestDataNotAtHand(t *testing.T) {
	id, tsu := officer(t), cmstest.NewTSU(t, "p256", "TSU 1")
	container := stampOf("adoTst", tsu.Stamp(t, []byte(content), cmstest.Now))
	sum := sha256Of(content)
	h := head(id, `"sigD":{"mId":"http://uri.etsi.org/19182/ObjectIdByURIHash","pars":["a"],"hashM":"S256","hashV":["`+url64(sum)+`"]}`,
		`"b64":false`, `"crit":["sigD","b64"]`, container[1:len(container)-1])
	text := fmt.Sprintf(`{"protected":%q,"signature":%q}`, url64([]byte(h)), value(t, id, h, ""))
	for name, c := range map[string]struct {
		files         []signature.Detached
		found, intact bool
	}{
		"the file":   {[]signature.Detached{file("a", content)}, true, true},
		"its digest": {[]signature.Detached{{Name: "a", Digests: map[string][]byte{"SHA-256": sum}}}, false, true},
		"nothing":    {nil, false, false},
	} {
		s := only(t, text, c.files...)
		if ts := s.Timestamps[0]; ts.Found != c.found || ts.Imprint != c.found || s.ReferencesIntact() != c.intact {
			t.Errorf("%s: found %t, imprint %t, references %t", name, ts.Found, ts.Imprint, s.ReferencesIntact())
		}
	}
}

// TestLateTimestamp: a time-stamp after the end of the signer's certificate makes no B-T.
func TestLateTimestamp(t *testing.T) {
	m := newStamper(t)
	m.add(stampOf("sigTst", m.tsu.Stamp(t, []byte(valueOf(m.text)), cmstest.Now.AddDate(6, 0, 0))))
	if s := m.open(); s.Level != "B-B" || !s.Timestamps[0].Imprint {
		t.Errorf("level %s", s.Level)
	}
}
