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

// OpenFile reads a policy file as ReadGiven does, and no more of it than a policy may have.
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
	p, err := ReadGiven(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// ReadGiven reads, as Read does, a policy that somebody gives: what a shipped policy is named is not taken by another one.
func ReadGiven(data []byte) (*Policy, error) {
	p, err := Read(data)
	if err == nil {
		err = p.ownName()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ownName refuses another policy under the name of a shipped one: reports name a policy, and people read the name alone.
func (p *Policy) ownName() error {
	if !slices.Contains(Names(), p.Name()) {
		return nil
	}
	if shipped, err := Named(p.Name()); err != nil || shipped.Digest() == p.Digest() {
		return err
	}
	return fmt.Errorf("name: %s is the policy that is shipped, and this is another one; give it a name of its own", p.Name())
}
