package path_test

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// chainOf mints root, middle and leaf with the given changes and returns the question about the leaf.
func chainOf(t testing.TB, middleChange, leafChange func(*x509.Certificate)) path.Request {
	t.Helper()
	none := func(*x509.Certificate) {}
	if middleChange == nil {
		middleChange = none
	}
	if leafChange == nil {
		leafChange = none
	}
	root := mint(t, nil, "root", nil, ca)
	middle := mint(t, root, "middle", nil, ca, middleChange)
	leaf := mint(t, middle, "leaf", nil, leafChange)
	return path.Request{Target: leaf.cert, Pool: pool(middle), Anchors: anchors(t, root), Time: now}
}

func TestEveryReason(t *testing.T) {
	type change = func(*x509.Certificate)
	for _, test := range []struct {
		name         string
		middle, leaf change
		ask          func(*path.Request)
		want         path.Code
		position     int
	}{
		{name: "right", want: path.OK},
		{name: "expired", leaf: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, want: path.Expired},
		{name: "last second", leaf: func(c *x509.Certificate) { c.NotAfter = now }, ask: func(r *path.Request) { r.Time = now.Add(900 * time.Millisecond) }, want: path.OK},
		{name: "not yet", middle: func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, want: path.NotYetValid, position: 1},
		{name: "no CA", middle: func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = 0 }, want: path.NotACA, position: 1},
		{name: "no cert sign", middle: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }, want: path.NotForCertSigning, position: 1},
		{name: "unknown critical", leaf: with([]int{1, 2, 3}, true, 5, 0), want: path.UnknownCritical},
		{name: "unknown", leaf: with([]int{1, 2, 3}, false, 5, 0), want: path.OK},
		{name: "malformed names", leaf: with([]int{2, 5, 29, 17}, false, 5, 0), want: path.BadExtension},
		{name: "malformed AKI is no matter", leaf: with([]int{2, 5, 29, 35}, false, 5, 0), want: path.OK},
		{name: "malformed critical AKI", leaf: with([]int{2, 5, 29, 35}, true, 5, 0), want: path.BadExtension},
		{name: "anyPolicy mapped", middle: func(c *x509.Certificate) {
			with([]int{2, 5, 29, 33}, false, 0x30, 0x0d, 0x30, 0x0b, 6, 4, 0x55, 0x1d, 0x20, 0, 6, 3, 0x2a, 3, 4)(c)
		}, want: path.BadPolicyMapping, position: 1},
		{name: "purpose", leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			ask: func(r *path.Request) { r.Purposes = []certificate.OID{certificate.PurposeServerAuth} }, want: path.PurposeMismatch},
		{name: "purpose of the CA", middle: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			ask: func(r *path.Request) { r.Purposes = []certificate.OID{certificate.PurposeServerAuth} }, want: path.PurposeMismatch, position: 1},
		{name: "any purpose", leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} },
			ask: func(r *path.Request) { r.Purposes = []certificate.OID{certificate.PurposeServerAuth} }, want: path.OK},
		{name: "policy required", ask: func(r *path.Request) { r.Policies.RequireExplicit = true }, want: path.PolicyMismatch, position: 1},
		{name: "name", ask: func(r *path.Request) { r.Name = &path.ReferenceName{DNS: "a.example"} }, want: path.NameMismatch},
		{name: "weak", ask: func(r *path.Request) {
			r.Algorithm = func(name string, bits int, at time.Time) (bool, string) {
				return bits > 256, fmt.Sprint(name, " ", bits)
			}
		}, want: path.WeakAlgorithm, position: 1},
		{name: "subtree with a minimum", middle: with([]int{2, 5, 29, 30}, true, 0x30, 12, 0xa0, 10, 0x30, 8, 0x82, 3, 'a', '.', 'b', 0x80, 1, 1),
			want: path.BadExtension, position: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := chainOf(t, test.middle, test.leaf)
			if test.ask != nil {
				test.ask(&request)
			}
			r := validate(request)
			wantCode(t, r, test.want)
			if got := r.Reason(); got.Position != test.position {
				t.Errorf("%v at %d", got, got.Position)
			}
			if r.Reason().Code != path.OK && (r.Reason().Certificate != r.Chain[test.position] || r.Reason().Clause == "") {
				t.Errorf("%v names no certificate or clause", r.Reason())
			}
		})
	}
}

func TestABrokenSignatureIsFound(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	der := append([]byte(nil), leaf.cert.Raw...)
	der[len(der)-1] ^= 1
	broken, err := certificate.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	cache := newCache(t)
	for range 2 { // the second answer is the cache's
		r := validate(path.Request{Target: broken, Anchors: anchors(t, root), Cache: cache})
		wantCode(t, r, path.BadSignature)
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Cache: cache}), path.OK)
	}
}

