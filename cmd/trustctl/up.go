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
	"trustcore/internal/durable"
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
	database   string // of a first start; "" is a SQLite file in the state
	plan       string // file with the ceremony's plan; "" is the demonstration's
}

func upCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "Run the whole appliance on this machine",
		Long: `Runs trustd, vpnd, verifyd and batchd on this machine with embedded defaults: SQLite, SoftHSM2, and WireGuard of the
kernel or embedded. The first start performs a key ceremony and makes two officers; everything lies in
the --state folder, and a second start finds it again. As root the tunnel is a network interface with a
firewall; without root it lives inside vpnd, and offices reach the gateway through it all the same.

With --demo a demonstration partner is switched on, seals documents through its tunnel, and is switched
off again, with a line for each step; then the appliance goes on serving. With --once it ends after that.
As root all of this runs in networks of its own: nothing of the host's is needed or changed, and console,
verification and the other interfaces for people are at the host's loopback all the same.

Settings can be changed in the state's folder config/ afterwards; ports are chosen at the first start, and
again when another appliance has them at a demonstration.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout()) },
	}
	o.flags(c)
	f := c.Flags()
	f.BoolVar(&o.demo, "demo", false, "play the demonstration")
	f.BoolVar(&o.once, "once", false, "end after the demonstration")
	f.StringVar(&o.corpus, "corpus", "", "`folder` with public samples: the demonstration verifies one of them against real trusted lists")
	return c
}

// flags adds those of a first start.
func (o *upOptions) flags(c *cobra.Command) {
	stateFlag(c, &o.state)
	f := c.Flags()
	databaseFlag(f, &o.database)
	f.IntVar(&o.portBase, "port-base", 8440, "first of the 20 TCP `port`s that the daemons listen on")
	f.IntVar(&o.listenPort, "vpn-port", 51820, "UDP `port` of the tunnel's hub; 0 chooses a free one")
	f.StringVar(&o.endpoint, "endpoint", "", "`host` under which offices reach the hub (default: this machine, for the demonstration)")
	f.StringVar(&o.lists, "trust-lists", "", "`folder` with trusted lists for verifyd")
	f.StringVar(&o.signers, "lotl-signers", "", "`folder` with PEM certificates that may sign the list of the lists")
	f.StringArrayVar(&o.extra, "extra-list", nil, "trusted list `file` outside the list of the lists")
}

func (o *upOptions) run(ctx context.Context, out io.Writer) error {
	// The office's program is told to end when the thread that started it does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if o.once && !o.demo {
		return errors.New("--once: it goes with --demo")
	}
	st, unlock, err := o.enter()
	if err != nil {
		return err
	}
	defer unlock()
	a := &appliance{state: st, out: out}
	if err = o.prepare(ctx, a); err == nil {
		err = a.separate(ctx)
	}
	if err == nil {
		err = a.start(ctx)
	}
	if err == nil {
		err = o.serve(ctx, a)
	}
	return errors.Join(err, a.stop())
}

// enter makes the state's folder and keeps others off it.
func (o *upOptions) enter() (st state, unlock func(), err error) {
	if err := checkDatabase(o.database); err != nil {
		return state{}, nil, err
	}
	if st, err = openState(o.state); err == nil {
		err = st.make()
	}
	if err == nil {
		unlock, err = st.lock()
	}
	return st, unlock, err
}

// prepare finds or makes the configuration, with a key ceremony at the first start. For a demonstration it opens
// the doors and, as root, the network that the daemons live in.
func (o *upOptions) prepare(ctx context.Context, a *appliance) error {
	known, err := a.state.exists("config", "trustctl.yaml")
	if err != nil {
		return err
	}
	if known {
		a.layout, err = o.loadLayout(a.state, a.out)
		if err == nil {
			err = a.state.keeps(o.database)
		}
	} else {
		a.layout, err = o.newLayout(a.state)
	}
	if err == nil && o.demo {
		err = a.settle(ctx, known)
	}
	if err == nil && !known {
		err = o.found(ctx, a)
	}
	if err == nil && known {
		err = a.layout.addBatchd(ctx, a.state)
	}
	if err == nil && o.demo && a.layout.interfaces() {
		err = a.enter(ctx)
	}
	return err
}

// found performs the ceremony and writes the configuration files.
func (o *upOptions) found(ctx context.Context, a *appliance) error {
	st, l := a.state, a.layout
	done, err := st.exists("trustd", "pki", "keys.json")
	if err != nil {
		return err
	}
	if !done {
		started := time.Now()
		cfg := custody.Defaults()
		cfg.PKIURL, cfg.Database = l.PKIURL, o.database
		plan := ceremony.Default(l.PKIURL)
		if o.plan != "" {
			if plan, err = os.ReadFile(o.plan); err != nil {
				return err
			}
		}
		recovery := st.path("officers", "recovery.txt")
		p := parties{officers: officers, hosts: l.hosts(), shares: defaultShares, handOver: func(shares []string) error {
			return durable.WriteFile(recovery, []byte(recoveryText(shares)), 0o600)
		}}
		err := perform(ctx, st, cfg, plan, "", p, io.Discard)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "first start: key ceremony performed in %s, transcript in %s\n",
			since(started), st.path("trustd", "pki", "transcript.txt"))
		fmt.Fprintf(a.out, "the recovery shares for trustctl break-glass lie in %s: move them off this machine\n", recovery)
	}
	return l.write(st, o)
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
	<-ctx.Done()
	return nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
