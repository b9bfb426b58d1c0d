package pades

import (
	"crypto/sha1"
	"fmt"
	"io"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

// vriTimestamps opens the time-stamps that the validation-related information about a signature carries (TS, ISO 32000-2
// table 236, EN 319 142-1 5.4.2.3). They prove that the signature existed and make no level: a signature time-stamp
// belongs into the CMS.
func (r *reader) vriTimestamps(d *dictionary) {
	all := r.everything()
	if len(all.stamps) == 0 || r.budget.Octets(2*len(d.Contents)) != nil {
		return
	}
	key := fmt.Sprintf("%X", sha1.Sum(d.Contents))
	for _, s := range all.stamps {
		if s.key != key {
			continue
		}
		token := timestamp.Open(r.budget, "", signature.VRITimestamp, s.token, all.certificates)
		token.ID = r.unique(token.ID)
		if d.compare(r.budget, token); token.Imprint {
			token.CoversSignature, token.Covers = true, [][32]byte{d.signed.Value}
		}
		d.signed.Timestamps = append(d.signed.Timestamps, token.Timestamp)
	}
}

// compare holds a token against what may be meant by the signature: its value, as in a signature time-stamp, or what
// the key of the dictionary is made of, with or without the padding. Each of them holds the value.
func (d *dictionary) compare(b *budget.Budget, token *timestamp.Token) {
	meant := [][]byte{d.Contents}
	if d.info != nil {
		meant = append(meant, d.info.Signature, d.cms.Raw)
	}
	for _, octets := range meant {
		token.Compare(func(w io.Writer) error { return b.Write(w, octets) })
		if token.Imprint {
			return
		}
	}
}
