package trustlist_test

import (
	"bytes"
	"reflect"
	"testing"

	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
)

// TestDetails: what a list says of a provider besides is read in all its languages, and outlives being kept.
func TestDetails(t *testing.T) {
	ca := mint.Root(t, "CA")
	text := []byte(mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: ca, Periods: []mint.Period{{Status: mint.Granted, From: mint.Day,
			Qualifications: mint.Qualification("QCWithQSCD", "all", mint.Policy("1.2.3"))}}}}}.Text())
	for old, more := range map[string]string{
		`<TSPName><Name xml:lang="en">Test Provider</Name></TSPName>`: `<TSPName><Name xml:lang="pl">Dostawca</Name>` +
			`<Name xml:lang="en">Test Provider</Name></TSPName><TSPTradeName><Name xml:lang="en">VATPL-1234567890</Name></TSPTradeName>`,
		`<StatusStartingTime>`: `<ServiceSupplyPoints><ServiceSupplyPoint> http://ca.example/ </ServiceSupplyPoint></ServiceSupplyPoints><StatusStartingTime>`,
	} {
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("%s is not there", old)
		}
		text = bytes.Replace(text, []byte(old), []byte(more), 1)
	}
	list, err := trustlist.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := trustlist.Details{Names: []trustlist.Text{{Language: "en", Value: "CA/QC"}},
		ProviderNames: []trustlist.Text{{Language: "pl", Value: "Dostawca"}, {Language: "en", Value: "Test Provider"}},
		TradeNames:    []trustlist.Text{{Language: "en", Value: "VATPL-1234567890"}}, SupplyPoints: []string{"http://ca.example/"}}
	s := list.Services[0]
	if !reflect.DeepEqual(s.Details, want) || s.Provider != "Test Provider" || !s.Periods[0].Qualifications[0].Critical {
		t.Errorf("%+v", s)
	}
	checked := &trustlist.Checked{List: list}
	kept, err := checked.Parsed()
	if err != nil {
		t.Fatal(err)
	}
	again, err := trustlist.ReadParsed(kept, list.Digest)
	if err != nil || !reflect.DeepEqual(again.Services[0].Details, want) {
		t.Errorf("%+v %v", again, err)
	}
}

// TestLocation: a list is said to lie where the list of the lists in force says so, and not where that says a PDF of it lies.
func TestLocation(t *testing.T) {
	u := newUnion(t)
	pointer := func(location, mime string) mint.Pointer {
		return mint.Pointer{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{u.national}, Location: location, MIME: mime}
	}
	write(t, u.dir, "lotl.xml", mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: 5, Pointers: []mint.Pointer{
		pointer("https://pl.example/tl.pdf", "application/pdf"),
		pointer("https://pl.example/tl.xml", "application/vnd.etsi.tsl+xml")}}.Sign(t, u.operator))
	write(t, u.dir, "pl.xml", u.poland(t, 2, u.national))
	snapshot, err := u.load(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snapshot.Status() {
		if s.Role == "national" && (s.Location != "https://pl.example/tl.xml" || s.Type != mint.TypeList || s.Version != 5) {
			t.Errorf("%+v", s)
		}
		if s.Role == "lotl" && s.Location != "" {
			t.Errorf("%+v: it names itself nowhere", s)
		}
	}
}
