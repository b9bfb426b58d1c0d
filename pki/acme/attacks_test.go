package acme_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/acme"
	"trustcore/pki/pkitest"
)

// refused expects a problem document of the kind and status, that names a part and nothing of the inside.
func (h *house) refused(what string, s said, status int, kind string) {
	h.t.Helper()
	if s.status != status || s.Type != kind || s.Status != status || s.Detail == "" {
		h.t.Errorf("%s: %d %s; want %d %s", what, s.status, s.body, status, kind)
	}
	if got := s.header.Get("Content-Type"); got != "application/problem+json" {
		h.t.Errorf("%s: the answer is of type %s", what, got)
	}
	for _, inside := range []string{"sql", "go-jose", "smallstep", "error ", "0x", ".go:"} {
		if strings.Contains(strings.ToLower(s.Detail), inside) {
			h.t.Errorf("%s: the answer tells of the inside: %s", what, s.Detail)
		}
	}
}

// account is what an attacker has of its own account.
type account struct {
	*house
	client *xacme.Client
	kid    string
}

func (h *house) account(partner string) account {
	h.t.Helper()
	c := h.registered(partner)
	a, err := c.GetReg(h.t.Context(), "")
	h.must(err)
	return account{h, c, a.URI}
}

// says signs a request with the account's key, changed.
func (a account) says(resource string, payload any, change func(*signed)) said {
	a.t.Helper()
	s := signed{key: key(a.client), payload: payload, header: map[string]any{"kid": a.kid, "nonce": a.nonce(), "url": a.at(resource)}}
	if change != nil {
		change(&s)
	}
	return a.post(resource, s.text(a.t))
}

func order(names ...string) map[string]any {
	var ids []map[string]string
	for _, n := range names {
		ids = append(ids, map[string]string{"type": "dns", "value": n})
	}
	return map[string]any{"identifiers": ids}
}

// TestForgedRequests: each variant of a request that is not the account's own, fresh, and for this address.
func TestForgedRequests(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	h.world.set("um-inny", &acme.Rule{Line: "OR.9", Order: "OR.9", Names: []string{"www.inny.example"}, Profile: pki.PartnerServer})
	a, other := h.account(partner), h.account("um-inny")
	if s := a.says("new-order", order(host), nil); s.status != http.StatusCreated {
		t.Fatalf("an honest request: %d %s", s.status, s.body)
	}
	used := a.nonce()
	a.says("new-order", order(host), func(s *signed) { s.header["nonce"] = used })
	old := a.nonce()
	_, err := h.db.ExecContext(t.Context(), `UPDATE acme_nonce SET expires = $1 WHERE nonce = $2`, time.Now().Unix()-1, old)
	h.must(err)
	for _, c := range []struct {
		what, kind string
		status     int
		change     func(*signed)
	}{
		{"a used nonce", "badNonce", 400, func(s *signed) { s.header["nonce"] = used }},
		{"an old nonce", "badNonce", 400, func(s *signed) { s.header["nonce"] = old }},
		{"an invented nonce", "badNonce", 400, func(s *signed) { s.header["nonce"] = "AAAAAAAAAAAAAAAAAAAAAA" }},
		{"no nonce", "badNonce", 400, func(s *signed) { delete(s.header, "nonce") }},
		{"another resource's URL", "malformed", 400, func(s *signed) { s.header["url"] = h.at("new-account") }},
		{"another server's URL", "malformed", 400, func(s *signed) { s.header["url"] = "https://ca.example/acme/offices/new-order" }},
		{"no URL", "malformed", 400, func(s *signed) { delete(s.header, "url") }},
		{"alg none", "badSignatureAlgorithm", 400, func(s *signed) { s.alg = "none" }},
		{"HS256 with the public key", "badSignatureAlgorithm", 400, func(s *signed) { s.alg, s.mac = "HS256", []byte(fmt.Sprint(jwkOf(key(a.client)))) }},
		{"another account's kid", "malformed", 400, func(s *signed) { s.header["kid"] = other.kid }},
		{"an unknown kid", "accountDoesNotExist", 400, func(s *signed) { s.header["kid"] = h.at("account/unknown") }},
		{"a kid elsewhere", "unauthorized", 403, func(s *signed) {
			s.header["kid"] = "https://elsewhere.example/" + a.kid[strings.LastIndex(a.kid, "/")+1:]
		}},
		{"kid and jwk", "malformed", 400, func(s *signed) { s.header["jwk"] = jwkOf(key(a.client)) }},
		{"a jwk where a kid belongs", "malformed", 400, func(s *signed) {
			delete(s.header, "kid")
			s.header["jwk"] = jwkOf(key(a.client))
		}},
		{"another key", "malformed", 400, func(s *signed) { s.key = newKey(t) }},
		{"a payload that is no JSON object", "malformed", 400, func(s *signed) { s.payload = "text" }},
	} {
		h.refused(c.what, a.says("new-order", order(host), c.change), c.status, c.kind)
	}
	h.refused("no JWS", a.post("new-order", []byte("{")), 400, "malformed")
	h.refused("a body beyond its limit", a.post("new-order", []byte(strings.Repeat("a", 101<<10))), 413, "malformed")
}

