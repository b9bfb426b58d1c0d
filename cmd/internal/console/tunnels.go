package console

import (
	"net/http"
	"time"
)

// Tunnel is one office's end of the VPN.
type Tunnel struct {
	Partner, Site, Order, Address string // Order and Address are "" for a tunnel that is being removed
	State                         string // "up", "stale", "down", "never"; "removing"; "unknown" while no gateway reports it
	LastHandshake                 time.Time
	Received, Sent                int64 // bytes, as the hub counts them

	Unit               string   // the subordinate unit whose site it is; "" is the partner's own
	Services, Networks []string // that the order names
	PresharedAt, KeyAt time.Time
	Due                []string // secrets that the office is asked to rotate and has not yet
}

// tunnelRow is a tunnel with the name of its office.
type tunnelRow struct {
	Tunnel
	PartnerName string
}

func tunnelRows(tunnels []Tunnel, names map[string]string) []tunnelRow {
	rows := make([]tunnelRow, len(tunnels))
	for i, t := range tunnels {
		rows[i] = tunnelRow{t, names[t.Partner]}
	}
	return rows
}

type tunnelsPage struct {
	frame
	Tunnels list[tunnelRow]
}

// showTunnels lists the tunnels that are wished for and those that are still there.
func (c *Console) showTunnels(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	names, err := c.names(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	world := c.read(ctx, "", partTunnels)
	found := listOf(r, "tunnels", tunnelRows(world.tunnels, names), world.failed[partTunnels], func(t tunnelRow) []string {
		return []string{t.Partner, t.PartnerName, t.Site, t.Address, t.Order, t.Unit, v.speech.term("tunnel", t.State)}
	})
	c.render(w, r, v, http.StatusOK, "tunnels", &tunnelsPage{c.framed(r, v, "tunnels", v.word("tunnels")), found})
}
