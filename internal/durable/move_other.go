//go:build !linux && !darwin && !windows

package durable

import "errors"

func moveNew(string, string) error { return errors.ErrUnsupported }
