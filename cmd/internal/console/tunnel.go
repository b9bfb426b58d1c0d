package console

import (
	"context"
	"net/http"
	"slices"

	"trustcore/cmd/internal/registry"
)

// tunnelPage is all of a tunnel.
type tunnelPage struct {
	frame
	Tunnel tunnelRow
	Reach  []registry.Reach // what the site reaches and reached, what it reaches now first
}

// tunnelPath is the page of a tunnel below the session's home.
func tunnelPath(partner, site string) string {
	return "tunnel?partner=" + query(partner) + "&site=" + query(site)
}

// Rotatable reports whether its office may be asked to rotate secrets.
func (t tunnelRow) Rotatable() bool { return t.Order != "" }

func (c *Console) showTunnel(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	p, err := c.tunnelPage(ctx, r.URL.Query().Get("partner"), r.URL.Query().Get("site"))
	if c.answered(w, r, v, err) {
		return
	}
	p.frame = c.framed(r, v, "tunnels", v.word("tunnel-title", "Site", p.Tunnel.Site, "Partner", p.Tunnel.Partner))
	c.render(w, r, v, http.StatusOK, "tunnel", p)
}

// tunnelPage reads the tunnel of a site. The error is errNotThere when there is none.
func (c *Console) tunnelPage(ctx context.Context, partner, site string) (*tunnelPage, error) {
	tunnels, err := c.tunnels(ctx, partner)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tunnels, func(t Tunnel) bool { return t.Partner == partner && t.Site == site })
	if i < 0 || partner == "" {
		return nil, errNotThere
	}
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	reach, err := c.cfg.Registry.Reaches(ctx, partner)
	if err != nil {
		return nil, err
	}
	p := &tunnelPage{Tunnel: tunnelRow{tunnels[i], names[partner]}}
	p.Reach = keep(reach, func(one registry.Reach) bool { return one.Site == site })
	slices.SortStableFunc(p.Reach, func(a, b registry.Reach) int {
		if a.Until.IsZero() != b.Until.IsZero() {
			if a.Until.IsZero() {
				return -1
			}
			return 1
		}
		return b.Since.Compare(a.Since)
	})
	p.Reach = p.Reach[:min(len(p.Reach), maxRows)]
	return p, nil
}
