package registry_test

import (
	"errors"
	"strings"
	"testing"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/store/storetest"
)

const serversYAML = `server_certificates:
  names: [www.przykladowo.example, bip.przykladowo.example]
  addresses: [10.64.0.7]
  purposes: [server, client]
  not_after: 2027-01-01T00:00:00Z
`

// withServers is the sample order with B_CC and servers.
func withServers(text string) string {
	return strings.Replace(orderYAML, "[B_HSM, P_VPN]", "[B_HSM, P_VPN, B_CC]", 1) + text
}

// TestServersNameTheField: what no certificate can have is told with its field.
func TestServersNameTheField(t *testing.T) {
	if o, err := registry.ParseOrder([]byte(withServers(serversYAML))); err != nil || o.ServerCertificates.Listed() !=
		"www.przykladowo.example, bip.przykladowo.example, 10.64.0.7 (server, client)" {
		t.Fatal(o, err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"[www.przykladowo.example, ", "['*.przykladowo.example', ", "server_certificates.names[0]"},
		{"[www.przykladowo.example, ", "[WWW.przykladowo.example, ", "server_certificates.names[0]"},
		{"[www.przykladowo.example, ", "[www, ", "server_certificates.names[0]"},
		{"[www.przykladowo.example, ", "[10.64.0.7, ", "server_certificates.names[0]"},
		{"[www.przykladowo.example, ", "[www.przykladowo.example., ", "server_certificates.names[0]"},
		{"[www.przykladowo.example, ", "['" + strings.Repeat("a.", 130) + "pl', ", "server_certificates.names[0]"},
		{"[www.przykladowo.example, ", "[bip.przykladowo.example, ", "server_certificates.names[1]"},
		{"[www.przykladowo.example, bip.przykladowo.example]\n  addresses: [10.64.0.7]", "[]", "server_certificates.names"},
		{"10.64.0.7", "'::ffff:10.64.0.7'", "server_certificates.addresses[0]"},
		{"10.64.0.7", "010.64.0.7", "server_certificates.addresses[0]"},
		{"10.64.0.7", "10.64.0.0/16", "server_certificates.addresses[0]"},
		{"[server, client]", "[client]", "server_certificates.purposes[0]"},
		{"[server, client]", "[server, codeSigning]", "server_certificates.purposes[1]"},
	} {
		text := strings.Replace(serversYAML, c.old, c.new, 1)
		_, err := registry.ParseOrder([]byte(withServers(text)))
		var field *registry.FieldError
		if text == serversYAML || !errors.As(err, &field) || field.Field != c.want {
			t.Errorf("%s -> %s: got %v; want a refusal of %s", c.old, c.new, err, c.want)
		}
	}
	for what, text := range map[string]string{"without B_CC": orderYAML + serversYAML,
		"a change order": strings.Replace(changeYAML, "kind: change", "kind: change\n"+serversYAML, 1)} {
		var field *registry.FieldError
		if _, err := registry.ParseOrder([]byte(text)); !errors.As(err, &field) || field.Field != "server_certificates" {
			t.Errorf("%s: got %v; want a refusal of server_certificates", what, err)
		}
	}
}

// TestOneHostIsOneOffices: a name that an order in force gave to one office is no other's, and the right ends with B_CC.
func TestOneHostIsOneOffices(t *testing.T) {
	r, _ := open(t, storetest.SQLite(t))
	ctx := t.Context()
	servers := func(id, partner, names string) registry.Order {
		o, err := registry.ParseOrder([]byte("id: " + id + "\nkind: activation\npartner: {id: " + partner + ", name: " + partner + "}\n" +
			"agreement: {number: U/" + partner + ", signed: 2026-01-15}\ncomponents: [B_CC]\nserver_certificates: {names: [" + names + "]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return *o
	}
	first := servers("ZU-1", "um-a", "www.a.example")
	for _, do := range []func() error{
		func() error { return r.Submit(ctx, one, first) },
		func() error { return r.Approve(ctx, two, "ZU-1") },
		func() error { return r.Finish(ctx, "ZU-1", registry.Active) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	right, err := r.Servers(ctx, "um-a")
	if err != nil || right == nil || right.Line != "ZU-1" || right.ID != "ZU-1" {
		t.Fatalf("%+v, %v", right, err)
	}
	var field *registry.FieldError
	if err := r.Submit(ctx, one, servers("ZU-2", "um-b", "www.b.example, www.a.example")); !errors.As(err, &field) || field.Field != "server_certificates.names[1]" {
		t.Errorf("another office's name: got %v", err)
	}
	if right, err := r.Servers(ctx, "um-b"); err != nil || right != nil {
		t.Errorf("an office without an order: %+v, %v", right, err)
	}
	off, err := registry.ParseOrder([]byte("id: ZZ-1\nkind: change\npartner: {id: um-a}\ncomponents: [B_CC]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Submit(ctx, one, *off), r.Approve(ctx, two, "ZZ-1")); err != nil {
		t.Fatal(err)
	}
	if right, err := r.Servers(ctx, "um-a"); err != nil || right != nil {
		t.Errorf("after the change order's approval: %+v, %v", right, err)
	}
}
