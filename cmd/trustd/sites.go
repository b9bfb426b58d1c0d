package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
	"trustcore/pki"
	"trustcore/pki/profile"
	"trustcore/vpn"
)

// ofToken is the site that a token enrolled; a further one is brought where it is not there yet. An office that enrolled
// anew since has other keys, and whoever has those of before is told nothing of it.
func (d *daemon) ofToken(ctx context.Context, rec *registry.Record, in enrolRequest) (site string, err error) {
	if site, err = d.registry.SiteOfToken(ctx, in.Token); err != nil {
		return "", err
	}
	last, err := d.registry.EnrolmentOf(ctx, rec.ID, site)
	if err != nil {
		return "", err
	}
	if last == nil || last.PublicKey != in.PublicKey {
		return "", problem.Refuse(http.StatusConflict, "the office enrolled anew since, with another token and other keys")
	}
	if site == "" || rec.State != registry.Active {
		return site, nil
	}
	return site, d.bringSite(ctx, rec, site)
}

// bringSite carries out the enrolment of a further site: its certificate, then its tunnel. Where the office asks again, and
// the key is or was a tunnel's, all that was done. An order that ended meanwhile leaves nothing behind.
func (d *daemon) bringSite(ctx context.Context, rec *registry.Record, site string) error {
	e, err := d.registry.EnrolmentOf(ctx, rec.ID, site)
	if err != nil {
		return err
	}
	if e == nil {
		return fmt.Errorf("site %s of order %s has no enrolment", site, rec.ID)
	}
	if was, err := d.registry.WasTunnelKey(ctx, e.PublicKey); err != nil || was {
		return err
	}
	request, err := requestOf(e)
	if err != nil {
		return err
	}
	if err := d.revokeOthers(ctx, rec.ID, site, request.PublicKey); err != nil {
		return err
	}
	under := registry.SiteOrder(rec.ID, site)
	issued, err := d.ca.Issue(ctx, carrier, pki.PartnerClient, request,
		pki.Subject{Partner: rec.Partner.ID, CommonName: siteName(rec.Order, site)}, under)
	if err != nil {
		return err
	}
	if _, err := d.remember(ctx, *rec, issued, registry.ClientCertificate, ""); err != nil {
		return err
	}
	address, err := d.registry.GrantSite(ctx, *rec, site, e.PublicKey)
	var no *registry.Refusal
	if errors.As(err, &no) {
		_, revoked := d.ca.Revoke(ctx, carrier, pki.Selector{Order: under}, pki.CessationOfOperation, rec.ID)
		return errors.Join(err, revoked)
	}
	if err != nil {
		return err
	}
	return d.audited(ctx, "tunnel.grant", address.String()+" "+site, rec.Partner.ID, rec.ID)
}

// revokeOthers revokes the certificates of a site over other keys than the one with which it enrols now: those of an office
// that enrolled before, and comes anew.
func (d *daemon) revokeOthers(ctx context.Context, order, site string, key any) error {
	own, err := keyDigest(key)
	if err != nil {
		return err
	}
	held, err := d.heldBy(ctx, order, site)
	if err != nil {
		return err
	}
	for _, c := range held {
		if c.PublicKey == own {
			continue
		}
		if _, err := d.ca.Revoke(ctx, carrier, pki.Selector{Serial: c.Serial}, pki.Superseded, order); err != nil {
			return err
		}
	}
	return nil
}

// siteName is the name in the certificate of a further site's office.
func siteName(o registry.Order, site string) string {
	if site == "" {
		return clientName(o)
	}
	return o.Partner.ID + " " + site
}

// revokeSites revokes the certificates of an order's further sites: all, or the named ones.
func (d *daemon) revokeSites(ctx context.Context, order string, sites []string, by string) error {
	for _, site := range sites {
		which := pki.Selector{Order: registry.SiteOrder(order, site)}
		if _, err := d.ca.Revoke(ctx, carrier, which, pki.CessationOfOperation, by); err != nil {
			return err
		}
	}
	return nil
}

// sitesOfLine are the further sites of the orders of a line, by order.
func (d *daemon) sitesOfLine(ctx context.Context, line []string) (map[string][]string, error) {
	sites := map[string][]string{}
	for _, id := range line {
		rec, err := d.registry.Order(ctx, id)
		if err != nil {
			return nil, err
		}
		sites[id] = rec.FurtherSites()
	}
	return sites, nil
}

