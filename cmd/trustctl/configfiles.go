package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
	"trustcore/internal/durable"
	"trustcore/pki"
)

// trustdConfig, vpndConfig, verifydConfig and batchdConfig are what `trustctl up` writes for the daemons.
type trustdConfig struct {
	Leader     map[string]string
	StateDir   string `yaml:"state_dir"`
	Database   string `yaml:",omitempty"`
	PKIURL     string `yaml:"pki_url"`
	Identity   identity.Identity
	Admin      string
	Enrolment  string
	Gateway    string
	PKI        string
	Console    string
	Operations string
	FreeBind   bool
	Verifyd    verifierConfig
	Tunnel     tunnelConfig
}

type verifierConfig struct {
	URL   string
	Order string `yaml:",omitempty"`
}

// leaderName is that of the data centre, as people see it.
const leaderName = "Demonstration data centre"

type tunnelConfig struct {
	Pool, Hub, Endpoint string
	Services            []serviceConfig
}

type serviceConfig struct {
	Name, Addr string
	Backend    string `yaml:",omitempty"`
}

type vpndConfig struct {
	Mode       string
	Interface  string
	ListenPort int `yaml:"listen_port"`
	Addresses  []string
	StateDir   string `yaml:"state_dir"`
	Trustd     string
	Identity   identity.Identity
	Operations string
}

type verifydConfig struct {
	Listen      string
	Identity    identity.Identity
	Trustd      string
	Operations  string
	StateDir    string `yaml:"state_dir"`
	Anchors     []string
	FetchAllow  []string       `yaml:"fetch_allow"`
	TrustLists  string         `yaml:"trust_lists,omitempty"`
	LOTLSigners string         `yaml:"lotl_signers,omitempty"`
	ExtraLists  []string       `yaml:"extra_lists,omitempty"`
	Reports     *reportsConfig `yaml:",omitempty"`
}

// reportsConfig is about reports that are kept.
type reportsConfig struct {
	Judge string
	Seal  struct{ Gateway, Timestamps string }
}

type batchdConfig struct {
	Listen     string
	Identity   identity.Identity
	Trustd     string
	Verifyd    string
	Operations string
	StateDir   string `yaml:"state_dir"`
}

// write writes the configuration files of all daemons, and last trustctl's own, which says that they are there.
func (l *layout) write(st state, o *upOptions) error {
	for _, f := range []configFile{
		{"trustd.yaml", "trustd: keys, registry, authority, HSM gateway, console. Every key is described in docs/operations.md.", l.trustd(st, o)},
		{"vpnd.yaml", "vpnd: the WireGuard hub, its firewall and routes.", l.vpnd(st)},
		{"verifyd.yaml", "verifyd: judges documents; holds no key but its own TLS key.", l.verifyd(st, o)},
		l.batchdFile(st),
		{"trustctl.yaml", "trustctl: where everything listens.", l},
	} {
		if err := f.write(st); err != nil {
			return err
		}
	}
	return nil
}

// configFile is one in the state's folder config.
type configFile struct {
	name, about string
	content     any
}

func (f configFile) write(st state) error {
	text, err := yaml.Marshal(f.content)
	if err != nil {
		return err
	}
	return durable.WriteFile(st.path("config", f.name), append([]byte("# "+f.about+"\n"), text...), 0o600)
}

func (l *layout) batchdFile(st state) configFile {
	return configFile{"batchd.yaml", "batchd: takes batches of documents in, and has verifyd judge them.", batchdConfig{
		Listen: l.local(portBatchd), Identity: st.daemon("batchd"), Trustd: l.Trustd, Verifyd: l.Verifyd,
		Operations: l.local(portBatchdOperations), StateDir: st.path("batchd")}}
}

