package trustlist_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
	"trustcore/verify/path"
	"trustcore/verify/trustlist"
)

// TestSignatureWithinAService: what stands in a signature is signed by nobody. A signature that was moved to where
// certificates are read must bring none along (TS 119 612, 5.7: it is a child of the root).
func TestSignatureWithinAService(t *testing.T) {
	evil := mint.Root(t, "evil")
	carried := `<t:X509Certificate xmlns:t="http://uri.etsi.org/02231/v2#">` + base64.StdEncoding.EncodeToString(evil.Cert.Raw) + `</t:X509Certificate>`
	values := `<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:CertificateValues><xades:EncapsulatedX509Certificate>` + carried +
		`</xades:EncapsulatedX509Certificate></xades:CertificateValues></xades:UnsignedSignatureProperties></xades:UnsignedProperties>`
	for _, c := range []struct{ name, before, put string }{
		{"nothing", "</ds:Signature>", ""},
		{"an object", "</ds:Signature>", "<ds:Object>" + carried + "</ds:Object>"},
		{"key information", "</ds:KeyInfo>", carried},
		{"certificates of the key", "</ds:X509Data>", carried},
		{"name of the key", "</ds:KeyInfo>", "<ds:KeyName>" + carried + "</ds:KeyName>"},
		{"certificate of the key", "</ds:X509Certificate>", carried},
		{"value", "</ds:SignatureValue>", carried},
		{"unsigned properties", "</xades:QualifyingProperties>", values},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUnion(t)
			text := string(u.poland(t, 7, u.national))
			start, end := strings.Index(text, "<ds:Signature"), strings.Index(text, "</TrustServiceStatusList>")
			moved := strings.Replace(text[start:end], c.before, c.put+c.before, 1)
			text = strings.Replace(text[:start]+text[end:], "</ServiceDigitalIdentity>", moved+"</ServiceDigitalIdentity>", 1)
			write(t, u.dir, "pl.xml", []byte(text))
			s, err := u.load(t)
			if err != nil {
				t.Fatal(err)
			}
			if s.Services() > 0 || len(s.Holding(parse(t, evil))) > 0 {
				t.Errorf("%d services are taken, evil's certificate %d times", s.Services(), len(s.Holding(parse(t, evil))))
			}
		})
	}
}

// TestSignatureOfAList: what is wrong with the form of a list's signature keeps the list from being taken.
func TestSignatureOfAList(t *testing.T) {
	for _, c := range []struct{ name, old, put, want string }{
		{"another target of the properties", `Target="#sig"`, `Target="#other"`, "the signature is ill-formed"},
		{"another value", `<ds:SignatureValue xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`, `<ds:SignatureValue xmlns:ds="http://www.w3.org/2000/09/xmldsig#">AAAA`, "the signature value is wrong"},
		{"an unsigned object", "</ds:Signature>", "<ds:Object>7</ds:Object></ds:Signature>", "does not cover the whole list"},
	} {
		u := newUnion(t)
		text := string(u.poland(t, 7, u.national))
		write(t, u.dir, "pl.xml", []byte(strings.Replace(text, c.old, c.put, 1)))
		if s, err := u.load(t); err != nil || !strings.Contains(problem(s), c.want) {
			t.Errorf("%s: %q, %v", c.name, problem(s), err)
		}
	}
}

// problem is why the national list was not taken.
func problem(s *trustlist.Snapshot) string {
	for _, st := range s.Status() {
		if st.File == "pl.xml" {
			return st.Error
		}
	}
	return "no status"
}

// TestHistoryInAnyOrder: a service that was withdrawn is not granted again because its history stands in another order.
func TestHistoryInAnyOrder(t *testing.T) {
	ca, day := mint.Root(t, "CA"), mint.Day
	period := func(status string, years int) mint.Period {
		return mint.Period{Status: status, From: day.AddDate(years, 0, 0)}
	}
	now, withdrawn, first := period(mint.Withdrawn, 0), period(mint.Withdrawn, -2), period(mint.Granted, -4)
	later := period(mint.Granted, 1)
	for _, c := range []struct {
		name    string
		periods []mint.Period
	}{
		{"the newest first", []mint.Period{now, withdrawn, first}},
		{"the oldest first", []mint.Period{now, first, withdrawn}},
		{"one that is later than what is so now", []mint.Period{now, later, withdrawn, first}},
	} {
		s := snapshot(t, mint.Service{Name: "CA", Type: mint.CAQC, By: ca, Periods: c.periods})
		leaf := parse(t, ca.Issue(t, mint.Request{From: day.AddDate(-9, 0, 0), To: day.AddDate(9, 0, 0)}))
		for years, want := range map[int]bool{-5: false, -4: true, -3: true, -2: false, -1: false, 0: false, 1: false} {
			at := day.AddDate(years, 0, 0).Add(time.Hour)
			r := path.Validate(t.Context(), path.Request{Target: leaf, Anchors: s.Anchors(), Time: at})
			if granted := s.Holding(parse(t, ca))[0].TrustedAt(at); granted != want || r.Valid != want {
				t.Errorf("%s, %d years: granted %t, its certificate is valid %t", c.name, years, granted, r.Valid)
			}
		}
	}
}

// TestCriticalExtensions: a critical extension that is not understood may take away everything (TS 119 612, 5.5.9).
func TestCriticalExtensions(t *testing.T) {
	const known = `<Extension Critical="false"><AdditionalServiceInformation>`
	for _, c := range []struct {
		name, extension string
		granted         bool
	}{
		{"of another kind", `<Extension Critical="true"><Suspended></Suspended></Extension>`, false},
		{"of another kind, as a number", `<Extension Critical="1"><Suspended></Suspended></Extension>`, false},
		{"of another kind, without a word", `<Extension><Suspended></Suspended></Extension>`, false},
		{"beside a known one", `<Extension Critical="true"><ExpiredCertsRevocationInfo>2016-07-01T00:00:00Z</ExpiredCertsRevocationInfo><Suspended></Suspended></Extension>`, false},
		{"of a known name in another namespace", `<Extension Critical="true"><x:TakenOverBy xmlns:x="urn:x"></x:TakenOverBy></Extension>`, false},
		{"not critical", `<Extension Critical="false"><Suspended></Suspended></Extension>`, true},
		{"taken over", `<Extension Critical="true"><x:TakenOverBy xmlns:x="http://uri.etsi.org/02231/v2/additionaltypes#"></x:TakenOverBy></Extension>`, true},
		{"known", `<Extension Critical="true"><ExpiredCertsRevocationInfo>2016-07-01T00:00:00Z</ExpiredCertsRevocationInfo></Extension>`, true},
	} {
		ca := mint.Root(t, "CA")
		text := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{{Name: "CA", Type: mint.CAQC, By: ca,
			Periods: []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}}}}.Text()
		l, err := trustlist.Parse([]byte(strings.Replace(text, known, c.extension+known, 1)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := l.Services[0].Periods[0].Granted(); got != c.granted {
			t.Errorf("%s: granted %t", c.name, got)
		}
	}
}
