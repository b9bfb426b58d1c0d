package lock

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/windows"
)

// Take takes the name until the closer is closed or the process ends, however it does. The lock is a named mutex of all
// sessions, so that a service and a user's command meet.
func Take(name string) (io.Closer, error) {
	// A backslash would lead into another folder of names.
	text, err := windows.UTF16PtrFromString(`Global\trustcore-` + strings.ReplaceAll(name, `\`, "-"))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	handle, err := windows.CreateMutex(nil, false, text)
	switch {
	case errors.Is(err, windows.ERROR_ALREADY_EXISTS), errors.Is(err, windows.ERROR_ACCESS_DENIED):
		if handle != 0 {
			err = windows.CloseHandle(handle)
		}
		return nil, errors.Join(fmt.Errorf("%s: %w: by another process", name, ErrHeld), err)
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return mutex(handle), nil
}

type mutex windows.Handle

func (m mutex) Close() error { return windows.CloseHandle(windows.Handle(m)) }
