//go:build unix && !linux

package lock

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Take takes the name until the closer is closed or the process ends, however it does. The lock is on a file in the
// user's folder of temporary files: two users are not kept apart.
func Take(name string) (io.Closer, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("trustcore-%x.lock", sha256.Sum256([]byte(name))))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: by another process", ErrHeld)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	return file, nil
}
