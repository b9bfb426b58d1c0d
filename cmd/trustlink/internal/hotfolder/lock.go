package hotfolder

import (
	"errors"
	"os"
	"time"
)

const lockFile = "lock" // in Work

// A process that only asks whether the lock is taken has it for a moment: another one tries again.
const (
	lockTries = 20
	lockPause = 50 * time.Millisecond
)

func takeLockPatiently(path string) (f *os.File, err error) {
	for range lockTries {
		if f, err = takeLock(path); !errors.Is(err, ErrLocked) {
			break
		}
		time.Sleep(lockPause)
	}
	return f, err
}
