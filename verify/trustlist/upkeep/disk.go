package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/internal/durable"
	"trustcore/internal/fetch"
	"trustcore/verify/trustlist"
)

// On disk each list lies under its digest, DIGEST.xml, with what was read out of it beside it, DIGEST.parsed. The file
// index.json names those in use: to replace it is to change all at once.

// index is the content of index.json.
type index struct {
	Version int      `json:"version"`
	Chain   []string `json:"chain"` // digests of the lists of the lists, the one in use last
	Places  []*place `json:"places"`
}

// indexVersion is that of the folders that this program makes and reads.
const indexVersion = 1

// maxIndex bounds index.json in bytes.
const maxIndex = 64 << 20

// place is what is known of the list of one key.
type place struct {
	Key      string        `json:"key"`
	Role     string        `json:"role,omitempty"`
	Digest   string        `json:"digest,omitempty"` // of the list in use, lower-case hex; "" for none
	Sequence int           `json:"sequence,omitempty"`
	Taken    time.Time     `json:"taken,omitzero"`
	Address  string        `json:"address,omitempty"` // that it came from; "" where it was carried in
	Version  fetch.Version `json:"version,omitzero"`  // what the server there says of it

	Before  int                `json:"before,omitempty"` // sequence number of the list that was in use before
	Changes []trustlist.Change `json:"changes,omitempty"`

	Confirmed time.Time `json:"confirmed,omitzero"` // when its source last said that it is the newest
	Whole     time.Time `json:"whole,omitzero"`     // when the source was last asked for the list itself
	Failing   time.Time `json:"failing,omitzero"`   // since when it could not be fetched
	Failures  int       `json:"failures,omitempty"` // since then
	Reason    string    `json:"reason,omitempty"`   // of the last
	Remark    string    `json:"remark,omitempty"`   // on how it is published
	Lost      string    `json:"lost,omitempty"`     // why the list that was in use can't be used any more

	next time.Time // when it is due again
}

// load reads the folder.
func (k *Keeper) load(ctx context.Context) error {
	ix, err := readIndex(filepath.Join(k.cfg.Dir, "index.json"))
	if err != nil {
		k.cfg.Logger.Error("the index of the kept trusted lists can't be read", "error", err)
		k.trouble = err.Error()
		return k.recover(ctx)
	}
	k.chain = ix.Chain
	digests := slices.Clone(ix.Chain)
	for _, p := range ix.Places {
		k.places[p.Key] = p
		if p.Role != "lotl" && p.Digest != "" {
			digests = append(digests, p.Digest)
		}
	}
	lists, problems, err := k.readAll(ctx, digests)
	if err != nil {
		return err
	}
	for i, digest := range digests {
		key := lotl
		if i >= len(ix.Chain) {
			key = k.keyOf(digest)
		}
		problem := problems[i]
		if problem == nil {
			problem = k.takeInto(k.set, &found{Checked: lists[i], key: key}, time.Time{})
		}
		if problem != nil {
			k.place(key).Lost = problem.Error()
			k.cfg.Logger.Error("a kept trusted list can't be used", "list", key, "error", problem)
		}
	}
	return nil
}

// recover takes the lists of a folder whose index can't be read as if somebody had carried them in.
func (k *Keeper) recover(ctx context.Context) error {
	names, err := filepath.Glob(filepath.Join(k.cfg.Dir, "*.xml"))
	if err != nil {
		return err
	}
	var files []File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, File{filepath.Base(name), data})
	}
	_, err = k.Import(ctx, files)
	return err
}

func (k *Keeper) keyOf(digest string) string {
	for _, key := range slices.Sorted(maps.Keys(k.places)) {
		if k.places[key].Digest == digest {
			return key
		}
	}
	return ""
}

func readIndex(file string) (*index, error) {
	ix := &index{Version: indexVersion}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ix, nil
	case err != nil:
		return nil, err
	case info.Size() > maxIndex:
		return nil, fmt.Errorf("%s: more than %d bytes", file, maxIndex)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := ix.parse(data); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return ix, nil
}

