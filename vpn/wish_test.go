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

func requireField(t *testing.T, err error, field string) {
	t.Helper()
	var wrong *vpn.FieldError
	if !errors.As(err, &wrong) || wrong.Field != field {
		t.Errorf("got error %v, want one about %s", err, field)
	}
}

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

func TestWishIsRefusedAsAWhole(t *testing.T) {
	prefix := netip.MustParsePrefix
	for name, c := range map[string]struct {
		spoil func(w *vpn.Wish)
		field string
	}{
		"address of another": {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = w.Peers[0].Addresses[0] }, "peers[1].addresses[0]"},
		"address twice":      {func(w *vpn.Wish) { w.Peers[1].Addresses[1] = w.Peers[1].Addresses[0] }, "peers[1].addresses[1]"},
		"everything":         {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = prefix("0.0.0.0/0") }, "peers[1].addresses[0]"},
		"everything IPv6":    {func(w *vpn.Wish) { w.Peers[0].Addresses[1] = prefix("::/0") }, "peers[0].addresses[1]"},
		"network":            {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = prefix("10.64.1.0/24") }, "peers[1].addresses[0]"},
		"mapped address":     {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = prefix("::ffff:10.64.1.9/128") }, "peers[1].addresses[0]"},
		"loopback":           {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = prefix("127.0.0.1/32") }, "peers[1].addresses[0]"},
		"multicast":          {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = prefix("224.0.0.1/32") }, "peers[1].addresses[0]"},
		"no address":         {func(w *vpn.Wish) { w.Peers[1].Addresses = nil }, "peers[1].addresses"},
		"invalid address":    {func(w *vpn.Wish) { w.Peers[1].Addresses[0] = netip.Prefix{} }, "peers[1].addresses[0]"},
		"key of another":     {func(w *vpn.Wish) { w.Peers[1].PublicKey = w.Peers[0].PublicKey }, "peers[1].public_key"},
		"zero key":           {func(w *vpn.Wish) { w.Peers[0].PublicKey = vpn.Key{} }, "peers[0].public_key"},
		"key of low order":   {func(w *vpn.Wish) { w.Peers[0].PublicKey = vpn.Key{1} }, "peers[0].public_key"},
		"key not canonical":  {func(w *vpn.Wish) { w.Peers[0].PublicKey[31] |= 0x80 }, "peers[0].public_key"},
		"no partner":         {func(w *vpn.Wish) { w.Peers[0].Partner = "" }, "peers[0].partner"},
		"control character":  {func(w *vpn.Wish) { w.Peers[0].Site = "a\nb" }, "peers[0].site"},
		"other protocol":     {func(w *vpn.Wish) { w.Peers[0].Services[0].Proto = "icmp" }, "peers[0].services[0].proto"},
		"no port":            {func(w *vpn.Wish) { w.Peers[0].Services[0].Addr = netip.MustParseAddrPort("10.64.0.1:0") }, "peers[0].services[0].addr"},
		"service at a partner": {func(w *vpn.Wish) {
			w.Peers[0].Services[0].Addr = netip.AddrPortFrom(w.Peers[1].Addresses[0].Addr(), 80)
		}, "peers[0].services[0].addr"},
		"backend elsewhere": {func(w *vpn.Wish) { w.Peers[0].Services[0].Backend = netip.MustParseAddrPort("192.0.2.1:80") }, "peers[0].services[0].backend"},
		"negative revision": {func(w *vpn.Wish) { w.Revision = -1 }, "revision"},
	} {
		t.Run(name, func(t *testing.T) {
			w := vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{somePeer(t, 2), somePeer(t, 3)}}
			if err := w.Validate(); err != nil {
				t.Fatal(err)
			}
			c.spoil(&w)
			requireField(t, w.Validate(), c.field)
		})
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
	for _, bad := range []string{``, `{`, `[]`, `{"revision":1,"peers":[],"deny":[]}`, `{"revision":1,"peers":[]}{}`, `{"peers":[{"public_key":"AAAA"}]}`} {
		if _, err := vpn.ParseWish([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
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
		for _, p := range w.Peers {
			for _, a := range p.Addresses {
				if owners[a.Addr()] || !a.IsSingleIP() {
					t.Fatalf("address %v was granted twice or is a network", a)
				}
				owners[a.Addr()] = true
			}
		}
	})
}
