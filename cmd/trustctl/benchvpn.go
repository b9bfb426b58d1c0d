package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	vpnbench "trustcore/vpn/bench"
)

func vpnFlags(c *cobra.Command, s *benchSettings) {
	c.Flags().IntVar(&s.peers, "peers", 1000, "peers of the gateway")
}

// benchVPN measures reconciling a gateway: as root in a network namespace of its own with firewall and routes, else on netstack.
func benchVPN(ctx context.Context, s *benchSettings) (*measurement, error) {
	s.note("making peers")
	r, err := vpnbench.Reconcile(ctx, s.peers, s.duration())
	if err != nil {
		return nil, err
	}
	one, noOp, sync := durations(r.OneChange), durations(r.NoOp), durations(r.Syncconf)
	m := &measurement{Unit: "changes of one peer", Details: map[string]any{
		"peers": r.Peers, "mode": string(r.Mode), "full_ms": microseconds(r.Full) / 1e3,
		"full":  rate{perSecond: 1 / r.Full.Seconds(), p50: r.Full, p99: r.Full}.figures(rate{}),
		"no_op": noOp.figures(sync), "look": durations(r.Look).figures(sync), "one_change": one.figures(sync), "one_moves": durations(r.OneMoves).figures(sync),
		"resident_mb": r.Resident >> 20, "plain_wireguard_go_mb": r.Plain >> 20,
	}}
	m.set(one, "wg syncconf of the same change, without firewall and routes", sync)
	if sync.count == 0 {
		m.set(one, "reading device, firewall and routes, nothing to change", noOp)
		m.Details["syncconf"] = "not measured: it needs root and the wg tool (apt-get install wireguard-tools)"
	}
	return m, nil
}

// durations are sorted.
func durations(sorted []time.Duration) rate {
	if len(sorted) == 0 {
		return rate{}
	}
	var sum time.Duration
	for _, d := range sorted {
		sum += d
	}
	n := len(sorted)
	return rate{perSecond: float64(n) / sum.Seconds(), p50: sorted[n/2], p99: sorted[n*99/100], count: n}
}
