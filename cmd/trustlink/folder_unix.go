//go:build unix

package main

import (
	"os"
	"path/filepath"
	system "runtime"
)

// protect has nothing to do: the modes of folder and files keep others out.
func protect(string) error { return nil }

// defaultState is where a service keeps its state (FHS; on macOS the folder of the system's programs), or a user's own
// folder.
func defaultState() string {
	home, err := os.UserHomeDir()
	switch mac := system.GOOS == "darwin"; {
	case mac && os.Geteuid() == 0:
		return "/Library/Application Support/trustlink"
	case os.Geteuid() == 0:
		return "/var/lib/trustlink"
	case err != nil:
		return "trustlink"
	case mac:
		return filepath.Join(home, "Library/Application Support/trustlink")
	}
	return filepath.Join(home, ".local/state/trustlink")
}
