package trustlist_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
	"trustcore/verify/path"
	"trustcore/verify/trustlist"
)

// union is a minted list of the lists with what may sign it and a national list.
type union struct {
	dir, signers       string
	operator, national mint.Party
	service            mint.Service
}

func newUnion(t *testing.T) *union {
	t.Helper()
	u := &union{dir: t.TempDir(), signers: t.TempDir(), operator: mint.Root(t, "LOTL operator"), national: mint.Root(t, "PL operator")}
	write(t, u.signers, "lotl.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: u.operator.Cert.Raw}))
	u.service = mint.Service{Name: "CA", Type: mint.CAQC, By: mint.Root(t, "Kwalifikowany Urząd Testowy"),
		Periods: []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}}
	u.lotl(t, "lotl.xml", 10, u.operator)
	return u
}

// lotl writes a list of the lists that points to Poland's list, and to itself with the next signers.
func (u *union) lotl(t *testing.T, file string, sequence int, signer mint.Party, next ...mint.Party) {
	t.Helper()
	if next == nil {
		next = []mint.Party{signer}
	}
	write(t, u.dir, file, mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: sequence, Pointers: []mint.Pointer{
		{Type: mint.TypeLOTL, Territory: "EU", Signers: next}, {Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{u.national}},
	}}.Sign(t, signer))
}

// pointing is the list of the lists with one other pointer beside that to itself.
func (u *union) pointing(t *testing.T, p mint.Pointer) []byte {
	t.Helper()
	return mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: 10, Pointers: []mint.Pointer{
		{Type: mint.TypeLOTL, Territory: "EU", Signers: []mint.Party{u.operator}}, p}}.Sign(t, u.operator)
}

func (u *union) poland(t *testing.T, sequence int, signer mint.Party) []byte {
	t.Helper()
	return mint.List{Type: mint.TypeList, Territory: "PL", Sequence: sequence, Services: []mint.Service{u.service}}.Sign(t, signer)
}

func (u *union) load(t *testing.T) (*trustlist.Snapshot, error) {
	t.Helper()
	return trustlist.Load(t.Context(), trustlist.Sources{Dir: u.dir, LOTLSigners: u.signers})
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNationalList puts lists into the folder and looks at what is taken and why the rest is not.
func TestNationalList(t *testing.T) {
	stranger := mint.Root(t, "stranger")
	cases := []struct {
		name     string
		files    func(t *testing.T, u *union) map[string][]byte
		services int
		problem  string // part of the one error in the status; "" for none
	}{
		{"good", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"pl.xml": u.poland(t, 7, u.national)}
		}, 1, ""},
		{"by another signer", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"pl.xml": u.poland(t, 7, stranger)}
		}, 0, "names no such signer"},
		{"changed", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"pl.xml": bytes.Replace(u.poland(t, 7, u.national), []byte("Test Provider"), []byte("Evil Provider"), 1)}
		}, 0, "changed after it was signed"},
		{"without signature", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"pl.xml": []byte(mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 7, Services: []mint.Service{u.service}}.Text())}
		}, 0, "no XML signature"},
		{"two signatures", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"pl.xml": mint.XML{Signer: u.national, At: mint.Day}.Sign(t, string(u.poland(t, 7, u.national)))}
		}, 0, "2 signatures, one is demanded"},
		{"an error page", func(*testing.T, *union) map[string][]byte {
			return map[string][]byte{"pl.xml": []byte("<!DOCTYPE html><html><p>404")}
		}, 0, "trusted list"},
		{"half a list", func(t *testing.T, u *union) map[string][]byte {
			whole := u.poland(t, 7, u.national)
			return map[string][]byte{"pl.xml": whole[:len(whole)/2]}
		}, 0, "trusted list"},
		{"an older one beside it", func(t *testing.T, u *union) map[string][]byte {
			old := *u
			old.service.Name = "old"
			return map[string][]byte{"a.xml": u.poland(t, 7, u.national), "b.xml": old.poland(t, 6, u.national)}
		}, 1, "superseded by sequence number 7"},
		{"that does not say its territory", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"lotl.xml": u.pointing(t, mint.Pointer{Type: mint.TypeList, Signers: []mint.Party{u.national}}),
				"pl.xml": mint.List{Type: mint.TypeList, Sequence: 7, Services: []mint.Service{u.service}}.Sign(t, u.national)}
		}, 0, "names no such signer"},
		{"that does not say its type", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"lotl.xml": u.pointing(t, mint.Pointer{Territory: "PL", Signers: []mint.Party{u.national}}),
				"pl.xml": mint.List{Territory: "PL", Sequence: 7, Services: []mint.Service{u.service}}.Sign(t, u.national)}
		}, 0, "names no such signer"},
		{"by the signer of another type of list", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"lotl.xml": u.pointing(t, mint.Pointer{Type: mint.TypeList + "-other", Territory: "PL", Signers: []mint.Party{u.national}}),
				"pl.xml": u.poland(t, 7, u.national)}
		}, 0, "names no such signer"},
		{"whose pointer names no signer", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"lotl.xml": u.pointing(t, mint.Pointer{Type: mint.TypeList, Territory: "PL"}), "pl.xml": u.poland(t, 7, u.national)}
		}, 0, "names no such signer"},
		{"for a territory without pointer", func(t *testing.T, u *union) map[string][]byte {
			return map[string][]byte{"xx.xml": mint.List{Type: mint.TypeList, Territory: "XX", Sequence: 1, Services: []mint.Service{u.service}}.Sign(t, u.national)}
		}, 0, "names no such signer"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u := newUnion(t)
			for name, data := range c.files(t, u) {
				write(t, u.dir, name, data)
			}
			s, err := u.load(t)
			if err != nil {
				t.Fatal(err)
			}
			if s.Services() != c.services {
				t.Errorf("%d services, want %d", s.Services(), c.services)
			}
			var problems []string
			for _, st := range s.Status() {
				if st.Error != "" {
					problems = append(problems, st.Error)
				}
			}
			if (c.problem == "") != (len(problems) == 0) || !strings.Contains(strings.Join(problems, "; "), c.problem) {
				t.Errorf("problems %q, want %q", problems, c.problem)
			}
		})
	}
}

