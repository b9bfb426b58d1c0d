// Package mapped reads files without holding them: a file is mapped into memory, and pages that were read through
// are given back. So a program can judge a document of any size within a small resident set.
package mapped

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"
)

// File is a file in memory. Its octets must not be written to, and not be read after Close. Whoever reads them must
// be ready for a fault where another program may shorten the file (debug.SetPanicOnFault).
type File struct {
	octets []byte
	mapped bool
}

// Open maps a regular file of at most most octets, or reads from what is no regular file, such as a pipe.
func Open(name string, most int64) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder: name a file", name)
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, info.Size(), most)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return Read(f, name, most)
	}
	return mapFile(f, info.Size())
}

// mapFile maps the first size octets of an open file, which may be closed afterwards.
func mapFile(f *os.File, size int64) (*File, error) {
	octets, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", f.Name(), err)
	}
	return &File{octets, true}, nil
}

// Read reads at most most octets from what can't be mapped; name is for the error of more.
func Read(f io.Reader, name string, most int64) (*File, error) {
	octets, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(octets)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return &File{octets, false}, nil
}

// Octets are the file's.
func (f *File) Octets() []byte { return f.octets }

// LetGo gives the whole pages within part, which may be memory of anybody, back to the system if it is part of the
// file. They are read anew when they are looked at again.
func (f *File) LetGo(part []byte) {
	if !f.mapped || len(part) == 0 {
		return
	}
	page := uintptr(os.Getpagesize())
	base, at := uintptr(unsafe.Pointer(&f.octets[0])), uintptr(unsafe.Pointer(&part[0]))
	if at < base || at+uintptr(len(part)) > base+uintptr(len(f.octets)) {
		return
	}
	from, to := (at-base+page-1)/page*page, (at-base+uintptr(len(part)))/page*page
	if from < to {
		_ = syscall.Madvise(f.octets[from:to], syscall.MADV_DONTNEED) // only the resident set is larger without
	}
}

// Close unmaps the file.
func (f *File) Close() error {
	if !f.mapped {
		return nil
	}
	return syscall.Munmap(f.octets)
}
