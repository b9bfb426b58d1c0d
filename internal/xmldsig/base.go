package xmldsig

import "strings"

// uriParts are the five components of a URI reference (RFC 3986, 3).
type uriParts struct {
	scheme, authority, path, query    string
	hasScheme, hasAuthority, hasQuery bool
}

func splitURI(s string) uriParts {
	var u uriParts
	s, _, _ = strings.Cut(s, "#")
	s, u.query, u.hasQuery = strings.Cut(s, "?")
	if hasScheme(s) {
		u.scheme, s, _ = strings.Cut(s, ":")
		u.hasScheme = true
	}
	if strings.HasPrefix(s, "//") {
		u.hasAuthority = true
		end := strings.IndexByte(s[2:], '/')
		if end < 0 {
			end = len(s) - 2
		}
		u.authority, s = s[2:2+end], s[2+end:]
	}
	u.path = s
	return u
}

func (u uriParts) String() string {
	var b strings.Builder
	if u.hasScheme {
		b.WriteString(u.scheme + ":")
	}
	if u.hasAuthority {
		b.WriteString("//" + u.authority)
	}
	b.WriteString(u.path)
	if u.hasQuery {
		b.WriteString("?" + u.query)
	}
	return b.String()
}

// joinBase is join-URI-References of Canonical XML 1.1: RFC 3986, 5.2 for bases that may be relative.
// Leading '..' segments are kept, the fragment is dropped.
func joinBase(base, ref string) string {
	if strings.HasSuffix(base, "..") { // a directory, so that the join goes up
		base += "/"
	}
	b, r := splitURI(base), splitURI(ref)
	switch {
	case r.hasScheme:
	case r.hasAuthority:
		r.scheme, r.hasScheme = b.scheme, b.hasScheme
	default:
		switch {
		case r.path == "":
			r.path = b.path
			if !r.hasQuery {
				r.query, r.hasQuery = b.query, b.hasQuery
			}
		case strings.HasPrefix(r.path, "/"):
		case b.hasAuthority && b.path == "":
			r.path = "/" + r.path
		default:
			r.path = b.path[:strings.LastIndexByte(b.path, '/')+1] + r.path
		}
		r.scheme, r.hasScheme, r.authority, r.hasAuthority = b.scheme, b.hasScheme, b.authority, b.hasAuthority
	}
	r.path = removeDots(r.path)
	return r.String()
}

// removeDots takes '.' and '..' segments out of a path, but for leading '..' of a relative one.
func removeDots(path string) string {
	if path == "" {
		return ""
	}
	rooted := strings.HasPrefix(path, "/")
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "" && !last: // successive slashes count as one
			continue
		case s == "..":
			if n := len(kept); n > 0 && kept[n-1] != ".." {
				kept = kept[:n-1]
			} else if !rooted {
				kept = append(kept, s)
			}
			if last {
				kept = append(kept, "")
			}
		case s == ".":
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	out := strings.Join(kept, "/")
	if rooted {
		return "/" + out
	}
	return out
}
