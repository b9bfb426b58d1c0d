package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
)

func orderCommand() *cobra.Command {
	var f officerFlags
	c := f.group("order", "Submit, show, approve and reject orders", `An activation order (+) switches components on for a partner, a change order (-) switches them off.
One officer submits, another approves; from then on the order is carried out.

  trustctl order submit order.yaml --as officer-1
  trustctl order approve ZU-2026-001 --as officer-2    prints the office's one-time token
  trustctl order show ZU-2026-001`)
	var reason string
	reject := f.do("reject ID --reason TEXT", "Decline a submitted order", cobra.ExactArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
		return o.reject(ctx, args[0], reason)
	})
	reject.Flags().StringVar(&reason, "reason", "", "why; the submitter reads it")
	var name string
	site := f.do("token ID", "Make a new one-time token for the office; the old one is void", cobra.ExactArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
		return o.token(ctx, args[0], name)
	})
	site.Flags().StringVar(&name, "site", "", "for this further `site`, when the order is carried out; none is the order's own office")
	c.AddCommand(
		f.do("submit FILE", "Submit an order file (YAML); another officer decides", cobra.ExactArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return nil, err
			}
			return o.submit(ctx, data)
		}),
		f.do("show [ID]", "Show one order, or all", cobra.MaximumNArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			if len(args) == 1 {
				return o.order(ctx, args[0])
			}
			var all []registry.Record
			return &all, o.call(ctx, "GET", "/v1/orders", nil, &all)
		}),
		f.do("approve ID", "Approve an order that another officer submitted", cobra.ExactArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			return o.approve(ctx, args[0])
		}),
		reject,
		site,
	)
	return c
}

// token is what an office enrols with.
type token struct {
	Order string `json:"order"`
	Token string `json:"token"`
	URL   string `json:"url"`
}

func (o *officer) submit(ctx context.Context, file []byte) (*registry.Record, error) {
	var rec registry.Record
	return &rec, o.call(ctx, "POST", "/v1/orders", file, &rec)
}

func (o *officer) order(ctx context.Context, id string) (*registry.Record, error) {
	var rec registry.Record
	return &rec, o.call(ctx, "GET", "/v1/orders?id="+url.QueryEscape(id), nil, &rec)
}

// approve approves and, where the office has to enrol, fetches its token.
func (o *officer) approve(ctx context.Context, id string) (any, error) {
	var rec registry.Record
	if err := o.call(ctx, "POST", "/v1/orders/approve", map[string]string{"id": id}, &rec); err != nil {
		return nil, err
	}
	if rec.Kind == registry.Activation && rec.NeedsEnrolment() {
		return o.token(ctx, id, "")
	}
	return &rec, nil
}

func (o *officer) reject(ctx context.Context, id, reason string) (*registry.Record, error) {
	var rec registry.Record
	return &rec, o.call(ctx, "POST", "/v1/orders/reject", map[string]string{"id": id, "reason": reason}, &rec)
}

func (o *officer) token(ctx context.Context, id, site string) (*token, error) {
	var t token
	return &t, o.call(ctx, "POST", "/v1/orders/token", map[string]string{"id": id, "site": site}, &t)
}

func showOrders(out io.Writer, all []registry.Record) error {
	w := table(out)
	fmt.Fprintln(w, "ORDER\tKIND\tPARTNER\tCOMPONENTS\tSTATE\tSUBMITTED")
	for _, r := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%s\t%s by %s\n", r.ID, r.Kind, r.Partner.ID, r.Components, r.State, r.SubmittedAt.Format(time.DateTime), r.SubmittedBy)
	}
	return w.Flush()
}

// show says what to do with the token. It does not stand in the command: everybody on the office's machine could read it there.
func (t *token) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, `order %s is approved. The office's token, good for one enrolment:
  %s
Give it to the office with the file identity/ca.pem of the state. There run, and type the token:
  trustlink enrol --url %s --token - --ca ca.pem
`, t.Order, t.Token, t.URL)
	return err
}

func showOrder(out io.Writer, r *registry.Record) error {
	w := table(out)
	fmt.Fprintf(w, "order\t%s (%s)\npartner\t%s\ncomponents\t%v\nstate\t%s\n", r.ID, r.Kind, r.Partner.ID, r.Components, r.State)
	fmt.Fprintf(w, "submitted\t%s by %s\n", r.SubmittedAt.Format(time.RFC3339), r.SubmittedBy)
	if r.DecidedAt != nil {
		fmt.Fprintf(w, "decided\t%s by %s\n", r.DecidedAt.Format(time.RFC3339), r.DecidedBy)
	}
	if r.Reason != "" {
		fmt.Fprintf(w, "reason\t%s\n", r.Reason)
	}
	for _, s := range r.Steps {
		fmt.Fprintf(w, "done\t%s: %s (%s)\n", s.Name, s.Fact, s.DoneAt.Format(time.RFC3339))
	}
	if r.Waiting != "" {
		fmt.Fprintf(w, "waiting\t%s\n", r.Waiting)
	}
	return w.Flush()
}
