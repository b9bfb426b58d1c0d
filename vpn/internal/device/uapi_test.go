package device

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEncodeUAPI(t *testing.T) {
	key, preshared, port, keepalive := Key{1}, Key{2}, 51820, 25*time.Second
	got := encodeUAPI(Change{PrivateKey: &key, ListenPort: &port, Peers: []PeerChange{
		{PublicKey: Key{3}, Remove: true, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}},
		{PublicKey: Key{4}, UpdateOnly: true, PresharedKey: &preshared, Endpoint: netip.MustParseAddrPort("[2001:db8::1]:51820"), Keepalive: &keepalive, ReplaceAllowedIPs: true, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("fd64::2/128")}},
	}})
	hex := func(first string) string { return first + strings.Repeat("00", 31) }
	want := "private_key=" + hex("01") + "\nlisten_port=51820\n" +
		"public_key=" + hex("03") + "\nremove=true\n" +
		"public_key=" + hex("04") + "\nupdate_only=true\npreshared_key=" + hex("02") +
		"\nendpoint=[2001:db8::1]:51820\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=fd64::2/128\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// decodeUAPI reads an answer that comes in parts of some bytes.
func decodeUAPI(text string, part int) (State, Key, error) {
	r := newUAPIReader(0)
	for ; text != ""; text = text[min(part, len(text)):] {
		_, _ = r.Write([]byte(text[:min(part, len(text))])) // the error is told at the end
	}
	return r.end()
}

func TestDecodeUAPI(t *testing.T) {
	hex := func(first string) string { return first + strings.Repeat("00", 31) }
	text := "private_key=" + hex("01") + "\nlisten_port=7\n" +
		"public_key=" + hex("03") + "\npreshared_key=" + hex("02") + "\nprotocol_version=1\nendpoint=192.0.2.1:5\nlast_handshake_time_sec=10\nlast_handshake_time_nsec=5\ntx_bytes=1\nrx_bytes=2\npersistent_keepalive_interval=25\nallowed_ip=10.0.0.1/32\nallowed_ip=fd64::2/128\n" +
		"public_key=" + hex("04") + "\npreshared_key=" + hex("00") + "\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
	for _, part := range []int{1, 7, 1 << 20} {
		decodes(t, text, part)
	}
}

func decodes(t *testing.T, text string, part int) {
	t.Helper()
	state, private, err := decodeUAPI(text, part)
	if err != nil || private != (Key{1}) || state.ListenPort != 7 || len(state.Peers) != 2 {
		t.Fatalf("%+v, %v", state, err)
	}
	want := Peer{
		PresharedKey: Key{2}, Endpoint: netip.MustParseAddrPort("192.0.2.1:5"), Keepalive: 25 * time.Second, LastHandshake: time.Unix(10, 5), Received: 2, Sent: 1,
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd64::2/128")},
	}
	if got := state.Peers[Key{3}]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(state.Peers[Key{4}], Peer{}) {
		t.Errorf("an empty peer became %+v", state.Peers[Key{4}])
	}
}

func FuzzDecodeUAPI(f *testing.F) {
	f.Add("private_key=00\npublic_key=zz\nallowed_ip=x\n")
	f.Add("public_key=" + strings.Repeat("01", 32) + "\nallowed_ip=10.0.0.0/8\nlast_handshake_time_sec=9\n")
	f.Fuzz(func(t *testing.T, text string) {
		if state, _, err := decodeUAPI(text, 1+len(text)/2); err == nil && state.Peers == nil {
			t.Error("a state without a map of peers")
		}
	})
}