// addBatchd gives a state that was made before there was batchd its certificate and its configuration.
func (l *layout) addBatchd(ctx context.Context, st state) (err error) {
	if there, err := st.exists("config", "batchd.yaml"); err != nil || there {
		return err
	}
	cfg, err := st.custody("")
	if err != nil {
		return err
	}
	c, err := openCustody(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	ca, err := c.CA(ctx)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(st.path("identity", "batchd"), 0o700); err != nil {
		return err
	}
	if err := c.IssueIdentity(ctx, ca, pki.DaemonServer, serverSubject("batchd", l.hosts()), st.path("identity", "batchd"), "batchd"); err != nil {
		return err
	}
	return l.batchdFile(st).write(st)
}

func (l *layout) trustd(st state, o *upOptions) trustdConfig {
	gateway, pki := serviceConfig{Name: "gateway", Addr: tunnelGateway}, serviceConfig{Name: "pki", Addr: tunnelPKI}
	f := trustdConfig{Leader: map[string]string{"id": "demonstration", "name": leaderName}, StateDir: st.path("trustd"),
		Database: o.database, PKIURL: l.PKIURL,
		Identity: st.daemon("trustd"), Admin: l.local(portAdmin), Enrolment: l.local(portEnrolment), Gateway: tunnelGateway, PKI: tunnelPKI,
		Console: l.local(portConsole), Operations: l.local(portTrustdOperations), FreeBind: true, Verifyd: verifierConfig{l.Verifyd, l.Reports}}
	if !l.interfaces() {
		f.Gateway, f.PKI, f.FreeBind = l.local(portGateway), l.local(portPKI), false
		gateway.Backend, pki.Backend = f.Gateway, f.PKI
	}
	f.Tunnel = tunnelConfig{Pool: "10.64.0.0/16", Hub: hubAddress, Endpoint: l.Endpoint, Services: []serviceConfig{gateway, pki}}
	return f
}

func (l *layout) vpnd(st state) vpndConfig {
	return vpndConfig{Mode: l.Mode, Interface: "tc-hub", ListenPort: l.VPNPort, Addresses: []string{hubAddress + "/32"}, StateDir: st.path("vpnd"),
		Trustd: l.Trustd, Identity: st.daemon("vpnd"), Operations: l.local(portVPNOperations)}
}

// verifyd may fetch from the own authority, though its address is private.
func (l *layout) verifyd(st state, o *upOptions) verifydConfig {
	pki := strings.TrimSuffix(strings.TrimPrefix(l.PKIURL, "http://"), "/pki")
	f := verifydConfig{Listen: l.local(portVerifyd), Identity: st.daemon("verifyd"), Trustd: l.Trustd, Operations: l.local(portVerifydOperations),
		StateDir: st.path("verifyd"), Anchors: []string{st.root()}, FetchAllow: []string{pki},
		TrustLists: absolute(o.lists), LOTLSigners: absolute(o.signers)}
	for _, list := range o.extra {
		f.ExtraLists = append(f.ExtraLists, absolute(list))
	}
	if l.Reports != "" {
		f.Reports = &reportsConfig{Judge: leaderName}
		f.Reports.Seal.Gateway, f.Reports.Seal.Timestamps = "https://"+l.Gateway, l.PKIURL+"/tsa"
	}
	return f
}

// absolute leaves no path at all as it is.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil && path != "" {
		return abs
	}
	return path
}

// stateVersion is that of the states that this program makes and reads. In version 2 each daemon has a folder for its identity, and
// verifyd renews its certificate over trustd.
const stateVersion = 2

