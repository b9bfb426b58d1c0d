//go:build unix

package hotfolder

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeLock holds the lock until the file is closed or the process ends, however it does.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openDocument follows no link, and does not wait for the other end of a pipe.
func openDocument(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// hasOtherNames tells of hard links.
func hasOtherNames(_ *os.File, info fs.FileInfo) (bool, error) {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || s.Nlink > 1, nil
}
