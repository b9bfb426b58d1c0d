package xmldsig

import (
	"crypto"
	_ "crypto/md5" // read in old documents; whether it is acceptable is a matter of policy
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"fmt"

	//lint:ignore SA1019 as MD5: read in old documents
	_ "golang.org/x/crypto/ripemd160"
)

var digests = map[string]crypto.Hash{
	"http://www.w3.org/2001/04/xmldsig-more#md5":      crypto.MD5,
	"http://www.w3.org/2000/09/xmldsig#sha1":          crypto.SHA1,
	"http://www.w3.org/2001/04/xmldsig-more#sha224":   crypto.SHA224,
	"http://www.w3.org/2001/04/xmlenc#sha256":         crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#sha384":   crypto.SHA384,
	"http://www.w3.org/2001/04/xmlenc#sha512":         crypto.SHA512,
	"http://www.w3.org/2007/05/xmldsig-more#sha3-224": crypto.SHA3_224,
	"http://www.w3.org/2007/05/xmldsig-more#sha3-256": crypto.SHA3_256,
	"http://www.w3.org/2007/05/xmldsig-more#sha3-384": crypto.SHA3_384,
	"http://www.w3.org/2007/05/xmldsig-more#sha3-512": crypto.SHA3_512,
	"http://www.w3.org/2001/04/xmlenc#ripemd160":      crypto.RIPEMD160,
}

// HashByURI returns the hash function of a DigestMethod.
func HashByURI(uri string) (crypto.Hash, error) {
	h, ok := digests[uri]
	if !ok {
		return 0, fmt.Errorf("digest method %q: %w", uri, ErrUnsupported)
	}
	return h, nil
}
