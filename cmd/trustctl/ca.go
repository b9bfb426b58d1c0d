package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
	"trustcore/pki"
)

func caCommand() *cobra.Command {
	var f officerFlags
	c := f.group("ca", "List issuing authorities, and change what they may do",
		`Several authorities issue at once, each for its purposes: services, offices, seals, persons. Of those that are active for a
purpose the one that was activated last issues. An authority is in one of these states:

  planned    known to relying parties, with its list and responder; issues nothing yet
  active     issues; whoever issues for none of its purposes any more by that is retiring
  retiring   issues nothing; where nobody issues for a purpose it renews what it issued itself
  crl-only   answers for its certificates alone, to its last day
  retired    its key signs nothing any more: once no certificate of it holds

Two officers change a state together:

  trustctl ca list
  trustctl ca change issuing-2 active
  trustctl motion approve M-ABCDEFGHIJ --as officer-2`)
	c.AddCommand(
		f.do("list", "List the issuing authorities and their states", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
			var all issuers
			return &all, o.call(ctx, "GET", "/v1/issuers", nil, &all)
		}),
		f.do("change NAME STATE", "Propose to bring an issuing authority into another state", cobra.ExactArgs(2),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				return f.propose(ctx, o, map[string]any{"kind": registry.ChangeIssuer, "name": args[0], "state": args[1]})
			}),
		f.do("root-list FILE", "Bring the newest list of a root whose key is on another machine", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				list, err := os.ReadFile(args[0])
				if err != nil {
					return nil, err
				}
				return nil, o.call(ctx, "POST", "/v1/roots/list", map[string][]byte{"list": list}, nil)
			}),
	)
	return c
}

// issuers are the issuing authorities.
type issuers []pki.IssuerInfo

func (all *issuers) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "AUTHORITY\tSTATE\tFOR\tISSUES FOR\tUNTIL\tCERTIFIED BY")
	for _, i := range *all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.State, words(i.Purposes), words(i.IssuesFor), i.NotAfter, strings.Join(i.Roots, ", "))
	}
	return w.Flush()
}

func words(purposes []pki.Purpose) string {
	texts := []string{}
	for _, p := range purposes {
		texts = append(texts, string(p))
	}
	if len(texts) == 0 {
		return "nothing"
	}
	return strings.Join(texts, " ")
}
