package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/pki/ceremony"
)

// upOptions are the flags of trustctl up.
type upOptions struct {
	state      string
	demo, once bool
	portBase   int
	listenPort int
	endpoint   string
	lists      string
	signers    string
	extra      []string
	corpus     string
}

func upCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "Run the whole appliance on this machine",
		Long: `Runs trustd, vpnd and verifyd on this machine with embedded defaults: SQLite, SoftHSM2, and WireGuard of the
kernel or embedded. The first start performs a key ceremony and makes two officers; everything lies in
the --state folder, and a second start finds it again. As root the tunnel is a network interface with a
firewall; without root it lives inside vpnd, and offices reach the gateway through it all the same.

With --demo a demonstration partner is switched on, seals documents through its tunnel, and is switched
off again, with a line for each step; then the appliance goes on serving. With --once it ends after that.

Settings can be changed in the state's folder config/ afterwards; ports are chosen at the first start.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout()) },
	}
	stateFlag(c, &o.state)
	f := c.Flags()
	f.BoolVar(&o.demo, "demo", false, "play the demonstration")
	f.BoolVar(&o.once, "once", false, "end after the demonstration")
	f.IntVar(&o.portBase, "port-base", 8440, "first of the 20 TCP `port`s that the daemons listen on")
	f.IntVar(&o.listenPort, "vpn-port", 51820, "UDP `port` of the tunnel's hub; 0 chooses a free one")
	f.StringVar(&o.endpoint, "endpoint", "", "`host` under which offices reach the hub (default: this machine, for the demonstration)")
	f.StringVar(&o.lists, "trust-lists", "", "`folder` with trusted lists for verifyd")
	f.StringVar(&o.signers, "lotl-signers", "", "`folder` with PEM certificates that may sign the list of the lists")
	f.StringArrayVar(&o.extra, "extra-list", nil, "trusted list `file` outside the list of the lists")
	f.StringVar(&o.corpus, "corpus", "", "`folder` with public samples: the demonstration verifies one of them against real trusted lists")
	return c
}

func (o *upOptions) run(ctx context.Context, out io.Writer) error {
	// The daemons are told to end when the thread that started them does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if o.once && !o.demo {
		return errors.New("--once: it goes with --demo")
	}
	st, err := openState(o.state)
	if err != nil {
		return err
	}
	if err := st.make(); err != nil {
		return err
	}
	unlock, err := st.lock()
	if err != nil {
		return err
	}
	defer unlock()
	layout, err := o.prepare(ctx, st, out)
	if err != nil {
		return err
	}
	a := &appliance{state: st, layout: layout, out: out}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.start(ctx); err != nil {
		return errors.Join(err, a.stop())
	}
	return errors.Join(o.serve(ctx, a), a.stop())
}

// prepare performs the ceremony at the first start and writes the configuration files that are missing.
func (o *upOptions) prepare(ctx context.Context, st state, out io.Writer) (*layout, error) {
	known, err := st.exists("config", "trustctl.yaml")
	if err != nil {
		return nil, err
	}
	if known {
		return loadLayout(st)
	}
	l := o.newLayout(st)
	if err := l.check(); err != nil {
		return nil, err
	}
	done, err := st.exists("trustd", "pki", "keys.json")
	if err != nil {
		return nil, err
	}
	if !done {
		started := time.Now()
		cfg := custody.Defaults()
		cfg.PKIURL = l.PKIURL
		if err := perform(ctx, st, cfg, ceremony.Default(l.PKIURL), parties{officers: officers, hosts: l.hosts()}, io.Discard); err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "first start: key ceremony performed in %s, transcript in %s\n", since(started), st.path("trustd", "pki", "transcript.txt"))
	}
	return l, l.write(st, o)
}

// officers are the two that the first start makes.
var officers = []string{"officer-1", "officer-2"}

func (o *upOptions) serve(ctx context.Context, a *appliance) error {
	if o.demo {
		if err := a.demonstrate(ctx, o.corpus); err != nil {
			return err
		}
	}
	if o.once {
		return nil
	}
	a.describe()
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

// privileged reports whether this process may make interfaces and firewalls.
func privileged() bool { return os.Geteuid() == 0 }
