package upkeep_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// TestFetched fetches all, keeps it, and starts again without a network.
func TestFetched(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.want("before", "")
	k.refresh()
	k.want("fetched", "EU10 CZ3 PL7")
	if p.times("/pl.pdf") != 0 {
		t.Error("a PDF was asked for")
	}
	if s := k.status("PL"); s.Services != 1 || s.Reason != "" || s.Address != p.URL+"/pl.xml" || !s.Taken.Equal(k.now) || !s.Confirmed.Equal(k.now) || s.PastNext {
		t.Errorf("%+v", s)
	}
	p.Close()
	k.again()
	k.want("at the next start", "EU10 CZ3 PL7")
	if k.changed == 0 || k.Trouble() != "" {
		t.Errorf("told %d times, trouble %q", k.changed, k.Trouble())
	}
	names, err := filepath.Glob(k.cfg.Dir + "/*")
	if err != nil || len(names) != 8 {
		t.Errorf("%d files, %v: three lists, what was read of them, the index and a lock", len(names), err)
	}
}

// TestOnlyWhatChanged: a digest that is the same saves the download, a version that is the same the transfer.
func TestOnlyWhatChanged(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	p.times("/pl.xml")
	k.refresh()
	if n := p.times("/pl.xml"); n != 1 {
		t.Errorf("without a digest file asked %d times", n)
	}
	data := p.national("PL", 7).Sign(t, p.poland)
	sum := sha256.Sum256(data)
	for _, file := range [][]byte{sum[:], []byte(hex.EncodeToString(sum[:])), []byte(hex.EncodeToString(sum[:]) + "  pl.xml\n"), []byte(strings.ToUpper(hex.EncodeToString(sum[:])))} {
		p.list("/pl.xml", data)
		p.at("/pl.sha2", nil)
		k.now = k.now.Add(25 * time.Hour)
		k.refresh()
		p.list("/pl.sha2", file)
		p.times("/pl.xml")
		k.refresh()
		if n := p.times("/pl.xml"); n != 0 && k.status("PL").Digest == hex.EncodeToString(sum[:]) {
			t.Errorf("%q: asked %d times though the digest says that nothing has changed", file, n)
		}
	}
	newer := p.national("PL", 8).Sign(t, p.poland)
	sum = sha256.Sum256(newer)
	p.list("/pl.xml", newer)
	p.list("/pl.sha2", sum[:])
	k.refresh()
	k.want("a new one", "EU10 CZ3 PL8")
	p.times("/pl.xml")
	k.refresh()
	if n := p.times("/pl.xml"); n != 0 {
		t.Errorf("asked %d times", n)
	}
	k.now = k.now.Add(25 * time.Hour)
	k.refresh()
	if n := p.times("/pl.xml"); n != 1 {
		t.Errorf("a day later asked %d times: the digest file is signed by nobody", n)
	}
}

