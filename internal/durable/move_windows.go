package durable

import (
	"os"

	"golang.org/x/sys/windows"
)

// moveNew renames on one volume: without the flags that os.Rename gives, Windows replaces nothing, and copies nothing to
// another volume. With write-through the name is on the disk when it returns.
func moveNew(from, to string) error {
	old, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(old, name, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
