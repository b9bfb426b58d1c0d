package office_test

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// carried is what a configuration has a system carry, as the system reads it.
type carried struct {
	private, preshared, hub, endpoint, mtu, keepalive string
	addresses, allowed, routes                        []string
}

// exported is an office with all that there can be.
func exported(t *testing.T, change func(*office.Enrolment)) (office.Enrolment, string) {
	t.Helper()
	e := office.Enrolment{Partner: "um-przykladowo", Site: "main", Certificate: "c", CA: "ca",
		Address: []netip.Prefix{netip.MustParsePrefix("10.64.0.2/32"), netip.MustParsePrefix("fd64::a40:2/128")},
		Hub: office.Hub{PublicKey: officeKey(t).Public(), PresharedKey: vpn.PresharedKey{1, 2, 3}, Endpoint: "hub.example.org:51820",
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32"), netip.MustParsePrefix("fd64::1/128")}},
		Services: []office.Service{{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")},
			{Name: "registry", Addr: netip.MustParseAddrPort("10.80.0.7:443")}}}
	if change != nil {
		change(&e)
	}
	return e, keyText
}

const keyText = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func officeKey(t *testing.T) vpn.PrivateKey {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestExportsAreReadAgain reads each export by the rules of its system: each has all of the tunnel, and routes to nothing but
// what it carries.
func TestExportsAreReadAgain(t *testing.T) {
	readers := map[office.Format]func(map[string]string) (carried, error){
		office.WGQuick: readWGQuick, office.Networkd: readNetworkd, office.OpenWrt: readOpenWrt, office.MikroTik: readMikroTik, office.OPNsense: readOPNsense,
	}
	for name, change := range map[string]func(*office.Enrolment){
		"all": nil, "no pre-shared key": func(e *office.Enrolment) { e.Hub.PresharedKey = vpn.PresharedKey{} },
		"IPv4 alone":     func(e *office.Enrolment) { e.Address, e.Hub.Addresses = e.Address[:1], e.Hub.Addresses[:1] },
		"an IPv6 hub":    func(e *office.Enrolment) { e.Hub.Endpoint = "[2001:db8::7]:443" },
		"a hostile name": func(e *office.Enrolment) { e.Partner, e.Site = "um\n[Peer]\nx=1", "a\"; /system reset" },
	} {
		for _, format := range office.Formats {
			t.Run(name+"/"+string(format), func(t *testing.T) {
				e, key := exported(t, change)
				files, err := e.Export(format, "tc-office", key)
				if err != nil {
					t.Fatal(err)
				}
				texts := map[string]string{}
				for _, f := range files {
					texts[f.Name] = f.Text
				}
				got, err := readers[format](texts)
				if err != nil {
					t.Fatalf("%v\n%v", err, texts)
				}
				if want := wanted(e, key); !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		}
	}
}

func wanted(e office.Enrolment, key string) carried {
	c := carried{private: key, hub: e.Hub.PublicKey.String(), endpoint: e.Hub.Endpoint, mtu: "1420", keepalive: "25"}
	if !e.Hub.PresharedKey.IsZero() {
		text, _ := e.Hub.PresharedKey.MarshalText() // never fails
		c.preshared = string(text)
	}
	for _, a := range e.Address {
		c.addresses = append(c.addresses, a.String())
	}
	for _, to := range e.Reachable() {
		c.allowed = append(c.allowed, to.String())
	}
	c.routes = c.allowed // which is what all systems are told, or do by themselves
	return c
}

// one returns the only value of a key, "" for none.
func one(of map[string][]string, key string) string { return strings.Join(of[key], " AND ") }

func readWGQuick(files map[string]string) (c carried, err error) {
	all, err := readAsApplication(files["tc-office.conf"])
	if err != nil || len(all) != 2 {
		return c, fmt.Errorf("%d sections, %w", len(all), err)
	}
	if err := strip(files["tc-office.conf"]); err != nil {
		return c, err
	}
	i, p := all[0], all[1]
	return carried{one(i, "privatekey"), one(p, "presharedkey"), one(p, "publickey"), one(p, "endpoint"), one(i, "mtu"), one(p, "persistentkeepalive"),
		i["address"], p["allowedips"], p["allowedips"]}, nil
}

// strip has wg-quick read the file, where it is installed.
func strip(text string) error {
	program, err := exec.LookPath("wg-quick")
	if err != nil || os.Getuid() != 0 { // it asks for root before it reads
		return nil
	}
	dir, err := os.MkdirTemp("", "wg-quick")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "tc-office.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(program, "strip", file).CombinedOutput(); err != nil {
		return fmt.Errorf("wg-quick: %w: %s", err, out)
	}
	return nil
}

// networkdKeys are the keys of each section (systemd.netdev(5), systemd.network(5)); a list may stand several times.
var networkdKeys = map[string]string{"NetDev": "Name Kind MTUBytes", "WireGuard": "PrivateKey", "WireGuardPeer": "PublicKey PresharedKey Endpoint AllowedIPs PersistentKeepalive",
	"Match": "Name", "Network": "Address", "Route": "Destination Scope"}

func readINI(text string) (sections map[string]map[string][]string, err error) {
	sections = map[string]map[string][]string{}
	var name string
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' && line[len(line)-1] == ']' {
			name = line[1 : len(line)-1]
			if sections[name] == nil {
				sections[name] = map[string][]string{}
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || value == "" || !slices.Contains(strings.Fields(networkdKeys[name]), key) {
			return nil, fmt.Errorf("section %q has the line %q", name, line)
		}
		sections[name][key] = append(sections[name][key], value)
	}
	return sections, nil
}

func readNetworkd(files map[string]string) (c carried, err error) {
	device, err := readINI(files["90-tc-office.netdev"])
	if err != nil {
		return c, err
	}
	network, err := readINI(files["90-tc-office.network"])
	if err != nil {
		return c, err
	}
	if one(device["NetDev"], "Name") != "tc-office" || one(network["Match"], "Name") != "tc-office" || one(device["NetDev"], "Kind") != "wireguard" {
		return c, fmt.Errorf("names or kind: %v %v", device["NetDev"], network["Match"])
	}
	p := device["WireGuardPeer"]
	return carried{one(device["WireGuard"], "PrivateKey"), one(p, "PresharedKey"), one(p, "PublicKey"), one(p, "Endpoint"), one(device["NetDev"], "MTUBytes"),
		one(p, "PersistentKeepalive"), network["Network"]["Address"], strings.Split(one(p, "AllowedIPs"), ", "), network["Route"]["Destination"]}, nil
}

var (
	uciSection = regexp.MustCompile(`^config ([a-z0-9_]+)(?: '([a-z0-9_]+)')?$`)
	uciValue   = regexp.MustCompile(`^\t(option|list) ([a-z_]+) '([^']*)'$`)
)

// readUCI gives the sections by type and name.
func readUCI(text string) (sections map[string]map[string][]string, err error) {
	sections = map[string]map[string][]string{}
	var present map[string][]string
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		if m := uciSection.FindStringSubmatch(line); m != nil {
			present = map[string][]string{}
			sections[strings.TrimSpace(m[1]+" "+m[2])] = present
			continue
		}
		m := uciValue.FindStringSubmatch(line)
		if m == nil || present == nil || m[1] == "option" && present[m[2]] != nil {
			return nil, fmt.Errorf("line %q", line)
		}
		present[m[2]] = append(present[m[2]], m[3])
	}
	return sections, nil
}

func readOpenWrt(files map[string]string) (c carried, err error) {
	network, err := readUCI(files["network"])
	if err != nil {
		return c, err
	}
	firewall, err := readUCI(files["firewall"])
	if err != nil {
		return c, err
	}
	i, p, zone := network["interface tc_office"], network["wireguard_tc_office"], firewall["zone"]
	if one(i, "proto") != "wireguard" || one(zone, "network") != "tc_office" || one(zone, "masq") != "1" || one(zone, "input") != "REJECT" ||
		one(zone, "forward") != "REJECT" || len(one(zone, "name")) > 11 || one(firewall["forwarding"], "dest") != one(zone, "name") {
		return c, fmt.Errorf("%v %v", i, firewall)
	}
	c = carried{one(i, "private_key"), one(p, "preshared_key"), one(p, "public_key"), net.JoinHostPort(one(p, "endpoint_host"), one(p, "endpoint_port")),
		one(i, "mtu"), one(p, "persistent_keepalive"), i["addresses"], p["allowed_ips"], nil}
	if one(p, "route_allowed_ips") == "1" {
		c.routes = c.allowed
	}
	return c, nil
}

var (
	routerCommand = regexp.MustCompile(`^(/[a-z0-9/]+)((?: [a-z-]+=(?:"[^"\\$]*"|[^ ";]+))+)$`)
	routerValue   = regexp.MustCompile(` ([a-z-]+)=(?:"([^"]*)"|([^ "]+))`)
)

func readMikroTik(files map[string]string) (c carried, err error) {
	did := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSuffix(files["tc-office.rsc"], "\n"), "\n") {
		m := routerCommand.FindStringSubmatch(line)
		if m == nil {
			return c, fmt.Errorf("line %q", line)
		}
		v := map[string]string{}
		for _, one := range routerValue.FindAllStringSubmatch(m[2], -1) {
			v[one[1]] = one[2] + one[3]
		}
		did[m[1]]++
		if on := v["name"] + v["interface"] + v["gateway"] + v["out-interface"]; on != "tc-office" {
			return c, fmt.Errorf("%q is about %q", line, on)
		}
		switch m[1] {
		case "/interface/wireguard/add":
			c.private, c.mtu = v["private-key"], v["mtu"]
		case "/interface/wireguard/peers/add":
			c.hub, c.preshared, c.keepalive = v["public-key"], v["preshared-key"], strings.TrimSuffix(v["persistent-keepalive"], "s")
			c.endpoint, c.allowed = net.JoinHostPort(v["endpoint-address"], v["endpoint-port"]), strings.Split(v["allowed-address"], ",")
		case "/ip/address/add", "/ipv6/address/add":
			c.addresses = append(c.addresses, v["address"])
		case "/ip/route/add", "/ipv6/route/add":
			c.routes = append(c.routes, v["dst-address"])
		case "/ip/firewall/nat/add", "/ipv6/firewall/nat/add":
			if v["chain"] != "srcnat" || v["action"] != "masquerade" {
				return c, fmt.Errorf("line %q", line)
			}
		default:
			return c, fmt.Errorf("command %q", m[1])
		}
	}
	if did["/interface/wireguard/add"] != 1 || did["/interface/wireguard/peers/add"] != 1 || did["/ip/firewall/nat/add"] != 1 {
		return c, fmt.Errorf("commands %v", slices.Sorted(maps.Keys(did)))
	}
	return c, nil
}

// node is any element.
type node struct {
	XMLName xml.Name
	UUID    string `xml:"uuid,attr"`
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

func (n node) at(path ...string) node {
	for _, name := range path {
		i := slices.IndexFunc(n.Nodes, func(c node) bool { return c.XMLName.Local == name })
		if i < 0 {
			return node{}
		}
		n = n.Nodes[i]
	}
	n.Text = strings.TrimSpace(n.Text)
	return n
}

// opnName is the mask of names in the models.
var opnName = regexp.MustCompile(`^([0-9a-zA-Z._\-]){1,64}$`)

func readOPNsense(files map[string]string) (c carried, err error) {
	var root node
	if err := xml.Unmarshal([]byte(files["tc-office.xml"]), &root); err != nil {
		return c, err
	}
	s, p := root.at("server", "servers", "server"), root.at("client", "clients", "client")
	key, err := vpn.ParsePrivateKey(s.at("privkey").Text)
	if err != nil {
		return c, err
	}
	if root.XMLName.Local != "wireguard" || root.at("general", "enabled").Text != "1" || s.at("enabled").Text != "1" || p.at("enabled").Text != "1" ||
		!opnName.MatchString(s.at("name").Text) || !opnName.MatchString(p.at("name").Text) || s.at("peers").Text != p.UUID || s.UUID == p.UUID ||
		s.at("pubkey").Text != key.Public().String() {
		return c, fmt.Errorf("%+v", root)
	}
	c = carried{s.at("privkey").Text, p.at("psk").Text, p.at("pubkey").Text, net.JoinHostPort(p.at("serveraddress").Text, p.at("serverport").Text), s.at("mtu").Text,
		p.at("keepalive").Text, strings.Split(s.at("tunneladdress").Text, ","), strings.Split(p.at("tunneladdress").Text, ","), nil}
	if s.at("disableroutes").Text == "0" {
		c.routes = c.allowed
	}
	return c, nil
}

// TestExportsThatThereAreNot names what is missing.
func TestExportsThatThereAreNot(t *testing.T) {
	whole, key := exported(t, nil)
	for name, c := range map[string]struct {
		e      office.Enrolment
		format office.Format
		ifname string
		want   string
	}{
		"no tunnel":      {office.Enrolment{Partner: "um"}, office.OpenWrt, "tc-office", "has no tunnel"},
		"no format":      {whole, "cisco", "tc-office", "none of"},
		"a long name":    {whole, office.MikroTik, "a-name-that-is-too-long", "no name"},
		"a hostile name": {whole, office.MikroTik, "x; /system", "no name"},
	} {
		if _, err := c.e.Export(c.format, c.ifname, key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