// layout reads where everything listens.
func (s state) layout() (*layout, error) {
	file := s.path("config", "trustctl.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var made struct{ Version int }
	if err := yaml.Unmarshal(text, &made); err == nil && made.Version > stateVersion { // what is no YAML is told below
		return nil, fmt.Errorf("the state in %s was made by a newer version of trustctl (%d; this one knows %d): use that version",
			s.dir, made.Version, stateVersion)
	}
	l := &layout{}
	return l, config.Load(file, l)
}

// adopt reads the layout of a state, after it has brought the configuration files to this version and to the folder that they lie in.
func (s state) adopt(out io.Writer) (*layout, error) {
	l, err := s.layout()
	if err != nil {
		return nil, err
	}
	from, moved := s.from(l)
	if !moved && l.Version == stateVersion {
		return l, nil
	}
	if moved {
		fmt.Fprintf(out, "this state was moved from %s to %s: the paths in config/*.yaml follow, the files before are beside them (.bak)\n", from, s.dir)
	}
	old := l.Version < stateVersion
	if old {
		if err := s.moveIdentities(); err != nil {
			return nil, err
		}
	}
	err = s.rewrite(func(name, text string) (string, error) {
		return edit(text, func(root *yaml.Node) error {
			if moved {
				follow(root, from, s.dir)
			}
			if old {
				s.followIdentities(root)
			}
			switch {
			case name == "trustctl.yaml":
				return errors.Join(set(root, "version", stateVersion), set(root, "folder", s.dir))
			case name == "verifyd.yaml" && old && value(root, "trustd") == nil:
				return set(root, "trustd", l.Trustd)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return s.layout()
}

// from is the folder that the state's files speak of, and whether it is another than theirs.
func (s state) from(l *layout) (folder string, moved bool) {
	folder = l.Folder
	if folder == "" { // of version 1
		folder, _ = strings.CutSuffix(l.AuditLog, "/trustd/audit")
	}
	return folder, folder != s.dir && !sameFolder(folder, s.dir)
}

// here has settings of a state that was moved, and that nothing has adopted yet, speak of where it lies. A state as the ceremony leaves
// it has no layout, and speaks of no folder.
func (s state) here(c *custody.Config) error {
	l, err := s.layout()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if from, moved := s.from(l); moved {
		for _, path := range []*string{&c.StateDir, &c.Database, &c.HSM.PINFile} {
			*path = followed(*path, from, s.dir)
		}
	}
	return nil
}

// moveIdentities gives each daemon of a state of version 1 its folder, and all of them the root's certificate.
func (s state) moveIdentities() error {
	for _, name := range slices.Concat(daemonServers, daemonClients) {
		if err := durable.MkdirAll(s.path("identity", name), 0o700); err != nil {
			return err
		}
		for _, file := range []string{name + ".key", name + ".key.next", name + ".pem"} {
			if err := os.Rename(s.path("identity", file), s.path("identity", name, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return s.copyRoot()
}

// followIdentities has the paths in a configuration file follow moveIdentities.
func (s state) followIdentities(root *yaml.Node) {
	for _, name := range slices.Concat(daemonServers, daemonClients) {
		for _, file := range []string{name + ".key", name + ".pem"} {
			follow(root, s.path("identity", file), s.path("identity", name, file))
		}
	}
	follow(root, s.path("trustd", "pki", "root.pem"), s.root())
}

func sameFolder(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// rewrite changes all configuration files, trustctl's own last: until it is written, it is tried again. What a file was is beside it.
func (s state) rewrite(change func(name, text string) (string, error)) error {
	for _, name := range []string{"trustd.yaml", "vpnd.yaml", "verifyd.yaml", "batchd.yaml", "trustctl.yaml"} {
		file := s.path("config", name)
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && name == "batchd.yaml" { // of a state that was made before there was one
			continue
		}
		if err != nil {
			return err
		}
		changed, err := change(name, string(text))
		if err != nil {
			return fmt.Errorf("configuration %s: %w", file, err)
		}
		if changed == string(text) {
			continue
		}
		if err := errors.Join(durable.WriteFile(file+".bak", text, 0o600), durable.WriteFile(file, []byte(changed), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// edit changes a YAML document and keeps its comments.
func edit(text string, change func(root *yaml.Node) error) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return "", err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return "", errors.New("it is no mapping of keys to values")
	}
	if err := change(document.Content[0]); err != nil {
		return "", err
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := errors.Join(e.Encode(&document), e.Close())
	return out.String(), err
}

// value finds the value of a key; nil when it is not there.
func value(root *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(root.Content); i += 2 { // keys and values take turns
		if root.Content[i].Value == key {
			return root.Content[i+1]
		}
	}
	return nil
}

// set gives a key a value.
func set(root *yaml.Node, key string, to any) error {
	v := value(root, key)
	if v == nil {
		v = new(yaml.Node)
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
	}
	return v.Encode(to)
}

// follow turns paths into one folder into paths into another.
func follow(n *yaml.Node, from, to string) {
	for _, inner := range n.Content {
		follow(inner, from, to)
	}
	if n.Kind == yaml.ScalarNode {
		n.Value = followed(n.Value, from, to)
	}
}

// followed is a path, or the URL of a SQLite file, in the other folder; anything else as it is.
func followed(text, from, to string) string {
	scheme, path := "", text
	if rest, is := strings.CutPrefix(path, "sqlite://"); is {
		scheme, path = "sqlite://", rest
	}
	if path != from && !strings.HasPrefix(path, from+"/") {
		return text
	}
	return scheme + to + strings.TrimPrefix(path, from)
}
