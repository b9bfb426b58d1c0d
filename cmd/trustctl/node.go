package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
)

func nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Add nodes to an appliance over PostgreSQL"}
	c.AddCommand(addNodeCommand())
	return c
}

// newNode is one run of trustctl node add.
type newNode struct{ state, name, to, at string }

func addNodeCommand() *cobra.Command {
	var n newNode
	c := &cobra.Command{
		Use:   "add NAME --to FOLDER",
		Short: "Make the state of a further trustd over the database of this one",
		Long: `Makes a folder with what a further trustd needs: its configuration, the authorities' certificates, trustd's identity, the
key of the tunnels' secrets, and the PIN of the HSM. Take it to the other machine over a way that nobody reads along,
and start trustd there. Both nodes live at once, and either goes on when the other dies: nobody has to do anything.

  trustctl node add b --to /root/node-b --at /srv/trustcore --state /srv/trustcore

The HSM has to be reached from both machines. SoftHSM2's token is a folder: there a node of the same machine uses it too,
which is for trying. The audit log is each node's own, so are the recovery shares those of the first node. A folder
that is lost is made again under another name; after a ceremony succeed, nodes are made anew or get the folder pki.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n.name = args[0]
			return n.add(c.OutOrStdout())
		},
	}
	stateFlag(c, &n.state)
	c.Flags().StringVar(&n.to, "to", "", "`folder` to make")
	c.Flags().StringVar(&n.at, "at", "", "`folder` that it will be on its machine (default: the same)")
	return c
}

// What a further trustd needs, in the state's folder, beside its PIN and what the ceremonies left. Its audit log is its own.
var (
	nodeFolders = []string{"config", "identity", "identity/trustd", "trustd", "trustd/pki", "trustd/hsm", "log"}
	nodeFiles   = []string{"identity/ca.pem", "identity/root.pem", "identity/trustd/trustd.key", "identity/trustd/trustd.pem", nodeSecrets}
)

const (
	nodeSecrets = "trustd/tunnel-secrets.key"
	nodePIN     = "trustd/hsm/pin"
	notOfNode   = "recovery.json" // a share that was used is void where it was used
)

func (n *newNode) add(out io.Writer) error {
	st, err := openState(n.state)
	if err != nil {
		return err
	}
	if _, err := st.adopt(out); err != nil {
		return err
	}
	cfg, err := st.custody("")
	if err != nil {
		return err
	}
	if err := n.check(st, cfg); err != nil {
		return err
	}
	to := state{n.to}
	for _, dir := range nodeFolders {
		if err := durable.MkdirAll(to.path(dir), 0o700); err != nil {
			return err
		}
	}
	if err := n.copy(st, to, cfg); err != nil {
		return err
	}
	if cfg.HSM.Module == custody.SoftHSM {
		if err := os.Symlink(st.path("trustd", "hsm", "tokens"), to.path("trustd", "hsm", "tokens")); err != nil {
			return err
		}
		fmt.Fprintln(out, "SoftHSM2's token is a folder of this machine, which the node uses too: good for trying")
	}
	_, err = fmt.Fprintf(out, "node %s is in %s: start trustd with %s there\n", n.name, n.to, filepath.Join(n.at, "config", "trustd.yaml"))
	return err
}

// check says what keeps a node from being made, before anything is.
func (n *newNode) check(st state, cfg custody.Config) (err error) {
	if n.to == "" {
		return errors.New("--to is missing: the folder to make")
	}
	if n.to, err = filepath.Abs(n.to); err != nil {
		return err
	}
	if n.at == "" {
		n.at = n.to
	}
	if !filepath.IsAbs(n.at) {
		return errors.New("--at: write the absolute path that the folder will have")
	}
	if _, err := os.Stat(n.to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("--to: %s is there already", n.to))
	}
	if strings.HasPrefix(cfg.DatabaseURL(), "sqlite:") {
		return errors.New("SQLite serves one node: see trustctl database migrate")
	}
	if n.name == "" || n.name == cfg.Node {
		return fmt.Errorf("%q is this node's own name: choose another", n.name)
	}
	cfg.Node = n.name
	if err := cfg.Check(); err != nil {
		return err
	}
	if there, err := st.exists(nodeSecrets); err != nil || !there {
		return errors.Join(err, errors.New("trustd was never started here: start it once, so that the key of the tunnels' secrets is there"))
	}
	return nil
}

func (n *newNode) copy(st, to state, cfg custody.Config) error {
	files := append([]string{}, nodeFiles...)
	if cfg.HSM.PINFile == "" {
		files = append(files, nodePIN)
	}
	certificates, err := os.ReadDir(st.path("trustd", "pki"))
	if err != nil {
		return err
	}
	for _, c := range certificates {
		if c.Name() != notOfNode {
			files = append(files, filepath.Join("trustd", "pki", c.Name()))
		}
	}
	for _, file := range files {
		content, err := os.ReadFile(st.path(file))
		if err == nil {
			err = durable.WriteFile(to.path(file), content, 0o600)
		}
		if err != nil {
			return err
		}
	}
	text, err := os.ReadFile(st.path("config", "trustd.yaml"))
	if err != nil {
		return err
	}
	changed, err := edit(string(text), func(root *yaml.Node) error {
		follow(root, st.dir, n.at)
		return set(root, "node", n.name)
	})
	if err != nil {
		return err
	}
	return durable.WriteFile(to.path("config", "trustd.yaml"), []byte(changed), 0o600)
}
