package console_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/console"
)

// rowOf cuts the first row of the section on what expires that speaks of a subject.
func (d *desk) rowOf(text, subject string) string {
	d.Helper()
	_, section, _ := strings.Cut(text, `<section id="all"`)
	section, _, _ = strings.Cut(section, "</section>")
	before, after, found := strings.Cut(section, ">"+subject+"<")
	if !found {
		d.Fatalf("%s is not in\n%s", subject, section)
	}
	row, _, _ := strings.Cut(after, "</tr>")
	return before[strings.LastIndex(before, "<tr>"):] + row
}

// TestExpiring: what people must act on stands first and marked, the rest is folded.
func TestExpiring(t *testing.T) {
	d := open(t)
	day := 24 * time.Hour
	d.expiring = []console.Expiry{
		{Kind: "officer", Subject: "late", NotAfter: d.clock().Add(-day), Act: true, Step: 0, Remedy: "officer"},
		{Kind: "enrolment-token", Subject: "soon", Partner: "um-przykladowo", Order: "ZU-2026-001", NotAfter: d.clock().Add(time.Hour), Act: true, Step: 1, Remedy: "token"},
		{Kind: "crl", Subject: "itself", NotAfter: d.clock().Add(6 * day), ByItself: true, Step: 7, Remedy: "authority"},
		{Kind: "daemon-client", Subject: "stuck", NotAfter: d.clock().Add(13 * day), ByItself: true, Act: true, Step: 14, Remedy: "holder", Failure: "the key is away"},
		{Kind: "issuing", Subject: "authority", NotAfter: d.clock().Add(300 * day), Act: true, Step: 60, Remedy: "ceremony"},
	}
	b := d.login(one)
	text := b.page()
	d.wants(text, `<a href="#expiring"><b>4</b> deadlines need action</a>`, `<a href="expiring">The whole list: 5 items</a>`)
	_, section, _ := strings.Cut(text, `<section id="expiring"`)
	section, _, _ = strings.Cut(section, "</section>")
	d.lacks(section, "renews by itself")
	if strings.Count(section, `<th scope="row">`) != 4 || strings.Index(section, ">late<") > strings.Index(section, ">soon<") {
		t.Errorf("what people must act on is not first:\n%s", section)
	}
	text = b.at("/expiring")
	act, all, _ := strings.Cut(text, `<section id="all"`)
	d.wants(act, ">late<", ">soon<")
	d.lacks(act, ">itself<")
	d.wants(all, "renews by itself", ">late<", ">authority<")
	d.lacks(b.at("/expiring?q=stuck"), "renews by itself")
	for subject, want := range map[string][]string{
		"late":      {"certificate of an officer", "data centre", "ended", "overdue", "Propose a new certificate"},
		"soon":      {"enrolment token", "um-przykladowo", "ZU-2026-001", "less than a day", "within 1 day", "make a new token"},
		"itself":    {"revocation list (CRL)", "6 days", "renews by itself"},
		"stuck":     {"13 days", "within 14 days", "should have renewed by itself", `<span lang="en">the key is away</span>`},
		"authority": {"300 days", "needs action", "Hold a ceremony"},
	} {
		d.wants(d.rowOf(text, subject), want...)
	}
	d.lacks(d.rowOf(text, "itself"), "badge", "should have")
	d.lacks(d.rowOf(text, "authority"), "within 60 days")
	b.post("/preferences", "language", "pl")
	d.wants(b.page(), "Co wygasa", "terminy wymagają działania", "w ciągu 14 dni", "kod rejestracji urzędu", "Cała lista: 5 pozycji")
	d.wants(b.at("/expiring"), "odnawia się samoczynnie")
}

func TestNothingExpires(t *testing.T) {
	d := open(t)
	b := d.login(one)
	d.wants(b.page(), "Nothing needs action now.", "<b>0</b> deadlines")
	d.expiringFail = errors.New("the database is away")
	text := b.page()
	d.wants(text, "<b>?</b> deadlines", "These facts can&#39;t be read now")
	d.lacks(text, "Nothing needs action now.", "the database is away")
}
