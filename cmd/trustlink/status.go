package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trustcore/vpn"
)

// freshness is the age after which status.json speaks of a process that is no more.
const freshness = 5 * statusEvery

// report is what trustlink status says.
type report struct {
	Partner string   `json:"partner"`
	Site    string   `json:"site"`
	Running bool     `json:"running"`
	Runtime *runtime `json:"runtime,omitempty"` // nil when not running

	tunnel bool // the office has one
}

// up says whether what the office has of a tunnel is up.
func (r report) up() bool {
	return !r.tunnel || r.Running && r.Runtime.Tunnel.State == vpn.StateUp
}

func statusCommand(dir *string) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "status",
		Short: "Say whether this office is enrolled and its tunnel up",
		Long:  "Says how the tunnel is. The exit status is 3 when the office has one and it is not up.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := inspect(state{*dir}, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(r)
			} else {
				r.print(c.OutOrStdout(), time.Now())
			}
			if err == nil && !r.up() {
				err = exitCode(notWell)
			}
			return err
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return command
}

func inspect(s state, now time.Time) (report, error) {
	enrolled, err := s.enrolled()
	if err != nil {
		return report{}, err
	}
	e := enrolled.Enrolment
	r := report{Partner: e.Partner, Site: e.Site, tunnel: e.HasTunnel()}
	data, err := os.ReadFile(s.path(runtimeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	var last runtime
	if err == nil {
		err = json.Unmarshal(data, &last)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", s.path(runtimeFile), err)
	}
	if now.Sub(last.Updated) > freshness {
		return r, nil
	}
	last.Tunnel.State = vpn.StateAt(last.Tunnel.LastHandshake, now)
	r.Running, r.Runtime = true, &last
	return r, nil
}

func (r report) print(out io.Writer, now time.Time) {
	fmt.Fprintf(out, "site %s of partner %s: ", r.Site, r.Partner)
	if !r.tunnel {
		fmt.Fprintln(out, "it has no tunnel of its own")
		return
	}
	if !r.Running {
		fmt.Fprintln(out, "the tunnel is not running (trustlink up)")
		return
	}
	t := r.Runtime.Tunnel
	fmt.Fprintf(out, "tunnel %s, mode %s, received %d bytes, sent %d bytes, packets of %d bytes",
		t.State, r.Runtime.Mode, t.Received, t.Sent, t.MTU)
	if !t.LastHandshake.IsZero() {
		fmt.Fprintf(out, ", last handshake %v ago", now.Sub(t.LastHandshake).Round(time.Second))
	}
	fmt.Fprintln(out)
	for _, f := range r.Runtime.Forwards {
		fmt.Fprintf(out, "  %v -> %v %s\n", f.Local, f.Remote, f.Service)
	}
}
