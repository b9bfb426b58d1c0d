package xmldsig

import (
	"fmt"
	"strconv"
)

// PSSParams are the parameters of "http://www.w3.org/2007/05/xmldsig-more#rsa-pss" (RFC 9231, 2.3.9).
type PSSParams struct {
	DigestURI    string // "" means SHA-256
	MGFURI       string // "" means MGF1
	MGFDigestURI string // "" means DigestURI
	SaltLength   int    // octets; -1 means the length of the digest
	Trailer      int    // 1 where absent, which stands for the octet 0xbc
}

// MGF1 is the one mask generation function that RFC 9231 names.
const MGF1 = NamespaceDSMore + "MGF1"

// readPSS reads pss:RSAPSSParams. Its parts stand once at most: of what stands twice, or is not known, each program
// would choose another reading, and with it another verdict.
func readPSS(e Node) (*PSSParams, error) {
	p := &PSSParams{SaltLength: -1, Trailer: 1}
	seen := make(map[string]bool)
	for c := range e.Elements() {
		if seen[c.Local()] {
			return nil, fmt.Errorf("RSAPSSParams with more than one %s", c.Local())
		}
		seen[c.Local()] = true
		var err error
		switch {
		case c.Is(NamespaceDSig, "DigestMethod"):
			p.DigestURI, _ = c.Attr("", "Algorithm")
		case c.Is(NamespaceDSMore, "MaskGenerationFunction"):
			err = p.readMask(c)
		case c.Is(NamespaceDSMore, "SaltLength"):
			p.SaltLength, err = readCount(c)
		case c.Is(NamespaceDSMore, "TrailerField"):
			p.Trailer, err = readCount(c)
		default:
			err = fmt.Errorf("RSAPSSParams: unexpected %v", c)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *PSSParams) readMask(e Node) error {
	p.MGFURI, _ = e.Attr("", "Algorithm")
	digests := 0
	for c := range e.Elements() {
		if digests++; digests > 1 || !c.Is(NamespaceDSig, "DigestMethod") {
			return fmt.Errorf("MaskGenerationFunction: unexpected %v", c)
		}
		p.MGFDigestURI, _ = c.Attr("", "Algorithm")
	}
	return nil
}

// readCount is the content of an element of xs:positiveInteger or xs:nonNegativeInteger.
func readCount(e Node) (int, error) {
	n, err := strconv.Atoi(trimSpace(e.Text()))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s %q", e.Local(), e.Text())
	}
	return n, nil
}