// TestBindings: a key opens one account, of its partner, in its time.
func TestBindings(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	h.world.set("um-inny", &acme.Rule{Line: "OR.9", Order: "OR.9", Names: []string{"www.inny.example"}, Profile: pki.PartnerServer})
	register := func(eab *xacme.ExternalAccountBinding) error {
		_, err := h.client().Register(t.Context(), &xacme.Account{ExternalAccountBinding: eab}, xacme.AcceptTOS)
		return err
	}
	wants(t, "no key", register(nil), "externalAccountRequired")
	wants(t, "an invented key", register(&xacme.ExternalAccountBinding{KID: "X", Key: make([]byte, 32)}), "unauthorized")
	one := h.bind(partner)
	wants(t, "another office's secret", register(&xacme.ExternalAccountBinding{KID: one.KID, Key: h.bind("um-inny").Key}), "unauthorized")
	h.must(register(one))
	wants(t, "a key that has its account", register(one), "unauthorized")
	gone := h.bind(partner)
	h.must(h.server.Unbind(t.Context(), officer, gone.KID, partner))
	wants(t, "a revoked key", register(gone), "unauthorized")
	late := h.bind(partner)
	_, err := h.db.ExecContext(t.Context(), `UPDATE acme_binding SET expires = $1 WHERE id = $2`, time.Now().Unix()-1, late.KID)
	h.must(err)
	wants(t, "a key after its time", register(late), "unauthorized")
	ended := h.bind("um-inny")
	h.world.set("um-inny", nil)
	wants(t, "a key after the order's end", register(ended), "unauthorized")
	if _, err := h.server.Bind(t.Context(), officer, "um-inny"); err == nil {
		t.Error("a key was made for an office without an order")
	}
	h.world.set("um-inny", &acme.Rule{Line: "OR.10", Order: "OR.10", Names: []string{"www.inny.example"}, Profile: pki.PartnerServer})
	wants(t, "a key of an earlier line of orders", register(ended), "unauthorized")
	if err := h.server.Unbind(t.Context(), officer, one.KID, "um-inny"); err == nil {
		t.Error("an office revoked another's key")
	}
	c := h.client()
	c.Key = newKey(t)
	_, err = c.Register(t.Context(), &xacme.Account{ExternalAccountBinding: h.bind(partner)}, xacme.AcceptTOS)
	h.must(err)
	leafKey := newKey(t)
	h.issue(c, leafKey, host)
	c = h.client()
	c.Key = leafKey
	_, err = c.Register(t.Context(), &xacme.Account{ExternalAccountBinding: h.bind(partner)}, xacme.AcceptTOS)
	wants(t, "an account with a certificate's key", err, "badPublicKey")
}

// TestBindingsServeOnce: of eight who come with one key at once, over two nodes, one gets an account.
func TestBindingsServeOnce(t *testing.T) {
	for name, address := range engines {
		t.Run(name, func(t *testing.T) {
			nodes := pair(t, address(t))
			for range 2 {
				eab := nodes[0].bind(partner)
				var opened atomic.Int64
				var wg sync.WaitGroup
				for n := range 8 {
					wg.Go(func() {
						_, err := nodes[n%2].client().Register(t.Context(), &xacme.Account{ExternalAccountBinding: eab}, xacme.AcceptTOS)
						if err == nil {
							opened.Add(1)
							return
						}
						wants(t, "the same key", err, "unauthorized")
					})
				}
				wg.Wait()
				if opened.Load() != 1 {
					t.Errorf("%d accounts were opened with one key", opened.Load())
				}
			}
		})
	}
}

