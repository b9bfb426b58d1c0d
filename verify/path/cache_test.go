package path_test

import (
	"bytes"
	"testing"
)

// TestCacheKeepsNoDocument: what is remembered does not lean on the bytes that it was read from, which may be a piece of
// a large document or of a file that is unmapped with it.
func TestCacheKeepsNoDocument(t *testing.T) {
	cache := newCache(t)
	der := mint(t, nil, "root", nil, ca).cert.Raw
	document := bytes.Clone(der)
	if _, err := cache.Parse(document); err != nil {
		t.Fatal(err)
	}
	clear(document)
	known, err := cache.Parse(der)
	if err != nil || !bytes.Equal(known.Raw, der) || known.Subject.CommonName() != "root" {
		t.Error("the certificate went with its document:", err)
	}
}