// TestFailures plays everything that can be wrong with Poland's list: the one in use stays, the Czech one goes on, and why
// is said; when the publisher is well again the next list is taken.
func TestFailures(t *testing.T) {
	stranger := mint.Root(t, "stranger")
	type serve = http.HandlerFunc
	content := func(data []byte) serve {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
	}
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	redirect := func(to string) serve {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	wrapped := func(p *publisher) []byte {
		good := string(p.national("PL", 9).Sign(t, p.poland))
		root := good[:strings.Index(good, "<SchemeInformation>")]
		start := strings.Index(good, "<ds:Signature")
		evil := p.national("PL", 99).Text()
		return []byte(strings.Replace(evil, "</TrustServiceStatusList>", strings.Replace(good[start:strings.Index(good, "</TrustServiceStatusList>")],
			"</ds:Signature>", "<ds:Object>"+root+good[len(root):start]+"</TrustServiceStatusList></ds:Object></ds:Signature>", 1)+"</TrustServiceStatusList>", 1))
	}
	for _, c := range []struct {
		name string
		with func(p *publisher) serve
		says string
	}{
		{"down", func(*publisher) serve { return nil }, "404"},
		{"500", func(*publisher) serve {
			return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }
		}, "500"},
		{"slow", func(*publisher) serve {
			return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		}, "Timeout"},
		{"web page", func(*publisher) serve {
			return content([]byte("\n <!DOCTYPE html><html><p>We are busy"))
		}, "web page"},
		{"PDF", func(*publisher) serve { return content([]byte("%PDF-1.7\n")) }, "PDF"},
		{"empty", func(*publisher) serve { return content(nil) }, "empty"},
		{"cut", func(p *publisher) serve {
			data := p.national("PL", 8).Sign(t, p.poland)
			return content(data[:len(data)/2])
		}, "trusted list"},
		{"cut on the way", func(p *publisher) serve {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100000")
				_, _ = w.Write(p.national("PL", 8).Sign(t, p.poland))
			}
		}, "unexpected EOF"},
		{"huge", func(*publisher) serve { return content(bytes.Repeat([]byte(" "), 1<<20+1)) }, "more than"},
		{"changed", func(p *publisher) serve {
			return content(bytes.Replace(p.national("PL", 8).Sign(t, p.poland), []byte("Test Provider"), []byte("Evil Provider"), 1))
		}, "changed after it was signed"},
		{"unsigned", func(p *publisher) serve { return content([]byte(p.national("PL", 8).Text())) }, "no XML signature"},
		{"stranger's signature", func(p *publisher) serve { return content(p.national("PL", 8).Sign(t, stranger)) }, "names no such signer"},
		{"signature of another territory's signer", func(p *publisher) serve { return content(p.national("PL", 8).Sign(t, p.czechia)) }, "names no such signer"},
		{"signature of the LOTL's signer", func(p *publisher) serve { return content(p.national("PL", 8).Sign(t, p.operator)) }, "names no such signer"},
		{"wrapped signature", func(p *publisher) serve { return content(wrapped(p)) }, "the list was changed"},
		{"two signatures", func(p *publisher) serve {
			return content(mint.XML{Signer: p.poland, At: mint.Day}.Sign(t, string(p.national("PL", 8).Sign(t, p.poland))))
		}, "2 signatures"},
		{"rollback", func(p *publisher) serve { return content(p.national("PL", 6).Sign(t, p.poland)) }, "superseded by sequence number 7"},
		{"another one of the same number", func(p *publisher) serve {
			l := p.national("PL", 7)
			l.Services[0].Name = "other"
			return content(l.Sign(t, p.poland))
		}, "same sequence number 7"},
		{"issued before", func(p *publisher) serve {
			l := p.national("PL", 8)
			l.Issued = mint.Day.AddDate(0, 0, -1)
			return content(l.Sign(t, p.poland))
		}, "it was issued on"},
		{"run out", func(p *publisher) serve {
			l := p.national("PL", 8)
			l.Next = mint.Day
			return content(l.Sign(t, p.poland))
		}, "next update was due on"},
		{"wrong territory", func(p *publisher) serve { return content(p.national("CZ", 8).Sign(t, p.czechia)) }, `the list of "CZ", not of "PL"`},
		{"list of the lists", func(p *publisher) serve { return content(p.lotl(11).Sign(t, p.operator)) }, `the list of "EU", not of "PL"`},
		{"redirect inside", func(*publisher) serve { return redirect(inside.URL) }, "not one that may be asked"},
		{"redirect to a private address", func(*publisher) serve { return redirect("http://10.255.255.1/pl.xml") }, "not one that may be asked"},
		{"redirect to another scheme", func(*publisher) serve { return redirect("file:///etc/passwd") }, "not one that may be asked"},
		{"redirects without end", func(p *publisher) serve { return redirect("/pl.xml") }, "redirects"},
		{"says unchanged to who has nothing of it", func(*publisher) serve {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") == "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				http.Error(w, "gone", http.StatusGone)
			}
		}, "410"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPublisher(t)
			k := p.keep(t)
			k.refresh()
			digest := k.status("PL").Digest
			p.at("/pl.xml", c.with(p))
			p.list("/cz.xml", p.national("CZ", 4).Sign(t, p.czechia))
			told := k.changed
			k.now = k.now.Add(time.Hour)
			k.refresh()
			k.want("with a failure", "EU10 CZ4 PL7")
			s := k.status("PL")
			if !strings.Contains(s.Reason, c.says) || s.Failures != 1 || !s.Failing.Equal(k.now) || s.Digest != digest {
				t.Errorf("%+v; want %q", s, c.says)
			}
			if k.changed == told || k.status("CZ").Reason != "" || !k.Failing()["PL"].Equal(k.now) {
				t.Error("it is not told, or of another list as well")
			}
			k.again()
			k.want("at the next start", "EU10 CZ4 PL7")
			p.list("/pl.xml", p.national("PL", 8).Sign(t, p.poland))
			k.refresh()
			k.want("well again", "EU10 CZ4 PL8")
			if s := k.status("PL"); s.Reason != "" || s.Failures != 0 || !s.Failing.IsZero() {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestDigestThatLies: the list's signature decides, the lie is told, and the digest is believed no more.
func TestDigestThatLies(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	p.list("/pl.sha2", bytes.Repeat([]byte{7}, 32))
	k.refresh()
	k.want("another digest of the same list", "EU10 CZ3 PL7")
	if s := k.status("PL"); s.Remark == "" || s.Reason != "" {
		t.Errorf("%+v", s)
	}
	p.list("/pl.xml", p.national("PL", 8).Sign(t, p.poland))
	k.refresh()
	k.want("another digest of a new list", "EU10 CZ3 PL8")
	sum, err := hex.DecodeString(k.status("PL").Digest)
	if err != nil {
		t.Fatal(err)
	}
	p.list("/pl.sha2", sum)
	k.refresh()
	if s := k.status("PL"); s.Remark != "" {
		t.Errorf("after it was put right: %+v", s)
	}
	p.list("/pl.xml", p.national("PL", 9).Sign(t, p.poland))
	k.refresh()
	k.want("the old digest of a new list", "EU10 CZ3 PL8")
	k.now = k.now.Add(25 * time.Hour)
	k.refresh()
	k.want("a day later", "EU10 CZ3 PL9")
	for _, junk := range [][]byte{nil, []byte("<html>"), bytes.Repeat([]byte("a"), 31), bytes.Repeat([]byte("0"), 5000), []byte(strings.Repeat("zz", 32))} {
		p.list("/pl.sha2", junk)
		k.refresh()
		if s := k.status("PL"); s.Reason != "" || s.Remark != "" {
			t.Errorf("%.20q: %+v", junk, s)
		}
	}
	// A list that has run out is asked for, whatever the digest says.
	sum, err = hex.DecodeString(k.status("PL").Digest)
	if err != nil {
		t.Fatal(err)
	}
	p.list("/pl.sha2", sum)
	k.refresh()
	k.now = mint.Day.AddDate(1, 0, 0)
	k.refresh()
	p.times("/pl.xml")
	k.refresh()
	if n := p.times("/pl.xml"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestPivotsAreFetched: a list of the lists by a signer whom the one in use does not name is taken over its pivots.
func TestPivotsAreFetched(t *testing.T) {
	second, third, stranger := mint.Root(t, "second"), mint.Root(t, "third"), mint.Root(t, "stranger")
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	newest := p.lotl(14, third)
	newest.Information = []string{"https://nowhere.invalid/tools/eu-lotl-pivot-13.xml", "https://nowhere.invalid/tools/eu-lotl-pivot-12.xml", "https://eur-lex.europa.eu/oj"}
	p.list("/eu-lotl.xml", newest.Sign(t, third))
	k.refresh()
	k.want("without the pivots", "EU10 CZ3 PL7")
	if s := k.status("EU"); !strings.Contains(s.Reason, "2 pivots that it names were looked for") {
		t.Errorf("%+v", s)
	}
	p.list("/eu-lotl-pivot-12.xml", p.lotl(12, second).Sign(t, p.operator))
	p.list("/eu-lotl-pivot-13.xml", p.lotl(13, third).Sign(t, stranger))
	k.refresh()
	k.want("over one that a stranger signed", "EU12 CZ3 PL7")
	p.list("/eu-lotl-pivot-13.xml", p.lotl(13, third).Sign(t, second))
	k.refresh()
	k.want("over both", "pivot12 pivot13 EU14 CZ3 PL7")
	k.again()
	k.want("at the next start", "pivot12 pivot13 EU14 CZ3 PL7")
	p.list("/eu-lotl.xml", p.lotl(15, p.operator).Sign(t, p.operator))
	k.refresh()
	k.want("by a signer who was taken out", "pivot12 pivot13 EU14 CZ3 PL7")
	// Pivots that name each other are asked for once a round.
	loop := p.lotl(16, second)
	loop.Information = []string{p.URL + "/a-pivot-1.xml", p.URL + "/b-pivot-2.xml", p.URL + "/eu-lotl.xml", p.URL + "/a-pivot-1.xml"}
	for _, path := range []string{"/eu-lotl.xml", "/a-pivot-1.xml", "/b-pivot-2.xml"} {
		p.list(path, loop.Sign(t, second))
	}
	p.times("/a-pivot-1.xml")
	k.refresh()
	if n := p.times("/a-pivot-1.xml"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	k.want("pivots in a loop", "pivot12 pivot13 EU14 CZ3 PL7")
}

// TestJournal: a newer issue of the Official Journal leads to a list of the lists that the chain does not lead to.
func TestJournal(t *testing.T) {
	second := mint.Root(t, "second")
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	p.list("/eu-lotl.xml", p.lotl(11, second).Sign(t, second))
	k.refresh()
	k.want("without the issue", "EU10 CZ3 PL7")
	newer := trustlist.Signers{Name: "newer", Certificates: [][]byte{second.Cert.Raw}}
	for _, newer.Since = range []time.Time{{}, mint.Day} { // the list in use was issued with that knowledge
		k.cfg.Signers = append(p.signers(), newer)
		k.again()
		k.refresh()
		k.want("with an issue of "+newer.Since.String(), "EU10 CZ3 PL7")
	}
	newer.Since = mint.Day.Add(time.Second)
	k.cfg.Signers = append(p.signers(), newer)
	k.again()
	k.refresh()
	k.want("with it", "EU11 CZ3 PL7")
	k.again()
	k.want("at the next start", "EU11 CZ3 PL7")
}

// TestSignersChange: a list whose signer the list of the lists names no more is out of use at once, and its successor
// is fetched in the same round. What was in use is remembered: an older one does not come back.
func TestSignersChange(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	old := p.poland
	p.poland = mint.Root(t, "PL operator of the next year")
	p.list("/eu-lotl.xml", p.lotl(11).Sign(t, p.operator))
	k.refresh()
	k.want("before the list is signed anew", "EU11 CZ3 PL7!")
	if s := k.status("PL"); !strings.Contains(s.Error, "names no such signer") {
		t.Errorf("%+v", s)
	}
	s, err := trustlist.Load(t.Context(), trustlist.Sources{Set: k.Set()})
	if err != nil || s.Services() != 1 {
		t.Errorf("%d services, %v: only the Czech one counts", s.Services(), err)
	}
	p.list("/pl.xml", p.national("PL", 5).Sign(t, p.poland))
	k.refresh()
	k.want("an older one by the new signer", "EU11 CZ3 PL7!")
	p.list("/pl.xml", p.national("PL", 8).Sign(t, p.poland))
	k.refresh()
	k.want("after", "EU11 CZ3 PL8")
	p.list("/pl.xml", p.national("PL", 9).Sign(t, old))
	k.refresh()
	k.want("by the old signer", "EU11 CZ3 PL8")
}

// TestImport carries a folder in by hand: everything is held against what is in use as if it had been fetched.
func TestImport(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t, func(c *upkeep.Config) { c.Fetch = nil })
	if err := k.Refresh(t.Context()); err == nil {
		t.Error("fetched without addresses")
	}
	lotl, pl, cz := p.lotl(10).Sign(t, p.operator), p.national("PL", 7).Sign(t, p.poland), p.national("CZ", 3).Sign(t, p.czechia)
	names := func(results []upkeep.Taken) string {
		var all []string
		for _, r := range results {
			state := "refused"
			if r.Taken {
				state = "taken"
			} else if r.Known {
				state = "known"
			}
			all = append(all, r.File+" "+state)
		}
		return strings.Join(all, ", ")
	}
	for _, c := range []struct {
		name    string
		files   []upkeep.File
		results string
		holds   string
	}{
		{"without a list of the lists", []upkeep.File{{"pl", pl}}, "pl refused", ""},
		{"in any order", []upkeep.File{{"pl", pl}, {"page", []byte("<html>")}, {"lotl", lotl}, {"cz", cz}}, "pl taken, page refused, lotl taken, cz taken", "EU10 CZ3 PL7"},
		{"again", []upkeep.File{{"pl", pl}, {"lotl", lotl}}, "pl known, lotl known", "EU10 CZ3 PL7"},
		{"older, newer", []upkeep.File{{"9", p.national("PL", 9).Sign(t, p.poland)}, {"8", p.national("PL", 8).Sign(t, p.poland)}, {"6", p.national("PL", 6).Sign(t, p.poland)}},
			"9 taken, 8 taken, 6 refused", "EU10 CZ3 PL9"},
		{"by a stranger", []upkeep.File{{"s", p.national("CZ", 9).Sign(t, mint.Root(t, "stranger"))}}, "s refused", "EU10 CZ3 PL9"},
	} {
		results, err := k.Import(t.Context(), c.files)
		if err != nil || names(results) != c.results {
			t.Errorf("%s: %s, %v; want %s", c.name, names(results), err, c.results)
		}
		k.want(c.name, c.holds)
		k.again()
		k.want(c.name+", at the next start", c.holds)
	}
}

// TestExtraLists: a list outside the list of the lists is fetched, and taken by the signers that the configuration names.
func TestExtraLists(t *testing.T) {
	p := newPublisher(t)
	operator := mint.Root(t, "operator of a national extra list")
	extra := p.URL + "/extra.xml"
	k := p.keep(t, func(c *upkeep.Config) {
		c.Extra = []upkeep.Extra{{Address: extra, Signers: [][]byte{operator.Cert.Raw}}}
	})
	for sequence, signer := range map[int]mint.Party{1: mint.Root(t, "stranger"), 2: p.poland} {
		p.list("/extra.xml", p.national("PL", sequence).Sign(t, signer))
		k.refresh()
		k.want("by another signer", "EU10 CZ3 PL7")
	}
	p.list("/extra.xml", p.lotl(9).Sign(t, operator))
	k.refresh()
	k.want("a list of the lists", "EU10 CZ3 PL7")
	p.list("/extra.xml", p.national("PL", 3).Sign(t, operator))
	k.refresh()
	k.want("by its signer", "EU10 CZ3 PL7 PL3")
	p.list("/extra.xml", p.national("PL", 2).Sign(t, operator))
	k.refresh()
	k.again()
	k.want("an older one", "EU10 CZ3 PL7 PL3")
	results, err := k.Import(t.Context(), []upkeep.File{{"x", p.national("PL", 4).Sign(t, operator)}})
	k.want(fmt.Sprint("carried in: ", results, err), "EU10 CZ3 PL7 PL4")
}

// TestConfiguredAddress: where the administrator names an address for a territory, no other is asked.
func TestConfiguredAddress(t *testing.T) {
	p := newPublisher(t)
	p.list("/mirror/pl.xml", p.national("PL", 8).Sign(t, p.poland))
	k := p.keep(t, func(c *upkeep.Config) { c.Fetch.Addresses = map[string]string{"PL": p.URL + "/mirror/pl.xml"} })
	k.refresh()
	k.want("from the mirror", "EU10 CZ3 PL8")
	if p.times("/pl.xml") != 0 {
		t.Error("the other address was asked")
	}
}

// TestStrangersPointers: what the list of the lists points to is asked as any stranger's address.
func TestStrangersPointers(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	for _, location := range []string{inside.URL, "http://10.255.255.1/pl.xml", "http://169.254.169.254/", "file:///etc/passwd", "ldap://example.org/", ""} {
		p := newPublisher(t)
		l := p.lotl(10)
		for i := range l.Pointers {
			if l.Pointers[i].Territory == "PL" {
				l.Pointers[i].Location, l.Pointers[i].MIME = location, ""
			}
		}
		if location == "" {
			l.Pointers[1].Location = "about:blank"
			l.Pointers[2].Location = "about:blank"
		}
		p.list("/eu-lotl.xml", l.Sign(t, p.operator))
		k := p.keep(t)
		k.refresh()
		k.want(location, "EU10 CZ3")
		if s := k.status("PL"); !strings.Contains(s.Reason, "not one that may be asked") || s.Error == "" {
			t.Errorf("%s: %+v", location, s)
		}
	}
}

// TestSchedule: after a success a list is due at the usual time, after failures soon, then later and later.
func TestSchedule(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	if next := k.status("PL").Next.Sub(k.now); next < 54*time.Minute || next > 66*time.Minute {
		t.Errorf("due after %s", next)
	}
	p.at("/pl.xml", nil)
	before := time.Duration(0)
	for i := range 9 {
		k.refresh()
		next := k.status("PL").Next.Sub(k.now)
		if i == 0 && next > 2*time.Minute || i < 5 && next < before || next > 66*time.Minute {
			t.Errorf("failure %d: due after %s, before after %s", i+1, next, before)
		}
		before = next
	}
	if k.status("PL").Failures != 9 || k.status("CZ").Failures != 0 {
		t.Errorf("%+v", k.status("PL"))
	}
}

// TestFolder damages what is kept, and opens the folder twice.
func TestFolder(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	if _, err := upkeep.Open(t.Context(), k.cfg); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second keeper: %v", err)
	}
	digest := k.status("PL").Digest
	file := func(ext string) string { return filepath.Join(k.cfg.Dir, digest+"."+ext) }
	good, err := os.ReadFile(file("xml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, harm := range map[string]func(){
		"what was read is damaged": func() { write(file("parsed"), bytes.Repeat([]byte{1}, 1000)) },
		"what was read is lost":    func() { _ = os.Remove(file("parsed")) },
		"what was read is of another list": func() {
			data, _ := os.ReadFile(filepath.Join(k.cfg.Dir, k.status("CZ").Digest+".parsed"))
			write(file("parsed"), data)
		},
		"the index is no index":           func() { write(filepath.Join(k.cfg.Dir, "index.json"), []byte("{")) },
		"the index is of another version": func() { write(filepath.Join(k.cfg.Dir, "index.json"), []byte(`{"version":2}`)) },
		"the index leads out of the folder": func() {
			write(filepath.Join(k.cfg.Dir, "index.json"), []byte(`{"version":1,"chain":["../../etc/passwd"]}`))
		},
		"the index is lost to a folder that was copied": func() { write(filepath.Join(k.cfg.Dir, "index.json"), nil) },
	} {
		harm()
		k.again()
		k.want(name, "EU10 CZ3 PL7")
	}
	write(file("xml"), bytes.Replace(good, []byte("Test Provider"), []byte("Evil Provider"), 1))
	k.again()
	k.want("a damaged list", "EU10 CZ3")
	if s := k.status("PL"); !strings.Contains(s.Error, "damaged") {
		t.Errorf("%+v", s)
	}
	p.list("/pl.xml", p.national("PL", 6).Sign(t, p.poland))
	k.refresh()
	k.want("an older one in place of the damaged", "EU10 CZ3")
	p.list("/pl.xml", p.national("PL", 7).Sign(t, p.poland))
	k.refresh()
	k.want("fetched again", "EU10 CZ3 PL7")
	k.cfg.Signers = []trustlist.Signers{{Certificates: [][]byte{mint.Root(t, "stranger").Cert.Raw}}}
	k.again()
	k.refresh()
	k.want("by other signers of the list of the lists", "")
	k.cfg.Signers = p.signers()
	k.again()
	k.want("by the old ones again", "EU10 CZ3 PL7")
}

// TestChanges tells what a new version of a list says otherwise.
func TestChanges(t *testing.T) {
	p := newPublisher(t)
	k := p.keep(t)
	k.refresh()
	if s := k.status("PL"); len(s.Changes) != 0 {
		t.Errorf("%+v", s.Changes)
	}
	l := p.national("PL", 8)
	withdrawn := p.service
	withdrawn.Periods = append([]mint.Period{{Status: mint.Withdrawn, From: mint.Day}}, withdrawn.Periods...)
	added := p.service
	added.Name, added.By = "new CA", mint.Root(t, "new CA")
	l.Services = []mint.Service{withdrawn, added}
	p.list("/pl.xml", l.Sign(t, p.poland))
	k.refresh()
	s := k.status("PL")
	if s.Before != 7 || len(s.Changes) != 2 || s.Changes[0].What != "status" || s.Changes[0].From != "granted" || s.Changes[0].To != "withdrawn" ||
		s.Changes[1].What != "service added" || s.Changes[1].Service != "new CA" {
		t.Errorf("%+v", s)
	}
	k.again()
	if len(k.status("PL").Changes) != 2 {
		t.Error("they are forgotten at the next start")
	}
	l.Sequence, l.Services = 9, []mint.Service{withdrawn}
	p.list("/pl.xml", l.Sign(t, p.poland))
	k.refresh()
	if s := k.status("PL"); len(s.Changes) != 1 || s.Changes[0].What != "service removed" {
		t.Errorf("%+v", s.Changes)
	}
	p.poland = mint.Root(t, "another PL operator")
	p.list("/eu-lotl.xml", p.lotl(11).Sign(t, p.operator))
	k.refresh()
	if s := k.status("EU"); len(s.Changes) != 1 || s.Changes[0].What != "signers" || s.Changes[0].Service != "PL" {
		t.Errorf("%+v", s.Changes)
	}
}
