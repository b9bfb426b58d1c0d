package upkeep_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/internal/fetch"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// publisher is a server of lists on loopback, and those who sign what it serves.
type publisher struct {
	*httptest.Server
	operator, poland, czechia mint.Party
	service                   mint.Service

	mu    sync.Mutex
	files map[string]http.HandlerFunc // by path; guarded by mu
	asked map[string]int              // by path; guarded by mu
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{files: map[string]http.HandlerFunc{}, asked: map[string]int{},
		operator: mint.Root(t, "LOTL operator"), poland: mint.Root(t, "PL operator"), czechia: mint.Root(t, "CZ operator")}
	p.service = mint.Service{Name: "CA", Type: mint.CAQC, By: mint.Root(t, "Kwalifikowany Urząd Testowy"),
		Periods: []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0), Additional: []string{mint.ForSignatures}}}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		serve := p.files[r.URL.Path]
		p.mu.Unlock()
		if serve == nil {
			http.NotFound(w, r)
			return
		}
		serve(w, r)
	}))
	t.Cleanup(p.Close)
	p.list("/eu-lotl.xml", p.lotl(10).Sign(t, p.operator))
	p.list("/pl.xml", p.national("PL", 7).Sign(t, p.poland))
	p.list("/cz.xml", p.national("CZ", 3).Sign(t, p.czechia))
	return p
}

// lotl is a list of the lists that points to the two national ones, and to itself with its next signers.
func (p *publisher) lotl(sequence int, next ...mint.Party) mint.List {
	if next == nil {
		next = []mint.Party{p.operator}
	}
	return mint.List{Type: mint.TypeLOTL, Territory: "EU", Sequence: sequence, Pointers: []mint.Pointer{
		{Type: mint.TypeLOTL, Territory: "EU", Signers: next, Location: p.URL + "/eu-lotl.xml"},
		{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{p.poland}, Location: p.URL + "/pl.pdf", MIME: "application/pdf"},
		{Type: mint.TypeList, Territory: "PL", Signers: []mint.Party{p.poland}, Location: p.URL + "/pl.xml", MIME: "application/vnd.etsi.tsl+xml"},
		{Type: mint.TypeList, Territory: "CZ", Signers: []mint.Party{p.czechia}, Location: p.URL + "/cz.xml"},
	}}
}

func (p *publisher) national(territory string, sequence int) mint.List {
	return mint.List{Type: mint.TypeList, Territory: territory, Sequence: sequence, Services: []mint.Service{p.service}}
}

// at sets what is served under a path.
func (p *publisher) at(path string, serve http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[path] = serve
}

// list serves a file with its digest as ETag, which is honoured.
func (p *publisher) list(path string, data []byte) {
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(data))
	p.at(path, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		_, _ = w.Write(data)
	})
}

// times is how often a path was asked for since the last time.
func (p *publisher) times(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.asked[path]
	p.asked[path] = 0
	return n
}

func (p *publisher) signers() []trustlist.Signers {
	return []trustlist.Signers{{Name: "test", Certificates: [][]byte{p.operator.Cert.Raw}}}
}

// keeping is a keeper of a folder under a clock that the test moves.
type keeping struct {
	*upkeep.Keeper
	t       *testing.T
	p       *publisher
	cfg     upkeep.Config
	now     time.Time
	changed int
}

func (p *publisher) keep(t *testing.T, change ...func(*upkeep.Config)) *keeping {
	t.Helper()
	k := &keeping{t: t, p: p, now: mint.Day.Add(time.Hour)}
	client, err := fetch.Configured(fetch.Config{Timeout: 500 * time.Millisecond, MaxBytes: 1 << 20}, p.URL)
	if err != nil {
		t.Fatal(err)
	}
	k.cfg = upkeep.Config{Dir: t.TempDir(), Signers: p.signers(), Now: func() time.Time { return k.now }, Logger: slog.New(slog.DiscardHandler),
		Changed: func() { k.changed++ }, Fetch: &upkeep.Fetch{Client: client, LOTL: p.URL + "/eu-lotl.xml", Every: time.Hour}}
	for _, c := range change {
		c(&k.cfg)
	}
	k.open()
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func (k *keeping) open() {
	k.t.Helper()
	var err error
	if k.Keeper, err = upkeep.Open(k.t.Context(), k.cfg); err != nil {
		k.t.Fatal(err)
	}
}

// again closes the keeper and opens another one over its folder.
func (k *keeping) again() {
	k.t.Helper()
	if err := k.Close(); err != nil {
		k.t.Fatal(err)
	}
	k.open()
}

func (k *keeping) refresh() {
	k.t.Helper()
	if err := k.Refresh(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
}

// holds says which lists are in use, with their sequence numbers.
func (k *keeping) holds() string {
	var all []string
	for _, m := range k.Set().Members() {
		text := fmt.Sprintf("%s%d", m.Territory, m.Sequence)
		if m.Role == "pivot" {
			text = "pivot" + fmt.Sprint(m.Sequence)
		}
		if m.Unused != nil {
			text += "!"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func (k *keeping) want(what, lists string) {
	k.t.Helper()
	if got := k.holds(); got != lists {
		k.t.Errorf("%s: in use are %q, want %q", what, got, lists)
	}
}

// status is what is known of a list.
func (k *keeping) status(territory string) upkeep.Status {
	k.t.Helper()
	for _, s := range k.Status() {
		if s.Territory == territory && s.Role != "pivot" {
			return s
		}
	}
	return upkeep.Status{}
}