func newCache(t testing.TB) *cache.Cache {
	t.Helper()
	cache, err := cache.New(cache.Config{Certificates: 100, Verdicts: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func TestACachedVerdictBelongsToItsKey(t *testing.T) {
	root, other := mint(t, nil, "root", nil, ca), mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	cache := newCache(t)
	for range 2 {
		r := validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Cache: cache})
		wantCode(t, r, path.OK)
		wantCode(t, validate(path.Request{Target: leaf.cert, Anchors: anchors(t, other), Cache: cache}), path.BadSignature)
	}
	r := validate(path.Request{Target: leaf.cert, Anchors: anchors(t, root), Cache: cache})
	if r.Spent.Signatures != 0 {
		t.Errorf("%d signatures with a warm cache", r.Spent.Signatures)
	}
	parsed, err := cache.Parse(leaf.cert.Raw)
	again, _ := cache.Parse(leaf.cert.Raw)
	if err != nil || parsed != again {
		t.Errorf("the certificate was parsed twice: %v", err)
	}
}

func TestNameConstraintsReachTheLeaf(t *testing.T) {
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	permit := func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedEmailAddresses = []string{"example"}, []string{"urzad.example"}
		c.PermittedIPRanges, c.ExcludedDNSDomains = []*net.IPNet{network}, []string{"secret.example"}
		c.PermittedDNSDomainsCritical = true
	}
	for _, test := range []struct {
		name string
		leaf func(*x509.Certificate)
		want path.Code
	}{
		{"no names", nil, path.OK},
		{"permitted", func(c *x509.Certificate) {
			c.DNSNames, c.EmailAddresses, c.IPAddresses = []string{"a.example"}, []string{"b@urzad.example"}, []net.IP{net.IPv4(192, 0, 2, 9)}
		}, path.OK},
		{"host", func(c *x509.Certificate) { c.DNSNames = []string{"a.test"} }, path.NameNotPermitted},
		{"excluded host", func(c *x509.Certificate) { c.DNSNames = []string{"x.secret.example"} }, path.NameExcluded},
		{"wildcard over the excluded", func(c *x509.Certificate) { c.DNSNames = []string{"*.example"} }, path.NameExcluded},
		{"address", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(198, 51, 100, 1)} }, path.NameNotPermitted},
		{"mailbox", func(c *x509.Certificate) { c.EmailAddresses = []string{"b@sub.urzad.example"} }, path.NameNotPermitted},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantCode(t, validate(chainOf(t, permit, test.leaf)), test.want)
		})
	}
}

func TestReferenceNames(t *testing.T) {
	request := chainOf(t, nil, func(c *x509.Certificate) {
		c.DNSNames = []string{"a.example", "*.b.example", "*.example.", "x*.c.example", "_u.example"}
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 9), net.ParseIP("2001:db8::1")}
		c.EmailAddresses = []string{"Ala@Urzad.example"}
	})
	for _, test := range []struct {
		name path.ReferenceName
		held bool
	}{
		{path.ReferenceName{DNS: "a.example"}, true}, {path.ReferenceName{DNS: "A.EXAMPLE."}, true},
		{path.ReferenceName{DNS: "x.b.example"}, true}, {path.ReferenceName{DNS: "b.example"}, false},
		{path.ReferenceName{DNS: "x.y.b.example"}, false}, {path.ReferenceName{DNS: "z.example"}, false},
		{path.ReferenceName{DNS: "xy.c.example"}, false}, {path.ReferenceName{DNS: "*.b.example"}, false},
		{path.ReferenceName{DNS: "leaf"}, false}, {path.ReferenceName{DNS: "192.0.2.9"}, false},
		{path.ReferenceName{IP: netip.MustParseAddr("192.0.2.9")}, true}, {path.ReferenceName{IP: netip.MustParseAddr("::ffff:192.0.2.9")}, true},
		{path.ReferenceName{IP: netip.MustParseAddr("2001:db8::1")}, true}, {path.ReferenceName{IP: netip.MustParseAddr("2001:db8::2")}, false},
		{path.ReferenceName{Email: "Ala@urzad.EXAMPLE"}, true}, {path.ReferenceName{Email: "ala@urzad.example"}, false},
	} {
		request.Name = &test.name
		if r := validate(request); r.Valid != test.held {
			t.Errorf("%v: held is %v", test.name.String(), r.Valid)
		}
	}
}