// TestPivots follows the list of the lists from the signers of the Official Journal over a change of signers.
func TestPivots(t *testing.T) {
	u := newUnion(t)
	second, third := mint.Root(t, "second operator"), mint.Root(t, "third operator")
	write(t, u.dir, "pl.xml", u.poland(t, 7, u.national))
	u.lotl(t, "z.xml", 12, third)
	s, err := u.load(t)
	if err != nil || newest(s) != 10 {
		t.Fatalf("without the pivot: LOTL %d, %v", newest(s), err)
	}
	u.lotl(t, "lotl.xml", 10, u.operator, second)
	u.lotl(t, "pivot.xml", 11, second, third)
	if s, err = u.load(t); err != nil || newest(s) != 12 || s.Services() != 1 {
		t.Errorf("with it: LOTL %d, %v", newest(s), err)
	}
	// Who was left out by a list may sign none that comes after it, and a list that names nobody is the last.
	u.lotl(t, "old.xml", 13, u.operator)
	if s, err = u.load(t); err != nil || newest(s) != 12 {
		t.Errorf("a signer that was taken out: LOTL %d, %v", newest(s), err)
	}
	u.lotl(t, "old.xml", 13, u.national)
	if s, err = u.load(t); err != nil || newest(s) != 12 {
		t.Errorf("the signer of a national list: LOTL %d, %v", newest(s), err)
	}
	write(t, u.dir, "z.xml", mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: 12, Pointers: []mint.Pointer{
		{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{u.national}}}}.Sign(t, third))
	u.lotl(t, "old.xml", 13, third)
	if s, err = u.load(t); err != nil || newest(s) != 12 {
		t.Errorf("after a list without a pointer to itself: LOTL %d, %v", newest(s), err)
	}
	if err := os.RemoveAll(u.signers); err != nil {
		t.Fatal(err)
	}
	if _, err := u.load(t); err == nil {
		t.Error("without signers: loaded")
	}
}

// TestSignersNamedByTheLOTL: the signers of national lists may never sign the list of the lists.
func TestSignersNamedByTheLOTL(t *testing.T) {
	u := newUnion(t)
	c, err := trustlist.Check(t.Context(), u.pointing(t, mint.Pointer{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{u.national}}))
	if err != nil {
		t.Fatal(err)
	}
	if named := trustlist.SignersNamedBy(c).Certificates; len(named) != 1 || !bytes.Equal(named[0], u.operator.Cert.Raw) {
		t.Errorf("%d signers are named, want the operator alone", len(named))
	}
}

func newest(s *trustlist.Snapshot) int {
	for _, st := range s.Status() {
		if st.Role == "lotl" {
			return st.Sequence
		}
	}
	return 0
}

