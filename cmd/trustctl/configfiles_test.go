package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// version1 are the configuration files of a state in /srv/old, as version 1 wrote them, with what an operator added.
var version1 = map[string]string{
	"trustd.yaml": `# trustd: keys, registry, authority, HSM gateway, console. Every key is described in docs/operations.md.
leader: {id: demonstration, name: Demonstration data centre}
state_dir: "/srv/old/trustd"
database: sqlite:///srv/old/trustd/other.db # ours
pki_url: http://10.64.0.1:8080/pki
identity:
  certificate: "/srv/old/identity/trustd.pem"
  key: "/srv/old/identity/trustd.key"
  ca: "/srv/old/identity/ca.pem"
admin: 127.0.0.1:8440
enrolment: 127.0.0.1:8441
gateway: 10.64.0.1:9443
pki: 10.64.0.1:8080
console: 127.0.0.1:8443
operations: 127.0.0.1:8450
freebind: true
verifyd: {url: https://127.0.0.1:8444}
tunnel:
  pool: 10.64.0.0/16
  hub: 10.64.0.1
  endpoint: "192.0.2.1:51820"
  services:
    - {name: gateway, addr: "10.64.0.1:9443"}
    - {name: pki, addr: "10.64.0.1:8080"}
`,
	"vpnd.yaml": `# vpnd: the WireGuard hub, its firewall and routes.
mode: auto
interface: tc-hub
listen_port: 51820
addresses: [10.64.0.1/32]
state_dir: "/srv/old/vpnd"
trustd: https://127.0.0.1:8440
identity:
  certificate: "/srv/old/identity/vpnd.pem"
  key: "/srv/old/identity/vpnd.key"
  ca: "/srv/old/identity/ca.pem"
operations: 127.0.0.1:8451
`,
	"verifyd.yaml": `# verifyd: judges documents; holds no key but its own TLS key.
listen: 127.0.0.1:8444
identity:
  certificate: "/srv/old/identity/verifyd.pem"
  key: "/srv/old/identity/verifyd.key"
  ca: "/srv/old/identity/ca.pem"
operations: 127.0.0.1:8452
state_dir: "/srv/old/verifyd"
anchors: ["/srv/old/trustd/pki/root.pem", "/srv/older/root.pem", "/mnt/srv/old/root.pem"]
fetch_allow: ["10.64.0.1:8080"]   # the own authority's OCSP and CRLs, though their address is private
`,
	"trustctl.yaml": `trustd: https://127.0.0.1:8440
enrolment: https://127.0.0.1:8441
console: https://127.0.0.1:8443
verifyd: https://127.0.0.1:8444
pki: http://10.64.0.1:8080/pki
gateway: 10.64.0.1:9443
audit_log: "/srv/old/trustd/audit"
mode: auto
endpoint: 192.0.2.1:51820
port_base: 8440
vpn_port: 51820
`,
}

