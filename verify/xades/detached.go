package xades

import (
	"errors"
	"path"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// exact resolves the names of files: relative URIs, perhaps with percent-encoding.
func exact(files []signature.Detached) xmldsig.Resolver {
	byName := make(map[string]signature.Detached, len(files))
	for _, f := range files {
		byName[f.Name] = f
	}
	return func(name string) ([]byte, error) {
		for _, candidate := range spellings(name) {
			if f, ok := byName[candidate]; ok {
				return content(f)
			}
		}
		return nil, xmldsig.ErrNotFound
	}
}

// namesOne tells whether the signatures of a document refer to one file at most: a file that is handed in alone is that
// one, whatever it is called. Of several it is the one that has its name, and nobody changed the others.
func namesOne(d *xmldsig.Document) bool {
	name := ""
	for info := range d.Root().Descendants(xmldsig.NamespaceDSig, "SignedInfo") {
		for r := range info.Descendants(xmldsig.NamespaceDSig, "Reference") {
			uri, _ := r.Attr("", "URI")
			switch {
			case uri == "", uri[0] == '#', uri == name:
			case name != "":
				return false
			default:
				name = uri
			}
		}
	}
	return true
}

// lenient resolves the files that a person hands in beside a detached signature; one of any name where the document
// names one.
func lenient(files []signature.Detached, one bool) xmldsig.Resolver {
	byName, byBase := exact(files), map[string]signature.Detached{}
	bases := map[string]int{}
	for _, f := range files {
		byBase[path.Base(f.Name)] = f
		bases[path.Base(f.Name)]++
	}
	return func(name string) ([]byte, error) {
		if octets, err := byName(name); !errors.Is(err, xmldsig.ErrNotFound) {
			return octets, err
		}
		for _, candidate := range spellings(name) {
			if f, ok := byBase[path.Base(candidate)]; ok && bases[path.Base(candidate)] == 1 { // a name of two means neither
				return content(f)
			}
		}
		if len(files) == 1 && one {
			return content(files[0])
		}
		return nil, xmldsig.ErrNotFound
	}
}

// noting resolves as resolve does, and notes whether it ever found anything.
func noting(resolve xmldsig.Resolver, found *bool) xmldsig.Resolver {
	return func(name string) ([]byte, error) {
		octets, err := resolve(name)
		*found = *found || !errors.Is(err, xmldsig.ErrNotFound)
		return octets, err
	}
}

// content gives the octets of a file, or the digests that were handed in for them.
func content(f signature.Detached) ([]byte, error) {
	if !f.DigestOnly() {
		return f.Content, nil
	}
	return nil, xmldsig.DigestOnly(f.DigestBy)
}

// spellings are the names that a URI may mean, itself first: files that a person hands in have whatever names.
func spellings(uri string) []string {
	if uri == "" {
		return nil
	}
	return append([]string{uri}, signature.Spellings(uri)...)
}
