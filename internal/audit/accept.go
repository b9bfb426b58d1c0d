package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"trustcore/internal/durable"
)

// ResetAction is the action of the first entry of a log that follows one that was lost.
const ResetAction = "audit.log.reset"

// AcceptLoss begins a new log, with a new key, where Open says a *LossError, and refuses to where it does not. What is
// in the folder goes into a folder beside it, whose path it returns: nothing is deleted. The first entry of the new log
// tells of it, with what the database remembered and the reason. It may be called again when it was interrupted.
func AcceptLoss(ctx context.Context, cfg Config, actor Actor, reason string) (aside string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", errors.New("audit log: a loss is accepted for a reason: say which")
	}
	cfg, lock, err := cfg.begin()
	if err != nil {
		return "", fmt.Errorf("audit log: %w", err)
	}
	aside, err = acceptLocked(ctx, cfg, lock, actor, reason)
	if err != nil {
		return aside, fmt.Errorf("audit log: %w", errors.Join(err, lock.release()))
	}
	return aside, nil
}

func acceptLocked(ctx context.Context, cfg Config, lock *folderLock, actor Actor, reason string) (string, error) {
	m, known, err := openMemory(ctx, cfg, lock)
	if err != nil {
		return "", err
	}
	var loss *LossError
	if _, err := examine(ctx, cfg, known); err == nil {
		return "", errors.New("nothing is wrong with it: there is no loss to accept")
	} else if !errors.As(err, &loss) {
		return "", err
	}
	aside, err := putAside(cfg)
	if err != nil {
		return aside, err
	}
	// The database is told when the new log has its first entry, and not before: until then it knows the old one.
	l, err := open(ctx, cfg, lock, &memory{now: cfg.Now}, nil)
	if err != nil {
		return aside, err
	}
	entry := Entry{Time: cfg.Now(), Actor: actor, Action: ResetAction, Subject: cfg.Origin, Outcome: Granted,
		Details: map[string]string{"reason": reason, "found": loss.What, "aside": aside}}
	known.describe(entry.Details)
	_, err = l.Append(ctx, entry)
	if err := errors.Join(err, l.Close(ctx)); err != nil { // gives the lock back too
		return aside, err
	}
	c, _, err := l.checkpoint(ctx)
	if err == nil {
		err = m.claim(ctx, Remembered{Size: c.Size, Root: c.Hash, Key: l.public, Segment: l.journal.Number()})
	}
	if err == nil {
		err = m.release(ctx, c, l.journal.Number())
	}
	return aside, errors.Join(err, giveBack(cfg.Dir))
}

// describe adds what was remembered to an entry's details.
func (r *Remembered) describe(details map[string]string) {
	if r == nil {
		return
	}
	details["remembered.size"] = strconv.FormatUint(r.Size, 10)
	details["remembered.root"] = hex.EncodeToString(r.Root)
	details["remembered.key"] = r.Key
	details["remembered.at"] = stamp(r.At)
}

// putAside moves all that is of the log, keys last, into a new folder beside it.
func putAside(cfg Config) (string, error) {
	aside := filepath.Join(cfg.Dir, "aside-"+cfg.Now().UTC().Format("20060102T150405.000000000Z"))
	if err := durable.MkdirAll(aside, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{journalDir, tilesDir, verifierFile, signerFile} {
		if err := os.Rename(filepath.Join(cfg.Dir, name), filepath.Join(aside, name)); err != nil && !missing(err) {
			return aside, err
		}
	}
	return aside, errors.Join(durable.SyncFolder(aside), durable.SyncFolder(cfg.Dir))
}

// giveBack gives files that root made to the account that has the folder.
func giveBack(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("a file system without owners")
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
