package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"trustcore/vpn"
)

// gateways is what trustd knows of those on its list.
type gateways []gatewayStatus

type gatewayStatus vpn.GatewayStatus

func vpnGatewaysCommand() *cobra.Command {
	return vpnAsk("gateways", "List the gateways: which of a pair carries the tunnels, and could the other one", cobra.NoArgs,
		func(ctx context.Context, o *officer, _ []string) (vpnAnswer, error) {
			all := gateways{}
			return &all, o.call(ctx, "GET", "/v1/tunnels/gateways", nil, &all)
		})
}

// well says that somebody carries, and that of each pair the other one could.
func (all *gateways) well() bool {
	for _, g := range *all {
		if p := g.Pair; g.Problem != "" || p != nil && (p.Problem != "" || p.Active && !p.OtherReady) {
			return false
		}
	}
	return len(*all) > 0
}

func (all *gateways) write(out io.Writer, now time.Time) error {
	w := table(out)
	fmt.Fprintln(w, "GATEWAY\tROLE\tHEARD\tTUNNELS UP\tKEY OF THE HUB\tOTHER GATEWAY\tKEYS")
	for _, g := range *all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\t%s\t%s\n", g.Name, g.role(), ago(g.HeardAt, now), g.Up, g.Peers, orDash(g.PublicKey), g.other(), g.keys())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, g := range *all {
		if g.Problem != "" {
			fmt.Fprintf(out, "gateway %s lets nobody in: %s\n", g.Name, g.Problem)
		}
		if g.Pair != nil && g.Pair.Problem != "" {
			fmt.Fprintf(out, "gateway %s: %s\n", g.Name, g.Pair.Problem)
		}
	}
	if len(*all) == 0 {
		fmt.Fprintln(out, "no gateway was ever answered")
	}
	return nil
}

func (g *gatewayStatus) role() string {
	switch {
	case g.Pair == nil:
		return "alone"
	case g.Pair.Active:
		return "active"
	case g.Pair.Ready:
		return "standby"
	}
	return "standby, not ready"
}

func (g *gatewayStatus) other() string {
	switch p := g.Pair; {
	case p == nil:
		return "-"
	case p.Other == "":
		return "not heard"
	case !p.OtherReady && p.Other != "active":
		return p.Other + ", not ready"
	default:
		return p.Other
	}
}

// keys is how the gateway stands to the keys of the pair's hub.
func (g *gatewayStatus) keys() string {
	switch {
	case g.Recipient == "":
		return "-"
	case g.KeysFrom != "" && g.Serial == 0 && !g.Approved:
		return "wants those of " + g.KeysFrom + ", its own key is " + g.Recipient
	case !g.Approved:
		return fmt.Sprintf("number %d, shared with nobody, its own key is %s", g.Serial, g.Recipient)
	}
	return fmt.Sprintf("number %d", g.Serial)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func vpnTakeoverCommand() *cobra.Command {
	var f officerFlags
	c := &cobra.Command{
		Use:   "takeover GATEWAY",
		Short: "Have the standby of a pair of gateways take the tunnels over",
		Long: "Has the gateway that stands by take over from the one that carries, which hands over at once: before its upgrade, or\n" +
			"that of its machine. Connections go on; new handshakes are made with all offices. trustctl vpn gateways shows who carries.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.open()
			if err != nil {
				return err
			}
			if err := o.call(c.Context(), "POST", "/v1/tunnels/takeover", map[string]string{"gateway": args[0]}, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "gateway %s is asked to take over; see trustctl vpn gateways\n", args[0])
			return err
		},
	}
	f.add(c)
	return c
}
