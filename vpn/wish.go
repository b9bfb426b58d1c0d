package vpn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
)

// Limits of a wish. They are far above a region (54 partners, 500 units) and keep a
// damaged or hostile wish from filling memory.
const (
	MaxWishBytes       = 32 << 20 // JSON; 20,000 peers with eight services each take 20 MB
	MaxPeers           = 20_000   // a WireGuard device takes 65,536
	MaxAddressesOfPeer = 16
	MaxServicesOfPeer  = 64
	maxNameLen         = 128 // partner, site and service names, in bytes
)

// Wish is the desired state of one hub. It is complete: a peer that is not in it has no
// access. It may hold pre-shared keys, so it travels over mTLS only; logs show a summary.
type Wish struct {
	Revision int64      `json:"revision"` // grows with every change
	Peers    []PeerWish `json:"peers"`
}

// PeerWish is one office end of a tunnel.
type PeerWish struct {
	Partner      string         `json:"partner"` // identifier of the partner
	Site         string         `json:"site"`    // identifier of the site within the partner
	PublicKey    Key            `json:"public_key"`
	PresharedKey PresharedKey   `json:"preshared_key,omitzero"`
	Addresses    []netip.Prefix `json:"addresses"` // tunnel addresses, /32 or /128, nobody else's
	Services     []Service      `json:"services"`  // what the office may reach
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

// FieldError names the field of a wish that cannot be granted.
type FieldError struct {
	Field   string // as in the JSON, such as "peers[3].addresses[0]"
	Problem string
}

// Error names the field and what is wrong with it.
func (e *FieldError) Error() string { return "wish: " + e.Field + ": " + e.Problem }

// LogValue is a summary without secrets.
func (w Wish) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("revision", w.Revision), slog.Int("peers", len(w.Peers)))
}

// LogValue leaves the pre-shared key out.
func (p PeerWish) LogValue() slog.Value {
	return slog.GroupValue(slog.String("partner", p.Partner), slog.String("site", p.Site), slog.String("public_key", p.PublicKey.String()))
}

// ReadWish reads one wish in JSON and validates it. Unknown fields are refused, since a
// restriction that this program does not know must not be lost.
func ReadWish(r io.Reader) (Wish, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxWishBytes+1))
	if err != nil {
		return Wish{}, fmt.Errorf("read wish: %w", err)
	}
	return ParseWish(data)
}

// ParseWish is [ReadWish] from memory.
func ParseWish(data []byte) (Wish, error) {
	if len(data) > MaxWishBytes {
		return Wish{}, fmt.Errorf("wish: longer than %d bytes", MaxWishBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var w Wish
	if err := decoder.Decode(&w); err != nil {
		return Wish{}, fmt.Errorf("wish: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Wish{}, errors.New("wish: something follows the wish")
	}
	return w, w.Validate()
}

// Validate refuses the whole wish when one field is wrong, and names it with a
// [*FieldError]. In particular an address belongs to one peer alone: WireGuard itself
// would take it from one and give it to the other without a word.
func (w Wish) Validate() error {
	if w.Revision < 0 {
		return &FieldError{"revision", "is negative"}
	}
	if len(w.Peers) > MaxPeers {
		return &FieldError{"peers", fmt.Sprintf("%d of them, the limit is %d", len(w.Peers), MaxPeers)}
	}
	keys := make(map[Key]int, len(w.Peers))
	owners := make(map[netip.Addr]int, 2*len(w.Peers))
	for i, p := range w.Peers {
		at := fmt.Sprintf("peers[%d]", i)
		if err := p.validate(at); err != nil {
			return err
		}
		if other, taken := keys[p.PublicKey]; taken {
			return &FieldError{at + ".public_key", "is also the key of " + w.Peers[other].label()}
		}
		keys[p.PublicKey] = i
		for j, a := range p.Addresses {
			if other, taken := owners[a.Addr()]; taken {
				return &FieldError{fmt.Sprintf("%s.addresses[%d]", at, j), a.String() + " belongs to " + w.Peers[other].label()}
			}
			owners[a.Addr()] = i
		}
	}
	return w.validateServices(owners)
}

// validateServices refuses a service at a partner's address: offices never reach each other.
func (w Wish) validateServices(owners map[netip.Addr]int) error {
	for i, p := range w.Peers {
		for j, s := range p.Services {
			if owner, taken := owners[s.Addr.Addr()]; taken {
				return &FieldError{fmt.Sprintf("peers[%d].services[%d].addr", i, j), s.Addr.String() + " lies at " + w.Peers[owner].label()}
			}
		}
	}
	return nil
}

func (p PeerWish) label() string { return fmt.Sprintf("site %q of partner %q", p.Site, p.Partner) }

func (p PeerWish) validate(at string) error {
	if err := validateName(at+".partner", p.Partner); err != nil {
		return err
	}
	if err := validateName(at+".site", p.Site); err != nil {
		return err
	}
	if err := p.PublicKey.check(); err != nil {
		return &FieldError{at + ".public_key", err.Error()}
	}
	if n := len(p.Addresses); n == 0 || n > MaxAddressesOfPeer {
		return &FieldError{at + ".addresses", fmt.Sprintf("%d of them, a peer has 1 to %d", n, MaxAddressesOfPeer)}
	}
	for j, a := range p.Addresses {
		if problem := addressProblem(a); problem != "" {
			return &FieldError{fmt.Sprintf("%s.addresses[%d]", at, j), problem}
		}
	}
	if n := len(p.Services); n > MaxServicesOfPeer {
		return &FieldError{at + ".services", fmt.Sprintf("%d of them, the limit is %d", n, MaxServicesOfPeer)}
	}
	for j, s := range p.Services {
		if err := s.validate(fmt.Sprintf("%s.services[%d]", at, j)); err != nil {
			return err
		}
	}
	return nil
}

// addressProblem says why a prefix cannot be the tunnel address of an office, or "".
func addressProblem(p netip.Prefix) string {
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

func (s Service) validate(at string) error {
	if err := validateName(at+".name", s.Name); err != nil {
		return err
	}
	if s.Proto != "tcp" && s.Proto != "udp" {
		return &FieldError{at + ".proto", fmt.Sprintf("%q is neither tcp nor udp", s.Proto)}
	}
	if s.Addr.Port() == 0 {
		return &FieldError{at + ".addr", "has no port"}
	}
	if problem := addressProblem(netip.PrefixFrom(s.Addr.Addr(), s.Addr.Addr().BitLen())); problem != "" {
		return &FieldError{at + ".addr", problem}
	}
	if s.Backend.IsValid() && (s.Backend.Port() == 0 || !s.Backend.Addr().IsLoopback()) {
		return &FieldError{at + ".backend", s.Backend.String() + " is not a port on loopback"}
	}
	return nil
}

// validateName keeps names printable, since they go to logs, metrics and pages.
func validateName(field, name string) error {
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
