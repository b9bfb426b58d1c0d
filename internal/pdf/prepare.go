package pdf

import "errors"

// Prepare appends an incremental update to the original that adds an invisible signature field and a
// signature dictionary with a hole for the CMS. The original bytes stay as they are; the update is
// written in the file's own cross-reference flavour. Encrypted documents and those whose cross
// references had to be rebuilt are refused.
func Prepare(original []byte, opts SignOptions) (*Prepared, error) {
	return nil, errors.New("pdf: not yet")
}
