package vpn

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Limits of a wish. They are far above a region (54 partners, 500 units) and keep a
// damaged or hostile wish from filling memory.
const (
	MaxWishBytes       = 32 << 20 // JSON; 20,000 peers with eight services each take 20 MB
	MaxPeers           = 20_000   // a WireGuard device takes 65,536
	MaxAddressesOfPeer = 16
	MaxServicesOfPeer  = 64
	MaxNetworksOfPeer  = 16
	MaxNetworks        = 2_000 // of all peers; a region has 500 units
	maxNameLen         = 128   // partner, site and service names, in bytes
)

// Wish is the desired state of one hub. It is complete: a peer that is not in it has no
// access. It may hold pre-shared keys, so it travels over mTLS only; logs show a summary.
type Wish struct {
	// Epoch names the database that the wish comes from, Revision grows with every change of it. A
	// database that was taken back has another epoch, so that a lower revision is no older wish then.
	Epoch    string `json:"epoch"`
	Revision int64  `json:"revision"`
	// Digest stands for all else in the wish, services included: who reports it has carried out this wish.
	Digest string         `json:"digest"`
	Pool   []netip.Prefix `json:"pool,omitempty"` // where the addresses of offices come from
	Peers  []PeerWish     `json:"peers"`

	refused []Refusal // peers that could not be read
}

// Sealed is the wish with its digest.
func (w Wish) Sealed() (Wish, error) {
	w.Digest = ""
	data, err := json.Marshal(w)
	if err != nil {
		return w, fmt.Errorf("digest of the wish: %w", err)
	}
	w.Digest = fmt.Sprintf("%x", sha256.Sum256(data))
	return w, nil
}

// PeerWish is one office end of a tunnel.
type PeerWish struct {
	Partner      string         `json:"partner"` // identifier of the partner
	Site         string         `json:"site"`    // identifier of the site within the partner
	PublicKey    Key            `json:"public_key"`
	PresharedKey PresharedKey   `json:"preshared_key,omitzero"`
	Addresses    []netip.Prefix `json:"addresses"` // tunnel addresses, /32 or /128, nobody else's
	Services     []Service      `json:"services"`  // what the office may reach

	// Networks are behind the office: machines there reach the services by their own addresses. They are nobody else's.
	Networks []netip.Prefix `json:"networks,omitempty"`

	// NextKey is the key that the office changes to. While it is there both keys are the office's, and the one that was
	// heard last has the addresses.
	NextKey Key `json:"next_public_key,omitzero"`

	// Dormant is a key that may shake hands and has no addresses, so that nothing passes. No wish says so: a hub does,
	// of the one of two keys that does not carry.
	Dormant bool `json:"-"`
}

// Service is a transport address inside the data centre that an office may reach.
type Service struct {
	Name  string         `json:"name"`
	Proto string         `json:"proto"` // "tcp" or "udp"
	Addr  netip.AddrPort `json:"addr"`  // as the office sees it, through the tunnel

	// Backend is where the hub hands connections over in mode netstack, where no
	// interface carries Addr. The other modes do not look at it.
	Backend netip.AddrPort `json:"backend,omitzero"`
}

// FieldError names the field of a wish for which the whole wish can't be taken.
type FieldError struct {
	Field   string // as in the JSON, such as "revision"
	Problem string
}

// Error names the field and what is wrong with it.
func (e *FieldError) Error() string { return "wish: " + e.Field + ": " + e.Problem }

// Refusal is one peer of a wish that is not granted, or one service of it; everything else is.
type Refusal struct {
	Partner   string `json:"partner"`
	Site      string `json:"site"`
	PublicKey string `json:"public_key"` // as the wish has it
	Field     string `json:"field"`      // of the peer, as in the JSON, such as "addresses[0]"
	Problem   string `json:"problem"`
}

// LogValue is a summary without secrets.
func (w Wish) LogValue() slog.Value {
	return slog.GroupValue(slog.String("epoch", w.Epoch), slog.Int64("revision", w.Revision), slog.String("digest", w.Digest), slog.Int("peers", len(w.Peers)))
}

// LogValue leaves the pre-shared key out.
func (p PeerWish) LogValue() slog.Value {
	return slog.GroupValue(slog.String("partner", p.Partner), slog.String("site", p.Site), slog.String("public_key", p.PublicKey.String()))
}

