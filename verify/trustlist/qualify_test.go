package trustlist_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
)

const someone = "1.3.6.1.4.1.32473.7"

// stated is a certificate that states its types (EN 319 412-5 4.2.3), with further statements and policies.
type stated struct {
	from        time.Time
	not         bool // without QcCompliance
	device      bool
	types       []int
	legislation string
	policies    []string
}

func (s stated) issue(t *testing.T, ca mint.Party) *certificate.Certificate {
	t.Helper()
	etsi := asn1.ObjectIdentifier{0, 4, 0, 1862, 1}
	id := func(arcs ...int) asn1.ObjectIdentifier {
		return append(append(asn1.ObjectIdentifier{}, etsi...), arcs...)
	}
	var list []any
	if !s.not {
		list = append(list, struct{ ID asn1.ObjectIdentifier }{id(1)})
	}
	if s.device {
		list = append(list, struct{ ID asn1.ObjectIdentifier }{id(4)})
	}
	if len(s.types) > 0 {
		var types []asn1.ObjectIdentifier
		for _, n := range s.types {
			types = append(types, id(6, n))
		}
		list = append(list, struct {
			ID    asn1.ObjectIdentifier
			Types []asn1.ObjectIdentifier
		}{id(6), types})
	}
	if s.legislation != "" {
		list = append(list, struct {
			ID     asn1.ObjectIdentifier
			States []asn1.RawValue
		}{id(7), []asn1.RawValue{{Tag: asn1.TagPrintableString, Bytes: []byte(s.legislation)}}})
	}
	request := mint.Request{Subject: pkix.Name{CommonName: "Jan"}, From: s.from, To: mint.Day.AddDate(1, 0, 0)}
	if s.from.IsZero() {
		request.From = mint.Day.AddDate(-1, 0, 0)
	}
	if len(list) > 0 {
		request.Extensions = append(request.Extensions, extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, list))
	}
	type policy struct{ ID asn1.ObjectIdentifier }
	policies := []policy{{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 7}}}
	for _, p := range s.policies {
		policies = append(policies, map[string]policy{"QCP": {asn1.ObjectIdentifier{0, 4, 0, 1456, 1, 2}}, "QCP+": {asn1.ObjectIdentifier{0, 4, 0, 1456, 1, 1}}}[p])
	}
	request.Extensions = append(request.Extensions, extension(t, asn1.ObjectIdentifier{2, 5, 29, 32}, policies))
	return parse(t, ca.Issue(t, request))
}

func extension(t *testing.T, id asn1.ObjectIdentifier, value any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: id, Value: der}
}

// level says in words what lists make of a certificate.
func level(q trustlist.Qualified) string {
	switch {
	case !q.Found:
		return "not listed"
	case q.Conflict:
		return "conflict"
	}
	text := "not"
	if q.Certificate {
		text = "QC"
	}
	if q.Type != trustlist.UnknownType {
		text += " " + string(q.Type)
	}
	if q.Device {
		text += " QSCD"
	}
	return text
}

// before and under are the services of the directive and of the regulation.
var (
	before = time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)
	under  = time.Date(2016, 7, 1, 0, 0, 0, 0, time.UTC)
)

const (
	supervised = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/undersupervision"
	national   = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/recognisedatnationallevel"
	webOnly    = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForWebSiteAuthentication"
)

// words are qualifiers over every certificate of these tests.
func words(qualifiers string) string {
	text := ""
	for _, q := range strings.Fields(qualifiers) {
		text += mint.Qualification(q, "all", mint.Policy(someone))
	}
	return text
}