func oldState(t *testing.T, folder string) state {
	t.Helper()
	st := state{t.TempDir()}
	if err := os.Mkdir(st.path("config"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range version1 {
		if err := os.WriteFile(st.path("config", name), []byte(strings.ReplaceAll(text, "/srv/old/", folder+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"identity/trustd.pem", "identity/vpnd.key.next", "trustd/pki/root.pem"} {
		if err := os.MkdirAll(filepath.Dir(st.path(file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(st.path(file), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

func (s state) text(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path("config", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMovedState makes the paths of a version 1 state follow it, and no others.
func TestMovedState(t *testing.T) {
	st := oldState(t, "/srv/old")
	var said bytes.Buffer
	l, err := st.adopt(&said)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "this state was moved from /srv/old to "+st.dir) {
		t.Error(said.String())
	}
	if l.Version != stateVersion || l.Folder != st.dir || l.AuditLog != st.path("trustd", "audit") || l.PortBase != 8440 {
		t.Errorf("%+v", l)
	}
	for name, wants := range map[string][]string{
		"trustd.yaml": {"# trustd: keys", `state_dir: "` + st.path("trustd") + `"`, "database: sqlite://" + st.path("trustd", "other.db") + " # ours",
			`key: "` + st.path("identity", "trustd", "trustd.key") + `"`, "pool: 10.64.0.0/16"},
		"vpnd.yaml": {`state_dir: "` + st.path("vpnd") + `"`, "listen_port: 51820"},
		"verifyd.yaml": {`"` + st.path("identity", "root.pem") + `", "/srv/older/root.pem", "/mnt/srv/old/root.pem"]`, "# the own authority's OCSP",
			"trustd: https://127.0.0.1:8440\n"},
		"trustctl.yaml": {"version: 2\n"},
	} {
		text := st.text(t, name)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s:\n%s\nwant %s", name, text, want)
			}
		}
		if before := st.text(t, name+".bak"); before != version1[name] {
			t.Errorf("%s.bak:\n%s", name, before)
		}
	}
	cfg, err := st.custody("")
	if err != nil || cfg.StateDir != st.path("trustd") {
		t.Errorf("%+v, %v", cfg, err)
	}
	for file, content := range map[string]string{"identity/trustd/trustd.pem": "identity/trustd.pem", "identity/vpnd/vpnd.key.next": "identity/vpnd.key.next",
		"identity/root.pem": "trustd/pki/root.pem"} {
		if text, err := os.ReadFile(st.path(file)); err != nil || string(text) != content {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	said.Reset()
	if _, err := st.adopt(&said); err != nil || said.Len() != 0 {
		t.Errorf("again: %v %s", err, said.String())
	}
}

// TestOldState brings a state to this version where it lies; a folder of two names has not moved.
func TestOldState(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	st := oldState(t, link)
	if err := os.Symlink(st.dir, link); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if l, err := st.adopt(&said); err != nil || l.Version != stateVersion || said.Len() != 0 {
		t.Errorf("%+v, %v, %s", l, err, said.String())
	}
	if text := st.text(t, "verifyd.yaml"); !strings.Contains(text, "\ntrustd: https://127.0.0.1:8440\n") || !strings.Contains(text, link) {
		t.Error(text)
	}
	changed := strings.Replace(st.text(t, "verifyd.yaml"), "trustd: https://127.0.0.1:8440\n", "", 1) // an operator's wish stays
	if err := os.WriteFile(st.path("config", "verifyd.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	to := state{filepath.Join(t.TempDir(), "moved")}
	if err := os.Rename(st.dir, to.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := to.adopt(&said); err != nil || strings.Contains(to.text(t, "verifyd.yaml"), "trustd: https") {
		t.Errorf("%v\n%s", err, to.text(t, "verifyd.yaml"))
	}
}

// TestNewerState refuses a state of a later version, by whatever it has that is not known here.
func TestNewerState(t *testing.T) {
	st := oldState(t, "/srv/old")
	text := st.text(t, "trustctl.yaml") + "version: 3\nsomething: new\n"
	if err := os.WriteFile(st.path("config", "trustctl.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := st.adopt(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "was made by a newer version of trustctl (3; this one knows 2)") {
		t.Error(err)
	}
	if st.text(t, "trustctl.yaml") != text {
		t.Error("it was changed all the same")
	}
}

// TestConfigurationCanBeRead writes names and addresses that mean something in YAML, and finds them again.
func TestConfigurationCanBeRead(t *testing.T) {
	for _, endpoint := range []string{"2001:db8::1", "[2001:db8::1]", "vpn.example.org", "yes", "192.0.2.7"} {
		dir := filepath.Join(t.TempDir(), `a "b": #c 'd' {e}`)
		if err := os.MkdirAll(filepath.Join(dir, "config"), 0o700); err != nil {
			t.Fatal(err)
		}
		st, o := state{dir}, &upOptions{portBase: 9000, listenPort: 51820, endpoint: endpoint, extra: []string{"/a: b", "/c"}}
		l, err := o.newLayout(st)
		if err != nil {
			t.Skip(err)
		}
		if err := l.write(st, o); err != nil {
			t.Fatal(err)
		}
		read, err := st.layout()
		if err != nil || *read != *l {
			t.Errorf("%s: %+v, %v; want %+v", endpoint, read, err, l)
		}
		if host := strings.Trim(endpoint, "[]"); l.hosts()[len(l.hosts())-1] != host {
			t.Errorf("%s: hosts %v", endpoint, l.hosts())
		}
		var core trustdConfig
		if err := yaml.Unmarshal([]byte(st.text(t, "trustd.yaml")), &core); err != nil || core.Tunnel.Endpoint != l.Endpoint || core.StateDir != st.path("trustd") {
			t.Errorf("%+v, %v", core, err)
		}
		var judge verifydConfig
		if err := yaml.Unmarshal([]byte(st.text(t, "verifyd.yaml")), &judge); err != nil || judge.ExtraLists[0] != "/a: b" || judge.Trustd != l.Trustd {
			t.Errorf("%+v, %v", judge, err)
		}
	}
}

// TestWhatDaemonsReadElsewhere has one file of the configuration that only root may read.
func TestWhatDaemonsReadElsewhere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it needs root to become another user")
	}
	dir, err := os.MkdirTemp("", "lists") // which every user may reach
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	list := filepath.Join(dir, "list.xml")
	for _, f := range []func() error{func() error { return os.Chmod(dir, 0o755) }, func() error { return os.WriteFile(list, nil, 0o644) }} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	st := oldState(t, "/srv/old")
	text := "trust_lists: " + dir + "\nanchors: [" + list + "]\n"
	if err := os.WriteFile(st.path("config", "verifyd.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := st.outside("verifyd")
	if err != nil || !slices.Equal(files, []string{dir, list}) {
		t.Errorf("%v, %v", files, err)
	}
	if err := mayRead(t.Context(), "verifyd", files); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(list, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mayRead(t.Context(), "verifyd", files); err == nil || !strings.Contains(err.Error(), "may not be read: "+list) {
		t.Error(err)
	}
	if err := mayRead(t.Context(), "verifyd", nil); err != nil {
		t.Error(err)
	}
}
