// Package lock gives a name to one process at a time: on Linux within a network namespace, elsewhere on the machine.
package lock

import "errors"

// ErrHeld says that another process has the name. The message of the error says which, where the system tells.
var ErrHeld = errors.New("it is in use")
