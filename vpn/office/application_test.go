package office_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// section is one section of a configuration, by keys in lower case.
type section map[string][]string

// readAsApplication reads a configuration by the rules of the official applications for Windows and macOS together, so
// that what passes is taken by both: each line is in a section, has a value and a key that they know; a key that is no
// list stands once; keys are 32 bytes in base64; numbers and addresses are within what they take.
func readAsApplication(text string) (sections []section, err error) {
	for line := range strings.SplitSeq(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		switch lower := strings.ToLower(line); lower {
		case "[interface]", "[peer]":
			sections = append(sections, section{"": {lower}})
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || value == "" || len(sections) == 0 {
			return nil, fmt.Errorf("line %q has no value or no section", line)
		}
		if err := sections[len(sections)-1].take(name, value); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
	}
	return sections, whole(sections)
}

func (s section) take(name, value string) error {
	known := map[string]string{"[interface]": "privatekey listenport mtu address dns", "[peer]": "publickey presharedkey allowedips persistentkeepalive endpoint"}
	if !slices.Contains(strings.Fields(known[s[""][0]]), name) {
		return errors.New("unknown key")
	}
	isList := slices.Contains([]string{"address", "dns", "allowedips"}, name)
	if !isList && s[name] != nil {
		return errors.New("twice")
	}
	values := []string{value}
	if isList {
		values = strings.Split(value, ",")
	}
	for _, v := range values {
		v = strings.TrimSpace(v)
		if err := check(name, v); err != nil {
			return err
		}
		s[name] = append(s[name], v)
	}
	return nil
}

func check(name, value string) (err error) {
	switch name {
	case "privatekey", "publickey", "presharedkey":
		key, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil || len(key) != 32 {
			return errors.New("no key")
		}
	case "address", "allowedips":
		_, err = netip.ParsePrefix(value)
	case "mtu":
		err = within(value, 576, 65535)
	case "listenport", "persistentkeepalive":
		err = within(value, 0, 65535)
	case "endpoint":
		i := strings.LastIndexByte(value, ':')
		if i < 1 {
			return errors.New("no port")
		}
		if err := within(value[i+1:], 1, 65535); err != nil {
			return err
		}
		if host := value[:i]; strings.ContainsAny(host, "[]:") {
			a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
			if err != nil || !a.Is6() || host != "["+a.String()+"]" {
				return errors.New("brackets must hold an IPv6 address")
			}
		}
	}
	return err
}

func within(text string, low, high int) error {
	if n, err := strconv.Atoi(text); err != nil || n < low || n > high {
		return errors.New("no number in range")
	}
	return nil
}

// whole asks for one interface with its key, and for peers of different keys.
func whole(sections []section) error {
	interfaces, peers := 0, map[string]bool{}
	for _, s := range sections {
		if s[""][0] == "[interface]" {
			if interfaces++; s["privatekey"] == nil {
				return errors.New("an interface must have a private key")
			}
			continue
		}
		if s["publickey"] == nil || peers[s["publickey"][0]] {
			return errors.New("a peer has no public key, or that of another")
		}
		peers[s["publickey"][0]] = true
	}
	if interfaces != 1 {
		return errors.New("not one interface")
	}
	return nil
}

// TestReaderRefuses holds the reader of this test to what the applications refuse.
func TestReaderRefuses(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	good := "[Interface]\nPrivateKey = " + key + "\n[Peer]\nPublicKey = " + key + "\n"
	if _, err := readAsApplication(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"PrivateKey = " + key, "[Interface]\nAddress = 10.0.0.1/32", good + "PostUp = x", good + "AllowedIPs = 10.0.0.1/32,,10.0.0.2/32",
		good + "PublicKey = " + key, good + "Endpoint = host", good + "Endpoint = fd00::1:5", good + "Endpoint = host:https", good + "PresharedKey =",
		good + "PersistentKeepalive = 65536", good + "AllowedIPs = 10.0.0.1/33", strings.Replace(good, key, key[:43], 1), good + good[12:],
		good + "[Peer]\nPublicKey = " + key, strings.Replace(good, "[Peer]", "MTU = 575\n[Peer]", 1), good + "nothing",
	} {
		if _, err := readAsApplication(bad); err == nil {
			t.Errorf("taken:\n%s", bad)
		}
	}
}

// TestApplicationsTakeTheConf has names that would be lines, and endpoints of each kind.
func TestApplicationsTakeTheConf(t *testing.T) {
	secret, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	revealed := secret.Reveal()
	private := base64.StdEncoding.EncodeToString(revealed[:])
	for _, endpoint := range []string{"vpn.example:51820", "192.0.2.1:51820", "[2001:db8::1]:51820"} {
		e := sample(t)
		e.Partner, e.Site = "office\nPostUp = touch x\r", "a\u2028b # [Peer]\u0085PostUp = y"
		e.Hub.PresharedKey[0], e.Hub.Endpoint = 1, endpoint
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
		sections, err := readAsApplication(e.Conf(private))
		if err != nil || len(sections) != 2 {
			t.Fatalf("%v\n%s", err, e.Conf(private))
		}
		tunnel, hub := sections[0], sections[1]
		if tunnel["privatekey"][0] != private || !slices.Equal(tunnel["address"], []string{"10.64.1.2/32", "fd64::2/128"}) || tunnel["mtu"][0] != "1420" {
			t.Errorf("the interface is %v", tunnel)
		}
		if hub["publickey"][0] != e.Hub.PublicKey.String() || hub["endpoint"][0] != endpoint || hub["presharedkey"] == nil ||
			!slices.Equal(hub["allowedips"], []string{"10.64.0.1/32", "10.64.0.9/32"}) || hub["persistentkeepalive"][0] != "25" {
			t.Errorf("the peer is %v", hub)
		}
		if _, err := readAsApplication(e.Conf(office.KeyPlaceholder)); err == nil || !strings.Contains(err.Error(), "no key") {
			t.Errorf("without the key: %v", err)
		}
	}
}

// TestEndpointsThatNotAllTake are refused before they are written.
func TestEndpointsThatNotAllTake(t *testing.T) {
	for _, endpoint := range []string{"", "vpn.example", "vpn.example:https", "vpn.example:0", "vpn.example:65536", ":51820", "[fe80::1%eth0]:51820",
		"2001:db8::1:51820", "vpn.example#:51820", "vpn example:51820", "vpn.example:51820\nPostUp=x", "vpn\u2028.example:51820"} {
		e := sample(t)
		e.Hub.Endpoint = endpoint
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), "hub.endpoint") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
