package custody

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/durable"
)

// recoveryFile has the digests of the recovery shares.
const recoveryFile = "recovery.json"

// Recovery shares.
const (
	MaxShares  = 20 // at one ceremony
	shareBytes = 20 // 160 random bits: nobody guesses one, so a plain digest of it may be known
	shareGroup = 4  // letters
)

// share is what the state knows of a recovery share: who has the state can't make one from it.
type share struct {
	SHA256 string    `json:"sha256"`
	Used   time.Time `json:"used,omitzero"`
}

// What is wrong with a recovery share.
var (
	ErrNoShares     = errors.New("no recovery shares were made here: confirm by an officer's key")
	ErrUnknownShare = errors.New("this is none of the recovery shares that were made at the ceremony")
)

// MakeShares makes recovery shares, each of which confirms one use of break-glass, and returns them: they are nowhere else. It is
// done once, at the ceremony.
func (c *Custody) MakeShares(ctx context.Context, count int) ([]string, error) {
	if count < 0 || count > MaxShares {
		return nil, fmt.Errorf("recovery shares: %d; make 0 to %d", count, MaxShares)
	}
	if _, err := os.Stat(c.pki(recoveryFile)); err == nil {
		return nil, errors.New("recovery shares: they were made here before")
	}
	texts, known, details := make([]string, count), make([]share, count), map[string]string{}
	for i := range texts {
		var secret [shareBytes]byte
		_, _ = rand.Read(secret[:]) // never fails
		text := base32.StdEncoding.EncodeToString(secret[:])
		known[i].SHA256, texts[i] = digestOfShare(text), grouped(text)
		details["share "+strconv.Itoa(i+1)] = known[i].SHA256
	}
	if _, err := c.Audit.Append(ctx, audit.Entry{Time: time.Now(), Actor: audit.Actor{Kind: "daemon", ID: "ceremony"}, Action: "recovery.make",
		Subject: strconv.Itoa(count) + " shares", Outcome: audit.Granted, Details: details}); err != nil {
		return nil, err
	}
	return texts, c.writeShares(known)
}

// grouped writes a share as people copy it.
func grouped(text string) string {
	var groups []string
	for ; len(text) > shareGroup; text = text[shareGroup:] {
		groups = append(groups, text[:shareGroup])
	}
	return strings.Join(append(groups, text), "-")
}

// digestOfShare is that of the letters and digits alone, however they are grouped.
func digestOfShare(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(text)))
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// FindShare returns the number of a share, counted from 1, when it may be used: made at the ceremony and not used before.
func (c *Custody) FindShare(text string) (int, error) {
	known, err := c.shares()
	if err != nil {
		return 0, err
	}
	digest := digestOfShare(text)
	for i, s := range known {
		switch {
		case s.SHA256 != digest:
		case !s.Used.IsZero():
			return 0, fmt.Errorf("recovery share %d was used on %s: it is void", i+1, s.Used.Format(time.RFC3339))
		default:
			return i + 1, nil
		}
	}
	return 0, ErrUnknownShare
}

// VoidShare makes a share void, for good.
func (c *Custody) VoidShare(number int, now time.Time) error {
	known, err := c.shares()
	if err != nil {
		return err
	}
	known[number-1].Used = now.UTC().Truncate(time.Second)
	return c.writeShares(known)
}

func (c *Custody) shares() (known []share, err error) {
	text, err := os.ReadFile(c.pki(recoveryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoShares
	}
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("recovery shares: %w", err)
	}
	return known, nil
}

func (c *Custody) writeShares(known []share) error {
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return fmt.Errorf("recovery shares: %w", err)
	}
	return durable.WriteFile(c.pki(recoveryFile), text, 0o600)
}
