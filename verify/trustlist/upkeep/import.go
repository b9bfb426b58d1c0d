package upkeep

import (
	"context"
	"errors"
	"slices"
	"time"

	"trustcore/verify/trustlist"
)

// File is one file that somebody carried in, as it is or gzip-compressed.
type File struct {
	Name   string
	Octets []byte
}

// Taken says what became of one file.
type Taken struct {
	File      string    `json:"file"`
	Territory string    `json:"territory,omitempty"`
	Sequence  int       `json:"sequence,omitempty"`
	Issued    time.Time `json:"issued,omitzero"`
	Taken     bool      `json:"taken"`           // it is in use now, or one that follows it
	Known     bool      `json:"known,omitempty"` // it was in use before
	Older     bool      `json:"older,omitempty"` // a newer one is in use, which Error names
	Error     string    `json:"error,omitempty"`
}

// Import takes what files hold, each as if it had been fetched: the older before the newer, whatever order they have. An
// error means that what is in use now could not be kept on disk; what is wrong with a file stands at its place.
func (k *Keeper) Import(ctx context.Context, files []File) ([]Taken, error) {
	k.rounds.Lock()
	defer k.rounds.Unlock()
	results := make([]Taken, len(files))
	type carried struct {
		*found
		result *Taken
	}
	var lists []carried
	for i, f := range files {
		results[i].File = f.Name
		octets, err := trustlist.Unpack(f.Octets)
		var c *trustlist.Checked
		if err == nil {
			c, err = k.check(ctx, octets)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c != nil {
			results[i].Territory, results[i].Sequence, results[i].Issued = c.Territory, c.Sequence, c.Issued
		}
		if err != nil {
			results[i].Error = err.Error()
			continue
		}
		lists = append(lists, carried{&found{Checked: c, octets: octets, key: k.keyFor(c)}, &results[i]})
	}
	slices.SortStableFunc(lists, func(a, b carried) int { return trustlist.Order(a.Checked, b.Checked) })
	for _, l := range lists {
		switch err := k.take(l.found); {
		case err == nil:
			l.result.Taken = true
		case errors.Is(err, trustlist.ErrSame):
			l.result.Known = true
		default:
			l.result.Error, l.result.Older = err.Error(), errors.Is(err, trustlist.ErrOlder)
		}
	}
	return results, k.publish()
}

// keyFor is the key under which a list that was carried in is kept: an extra one is known by its signer.
func (k *Keeper) keyFor(c *trustlist.Checked) string {
	if c.LOTL() {
		return lotl
	}
	for _, e := range k.cfg.Extra {
		if slices.ContainsFunc(e.Signers, func(der []byte) bool { return string(der) == string(c.Signer) }) {
			return e.Address
		}
	}
	return c.Territory
}

// publish keeps what is in use, and tells that it is another.
func (k *Keeper) publish() error {
	err := k.save()
	if err != nil {
		k.cfg.Logger.Error("trusted lists", "error", err)
		k.mu.Lock()
		k.trouble = err.Error()
		k.mu.Unlock()
	}
	k.cfg.Changed()
	return err
}
