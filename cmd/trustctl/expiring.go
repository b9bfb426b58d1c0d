package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// expiry is one thing that ends, as trustd tells it.
type expiry struct {
	Kind     string    `json:"kind"`
	Subject  string    `json:"subject"`
	Partner  string    `json:"partner,omitempty"`
	Order    string    `json:"order,omitempty"`
	Serial   string    `json:"serial,omitempty"`
	NotAfter time.Time `json:"not_after"`
	Renewed  string    `json:"renewed"` // byPeople, or by itself
	Due      time.Time `json:"due"`
	Cut      string    `json:"cut,omitempty"`
	Remedy   string    `json:"remedy,omitempty"`
	Failure  string    `json:"failure,omitempty"`
}

// byPeople is what does not renew itself.
const byPeople = "by people"

type expiries []expiry

func expiringCommand() *cobra.Command {
	var f officerFlags
	c := &cobra.Command{
		Use:   "expiring",
		Short: "List what ends, what ends first first",
		Long: `Lists all that ends: certificates, lists, authorisations, enrolment tokens, and what verifyd judges by: pinned keys, signers of the
list of the trusted lists. What renews itself is renewed at two thirds of its life; what people must do is due 60 days ahead (a year for
an authority), and marked with "!".

Exit status: 0 nothing is due; 3 people have something to do now.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.open()
			if err != nil {
				return err
			}
			list := expiries{}
			if err := o.call(c.Context(), "GET", "/v1/expiring", nil, &list); err != nil {
				return err
			}
			ends, err := f.endsOfVerifyd(c.Context())
			if err != nil {
				fmt.Fprintf(c.ErrOrStderr(), "trustctl: what ends of what verifyd judges by is not told: %v\n", err)
			}
			list = append(list, ends...)
			slices.SortStableFunc(list, func(a, b expiry) int { return a.NotAfter.Compare(b.NotAfter) })
			now := time.Now()
			if f.asJSON {
				err = writeJSON(c.OutOrStdout(), list)
			} else {
				err = list.write(c.OutOrStdout(), now)
			}
			if err == nil && list.due(now) {
				return exitCode(notPassed)
			}
			return err
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// endsOfVerifyd are the ends that verifyd knows of; none where --server names a trustd alone.
func (f *officerFlags) endsOfVerifyd(ctx context.Context) (list expiries, err error) {
	if f.server != "" {
		return nil, nil
	}
	lists, err := (&trustFlags{officerFlags: *f}).verifyd()
	if err != nil {
		return nil, err
	}
	err = lists.(asked).call(ctx, "GET", "/v1/expiring", nil, &list)
	return list, err
}

// due reports whether people have to do something.
func (e expiry) due(now time.Time) bool { return e.Renewed == byPeople && !now.Before(e.Due) }

func (l expiries) due(now time.Time) bool {
	for _, e := range l {
		if e.due(now) {
			return true
		}
	}
	return false
}

func (l expiries) write(out io.Writer, now time.Time) error {
	w := table(out)
	fmt.Fprintln(w, " \tENDS\tDAYS\tWHAT\tOF\tRENEWED\tREMEDY")
	for _, e := range l {
		mark := ""
		if e.due(now) {
			mark = "!"
		}
		remedy := e.Remedy
		if e.Failure != "" {
			remedy = strings.TrimPrefix(remedy+"; the last renewal failed: "+e.Failure, "; ")
		}
		days := math.Floor(e.NotAfter.Sub(now).Hours() / 24)
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%s\t%s\t%s\t%s\n", mark, e.NotAfter.Format(time.DateOnly), days, e.Kind, e.Subject, e.Renewed, remedy)
	}
	return w.Flush()
}
