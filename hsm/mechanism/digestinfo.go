package mechanism

import (
	"bytes"
	"crypto"
	"fmt"
)

// digestInfos are the octets before the digest in a DigestInfo (RFC 8017, 9.2, notes 1), with the NULL that belongs
// there.
var digestInfos = map[crypto.Hash][]byte{
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

// ParseDigestInfo returns hash and digest of a DigestInfo, as programs hand it to mechanisms that only pad
// (CKM_RSA_PKCS). It takes the one encoding alone, of SHA-256, SHA-384 and SHA-512: whatever else could be padded so,
// such as another structure, more octets or a bare digest, would be signed under a meaning that nobody checked.
func ParseDigestInfo(data []byte) (crypto.Hash, []byte, error) {
	for h, before := range digestInfos {
		if digest, is := bytes.CutPrefix(data, before); is && len(digest) == h.Size() {
			return h, digest, nil
		}
	}
	return 0, nil, fmt.Errorf("%w: %d octets are no DigestInfo of SHA-256, SHA-384 or SHA-512", ErrUnsupported, len(data))
}
