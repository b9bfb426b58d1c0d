package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/config"
	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/keyuse"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki"
)

// auditPlace is where the audit log of a node is, by flags and the configuration of trustd.
type auditPlace struct{ state, config, log, key string }

// trustdFile is what audit commands need of trustd's configuration.
type trustdFile struct {
	custody.Config `koanf:",squash"`
	Rest           map[string]any `koanf:",remain"`
}

// Check leaves it to trustd to judge its configuration.
func (*trustdFile) Check() error { return nil }

// load reads trustd's configuration. A state without one, as the ceremony leaves it, has the defaults.
func (p *auditPlace) load() (*custody.Config, error) {
	st, err := openState(p.state)
	if err != nil {
		return nil, err
	}
	file := p.config
	if file == "" {
		file = st.path("config", "trustd.yaml")
	}
	c := trustdFile{Config: custody.Config{StateDir: st.path("trustd")}}
	if err := config.Load(file, &c); err != nil && (p.config != "" || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	if p.config == "" {
		err = st.here(&c.Config)
	}
	return &c.Config, err
}

func (p *auditPlace) reader() (*audit.Reader, error) {
	log := p.log
	if log == "" {
		c, err := p.load()
		if err != nil {
			return nil, err
		}
		log = c.AuditLog().Dir
	}
	if p.key == "" {
		return audit.OpenReader(log)
	}
	text, err := os.ReadFile(p.key)
	if err != nil {
		return nil, err
	}
	return audit.OpenReaderWithKey(log, string(text))
}

// remembered returns what the database knows of the log.
func (p *auditPlace) remembered(ctx context.Context) (*audit.Remembered, *audit.Facts, error) {
	c, err := p.load()
	if err != nil {
		return nil, nil, err
	}
	db, err := openDatabase(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	known, err := audit.Recall(ctx, db, c.AuditLog().Origin)
	if err == nil && c.Node != "" { // what other nodes did stands in their logs
		return known, audit.NewFacts(nil), db.Close()
	}
	var all []audit.Fact
	for _, facts := range []func(context.Context, *store.DB) ([]audit.Fact, error){registry.Facts, pki.Facts, hsm.Facts} {
		if err == nil {
			var some []audit.Fact
			some, err = facts(ctx, db)
			all = append(all, some...)
		}
	}
	return known, audit.NewFacts(all), errors.Join(err, db.Close())
}

// openDatabase opens the database, which has to be there.
func openDatabase(ctx context.Context, c *custody.Config) (*store.DB, error) {
	if file, ok := strings.CutPrefix(c.DatabaseURL(), "sqlite://"); ok {
		if _, err := os.Stat(file); err != nil {
			return nil, err
		}
	}
	return store.Open(ctx, c.DatabaseURL())
}

func auditCommand() *cobra.Command {
	var p auditPlace
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read, prove and verify the audit log",
		Long: `The audit log is a journal, where an entry is durable, and behind it a Merkle tree with signed checkpoints. It is
read from its folder, also while trustd writes it, and on any other machine that has a copy.

  trustctl audit who --key KEY --on 2026-03-03                          who used this key on 3 March (UTC)
  trustctl audit usage --partner um-przykladowo --in 2026-03            how often an office's keys were used
  trustctl audit list --order ZU/1/2026                                 entries, by office, order, subject, action and time
  trustctl audit prove 42 > proof.json                                  one entry with its proof
  trustctl audit check proof.json --key checkpoint.pub                  check a proof without the log
  trustctl audit verify --checkpoint kept.txt                           nothing was changed or removed
  trustctl audit accept-loss --reason TEXT                              go on after the log was lost`,
	}
	stateFlag(c, &p.state)
	f := c.PersistentFlags()
	f.StringVar(&p.config, "config", "", "trustd's configuration `file` (default config/trustd.yaml in the state)")
	f.StringVar(&p.log, "log", "", "`folder` of the log (default trustd/audit in the state)")
	f.StringVar(&p.key, "key", "", "`file` with the checkpoints' public key that was kept elsewhere (default the one beside the log)")
	c.AddCommand(auditList(&p), auditWho(&p), auditUsage(&p), auditProve(&p), auditCheck(&p.key), auditVerify(&p), auditAcceptLoss(&p))
	return c
}

func auditList(p *auditPlace) *cobra.Command {
	var f audit.Filter
	var from, to string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List entries, oldest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if err := choosePeriod(&f, from, to); err != nil {
			return err
		}
		r, err := p.reader()
		if err != nil {
			return err
		}
		entries, err := r.List(c.Context(), f)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(entries)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ENTRY\tTIME (UTC)\tACTOR\tACTION\tSUBJECT\tPARTNER\tORDER\tOUTCOME")
		for _, e := range entries {
			outcome := e.Outcome
			if e.Reason != "" {
				outcome += ": " + e.Reason
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Index, e.Time.UTC().Format(time.RFC3339), e.Actor, e.Action, e.Subject, e.Partner, e.Order, outcome)
		}
		return w.Flush()
	}}
	fl := c.Flags()
	fl.StringVar(&f.Partner, "partner", "", "only of this `partner`")
	fl.StringVar(&f.Subject, "subject", "", "only about this key, order or serial `number`")
	fl.StringVar(&f.Order, "order", "", "only under this `order`")
	fl.StringVar(&f.Action, "action", "", "only actions that begin so, such as hsm.")
	fl.StringVar(&from, "from", "", "from the beginning of this `time` on: 2026, 2026-03, 2026-03-03 or 2026-03-03T12:30 in UTC, or with an offset")
	fl.StringVar(&to, "to", "", "up to the end of this `time`: --to 2026-03-03 has the whole day")
	fl.IntVar(&f.Last, "last", 0, "only the newest `n`")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// choosePeriod fills the filter's times.
