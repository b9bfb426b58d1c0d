package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
	"trustcore/pki"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// withSites are the components of an order of a main site and two further ones.
const withSites = `units: [{id: gops, name: Gminny Ośrodek Pomocy Społecznej}]
components: [B_HSM, P_VPN]
vpn_request:
  site: main
  sites:
    - {name: branch, networks: [192.168.20.0/24]}
    - {name: gops, unit: gops, services: [benefits]}
`

// enrolSite enrols a further site and keeps its key and certificate under the holder's name.
func (o *outside) enrolSite(holder, order, site string) (office.Enrolment, []byte) {
	o.t.Helper()
	var token struct{ Token string }
	o.must(json.Unmarshal(o.try("officer-2", "POST", "admin", "/v1/orders/token", fmt.Appendf(nil, `{"id":%q,"site":%q}`, order, site)).body, &token))
	private, csr := o.request("")
	key, err := vpn.GeneratePrivateKey()
	o.must(err)
	body, err := json.Marshal(enrolRequest{Token: token.Token, PublicKey: key.Public().String(), CSR: csr})
	o.must(err)
	e := o.enrolSent(body)
	o.install(holder, e.Certificate, private)
	return e, body
}

func (o *outside) enrolSent(body []byte) (e office.Enrolment) {
	o.t.Helper()
	a := o.try("", "POST", "enrolment", "/v1/enrolments", body)
	if err := json.Unmarshal(a.body, &e); a.status != http.StatusOK || err != nil || e.Validate() != nil {
		o.t.Fatalf("enrolment: %d %s", a.status, a.body)
	}
	return e
}

// servesMore gives the core a service that orders name, and names for all.
func servesMore(cfg *Config) {
	cfg.Tunnel.Zone = "tunnel.example.org"
	cfg.Tunnel.Services = append(cfg.Tunnel.Services, TunnelService{Name: "benefits", Addr: netip.MustParseAddrPort("10.80.0.7:443"), By: byOrder})
}

// TestSitesOfAnOffice: each site has an enrolment, a certificate, an address and services of its own. Its certificate opens
// neither the order's keys nor another site's tunnel, and ends with the site.
func TestSitesOfAnOffice(t *testing.T) {
	o := newInside(t, servesMore)
	first := o.on("ZU-1", activationOf("ZU-1", "", withSites, ezd, key("seal", ""), inYears(1)), ezd)
	branch, sent := o.enrolSite("branch", "ZU-1", "branch")
	gops, _ := o.enrolSite("gops", "ZU-1", "gops")
	if branch.Site != "branch" || branch.Address[0] == first.Address[0] || gops.Address[0] == branch.Address[0] || len(gops.Services) != 2 ||
		gops.Services[1].Host != "benefits.tunnel.example.org" || len(branch.Services) != 1 {
		t.Errorf("branch %+v, gops %+v", branch, gops)
	}
	if again := o.enrolSent(sent); again.Certificate != branch.Certificate || again.Site != "branch" {
		t.Errorf("the same request again: %+v", again)
	}
	if used := o.uses("branch"); len(used) != 0 {
		t.Errorf("the certificate of a further site opens keys: %+v", used)
	}
	if a := o.sign(o.client("branch"), o.uses(ezd)["seal"].ID); a.status == http.StatusOK {
		t.Error("the certificate of a further site signs with the order's key")
	}
	for holder, own := range map[string]string{ezd: "main", "branch": "branch", "gops": "gops"} {
		if got := o.ownSite(holder); got != own {
			t.Errorf("the certificate of %s is that of site %s", own, got)
		}
	}

	// The branch comes anew, with another computer: it keeps its address, and the certificate of before ends.
	anew, _ := o.enrolSite("branch-2", "ZU-1", "branch")
	if anew.Address[0] != branch.Address[0] {
		t.Errorf("its address was %v and is %v", branch.Address, anew.Address)
	}
	if a := o.try("branch", "GET", "gateway", office.StandingRoute, nil); a.status != http.StatusForbidden {
		t.Errorf("the certificate of before: %d %s", a.status, a.body)
	}
	if a := o.try("", "POST", "enrolment", "/v1/enrolments", sent); a.status == http.StatusOK {
		t.Errorf("an enrolment that was replaced is answered: %s", a.body)
	}

	// The renewal drops gops.
	o.decide("ZU-2", activationOf("ZU-2", "renews: ZU-1\n", strings.Replace(withSites, "    - {name: gops, unit: gops, services: [benefits]}\n", "", 1),
		ezd, key("seal", ""), inYears(2)))
	o.awaitState("ZU-2", registry.Active)
	o.await("the end of the certificate of gops", func() bool {
		return o.try("gops", "GET", "gateway", office.StandingRoute, nil).status == http.StatusForbidden
	})
	if got := o.ownSite("branch-2"); got != "branch" {
		t.Errorf("after the renewal branch has site %q", got)
	}
	o.off("ZZ-1", "components: [B_HSM, P_VPN]\n")
	o.wantNothingLeft()
	if left, err := o.ca.Certificates(t.Context(), pki.Filter{Partner: "um-nowe", Profile: pki.PartnerClient, State: pki.Valid}); err != nil || len(left) != 0 {
		t.Errorf("%d certificates count still: %v", len(left), err)
	}
}

