package evidence_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/evidence"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
)

// office is an authority whose everyday documents carry no evidence, its responder and its list on loopback, and
// whoever judges the documents. Its clock stands still.
type office struct {
	t        testing.TB
	ca, unit mint.Party // the unit is an anchor itself: nothing is asked about it
	lists    *trustlist.Snapshot
	now      time.Time
	url      string
	address  netip.AddrPort
	revoked  map[*x509.Certificate]time.Time

	mu    sync.Mutex
	asked map[string]int              // requests, by path, for OCSP by request too; guarded by mu
	serve map[string]http.HandlerFunc // in place of what is usual, by path; guarded by mu
}

func newOffice(t testing.TB) *office {
	t.Helper()
	// not before OCSP answers, which have the real time
	o := &office{t: t, now: time.Now().UTC().Truncate(time.Minute).Add(time.Minute),
		asked: map[string]int{}, serve: map[string]http.HandlerFunc{}, revoked: map[*x509.Certificate]time.Time{}}
	o.ca = mint.Root(t, "Office CA")
	o.unit = o.ca.Issue(t, o.request("Unit", func(r *mint.Request) { r.TSU = true }))
	server := httptest.NewServer(o)
	t.Cleanup(func() {
		server.CloseClientConnections() // of fetches that go on for who comes back
		server.Close()
	})
	o.url, o.address = server.URL, netip.MustParseAddrPort(server.Listener.Addr().String())
	var anchors []byte
	for _, p := range []mint.Party{o.ca, o.unit} {
		anchors = append(anchors, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})...)
	}
	file := filepath.Join(t.TempDir(), "anchors.pem")
	if err := os.WriteFile(file, anchors, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Anchors: []string{file}}); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) request(name string, change func(*mint.Request)) mint.Request {
	r := mint.Request{Subject: pkix.Name{CommonName: name, Country: []string{"PL"}, SerialNumber: "PNOPL-00000000000"},
		From: o.now.AddDate(-1, 0, 0), To: o.now.AddDate(1, 0, 0)}
	if change != nil {
		change(&r)
	}
	return r
}

// officer certifies a signer who names the services: "ocsp", "crl", or both.
func (o *office) officer(services string, change func(*mint.Request)) mint.Party {
	o.t.Helper()
	return o.ca.Issue(o.t, o.request("officer", func(r *mint.Request) {
		if strings.Contains(services, "ocsp") {
			r.Extensions = append(r.Extensions, access(o.t, o.url+"/ocsp"))
		}
		if strings.Contains(services, "crl") {
			r.Extensions = append(r.Extensions, point(o.t, o.url+"/crl"))
		}
		if change != nil {
			change(r)
		}
	}))
}

func uri(address string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(address)}
}

func extension(t testing.TB, id asn1.ObjectIdentifier, value any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: id, Value: der}
}

// access is an authorityInfoAccess that names a responder.
func access(t testing.TB, address string) pkix.Extension {
	type description struct {
		Method   asn1.ObjectIdentifier
		Location asn1.RawValue
	}
	return extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1},
		[]description{{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}, uri(address)}})
}

type pointName struct {
	Full []asn1.RawValue `asn1:"tag:0"`
}

// point is a cRLDistributionPoints with one address.
func point(t testing.TB, address string) pkix.Extension {
	type distributionPoint struct {
		Name pointName `asn1:"tag:0"`
	}
	return extension(t, asn1.ObjectIdentifier{2, 5, 29, 31},
		[]distributionPoint{{pointName{[]asn1.RawValue{uri(address)}}}})
}

// document is a letter that the officer signed, with a time-stamp or without.
func (o *office) document(by mint.Party, stamped bool) []byte {
	o.t.Helper()
	x := mint.XML{Signer: by, At: o.now.Add(-time.Hour)}
	if stamped {
		x.Stamps = []mint.Stamp{{By: o.unit, At: o.now.Add(-time.Hour)}}
	}
	return x.Sign(o.t, `<pismo><tresc>Urząd zawiadamia o wszczęciu postępowania.</tresc></pismo>`)
}

