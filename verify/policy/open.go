package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Open returns the shipped policy of a name, or that of a file. A shipped policy's name is never a file's.
func Open(name string) (*Policy, error) {
	if slices.Contains(Names(), name) {
		return Named(name)
	}
	p, err := OpenFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = Named(name) // which says what there is
	}
	return p, err
}

// OpenFile reads a policy file, and no more of it than a policy may have.
func OpenFile(name string) (*Policy, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	p, err := Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
