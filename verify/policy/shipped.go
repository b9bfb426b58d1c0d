package policy

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"
)

// The names of the policies that are shipped.
const (
	Strict     = "strict"
	DSSDefault = "dss-default"
)

//go:embed strict.yaml
var strictYAML []byte

//go:embed dss-default.yaml
var dssDefaultYAML []byte

var (
	strict     = sync.OnceValues(func() (*Policy, error) { return Parse(strictYAML) })
	dssDefault = sync.OnceValues(func() (*Policy, error) { return Parse(dssDefaultYAML) })
)

// Names are the policies that are shipped, the default first.
func Names() []string { return []string{Strict, DSSDefault} }

// Named returns a shipped policy. The name "" is that of the default, strict.
func Named(name string) (*Policy, error) {
	switch name {
	case Strict, "":
		return strict()
	case DSSDefault:
		return dssDefault()
	}
	return nil, fmt.Errorf("%q is no policy that is shipped: choose %s or %s, or name a file", brief(name), Strict, DSSDefault)
}

// ShippedSource is the file of a shipped policy with its comments, nil for other names: a model for one's own.
func ShippedSource(name string) []byte {
	switch name {
	case Strict:
		return bytes.Clone(strictYAML)
	case DSSDefault:
		return bytes.Clone(dssDefaultYAML)
	}
	return nil
}

// Read reads a policy file in either form, told apart by content: XML is DSS's.
func Read(data []byte) (*Policy, error) {
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("<")) {
		return ParseDSS(data)
	}
	return Parse(data)
}
