package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/pki/ceremony"
)

// successionCommand adds an issuing authority below the root.
func successionCommand(dir *string, cfg *custody.Config) *cobra.Command {
	var plan string
	var printPlan bool
	c := &cobra.Command{
		Use:   "succeed --plan FILE",
		Short: "Add an issuing authority below the root by a written plan",
		Long: `Makes the key and certificate of a further issuing authority and of its OCSP responder, by a plan that is checked
and rehearsed like that of the first ceremony. The one before issues no more and goes on for its list and
answers to its last day. Hold it in the last year of the one that issues: certificates end with their issuer.
trustd must not run; it takes the new authority up at its next start.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if printPlan {
				_, err := os.Stdout.Write(ceremony.DefaultSuccession(cfg.PKIURL, 2))
				return err
			}
			if plan == "" {
				return errors.New("--plan is missing: the written plan of the succession (see --print-plan)")
			}
			text, err := os.ReadFile(plan)
			if err != nil {
				return err
			}
			st, err := openState(*dir)
			if err != nil {
				return err
			}
			return succeed(c.Context(), st, *cfg, text, os.Stdout)
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "`file` with the plan (YAML)")
	c.Flags().BoolVar(&printPlan, "print-plan", false, "print the demonstration's plan and end")
	c.Flags().StringVar(&cfg.PKIURL, "pki-url", cfg.PKIURL, "`URL` of OCSP and CRLs, as trustd's configuration has it")
	c.Flags().StringVar(&cfg.HSM.Module, "module", cfg.HSM.Module, "the vendor's PKCS#11 `module`")
	return c
}

func succeed(ctx context.Context, st state, cfg custody.Config, text []byte, out io.Writer) (err error) {
	plan, err := ceremony.ParseSuccession(text)
	if err != nil {
		return err
	}
	cfg.StateDir, cfg.Logger = st.path("trustd"), slog.New(slog.DiscardHandler)
	c, err := openCustody(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	result, err := c.Succeed(ctx, plan)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, result.Transcript.Text())
	return err
}
