package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
)

func hostsCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "hosts",
		Short: "Show the names of the services as lines of a hosts file",
		Long: "Shows the DNS names by which the data centre has the services called, with their addresses in the tunnel, as\n" +
			"lines for a hosts file or for the office's name server. They follow the core's settings: run it again after a\n" +
			"change.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := state{*dir}.enrolled()
			if err != nil {
				return err
			}
			lines := r.Enrolment.Hosts()
			if lines == "" {
				return errors.New("the data centre has given the services no names: use their addresses (trustlink status)")
			}
			_, err = io.WriteString(c.OutOrStdout(), lines)
			return err
		},
	}
}
