package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"trustcore/cmd/internal/program"
	"trustcore/internal/durable"
	"trustcore/vpn"
	"trustcore/vpn/failover"
	"trustcore/vpn/hub"
)

// PairConfig makes the gateway one of a pair, of which one carries the tunnels and the other stands by.
type PairConfig struct {
	Interface string         `koanf:"interface"` // of the host, which has the addresses below while this gateway carries
	Addresses []netip.Addr   `koanf:"addresses"` // at which offices know the hub: they move from one gateway to the other
	Listen    netip.AddrPort `koanf:"listen"`    // own address and UDP port for the other gateway
	Peer      netip.AddrPort `koanf:"peer"`      // the other gateway's
	KeysFrom  string         `koanf:"keys_from"` // name of the gateway whose hub's keys this one takes; "" where it has its own
}

func (p *PairConfig) check() error {
	switch {
	case p == nil:
		return nil
	case len(p.Interface) == 0 || len(p.Interface) > maxInterface:
		return fmt.Errorf("pair.interface: %q has not 1 to 15 characters", p.Interface)
	case len(p.Addresses) == 0 || len(p.Addresses) > maxVirtual:
		return fmt.Errorf("pair.addresses: %d addresses, not 1 to %d: those at which offices know the hub", len(p.Addresses), maxVirtual)
	case !p.Listen.IsValid() || p.Listen.Port() == 0 || p.Listen.Addr().IsUnspecified():
		return errors.New("pair.listen is missing: own address and UDP port for the other gateway, such as 192.0.2.2:51819")
	case !p.Peer.IsValid() || p.Peer.Port() == 0 || p.Peer == p.Listen:
		return errors.New("pair.peer is missing: address and UDP port of the other gateway, such as 192.0.2.3:51819")
	}
	families := map[bool]bool{}
	for _, a := range p.Addresses {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || families[a.Is4()] {
			return fmt.Errorf("pair.addresses: %v is no address of its own, or a second one of its family", a)
		}
		if a == p.Listen.Addr() || a == p.Peer.Addr() {
			return fmt.Errorf("pair.addresses: %v is that of one gateway alone", a)
		}
		families[a.Is4()] = true
	}
	return nil
}

const maxVirtual = 2 // one of each family

const (
	recipientFile = "recipient.key" // to which the hub's keys are sealed
	pairFile      = "pair.key"      // what the two gateways have in common
	maxPairFile   = 4 << 10         // bytes
	sharesEvery   = 2 * time.Second // while there are none
)

// pair is the gateway's part in a pair.
type pair struct {
	recipient *vpn.Recipient
	name      string             // of this gateway, by its certificate
	member    *failover.Member   // nil before the keys are there
	moved     chan struct{}      // something happened to the roles: it is to be told
	heard     int64              // serial number of where offices were heard; 0 is nothing yet
	problem   error              // why keys are not given or taken. Guarded by gateway.mu
	carrier   *hub.Pair          // the hub that is open; nil while none is. Guarded by gateway.mu
	stop      context.CancelFunc // of member
	stopped   chan error         // what came of it
}

// errKeysChanged has the hub opened again.
var errKeysChanged = errors.New("the hub's keys are others: the hub is opened again")

// joinPair waits until the gateway has the hub's keys, and takes part then. ctx ends the wait.
func (g *gateway) joinPair(ctx context.Context) error {
	if g.cfg.Pair == nil {
		return nil
	}
	shown, err := g.cfg.Identity.Shown()
	if err != nil {
		return err
	}
	recipient, err := loadRecipient(filepath.Join(g.cfg.StateDir, recipientFile))
	if err != nil {
		return err
	}
	p := &pair{recipient: recipient, name: shown.Subject.CommonName, moved: make(chan struct{}, 1)}
	g.pair = p
	if g.cfg.Pair.KeysFrom == "" {
		if err := g.keys.found(); err != nil {
			return err
		}
	}
	for ctx.Err() == nil && g.keys.Serial == 0 {
		err := g.share(ctx)
		if err == nil && g.keys.Serial == 0 {
			err = fmt.Errorf("no keys of the hub yet: two officers give them by trustctl motion share-hub-keys %s, this gateway's key is %s",
				p.name, vpn.RecipientName(recipient.Public()))
		}
		g.noteHub(err)
		if err != nil {
			program.Pause(ctx, sharesEvery)
		}
	}
	return ctx.Err()
}