// ParseWish reads one wish in JSON, peer by peer: one that can't be read is refused alone. Fields that this
// program does not know are refused, since a restriction must not be lost.
func ParseWish(data []byte) (Wish, error) {
	if len(data) > MaxWishBytes {
		return Wish{}, fmt.Errorf("wish: longer than %d bytes", MaxWishBytes)
	}
	var outer struct {
		Wish
		Peers []json.RawMessage `json:"peers"`
	}
	if err := decode(data, &outer); err != nil {
		return Wish{}, fmt.Errorf("wish: %w", err)
	}
	w := outer.Wish
	w.Peers = make([]PeerWish, 0, len(outer.Peers))
	for _, raw := range outer.Peers {
		var p PeerWish
		if err := decode(raw, &p); err != nil {
			w.refused = append(w.refused, unreadable(raw, err))
			continue
		}
		w.Peers = append(w.Peers, p)
	}
	return w, w.Validate()
}

// decode reads one JSON value and nothing after it.
func decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	return nil
}

// unreadable names a peer by whatever of its names can be read.
func unreadable(raw []byte, err error) Refusal {
	var named struct {
		Partner   any `json:"partner"`
		Site      any `json:"site"`
		PublicKey any `json:"public_key"`
	}
	text := func(v any) string { s, _ := v.(string); return s }
	if json.Unmarshal(raw, &named) != nil {
		named.PublicKey = string(raw)
	}
	return refusal(text(named.Partner), text(named.Site), text(named.PublicKey), "peer", err.Error())
}

// refusal keeps what strangers wrote short and printable.
func refusal(partner, site, key, field, problem string) Refusal {
	return Refusal{Partner: printable(partner), Site: printable(site), PublicKey: printable(key), Field: field, Problem: printable(problem)}
}

// Refusal is why the peer, or what the field names of it, is not granted.
func (p PeerWish) Refusal(field, problem string) Refusal {
	return refusal(p.Partner, p.Site, p.PublicKey.String(), field, problem)
}

