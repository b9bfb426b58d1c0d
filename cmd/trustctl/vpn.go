package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
)

func vpnCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "vpn",
		Short: "See the offices' tunnels, and why one reaches a service or not",
		Long: `  trustctl vpn status --as officer-1                                every tunnel at every gateway
  trustctl vpn explain um-przykladowo 10.64.0.1:9443 --as officer-1   step by step, from the order to the packets
  trustctl vpn rotate preshared-key um-przykladowo --as officer-1     have an office rotate a secret of its tunnel
  trustctl vpn reach um-przykladowo --as officer-1                    who could reach what, from when to when, by which order
  trustctl vpn review --as officer-1                                  what is open now, and whether it is used
  trustctl vpn gateways --as officer-1                                which gateway of a pair carries, and could the other one
  trustctl vpn takeover vpnd-2 --as officer-1                         have the one that stands by take over

Exit status: 0 all is well; 3 a tunnel is not up, a gateway has something to tell, or the office does not reach the
service.`,
	}
	c.AddCommand(vpnStatusCommand(), vpnExplainCommand(), vpnRotateCommand(), vpnReachCommand(), vpnReviewCommand(),
		vpnGatewaysCommand(), vpnTakeoverCommand())
	return c
}

// tunnels is what trustd knows of them: what each gateway reported last, by name.
type tunnels map[string]vpn.Status

func vpnStatusCommand() *cobra.Command {
	return vpnAsk("status", "List the tunnels as the gateways report them", cobra.NoArgs,
		func(ctx context.Context, o *officer, _ []string) (vpnAnswer, error) {
			s := vpnStatus{Gateways: tunnels{}}
			if err := o.call(ctx, "GET", "/v1/tunnels", nil, &s.Gateways); err != nil {
				return nil, err
			}
			return s, o.call(ctx, "GET", "/v1/tunnels/secrets", nil, &s.Secrets)
		})
}

func vpnExplainCommand() *cobra.Command {
	return vpnAsk("explain PARTNER[/SITE] ADDRESS:PORT", "Say step by step whether an office reaches a service",
		cobra.ExactArgs(2), func(ctx context.Context, o *officer, args []string) (vpnAnswer, error) {
			to, err := netip.ParseAddrPort(args[1])
			if err != nil {
				return nil, fmt.Errorf("%q is not the address and port of a service, such as 10.64.0.1:9443", args[1])
			}
			q := question{to: to}
			q.partner, q.site, _ = strings.Cut(args[0], "/")
			var orders []registry.Record
			if err := o.call(ctx, "GET", "/v1/orders", nil, &orders); err != nil {
				return nil, err
			}
			t := tunnels{}
			if err := o.call(ctx, "GET", "/v1/tunnels", nil, &t); err != nil {
				return nil, err
			}
			return q.explain(orders, t, time.Now()), nil
		})
}

// vpnAnswer is an answer of these commands.
type vpnAnswer interface {
	write(io.Writer, time.Time) error
	well() bool
}

func vpnAsk(use, short string, args cobra.PositionalArgs,
	ask func(context.Context, *officer, []string) (vpnAnswer, error)) *cobra.Command {
	var f officerFlags
	c := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, args []string) error {
		o, err := f.open()
		if err != nil {
			return err
		}
		answer, err := ask(c.Context(), o, args)
		if err != nil {
			return err
		}
		if f.asJSON {
			err = writeJSON(c.OutOrStdout(), answer)
		} else {
			err = answer.write(c.OutOrStdout(), time.Now())
		}
		if err == nil && !answer.well() {
			return exitCode(notPassed)
		}
		return err
	}}
	f.add(c)
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

func (t tunnels) well() bool {
	down := func(p vpn.PeerStatus) bool { return p.State != vpn.StateUp || len(p.Suspect) > 0 }
	for _, s := range t {
		if s.Standby() {
			s.Peers = nil // it hears nobody
		}
		if s.Problem != "" || len(s.Findings) > 0 || slices.ContainsFunc(s.Peers, down) {
			return false
		}
	}
	return len(t) > 0
}

