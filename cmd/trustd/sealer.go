package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"trustcore/internal/durable"
	"trustcore/vpn"
)

// sealer keeps the tunnels' pre-shared keys in the database as nobody reads them who has the database alone: enciphered with
// a key in a file of trustd's own. All nodes of one database need the same file.
type sealer struct{ aead cipher.AEAD }

const (
	sealerFile   = "tunnel-secrets.key" // in state_dir
	sealerKeyLen = 32                   // AES-256
)

// sealedKind is what a sealed text is about, so that one of another kind can't be put in its place.
var sealedKind = []byte("tunnel pre-shared key")

// openSealer reads the key in file, or makes one.
func openSealer(file string) (*sealer, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, sealerKeyLen)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		if err := durable.WriteFile(file, key, 0o600); err != nil {
			return nil, fmt.Errorf("key of the tunnels' secrets: %w", err)
		}
	} else if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s can be read by others: run chmod 600 on it", file)
		return nil, err
	}
	key, err := durable.ReadFile(file, sealerKeyLen)
	if err == nil && len(key) != sealerKeyLen {
		err = fmt.Errorf("%s has %d bytes, not %d: restore it from the backup", file, len(key), sealerKeyLen)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the tunnels' secrets: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead}, err
}

func (s *sealer) seal(key vpn.PresharedKey) string {
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nil, nil, key[:], sealedKind))
}

// open reads a sealed key; no text is no key.
func (s *sealer) open(sealed string) (key vpn.PresharedKey, err error) {
	if sealed == "" {
		return key, nil
	}
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return key, errors.New("the pre-shared key is damaged")
	}
	secret, err := s.aead.Open(nil, nil, text, sealedKind)
	if err != nil || len(secret) != vpn.KeyLen {
		return key, errors.New("the pre-shared key was enciphered with another key than trustd's, or is damaged")
	}
	return vpn.PresharedKey(secret), nil
}
