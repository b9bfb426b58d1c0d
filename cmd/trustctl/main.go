// Command trustctl is the operator's command line: orders, ceremonies, audit, verification, measurement,
// and `trustctl up`, which runs the whole appliance on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/vectors"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "trustctl:", err)
		os.Exit(1)
	}
}

// exitCode ends the program with a status and says nothing more.
type exitCode int

// Error is for the interface; nobody reads it.
func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "trustctl",
		Short: "Operate the trust core",
		Long: `trustctl operates the trust core of a data centre: it submits and approves orders, performs key
ceremonies, verifies documents and certificates, proves the audit log, and runs the whole appliance on
one machine (trustctl up).

Exit status: 0 done; 1 it could not be done, the reason is on standard error; 3 for trustctl verify when a
signature is not TOTAL-PASSED.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	c.AddCommand(upCommand(), verifyCommand(), vectors.Command(), orderCommand(), auditCommand(), ceremonyCommand(),
		configCommand(), consoleCommand(), benchCommand())
	return c
}
