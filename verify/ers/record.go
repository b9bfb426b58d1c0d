package ers

import (
	"fmt"
	"io"

	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
)

// Limits on a record. A renewal happens every few years; a list of a tree has two members, or those of a group.
const (
	maxChains     = 64
	maxTimestamps = 256
	maxHashes     = 100_000
)

// heldAHash is a member of a list in memory, with what is made of it.
const heldAHash = 96

// unchecked is a limit or a feature that keeps a record from being checked; it accuses nobody.
type unchecked struct{ error }

func beyond(limit int, what string) error {
	return unchecked{fmt.Errorf("more than %d %s", limit, what)}
}

// record is a record of either syntax as it was read.
type record struct {
	chains []chain
	listed map[algorithm.Hash]bool // digestAlgorithms of RFC 4998; nil: RFC 6283, whose chains name theirs
	// certificates, crls and ocsps are evidence beside the chains, which no time-stamp covers (RFC 4998 3.1, cryptoInfos).
	certificates, crls, ocsps [][]byte
}

// chain is an ArchiveTimeStampChain.
type chain struct {
	hash   algorithm.Hash            // NoHash: that of its first time-stamp
	form   *xmldsig.Canonicalization // RFC 6283
	stamps []archived
	before func(io.Writer) error // writes the encoded sequence of all chains before it
}

// archived is an ArchiveTimeStamp.
type archived struct {
	hash  algorithm.Hash // of its hash tree; NoHash: that of the time-stamp
	tree  [][][]byte     // lists of hash values; nil where the time-stamp is about the one value itself
	bare  bool           // there was none
	token []byte
	whole func(io.Writer) error // writes what a renewal of the time-stamp is about
	// certificates, crls and ocsps stand beside the token, and the renewal covers them.
	certificates, crls, ocsps [][]byte
}

// counter keeps the limits while a record is read.
type counter struct {
	budget             *budget.Budget
	timestamps, hashes int
}

func (c *counter) timestamp() error {
	if c.timestamps++; c.timestamps > maxTimestamps {
		return beyond(maxTimestamps, "archive time-stamps")
	}
	return c.budget.Nodes(1)
}

func (c *counter) hash() error {
	if c.hashes++; c.hashes > maxHashes {
		return beyond(maxHashes, "hash values")
	}
	if err := c.budget.Nodes(1); err != nil {
		return err
	}
	return c.budget.Hold(heldAHash)
}