func (ix *index) parse(data []byte) error {
	if err := json.Unmarshal(data, ix); err != nil {
		return err
	}
	if ix.Version != indexVersion {
		return fmt.Errorf("version %d: this program reads version %d", ix.Version, indexVersion)
	}
	named := slices.Clone(ix.Chain)
	for _, p := range ix.Places {
		if p == nil || p.Key == "" {
			return errors.New("a list without a key")
		}
		if p.Digest != "" {
			named = append(named, p.Digest)
		}
	}
	for _, digest := range named { // they become names of files
		if sum, err := hex.DecodeString(digest); err != nil || len(sum) != sha256.Size || strings.ToLower(digest) != digest {
			return fmt.Errorf("%q is no digest", digest)
		}
	}
	return nil
}

// readAll reads lists by their digests. What is wrong with one stands at its place.
func (k *Keeper) readAll(ctx context.Context, digests []string) ([]*trustlist.Checked, []error, error) {
	lists, problems := make([]*trustlist.Checked, len(digests)), make([]error, len(digests))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, digest := range digests {
		g.Go(func() error {
			lists[i], problems[i] = k.readOne(ctx, digest)
			return ctx.Err()
		})
	}
	return lists, problems, g.Wait()
}

// readOne reads a list as it was read before, or from its octets, which are held against their digest in both cases.
func (k *Keeper) readOne(ctx context.Context, digest string) (*trustlist.Checked, error) {
	octets, err := os.ReadFile(k.file(digest, "xml"))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(octets)
	if hex.EncodeToString(sum[:]) != digest {
		return nil, errors.New("its file is damaged")
	}
	if data, err := os.ReadFile(k.file(digest, "parsed")); err == nil {
		if c, err := trustlist.ReadParsed(data, sum); err == nil {
			return c, nil
		}
	}
	c, err := k.check(ctx, octets)
	if err != nil {
		return nil, err
	}
	return c, k.writeParsed(c)
}

func (k *Keeper) file(digest, extension string) string {
	return filepath.Join(k.cfg.Dir, digest+"."+extension)
}

// write puts the octets of a list, and what was read out of them, beside the others. The index does not name them yet.
func (k *Keeper) write(f *found) error {
	if err := durable.WriteFile(k.file(hex.EncodeToString(f.Digest[:]), "xml"), f.octets, 0o600); err != nil {
		return fmt.Errorf("it can't be kept: %w", err)
	}
	return k.writeParsed(f.Checked)
}

func (k *Keeper) writeParsed(c *trustlist.Checked) error {
	data, err := c.Parsed()
	if err == nil {
		err = durable.WriteFile(k.file(hex.EncodeToString(c.Digest[:]), "parsed"), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("it can't be kept: %w", err)
	}
	return nil
}

// save makes what is in use now what the next start reads.
func (k *Keeper) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	ix := index{Version: indexVersion, Chain: []string{}}
	for _, m := range k.set.Members() {
		if m.Role == "lotl" || m.Role == "pivot" {
			ix.Chain = append(ix.Chain, hex.EncodeToString(m.Digest[:]))
		}
	}
	if len(ix.Chain) == 0 { // those that can't be used now may be again, by other signers in the configuration
		ix.Chain = k.chain
	}
	named := map[string]bool{}
	for _, digest := range ix.Chain {
		named[digest] = true
	}
	for _, key := range slices.Sorted(maps.Keys(k.places)) {
		ix.Places = append(ix.Places, k.places[key])
		named[k.places[key].Digest] = true
	}
	data, err := json.Marshal(ix)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(k.cfg.Dir, "index.json"), data, 0o600); err != nil {
		return fmt.Errorf("the trusted lists can't be kept: %w", err)
	}
	k.chain, k.trouble = ix.Chain, ""
	return k.clear(named)
}

// clear removes lists that are not in use any more.
func (k *Keeper) clear(named map[string]bool) error {
	entries, err := os.ReadDir(k.cfg.Dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, e := range entries {
		digest, _, _ := strings.Cut(e.Name(), ".")
		if ext := filepath.Ext(e.Name()); !named[digest] && (ext == ".xml" || ext == ".parsed") {
			problems = append(problems, os.Remove(filepath.Join(k.cfg.Dir, e.Name())))
		}
	}
	return errors.Join(problems...)
}
