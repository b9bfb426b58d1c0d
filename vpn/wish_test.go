package vpn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"trustcore/vpn"
)

// somePeer is a valid peer with the given number.
func somePeer(t testing.TB, n int) vpn.PeerWish {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return vpn.PeerWish{
		Partner: fmt.Sprintf("partner-%d", n), Site: "main", PublicKey: key.Public(),
		Addresses: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 64, byte(1 + n>>8), byte(n)}), 32),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x64, 13: 1, 14: byte(n >> 8), 15: byte(n)}), 128),
		},
		Services: []vpn.Service{{Name: "gateway", Proto: "tcp", Addr: netip.MustParseAddrPort("10.64.0.1:9443")}},
	}
}

// TestBadPeerCostsOnlyItself spoils the second of three peers.
func TestBadPeerCostsOnlyItself(t *testing.T) {
	prefix, hub := netip.MustParsePrefix, somePeer(t, 1).PublicKey
	own := []netip.Addr{netip.MustParseAddr("10.64.0.1")}
	for name, c := range map[string]struct {
		spoil func(p *vpn.PeerWish, first vpn.PeerWish)
		field string
	}{
		"address of another": {func(p *vpn.PeerWish, first vpn.PeerWish) { p.Addresses[0] = first.Addresses[0] }, "addresses[0]"},
		"address twice":      {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[1] = p.Addresses[0] }, "addresses[1]"},
		"everything":         {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = prefix("0.0.0.0/0") }, "addresses[0]"},
		"everything IPv6":    {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[1] = prefix("::/0") }, "addresses[1]"},
		"network":            {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = prefix("10.64.1.0/24") }, "addresses[0]"},
		"mapped address":     {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = prefix("::ffff:10.64.1.9/128") }, "addresses[0]"},
		"loopback":           {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = prefix("127.0.0.1/32") }, "addresses[0]"},
		"multicast":          {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = prefix("224.0.0.1/32") }, "addresses[0]"},
		"no address":         {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses = nil }, "addresses"},
		"invalid address":    {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = netip.Prefix{} }, "addresses[0]"},
		"the hub's address":  {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Addresses[0] = prefix("10.64.0.1/32") }, "addresses[0]"},
		"a service's address": {func(p *vpn.PeerWish, first vpn.PeerWish) {
			p.Addresses[0] = netip.PrefixFrom(first.Services[0].Addr.Addr(), 32)
		}, "addresses[0]"},
		"key of another":    {func(p *vpn.PeerWish, first vpn.PeerWish) { p.PublicKey = first.PublicKey }, "public_key"},
		"the hub's key":     {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.PublicKey = hub }, "public_key"},
		"zero key":          {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.PublicKey = vpn.Key{} }, "public_key"},
		"key of low order":  {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.PublicKey = vpn.Key{1} }, "public_key"},
		"key not canonical": {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.PublicKey[31] |= 0x80 }, "public_key"},
		"no partner":        {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Partner = "" }, "partner"},
		"control character": {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Site = "a\nb" }, "site"},
		"too many services": {func(p *vpn.PeerWish, _ vpn.PeerWish) { p.Services = make([]vpn.Service, 65) }, "services"},
	} {
		t.Run(name, func(t *testing.T) {
			w := vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{somePeer(t, 2), somePeer(t, 3), somePeer(t, 4)}}
			for i := range w.Peers {
				w.Peers[i].Services[0].Addr = netip.MustParseAddrPort("10.64.9.9:9443")
			}
			if granted, refused := w.Divide([]vpn.Key{hub}, own); len(granted) != 3 || len(refused) != 0 {
				t.Fatalf("before: %d granted, refused %+v", len(granted), refused)
			}
			c.spoil(&w.Peers[1], w.Peers[0])
			granted, refused := w.Divide([]vpn.Key{hub}, own)
			if len(granted) != 2 || granted[0].Partner != "partner-2" || granted[1].Partner != "partner-4" {
				t.Errorf("granted %+v", granted)
			}
			if len(refused) != 1 || refused[0].Field != c.field || refused[0].PublicKey != w.Peers[1].PublicKey.String() {
				t.Errorf("refused %+v, want %s of the second", refused, c.field)
			}
		})
	}
}

