package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn"
)

func vpnReachCommand() *cobra.Command {
	return vpnAsk("reach [PARTNER]", "Report who could reach what, from when to when, by which order", cobra.MaximumNArgs(1),
		func(ctx context.Context, o *officer, args []string) (vpnAnswer, error) {
			var all reach
			return &all, o.reached(ctx, strings.Join(args, ""), &all)
		})
}

func vpnReviewCommand() *cobra.Command {
	return vpnAsk("review [PARTNER]", "List for a review who reaches what now, since when, and whether it is used", cobra.MaximumNArgs(1),
		func(ctx context.Context, o *officer, args []string) (vpnAnswer, error) {
			var all reach
			if err := o.reached(ctx, strings.Join(args, ""), &all); err != nil {
				return nil, err
			}
			t := tunnels{}
			if err := o.call(ctx, "GET", "/v1/tunnels", nil, &t); err != nil {
				return nil, err
			}
			return reviewOf(all, t), nil
		})
}

func (o *officer) reached(ctx context.Context, partner string, into *reach) error {
	return o.call(ctx, "GET", "/v1/tunnels/reach?partner="+url.QueryEscape(partner), nil, into)
}

// reach is the report, a line for each time in which a site could reach a service.
type reach []registry.Reach

func (r *reach) well() bool { return true }

func (r *reach) write(out io.Writer, _ time.Time) error {
	w := table(out)
	fmt.Fprintln(w, "PARTNER\tSITE\tFROM\tSERVICE\tSINCE\tUNTIL\tORDER\tGIVEN BY")
	for _, one := range *r {
		until := "still"
		if !one.Until.IsZero() {
			until = one.Until.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s %s/%s\t%s\t%s\t%s\t%s\n", one.Partner, siteText(one), strings.Join(append([]string{one.Address}, one.Networks...), " "),
			one.Service, one.Addr, one.Proto, one.Since.UTC().Format(time.DateTime), until, one.Order, one.GivenBy)
	}
	return w.Flush()
}

func siteText(r registry.Reach) string {
	if r.Unit == "" {
		return r.Site
	}
	return r.Site + " (" + r.Unit + ")"
}

// review is what is open now, for people to confirm or to order away.
type review []reviewed

type reviewed struct {
	registry.Reach
	LastHandshake time.Time `json:"last_handshake,omitzero"` // zero: none since the gateway started
	Packets       uint64    `json:"packets"`                 // since the gateway began to count
}

// reviewOf joins what is open with what the gateways have seen of it.
func reviewOf(all reach, t tunnels) review {
	list := review{}
	for _, one := range all {
		if !one.Until.IsZero() {
			continue
		}
		r := reviewed{Reach: one}
		for _, s := range t {
			for _, p := range s.Peers {
				if p.Partner == one.Partner && p.Site == one.Site {
					r.seen(p)
				}
			}
		}
		list = append(list, r)
	}
	return list
}

// seen takes over what a gateway has of the office.
func (r *reviewed) seen(p vpn.PeerStatus) {
	if p.LastHandshake.After(r.LastHandshake) {
		r.LastHandshake = p.LastHandshake
	}
	i := slices.IndexFunc(p.Services, func(s vpn.ServiceTraffic) bool { return s.Name == r.Service && s.Addr.String() == r.Addr })
	if i >= 0 {
		r.Packets += p.Services[i].Packets
	}
}

func (r review) well() bool { return true }

func (r review) write(out io.Writer, now time.Time) error {
	w := table(out)
	fmt.Fprintln(w, "PARTNER\tSITE\tSERVICE\tSINCE\tORDER\tLAST HANDSHAKE\tPACKETS")
	for _, one := range r {
		fmt.Fprintf(w, "%s\t%s\t%s %s/%s\t%s\t%s\t%s\t%d\n", one.Partner, siteText(one.Reach), one.Service, one.Addr, one.Proto,
			one.Since.UTC().Format(time.DateOnly), one.Order, ago(one.LastHandshake, now), one.Packets)
	}
	return w.Flush()
}
