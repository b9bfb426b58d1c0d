// Package pinfile reads the files that hold a token's PINs, and refuses those that others can read or replace.
package pinfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSize is the longest PIN file that is read, in bytes.
const maxSize = 1 << 10

// MinLength is the shortest PIN that is taken, in characters.
const MinLength = 4

// Read reads a PIN; a line end after it is not part of it.
func Read(path string) (string, error) {
	if err := Check(path); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("PIN file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("PIN file: %w", err)
	}
	if info.Size() > maxSize {
		return "", fmt.Errorf("PIN file %s is longer than %d bytes", path, maxSize)
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		return "", fmt.Errorf("PIN file %s: %w", path, err)
	}
	pin := strings.TrimRight(string(text), "\r\n")
	if len(pin) < MinLength {
		return "", fmt.Errorf("PIN file %s holds %d characters, at least %d are needed", path, len(pin), MinLength)
	}
	return pin, nil
}

// Check refuses a PIN file that others can read, and one whose folder lets others replace it. A file that is not
// there is an error that is fs.ErrNotExist.
func Check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("PIN file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && !closedByList(path) {
		return fmt.Errorf("PIN file %s can be read by others (mode %v): chmod 600", path, mode)
	}
	folder := filepath.Dir(path)
	if info, err = os.Stat(folder); err != nil {
		return fmt.Errorf("PIN file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("PIN file %s can be replaced by others (mode %v of its folder): chmod 700 %s", path, mode, folder)
	}
	return nil
}

// CheckFolder refuses a folder of secrets that others can look into. One that is not there is fine.
func CheckFolder(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("token folder: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("token folder %s is open to others (mode %v): chmod 700", path, mode)
	}
	return nil
}

// The extended attribute of an access control list, and its entries (acl(5), linux/posix_acl_xattr.h): 4 bytes of
// version, then tag, permissions and identity, of 2, 2 and 4 bytes.
const (
	listAttribute = "system.posix_acl_access"
	listHeader    = 4
	listEntry     = 8
	tagUserObject = 0x01
	tagUser       = 0x02
	tagMask       = 0x10
)

// closedByList reports whether a file that its mode shows as readable by the group is so for this account alone:
// where it has an access control list, the mode shows the list's mask. So systemd hands a credential to a service
// that has a user of its own.
func closedByList(path string) bool {
	list := make([]byte, maxSize)
	n, err := syscall.Getxattr(path, listAttribute, list)
	if err != nil || n < listHeader || (n-listHeader)%listEntry != 0 {
		return false
	}
	for e := list[listHeader:n]; len(e) > 0; e = e[listEntry:] {
		tag, permissions, id := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:])
		own := tag == tagUserObject || tag == tagMask || tag == tagUser && int(id) == os.Getuid()
		if permissions != 0 && !own {
			return false
		}
	}
	return true
}
