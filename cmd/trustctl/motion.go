package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
)

func motionCommand() *cobra.Command {
	var f officerFlags
	c := f.group("motion", "List, approve and reject what officers propose",
		`A motion asks for something that two officers decide together: to revoke certificates, to release them from a
suspension, to certify an officer, to strike a VPN gateway off the list that is gone for ever, to give the other gateway of
a pair the hub's keys. It waits a week for another
officer than the one who proposed it.

  trustctl motion list
  trustctl motion approve M-ABCDEFGHIJ --as officer-2
  trustctl motion strike vpnd-2                                       a gateway that is gone for ever
  trustctl motion end-hub-key vpnd                                    who has not followed is cut off
  trustctl motion share-hub-keys vpnd-2                               the other gateway of a pair gets the hub's keys
  trustctl motion reject M-ABCDEFGHIJ --reason "the wrong office"    who proposed it may take it back so`)
	var reason string
	decide := func(path string) func(context.Context, *officer, []string) (any, error) {
		return func(ctx context.Context, o *officer, args []string) (any, error) {
			var m motion
			return &m, o.call(ctx, "POST", path, map[string]string{"id": args[0], "reason": reason}, &m)
		}
	}
	reject := f.do("reject ID --reason TEXT", "Decline a motion", cobra.ExactArgs(1), decide("/v1/motions/reject"))
	reject.Flags().StringVar(&reason, "reason", "", "why")
	c.AddCommand(
		f.do("list", "List motions, newest first", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
			all := motions{}
			return &all, o.call(ctx, "GET", "/v1/motions", nil, &all)
		}),
		f.do("approve ID", "Approve what another officer proposed, and carry it out", cobra.ExactArgs(1), decide("/v1/motions/approve")),
		reject,
		f.do("strike GATEWAY", "Propose to strike a VPN gateway off the list that is gone for ever", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				return f.propose(ctx, o, map[string]any{"kind": registry.StrikeGateway, "name": args[0]})
			}),
		f.do("end-hub-key GATEWAY", "Propose to end the former key of a hub that changes its key", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				return f.propose(ctx, o, map[string]any{"kind": registry.EndHubKey, "name": args[0]})
			}),
		f.do("share-hub-keys GATEWAY", "Propose to give a gateway the hub's keys of the one with which it is a pair", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				return f.propose(ctx, o, map[string]any{"kind": registry.ShareHubKeys, "name": args[0]})
			}),
	)
	return c
}

// motion is one as people see it.
type motion struct{ registry.Motion }

type motions []motion

// proposed is a motion that was made just now.
type proposed struct {
	motion
	again string // flags for who approves it
}

// propose makes a motion of a body.
func (f *officerFlags) propose(ctx context.Context, o *officer, body any) (any, error) {
	p := proposed{again: f.again("ANOTHER-OFFICER")}
	return &p, o.call(ctx, "POST", "/v1/motions", body, &p.motion)
}

func (p *proposed) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, "motion %s: %s\nAnother officer carries it out with\n  trustctl motion approve %s%s\n", p.ID, p.asks(), p.ID, p.again)
	return err
}

// asks says what is asked for, as who decides has to know it.
func (m *motion) asks() string {
	var body struct{ Reason, CSR string }
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return string(m.Kind) + " " + m.Subject
	}
	switch m.Kind {
	case registry.RevokeCertificates:
		return "revoke " + m.Subject + ", " + body.Reason
	case registry.ReleaseCertificates:
		return "release " + m.Subject
	case registry.StrikeGateway:
		return "strike " + m.Subject + " off the list"
	case registry.ResumeKeys:
		return "resume " + m.Subject + ": " + body.Reason
	case registry.DestroyKeys:
		return "destroy " + m.Subject + " for ever: " + body.Reason
	case registry.RotateKeys:
		return "have others sign in the place of " + m.Subject + ": " + body.Reason
	case registry.ShareHubKeys:
		return "share keys of a hub: " + m.Subject
	case registry.ChangeIssuer:
		return "change " + m.Subject
	case registry.EndHubKey:
		return "end the former key of the hub: " + m.Subject
	}
	key, err := keyOf([]byte(body.CSR))
	if err != nil {
		key = err.Error()
	}
	return "certify " + m.Subject + ", key " + key
}

func (m *motion) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintf(w, "motion\t%s\nasks\t%s\nproposed\t%s by %s\nstate\t%s\n", m.ID, m.asks(), m.ProposedAt.Format(time.RFC3339), m.ProposedBy, m.State)
	for _, row := range []struct{ name, text string }{{"decided by", m.DecidedBy}, {"reason", m.Reason}, {"outcome", m.Outcome}} {
		if row.text != "" {
			fmt.Fprintf(w, "%s\t%s\n", row.name, row.text)
		}
	}
	return w.Flush()
}

func (all *motions) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "MOTION\tSTATE\tPROPOSED\tASKS\tOUTCOME")
	for _, m := range *all {
		fmt.Fprintf(w, "%s\t%s\t%s by %s\t%s\t%s%s\n", m.ID, m.State, m.ProposedAt.Format(time.DateTime), m.ProposedBy, m.asks(), m.Outcome, m.Reason)
	}
	return w.Flush()
}