var engines = map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres}

// pair is two nodes of one database behind one address.
func pair(t *testing.T, databaseURL string) [2]*house {
	t.Helper()
	w := &world{rules: map[string]*acme.Rule{partner: rule()}, at: map[string]func(context.Context) (net.Conn, error){}}
	first := node(t, w, pkitest.Perform(t, "http://127.0.0.1/pki"), databaseURL, "a", nil)
	second := node(t, first.world, first.made, databaseURL, "b", func(cfg *acme.Config) { cfg.Base = first.http.URL })
	// Behind one address, as a balancer has it: the second's requests come under the first's name.
	inner := second.server.Handler()
	second.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = strings.TrimPrefix(first.http.URL, "https://")
		inner.ServeHTTP(w, r)
	})
	second.reach(first)
	return [2]*house{first, second}
}

// reach makes a node's client connect to it under the other's address.
func (h *house) reach(under *house) {
	transport := h.http.Client().Transport.(*http.Transport).Clone()
	own := h.http.Listener.Addr().String()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, own)
	}
	h.http.Client().Transport = transport
	h.http.URL = under.http.URL
}

// TestNoncesServeOnce: of eight who come with one nonce, over two nodes, one is heard.
func TestNoncesServeOnce(t *testing.T) {
	for name, address := range engines {
		t.Run(name, func(t *testing.T) {
			nodes := pair(t, address(t))
			a := nodes[0].account(partner)
			for range 4 {
				nonce := a.nonce()
				s := signed{key: key(a.client), header: map[string]any{"kid": a.kid, "nonce": nonce, "url": a.kid}}
				body := s.text(t)
				var heard atomic.Int64
				var wg sync.WaitGroup
				for n := range 8 {
					wg.Go(func() {
						if nodes[n%2].post(a.kid, body).status == http.StatusOK {
							heard.Add(1)
						}
					})
				}
				wg.Wait()
				if heard.Load() != 1 {
					t.Errorf("a nonce served %d times", heard.Load())
				}
			}
		})
	}
}

// TestFinalizedOnce: of eight who finalize one order at once, over two nodes, all get the one certificate or are told to wait.
func TestFinalizedOnce(t *testing.T) {
	for name, address := range engines {
		t.Run(name, func(t *testing.T) {
			nodes := pair(t, address(t))
			a := nodes[0].account(partner)
			for range 3 {
				o := nodes[0].ready(a.client, host)
				before := nodes[0].key.signed.Load() + nodes[1].key.signed.Load()
				csr := request(t, newKey(t), named(host))
				var valid atomic.Int64
				var wg sync.WaitGroup
				bodies := make([][]byte, 8)
				for n := range bodies {
					bodies[n] = signed{key: key(a.client), payload: map[string]string{"csr": base64.RawURLEncoding.EncodeToString(csr)},
						header: map[string]any{"kid": a.kid, "nonce": a.nonce(), "url": o.FinalizeURL}}.text(t)
				}
				for n, body := range bodies {
					wg.Go(func() {
						s := nodes[n%2].post(o.FinalizeURL, body)
						if s.status == http.StatusOK {
							valid.Add(1)
						} else if s.Type != "orderNotReady" {
							t.Errorf("a finalization: %d %s", s.status, s.body)
						}
					})
				}
				wg.Wait()
				signatures := nodes[0].key.signed.Load() + nodes[1].key.signed.Load() - before
				if valid.Load() == 0 || signatures != 1 {
					t.Errorf("%d of 8 were answered with the certificate, the HSM signed %d times", valid.Load(), signatures)
				}
			}
		})
	}
}

