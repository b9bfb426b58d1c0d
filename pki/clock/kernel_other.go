//go:build !linux

package clock

import "errors"

// ReadKernel fails: only Linux is asked.
func ReadKernel() (Kernel, error) { return Kernel{}, errors.New("only Linux is asked") }
