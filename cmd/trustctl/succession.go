package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/pki/ceremony"
)

// successionCommand adds an issuing authority below the root.
func successionCommand(dir *string) *cobra.Command {
	var plan, config, signed string
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
			st, err := openState(*dir)
			if err != nil {
				return err
			}
			cfg, err := st.custody(config)
			if err != nil {
				return err
			}
			if printPlan {
				number, err := custody.NextAuthority(cfg)
				if err != nil {
					return err
				}
				_, err = c.OutOrStdout().Write(ceremony.DefaultSuccession(cfg.PKIURL, number))
				return err
			}
			if plan == "" {
				return errors.New("--plan is missing: the written plan of the succession (see --print-plan)")
			}
			text, err := os.ReadFile(plan)
			if err != nil {
				return err
			}
			return succeed(c.Context(), cfg, text, signed, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "`file` with the plan (YAML)")
	c.Flags().BoolVar(&printPlan, "print-plan", false, "print a plan for this state, to be edited, and end")
	signedFlag(c.Flags(), &signed)
	c.Flags().StringVar(&config, "config", "", "trustd's configuration `file` (default config/trustd.yaml in the state)")
	return c
}

func succeed(ctx context.Context, cfg custody.Config, text []byte, signed string, out io.Writer) (err error) {
	plan, err := ceremony.ParseSuccession(text)
	if err != nil {
		return err
	}
	signatures, err := openingSignatures(signed, plan)
	if err != nil {
		return err
	}
	number, err := custody.NextAuthority(cfg)
	if err != nil {
		return err
	}
	c, err := openCustody(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	result, err := c.Succeed(ctx, plan, signatures...)
	if err != nil {
		return err
	}
	return performed(out, cfg, number, result, signed)
}
