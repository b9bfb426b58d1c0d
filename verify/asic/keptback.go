package asic

import (
	"bytes"

	"trustcore/verify/signature"
)

// keptBack are the data objects that the container does not hold and digests were given of, by name.
func keptBack(detached []signature.Detached) map[string]*signature.Detached {
	files := map[string]*signature.Detached{}
	for i := range detached {
		if f := &detached[i]; f.DigestOnly() && f.Name != "" {
			files[f.Name] = f
		}
	}
	return files
}

// given finds the data object that a URI names among those that were kept back, nil where none was. A URI that may mean
// two of them means none.
func (r *reader) given(uri string) *signature.Detached {
	var found *signature.Detached
	for _, name := range signature.Spellings(uri) {
		file := r.keptBack[name]
		if file != nil && found != nil {
			return nil
		}
		if file != nil {
			found = file
		}
	}
	return found
}

// compareGiven compares the digest of a file that was kept back. It counts for what signs or time-stamps the manifest
// alone: what an evidence record proves is proven of files that are there.
func (o *object) compareGiven(ref *signature.Reference, file *signature.Detached) {
	ref.Found, ref.Full, ref.Scope = true, true, "the whole file "+o.uri+signature.DigestAlone
	sum := file.DigestBy(o.method)
	if sum == nil {
		ref.Unchecked = "the file was kept back, and no digest of it was given by " + o.method
		return
	}
	ref.Intact = bytes.Equal(sum, o.digest)
}