func (o *office) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	o.asked[r.URL.Path]++
	if len(body) > 0 {
		o.asked[fmt.Sprintf("%s %x", r.URL.Path, sha256.Sum256(body))]++
	}
	special := o.serve[r.URL.Path]
	o.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case special != nil:
		special(out, r)
	case r.URL.Path == "/ocsp":
		q, err := ocsp.ParseRequest(body)
		if err != nil {
			o.t.Errorf("OCSP request: %v", err)
			return
		}
		_, _ = out.Write(o.answer(ocsp.Response{SerialNumber: q.SerialNumber}))
	case r.URL.Path == "/crl":
		_, _ = out.Write(o.ca.CRL(o.t, o.now.Add(-time.Hour), o.revoked))
	default:
		http.NotFound(out, r)
	}
}

// answer is what the responder signs; a zero thisUpdate is now, with an hour to serve.
func (o *office) answer(template ocsp.Response) []byte {
	if template.ThisUpdate.IsZero() {
		template.ThisUpdate, template.NextUpdate = o.now, o.now.Add(time.Hour)
	}
	der, err := ocsp.CreateResponse(o.ca.Cert, o.ca.Cert, template, o.ca.Key)
	if err != nil {
		o.t.Error(err)
	}
	return der
}

func (o *office) instead(path string, do http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.serve[path] = do
}

// judge is one that starts without memory but for the keep.
type judge struct {
	o        *office
	gatherer *evidence.Gatherer
	verifier *verify.Verifier
}

func (o *office) judge(change func(*evidence.Config)) *judge {
	o.t.Helper()
	cache, err := cache.New(cache.Config{Certificates: 5000, Verdicts: 20_000, Evidence: 32 << 20})
	if err != nil {
		o.t.Fatal(err)
	}
	now := func() time.Time { return o.now }
	cfg := evidence.Config{Allow: []netip.AddrPort{o.address}, Cache: cache, Now: now,
		Logger: slog.New(slog.DiscardHandler), Wait: time.Minute}
	if change != nil {
		change(&cfg)
	}
	g, err := evidence.New(cfg)
	if err != nil {
		o.t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return o.lists }, Gatherer: g, Cache: cache,
		Policy: verify.DefaultPolicy(), Now: now})
	if err != nil {
		o.t.Fatal(err)
	}
	return &judge{o, g, v}
}

func (j *judge) verify(document []byte) *verify.SignatureReport {
	r, err := j.verifier.Verify(context.Background(), verify.Request{Document: document})
	if err != nil {
		j.o.t.Error(err)
		return &verify.SignatureReport{}
	}
	return &r.Signatures[0]
}

// verifyAll judges the documents, some at once, each of them so often.
func (j *judge) verifyAll(documents [][]byte, times int) {
	j.o.t.Helper()
	work := make(chan []byte)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for d := range work {
				if r := j.verify(d); r.Indication != verify.TotalPassed {
					j.o.t.Errorf("%s %s %q", r.Indication, r.SubIndication, r.Reasons)
				}
			}
		})
	}
	for _, d := range documents {
		for range times {
			work <- d
		}
	}
	close(work)
	all.Wait()
}

// wantAsked fails unless so many requests came, no OCSP request twice.
func (o *office) wantAsked(crls, ocsps int) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked["/crl"] != crls || o.asked["/ocsp"] != ocsps {
		o.t.Errorf("%d CRL and %d OCSP requests, want %d and %d", o.asked["/crl"], o.asked["/ocsp"], crls, ocsps)
	}
	for request, n := range o.asked {
		if strings.HasPrefix(request, "/ocsp ") && n > 1 {
			o.t.Errorf("%s was asked %d times", request, n)
		}
	}
}

// documents are so many, of as many signers; services says what the i-th names. Every second one has a time-stamp.
func (o *office) documents(n int, services func(i int) string) (list [][]byte) {
	o.t.Helper()
	for i := range n {
		list = append(list, o.document(o.officer(services(i), nil), i%2 == 1))
	}
	return list
}

