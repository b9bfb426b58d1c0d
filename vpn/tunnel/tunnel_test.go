package tunnel_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

func sample(t *testing.T) office.Enrolment {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return office.Enrolment{
		Partner: "office-1", Site: "main", Address: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32"), netip.MustParsePrefix("fd64::2/128")},
		Hub: office.Hub{PublicKey: key.Public(), Endpoint: "vpn.example:51820", Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}},
	}
}

// TestOneTunnelOfAKey brings the same office up a second time: the first one would lose its session to it.
func TestOneTunnelOfAKey(t *testing.T) {
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg := tunnel.Config{Mode: vpn.ModeNetstack, Interface: "none", PrivateKey: key, Enrolment: sample(t), Log: slog.New(slog.DiscardHandler)}
	cfg.Enrolment.Hub.Endpoint = "192.0.2.1:51820"
	first, err := tunnel.Up(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tunnel.Up(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("by process %d (", os.Getpid())) {
		t.Errorf("a second time: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := tunnel.Up(t.Context(), cfg)
	if err != nil {
		t.Fatalf("after the first one ended: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