// TestQualifyByTheListsWords: what a certificate says of itself, and what a service says over it (TS 119 615 4.4.4).
func TestQualifyByTheListsWords(t *testing.T) {
	ca := mint.Root(t, "CA")
	issuer := []*certificate.Certificate{parse(t, ca)}
	old := time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC)
	all := []string{mint.ForSignatures, mint.ForSeals, webOnly}
	sign, seal := all[:1], all[1:2]
	esig, eseal := stated{device: true, types: []int{1}}, stated{device: true, types: []int{2}}
	for _, c := range []struct {
		name   string
		cert   stated
		listed []string
		words  string
		want   string
	}{
		{"two types", stated{device: true, types: []int{1, 2}}, all, "", "QC QSCD"},
		{"two types, the list says which", stated{device: true, types: []int{1, 2}}, all, "QCForESeal", "QC ESEAL QSCD"},
		{"a type twice", stated{types: []int{2, 2}}, all, "", "QC ESEAL"},
		{"a type that is not known", stated{types: []int{9}}, all, "", "QC ESIG"},
		{"no type", stated{}, all, "", "QC ESIG"},
		{"for websites", stated{device: true, types: []int{3}}, all, "", "QC WSA"},
		{"a type without a word of being qualified", stated{not: true, types: []int{2}}, all, "", "not ESEAL"},
		{"by the law of another state", stated{types: []int{1}, legislation: "UA"}, all, "", "not ESIG"},
		{"by the law of another state, the list says yes", stated{types: []int{1}, legislation: "UA"}, all, "QCStatement", "QC ESIG"},
		{"the service has no type", esig, nil, "", "not ESIG"},
		{"the service has another type", esig, seal, "", "not ESIG"},
		{"the service has another type, and says so", esig, seal, "QCForESeal", "QC ESEAL QSCD"},
		{"the service says a type that it has not", esig, sign, "QCForESeal", "QC QSCD"},
		{"the service has another type by another's word", esig, []string{"http://example.org/ForeSignatures"}, "", "not ESIG"},
		{"a seal of a service for signatures", eseal, sign, "", "not ESEAL"},
		{"two types by the list", esig, all, "QCForESig QCForESeal", "QC QSCD"},
		{"of a legal person", stated{}, all, "QCForLegalPerson", "not ESIG"},
		{"of a legal person, for signatures", stated{not: true}, all, "QCStatement QCForLegalPerson QCForESig", "QC"},
		{"qualified and not", esig, all, "QCStatement NotQualified", "not ESIG"},
		{"not qualified has no use by the list", esig, all, "NotQualified QCForESeal", "not ESIG"},
		{"in a device and not", esig, all, "QCWithQSCD QCNoQSCD", "QC ESIG"},
		{"in a device and as stated", esig, all, "QCWithQSCD QCQSCDStatusAsInCert", "QC ESIG"},
		{"not in a device and as stated", esig, all, "QCNoQSCD QCQSCDStatusAsInCert", "QC ESIG"},
		{"managed on behalf", stated{types: []int{1}}, all, "QCQSCDManagedOnBehalf", "QC ESIG QSCD"},
		{"a device of the directive, under the regulation", esig, all, "QCWithSSCD", "QC ESIG"},
		{"devices of both", stated{types: []int{1}}, all, "QCWithSSCD QCWithQSCD", "QC ESIG QSCD"},
		{"policies of the directive, under the regulation", stated{not: true, policies: []string{"QCP+"}}, all, "", "not"},
		{"issued before", stated{from: old, not: true, policies: []string{"QCP+"}}, nil, "", "QC ESIG QSCD"},
		{"issued before, a seal", stated{from: old, device: true, types: []int{2}}, nil, "", "QC ESIG QSCD"},
		{"issued before, two types", stated{from: old, types: []int{1, 3}}, all, "", "QC ESIG"},
		{"issued before, nothing stated", stated{from: old, not: true}, all, "", "not"},
	} {
		s := snapshot(t, mint.Service{Name: "CA", Type: mint.CAQC, By: ca, Periods: []mint.Period{
			{Status: mint.Granted, From: under, Additional: c.listed, Qualifications: words(c.words)}}})
		if got := level(s.Qualify(c.cert.issue(t, ca), issuer, mint.Day)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestQualifyByStatus: each time has statuses of its own, and what a state recognises for itself qualifies nothing.
func TestQualifyByStatus(t *testing.T) {
	ca := mint.Root(t, "CA")
	issuer := []*certificate.Certificate{parse(t, ca)}
	cert := stated{from: time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC), device: true, types: []int{1}}.issue(t, ca)
	for _, c := range []struct {
		status string
		from   time.Time
		words  string
		want   string
	}{
		{mint.Granted, under, "", "QC ESIG QSCD"},
		{mint.Granted, before, "", "not ESIG"},
		{supervised, before, "", "QC ESIG QSCD"},
		{supervised, before, "QCForESig", "QC ESIG QSCD"},
		{supervised, before, "QCForESeal", "QC QSCD"},
		{supervised, before, "QCNoSSCD", "QC ESIG"},
		{supervised, before, "QCNoQSCD", "QC ESIG QSCD"},
		{supervised, under, "", "not ESIG"},
		{national, under, "", "not ESIG"},
		{national, before, "", "not ESIG"},
		{"http://example.org/granted", under, "", "not ESIG"},
	} {
		s := snapshot(t, mint.Service{Name: "CA", Type: mint.CAQC, By: ca, Periods: []mint.Period{
			{Status: c.status, From: c.from, Additional: []string{mint.ForSignatures}, Qualifications: words(c.words)}}})
		if got := level(s.Qualify(cert, issuer, mint.Day)); got != c.want {
			t.Errorf("%s since %d, %q: %s, want %s", c.status, c.from.Year(), c.words, got, c.want)
		}
	}
	s := snapshot(t, mint.Service{Name: "CA", Type: mint.CAQC, By: ca, Periods: []mint.Period{{Status: "http://example.org/granted", From: under}}})
	if s.Holding(issuer[0])[0].TrustedAt(mint.Day) {
		t.Error("a status of somebody else makes an anchor")
	}
}

// TestQualifyBySeveralServices: services of one key that make different things of a certificate settle nothing, whichever
// of them was granted; those that issue no qualified certificates, or others, do not count.
func TestQualifyBySeveralServices(t *testing.T) {
	ca := mint.Root(t, "CA")
	issuer := []*certificate.Certificate{parse(t, ca)}
	cert := stated{device: true, types: []int{1}}.issue(t, ca)
	const pkc = "http://uri.etsi.org/TrstSvc/Svctype/CA/PKC"
	service := func(kind, status, listed, qualifiers string) mint.Service {
		return mint.Service{Name: "CA", Type: kind, By: ca, Periods: []mint.Period{
			{Status: status, From: under, Additional: strings.Fields(listed), Qualifications: words(qualifiers)}}}
	}
	granted := service(mint.CAQC, mint.Granted, mint.ForSignatures, "")
	for _, c := range []struct {
		name  string
		other mint.Service
		want  string
	}{
		{"alike", granted, "QC ESIG QSCD"},
		{"withdrawn", service(mint.CAQC, mint.Withdrawn, mint.ForSignatures, ""), "conflict"},
		{"withdrawn, for seals", service(mint.CAQC, mint.Withdrawn, mint.ForSeals, ""), "QC ESIG QSCD"},
		{"not qualified", service(mint.CAQC, mint.Granted, mint.ForSignatures, "NotQualified"), "conflict"},
		{"no device", service(mint.CAQC, mint.Granted, mint.ForSignatures, "QCNoQSCD"), "conflict"},
		{"another use", service(mint.CAQC, mint.Granted, mint.ForSeals, "QCForESeal"), "conflict"},
		{"not qualified certificates", service(pkc, mint.Withdrawn, mint.ForSignatures, ""), "QC ESIG QSCD"},
		{"a type that ends alike", service("http://example.org/Svctype/CA/QC", mint.Withdrawn, mint.ForSignatures, ""), "QC ESIG QSCD"},
	} {
		for i, s := range []*trustlist.Snapshot{snapshot(t, granted, c.other), snapshot(t, c.other, granted)} {
			if got := level(s.Qualify(cert, issuer, mint.Day)); got != c.want {
				t.Errorf("%s, order %d: %s, want %s", c.name, i, got, c.want)
			}
		}
	}
	alone := snapshot(t, service(pkc, mint.Granted, mint.ForSignatures, "QCStatement"))
	if got := level(alone.Qualify(cert, issuer, mint.Day)); got != "not ESIG" {
		t.Errorf("a service for other certificates alone: %s", got)
	}
}

// TestStampLevel: a qualified time-stamp is one of a service that was granted when it was made and when it is proven.
func TestStampLevel(t *testing.T) {
	unit := mint.Root(t, "TSA")
	chain := []*certificate.Certificate{parse(t, unit)}
	day, later := mint.Day, mint.Day.AddDate(0, 1, 0)
	const tsa, idv = "http://uri.etsi.org/TrstSvc/Svctype/TSA", "http://uri.etsi.org/TrstSvc/Svctype/IdV"
	granted := mint.Period{Status: mint.Granted, From: under}
	for _, c := range []struct {
		name    string
		kind    string
		periods []mint.Period
		want    trustlist.Stamping
	}{
		{"granted", mint.QTST, []mint.Period{granted}, trustlist.QualifiedStamping},
		{"of the directive", mint.QTST, []mint.Period{{Status: supervised, From: before}}, trustlist.QualifiedStamping},
		{"granted before the regulation", mint.QTST, []mint.Period{{Status: mint.Granted, From: before}}, trustlist.Stamps},
		{"recognised by a state", mint.QTST, []mint.Period{{Status: national, From: under}}, trustlist.Stamps},
		{"not qualified", tsa, []mint.Period{granted}, trustlist.Stamps},
		{"of another kind", idv, []mint.Period{granted}, trustlist.Stamps},
		{"withdrawn when it is proven", mint.QTST, []mint.Period{{Status: mint.Withdrawn, From: later}, granted}, trustlist.Stamps},
		{"granted since", mint.QTST, []mint.Period{{Status: mint.Granted, From: later}, {Status: mint.Withdrawn, From: under}}, trustlist.Stamps},
	} {
		s := snapshot(t, mint.Service{Name: "TSA", Type: c.kind, By: unit, Periods: c.periods})
		if got := s.StampLevel(chain, day, later); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := snapshot(t).StampLevel(chain, day, later); got != trustlist.NoStamping {
		t.Errorf("on no list: %s", got)
	}
}
