//go:build !linux && !windows

package main

import "github.com/spf13/cobra"

// addPKCS11 adds nothing: which account a program runs under is asked of Linux and Windows.
func addPKCS11(*cobra.Command, *string) {}
