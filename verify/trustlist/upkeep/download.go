package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"trustcore/internal/fetch"
	"trustcore/verify/trustlist"
)

// wholeEvery is how long a digest file alone is believed that says that nothing has changed: it is signed by nobody.
const wholeEvery = 24 * time.Hour

// errUnchanged tells that the list in use is the newest that its source has.
var errUnchanged = errors.New("unchanged")

// download fetches the list of a key from an address: first its digest (TS 119 612, 6.1), which is small, and only where
// that is another the list, on the condition that it has changed. The list's own signature decides, not the digest.
func (k *Keeper) download(ctx context.Context, key, address string) (*found, error) {
	have := k.having(key, address)
	sum, told := k.digestAt(ctx, address)
	if told && sum == have.digest && have.trustsDigest {
		return nil, errUnchanged
	}
	answer, err := k.cfg.Fetch.Client.GetSince(ctx, address, have.version)
	if err != nil {
		return nil, err
	}
	k.remark(key, "")
	digest := have.digest
	if !answer.Unchanged {
		digest = sha256.Sum256(answer.Content)
	}
	if told && sum != digest {
		k.remark(key, "the digest file beside it is of another file: its publisher should be told")
	}
	if digest == have.digest {
		return nil, errUnchanged
	}
	c, err := k.check(ctx, answer.Content)
	if err != nil {
		return nil, err
	}
	return &found{Checked: c, octets: answer.Content, key: key, address: address, version: answer.Version}, nil
}

// having is what is known of the list in use when it is asked for again.
type having struct {
	digest       [32]byte
	version      fetch.Version
	trustsDigest bool
}

func (k *Keeper) having(key, address string) having {
	k.mu.Lock()
	defer k.mu.Unlock()
	var h having
	c, p, now := k.current(key), k.place(key), k.cfg.Now()
	if c == nil {
		p.Whole = now
		return h
	}
	h.digest = c.Digest
	h.trustsDigest = now.Sub(p.Whole) < wholeEvery && !c.RanOut(now) && p.Remark == ""
	if p.Address == address {
		h.version = p.Version
	}
	if !h.trustsDigest {
		p.Whole = now
	}
	return h
}

// remark notes something about how the list of a key is published, "" that nothing is to be noted.
func (k *Keeper) remark(key, text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.place(key)
	p.Remark, p.Whole = text, k.cfg.Now()
}

// digestAt asks for the digest file of a list. That there is none, or none that can be read, is no failure.
func (k *Keeper) digestAt(ctx context.Context, address string) (sum [32]byte, ok bool) {
	at := digestAddress(address)
	if at == "" {
		return sum, false
	}
	data, err := k.cfg.Fetch.Client.Get(ctx, at)
	if err != nil {
		return sum, false
	}
	return readDigest(data)
}

// digestAddress is the list's with the extension .sha2, "" where it has no extension to replace, or names no host.
func digestAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	ext := path.Ext(u.Path)
	if ext == "" {
		return ""
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, ext)+".sha2", ""
	return u.String()
}

// readDigest reads a SHA-256 as it is published: its 32 octets, or hexadecimal, with or without a name after it.
func readDigest(data []byte) (sum [32]byte, ok bool) {
	if len(data) == len(sum) {
		return [32]byte(data), true
	}
	const maxDigestFile = 1024
	if len(data) > maxDigestFile {
		return sum, false
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return sum, false
	}
	decoded, err := hex.DecodeString(fields[0])
	if err != nil || len(decoded) != len(sum) {
		return sum, false
	}
	return [32]byte(decoded), true
}

// fetchOne fetches the list of a key and takes it.
func (k *Keeper) fetchOne(ctx context.Context, key string, addresses []string) error {
	if len(addresses) == 0 {
		return errors.New("no address is known where it is published as XML")
	}
	var problems []error
	for _, address := range addresses {
		f, err := k.download(ctx, key, address)
		if err == nil {
			err = k.expect(f)
		}
		if err == nil {
			err = k.take(f)
		}
		if key == lotl && errors.Is(err, trustlist.ErrSigner) && f != nil {
			err = k.overPivots(ctx, f)
		}
		if err == nil || errors.Is(err, errUnchanged) || errors.Is(err, trustlist.ErrSame) {
			return err
		}
		problems = append(problems, fmt.Errorf("%s: %w", address, err))
	}
	return errors.Join(problems...)
}

// expect refuses a list of another territory or kind than the one that was asked for.
func (k *Keeper) expect(f *found) error {
	is := f.Territory
	if f.LOTL() {
		is = lotl
	}
	if k.isExtra(f.key) {
		return nil // it is known by its signer
	}
	if is != f.key {
		return fmt.Errorf("it is the list of %q, not of %q", is, f.key)
	}
	return nil
}

func (k *Keeper) isExtra(key string) bool {
	for _, e := range k.cfg.Extra {
		if e.Address == key {
			return true
		}
	}
	return false
}

// overPivots takes a list of the lists whose signer the one in use does not name, over the pivots that it names itself, the
// oldest first. They are asked for beside it, under their names: where they say that they lie counts only after that.
func (k *Keeper) overPivots(ctx context.Context, f *found) error {
	for i := len(f.Pivots) - 1; i >= 0; i-- {
		for _, address := range pivotAddresses(f.address, f.Pivots[i]) {
			answer, err := k.cfg.Fetch.Client.GetSince(ctx, address, fetch.Version{})
			if err != nil {
				continue
			}
			c, err := k.check(ctx, answer.Content)
			if err != nil || !c.LOTL() || c.Digest == f.Digest {
				continue
			}
			err = k.take(&found{Checked: c, octets: answer.Content, key: lotl, address: address})
			if err == nil || errors.Is(err, trustlist.ErrOlder) || errors.Is(err, trustlist.ErrSame) {
				break
			}
		}
	}
	if err := k.take(f); err != nil {
		return fmt.Errorf("%w (%d pivots that it names were looked for)", err, len(f.Pivots))
	}
	return nil
}

// pivotAddresses are where a pivot is looked for: beside the list, at the list's host, then where it is said to be.
func pivotAddresses(list, pivot string) []string {
	u, err := url.Parse(list)
	if err != nil || u.Host == "" {
		return []string{pivot}
	}
	beside := u.JoinPath("..", path.Base(pivot)).String()
	if beside == pivot {
		return []string{pivot}
	}
	return []string{beside, pivot}
}
