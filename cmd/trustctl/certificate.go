package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
)

// issued is a row of the authority's inventory, as trustd shows it to officers.
type issued struct {
	Profile   string    `json:"profile"`
	Name      string    `json:"name"`
	Partner   string    `json:"partner,omitempty"`
	Order     string    `json:"order,omitempty"`
	Serial    string    `json:"serial"`
	State     string    `json:"state"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Key       string    `json:"key"` // SHA-256 of the SubjectPublicKeyInfo, hex
	Chain     string    `json:"chain,omitempty"`
}

// inventory is trustd's answer.
type inventory struct {
	Certificates []issued `json:"certificates"`
	More         bool     `json:"more,omitempty"` // there are more, which are not listed
}

func (l *inventory) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "SERIAL\tPROFILE\tNAME\tPARTNER\tORDER\tSTATE\tENDS")
	for _, c := range l.Certificates {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Serial, c.Profile, c.Name, c.Partner, c.Order, c.State, c.NotAfter.Format(time.DateOnly))
	}
	err := w.Flush()
	if l.More {
		_, more := fmt.Fprintf(out, "These are the newest %d: there are more. Narrow the choice, by --partner or --standing for instance.\n", len(l.Certificates))
		err = errors.Join(err, more)
	}
	return err
}

// selector chooses certificates of the inventory.
type selector struct {
	Serial  string `json:"serial,omitempty"`
	Key     string `json:"key,omitempty"`
	Partner string `json:"partner,omitempty"`
	Order   string `json:"order,omitempty"`
	Name    string `json:"name,omitempty"`
	Profile string `json:"profile,omitempty"`
}

func (s *selector) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.Serial, "serial", "", "`number` in lower-case hex")
	f.StringVar(&s.Key, "key", "", "`SHA-256` of the SubjectPublicKeyInfo, hex: all certificates of the key")
	f.StringVar(&s.Partner, "partner", "", "`id` of the partner: all of its certificates")
	f.StringVar(&s.Order, "order", "", "`number` of the order by which they were issued")
	f.StringVar(&s.Name, "name", "", "common `name` of the holder, with --profile")
	f.StringVar(&s.Profile, "profile", "", "officer, daemon-server, daemon-client, partner-client, seal, ...")
}

// check refuses a choice that is none before anybody is asked.
func (s *selector) check() error {
	if s.Serial == "" && s.Key == "" && s.Partner == "" && s.Order == "" && (s.Name == "" || s.Profile == "") {
		return errors.New("which? name --serial, --key, --partner, --order, or --name with --profile")
	}
	return nil
}

// query is the selector as a filter of the inventory, with the values beside it that are not empty.
func (s *selector) query(state string) string {
	values := url.Values{}
	for key, value := range map[string]string{"serial": s.Serial, "key": strings.ToLower(s.Key), "partner": s.Partner, "order": s.Order, "name": s.Name,
		"profile": s.Profile, "state": state} {
		if value != "" {
			values.Set(key, value)
		}
	}
	return values.Encode()
}

func certificateCommand() *cobra.Command {
	var f officerFlags
	c := f.group("certificate", "List, suspend, revoke and release certificates",
		`The inventory has every certificate that the authority issued. One officer suspends, at once. To revoke for good and
to release from a suspension takes two: one proposes a motion, another approves it. OCSP, CRL and every door know
within a second.

  trustctl certificate list --partner um-przykladowo --standing valid
  trustctl certificate suspend --serial 1f2e...
  trustctl certificate revoke --name officer-2 --profile officer --reason keyCompromise
  trustctl motion approve M-ABCDEFGHIJ --as officer-3`)
	c.AddCommand(certificateList(&f), certificateSuspend(&f),
		certificateMotion(&f, registry.RevokeCertificates, "revoke --reason REASON", "Propose to revoke certificates for good"),
		certificateMotion(&f, registry.ReleaseCertificates, "release", "Propose to release certificates from their suspension"))
	return c
}

func certificateList(f *officerFlags) *cobra.Command {
	var which selector
	var state string
	c := f.do("list", "List certificates, newest first", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
		var found inventory
		return &found, o.call(ctx, "GET", "/v1/certificates?"+which.query(state), nil, &found)
	})
	which.add(c)
	c.Flags().StringVar(&state, "standing", "", "valid, suspended, revoked, expired, or reserved: a number without a certificate")
	return c
}

func certificateSuspend(f *officerFlags) *cobra.Command {
	var which selector
	c := f.do("suspend", "Take certificates out of use at once", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
		if err := which.check(); err != nil {
			return nil, err
		}
		var changed inventory
		return &changed, o.call(ctx, "POST", "/v1/certificates/suspend", map[string]any{"which": which}, &changed)
	})
	which.add(c)
	return c
}

func certificateMotion(f *officerFlags, kind registry.MotionKind, use, short string) *cobra.Command {
	var which selector
	var reason string
	c := f.do(use, short, cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
		if err := which.check(); err != nil {
			return nil, err
		}
		return f.propose(ctx, o, map[string]any{"kind": kind, "which": which, "reason": reason})
	})
	which.add(c)
	if kind == registry.RevokeCertificates {
		c.Flags().StringVar(&reason, "reason", "", "keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn or unspecified")
	}
	return c
}
