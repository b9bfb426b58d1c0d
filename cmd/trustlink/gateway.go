package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trustcore/hsm/remote"
)

// callTimeout bounds one call to the data centre.
const callTimeout = time.Minute

// link reaches the services at the other end of the tunnel.
type link struct {
	state   state
	record  record
	running *runtime // of trustlink up, where it runs
}

func openLink(s state) (*link, error) {
	r, err := s.enrolled()
	if err != nil {
		return nil, err
	}
	now, err := inspect(s, time.Now())
	if err != nil {
		return nil, err
	}
	return &link{state: s, record: r, running: now.Runtime}, nil
}

// address returns where a service is reached: a local port that trustlink up forwards, or its own
// address where the tunnel is a network interface.
func (l *link) address(service string) (string, error) {
	if l.running != nil {
		for _, f := range l.running.Forwards {
			if f.Service == service {
				return f.Local.String(), nil
			}
		}
	}
	for _, s := range l.record.Enrolment.Services {
		if s.Name == service {
			return s.Addr.String(), nil
		}
	}
	return "", fmt.Errorf("the data centre offers no service %q to this office", service)
}

// gateway returns a client of the HSM gateway with the office's own certificate.
func (l *link) gateway() (*remote.Client, error) {
	address, err := l.address(gatewayService)
	if err != nil {
		return nil, err
	}
	client, err := l.state.identity().HTTP(callTimeout)
	if err != nil {
		return nil, fmt.Errorf("the office's certificate: %w", err)
	}
	return remote.NewClient("https://"+address, client)
}

// key returns the key of that name or id, which signs; with one such key only the name may be left out.
func (l *link) key(ctx context.Context, name string) (*remote.Key, error) {
	gateway, err := l.gateway()
	if err != nil {
		return nil, err
	}
	keys, err := gateway.Keys(ctx)
	if err != nil {
		return nil, err
	}
	named := func(k remote.KeyInfo) bool { return k.ID == name || k.Label == name || k.Name == name }
	decrypts := func(k remote.KeyInfo) bool { return k.Purpose == remote.ToDecrypt }
	opener := slices.ContainsFunc(keys, func(k remote.KeyInfo) bool { return decrypts(k) && named(k) })
	keys = slices.DeleteFunc(keys, decrypts)
	usable := slices.IndexFunc(keys, func(k remote.KeyInfo) bool { return !k.Usable }) // those come first
	if usable < 0 {
		usable = len(keys)
	}
	for _, k := range keys {
		if named(k) || name == "" && usable == 1 {
			return gateway.Key(ctx, k.ID)
		}
	}
	if opener {
		return nil, fmt.Errorf("the key %q decrypts, and signs nothing: choose another with --key (see trustlink keys)", name)
	}
	if name == "" {
		return nil, fmt.Errorf("this office may sign with %d keys now: choose one with --key (see trustlink keys)", usable)
	}
	return nil, fmt.Errorf("this office may sign with no key %q (see trustlink keys)", name)
}

func keysCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "List the HSM keys that this office may use",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			l, err := openLink(state{*dir})
			if err != nil {
				return err
			}
			gateway, err := l.gateway()
			if err != nil {
				return err
			}
			keys, err := gateway.Keys(c.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "KEY\tNAME\tALGORITHM\tMECHANISMS\tORDER\tUNTIL\tNOT USABLE")
			for _, k := range keys {
				until := ""
				if k.NotAfter != nil {
					until = k.NotAfter.Format(time.DateOnly)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%s\t%s\t%s\n", k.ID, k.Name, k.Algorithm, k.Mechanisms, k.Order, until, k.Why)
			}
			return w.Flush()
		},
	}
}
