package mechanism

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"testing"
)

func TestOptionsNameTheirMechanism(t *testing.T) {
	rsaKey := &rsa.PublicKey{}
	ecKey := &ecdsa.PublicKey{Curve: elliptic.P256()}
	for _, e := range table {
		pub := crypto.PublicKey(rsaKey)
		if e.family == ec {
			pub = ecKey
		}
		if e.family == oaep {
			continue // it signs nothing
		}
		got, err := Of(pub, e.name.Options())
		if err != nil || got != e.name {
			t.Errorf("Of(%s.Options()) = %q, %v", e.name, got, err)
		}
		back, err := ByCode(e.name.Code())
		if err != nil || back != e.name {
			t.Errorf("ByCode(%s.Code()) = %q, %v", e.name, back, err)
		}
		if parsed, err := Parse(string(e.name)); err != nil || parsed != e.name {
			t.Errorf("Parse(%s) = %q, %v", e.name, parsed, err)
		}
	}
}

func TestOfRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		pub  crypto.PublicKey
		opts crypto.SignerOpts
	}{
		"raw RSA":        {&rsa.PublicKey{}, crypto.Hash(0)},
		"nil options":    {&rsa.PublicKey{}, nil},
		"SHA-1":          {&rsa.PublicKey{}, crypto.SHA1},
		"MD5+SHA-1":      {&rsa.PublicKey{}, crypto.MD5SHA1},
		"short PSS salt": {&rsa.PublicKey{}, &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}},
		"PSS no hash":    {&rsa.PublicKey{}, &rsa.PSSOptions{SaltLength: 1}},
		"PSS on EC":      {&ecdsa.PublicKey{}, &rsa.PSSOptions{Hash: crypto.SHA256}},
		"Ed25519":        {ed25519.PublicKey{}, crypto.SHA256},
	} {
		if got, err := Of(c.pub, c.opts); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestCheckDigest(t *testing.T) {
	if err := RSAPKCS1SHA256.CheckDigest(make([]byte, 32)); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 20, 31, 33, 51, 256} {
		if RSAPKCS1SHA256.CheckDigest(make([]byte, n)) == nil {
			t.Errorf("a digest of %d bytes passes", n)
		}
	}
	if Mechanism("RSA").CheckDigest(nil) == nil {
		t.Error("an unknown mechanism passes")
	}
}

func TestParseList(t *testing.T) {
	if _, err := ParseList([]string{"ECDSA-SHA256", "ECDSA-SHA256"}); err == nil {
		t.Error("a repeated mechanism passes")
	}
	if _, err := ParseList([]string{"RSA-RAW"}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("unknown name: %v", err)
	}
}