// leaveSites takes away what is left of the sites that an order had and its successor does not name: their access ended when
// it took the order's place. Networks that it does not name any more stay nobody else's until that is proven.
func (d *daemon) leaveSites(ctx context.Context, rec registry.Record) error {
	left, gone, err := d.registry.EndedSites(ctx, rec.ID)
	if err != nil {
		return err
	}
	if !gone || rec.VPNRequest.HasNetworks() {
		if err := d.tunnelGone(ctx, rec.ID); err != nil {
			return err
		}
	}
	if len(left) == 0 {
		return nil
	}
	line, err := d.registry.Line(ctx, rec.ID)
	if err != nil {
		return err
	}
	for _, id := range line {
		if err := d.revokeSites(ctx, id, left, rec.ReplacedBy); err != nil {
			return err
		}
	}
	return nil
}

// canHaveSites refuses sites whose certificates could have no name, and networks that are the core's own or nobody's to have.
func (d *daemon) canHaveSites(o registry.Order) error {
	if o.VPNRequest == nil {
		return nil
	}
	own, err := ownNetworks()
	if err != nil {
		return err
	}
	reserved := append(d.cfg.Tunnel.reserved(), own...)
	for n, s := range o.VPNRequest.AllSites() {
		if name := siteName(o, s.Name); n > 0 && !profile.IsName(name) {
			return &registry.FieldError{Field: o.VPNRequest.SiteField(n, "name"), Remedy: fmt.Sprintf(
				"%q is the name in the site's certificate, which has at most %d characters: shorten it by %d", name, profile.MaxName, tooMany(name))}
		}
		for i, text := range s.Networks {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return err
			}
			if problem := d.cfg.Tunnel.networkProblem(p, reserved); problem != "" {
				return &registry.FieldError{Field: o.VPNRequest.SiteField(n, fmt.Sprintf("networks[%d]", i)), Remedy: problem}
			}
		}
	}
	return nil
}

// networkProblem says why a prefix can't lie behind an office's site, or "".
func (t *Tunnel) networkProblem(p netip.Prefix, reserved []reservedNetwork) string {
	if problem := vpn.NetworkProblem(p); problem != "" {
		return problem
	}
	if p.Addr().Is6() && !t.Pool6.IsValid() {
		return fmt.Sprintf("%s is of IPv6, and the tunnels have IPv4 alone: leave it out", p)
	}
	for _, r := range reserved {
		if r.prefix.Overlaps(p) {
			return fmt.Sprintf("%s meets %s, %s: leave it out, and have the site's router translate its addresses to that in the tunnel",
				p, r.prefix, r.whose)
		}
	}
	return ""
}

// reservedNetwork is one that no office may have.
type reservedNetwork struct {
	prefix netip.Prefix
	whose  string
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// reserved are the networks that the configuration knows as the core's.
func (t *Tunnel) reserved() (all []reservedNetwork) {
	for _, p := range t.pools() {
		all = append(all, reservedNetwork{p, "where the tunnels' own addresses lie"})
	}
	for _, s := range t.Services {
		all = append(all, reservedNetwork{single(s.Addr.Addr()), "the address of the service " + s.Name})
	}
	for _, p := range t.Reserved {
		all = append(all, reservedNetwork{p, "a network of the data centre's own"})
	}
	return all
}

// ownNetworks are those of this host's interfaces.
func ownNetworks() (all []reservedNetwork, err error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("this host's addresses: %w", err)
	}
	for _, a := range addresses {
		n, is := a.(*net.IPNet)
		if !is {
			continue
		}
		ones, _ := n.Mask.Size()
		if address, ok := netip.AddrFromSlice(n.IP); ok {
			all = append(all, reservedNetwork{netip.PrefixFrom(address.Unmap(), ones).Masked(), "a network of the data centre's own"})
		}
	}
	return all, nil
}

// checkReserved refuses what is no network.
func (t *Tunnel) checkReserved() error {
	for i, p := range t.Reserved {
		if !p.IsValid() || p != p.Masked() || p.Bits() == 0 || p.Addr().Is4In6() {
			return fmt.Errorf("tunnel.reserved[%d]: %v is no network, such as 10.80.0.0/16", i, p)
		}
	}
	return nil
}

// siteServices names all services that the sites of an order name, with the field of each.
func siteServices(o registry.Order, each func(field, name string) error) error {
	for n, s := range o.VPNRequest.AllSites() {
		for i, name := range s.Services {
			if err := each(o.VPNRequest.SiteField(n, fmt.Sprintf("services[%d]", i)), name); err != nil {
				return err
			}
		}
	}
	return nil
}

// offer puts on record which services the configuration has, for the report on who could reach what.
func (d *daemon) offer(ctx context.Context) error {
	var all []registry.Offered
	for _, s := range d.cfg.Tunnel.Services {
		by := s.By
		if by == "" {
			by = byTunnel
		}
		all = append(all, registry.Offered{Name: s.Name, Proto: s.proto(), Addr: s.Addr.String(), GivenBy: by})
	}
	return d.registry.Offer(ctx, all)
}
