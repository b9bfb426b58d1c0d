package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/audit"
)

func auditCommand() *cobra.Command {
	var dir, log, key string
	open := func() (*audit.Reader, error) {
		if log == "" {
			st, err := openState(dir)
			if err != nil {
				return nil, err
			}
			log = st.path("trustd", "audit")
		}
		if key == "" {
			return audit.OpenReader(log)
		}
		text, err := os.ReadFile(key)
		if err != nil {
			return nil, err
		}
		return audit.OpenReaderWithKey(log, string(text))
	}
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read, prove and verify the audit log",
		Long: `The audit log is a Merkle tree with signed checkpoints. It is read from its folder, also while trustd
writes it, and on any other machine that has a copy.

  trustctl audit list --subject KEY --from 2026-03-03 --to 2026-03-03   who used this key on 3 March
  trustctl audit prove 42 > proof.json                                  one entry with its proof
  trustctl audit check proof.json --key checkpoint.pub                  check a proof without the log
  trustctl audit verify --kept checkpoint.txt                           nothing was changed or removed`,
	}
	stateFlag(c, &dir)
	c.PersistentFlags().StringVar(&log, "log", "", "`folder` of the log (default trustd/audit in the state)")
	c.PersistentFlags().StringVar(&key, "key", "", "`file` with the checkpoints' public key that was kept elsewhere (default the one beside the log)")
	c.AddCommand(auditList(open), auditProve(open), auditCheck(&key), auditVerify(open))
	return c
}

func auditList(open func() (*audit.Reader, error)) *cobra.Command {
	var f audit.Filter
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List entries, oldest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		r, err := open()
		if err != nil {
			return err
		}
		entries, err := r.List(c.Context(), f)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(entries)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ENTRY\tTIME\tACTOR\tACTION\tSUBJECT\tPARTNER\tORDER\tOUTCOME")
		for _, e := range entries {
			outcome := e.Outcome
			if e.Reason != "" {
				outcome += ": " + e.Reason
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Index, e.Time.Format(time.RFC3339), e.Actor, e.Action, e.Subject, e.Partner, e.Order, outcome)
		}
		return w.Flush()
	}}
	fl := c.Flags()
	fl.StringVar(&f.Partner, "partner", "", "only of this `partner`")
	fl.StringVar(&f.Subject, "subject", "", "only about this key, order or serial `number`")
	fl.StringVar(&f.Order, "order", "", "only under this `order`")
	fl.StringVar(&f.Action, "action", "", "only actions that begin so, such as hsm.")
	fl.StringVar(&f.From, "from", "", "from this `time` on: RFC 3339 or its beginning, such as 2026-03-03")
	fl.StringVar(&f.To, "to", "", "up to this `time`, inclusive")
	fl.IntVar(&f.Last, "last", 0, "only the newest `n`")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func auditProve(open func() (*audit.Reader, error)) *cobra.Command {
	return &cobra.Command{Use: "prove ENTRY", Short: "Print one entry with the proof that it stands in the log", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			index, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no entry: write its number, as trustctl audit list shows it", args[0])
			}
			r, err := open()
			if err != nil {
				return err
			}
			proof, err := r.Prove(c.Context(), index)
			if err != nil {
				return err
			}
			return printJSON(proof)
		}}
}

func auditCheck(key *string) *cobra.Command {
	return &cobra.Command{Use: "check PROOF --key FILE", Short: "Check a proof against the checkpoints' public key alone", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if *key == "" {
				return errors.New("--key is missing: the file with the checkpoints' public key")
			}
			public, err := os.ReadFile(*key)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var p audit.Proof
			if err := json.Unmarshal(data, &p); err != nil {
				return fmt.Errorf("%s is no proof: %w", args[0], err)
			}
			if err := audit.VerifyProof(&p, string(public)); err != nil {
				return err
			}
			fmt.Printf("entry %d stands in the log:\n%s\n", p.Index, p.Entry)
			return nil
		}}
}

func auditVerify(open func() (*audit.Reader, error)) *cobra.Command {
	var kept []string
	var asJSON bool
	c := &cobra.Command{Use: "verify", Short: "Check every entry against the signed checkpoint", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := open()
			if err != nil {
				return err
			}
			var earlier []string
			for _, file := range kept {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				earlier = append(earlier, string(text))
			}
			story, err := r.Verify(c.Context(), earlier...)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(story)
			}
			fmt.Println(story.Summary())
			return nil
		}}
	c.Flags().StringArrayVar(&kept, "kept", nil, "`file` with a checkpoint that was kept elsewhere; the log must continue it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the checkpoint to keep")
	return c
}