// TestBadServiceCostsOnlyItself spoils one of two services.
func TestBadServiceCostsOnlyItself(t *testing.T) {
	for name, spoil := range map[string]func(*vpn.Service){
		"other protocol":    func(s *vpn.Service) { s.Proto = "icmp" },
		"no port":           func(s *vpn.Service) { s.Addr = netip.MustParseAddrPort("10.64.0.1:0") },
		"no address":        func(s *vpn.Service) { s.Addr = netip.AddrPort{} },
		"no name":           func(s *vpn.Service) { s.Name = "" },
		"backend elsewhere": func(s *vpn.Service) { s.Backend = netip.MustParseAddrPort("192.0.2.1:80") },
	} {
		w := vpn.Wish{Peers: []vpn.PeerWish{somePeer(t, 2)}}
		w.Peers[0].Services = append(w.Peers[0].Services, w.Peers[0].Services[0])
		spoil(&w.Peers[0].Services[1])
		granted, refused := w.Divide(nil, nil)
		if len(granted) != 1 || len(granted[0].Services) != 1 || len(refused) != 1 || !strings.HasPrefix(refused[0].Field, "services[1]") {
			t.Errorf("%s: granted %+v, refused %+v", name, granted, refused)
		}
	}
}

// TestOneTextForAKey writes the key of the second peer in ways that base64 or the curve would take for another's.
func TestOneTextForAKey(t *testing.T) {
	peers := []vpn.PeerWish{somePeer(t, 2), somePeer(t, 3), somePeer(t, 4)}
	good, first := peers[1].PublicKey.String(), peers[0].PublicKey.String()
	high := peers[0].PublicKey
	high[31] |= 0x80
	prime := vpn.Key{0: 0xed, 31: 0x7f} // 2^255-19: zero, written otherwise
	for i := 1; i < 31; i++ {
		prime[i] = 0xff
	}
	unused := good[:42] + string(good[42]+1) + "=" // a bit that no byte takes
	for _, bad := range []string{first + "\n", "\n" + first, first[:9] + "\r\n" + first[9:], " " + first, first + "=", first[:43], unused,
		strings.NewReplacer("+", "-", "/", "_").Replace("+///" + first[4:]), high.String(), prime.String(), vpn.Key{}.String(), vpn.Key{1}.String(), ""} {
		if _, err := vpn.ParsePeerKey(bad); err == nil {
			t.Errorf("%q was taken at enrolment", bad)
		}
		data, err := json.Marshal(vpn.Wish{Revision: 1, Peers: peers})
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		w, err := vpn.ParseWish(bytes.Replace(data, []byte(`"`+good+`"`), quoted, 1))
		if err != nil {
			t.Errorf("%q costs all: %v", bad, err)
		}
		if granted, refused := w.Divide(nil, nil); len(granted) != 2 || len(refused) != 1 || refused[0].Partner != "partner-3" {
			t.Errorf("%q: %d granted, refused %+v", bad, len(granted), refused)
		}
	}
	if _, err := vpn.ParsePeerKey(good, peers[0].PublicKey, peers[1].PublicKey); err == nil {
		t.Error("a hub's own key was taken at enrolment")
	}
	if key, err := vpn.ParsePeerKey(good, peers[0].PublicKey); err != nil || key != peers[1].PublicKey {
		t.Error(err)
	}
}

