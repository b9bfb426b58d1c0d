package main

import "github.com/spf13/cobra"

// newCommand is the whole command line. A new command is added here.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "trustlink",
		Short:         "The office's end of the trust core",
		SilenceErrors: true, // main prints them
		SilenceUsage:  true,
	}
	dir := root.PersistentFlags().String("state", defaultState(), "`folder` of this office's keys and settings")
	root.AddCommand(
		enrolCommand(dir),
		upCommand(dir),
		showCommand(dir),
		hostsCommand(dir),
		statusCommand(dir),
		doctorCommand(dir),
		rotateCommand(dir),
		keysCommand(dir),
		sealCommand(dir),
		hotfolderCommand(dir),
		verifyCommand(dir),
		acmeCommand(dir),
	)
	addPKCS11(root, dir)
	addService(root, dir)
	return root
}
