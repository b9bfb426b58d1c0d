package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/p11kit"
	"trustcore/hsm/remote"
)

// refusingGateway lists one key and refuses each use of it.
type refusingGateway struct {
	spki   []byte
	status int
	kind   string // the refusal's type
	gone   bool   // the key is listed no more
	lists  int
}

func (g *refusingGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/keys" {
		w.WriteHeader(g.status)
		_ = json.NewEncoder(w).Encode(map[string]any{"type": g.kind, "detail": "no"})
		return
	}
	g.lists++
	keys := []map[string]any{{"id": strings.Repeat("0", 32), "label": "open", "algorithm": "RSA-2048", "public_key": g.spki, "usable": true,
		"mechanisms": []mechanism.Mechanism{mechanism.RSAOAEPSHA256, mechanism.RSAPKCS1SHA256}}}
	if g.gone {
		keys = nil
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}

// A refusal of a signature and one of a decryption have the list asked for again, whatever the gateway refuses; that a
// ciphertext was not made for the key does not, for it says nothing of the key. A key that is gone then is refused
// without a request.
func TestRefusalsRenewTheList(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &refusingGateway{}
	if g.spki, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(g)
	defer server.Close()
	keys := newOfficeKeys(state{t.TempDir()})
	if keys.link, err = remote.NewClient(server.URL, server.Client()); err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	uses := map[string]func() error{
		"sign": func() error {
			_, err := keys.Sign(t.Context(), id, mechanism.RSAPKCS1SHA256, make([]byte, 32))
			return err
		},
		"decrypt": func() error {
			_, err := keys.Decrypt(t.Context(), id, mechanism.RSAOAEPSHA256, make([]byte, 256))
			return err
		},
	}
	list := func() (asked bool, listed int) {
		before := g.lists
		all, err := keys.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return g.lists > before, len(all)
	}
	list()
	for _, c := range []struct {
		use, kind string
		status    int
		want      error
		renews    bool
	}{
		{"sign", "urn:trustcore:hsm:key-suspended", http.StatusForbidden, p11kit.ErrRefused, true},
		{"decrypt", "urn:trustcore:hsm:key-suspended", http.StatusForbidden, p11kit.ErrRefused, true},
		{"decrypt", remote.Undecryptable, http.StatusUnprocessableEntity, p11kit.ErrUndecryptable, false},
	} {
		g.kind, g.status = c.kind, c.status
		if err := uses[c.use](); !errors.Is(err, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.use, c.kind, err, c.want)
		}
		if asked, _ := list(); asked != c.renews {
			t.Errorf("%s, %s: the list was asked for again: %t", c.use, c.kind, asked)
		}
	}
	g.gone, g.kind, g.status = true, "urn:trustcore:hsm:key-destroyed", http.StatusForbidden
	_ = uses["decrypt"]()
	if _, listed := list(); listed != 0 {
		t.Errorf("%d keys after the only one was destroyed", listed)
	}
	for what, use := range uses {
		if err := use(); !errors.Is(err, p11kit.ErrRefused) || !strings.Contains(err.Error(), "no longer listed") {
			t.Errorf("%s with a key that is gone: %v", what, err)
		}
	}
}
