package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check configuration files"}
	c.AddCommand(&cobra.Command{
		Use:   "check DAEMON FILE",
		Short: "Say whether a daemon could start with a configuration file",
		Long: `Asks the daemon itself (trustd, vpnd, verifyd or batchd) whether it could start with the file. Unknown keys, missing
keys and values of the wrong kind are named with the remedy.

  trustctl config check trustd /etc/trustcore/trustd.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "trustd", "vpnd", "verifyd", "batchd":
			default:
				return fmt.Errorf("%q is none of trustd, vpnd, verifyd, batchd", args[0])
			}
			program, err := sibling(args[0])
			if err != nil {
				return err
			}
			check := exec.CommandContext(c.Context(), program, "--check", "--config", args[1])
			check.Stderr = os.Stderr
			if err := check.Run(); err != nil {
				return exitCode(1)
			}
			fmt.Printf("%s: %s can start with it\n", args[1], args[0])
			return nil
		},
	})
	return c
}