func choosePeriod(f *audit.Filter, from, to string) (err error) {
	if from != "" {
		if f.From, _, err = audit.ParsePeriod(from); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	if to != "" {
		if _, f.Before, err = audit.ParsePeriod(to); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
	}
	if from != "" && to != "" && !f.From.Before(f.Before) {
		return fmt.Errorf("--from %s lies behind --to %s", from, to)
	}
	return nil
}

func auditProve(p *auditPlace) *cobra.Command {
	return &cobra.Command{Use: "prove ENTRY", Short: "Print one entry with the proof that it stands in the log", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			index, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no entry: write its number, as trustctl audit list shows it", args[0])
			}
			r, err := p.reader()
			if err != nil {
				return err
			}
			proof, err := r.Prove(c.Context(), index)
			if err != nil {
				return err
			}
			return printJSON(proof)
		}}
}

func auditCheck(key *string) *cobra.Command {
	return &cobra.Command{Use: "check PROOF --key FILE", Short: "Check a proof against the checkpoints' public key alone", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if *key == "" {
				return errors.New("--key is missing: the file with the checkpoints' public key")
			}
			public, err := os.ReadFile(*key)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			proofs, err := readProofs(data)
			if err != nil {
				return fmt.Errorf("%s is no proof: %w", args[0], err)
			}
			for _, p := range proofs {
				if err := audit.VerifyProof(p, string(public)); err != nil {
					return err
				}
				fmt.Printf("entry %d stands in the log:\n%s\n", p.Index, p.Entry)
			}
			return nil
		}}
}

// readProofs reads one proof, or those of the uses of a key. What says of a use what its proven entry does not is no proof.
func readProofs(data []byte) ([]*audit.Proof, error) {
	var many keyuse.Answer
	if err := json.Unmarshal(data, &many); err == nil && len(many.Proofs) > 0 {
		return many.Proofs, errors.Join(many.Check(), asLogged(many.Proofs))
	}
	var one audit.Proof
	err := json.Unmarshal(data, &one)
	if err == nil && len(one.Entry) == 0 {
		err = errors.New("it has no entry")
	}
	proofs := []*audit.Proof{&one}
	return proofs, errors.Join(err, asLogged(proofs))
}

// asLogged writes the entries of proofs as the log has them: in a file for people they are indented, and its digest is of the
// entry without.
func asLogged(proofs []*audit.Proof) error {
	for _, p := range proofs {
		if len(p.Entry) == 0 {
			continue
		}
		var text bytes.Buffer
		if err := json.Compact(&text, p.Entry); err != nil {
			return fmt.Errorf("entry %d: %w", p.Index, err)
		}
		p.Entry = text.Bytes()
	}
	return nil
}

