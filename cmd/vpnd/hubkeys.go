package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"trustcore/internal/durable"
	"trustcore/vpn"
	"trustcore/vpn/hub"
)

// hubKeys is which of the hub's two places its keys are in. A place is an interface, a port, a file for the key and a folder;
// the hub uses them in turn, one at a time but while it changes its key.
type hubKeys struct {
	cfg Config

	Use      int   `json:"use"`              // the place of the key that all offices know
	Changing bool  `json:"changing"`         // the other place has the next key
	Serial   int64 `json:"serial,omitempty"` // grows with each change; 0 while no pair of gateways has the keys
}

// hubKeysFile holds the above; without it the first place alone is used.
const (
	hubKeysFile = "hubkeys.json"
	maxHubKeys  = 4 << 10 // bytes
)

func openHubKeys(cfg Config) (*hubKeys, error) {
	k := &hubKeys{cfg: cfg}
	data, err := durable.ReadFile(filepath.Join(cfg.StateDir, hubKeysFile), maxHubKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(data, k)
	}
	if err == nil && k.Use != 0 && k.Use != 1 {
		err = errors.New("there is no such place")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hubKeysFile, err)
	}
	return k, nil
}

// keep writes which places are used.
func (k *hubKeys) keep(use int, changing bool) error {
	serial := k.Serial
	if serial > 0 {
		serial++
	}
	return k.write(hubKeys{cfg: k.cfg, Use: use, Changing: changing, Serial: serial})
}

func (k *hubKeys) write(now hubKeys) error {
	data, err := json.Marshal(now)
	if err == nil {
		err = durable.WriteFile(filepath.Join(k.cfg.StateDir, hubKeysFile), data, 0o600)
	}
	if err == nil {
		*k = now
	}
	return err
}

// found makes the secret of a pair of which this gateway is the first.
func (k *hubKeys) found() error {
	if k.Serial > 0 {
		return nil
	}
	var secret vpn.PairSecret
	rand.Read(secret[:]) // never fails
	if err := durable.WriteFile(filepath.Join(k.cfg.StateDir, pairFile), secret[:], 0o600); err != nil {
		return err
	}
	if _, err := vpn.LoadOrCreateKey(k.file(k.Use)); err != nil {
		return err
	}
	return k.write(hubKeys{cfg: k.cfg, Use: k.Use, Changing: k.Changing, Serial: 1})
}

// all are the keys, for the other gateway of the pair.
func (k *hubKeys) all() (all vpn.HubKeys, err error) {
	all = vpn.HubKeys{Serial: k.Serial, Use: k.Use, Changing: k.Changing}
	if all.Secret, err = loadSecret(filepath.Join(k.cfg.StateDir, pairFile)); err != nil {
		return all, err
	}
	for place := range all.Keys {
		if place != k.Use && !k.Changing {
			continue
		}
		if !exists(k.file(place)) { // to make one here would be another hub
			return all, fmt.Errorf("the hub's key %s is missing: restore it from a backup", k.file(place))
		}
		if all.Keys[place], err = vpn.LoadOrCreateKey(k.file(place)); err != nil {
			return all, err
		}
	}
	return all, nil
}

// take replaces the keys by later ones of the other gateway, which knows the secret of the pair. What was written before a crash
// is of no harm: the number comes last, and a gateway with an older one is given them again.
func (k *hubKeys) take(all vpn.HubKeys) error {
	secretFile := filepath.Join(k.cfg.StateDir, pairFile)
	if k.Serial > 0 {
		secret, err := loadSecret(secretFile)
		if err != nil {
			return err
		}
		if !secret.Equal(all.Secret) {
			return errors.New("keys of a hub came that no gateway of this pair sealed: they are not taken")
		}
	}
	if all.Serial <= k.Serial {
		return fmt.Errorf("keys of a hub came with number %d, those at hand have %d: they are not taken", all.Serial, k.Serial)
	}
	err := durable.WriteFile(secretFile, all.Secret[:], 0o600)
	for place, key := range all.Keys {
		if err == nil && !key.IsZero() {
			err = vpn.KeepKey(k.file(place), key)
		}
	}
	if err == nil {
		err = k.write(hubKeys{cfg: k.cfg, Use: all.Use, Changing: all.Changing, Serial: all.Serial})
	}
	for place, key := range all.Keys {
		if err == nil && key.IsZero() {
			err = durable.Remove(k.file(place))
		}
	}
	return err
}

func (k *hubKeys) file(place int) string {
	return filepath.Join(k.cfg.StateDir, []string{"hub.key", "hub2.key"}[place])
}

// at is the configuration of a hub in a place, with the key there, which is made where there is none.
func (k *hubKeys) at(place int, base hub.Config) (hub.Config, error) {
	key, err := vpn.LoadOrCreateKey(k.file(place))
	if err != nil {
		return base, err
	}
	base.PrivateKey, base.StateDir = key, k.cfg.StateDir
	base.Interface, base.Beside, base.ListenPort = k.cfg.Interface, k.cfg.secondInterface(), k.cfg.ListenPort
	if place == 1 {
		base.Interface, base.Beside, base.ListenPort = base.Beside, base.Interface, k.cfg.secondPort()
		base.StateDir = filepath.Join(k.cfg.StateDir, "second")
		err = os.MkdirAll(base.StateDir, 0o700)
	}
	return base, err
}

// open opens the hub, with both keys where it changes its key.
func (g *gateway) open() (*hub.Pair, error) {
	g.hub.Resting, g.hub.Keeps = g.rests(), g.wishHeld() != nil
	cfg, err := g.keys.at(g.keys.Use, g.hub)
	if err != nil {
		return nil, err
	}
	opened, err := hub.OpenPair(cfg)
	if err != nil || !g.keys.Changing {
		return opened, err
	}
	if cfg, err = g.keys.at(1-g.keys.Use, g.hub); err == nil {
		err = opened.Begin(cfg)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// changeKey does what trustd asks for, until a report says that it is done.
func (g *gateway) changeKey(h *hub.Pair, s vpn.Status, answer vpn.Answer) {
	var err error
	switch {
	case answer.BeginHubKey && s.Next == nil:
		if err = g.beginKey(h); err == nil {
			g.log.Info("the hub has its next key: offices follow")
		}
	case s.Next != nil && answer.EndHubKey == s.PublicKey:
		if err = g.endKey(h); err == nil {
			g.log.Info("the hub's former key has ended", "public_key", s.PublicKey.String())
		}
	}
	if err != nil {
		g.log.Error("the hub's key is not changed", "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keyProblem = err
}

// beginKey makes another key in the other place. One that lies there was ended, or never told to anybody.
func (g *gateway) beginKey(h *hub.Pair) error {
	other := 1 - g.keys.Use
	if err := durable.Remove(g.keys.file(other)); err != nil {
		return err
	}
	cfg, err := g.keys.at(other, g.hub)
	if err != nil {
		return err
	}
	if err := h.Begin(cfg); err != nil {
		return err
	}
	return g.keys.keep(g.keys.Use, true)
}

// endKey ends the key that offices knew before, and destroys it.
func (g *gateway) endKey(h *hub.Pair) error {
	former := g.keys.Use
	if err := g.keys.keep(1-former, false); err != nil {
		return err
	}
	return errors.Join(h.End(), durable.Remove(g.keys.file(former)))
}
