package xades

import (
	"net/url"
	"path"
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// exact resolves the names of files: relative URIs, perhaps with percent-encoding.
func exact(files []signature.Detached) xmldsig.Resolver {
	byName := make(map[string][]byte, len(files))
	for _, f := range files {
		byName[f.Name] = f.Content
	}
	return func(name string) ([]byte, error) {
		for _, candidate := range spellings(name) {
			if content, ok := byName[candidate]; ok {
				return content, nil
			}
		}
		return nil, xmldsig.ErrNotFound
	}
}

// lenient resolves the files that a person hands in beside a detached signature.
func lenient(files []signature.Detached) xmldsig.Resolver {
	byName := exact(files)
	return func(name string) ([]byte, error) {
		if content, err := byName(name); err == nil {
			return content, nil
		}
		for _, candidate := range spellings(name) {
			base := path.Base(candidate)
			for _, f := range files {
				if path.Base(f.Name) == base {
					return f.Content, nil
				}
			}
		}
		if len(files) == 1 {
			return files[0].Content, nil
		}
		return nil, xmldsig.ErrNotFound
	}
}

// spellings are the names that a URI may mean, the likeliest first.
func spellings(uri string) []string {
	if uri == "" {
		return nil
	}
	plain := strings.TrimPrefix(strings.TrimPrefix(uri, "./"), "/")
	names := []string{uri, plain}
	if decoded, err := url.PathUnescape(plain); err == nil && decoded != plain {
		names = append(names, decoded)
	}
	if decoded, err := url.QueryUnescape(plain); err == nil && strings.Contains(plain, "+") {
		names = append(names, decoded)
	}
	return names
}
