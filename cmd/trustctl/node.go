package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
	"trustcore/internal/lease"
)

func nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Add, list and remove nodes of an appliance over PostgreSQL"}
	c.AddCommand(addNodeCommand())
	var f officerFlags
	list := f.do("list", "List the nodes that the database has seen, and which of them live", cobra.NoArgs,
		func(ctx context.Context, o *officer, _ []string) (any, error) {
			var all nodes
			err := o.call(ctx, "GET", "/v1/nodes", nil, &all)
			return all, err
		})
	remove := f.do("remove NAME", "Forget a node that is gone for good; the log has then how its own log ended", cobra.ExactArgs(1),
		func(ctx context.Context, o *officer, args []string) (any, error) {
			var left nodes
			err := o.call(ctx, "POST", "/v1/nodes/remove", map[string]string{"name": args[0]}, &left)
			return left, err
		})
	for _, asked := range []*cobra.Command{list, remove} {
		f.add(asked)
		asked.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
		c.AddCommand(asked)
	}
	return c
}

// nodes are those over one database.
type nodes []lease.Node

func (all nodes) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "NODE\tSTATE\tLEASE UNTIL")
	for _, n := range all {
		state, until := "away", "unknown"
		if n.Lives {
			state = "lives"
		}
		if !n.Until.IsZero() {
			until = n.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", n.Name, state, until)
	}
	return w.Flush()
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
