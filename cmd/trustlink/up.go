package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"trustcore/vpn"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

const (
	hintAfter   = 15 * time.Second // without a handshake, say what to look at
	statusEvery = 2 * time.Second  // status.json

	defaultInterface = "tc-office"
)

func upCommand(dir *string) *cobra.Command {
	var o up
	var mode string
	command := &cobra.Command{
		Use:   "up",
		Short: "Bring this office's end of the tunnel up and keep it up",
		Long: "Brings the tunnel up and stays until it is told to end (SIGINT, SIGTERM). As root an interface carries it;\n" +
			"without root programs reach the services at local ports (--forward). An office without a tunnel of its own has\n" +
			"its certificate renewed alone.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.mode, err = vpn.ParseMode(mode); err != nil {
				return fmt.Errorf("--mode: %w", err)
			}
			o.state, o.out = state{*dir}, c.OutOrStdout()
			o.log = slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil))
			return o.run(c.Context())
		},
	}
	flags := command.Flags()
	flags.StringVar(&mode, "mode", "auto", "kernel, userspace, netstack or auto")
	flags.StringVar(&o.ifname, "interface", defaultInterface, "`name` of the tunnel interface")
	flags.IntVar(&o.mtu, "mtu", 0, "`bytes` of a packet in the tunnel (default what the way to the hub carries)")
	flags.StringArrayVar(&o.forwards, "forward", nil, "`LOCAL=REMOTE`: carry a loopback address to a service, given by name or address; may be repeated (default without root: every service at a free port)")
	flags.BoolVar(&o.renewOnly, "renew-only", false,
		"bring nothing up: another program carries the tunnel, renew the certificate through it")
	flags.BoolVar(&o.json, "json", false, "print the ready line as JSON")
	return command
}

// up is one run of the command.
type up struct {
	state    state
	mode     vpn.Mode
	ifname   string
	mtu      int
	forwards []string

	renewOnly bool
	json      bool
	out       io.Writer
	log       *slog.Logger
}

// forward carries connections on a loopback port to a service.
type forward struct {
	Local    netip.AddrPort `json:"local"`
	Remote   netip.AddrPort `json:"remote"`
	Service  string         `json:"service,omitempty"`
	listener net.Listener
}

// readiness is the ready line.
type readiness struct {
	Ready     bool             `json:"ready"`
	Partner   string           `json:"partner"`
	Site      string           `json:"site"`
	Mode      vpn.Mode         `json:"mode"`
	Interface string           `json:"interface,omitempty"`
	Addresses []netip.Prefix   `json:"addresses"`
	Services  []office.Service `json:"services"`
	Forwards  []forward        `json:"forwards"`
}

// runtime is what status.json holds while the tunnel is up.
type runtime struct {
	PID      int           `json:"pid"`
	Updated  time.Time     `json:"updated"`
	Mode     vpn.Mode      `json:"mode"`
	Forwards []forward     `json:"forwards"`
	Tunnel   tunnel.Status `json:"tunnel"`
}

func (o up) run(ctx context.Context) error {
	r, err := o.state.enrolled()
	if err != nil {
		return err
	}
	if _, offered := gatewayOf(r.Enrolment, nil); offered && (o.renewOnly || !r.Enrolment.HasTunnel()) {
		return o.renewAlone(ctx, r.Enrolment)
	}
	key, err := o.state.wireguardKey()
	if err != nil {
		return err
	}
	end, err := tunnel.Up(ctx, tunnel.Config{Mode: o.mode, Interface: o.ifname, PrivateKey: key,
		Enrolment: r.Enrolment, MTU: o.mtu, MaxMTU: r.settings.MTU, Log: o.log})
	if err != nil {
		return err
	}
	defer func() { os.Remove(o.state.path(runtimeFile)) }()
	return errors.Join(o.carry(ctx, end, r), end.Close())
}

