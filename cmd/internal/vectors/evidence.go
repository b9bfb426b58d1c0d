package vectors

import (
	"errors"
	"fmt"

	"trustcore/verify/path"
)

// revocation makes the function that judges revocation from the case's evidence; nil when it is not asked.
func (c *chainCase) revocation() (path.RevocationFunc, error) {
	switch c.Revocation {
	case "", "none":
		return nil, nil
	case "require", "if_available":
		return nil, errors.New("revocation is not judged yet")
	}
	return nil, fmt.Errorf("unknown revocation %q", c.Revocation)
}

func judgeOCSP(line []byte) (any, error) { return nil, errors.New("OCSP is not judged yet") }

func judgeCRL(line []byte) (any, error) { return nil, errors.New("CRLs are not judged yet") }
