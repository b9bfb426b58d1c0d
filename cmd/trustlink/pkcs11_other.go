//go:build !linux

package main

import "github.com/spf13/cobra"

// addPKCS11 adds nothing: which account a program runs under is asked of Linux.
func addPKCS11(*cobra.Command, *string) {}
