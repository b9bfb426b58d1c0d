package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trustcore/vpn"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

const (
	dialTime   = 5 * time.Second // for a service to answer
	clockSlack = time.Minute     // that a file may be from the future
)

// examination is one thing that trustlink doctor looked at.
type examination struct {
	What     string        `json:"what"`
	Findings []vpn.Finding `json:"findings"` // empty when all is well
}

func doctorCommand(dir *string) *cobra.Command {
	var asJSON bool
	var ifname string
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps this office from the data centre, and say what to do",
		Long: "Looks at clock, certificate, the way to the hub, this computer's routes and firewall, the tunnel and\n" +
			"the services behind it. It changes nothing. As root on Linux it sees more.\n\n" +
			"Exit status: 0 all is well; 3 something was found.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := examine(c.Context(), state{*dir}, ifname, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(all)
			} else {
				printExaminations(c.OutOrStdout(), all)
			}
			for _, e := range all {
				if err == nil && len(e.Findings) > 0 {
					err = exitCode(notWell)
				}
			}
			return err
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	command.Flags().StringVar(&ifname, "interface", defaultInterface, "`name` of the tunnel interface")
	return command
}

// examine looks from the inside out: what comes later can't be well before what comes first is.
func examine(ctx context.Context, s state, ifname string, now time.Time) ([]examination, error) {
	r, err := s.enrolled()
	if err != nil {
		return nil, err
	}
	all := []examination{
		{"clock", s.clockFindings(now)},
		{"certificate", s.certificateFindings(now)},
	}
	link, err := openLink(s)
	if err != nil {
		return nil, err
	}
	up := true
	if r.Enrolment.HasTunnel() {
		findings := tunnelFindings(link.running, now)
		up = len(findings) == 0
		all = append(all, examination{"way to the hub", tunnel.Examine(ctx, r.Enrolment, ifname)},
			examination{"tunnel", findings})
	}
	if up {
		all = append(all, examination{"services", link.serviceFindings(ctx)})
	}
	for i := range all {
		if all[i].Findings == nil {
			all[i].Findings = []vpn.Finding{} // an empty list in JSON
		}
	}
	return all, nil
}

// clockFindings looks for files of ours that are from the future. With a clock that was set back WireGuard makes no
// handshake: the hub takes none that is stamped before the last one.
func (s state) clockFindings(now time.Time) []vpn.Finding {
	for _, name := range []string{officeFile, runtimeFile, certificateFile} {
		info, err := os.Stat(s.path(name))
		if err == nil && info.ModTime().Sub(now) > clockSlack {
			return found(fmt.Sprintf("the clock was set back: %s is of %s", name, date(info.ModTime())),
				setClock+"; the hub takes no handshake that is older than the last one")
		}
	}
	return nil
}

func (s state) certificateFindings(now time.Time) []vpn.Finding {
	text, err := os.ReadFile(s.path(certificateFile))
	var certificate *x509.Certificate
	if err == nil {
		if block, _ := pem.Decode(text); block != nil {
			certificate, err = x509.ParseCertificate(block.Bytes)
		} else {
			err = errors.New("it holds no PEM certificate")
		}
	}
	const again = "run trustlink enrol again with a new token from the data centre"
	if err != nil {
		return found(fmt.Sprintf("the certificate in %s can't be read: %v", s.path(certificateFile), err), again)
	}
	from, until := certificate.NotBefore, certificate.NotAfter
	switch {
	case now.Before(from):
		return found("the clock is behind: the office's certificate is of "+date(from), setClock)
	case now.After(until):
		return found("the office's certificate ended on "+date(until), again)
	case until.Sub(now) < until.Sub(from)/10:
		return found(fmt.Sprintf("the office's certificate ends on %s and was not renewed", date(until)),
			"keep trustlink up running, with --renew-only where another program carries the tunnel; see what it says")
	}
	return nil
}

const setClock = "set the clock right, and have it kept right (NTP)"

func found(what, remedy string) []vpn.Finding { return []vpn.Finding{{What: what, Remedy: remedy}} }

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// tunnelFindings is about what trustlink up says; running is nil when it does not run.
func tunnelFindings(running *runtime, now time.Time) []vpn.Finding {
	const silent = "see that the firewall here lets UDP out, that the order is in force, and that no other program " +
		"uses this office's key"
	if running == nil {
		return found("the tunnel is not running here", "run trustlink up, or the program that carries the tunnel")
	}
	t := running.Tunnel
	switch t.State {
	case vpn.StateUp:
		return nil
	case vpn.StateNever:
		return found("the hub never answered", silent)
	}
	return found(fmt.Sprintf("the hub answered last %v ago", now.Sub(t.LastHandshake).Round(time.Second)), silent)
}

// serviceFindings connects to each service.
func (l *link) serviceFindings(ctx context.Context) (all []vpn.Finding) {
	for _, s := range l.record.Enrolment.Services {
		if err := l.connect(ctx, s); s.IsTCP() && err != nil {
			all = append(all, found(fmt.Sprintf("the service %s at %v does not answer: %v", s.Name, s.Addr, err),
				"where others answer the tunnel is well: ask the data centre whether the order gives this one")...)
		}
	}
	return all
}

func (l *link) connect(ctx context.Context, s office.Service) error {
	address, err := l.address(s.Name)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func printExaminations(out io.Writer, all []examination) {
	for _, e := range all {
		if len(e.Findings) == 0 {
			fmt.Fprintf(out, "%s: well\n", e.What)
		}
		for _, f := range e.Findings {
			fmt.Fprintf(out, "%s: %s\n  %s\n", e.What, f.What, f.Remedy)
		}
	}
}