// TestWhatAListedServiceMayDo: only authorities issue certificates, and only responders speak of revocation.
func TestWhatAListedServiceMayDo(t *testing.T) {
	const responds = "http://uri.etsi.org/TrstSvc/Svctype/Certstatus/OCSP/QC"
	root := mint.Root(t, "root")
	end := func(name string) mint.Party { return root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: name}}) }
	ca, plain, unit, responder := mint.Root(t, "CA"), end("authority that does not say so"), end("unit"), end("responder")
	retired, sub := end("retired"), root.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "TSA's CA"}, CA: true})
	granted := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0)}}
	s := snapshot(t,
		mint.Service{Name: "a", Type: mint.CAQC, By: ca, Periods: granted}, mint.Service{Name: "b", Type: mint.CAQC, By: plain, Periods: granted},
		mint.Service{Name: "c", Type: mint.QTST, By: unit, Periods: granted}, mint.Service{Name: "d", Type: responds, By: responder, Periods: granted},
		mint.Service{Name: "e", Type: mint.QTST, By: sub, Periods: granted},
		mint.Service{Name: "f", Type: responds, By: retired, Periods: []mint.Period{{Status: mint.Withdrawn, From: mint.Day.AddDate(-5, 0, 0)}}})
	for _, test := range []struct {
		name             string
		by               mint.Party
		issues, responds bool
	}{{"CA", ca, true, false}, {"CA by the list alone", plain, true, false}, {"time-stamping unit", unit, false, false},
		{"responder", responder, false, true}, {"CA of time-stamping units", sub, true, false}, {"withdrawn responder", retired, false, false},
		{"stranger", mint.Root(t, "stranger"), false, false}} {
		leaf := test.by.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "leaf"}})
		r := path.Validate(t.Context(), path.Request{Target: parse(t, leaf), Anchors: s.Anchors(), Time: mint.Day})
		if r.Valid != test.issues {
			t.Errorf("%s: its certificate is valid: %t", test.name, r.Valid)
		}
		if got := s.Responder(parse(t, test.by)); got != test.responds {
			t.Errorf("%s: answers for certificates: %t", test.name, got)
		}
	}
	if r := path.Validate(t.Context(), path.Request{Target: parse(t, unit), Anchors: s.Anchors(), Time: mint.Day, DirectTrust: true}); !r.Valid {
		t.Errorf("the unit for itself: %v", r.Reasons)
	}
	if list := s.Responders(); len(list) != 1 || list[0].Fingerprint != parse(t, responder).Fingerprint {
		t.Errorf("%d responders", len(list))
	}
}

