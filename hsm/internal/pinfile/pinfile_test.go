package pinfile_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trustcore/hsm/internal/pinfile"
)

// entry is one entry of an access control list.
type entry struct {
	tag, permissions uint16
	id               uint32
}

const nobody = 0xffffffff // the identity of entries that name none

// TestAccessList: a file whose list lets its reader alone in, as systemd gives credentials, is taken; one that lets
// in another account, a group, or everybody is not.
func TestAccessList(t *testing.T) {
	own := uint32(os.Getuid())
	owner, mask := entry{0x01, 4, nobody}, entry{0x10, 4, nobody}
	for name, c := range map[string]struct {
		list []entry
		mode os.FileMode
		good bool
	}{
		"own":     {[]entry{owner, {0x02, 4, own}, {0x04, 0, nobody}, mask, {0x20, 0, nobody}}, 0, true},
		"another": {[]entry{owner, {0x02, 4, own + 1}, {0x04, 0, nobody}, mask, {0x20, 0, nobody}}, 0, false},
		"group":   {[]entry{owner, {0x02, 4, own}, {0x04, 4, nobody}, mask, {0x20, 0, nobody}}, 0, false},
		"a group": {[]entry{owner, {0x02, 4, own}, {0x04, 0, nobody}, {0x08, 4, 1}, mask, {0x20, 0, nobody}}, 0, false},
		"world":   {[]entry{owner, {0x02, 4, own}, {0x04, 0, nobody}, mask, {0x20, 4, nobody}}, 0, false},
		"no list": {nil, 0o640, false},
		"closed":  {nil, 0o400, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pin")
			if err := os.WriteFile(path, []byte("12345678\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.mode != 0 {
				if err := os.Chmod(path, c.mode); err != nil {
					t.Fatal(err)
				}
			}
			if c.list != nil {
				setList(t, path, c.list)
			}
			pin, err := pinfile.Read(path)
			if c.good && (err != nil || pin != "12345678") || !c.good && (err == nil || !strings.Contains(err.Error(), "chmod")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func setList(t *testing.T, path string, list []entry) {
	t.Helper()
	attribute := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range list {
		attribute = binary.LittleEndian.AppendUint16(attribute, e.tag)
		attribute = binary.LittleEndian.AppendUint16(attribute, e.permissions)
		attribute = binary.LittleEndian.AppendUint32(attribute, e.id)
	}
	err := syscall.Setxattr(path, "system.posix_acl_access", attribute, 0)
	if errors.Is(err, syscall.ENOTSUP) {
		t.Skip("this file system has no access control lists")
	}
	if err != nil {
		t.Fatal(err)
	}
}
