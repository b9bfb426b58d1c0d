//go:build !linux

package httpserver

import "errors"

// Daemons run on Linux alone; what runs here inherits no socket and binds to addresses that exist.

func closeOnExec(int) {}

func duplicate(int) (uintptr, error) { return 0, errors.ErrUnsupported }

func setFreebind(uintptr) error { return errors.ErrUnsupported }
