package office_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

func sample(t *testing.T) office.Enrolment {
	t.Helper()
	key, err := vpn.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return office.Enrolment{
		Partner: "office-1", Site: "main", Address: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32"), netip.MustParsePrefix("fd64::2/128")},
		Hub:      office.Hub{PublicKey: key.Public(), Endpoint: "vpn.example:51820", Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}},
		Services: []office.Service{{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")}, {Name: "second", Addr: netip.MustParseAddrPort("10.64.0.9:443")}},
	}
}

func TestEnrolmentIsValidated(t *testing.T) {
	prefix := netip.MustParsePrefix
	for want, spoil := range map[string]func(e *office.Enrolment){
		"":               func(*office.Enrolment) {},
		"partner":        func(e *office.Enrolment) { e.Partner = "" },
		"site":           func(e *office.Enrolment) { e.Site = "" },
		"hub.public_key": func(e *office.Enrolment) { e.Hub.PublicKey = vpn.Key{} },
		"hub.endpoint":   func(e *office.Enrolment) { e.Hub.Endpoint = "" },
		"address has 0":  func(e *office.Enrolment) { e.Address = nil },
		"single address": func(e *office.Enrolment) { e.Address[0] = prefix("10.64.0.0/10") },
		"0.0.0.0/0":      func(e *office.Enrolment) { e.Hub.Addresses[0] = prefix("0.0.0.0/0") },
		"has no address": func(e *office.Enrolment) { e.Services[0].Addr = netip.AddrPort{} },
		"too many":       func(e *office.Enrolment) { e.Services = make([]office.Service, 65) },
	} {
		e := sample(t)
		spoil(&e)
		if err := e.Validate(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

func TestEnrolmentTravels(t *testing.T) {
	for _, e := range []office.Enrolment{sample(t), {Partner: "office-2", Certificate: "PEM", CA: "PEM"}} {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back office.Enrolment
		if err := json.Unmarshal(data, &back); err != nil {
			t.Errorf("%s: %v", data, err)
		}
		if back.HasTunnel() != e.HasTunnel() || back.Validate() != nil || strings.Contains(string(data), "preshared_key") {
			t.Errorf("%s became %+v", data, back)
		}
	}
}

// TestConfIsReadByTheTools asks wg-quick what it makes of the file.
func TestConfIsReadByTheTools(t *testing.T) {
	e := sample(t)
	e.Partner = "office\nPostUp = touch /tmp/x" // a name must not add a line
	e.Hub.PresharedKey[0] = 1
	conf := e.Conf(office.KeyPlaceholder)
	for _, line := range []string{"Address = 10.64.1.2/32, fd64::2/128", "AllowedIPs = 10.64.0.1/32, 10.64.0.9/32", "Endpoint = vpn.example:51820", "PrivateKey = " + office.KeyPlaceholder} {
		if !strings.Contains(conf, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, conf)
		}
	}
	if strings.Contains(conf, "\nPostUp") {
		t.Error("a name added a line")
	}
	if _, err := exec.LookPath("wg-quick"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs wg-quick, and root for it")
	}
	file := filepath.Join(t.TempDir(), "tc0.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("wg-quick", "strip", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PublicKey = "+e.Hub.PublicKey.String()) || strings.Contains(string(out), "Address") {
		t.Errorf("wg-quick: %v\n%s", err, out)
	}
}
