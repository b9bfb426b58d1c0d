package upkeep

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func FuzzReadDigest(f *testing.F) {
	f.Add([]byte(strings.Repeat("ab", 32) + "  pl.xml\n"))
	f.Add([]byte(strings.Repeat("x", 32)))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sum, ok := readDigest(data)
		if !ok && sum != [32]byte{} {
			t.Error("no digest, and yet one")
		}
	})
}

func FuzzIndex(f *testing.F) {
	digest := strings.Repeat("ab", 32)
	f.Add([]byte(`{"version":1,"chain":["` + digest + `"],"places":[{"key":"PL","digest":"` + digest + `","changes":[{"what":"status"}]}]}`))
	f.Add([]byte(`{"version":1,"chain":["../index"]}`))
	f.Add([]byte(`{"version":1,"places":[{"key":"PL","digest":"../index"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var ix index
		if ix.parse(data) != nil {
			return
		}
		named := slices.Clone(ix.Chain)
		for _, p := range ix.Places {
			named = append(named, p.Digest)
		}
		for _, digest := range named {
			if strings.ContainsAny(digest, "./\\") {
				t.Errorf("%q would be a file's name", digest)
			}
		}
		if _, err := json.Marshal(ix); err != nil {
			t.Error(err)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	f.Add("https://ec.europa.eu/tools/lotl/eu-lotl.xml", "https://ec.europa.eu/tools/lotl/eu-lotl-pivot-341.xml")
	f.Add("http://a/b.xml?c=d", "../../etc/pivot-1.xml")
	f.Fuzz(func(t *testing.T, list, pivot string) {
		u, err := url.Parse(list)
		if err != nil {
			return
		}
		if at := digestAddress(list); at != "" {
			if d, err := url.Parse(at); err == nil && d.Host != u.Host {
				t.Errorf("the digest of %q is asked for at %q", list, at)
			}
		}
		if at := pivotAddresses(list, pivot); len(at) == 2 {
			if d, err := url.Parse(at[0]); err == nil && d.Host != u.Host {
				t.Errorf("beside %q is %q", list, at[0])
			}
		}
	})
}
