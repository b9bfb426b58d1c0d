package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/keyuse"
	"trustcore/internal/audit"
)

// keyUsage sums the uses of one key by one application.
type keyUsage struct {
	Partner    string `json:"partner"`
	Key        string `json:"key"`
	Name       string `json:"name,omitempty"` // as the log has it from when the key was made
	Version    string `json:"version,omitempty"`
	Who        string `json:"who"`
	Orders     string `json:"orders"` // with spaces between
	Signatures int    `json:"signatures"`
	Decrypted  int    `json:"decryptions"`
	Refused    int    `json:"refused"`
	Failed     int    `json:"failed"` // allowed, and came to nothing
	Days       int    `json:"days"`   // on which it was used

	days map[string]bool
}

// usage is the report of a period.
type usage struct {
	From   time.Time   `json:"from"`
	Before time.Time   `json:"before"`
	Rows   []*keyUsage `json:"rows"`
	Log    string      `json:"checkpoint"` // that covers the log's end
}

func (u *usage) show(out io.Writer) error {
	fmt.Fprintf(out, "uses of keys from %s to %s (UTC)\n", u.From.Format(time.DateTime), u.Before.Format(time.DateTime))
	w := table(out)
	fmt.Fprintln(w, "PARTNER\tKEY\tNAME\tVERSION\tWHO\tORDERS\tSIGNATURES\tDECRYPTIONS\tREFUSED\tFAILED\tDAYS")
	for _, r := range u.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", r.Partner, r.Key, r.Name, r.Version, r.Who, r.Orders, r.Signatures,
			r.Decrypted, r.Refused, r.Failed, r.Days)
	}
	return w.Flush()
}

func auditUsage(p *auditPlace) *cobra.Command {
	var partner, in string
	var asJSON bool
	c := &cobra.Command{Use: "usage --in MONTH [--partner PARTNER]", Short: "Report how often an office's keys were used", Args: cobra.NoArgs,
		Long: `Sums the audit log by office, key and who used it: signatures, decryptions, what was refused, what came to nothing. MONTH may
be a day or a year too; it is UTC's. The report names the checkpoint of the log that it was made of.

  trustctl audit usage --partner um-przykladowo --in 2026-03
  trustctl audit usage --in 2026-03 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if in == "" {
				return errors.New("--in is missing: the month, such as 2026-03")
			}
			f, err := whenUsed(in, "", "")
			if err != nil {
				return errors.New(strings.Replace(err.Error(), "--on", "--in", 1))
			}
			f.Partner = partner
			r, err := p.reader()
			if err != nil {
				return err
			}
			u, err := usageIn(c.Context(), r, f)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), u, asJSON)
		}}
	c.Flags().StringVar(&partner, "partner", "", "only of this `partner`")
	c.Flags().StringVar(&in, "in", "", "`month` to report, such as 2026-03")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func usageIn(ctx context.Context, r *audit.Reader, f audit.Filter) (*usage, error) {
	text, _, err := r.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	f.Action = "hsm."
	uses, err := keyuse.In(ctx, r, f)
	if err != nil {
		return nil, err
	}
	made, err := r.List(ctx, audit.Filter{Partner: f.Partner, Action: "hsm.key.generate"})
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, e := range made {
		names[e.Subject] = e.Details["label"]
	}
	rows := map[string]*keyUsage{}
	for _, u := range uses {
		id := strings.Join([]string{u.Partner, names[u.Key], u.Key, u.Who}, "\x00")
		if rows[id] == nil {
			rows[id] = &keyUsage{Partner: u.Partner, Key: u.Key, Name: names[u.Key], Who: u.Who, days: map[string]bool{}}
		}
		rows[id].add(u)
	}
	report := &usage{From: f.From, Before: f.Before, Rows: []*keyUsage{}, Log: string(text)}
	for _, id := range sortedKeys(rows) {
		report.Rows = append(report.Rows, rows[id])
	}
	return report, nil
}

func (r *keyUsage) add(u keyuse.Use) {
	if u.Version != "" {
		r.Version = u.Version
	}
	if orders := strings.Fields(r.Orders); u.Order != "" && !slices.Contains(orders, u.Order) {
		r.Orders = strings.Join(append(orders, u.Order), " ")
	}
	switch {
	case u.Outcome == keyuse.Refused:
		r.Refused++
	case u.Outcome == keyuse.Failed:
		r.Failed++
	case u.Action == "hsm.decrypt":
		r.Decrypted++
	default:
		r.Signatures++
	}
	if day := u.Time.Format(time.DateOnly); u.Outcome == keyuse.Used && !r.days[day] {
		r.days[day] = true
		r.Days++
	}
}
