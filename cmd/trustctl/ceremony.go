package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
	"trustcore/pki"
	"trustcore/pki/ceremony"
)

func ceremonyCommand() *cobra.Command {
	var dir, plan, signed string
	var cfg = custody.Defaults()
	var p parties
	c := &cobra.Command{
		Use:   "ceremony --plan FILE",
		Short: "Make the authority's keys by a written plan",
		Long: `Performs a key ceremony: the plan is checked and rehearsed with throw-away keys, then the keys of the root,
the issuing authority, the OCSP responder and the time-stamping unit are made in the HSM, their attributes
read back, and every step written to a chained transcript that the new root signs. Then the first
certificates are issued: the daemons' and the officers'. trustd must not run. Last the recovery shares are printed,
each of which confirms trustctl break-glass once: they are nowhere else, so let each be sealed in an envelope.

  trustctl ceremony --print-plan > plan.yaml     the plan of a demonstration, to begin with
  trustctl ceremony --plan plan.yaml --officer officer-1 --officer officer-2
  trustctl ceremony verify                       check transcripts, protocols and signatures offline

People who have keys (a public key of each in the plan, and how many sign at least) agree by signing before a key is
made, and sign the transcript at the end; one of them alone does nothing. They sign files with openssl or a card:

  trustctl ceremony open --plan plan.yaml --to /media/stick
  trustctl ceremony --plan plan.yaml --signed /media/stick
  trustctl ceremony attach --signed /media/stick

A root whose token is on a machine of its own answers by files on a stick; their digests travel on paper:

  trustctl ceremony root --plan root.yaml --state /srv/root                     there: makes the root
  trustctl ceremony request --plan plan.yaml --to request.json                  here: makes the authority's key
  trustctl ceremony sign request.json --digest HEX --by NAME --by NAME --to answer.json --state /srv/root
  trustctl ceremony import answer.json --digest HEX --by NAME --by NAME         here: trustd may start then
  trustctl ceremony list --to root.crl --state /srv/root                        there: the root's next list
  trustctl ca root-list root.crl                                                here: while trustd runs`,
		Args: cobra.NoArgs,
	}
	var printPlan bool
	c.RunE = func(c *cobra.Command, _ []string) error {
		if printPlan {
			_, err := os.Stdout.Write(ceremony.Default(cfg.PKIURL))
			return err
		}
		if plan == "" {
			return errors.New("--plan is missing: the written plan of the ceremony (see --print-plan)")
		}
		text, err := os.ReadFile(plan)
		if err != nil {
			return err
		}
		st, err := openState(dir)
		if err == nil {
			err = checkDatabase(cfg.Database)
		}
		if err != nil {
			return err
		}
		p.handOver = printShares(c.OutOrStdout())
		return perform(c.Context(), st, cfg, text, signed, p, os.Stdout)
	}
	stateFlag(c, &dir)
	f := c.Flags()
	f.StringVar(&plan, "plan", "", "`file` with the plan (YAML)")
	f.BoolVar(&printPlan, "print-plan", false, "print the demonstration's plan and end")
	signedFlag(f, &signed)
	p.flags(f)
	custodyFlags(f, &cfg)
	c.AddCommand(ceremonyVerify(&dir), successionCommand(&dir))
	c.AddCommand(stickCommands(&dir)...)
	return c
}

// parties are who gets the first certificates.
type parties struct {
	officers, hosts []string
	shares          int                         // of recovery
	handOver        func(shares []string) error // gives them away
}

func (p *parties) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&p.officers, "officer", []string{"officer-1", "officer-2"}, "`name` of an officer to give a certificate; repeat for more")
	f.StringArrayVar(&p.hosts, "host", []string{"localhost", "127.0.0.1", "10.64.0.1"}, "DNS `name` or address under which the daemons are reached; repeat for more")
	f.IntVar(&p.shares, "recovery-shares", defaultShares, fmt.Sprintf("`number` of recovery shares, 0 to %d; they are printed once", custody.MaxShares))
}

// custodyFlags are where a state is that has no configuration yet.
func custodyFlags(f *pflag.FlagSet, cfg *custody.Config) {
	f.StringVar(&cfg.PKIURL, "pki-url", "http://10.64.0.1:8080/pki", "`URL` of OCSP and CRLs, as it will stand in certificates")
	databaseFlag(f, &cfg.Database)
	f.StringVar(&cfg.HSM.Module, "module", cfg.HSM.Module, "the vendor's PKCS#11 `module`")
}

