package batch

import (
	"fmt"
	"os"
	"syscall"
)

// takeLock keeps another process out of the spool; the kernel lets go of it when the process ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("batch: another process has the spool %s: %w", path, err)
	}
	return f, nil
}
