package asic

import (
	"bytes"

	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// keptBack are the digests that were given of data objects which the container does not hold, by name and algorithm.
func keptBack(detached []signature.Detached) map[string]map[string][]byte {
	digests := map[string]map[string][]byte{}
	for _, f := range detached {
		if f.DigestOnly() && f.Name != "" {
			digests[f.Name] = f.Digests
		}
	}
	return digests
}

// digestsOf finds the digests of the data object that a URI names, nil where none were given. A URI that may mean two
// of them means none.
func (r *reader) digestsOf(uri string) map[string][]byte {
	var found map[string][]byte
	for _, name := range spellings(uri) {
		digests := r.keptBack[name]
		if digests != nil && found != nil {
			return nil
		}
		if digests != nil {
			found = digests
		}
	}
	return found
}

// givenDigest is the one by a DigestMethod, nil where another one was given.
func givenDigest(digests map[string][]byte, method string) []byte {
	h, err := algorithm.HashByURI(method)
	if err != nil || len(digests[h.Name()]) != h.Size() {
		return nil
	}
	return digests[h.Name()]
}

// compareGiven compares the digest of a file that was kept back. It counts for what signs the manifest alone: what a
// time-stamp or an evidence record proves is proven of files that are there.
func (o *object) compareGiven(ref *signature.Reference, digests map[string][]byte) {
	ref.Found, ref.Full, ref.Scope = true, true, "the whole file "+o.uri+signature.DigestAlone
	sum := givenDigest(digests, o.method)
	if sum == nil {
		ref.Unchecked = "the file was kept back, and no digest of it was given by " + o.method
		return
	}
	ref.Intact = bytes.Equal(sum, o.digest)
}