// printShares hands recovery shares over on the screen.
func printShares(out io.Writer) func([]string) error {
	return func(shares []string) error {
		if len(shares) == 0 {
			return nil
		}
		_, err := fmt.Fprintf(out, "\n%s", recoveryText(shares))
		return err
	}
}

// defaultShares is how many recovery shares a ceremony makes.
const defaultShares = 3

// daemonServers and daemonClients are the daemons' identities by profile.
var (
	daemonServers = []string{"trustd", "verifyd", "batchd"}
	daemonClients = []string{"vpnd"}
)

// openCustody opens the HSM and the authority with the worker process that trustd has.
func openCustody(ctx context.Context, cfg custody.Config) (*custody.Custody, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	trustd, err := sibling("trustd")
	if err != nil {
		return nil, err
	}
	return custody.Open(ctx, cfg, []string{trustd, "hsm-worker"})
}

// perform makes the authority and the first certificates.
func perform(ctx context.Context, st state, cfg custody.Config, planText []byte, signed string, p parties, out io.Writer) (err error) {
	plan, err := ceremony.Parse(planText)
	if err != nil {
		return err
	}
	signatures, err := openingSignatures(signed, plan)
	if err != nil {
		return err
	}
	if err := st.make(); err != nil {
		return err
	}
	cfg.StateDir, cfg.Logger = st.path("trustd"), slog.New(slog.DiscardHandler)
	c, err := openCustody(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	result, err := c.Perform(ctx, plan, signatures...)
	if err != nil {
		return err
	}
	if err := performed(out, cfg, 1, result, signed); err != nil {
		return err
	}
	return begin(ctx, st, c, p)
}

// begin makes what a new authority begins with: recovery shares and the first certificates.
func begin(ctx context.Context, st state, c *custody.Custody, p parties) error {
	shares, err := c.MakeShares(ctx, p.shares)
	if err != nil {
		return err
	}
	if err := p.handOver(shares); err != nil {
		return err
	}
	return issueFirst(ctx, st, c, p)
}

// recoveryText is what is handed over with recovery shares.
func recoveryText(shares []string) string {
	text := `Recovery shares. Each of them confirms ` + "`trustctl break-glass`" + ` once, when no officer's key can be used any more. They are shown
this once, and whoever has one and the host makes certificates for officers: seal each in an envelope and keep
the envelopes apart from the host and from each other.

`
	for i, s := range shares {
		text += fmt.Sprintf("%2d  %s\n", i+1, s)
	}
	return text
}

// issueFirst issues the daemons' and officers' certificates.
func issueFirst(ctx context.Context, st state, c *custody.Custody, p parties) error {
	ca, err := c.CA(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(durable.WriteFile(st.ca(), custody.PEM(ca.Authorities()...), 0o644), st.copyRoot()); err != nil {
		return err
	}
	for _, name := range daemonServers {
		subject := serverSubject(name, p.hosts)
		if err := c.IssueIdentity(ctx, ca, pki.DaemonServer, subject, st.path("identity", name), name); err != nil {
			return err
		}
	}
	for _, name := range daemonClients {
		if err := c.IssueIdentity(ctx, ca, pki.DaemonClient, pki.Subject{CommonName: name}, st.path("identity", name), name); err != nil {
			return err
		}
	}
	for _, name := range p.officers {
		if err := c.IssueIdentity(ctx, ca, pki.Officer, pki.Subject{CommonName: name}, st.path("officers"), name); err != nil {
			return err
		}
	}
	return nil
}

// serverSubject is whom a daemon's certificate names, reached at hosts.
func serverSubject(name string, hosts []string) pki.Subject {
	subject := pki.Subject{CommonName: name}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			subject.IPs = append(subject.IPs, ip)
		} else {
			subject.DNS = append(subject.DNS, h)
		}
	}
	return subject
}

// copyRoot puts the root's certificate where all daemons may read it.
func (s state) copyRoot() error {
	root, err := os.ReadFile(s.path("trustd", "pki", "root.pem"))
	if err != nil {
		return err
	}
	return durable.WriteFile(s.root(), root, 0o644)
}

// sibling returns the path of another program of the product, which lies beside this one.
func sibling(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not beside trustctl: build it with `make build`", path)
	}
	return path, nil
}