// ownSite is the site whose tunnel the holder's certificate opens.
func (o *outside) ownSite(holder string) string {
	o.t.Helper()
	a := o.try(holder, "GET", "gateway", office.StandingRoute, nil)
	var s office.Standing
	o.must(json.Unmarshal(a.body, &s))
	_, tunnels, err := o.registry.Wish(o.t.Context())
	o.must(err)
	for _, t := range tunnels {
		if t.PublicKey == s.PublicKey.String() {
			return t.Site
		}
	}
	return fmt.Sprintf("%d %s", a.status, a.body)
}

// TestNetworksOfTheCore: no order puts the core's own networks behind an office, whatever they are known by.
func TestNetworksOfTheCore(t *testing.T) {
	cfg := Defaults()
	servesMore(&cfg)
	cfg.Tunnel.Services = append(cfg.Tunnel.Services, TunnelService{Name: "far", Addr: netip.MustParseAddrPort("192.168.77.7:443")})
	cfg.Tunnel.Reserved = []netip.Prefix{netip.MustParsePrefix("172.20.0.0/16")}
	d := &daemon{cfg: cfg}
	own, err := ownNetworks()
	if err != nil || !slices.ContainsFunc(own, func(r reservedNetwork) bool { return r.prefix.Contains(netip.MustParseAddr("127.0.0.1")) }) {
		t.Errorf("%v, %v", own, err)
	}
	for network, want := range map[string]string{
		"192.168.30.0/24": "",
		"10.64.9.0/24":    "where the tunnels' own addresses lie",
		"10.80.0.0/24":    "the address of the service benefits",
		"192.168.77.0/28": "the address of the service far",
		"172.20.7.0/24":   "a network of the data centre's own",
		"172.16.0.0/12":   "too large for one office",
		"8.8.8.0/24":      "not for private use",
		"fd00:1:2::/48":   "is of IPv6, and the tunnels have IPv4 alone",
	} {
		got := cfg.Tunnel.networkProblem(netip.MustParsePrefix(network), cfg.Tunnel.reserved())
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", network, got, want)
		}
	}
	order := registry.Order{ID: "ZU-1", Partner: registry.Partner{ID: "um"}, Components: []registry.Component{registry.VPN},
		VPNRequest: &registry.VPNRequest{Site: "main", Sites: []registry.Site{{Name: "branch", Networks: []string{"192.168.30.0/24", "10.64.9.0/24"}}}}}
	err = d.canHaveSites(order)
	if field, is := err.(*registry.FieldError); !is || field.Field != "vpn_request.sites[0].networks[1]" {
		t.Errorf("%v", err)
	}
	order.VPNRequest.Sites[0] = registry.Site{Name: strings.Repeat("b", 40)}
	order.Partner.ID = strings.Repeat("u", 40)
	err = d.canHaveSites(order)
	if field, is := err.(*registry.FieldError); !is || field.Field != "vpn_request.sites[0].name" {
		t.Errorf("%v", err)
	}
}
