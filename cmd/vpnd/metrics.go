package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"trustcore/vpn"
)

// family is one metric; its labels are names of the registry, never keys or addresses.
func family(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trustcore_vpn_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector. The metrics are not fixed in advance.
func (g *gateway) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector over the last reading of the hub.
func (g *gateway) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	status, left, repairs := g.status, g.lease.left(g.clock()), g.repairs
	g.mu.Unlock()
	send := func(kind prometheus.ValueType, value float64, desc *prometheus.Desc, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	send(prometheus.GaugeValue, left.Seconds(), family("lease_seconds", "What is left of the lease; at 0 nobody is let in."))
	send(prometheus.CounterValue, float64(repairs), family("repairs_total", "How often somebody else had changed the gateway."))
	if status == nil {
		return
	}
	send(prometheus.GaugeValue, float64(len(status.Refused)), family("refused", "Parts of the wish that are not granted."))
	send(prometheus.GaugeValue, float64(status.Revision), family("revision", "Revision of the wish in force."))
	send(prometheus.CounterValue, float64(status.Denied), family("denied_total", "Packets or connections from the tunnel that met no permission."))
	states := map[vpn.State]int{vpn.StateUp: 0, vpn.StateStale: 0, vpn.StateDown: 0, vpn.StateNever: 0}
	type site struct{ partner, name string }
	received, sent := make(map[site]int64), make(map[site]int64) // a site has two peers while its key is rotated
	for _, p := range status.Peers {
		states[p.State]++
		received[site{p.Partner, p.Site}] += p.Received
		sent[site{p.Partner, p.Site}] += p.Sent
	}
	traffic := family("traffic_bytes_total", "Bytes through the tunnel, as the hub counts them.", "partner", "site", "direction")
	for s := range received {
		send(prometheus.CounterValue, float64(received[s]), traffic, s.partner, s.name, "received")
		send(prometheus.CounterValue, float64(sent[s]), traffic, s.partner, s.name, "sent")
	}
	peers := family("peers", "Tunnels by state.", "state")
	for state, n := range states {
		send(prometheus.GaugeValue, float64(n), peers, string(state))
	}
}
