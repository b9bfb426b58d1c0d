package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func consoleCommand() *cobra.Command {
	var f officerFlags
	c := &cobra.Command{
		Use:   "console",
		Short: "Print a one-time link with which an officer enters the console",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.open()
			if err != nil {
				return err
			}
			var login struct {
				URL string `json:"url"`
			}
			if err := o.call(c.Context(), "POST", "/v1/console/logins", struct{}{}, &login); err != nil {
				return err
			}
			fmt.Println(login.URL)
			return nil
		},
	}
	f.add(c)
	return c
}
