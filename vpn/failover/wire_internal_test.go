package failover

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
)

var (
	here  = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	four  = netip.MustParseAddr("192.0.2.10")
	six   = netip.MustParseAddr("2001:db8::10")
	moved = []netip.Addr{four, six}
)

// TestAdverts come through whole by the right key, and not at all by another or after any change.
func TestAdverts(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	a := advert{role: Active, ready: true, wants: true, session: 1, seq: 2, term: 3, echo: 4, clock: time.Unix(5, 6)}
	sealed := a.seal(key)
	if got, err := openAdvert(key, sealed); err != nil || got != a {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := openAdvert(other, sealed); err == nil {
		t.Error("another pair's advert counts")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := openAdvert(key, bad); err == nil {
			t.Errorf("byte %d was changed", i)
		}
	}
	for _, bad := range [][]byte{nil, sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0)} {
		if _, err := openAdvert(key, bad); err == nil {
			t.Errorf("%d bytes are an advert", len(bad))
		}
	}
}

// TestClaims tells who has an address from who wants to have it, and both from others.
func TestClaims(t *testing.T) {
	away := netip.MustParseAddr("192.0.2.77")
	for name, c := range map[string]struct {
		frame []byte
		want  claim
	}{
		"an announcement":          {arp(here, arpRequest, four, four), has},
		"an answer":                {arp(here, arpReply, four, four), has},
		"a question for it":        {arp(here, arpRequest, netip.IPv4Unspecified(), four), asks},
		"who looks for the holder": {arp(here, arpRequest, away, four), nothing},
		"another address":          {arp(here, arpRequest, away, away), nothing},
		"an advertisement":         {advertisement(here, six), has},
		"a solicitation":           {solicitation(here, six), asks},
		"another one's":            {advertisement(here, netip.MustParseAddr("2001:db8::77")), nothing},
		"a part of a frame":        {arp(here, arpReply, four, four)[:30], nothing},
		"nothing":                  {nil, nothing},
	} {
		from, got := claimOf(c.frame, moved)
		if got != c.want || got != nothing && !bytes.Equal(from, here) {
			t.Errorf("%s: %v by %v", name, got, from)
		}
	}
	routed := advertisement(here, six)
	routed[14+7] = 64 // it came by a router (RFC 4861, 7.1.2)
	if _, got := claimOf(routed, moved); got != nothing {
		t.Error("an advertisement from another network counts")
	}
}

// FuzzClaim reads frames of anybody on the network.
func FuzzClaim(f *testing.F) {
	f.Add(arp(here, arpReply, four, four))
	f.Add(advertisement(here, six))
	f.Add(solicitation(here, six))
	f.Fuzz(func(t *testing.T, frame []byte) {
		from, got := claimOf(frame, moved)
		if got != nothing && (len(from) != 6 || !bytes.Contains(frame, four.AsSlice()) && !bytes.Contains(frame, six.AsSlice())) {
			t.Errorf("%v by %v in %x", got, from, frame)
		}
	})
}

// FuzzAdvert reads datagrams of anybody.
func FuzzAdvert(f *testing.F) {
	key := make([]byte, 32)
	f.Add(advert{role: Active, session: 1, seq: 2}.seal(key))
	f.Add([]byte{advertVersion})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if a, err := openAdvert(key, datagram); err == nil && a.role > Active {
			t.Errorf("%+v", a)
		}
	})
}
