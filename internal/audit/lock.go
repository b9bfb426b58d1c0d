package audit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// folderLock says that this process writes the log of a folder.
type folderLock struct {
	file *os.File
	id   string // of the folder: a copy of it has another one, as long as its files are other files
}

// lockFolder takes the folder or says that another process has it.
func lockFolder(dir string) (*folderLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another process writes the log in %s: end it, two writers of one log are a fault", dir)
	}
	var id string
	if err == nil {
		id, err = identify(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &folderLock{f, id}, nil
}

// identify reads the name that the folder got at its birth, or gives it one, and adds the file's inode.
func identify(f *os.File) (string, error) {
	name, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return "", err
	}
	if len(name) == 0 {
		name = []byte(rand.Text())
		if _, err := f.Write(name); err != nil {
			return "", err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("a file system without inodes")
	}
	return fmt.Sprintf("%s:%d", name, stat.Ino), nil
}

func (l *folderLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