func printable(s string) string {
	if len(s) > maxNameLen {
		s = s[:maxNameLen]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// Validate refuses a wish of which not even its place among the others is known.
func (w Wish) Validate() error {
	if w.Revision < 0 {
		return &FieldError{"revision", "is negative"}
	}
	if len(w.Epoch) > maxNameLen || len(w.Digest) > maxNameLen {
		return &FieldError{"epoch", fmt.Sprintf("it or the digest is longer than %d bytes", maxNameLen)}
	}
	for _, p := range w.Pool {
		if !p.IsValid() || p.Bits() == 0 || p.Addr().Is4In6() {
			return &FieldError{"pool", p.String() + " is no range of addresses"}
		}
	}
	return nil
}

// Divide says what of the wish is granted by hubs of these keys and addresses: a peer that can't be costs
// only itself. An address belongs to one peer alone, the first: WireGuard itself would take it from one and
// give it to the other without a word. The services' addresses are nobody's.
func (w Wish) Divide(hubs []Key, own []netip.Addr) (granted []PeerWish, refused []Refusal) {
	refused = slices.Clone(w.refused)
	d := divider{hubs: hubs, keys: make(map[Key]string, len(w.Peers)), owners: make(map[netip.Addr]string, 2*len(w.Peers))}
	for _, p := range w.Peers {
		for _, s := range p.Services {
			d.owners[s.Addr.Addr()] = "service " + s.Name
		}
	}
	for _, a := range own {
		d.owners[a] = "the hub itself"
	}
	for _, p := range w.Peers {
		if len(granted) == MaxPeers {
			refused = append(refused, p.Refusal("peer", fmt.Sprintf("the hub has %d peers, which is the limit", MaxPeers)))
			continue
		}
		if no := d.take(p); no != nil {
			refused = append(refused, p.Refusal(no.Field, no.Problem))
			continue
		}
		var without []Refusal
		p.Services, without = p.Permissible()
		granted, refused = append(granted, p), append(refused, without...)
	}
	return granted, append(refused, d.divideNetworks(granted, w.Pool)...)
}

// Unreadable are the peers that could not be read.
func (w Wish) Unreadable() []Refusal { return w.refused }

// divider knows what is taken already, and by whom.
type divider struct {
	hubs   []Key
	keys   map[Key]string
	owners map[netip.Addr]string
}

// take gives the peer its key and addresses, or says why it can't have them.
func (d divider) take(p PeerWish) *FieldError {
	if err := p.Check(d.hubs...); err != nil {
		return err
	}
	if other, taken := d.keys[p.PublicKey]; taken {
		return &FieldError{"public_key", "is also the key of " + other}
	}
	own := make(map[netip.Addr]bool, len(p.Addresses))
	for j, a := range p.Addresses {
		other, taken := d.owners[a.Addr()]
		if own[a.Addr()] {
			other, taken = "the same peer", true
		}
		if taken {
			return &FieldError{fmt.Sprintf("addresses[%d]", j), a.String() + " belongs to " + other}
		}
		own[a.Addr()] = true
	}
	d.keys[p.PublicKey] = p.label()
	for a := range own {
		d.owners[a] = p.label()
	}
	return nil
}

func (p PeerWish) label() string { return fmt.Sprintf("site %q of partner %q", p.Site, p.Partner) }

// Check says why the peer can't be granted by hubs of these keys, whatever else is in the wish; nil when it can.
func (p PeerWish) Check(hubs ...Key) *FieldError {
	if err := validateName("partner", p.Partner); err != nil {
		return err
	}
	if err := validateName("site", p.Site); err != nil {
		return err
	}
	if err := p.PublicKey.checkPeer(hubs...); err != nil {
		return &FieldError{"public_key", err.Error()}
	}
	if n := len(p.Addresses); n == 0 && !p.Dormant || n > MaxAddressesOfPeer {
		return &FieldError{"addresses", fmt.Sprintf("%d of them, a peer has 1 to %d", n, MaxAddressesOfPeer)}
	}
	for j, a := range p.Addresses {
		if problem := AddressProblem(a); problem != "" {
			return &FieldError{fmt.Sprintf("addresses[%d]", j), problem}
		}
	}
	if n := len(p.Services); n > MaxServicesOfPeer {
		return &FieldError{"services", fmt.Sprintf("%d of them, the limit is %d", n, MaxServicesOfPeer)}
	}
	return nil
}

// Permissible are the services that can be permitted at all, and why the others can't.
func (p PeerWish) Permissible() (services []Service, refused []Refusal) {
	for j, s := range p.Services {
		if err := s.validate(fmt.Sprintf("services[%d]", j)); err != nil {
			refused = append(refused, p.Refusal(err.Field, err.Problem))
			continue
		}
		services = append(services, s)
	}
	return services, refused
}

// AddressProblem says why a prefix cannot be the tunnel address of an office, or "".
func AddressProblem(p netip.Prefix) string {
	switch a := p.Addr(); {
	case !p.IsValid():
		return "is not an address"
	case p.Bits() == 0:
		return p.String() + " is every address there is"
	case !p.IsSingleIP():
		return p.String() + " is a network, an office has single addresses (/32 or /128)"
	case a.Is4In6() || a.Zone() != "":
		return p.String() + " is not a plain IPv4 or IPv6 address"
	case a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return p.String() + " is not a unicast address that can be routed"
	}
	return ""
}

func (s Service) validate(at string) *FieldError {
	if err := validateName(at+".name", s.Name); err != nil {
		return err
	}
	if s.Proto != "tcp" && s.Proto != "udp" {
		return &FieldError{at + ".proto", fmt.Sprintf("%q is neither tcp nor udp", s.Proto)}
	}
	if s.Addr.Port() == 0 {
		return &FieldError{at + ".addr", "has no port"}
	}
	if problem := AddressProblem(netip.PrefixFrom(s.Addr.Addr(), s.Addr.Addr().BitLen())); problem != "" {
		return &FieldError{at + ".addr", problem}
	}
	if s.Backend.IsValid() && (s.Backend.Port() == 0 || !s.Backend.Addr().IsLoopback()) {
		return &FieldError{at + ".backend", s.Backend.String() + " is not a port on loopback"}
	}
	return nil
}

// validateName keeps names printable, since they go to logs, metrics and pages.
func validateName(field, name string) *FieldError {
	if name == "" || len(name) > maxNameLen {
		return &FieldError{field, fmt.Sprintf("has %d bytes, 1 to %d are allowed", len(name), maxNameLen)}
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return &FieldError{field, "holds a character that cannot be printed"}
		}
	}
	return nil
}