// TestBadRequestsForCertificates cost no signature, and leave the order ready.
func TestBadRequestsForCertificates(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	a := h.account(partner)
	o := h.ready(a.client, host)
	extension := func(id asn1.ObjectIdentifier, value any) x509.CertificateRequest {
		der, err := asn1.Marshal(value)
		h.must(err)
		r := named(host)
		r.ExtraExtensions = []pkix.Extension{{Id: id, Value: der}}
		return r
	}
	with := func(change func(*x509.CertificateRequest)) x509.CertificateRequest {
		r := named(host)
		change(&r)
		return r
	}
	theirs := newKey(t)
	h.world.set("um-inny", &acme.Rule{Line: "OR.9", Order: "OR.9", Names: []string{host}, Profile: pki.PartnerServer, Reach: rule().Reach})
	h.issue(h.account("um-inny").client, theirs, host)
	h.answers(a.client)
	before := h.key.signed.Load()
	for what, der := range map[string][]byte{
		"another name":            request(t, newKey(t), named("bip.przykladowo.example")),
		"a further name":          request(t, newKey(t), named(host, "bip.przykladowo.example")),
		"another common name":     request(t, newKey(t), with(func(r *x509.CertificateRequest) { r.Subject.CommonName = "evil.example" })),
		"a further address":       request(t, newKey(t), with(func(r *x509.CertificateRequest) { r.IPAddresses = []net.IP{net.ParseIP(office)} })),
		"a mail address":          request(t, newKey(t), with(func(r *x509.CertificateRequest) { r.EmailAddresses = []string{"a@przykladowo.example"} })),
		"a wildcard":              request(t, newKey(t), named("*.przykladowo.example")),
		"no name":                 request(t, newKey(t), x509.CertificateRequest{}),
		"CA:true":                 request(t, newKey(t), extension(asn1.ObjectIdentifier{2, 5, 29, 19}, struct{ CA bool }{true})),
		"the purpose of a TSU":    request(t, newKey(t), extension(asn1.ObjectIdentifier{2, 5, 29, 37}, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})),
		"the purpose of a client": request(t, newKey(t), extension(asn1.ObjectIdentifier{2, 5, 29, 37}, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 2}})),
		"name constraints":        request(t, newKey(t), extension(asn1.ObjectIdentifier{2, 5, 29, 30}, struct{}{})),
		"the account's key":       request(t, key(a.client), named(host)),
		"another holder's key":    request(t, theirs, named(host)),
	} {
		s := a.says(o.FinalizeURL, map[string]string{"csr": base64.RawURLEncoding.EncodeToString(der)}, nil)
		h.refused(what, s, 400, "badCSR")
	}
	h.refused("no request", a.says(o.FinalizeURL, map[string]string{"csr": "AAAA"}, nil), 400, "malformed")
	if n := h.key.signed.Load() - before; n != 0 {
		t.Errorf("the HSM signed %d times for requests that were refused", n)
	}
	if _, _, err := a.client.CreateOrderCert(t.Context(), o.FinalizeURL, request(t, newKey(t), named(host)), true); err != nil {
		t.Errorf("the order after that: %v", err)
	}
}