// TestAThousandFilesOfOneAuthority: one list for all of them, and one OCSP request a signer, also for files that come
// twice at the same time.
func TestAThousandFilesOfOneAuthority(t *testing.T) {
	const files = 1000
	for name, test := range map[string]struct {
		services    string
		crls, ocsps int
	}{"lists alone": {"crl", 1, 0}, "responders": {"ocsp crl", 0, files}} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.judge(nil).verifyAll(o.documents(files, func(int) string { return test.services }), 2)
			o.wantAsked(test.crls, test.ocsps)
		})
	}
}

// TestFilesAfterANewStart: what is fresh is not asked for again.
func TestFilesAfterANewStart(t *testing.T) {
	o := newOffice(t)
	documents := o.documents(200, func(i int) string { return []string{"crl", "ocsp", "ocsp crl", "crl"}[i%4] })
	dir := t.TempDir()
	keep, err := evidence.OpenKeep(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		o.judge(func(c *evidence.Config) { c.Keep = keep }).verifyAll(documents, 1)
		o.wantAsked(1, len(documents)/2)
		o.came(dir)
	}
}

// came lets all that is kept have come now by the office's clock.
func (o *office) came(dir string) {
	o.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, o.now, o.now)
	})
	if err != nil {
		o.t.Error(err)
	}
}

// TestAThousandFilesWhenTheResponderIsDown: it is asked some times, then left alone, and the list answers.
func TestAThousandFilesWhenTheResponderIsDown(t *testing.T) {
	o := newOffice(t)
	o.instead("/ocsp", func(out http.ResponseWriter, _ *http.Request) { http.Error(out, "", http.StatusBadGateway) })
	down := httptest.NewServer(o) // another host than the list's
	defer down.Close()
	allow := netip.MustParseAddrPort(down.Listener.Addr().String())
	var documents [][]byte
	for range 300 {
		officer := o.officer("crl", func(r *mint.Request) {
			r.Extensions = append(r.Extensions,
				access(t, down.URL+"/ocsp"))
		})
		documents = append(documents, o.document(officer, false))
	}
	j := o.judge(func(c *evidence.Config) { c.Allow = append(c.Allow, allow) })
	j.verifyAll(documents, 1)
	if o.asked["/crl"] != 1 || o.asked["/ocsp"] < 3 || o.asked["/ocsp"] > 3+16 {
		t.Errorf("%d CRL and %d OCSP requests, want 1 and 3, and those that were under way", o.asked["/crl"],
			o.asked["/ocsp"])
	}
	hosts := j.gatherer.Hosts()
	if len(hosts) != 1 || hosts[0].Name != allow.String() || hosts[0].State != "open" ||
		!strings.Contains(hosts[0].Error, "502") {
		t.Errorf("%+v", hosts)
	}
}

// BenchmarkWarm judges a thousand everyday documents when all evidence is at hand.
func BenchmarkWarm(b *testing.B) {
	o := newOffice(b)
	o.warm(b, o.documents(1000, func(i int) string { return []string{"crl", "ocsp"}[i%2] }))
	o.wantAsked(1, 500)
}

// BenchmarkWarmLargeList is the same with a list as large as national ones.
func BenchmarkWarmLargeList(b *testing.B) {
	o := newOffice(b)
	for i := range 200_000 {
		o.revoked[&x509.Certificate{SerialNumber: big.NewInt(int64(i + 1))}] = o.now.Add(-time.Hour)
	}
	list := o.ca.CRL(b, o.now.Add(-time.Hour), o.revoked)
	o.instead("/crl", func(out http.ResponseWriter, _ *http.Request) { _, _ = out.Write(list) })
	o.warm(b, o.documents(200, func(int) string { return "crl" }))
}

// warm measures the documents after they were judged once.
func (o *office) warm(b *testing.B, documents [][]byte) {
	j := o.judge(nil)
	j.verifyAll(documents, 1)
	for b.Loop() {
		j.verifyAll(documents, 1)
	}
	b.ReportMetric(float64(b.N*len(documents))/b.Elapsed().Seconds(), "documents/s")
}
