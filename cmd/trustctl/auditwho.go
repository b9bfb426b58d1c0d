package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/keyuse"
	"trustcore/internal/audit"
	"trustcore/internal/durable"
)

// whoAnswer is the answer to who used a key, for people.
type whoAnswer struct{ *keyuse.Answer }

func (a whoAnswer) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "ENTRY\tTIME (UTC)\tWHO\tORDER\tVERSION\tHOW\tDIGEST\tOUTCOME")
	by := map[string]int{}
	for _, u := range a.Uses {
		outcome := u.Outcome
		if u.Reason != "" {
			outcome += ": " + u.Reason
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%.16s\t%s\n", u.Entry, u.Time.Format(time.RFC3339), u.Who, u.Order, u.Version,
			strings.TrimSpace(strings.TrimPrefix(u.Action, "hsm.")+" "+u.Mechanism), u.Digest, outcome)
		if u.Outcome == keyuse.Used {
			by[u.Who]++
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, who := range sortedKeys(by) {
		fmt.Fprintf(out, "%s used it %d times\n", who, by[who])
	}
	if len(by) == 0 {
		fmt.Fprintln(out, "nobody used it")
	}
	return nil
}

func auditWho(p *auditPlace) *cobra.Command {
	var key, on, from, to, proof string
	var asJSON bool
	c := &cobra.Command{Use: "who --key KEY [--on DAY]", Short: "Say who used a key of the HSM, with proof", Args: cobra.NoArgs,
		Long: `Lists the uses of a key: signatures, decryptions and certificate requests, those that were refused and those that came to
nothing too, and sums who used it. KEY is its ID, or PARTNER/NAME, which means all versions of the key. Days are UTC.

  trustctl audit who --key um-przykladowo/seal --on 2026-03-03
  trustctl audit who --key 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --from 2026-03 --to 2026-03 --proof march.json
  trustctl audit check march.json --key checkpoint.pub

--proof writes the uses with the proof of each that it stands in the log, for who has neither the log nor trust in this
machine. That the log has no other uses is what trustctl audit verify says, with a checkpoint that was kept elsewhere. The
log is that of a node: with several, ask each of them.`,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := whenUsed(on, from, to)
			if err != nil {
				return err
			}
			if key == "" {
				return errors.New("--key is missing: the ID of the key, or PARTNER/NAME")
			}
			r, err := p.reader()
			if err != nil {
				return err
			}
			a, err := whoUsed(c.Context(), r, key, f, proof != "")
			if err == nil && proof != "" {
				err = writeProofs(proof, a)
			}
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), whoAnswer{a}, asJSON)
		}}
	fl := c.Flags()
	fl.StringVar(&key, "key", "", "`id` of the key, or PARTNER/NAME")
	fl.StringVar(&p.key, "checkpoint-key", "", "`file` with the checkpoints' public key that was kept elsewhere (default the one beside the log)")
	fl.StringVar(&on, "on", "", "this `day`, month or hour in UTC: 2026-03-03, 2026-03 or 2026-03-03T12")
	fl.StringVar(&from, "from", "", "from the beginning of this `time` on")
	fl.StringVar(&to, "to", "", "up to the end of this `time`")
	fl.StringVar(&proof, "proof", "", "`file` to write the uses with their proofs into")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// whenUsed is the period that the flags name.
func whenUsed(on, from, to string) (f audit.Filter, err error) {
	if on != "" && from+to != "" {
		return f, errors.New("--on: leave out --from and --to, or it")
	}
	if on != "" {
		if f.From, f.Before, err = audit.ParsePeriod(on); err != nil {
			err = fmt.Errorf("--on: %w", err)
		}
		return f, err
	}
	return f, choosePeriod(&f, from, to)
}

func whoUsed(ctx context.Context, r *audit.Reader, name string, f audit.Filter, prove bool) (*keyuse.Answer, error) {
	var no *keyuse.NameError
	a, err := keyuse.Who(ctx, r, name, f)
	if errors.As(err, &no) {
		return nil, fmt.Errorf("--key: %w", err)
	}
	if err != nil || !prove {
		return a, err
	}
	if err := a.Prove(ctx, r); errors.As(err, &no) {
		return nil, fmt.Errorf("--proof: %w", err)
	} else if err != nil {
		return nil, err
	}
	return a, nil
}

func writeProofs(file string, a *keyuse.Answer) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("--proof: %s is there already", file)
	}
	var text strings.Builder
	if err := writeJSON(&text, a); err != nil {
		return err
	}
	return durable.WriteFile(file, []byte(text.String()), 0o644)
}