// TestNames: only what the order has, each host by itself.
func TestNames(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	a := h.account(partner)
	id := func(kind, value string) map[string]any {
		return map[string]any{"identifiers": []map[string]string{{"type": kind, "value": value}}}
	}
	for what, c := range map[string]struct {
		payload any
		status  int
		kind    string
	}{
		"another's name":        {order("www.inny.example"), 403, "rejectedIdentifier"},
		"a name below":          {order("a." + host), 403, "rejectedIdentifier"},
		"a wildcard":            {order("*.przykladowo.example"), 403, "rejectedIdentifier"},
		"a wildcard of its own": {order("*." + host), 403, "rejectedIdentifier"},
		"one of two":            {order(host, "www.inny.example"), 403, "rejectedIdentifier"},
		"the same twice":        {order(host, host), 400, "malformed"},
		"another's address":     {id("ip", "10.64.0.8"), 403, "rejectedIdentifier"},
		"an address as a name":  {id("dns", office), 403, "rejectedIdentifier"},
		"loopback":              {id("ip", "127.0.0.1"), 403, "rejectedIdentifier"},
		"a mapped address":      {id("ip", "::ffff:"+office), 403, "rejectedIdentifier"},
		"an unknown type":       {id("permanent-identifier", "x"), 400, "unsupportedIdentifier"},
		"none":                  {order(), 400, "malformed"},
		"its own end":           {map[string]any{"identifiers": order(host)["identifiers"], "notAfter": time.Now().Add(9000 * time.Hour)}, 400, "malformed"},
	} {
		h.refused(what, a.says("new-order", c.payload, nil), c.status, c.kind)
	}
	var names []string
	many := rule()
	for n := range 33 {
		names = append(names, fmt.Sprintf("h%d.przykladowo.example", n))
	}
	many.Names = names
	h.world.set(partner, many)
	h.refused("33 names", a.says("new-order", order(names...), nil), 400, "malformed")
	var left int
	h.must(h.db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM acme_order) + (SELECT COUNT(*) FROM acme_challenge)`).Scan(&left))
	if left != 0 {
		t.Errorf("orders that were refused left %d rows", left)
	}
}

// TestChallengesStayInTheTunnel: whatever a name or a host says, only the partner's addresses are dialled, and only for a proof.
func TestChallengesStayInTheTunnel(t *testing.T) {
	metadata := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the metadata service was asked") }))
	t.Cleanup(metadata.Close)
	names := resolver(t)
	h := build(t, storetest.SQLite(t), func(cfg *acme.Config) { cfg.Resolver = names.at })
	h.world.serve(names.at.String(), names.udp)
	h.world.serve("169.254.169.254:80", metadata.Listener.Addr())
	h.world.serve("127.0.0.1:80", metadata.Listener.Addr())
	h.world.serve("10.64.0.8:80", metadata.Listener.Addr())
	a := h.account(partner)
	try := func(what string, kind string) said {
		t.Helper()
		c := h.registered(partner) // an account of its own: each may fail some times
		o, err := c.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
		h.must(err)
		if err := h.prove(c, o.AuthzURLs[0], kind); err == nil {
			t.Errorf("%s: the proof was taken", what)
		}
		return said{}
	}
	for what, addresses := range map[string][]string{
		"another office": {"10.64.0.8"}, "the metadata service": {"169.254.169.254"}, "loopback": {"127.0.0.1"}, "one of two": {office, "10.64.0.8"},
		"mapped": {"::ffff:127.0.0.1"}, "nowhere": {},
	} {
		names.set(host, addresses...)
		try(what, "http-01")
		try(what, "tls-alpn-01")
	}
	for _, never := range []string{"10.64.0.8:", "169.254.169.254:", "127.0.0.1:80", "127.0.0.1:443"} {
		if strings.Contains(h.world.dialled(), never) {
			t.Errorf("%s was dialled: %s", never, h.world.dialled())
		}
	}
	// Rebinding: the second answer is another one, and is not asked for.
	names.set(host, office)
	names.then(host, "169.254.169.254")
	h.answers(a.client)
	o, err := a.client.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
	h.must(err)
	h.must(h.prove(a.client, o.AuthzURLs[0], "http-01"))

	names.set(host, office)
	for what, to := range map[string]string{"loopback": "http://127.0.0.1/x", "the metadata service": "http://169.254.169.254/latest", "another host": "http://www.inny.example/",
		"itself": "http://" + host + "/y", "a scheme": "file:///etc/passwd"} {
		s := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
		h.world.serve(office+":80", s.Listener.Addr())
		try("a redirect to "+what, "http-01")
		s.Close()
	}
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, here := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/"); here {
			http.Redirect(w, r, "http://"+host+"/moved/"+token, http.StatusMovedPermanently)
			return
		}
		proof, err := a.client.HTTP01ChallengeResponse(strings.TrimPrefix(r.URL.Path, "/moved/"))
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(proof))
	}))
	t.Cleanup(moved.Close)
	h.world.serve(office+":80", moved.Listener.Addr())
	try("a proof behind a redirect", "http-01")
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 1 << 14 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
		t.Error("16 MiB were read for a proof of 100 octets")
	}))
	t.Cleanup(huge.Close)
	h.world.serve(office+":80", huge.Listener.Addr())
	try("an endless proof", "http-01")
}

// TestDNS01 takes the proof from the configured resolver, and does not offer it without one.
func TestDNS01(t *testing.T) {
	names := resolver(t)
	h := build(t, storetest.SQLite(t), func(cfg *acme.Config) { cfg.Resolver = names.at })
	h.world.serve(names.at.String(), names.udp)
	a := h.account(partner)
	for _, honest := range []bool{false, true} {
		o, err := a.client.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
		h.must(err)
		az, err := a.client.GetAuthorization(t.Context(), o.AuthzURLs[0])
		h.must(err)
		proof, err := a.client.DNS01ChallengeRecord(az.Challenges[0].Token)
		h.must(err)
		if !honest {
			proof = base64.RawURLEncoding.EncodeToString(make([]byte, sha256.Size))
		}
		names.text("_acme-challenge."+host, proof)
		if err := h.prove(a.client, o.AuthzURLs[0], "dns-01"); (err == nil) != honest {
			t.Errorf("honest %t: %v", honest, err)
		}
	}
	without := build(t, storetest.SQLite(t), nil)
	c := without.registered(partner)
	o, err := c.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
	h.must(err)
	if err := without.prove(c, o.AuthzURLs[0], "dns-01"); err == nil || err.Error() != "no challenge dns-01" {
		t.Errorf("without a resolver: %v", err)
	}
}

// TestTLSALPN01 takes the certificate of RFC 8737.
func TestTLSALPN01(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	a := h.account(partner)
	o, err := a.client.AuthorizeOrder(t.Context(), xacme.DomainIDs(host))
	h.must(err)
	az, err := a.client.GetAuthorization(t.Context(), o.AuthzURLs[0])
	h.must(err)
	proof, err := a.client.TLSALPN01ChallengeCert(az.Challenges[0].Token, host)
	h.must(err)
	h.world.serve(office+":443", alpn(t, proof))
	h.must(h.prove(a.client, o.AuthzURLs[0], "tls-alpn-01"))
}

// TestEndOfTheOrder: with the order all ends at once, and does not come back with another one.
func TestEndOfTheOrder(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	a := h.account(partner)
	o := h.ready(a.client, host)
	finalize := map[string]string{"csr": base64.RawURLEncoding.EncodeToString(request(t, newKey(t), named(host)))}
	narrow := rule()
	narrow.Names = []string{"bip.przykladowo.example"}
	h.world.set(partner, narrow)
	h.refused("a name that the order has no more", a.says(o.FinalizeURL, finalize, nil), 403, "unauthorized")
	for what, r := range map[string]*acme.Rule{"no order": nil, "an order of another line": {Line: "OR.2", Order: "OR.2", Names: []string{host}, Profile: pki.PartnerServer}} {
		h.world.set(partner, r)
		h.refused(what+": finalization", a.says(o.FinalizeURL, finalize, nil), 403, "unauthorized")
		h.refused(what+": order", a.says("new-order", order(host), nil), 403, "unauthorized")
		h.refused(what+": account", a.says(a.kid, nil, nil), 403, "unauthorized")
	}
	h.world.set(partner, rule())
	bindings, err := h.server.Bindings(t.Context(), partner)
	h.must(err)
	h.must(h.server.Unbind(t.Context(), officer, bindings[0].ID, ""))
	h.refused("a revoked key: order", a.says("new-order", order(host), nil), 403, "unauthorized")
}

// TestStrangersRevokeNothing: neither another account, nor another key, nor with a reason that is not theirs to give.
func TestStrangersRevokeNothing(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	h.world.set("um-inny", &acme.Rule{Line: "OR.9", Order: "OR.9", Names: []string{"www.inny.example"}, Profile: pki.PartnerServer})
	a, other := h.account(partner), h.account("um-inny")
	leaf := h.issue(a.client, newKey(t), host)
	wish := map[string]any{"certificate": base64.RawURLEncoding.EncodeToString(leaf.Raw), "reason": 4}
	h.refused("another account", other.says("revoke-cert", wish, nil), 403, "unauthorized")
	stranger := newKey(t)
	h.refused("another key", other.says("revoke-cert", wish, func(s *signed) {
		delete(s.header, "kid")
		s.key, s.header["jwk"] = stranger, jwkOf(stranger)
	}), 403, "unauthorized")
	h.refused("another certificate", a.says("revoke-cert", map[string]any{
		"certificate": base64.RawURLEncoding.EncodeToString(h.made.Issuing.Certificate.Raw)}, nil), 404, "malformed")
	for _, reason := range []int{2, 6, 8, 10} {
		wish["reason"] = reason
		h.refused(fmt.Sprint("reason ", reason), a.says("revoke-cert", wish, nil), 400, "badRevocationReason")
	}
	if h.ca.Revoked(leaf.SerialNumber) {
		t.Error("the certificate is revoked")
	}
}

// TestFloods: a partner has its orders an hour, an address its requests a second; both are told when to come back.
func TestFloods(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	ahead := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	h := build(t, storetest.SQLite(t), func(cfg *acme.Config) { cfg.Now = clock })
	a, second := h.account(partner), h.account(partner)
	for n := range 100 {
		by := []account{a, second}[n%2]
		if s := by.says("new-order", order(host), nil); s.status != http.StatusCreated {
			t.Fatalf("order %d: %d %s", n, s.status, s.body)
		}
		ahead(time.Second)
	}
	s := second.says("new-order", order(host), nil)
	h.refused("order 101", s, 429, "rateLimited")
	if s.header.Get("Retry-After") != "3500" {
		t.Errorf("Retry-After: %q", s.header.Get("Retry-After"))
	}
	ahead(time.Hour)
	if s := a.says("new-order", order(host), nil); s.status != http.StatusCreated {
		t.Errorf("an hour later: %d %s", s.status, s.body)
	}
	limited := false
	for range 250 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.at("new-nonce"), nil)
		h.must(err)
		if s := h.do(r); s.status == http.StatusTooManyRequests {
			h.refused("a flood", s, 429, "rateLimited")
			limited = s.header.Get("Retry-After") == "1"
			break
		}
	}
	if !limited {
		t.Error("250 requests at once were answered")
	}
	for n := 2; n < 50; n++ {
		h.bind(partner)
	}
	if _, err := h.server.Bind(t.Context(), officer, partner); err == nil {
		t.Error("an office has 51 keys")
	}
}

// TestTokenAway: while the HSM can't sign, the client is told to come back, and the order waits.
func TestTokenAway(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	a := h.account(partner)
	o := h.ready(a.client, host)
	finalize := map[string]string{"csr": base64.RawURLEncoding.EncodeToString(request(t, newKey(t), named(host)))}
	h.key.away.Store(true)
	s := a.says(o.FinalizeURL, finalize, nil)
	h.refused("a token that is away", s, 503, "serverInternal")
	if s.header.Get("Retry-After") == "" {
		t.Error("the client is not told when to come back")
	}
	h.key.away.Store(false)
	if s := a.says(o.FinalizeURL, finalize, nil); s.status != http.StatusOK {
		t.Errorf("when it is back: %d %s", s.status, s.body)
	}
}

// TestDeadNode: an order that a dead process had claimed ends with the certificate that it had made, or is ready again.
func TestDeadNode(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	a := h.account(partner)
	key := newKey(t)
	leaf := h.issue(a.client, key, host)
	serial := leaf.SerialNumber.Text(16)
	long := time.Now().Add(-time.Hour).Unix()
	var id string
	h.must(h.db.QueryRowContext(t.Context(), `SELECT id FROM acme_order WHERE certificate = $1`, serial).Scan(&id))
	_, err := h.db.ExecContext(t.Context(), `UPDATE acme_order SET status = 'processing', claim = 'dead', claimed = $1, certificate = '' WHERE id = $2`, long, id)
	h.must(err)
	if s := a.says("order/"+id, nil, nil); s.status != http.StatusOK || !strings.Contains(string(s.body), "certificate/"+serial) {
		t.Errorf("the order whose certificate was made: %d %s", s.status, s.body)
	}
	o := h.ready(a.client, host)
	id = o.URI[strings.LastIndex(o.URI, "/")+1:]
	_, err = h.db.ExecContext(t.Context(), `UPDATE acme_order SET status = 'processing', claim = 'dead', claimed = $1, public_key = 'none' WHERE id = $2`, long, id)
	h.must(err)
	if _, _, err := a.client.CreateOrderCert(t.Context(), o.FinalizeURL, request(t, newKey(t), named(host)), true); err != nil {
		t.Errorf("the order for which nothing was made: %v", err)
	}
}
