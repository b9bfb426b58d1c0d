package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trustcore/verify/policy"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check, show and compare validation policies",
		Long: `A validation policy says what a signature must meet: which constraint refuses (FAIL), warns (WARN), informs (INFORM) or
is not asked (IGNORE), and until when an algorithm is relied on. Two are shipped: strict, the default, and dss-default,
which has the levels of the Commission's DSS 6.4. An office may write its own, in YAML or JSON, or bring a constraint
file of DSS (XML). docs/policies.md describes the form.`,
	}
	c.AddCommand(policyCheckCommand(), policyShowCommand(), policyDiffCommand())
	return c
}

func policyCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether a policy file can be used, and what is judged otherwise than it says",
		Long: `Reads a policy file, YAML, JSON or DSS's XML, and says whether it can be used. What is wrong is named with its field and
the remedy. Constraints that this version judges otherwise than the file says are listed: "!" marks those that it
judges less strictly.

Exit status: 0 it can be used; 1 it can't, the reason is on standard error.

  trustctl policy check office.yaml
  trustctl policy check constraint.xml`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := policy.OpenFile(args[0])
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "%s: can be used\nname     %s\nversion  %s\ndigest   %s\n", args[0], p.Name(), p.Version(), p.Digest())
			return tellRemarks(out, p)
		},
	}
}

func tellRemarks(out io.Writer, p *policy.Policy) error {
	remarks := p.Remarks()
	if len(remarks) == 0 {
		return nil
	}
	fmt.Fprintln(out, "\njudged otherwise than written (! less strictly):")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range remarks {
		mark := " "
		if r.Laxer {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, r.Constraint, r.Level, r.Text)
	}
	return w.Flush()
}

func policyShowCommand() *cobra.Command {
	var asJSON, source bool
	c := &cobra.Command{
		Use:   "show NAME|FILE",
		Short: "Show a policy",
		Long: `Shows every constraint of a policy with its level, sorted, and its table of algorithms. --source writes a file that
can be read again: that of a shipped policy with its comments, DSS's XML as YAML. --json writes name, version, digest,
the policy and what is judged otherwise than it says.

  trustctl policy show strict
  trustctl policy show --source dss-default > office.yaml
  trustctl policy show --source constraint.xml > office.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := policy.Open(args[0])
			if err != nil {
				return err
			}
			switch out := c.OutOrStdout(); {
			case asJSON:
				return writeJSON(out, shownPolicy{p.Name(), p.Version(), p.Digest(), p.Canonical(), p.Remarks()})
			case source:
				return writeSource(out, args[0], p)
			default:
				return tellPolicy(out, p)
			}
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	c.Flags().BoolVar(&source, "source", false, "a policy file")
	c.MarkFlagsMutuallyExclusive("json", "source")
	return c
}

// shownPolicy is what policy show writes as JSON.
type shownPolicy struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Digest  string          `json:"digest"` // SHA-256 of policy without white space, lower-case hex
	Policy  json.RawMessage `json:"policy"` // canonical data
	Remarks []policy.Remark `json:"remarks"`
}

func tellPolicy(out io.Writer, p *policy.Policy) error {
	fmt.Fprintf(out, "digest  %s\n\n", p.Digest())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range p.Settings() {
		fmt.Fprintf(w, "%s\t%s\n", s.Path, s.Value)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return tellRemarks(out, p)
}

func writeSource(out io.Writer, name string, p *policy.Policy) error {
	source := policy.ShippedSource(name)
	if source == nil {
		var err error
		if source, err = p.Source(); err != nil {
			return err
		}
	}
	_, err := out.Write(source)
	return err
}

func policyDiffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show in what two policies differ",
		Long: `Shows in what two policies differ, each the name of a shipped one or a file: the field, then after "-" what A says of
it and after "+" what B says. Which says nothing of a constraint ignores it.

Exit status: 0 they say the same; 1 they differ, or one can't be read.

  trustctl policy diff strict office.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := policy.Open(args[0])
			if err != nil {
				return err
			}
			b, err := policy.Open(args[1])
			if err != nil {
				return err
			}
			return tellDifferences(c.OutOrStdout(), policy.Diff(a, b), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "a JSON array")
	return c
}

// differ is the exit status of policy diff where the policies do.
const differ exitCode = 1

func tellDifferences(out io.Writer, list []policy.Difference, asJSON bool) error {
	if asJSON {
		if err := writeJSON(out, list); err != nil {
			return err
		}
	} else if err := listDifferences(out, list); err != nil {
		return err
	}
	if len(list) > 0 {
		return differ
	}
	return nil
}

// listDifferences writes each field with its values below it, where there are any.
func listDifferences(out io.Writer, list []policy.Difference) error {
	w := bufio.NewWriter(out)
	for _, d := range list {
		fmt.Fprintln(w, d.Path)
		if d.A != "" {
			fmt.Fprintln(w, "  -", d.A)
		}
		if d.B != "" {
			fmt.Fprintln(w, "  +", d.B)
		}
	}
	return w.Flush()
}