func auditVerify(p *auditPlace) *cobra.Command {
	var against audit.Against
	var kept, before []string
	var asJSON bool
	var facts *audit.Facts
	c := &cobra.Command{Use: "verify", Short: "Check every entry against the signed checkpoint, the database and kept checkpoints", Args: cobra.NoArgs,
		Long: `Reads the whole log and holds it against its newest checkpoint, against the newest one that the database remembers, and
against checkpoints that were kept elsewhere (--checkpoint, as trustctl audit verify --json prints them). Orders, keys and
certificates of the database are held against its entries: each needs one that allowed it. With --log it is a copy that is
read; the database is then asked only when --config names it.`,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := p.reader()
			if err != nil {
				return err
			}
			for _, file := range append(kept, before...) {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				against.Kept = append(against.Kept, string(text))
			}
			if p.log == "" || p.config != "" {
				if against.Remembered, facts, err = p.remembered(c.Context()); err != nil {
					fmt.Fprintf(os.Stderr, "trustctl: the log is not held against the database, which can't be read: %v\n", err)
				}
			}
			if facts != nil {
				against.Each = facts.Each
			}
			story, err := r.Verify(c.Context(), against)
			held := 0
			if err == nil && facts != nil {
				held, err = facts.Missing()
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(story)
			}
			fmt.Println(story.Summary())
			if facts != nil {
				fmt.Printf("%d orders, keys and certificates of the database were allowed by entries\n", held)
			}
			return nil
		}}
	c.Flags().StringArrayVar(&kept, "checkpoint", nil, "`file` with a checkpoint that was kept elsewhere; the log must continue it; repeat for more")
	c.Flags().StringArrayVar(&before, "kept", nil, "")
	_ = c.Flags().MarkDeprecated("kept", "write --checkpoint")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the checkpoint to keep")
	return c
}

func auditAcceptLoss(p *auditPlace) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "accept-loss --reason TEXT", Short: "Begin a new log after the old one was lost, and say so in it", Args: cobra.NoArgs,
		Long: `When trustd does not start since its audit log was changed, cut off, taken back or removed: restore the newest copy of
the log's folder. Only when there is none, this command keeps what is there in a folder aside, deletes nothing, and begins
a new log with a new key. Its first entry, ` + audit.ResetAction + `, holds what was found, what the database remembers of the old
log, and the reason. It refuses when nothing is wrong. trustd must not run. Keep the new checkpoint.pub elsewhere.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if reason == "" {
				return errors.New("--reason is missing: why the log is lost stands in the first entry of the new one")
			}
			cfg, err := p.load()
			if err != nil {
				return err
			}
			log := cfg.AuditLog()
			actor, err := hostAccount(log.Dir)
			if err != nil {
				return err
			}
			db, err := openDatabase(c.Context(), cfg)
			if err != nil {
				return err
			}
			log.DB = db
			aside, err := audit.AcceptLoss(c.Context(), log, actor, reason)
			if err := errors.Join(err, db.Close()); err != nil {
				return err
			}
			fmt.Printf("a new log is begun in %s, whose first entry says why; the old one lies in %s.\nKeep %s elsewhere: its key is new.\n",
				log.Dir, aside, filepath.Join(log.Dir, "checkpoint.pub"))
			return nil
		}}
	c.Flags().StringVar(&reason, "reason", "", "`text`: why the log is lost, for the entry that says so")
	return c
}

// hostAccount is the account that runs this: root, or, where all is one account's, who has the folder above the log.
func hostAccount(log string) (audit.Actor, error) {
	account, err := user.Current()
	if err != nil {
		return audit.Actor{}, err
	}
	info, err := os.Stat(filepath.Dir(log))
	if err != nil {
		return audit.Actor{}, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if euid := os.Geteuid(); euid != 0 && (!ok || euid != int(owner.Uid)) {
		return audit.Actor{}, errors.New("run this as root, on the host of the log")
	}
	return audit.Actor{Kind: "host", ID: account.Username}, nil
}
