package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/p11kit"
)

// While the office seals and signs, another version of its key takes the place of the first: what seals goes on with
// that one and its certificate, and PKCS#11 programs find it under the name, and the one before to verify by.
func TestAnotherVersionTakesThePlace(t *testing.T) {
	w := newSealWorld(t)
	l, err := openLink(state{w.dir})
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSealer(t.Context(), l, sealOptions{key: "seal", level: "B-B", other: asSignature})
	if err != nil {
		t.Fatal(err)
	}
	programs := newOfficeKeys(state{w.dir})
	before, err := programs.Keys(t.Context())
	if err != nil || len(before) != 1 || before[0].Label != "seal" || before[0].VerifiesAlone {
		t.Fatalf("%+v, %v", before, err)
	}
	next := w.addVersion(2)
	sealed, err := s.document(t.Context(), "a.pdf", []byte(smallPDF()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(sealed.Content, []byte(hex.EncodeToString(next.Raw))) && !bytes.Contains(sealed.Content, []byte(strings.ToUpper(hex.EncodeToString(next.Raw)))) {
		t.Error("it was not sealed under the next version's certificate")
	}
	if _, err := programs.Sign(t.Context(), before[0].ID, mechanism.ECDSASHA256, make([]byte, 32)); !errors.Is(err, p11kit.ErrRefused) {
		t.Errorf("signing with the one before: %v", err)
	}
	now, err := programs.Keys(t.Context())
	if err != nil || len(now) != 2 || now[0].Label != "seal" || now[0].VerifiesAlone || !bytes.Equal(now[0].Chain[0], next.Raw) ||
		now[1].Label != "seal/1" || !now[1].VerifiesAlone || !bytes.Equal(now[1].ID, before[0].ID) {
		t.Errorf("%+v, %v", now, err)
	}
	if _, err := programs.Sign(t.Context(), now[0].ID, mechanism.ECDSASHA256, make([]byte, 32)); err != nil {
		t.Error(err)
	}
	if k, err := l.key(t.Context(), "seal/2"); err != nil || k.Info().ID != w.grants[1].KeyID {
		t.Errorf("by the name of its version: %v", err)
	}
}

// Who names a key that decrypts where one signs is told so; it is no choice where none is named.
func TestKeyThatDecryptsSealsNothing(t *testing.T) {
	w := newSealWorld(t)
	w.addOpener()
	l, err := openLink(state{w.dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.key(t.Context(), "open"); err == nil || !strings.Contains(err.Error(), "decrypts, and signs nothing") {
		t.Errorf("the one that decrypts: %v", err)
	}
	for _, name := range []string{"", "seal"} {
		if k, err := l.key(t.Context(), name); err != nil || k.Info().Label != "seal" {
			t.Errorf("%q: %v", name, err)
		}
	}
}