// TestAnAnchorMustBeReadable: whoever names one must not go without it unawares.
func TestAnAnchorMustBeReadable(t *testing.T) {
	dir := t.TempDir()
	root := mint.Root(t, "root").Cert.Raw
	write(t, dir, "good.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}))
	write(t, dir, "half.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root[:100]}))
	write(t, dir, "none.pem", []byte("nothing"))
	for name, good := range map[string]bool{"good.pem": true, "half.pem": false, "none.pem": false, "absent.pem": false} {
		if _, err := trustlist.Load(t.Context(), trustlist.Sources{Anchors: []string{filepath.Join(dir, name)}}); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// snapshot holds one service of a list that is taken as given.
// TestNationalAuthorityHasYears: what an authority that no list names has issued counts within its years alone.
func TestNationalAuthorityHasYears(t *testing.T) {
	authority := mint.Root(t, "authority of a state")
	leaf := authority.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "leaf"}})
	for _, c := range []struct {
		name        string
		from, until time.Time
		valid       bool
	}{
		{"within", mint.Day.AddDate(0, 0, -1), mint.Day.AddDate(0, 0, 1), true},
		{"open", time.Time{}, time.Time{}, true},
		{"after", mint.Day.AddDate(-2, 0, 0), mint.Day.AddDate(-1, 0, 0), false},
		{"before", mint.Day.AddDate(1, 0, 0), time.Time{}, false},
	} {
		s, err := trustlist.Load(t.Context(), trustlist.Sources{
			National: []trustlist.National{{Certificate: parse(t, authority), From: c.from, Until: c.until}}})
		if err != nil {
			t.Fatal(err)
		}
		r := path.Validate(t.Context(), path.Request{Target: parse(t, leaf), Anchors: s.Anchors(), Time: mint.Day})
		if r.Valid != c.valid {
			t.Errorf("%s its years: valid %t", c.name, r.Valid)
		}
	}
}

func snapshot(t *testing.T, services ...mint.Service) *trustlist.Snapshot {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "list.xml", mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: services}.Sign(t, mint.Root(t, "operator")))
	s, err := trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{filepath.Join(dir, "list.xml")}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t *testing.T, p mint.Party) *certificate.Certificate {
	t.Helper()
	c, err := certificate.Parse(p.Cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestQualify asks for one certificate under services with different words.
func TestQualify(t *testing.T) {
	ca := mint.Root(t, "Kwalifikowany Urząd Testowy")
	const policy = "1.3.6.1.4.1.32473.7"
	policies := pkix.Extension{Id: []int{2, 5, 29, 32}, Value: []byte("\x30\x0d\x30\x0b\x06\x09\x2b\x06\x01\x04\x01\x81\xfd\x59\x07")}
	sealed := parse(t, ca.Issue(t, mint.Request{Extensions: []pkix.Extension{mint.QualifiedSeal(t)}}))
	signing := parse(t, ca.Issue(t, mint.Request{Extensions: []pkix.Extension{mint.Qualified(t), policies}}))
	bare := parse(t, ca.Issue(t, mint.Request{Extensions: []pkix.Extension{policies}}))
	issuer := []*certificate.Certificate{parse(t, ca)}
	day := mint.Day
	since := day.AddDate(-5, 0, 0)
	granted := func(additional []string, qualifications ...string) []mint.Period {
		return []mint.Period{{Status: mint.Granted, From: since, Additional: additional, Qualifications: strings.Join(qualifications, "")}}
	}
	sign, both := []string{mint.ForSignatures}, []string{mint.ForSignatures, mint.ForSeals}
	withPolicy := mint.Policy(policy)
	const moon = `<q:Moon></q:Moon>`
	keyCertSign := mint.KeyUsageBit("keyCertSign", true)
	says := trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures, Device: true}
	nested := `<q:CriteriaList assert="none">` + mint.KeyUsageBit("keyCertSign", true) + `</q:CriteriaList>`
	cases := []struct {
		name    string
		cert    *certificate.Certificate
		periods []mint.Period
		want    trustlist.Qualified
	}{
		{"as the certificate says", signing, granted(both), trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures, Device: true}},
		{"seal", sealed, granted(both), trustlist.Qualified{Certificate: true, Type: trustlist.ForSeals, Device: true}},
		{"seal under a service for signatures", sealed, granted(sign), trustlist.Qualified{Type: trustlist.ForSeals}},
		{"withdrawn", signing, []mint.Period{{Status: mint.Withdrawn, From: since, Additional: sign}}, trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"granted later", signing, []mint.Period{{Status: mint.Granted, From: day.AddDate(0, 1, 0), Additional: sign}}, trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"withdrawn later", signing, []mint.Period{{Status: mint.Withdrawn, From: day.AddDate(0, 1, 0)}, {Status: mint.Granted, From: since, Additional: sign}},
			trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures, Device: true}},
		{"not qualified, says the list", signing, granted(sign, mint.Qualification("NotQualified", "all", withPolicy)), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"no device, says the list", signing, granted(sign, mint.Qualification("QCNoQSCD", "all", withPolicy)), trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures}},
		{"the list speaks of another policy", signing, granted(sign, mint.Qualification("QCNoQSCD", "all", mint.Policy("1.2.3"))), trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures, Device: true}},
		{"the list alone says it", bare, granted(sign, mint.Qualification("QCStatement", "all", withPolicy), mint.Qualification("QCForESig", "all", withPolicy), mint.Qualification("QCWithQSCD", "all", withPolicy)),
			trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures, Device: true}},
		{"a policy as urn", bare, granted(sign, mint.Qualification("QCStatement", "all", mint.Policy("urn:oid:"+policy)), mint.Qualification("QCForESig", "all", withPolicy)),
			trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures}},
		{"all, one of two missing", signing, granted(sign, mint.Qualification("NotQualified", "all", withPolicy+mint.KeyUsageBit("keyCertSign", true))), trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures, Device: true}},
		{"one of two", signing, granted(sign, mint.Qualification("NotQualified", "atLeastOne", withPolicy+mint.KeyUsageBit("keyCertSign", true))), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"none", signing, granted(sign, mint.Qualification("NotQualified", "none", mint.Policy("1.2.3"))), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"a list in a list", signing, granted(sign, mint.Qualification("NotQualified", "all", withPolicy+nested)), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"a condition of an unknown kind", signing, granted(sign, mint.Qualification("NotQualified", "all", withPolicy+moon)), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"one of an unknown kind, and one that is not met", signing, granted(sign, mint.Qualification("NotQualified", "all", keyCertSign+moon)), says},
		{"one of an unknown kind or one that is met", signing, granted(sign, mint.Qualification("NotQualified", "atLeastOne", withPolicy+moon)), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"one that is met and one of an unknown kind, given", bare, granted(sign, mint.Qualification("QCStatement", "all", withPolicy+moon)), trustlist.Qualified{}},
		{"none of an unknown kind, given", bare, granted(sign, mint.Qualification("QCStatement", "none", moon)), trustlist.Qualified{}},
		{"none of an unknown kind, in a list", bare, granted(sign, mint.Qualification("QCStatement", "all", `<q:CriteriaList assert="none">`+moon+`</q:CriteriaList>`)), trustlist.Qualified{}},
		{"none of an unknown kind, taken away", signing, granted(sign, mint.Qualification("QCNoQSCD", "none", moon)), trustlist.Qualified{Certificate: true, Type: trustlist.ForSignatures}},
		{"a key usage that is not known", bare, granted(sign, mint.Qualification("QCStatement", "none", mint.KeyUsageBit("moon", true))), trustlist.Qualified{}},
		{"an unknown assertion", signing, granted(sign, mint.Qualification("NotQualified", "some", withPolicy)), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"an unknown assertion, given", bare, granted(sign, mint.Qualification("QCStatement", "some", withPolicy)), trustlist.Qualified{}},
		{"no conditions", signing, granted(sign, mint.Qualification("NotQualified", "all", "")), trustlist.Qualified{Type: trustlist.ForSignatures}},
		{"no conditions, given", bare, granted(sign, mint.Qualification("QCStatement", "none", "")), trustlist.Qualified{}},
	}
	for _, c := range cases {
		s := snapshot(t, mint.Service{Name: "CA", Type: mint.CAQC, By: ca, Periods: c.periods})
		got := s.Qualify(c.cert, issuer, day)
		if !got.Found || got.Conflict || got.Certificate != c.want.Certificate || got.Type != c.want.Type || got.Device != c.want.Device {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if q := snapshot(t).Qualify(signing, issuer, day); q.Found {
		t.Errorf("no service: %+v", q)
	}
	other := snapshot(t, mint.Service{Name: "TSA", Type: mint.QTST, By: ca, Periods: granted(nil)})
	if q := other.Qualify(signing, issuer, day); !q.Found || q.Certificate {
		t.Errorf("a service of another type: %+v", q)
	}
	twice := snapshot(t, mint.Service{Name: "A", Type: mint.CAQC, By: ca, Periods: granted(sign)},
		mint.Service{Name: "B", Type: mint.CAQC, By: ca, Periods: granted(sign, mint.Qualification("NotQualified", "all", withPolicy))})
	if q := twice.Qualify(signing, issuer, day); !q.Conflict {
		t.Errorf("services that contradict each other: %+v", q)
	}
}

// TestTrustedAt asks when an anchor may end a path.
func TestTrustedAt(t *testing.T) {
	ca := mint.Root(t, "Kwalifikowany Urząd Testowy")
	day := mint.Day
	s := snapshot(t, mint.Service{Name: "CA", Type: mint.CAQC, By: ca, Periods: []mint.Period{
		{Status: mint.Granted, From: day.AddDate(0, 2, 0)}, {Status: mint.Withdrawn, From: day}, {Status: mint.Granted, From: day.AddDate(-1, 0, 0)},
	}})
	anchors := s.Holding(parse(t, ca))
	if len(anchors) != 1 {
		t.Fatalf("%d anchors", len(anchors))
	}
	for at, want := range map[time.Time]bool{
		day.AddDate(-2, 0, 0): false, day.AddDate(-1, 0, 0): true, day.Add(-time.Second): true, day: false, day.AddDate(0, 1, 0): false, day.AddDate(0, 2, 0): true, day.AddDate(9, 0, 0): true,
	} {
		if got := anchors[0].TrustedAt(at); got != want {
			t.Errorf("%s: %t", at.Format(time.RFC3339), got)
		}
	}
}

func FuzzParse(f *testing.F) {
	ca := mint.Root(f, "CA")
	f.Add([]byte(mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{{Name: "CA", Type: mint.CAQC, By: ca, Periods: []mint.Period{
		{Status: mint.Granted, From: mint.Day, Additional: []string{mint.ForSeals}, Qualifications: mint.Qualification("NotQualified", "all", mint.Policy("1.2.3")+mint.KeyUsageBit("nonRepudiation", true))},
		{Status: mint.Withdrawn, From: mint.Day.AddDate(-1, 0, 0)},
	}}}}.Text()))
	f.Add([]byte(`<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#"/>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, err := trustlist.Parse(data); err == nil && l.Version != 5 && l.Version != 6 {
			t.Errorf("version %d", l.Version)
		}
	})
}
