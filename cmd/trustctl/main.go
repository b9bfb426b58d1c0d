// Command trustctl is the operator's command line: orders, ceremonies, audit, verification, measurement,
// and `trustctl up`, which runs the whole appliance on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/chain"
	"trustcore/cmd/internal/vectors"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	var coded interface{ ExitCode() int } // it has said what there is to say
	var child *exec.ExitError             // has a status too, of a program that failed somewhere in the work
	switch {
	case errors.As(err, &coded) && !errors.As(err, &child):
		os.Exit(coded.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "trustctl:", err)
		os.Exit(1)
	}
}

// notPassed is the exit status of a command that did its work and found something that does not hold.
const notPassed = 3

// exitCode ends the program with a status and says nothing more.
type exitCode int

// Error is for the interface; nobody reads it.
func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// ExitCode is the status.
func (c exitCode) ExitCode() int { return int(c) }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "trustctl",
		Short: "Operate the trust core",
		Long: `trustctl operates the trust core of a data centre: it submits and approves orders, certifies officers, suspends
and revokes certificates, performs key ceremonies, verifies documents and certificates, proves the audit log,
and runs the whole appliance on one machine (trustctl up).

Exit status: 0 done; 1 it could not be done, the reason is on standard error or in the document's line; 3 when
trustctl verify found a document that is not TOTAL-PASSED, trustctl chain a certificate that is not valid, or
trustctl expiring something that people must do now, or trustctl hsm inventory what registry and token do not agree about.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	c.AddCommand(upCommand(), verifyCommand(), replayCommand(), policyCommand(), chain.Command(), vectors.Command(), orderCommand(),
		auditCommand(), ceremonyCommand(), configCommand(), consoleCommand(), benchCommand())
	c.AddCommand(initCommand(), databaseCommand(), nodeCommand(), applicationCommand(), batchCommand(), trustCommand(), certificateCommand(), motionCommand(),
		officerCommand(), expiringCommand(), breakGlassCommand(), vpnCommand(), keyCommand(), hsmCommand(), acmeCommand(), caCommand())
	refuseUnknown(c)
	return c
}

// refuseUnknown makes a word that is no subcommand an error in every group of commands: without it the group's help is
// printed, and a script takes that for success.
func refuseUnknown(c *cobra.Command) {
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s has no command %q: see %[1]s --help", c.CommandPath(), args[0])
			}
			return c.Help()
		}
	}
}
