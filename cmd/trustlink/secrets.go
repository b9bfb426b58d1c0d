package main

import (
	"errors"
	"io/fs"
	"os"

	"trustcore/internal/durable"
	"trustcore/vpn"
	"trustcore/vpn/tunnel"
)

// The files of secrets that rotate, beside those of the enrolment.
const (
	secretsFile   = "secrets.json"         // pre-shared keys
	nextKeyFile   = "wireguard.next.key"   // to which the office changes
	formerKeyFile = "wireguard.former.key" // from which it changed
	maxSecrets    = 64 << 10               // bytes
)

// secrets are the pre-shared keys of the tunnel. What the hub may have now is on disk before the hub can have it, and
// what it had before stays until the next rotation: so the office finds the one that holds after a crash of either
// end, and after the core's database was taken back.
type secrets struct {
	TokenSHA256 string `json:"token_sha256"` // of the enrolment that they belong to

	InUse   agreed  `json:"in_use"`
	Former  *agreed `json:"former,omitempty"`
	Offered *agreed `json:"offered,omitempty"` // agreed on; the hub changes to it when the office confirms
}

// agreed is one pre-shared key.
type agreed struct {
	Serial int64            `json:"serial"` // 0 is no key
	Key    vpn.PresharedKey `json:"key"`
}

// secrets reads those that belong to the enrolment; where none were rotated they are the enrolment's.
func (s state) secrets(r record) (secrets, error) {
	own := secrets{TokenSHA256: r.TokenSHA256, InUse: agreed{Key: r.Enrolment.Hub.PresharedKey}}
	if !own.InUse.Key.IsZero() {
		own.InUse.Serial = 1
	}
	var kept secrets
	there, err := s.readJSON(secretsFile, &kept)
	if err != nil || !there {
		return own, err
	}
	if kept.TokenSHA256 != r.TokenSHA256 {
		return own, nil // of the enrolment before
	}
	return kept, nil
}

func (s state) keepSecrets(kept secrets) error { return s.writeJSON(secretsFile, kept) }

// candidate is credentials which the hub may have.
type candidate struct {
	tunnel.Credentials
	file   string // of the key
	serial int64
}

// candidates are the credentials of which the hub has one, best first.
func (s state) candidates(kept secrets) (all []candidate, err error) {
	for _, file := range []string{wireguardKeyFile, nextKeyFile, formerKeyFile} {
		if _, err := os.Stat(s.path(file)); file != wireguardKeyFile && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		key, err := vpn.LoadOrCreateKey(s.path(file))
		if err != nil {
			return nil, err
		}
		for _, preshared := range []*agreed{&kept.InUse, kept.Offered, kept.Former} {
			if preshared != nil {
				all = append(all, candidate{tunnel.Credentials{PrivateKey: key, PresharedKey: preshared.Key}, file, preshared.Serial})
			}
		}
	}
	return all, nil
}

// settle makes the credentials that the hub has the ones in use.
func (s state) settle(kept *secrets, c candidate) error {
	if err := s.takeKey(c.file); err != nil {
		return err
	}
	before := kept.InUse
	switch {
	case c.PresharedKey == before.Key:
		return nil
	case kept.Offered != nil && c.PresharedKey == kept.Offered.Key:
		kept.InUse, kept.Offered = *kept.Offered, nil
	case kept.Former != nil && c.PresharedKey == kept.Former.Key:
		kept.InUse = *kept.Former
	}
	kept.Former = &before
	return s.keepSecrets(*kept)
}

// takeKey makes the key in a file the one in use, and keeps the one before. Whatever it is interrupted after, the key
// that the hub has is in a file.
func (s state) takeKey(file string) error {
	if file == wireguardKeyFile {
		return nil
	}
	present, err := os.ReadFile(s.path(wireguardKeyFile))
	if err != nil {
		return err
	}
	taken, err := os.ReadFile(s.path(file))
	if err != nil {
		return err
	}
	if file == formerKeyFile {
		return errors.Join(s.write(wireguardKeyFile, taken), s.write(formerKeyFile, present))
	}
	if err := s.write(formerKeyFile, present); err != nil {
		return err
	}
	if err := s.write(wireguardKeyFile, taken); err != nil {
		return err
	}
	return durable.Remove(s.path(file))
}