// enter takes part in the agreement on who carries. It needs the addresses' interface, and is tried again where that fails.
func (g *gateway) enter(ctx context.Context) error {
	p := g.pair
	if p == nil || p.member != nil {
		return nil
	}
	secret, err := loadSecret(filepath.Join(g.cfg.StateDir, pairFile))
	if err != nil {
		return err
	}
	key, err := hkdf.Expand(sha256.New, secret[:], "trustcore gateway adverts 1", sha256.Size)
	if err != nil {
		return err
	}
	c := g.cfg.Pair
	m, err := failover.Open(failover.Config{Interface: c.Interface, Addresses: c.Addresses, Listen: c.Listen, Peer: c.Peer, Key: key,
		Hub: g.cfg.Interface, Ports: []uint16{g.cfg.ListenPort, g.cfg.secondPort()}, StateDir: g.cfg.StateDir, Carry: g.carry, Log: g.log})
	if err != nil {
		return err
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.member, p.stopped = m, make(chan error, 1)
	go func() { p.stopped <- m.Run(ctx) }()
	return nil
}

// leave hands the tunnels over, if there is somebody to take them, and takes part no more.
func (g *gateway) leave() error {
	if g.pair == nil || g.pair.member == nil {
		return nil
	}
	g.pair.stop()
	return <-g.pair.stopped
}

// rests says whether the hub is to be silent.
func (g *gateway) rests() bool {
	return g.pair != nil && g.pair.member != nil && !g.pair.member.Active()
}

// carry has the hub that is open carry, or rest. Where none is, the next one is opened so.
func (g *gateway) carry(is bool) error {
	g.mu.Lock()
	opened := g.pair.carrier
	g.mu.Unlock()
	var err error
	if opened != nil {
		started := time.Now()
		err = opened.Carry(is)
		g.log.Info("the hub changed its role", "carries", is, "took", time.Since(started).String(), "error", err)
	}
	select {
	case g.pair.moved <- struct{}{}:
	default:
	}
	return err
}

// present names the hub that is open, nil for none, and has it do what the role is by now.
func (g *gateway) present(opened *hub.Pair) error {
	if g.pair == nil {
		return nil
	}
	g.mu.Lock()
	g.pair.carrier = opened
	g.mu.Unlock()
	if g.pair.member == nil {
		return nil
	}
	if opened == nil {
		g.pair.member.Ready(false)
		return nil
	}
	return opened.Carry(g.pair.member.Active())
}

// movement gives a value when the roles changed; a gateway that is alone has none.
func (g *gateway) movement() <-chan struct{} {
	if g.pair == nil {
		return nil
	}
	return g.pair.moved
}

// prepare says whether the gateway could carry.
func (g *gateway) prepare(ctx context.Context) {
	if g.pair != nil && g.pair.member != nil {
		g.pair.member.Ready(g.ready(ctx) == nil)
	}
}

// attend does what a gateway of a pair does now and then: it shares keys, and learns where offices were heard.
func (g *gateway) attend(ctx context.Context, h *hub.Pair) error {
	p := g.pair
	if p == nil || p.member == nil {
		return nil
	}
	before := g.keys.Serial
	err := g.share(ctx)
	if err == nil && g.keys.Serial != before {
		p.heard = 0 // the hub of the next key has learnt nothing yet
		return errKeysChanged
	}
	if err == nil && g.rests() {
		err = g.learn(ctx, h)
	}
	if err != nil && ctx.Err() == nil {
		g.log.Warn("the pair of gateways", "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p.problem = err
	return nil
}

// share tells trustd of the keys that this gateway has, seals them for whom it names, and takes later ones. A gateway that
// carries takes none: its own are those by which offices know the hub.
func (g *gateway) share(ctx context.Context) error {
	p := g.pair
	offer := vpn.KeyOffer{Recipient: p.recipient.Public(), From: g.cfg.Pair.KeysFrom, Serial: g.keys.Serial}
	answer, err := g.trustd.offerKeys(ctx, offer)
	if err != nil {
		return err
	}
	carries := p.member != nil && p.member.Active()
	if len(answer.Sealed) > 0 && !carries {
		return g.takeKeys(answer.Sealed)
	}
	if len(answer.SealFor) == 0 || p.member != nil && !carries {
		return nil
	}
	keys, err := g.keys.all()
	if err != nil {
		return err
	}
	offer.Sealed = map[string][]byte{}
	for name, recipient := range answer.SealFor {
		if offer.Sealed[name], err = vpn.SealHubKeys(keys, name, recipient); err != nil {
			return err
		}
		g.log.Info("the hub's keys are sealed for the other gateway", "gateway", name, "key", vpn.RecipientName(recipient), "serial", keys.Serial)
	}
	_, err = g.trustd.offerKeys(ctx, offer)
	return err
}

// takeKeys takes keys that the other gateway sealed.
func (g *gateway) takeKeys(sealed []byte) error {
	keys, err := g.pair.recipient.Open(sealed, g.pair.name)
	if err != nil {
		return err
	}
	if err := g.keys.take(keys); err != nil {
		return err
	}
	g.log.Info("the hub has the keys of the other gateway", "serial", keys.Serial)
	return nil
}

// learn asks where the other gateway heard the offices.
func (g *gateway) learn(ctx context.Context, h *hub.Pair) error {
	for {
		heard, err := g.trustd.heard(ctx, g.pair.heard)
		if err != nil || len(heard.Offices) == 0 || len(heard.Offices) > vpn.MaxHeard {
			return err
		}
		here, followed := map[vpn.Key]vpn.Heard{}, map[vpn.Key]vpn.Heard{}
		for _, o := range heard.Offices {
			if o.Followed {
				followed[o.PublicKey] = o
			} else {
				here[o.PublicKey] = o
			}
		}
		if err := h.Learn(here, followed); err != nil {
			return err
		}
		if heard.Serial <= g.pair.heard {
			return nil
		}
		g.pair.heard = heard.Serial
	}
}

// status is how the pair stands, for a report.
func (p *pair) status(serial int64) *vpn.PairStatus {
	if p == nil || p.member == nil {
		return nil
	}
	s := p.member.Status()
	s.KeysSerial = serial
	if s.Problem == "" && p.problem != nil {
		s.Problem = p.problem.Error()
	}
	return &s
}

// loadRecipient reads the key in the file, or makes one.
func loadRecipient(file string) (*vpn.Recipient, error) {
	secret, err := durable.ReadFile(file, maxPairFile)
	if err == nil {
		return vpn.ParseRecipient(secret)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r, err := vpn.NewRecipient()
	if err != nil {
		return nil, err
	}
	if secret, err = r.Secret(); err != nil {
		return nil, err
	}
	return r, durable.WriteFile(file, secret, 0o600)
}

// loadSecret reads what the two gateways have in common.
func loadSecret(file string) (s vpn.PairSecret, err error) {
	data, err := durable.ReadFile(file, maxPairFile)
	if err == nil && len(data) != len(s) {
		err = fmt.Errorf("%s has %d bytes, not %d", file, len(data), len(s))
	}
	if err != nil {
		return s, err
	}
	copy(s[:], data)
	return s, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}
