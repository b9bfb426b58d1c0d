// Package journaltest puts a disk under a journal that fails when a test says so.
package journaltest

import (
	"sync"
	"syscall"

	"trustcore/internal/audit/journal"
)

// Disk is the local file system with faults. Its methods are safe for concurrent use.
type Disk struct {
	mu   sync.Mutex
	full bool
	fail error
	hung chan struct{} // not nil: what is asked of the disk waits until it is closed
}

// Full says whether there is no room for another file.
func (d *Disk) Full(full bool) { d.mu.Lock(); defer d.mu.Unlock(); d.full = full }

// FailOnce makes the next write durable with this error: it is done, and the error says that it was not.
func (d *Disk) FailOnce(err error) { d.mu.Lock(); defer d.mu.Unlock(); d.fail = err }

// Hang makes the disk answer nothing until the function that it returns is called.
func (d *Disk) Hang() (thaw func()) {
	hung := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hung = hung
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.hung = nil
		close(hung)
	})
}

// Create makes a file when there is room.
func (d *Disk) Create(path string, size int64) (journal.File, error) {
	d.wait()
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	if full {
		return nil, syscall.ENOSPC
	}
	f, err := journal.Local{}.Create(path, size)
	if err != nil {
		return nil, err
	}
	return file{f, d}, nil
}

func (d *Disk) wait() {
	d.mu.Lock()
	hung := d.hung
	d.mu.Unlock()
	if hung != nil {
		<-hung
	}
}

type file struct {
	journal.File
	disk *Disk
}

// Datasync makes the file durable, unless it is to fail.
func (f file) Datasync() error {
	f.disk.wait()
	err := f.File.Datasync()
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.fail != nil {
		err, f.disk.fail = f.disk.fail, nil
	}
	return err
}