// carry works until ctx ends or the tunnel is gone.
func (o up) carry(ctx context.Context, end *tunnel.Tunnel, r record) error {
	e := r.Enrolment
	forwards, err := o.listen(end.Mode(), e)
	if err != nil {
		return err
	}
	renewal, err := o.renewal(e, forwards)
	if err != nil {
		return err
	}
	follower, err := o.newFollower(r, end, forwards)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return follower.run(ctx) })
	group.Go(func() error { return renewal.Run(ctx) })
	for _, f := range forwards {
		group.Go(func() error { return end.Forward(ctx, f.listener, f.Remote) })
	}
	group.Go(func() error { end.Follow(ctx); return nil })
	group.Go(func() error { return o.report(ctx, end, forwards) })
	group.Go(func() error {
		if err := o.await(ctx, end); err != nil || ctx.Err() != nil {
			return err
		}
		if err := o.note(end, forwards); err != nil { // who waits for the announcement may ask trustlink status next
			return err
		}
		return o.announce(end.Mode(), e, forwards)
	})
	return group.Wait()
}

// await returns after the first handshake, and hints at what may be wrong while there is none.
func (o up) await(ctx context.Context, end *tunnel.Tunnel) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, hintAfter)
		err := end.WaitHandshake(attempt)
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		o.log.Warn(err.Error())
	}
}

func (o up) announce(mode vpn.Mode, e office.Enrolment, forwards []forward) error {
	ready := readiness{Ready: true, Partner: e.Partner, Site: e.Site, Mode: mode, Addresses: e.Address, Services: e.Services, Forwards: forwards}
	if mode != vpn.ModeNetstack {
		ready.Interface = o.ifname
	}
	if o.json {
		return json.NewEncoder(o.out).Encode(ready)
	}
	fmt.Fprintf(o.out, "the tunnel is up: site %s of partner %s, mode %s\n", e.Site, e.Partner, mode)
	for _, f := range forwards {
		fmt.Fprintf(o.out, "  %v -> %v %s\n", f.Local, f.Remote, f.Service)
	}
	return nil
}

// note writes status.json for trustlink status.
func (o up) note(end *tunnel.Tunnel, forwards []forward) error {
	status, err := end.Status(time.Now())
	if err != nil {
		return err
	}
	data, err := json.Marshal(runtime{PID: os.Getpid(), Updated: time.Now().UTC(), Mode: end.Mode(), Forwards: forwards, Tunnel: status})
	if err != nil {
		return err
	}
	return o.state.write(runtimeFile, data)
}

// report keeps status.json fresh.
func (o up) report(ctx context.Context, end *tunnel.Tunnel, forwards []forward) error {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		if err := o.note(end, forwards); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// listen opens the local ends before anything waits, so that a taken port is an error now.
func (o up) listen(mode vpn.Mode, e office.Enrolment) (forwards []forward, err error) {
	wanted := o.forwards
	if len(wanted) == 0 && mode == vpn.ModeNetstack {
		for _, s := range e.Services {
			if s.IsTCP() {
				wanted = append(wanted, "127.0.0.1:0="+s.Name)
			}
		}
	}
	forwards = []forward{} // an empty list in JSON
	for _, w := range wanted {
		f, err := parseForward(w, e.Services)
		if err == nil {
			f.listener, err = net.Listen("tcp", f.Local.String())
		}
		if err != nil {
			for _, opened := range forwards {
				opened.listener.Close()
			}
			return nil, fmt.Errorf("--forward %s: %w", w, err)
		}
		f.Local = f.listener.Addr().(*net.TCPAddr).AddrPort()
		forwards = append(forwards, f)
	}
	return forwards, nil
}

// parseForward reads LOCAL=REMOTE. The local end is on loopback: a tunnel is for this
// machine, not for its network.
func parseForward(text string, services []office.Service) (f forward, err error) {
	local, remote, ok := strings.Cut(text, "=")
	if !ok {
		return f, errors.New("is not LOCAL=REMOTE, such as 127.0.0.1:9443=gateway")
	}
	if !strings.Contains(local, ":") {
		local = "127.0.0.1:" + local
	}
	if f.Local, err = netip.ParseAddrPort(local); err != nil {
		return f, err
	}
	if !f.Local.Addr().IsLoopback() {
		return f, fmt.Errorf("%v is not on loopback", f.Local)
	}
	for _, s := range services {
		if s.Name == remote || s.Addr.String() == remote {
			if !s.IsTCP() {
				return f, fmt.Errorf("%s goes by %s, connections alone are carried", s.Name, s.Proto)
			}
			f.Remote, f.Service = s.Addr, s.Name
			return f, nil
		}
	}
	return f, fmt.Errorf("%q is no service of this office", remote)
}