func TestWishTravels(t *testing.T) {
	w := vpn.Wish{Revision: 7, Peers: []vpn.PeerWish{somePeer(t, 2)}}
	w.Peers[0].PresharedKey[3] = 9
	data, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	back, err := vpn.ParseWish(data)
	if err != nil {
		t.Fatal(err)
	}
	if back.Revision != 7 || back.Peers[0].PublicKey != w.Peers[0].PublicKey || back.Peers[0].PresharedKey != w.Peers[0].PresharedKey || back.Peers[0].Addresses[1] != w.Peers[0].Addresses[1] {
		t.Errorf("got %s", data)
	}
	for _, bad := range []string{``, `{`, `[]`, `{"revision":1,"peers":[],"deny":[]}`, `{"revision":1,"peers":[]}{}`, `{"revision":-1}`, `{"pool":["0.0.0.0/0"]}`} {
		if _, err := vpn.ParseWish([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, bad := range []string{`{"public_key":"AAAA"}`, `7`, `null`, `{"partner":7}`, `{"partner":"p","deny":[]}`, `{"partner":"p","addresses":"10.64.0.9/32"}`} {
		w, err := vpn.ParseWish([]byte(`{"revision":1,"peers":[` + bad + `]}`))
		if granted, refused := w.Divide(nil, nil); err != nil || len(granted) != 0 || len(refused) != 1 {
			t.Errorf("%s: %v, %d granted, %d refused", bad, err, len(granted), len(refused))
		}
	}
}

// TestDigestSpeaksOfTheWholeWish changes one thing at a time.
func TestDigestSpeaksOfTheWholeWish(t *testing.T) {
	peer := somePeer(t, 2)
	seen := make(map[string]string)
	for name, change := range map[string]func(*vpn.Wish){
		"nothing":  func(*vpn.Wish) {},
		"epoch":    func(w *vpn.Wish) { w.Epoch = "b" },
		"revision": func(w *vpn.Wish) { w.Revision++ },
		"pool":     func(w *vpn.Wish) { w.Pool = []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16")} },
		"peers":    func(w *vpn.Wish) { w.Peers = nil },
		"key":      func(w *vpn.Wish) { w.Peers[0].PublicKey[0]++ },
		"psk":      func(w *vpn.Wish) { w.Peers[0].PresharedKey[0]++ },
		"address":  func(w *vpn.Wish) { w.Peers[0].Addresses = w.Peers[0].Addresses[:1] },
		"service":  func(w *vpn.Wish) { w.Peers[0].Services = nil },
		"port": func(w *vpn.Wish) {
			w.Peers[0].Services = []vpn.Service{{Name: "gateway", Proto: "tcp", Addr: netip.MustParseAddrPort("10.64.0.1:9444")}}
		},
		"backend": func(w *vpn.Wish) {
			w.Peers[0].Services = []vpn.Service{{Name: "gateway", Proto: "tcp", Addr: peer.Services[0].Addr, Backend: netip.MustParseAddrPort("127.0.0.1:1")}}
		},
	} {
		w := vpn.Wish{Epoch: "a", Revision: 1, Peers: []vpn.PeerWish{peer}}
		change(&w)
		w, err := w.Sealed()
		if err != nil {
			t.Fatal(err)
		}
		if other, is := seen[w.Digest]; is || w.Digest == "" {
			t.Errorf("%s and %s have the digest %q", name, other, w.Digest)
		}
		seen[w.Digest] = name
		again, err := w.Sealed()
		if err != nil || again.Digest != w.Digest {
			t.Errorf("%s: %s became %s, %v", name, w.Digest, again.Digest, err)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	peer := somePeer(t, 2)
	peer.PresharedKey = vpn.PresharedKey(key.Reveal())
	psk, err := peer.PresharedKey.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	wish := vpn.Wish{Peers: []vpn.PeerWish{peer}}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "wish", wish, "peer", peer, "key", key, "psk", peer.PresharedKey)
	fmt.Fprintf(&out, "%v %+v %#v %s %x %d ", key, peer, wish, peer.PresharedKey, peer.PresharedKey, key)
	secret := key.Reveal()
	for _, form := range []string{string(psk), fmt.Sprintf("%x", secret[:]), strings.Trim(fmt.Sprint(secret[:8]), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Errorf("a secret was printed: %s", out.String())
		}
	}
}

func TestNextAddress(t *testing.T) {
	addr := netip.MustParseAddr
	for _, c := range []struct {
		pool string
		used []netip.Addr
		want string // "" when the pool is exhausted
	}{
		{"10.64.0.0/30", nil, "10.64.0.1"},
		{"10.64.0.0/30", []netip.Addr{addr("10.64.0.1")}, "10.64.0.2"},
		{"10.64.0.0/30", []netip.Addr{addr("10.64.0.2"), addr("10.64.0.1")}, ""},
		{"10.64.0.77/10", []netip.Addr{addr("10.64.0.1"), addr("10.64.0.1"), addr("192.0.2.1")}, "10.64.0.2"},
		{"255.255.255.252/30", []netip.Addr{addr("255.255.255.253"), addr("255.255.255.254")}, ""},
		{"10.64.0.1/32", nil, ""},
		{"fd64::/126", []netip.Addr{addr("fd64::1"), addr("fd64::2")}, "fd64::3"},
		{"fd64::/126", []netip.Addr{addr("fd64::1"), addr("fd64::2"), addr("fd64::3")}, ""},
	} {
		got, err := vpn.NextAddress(netip.MustParsePrefix(c.pool), c.used)
		if c.want == "" && !errors.Is(err, vpn.ErrPoolExhausted) || c.want != "" && (err != nil || got != addr(c.want)) {
			t.Errorf("%s without %v: got %v, %v, want %q", c.pool, c.used, got, err, c.want)
		}
	}
	if _, err := vpn.NextAddress(netip.Prefix{}, nil); err == nil {
		t.Error("an invalid pool gave an address")
	}
}

func FuzzParseWish(f *testing.F) {
	good, err := json.Marshal(vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{somePeer(f, 2), somePeer(f, 3)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"revision":1,"peers":[{"addresses":["0.0.0.0/0"]}]}`))
	f.Add([]byte(strings.Repeat("[", 10_000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := vpn.ParseWish(data)
		if err != nil {
			return
		}
		owners := make(map[netip.Addr]bool)
		granted, _ := w.Divide(nil, nil)
		for _, p := range granted {
			for _, a := range p.Addresses {
				if owners[a.Addr()] || !a.IsSingleIP() {
					t.Fatalf("address %v was granted twice or is a network", a)
				}
				owners[a.Addr()] = true
			}
		}
	})
}