func (t tunnels) names() []string {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t tunnels) write(out io.Writer, now time.Time) error {
	w := table(out)
	fmt.Fprintln(w, "GATEWAY\tPARTNER\tSITE\tSTATE\tLAST HANDSHAKE\tFROM\tRECEIVED\tSENT")
	for _, name := range t.names() {
		for _, p := range t[name].Peers {
			if t[name].Standby() {
				break
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", name, p.Partner, p.Site, stateText(p),
				ago(p.LastHandshake, now), from(p.Endpoint), p.Received, p.Sent)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, name := range t.names() {
		s := t[name]
		if s.Standby() {
			fmt.Fprintf(out, "gateway %s: mode %s, stands by with %d tunnels prepared\n", name, s.Mode, len(s.Peers))
			continue
		}
		fmt.Fprintf(out, "gateway %s: mode %s, %d tunnels, %d packets denied, %d changes by others undone\n",
			name, s.Mode, len(s.Peers), s.Denied, s.Drift.Count)
		if s.Problem != "" {
			fmt.Fprintf(out, "  lets nobody in: %s\n", s.Problem)
		}
		for _, f := range s.Findings {
			fmt.Fprintf(out, "  %s\n    %s\n", f.What, f.Remedy)
		}
	}
	if len(t) == 0 {
		fmt.Fprintln(out, "no gateway has reported since trustd started")
	}
	return nil
}

// stateText is the state with what is suspect.
func stateText(p vpn.PeerStatus) string {
	text := string(p.State)
	for _, s := range p.Suspect {
		text += ", " + string(s)
	}
	return text
}

func ago(then, now time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return now.Sub(then).Round(time.Second).String() + " ago"
}

func from(endpoint netip.AddrPort) string {
	if !endpoint.IsValid() {
		return "-"
	}
	return endpoint.String()
}

// question asks whether an office reaches a service.
type question struct {
	partner, site string // no site is any
	to            netip.AddrPort
}

// explanation is the way from the order to the packets, up to what is missing.
type explanation []vpnStep

// vpnStep is one step of the way. What is missing has a remedy.
type vpnStep struct {
	Step   string `json:"step"`
	Is     string `json:"is"`
	Remedy string `json:"remedy,omitempty"`
}

func (e explanation) well() bool { return len(e) > 0 && e[len(e)-1].Remedy == "" }

func (e explanation) write(out io.Writer, _ time.Time) error {
	for _, s := range e {
		if s.Remedy == "" {
			fmt.Fprintf(out, "%s: %s\n", s.Step, s.Is)
		} else {
			fmt.Fprintf(out, "%s: MISSING: %s\n  %s\n", s.Step, s.Is, s.Remedy)
		}
	}
	return nil
}

// explain goes the way step by step and stops at the first thing that is missing, since nothing after it can be.
func (q question) explain(orders []registry.Record, t tunnels, now time.Time) (e explanation) {
	missing := func(step, what, remedy string) explanation { return append(e, vpnStep{step, what, remedy}) }
	order, is, remedy := q.order(orders)
	if e = append(e, vpnStep{"order", is, remedy}); order == nil {
		return e
	}
	if len(t) == 0 {
		return missing("gateway", "none has reported since trustd started", "see that vpnd runs and reaches trustd")
	}
	gateway, peer := q.peer(t)
	if peer == nil {
		return q.noPeer(e, t, order)
	}
	s := t[gateway]
	e = append(e, vpnStep{"gateway", fmt.Sprintf("%s has the office, from revision %d of the wish", gateway, s.Revision), ""})
	i := slices.IndexFunc(peer.Services, func(service vpn.ServiceTraffic) bool { return service.Addr == q.to })
	if i < 0 {
		return missing("permission", fmt.Sprintf("%v is none of the services that the office is given: %s", q.to, services(peer)),
			"see tunnel.services of trustd's configuration: what gives it (by), and whether order "+order.ID+" names it")
	}
	service := peer.Services[i]
	e = append(e, vpnStep{"permission", fmt.Sprintf("the firewall of %s permits %s", gateway, service.Name), ""})
	switch {
	case peer.LastHandshake.IsZero() && !peer.Endpoint.IsValid():
		return missing("handshake", "the office was never heard", "there: trustlink doctor; here: is UDP let in to the hub's port?")
	case peer.State != vpn.StateUp:
		return missing("handshake", fmt.Sprintf("the tunnel is %s, the last one was %s, from %s", peer.State,
			ago(peer.LastHandshake, now), from(peer.Endpoint)), "there: trustlink doctor")
	}
	e = append(e, vpnStep{"handshake", fmt.Sprintf("%s, from %v", ago(peer.LastHandshake, now), peer.Endpoint), ""})
	if service.Packets == 0 && service.Bytes == 0 {
		return missing("packets", "none went between the office and the service yet", q.silence(s))
	}
	return append(e, vpnStep{"packets", fmt.Sprintf("%d packets, %d bytes, both ways", service.Packets, service.Bytes), ""})
}

// silence is why nothing may have gone to a service that an office may reach.
func (q question) silence(s vpn.Status) string {
	remedy := "has a program there tried? If it has: does the service listen, and does its way back lead to the gateway?"
	for _, f := range s.Findings {
		remedy += "; " + f.What + ": " + f.Remedy
	}
	return remedy
}

// order finds the newest order with a tunnel for the partner.
func (q question) order(orders []registry.Record) (order *registry.Record, is, remedy string) {
	mine := slices.DeleteFunc(slices.Clone(orders), func(r registry.Record) bool {
		return !r.Has(registry.VPN) || !slices.ContainsFunc(r.VPNRequest.AllSites(), func(s registry.Site) bool {
			return q.means(r.Partner.ID, s.Name)
		})
	})
	if len(mine) == 0 {
		return nil, fmt.Sprintf("no order gives %s a tunnel", q.of()), "submit one with P_VPN"
	}
	slices.SortStableFunc(mine, func(a, b registry.Record) int { return a.SubmittedAt.Compare(b.SubmittedAt) })
	for i := range mine {
		if mine[i].State == registry.Active {
			order = &mine[i]
		}
	}
	if order == nil {
		last := mine[len(mine)-1]
		return nil, fmt.Sprintf("%s is %s", last.ID, last.State),
			cmp.Or(last.Waiting, "submit a new one with P_VPN, or have it carried out")
	}
	return order, fmt.Sprintf("%s is %s", order.ID, order.State), ""
}

// means says whether the question is about that office.
func (q question) means(partner, site string) bool {
	return partner == q.partner && (q.site == "" || site == q.site)
}

func (q question) of() string { return strings.TrimSuffix(q.partner+"/"+q.site, "/") }

// peer finds the office at a gateway, best where its tunnel is up.
func (q question) peer(t tunnels) (gateway string, found *vpn.PeerStatus) {
	for _, name := range t.names() {
		for i, p := range t[name].Peers {
			better := found == nil || p.State == vpn.StateUp && found.State != vpn.StateUp || t[gateway].Standby() && !t[name].Standby()
			if better && q.means(p.Partner, p.Site) {
				gateway, found = name, &t[name].Peers[i]
			}
		}
	}
	return gateway, found
}

// noPeer says why no gateway has the office.
func (q question) noPeer(e explanation, t tunnels, order *registry.Record) explanation {
	for _, name := range t.names() {
		s := t[name]
		if s.Problem != "" {
			return append(e, vpnStep{"gateway", name + " lets nobody in: " + s.Problem, "mend what it names"})
		}
		for _, r := range s.Refused {
			if q.means(r.Partner, r.Site) {
				is := fmt.Sprintf("%s refuses the office: %s %s", name, r.Field, r.Problem)
				return append(e, vpnStep{"gateway", is, "correct what is named"})
			}
		}
	}
	return append(e, vpnStep{"gateway", "none has the office: " + strings.Join(t.names(), ", "),
		"see whether order " + order.ID + " still has P_VPN on (a change order ends it), and what /health of trustd says; " +
			"a further site has to enrol: trustctl order token " + order.ID + " --site SITE"})
}

func services(p *vpn.PeerStatus) string {
	var all []string
	for _, s := range p.Services {
		all = append(all, fmt.Sprintf("%s %v", s.Name, s.Addr))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
