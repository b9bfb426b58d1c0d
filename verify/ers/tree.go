package ers

import (
	"bytes"
	"slices"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
)

// uneven tells whether a list holds a value that is no digest by h: the concatenation of others could be cut anew.
func uneven(lists [][][]byte, h algorithm.Hash) bool {
	return slices.ContainsFunc(lists, func(list [][]byte) bool {
		return slices.ContainsFunc(list, func(value []byte) bool { return len(value) != h.Size() })
	})
}

// root computes the value that a hash tree leads to (RFC 4998 4.3, RFC 6283 3.3): of each list, to which the value of
// the one before is added, the digest of its values in binary ascending order. One value alone stands for itself
// (RFC 6283 3.2.1, and RFC 4998 as everybody reads it). It is nil where the budget ends.
func root(b *budget.Budget, h algorithm.Hash, lists [][][]byte) []byte {
	var value []byte
	for _, list := range lists {
		if b.Work(int64(sortAHash*(len(list)+1))) != nil || b.Hold(sliceOctets*(len(list)+1)) != nil {
			return nil
		}
		values := slices.Clone(list)
		if value != nil {
			values = append(values, value)
		}
		if value = values[0]; len(values) > 1 {
			slices.SortFunc(values, bytes.Compare)
			value = h.Sum(values...)
		}
		b.Release(sliceOctets * (len(list) + 1))
	}
	return value
}

const (
	// sortAHash is what a value of a list costs: it is compared some 17 times, and digested.
	sortAHash = 1000
	// sliceOctets are those of a slice in a list.
	sliceOctets = 24
)
