package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/fetch"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// trustFlags choose whose lists a command is about: verifyd's, or those of a folder.
type trustFlags struct {
	officerFlags
	keep, signers, proxy, lotl string
}

func trustCommand() *cobra.Command {
	f := &trustFlags{}
	c := f.group("trust", "Look after the trusted lists", `The trusted lists say which issuers are qualified, in every country of the Union. verifyd keeps them: it fetches them by
itself (lists.fetch in its configuration), or takes them from a folder that somebody carried in. Each list is held
against the one in use and the list of the lists, which says who may sign it; one that is not well signed, older or
of another country is not taken, however it comes.

Without --keep the commands ask the verifyd of --state or --server. With --keep they tend the lists of a folder
without any verifyd, for trustctl verify --trust-lists FOLDER. docs/trust.md tells the whole.

Exit status: 0 done, and all is well; 3 something is not: a list is missing, past its next update, could not be
fetched or was refused, or two lists differ; 1 the command could not be carried out.`)
	p := c.PersistentFlags()
	p.StringVar(&f.keep, "keep", "", "`folder` of lists to tend, in place of verifyd's")
	p.StringVar(&f.signers, "lotl-signers", "", "with --keep: `folder` with PEM certificates that may sign the list of the lists (default those shipped)")
	p.StringVar(&f.proxy, "proxy", "", "with --keep: http or https `URL` of the proxy")
	p.StringVar(&f.lotl, "lotl", upkeep.DefaultLOTL, "with --keep: `URL` of the list of the lists")
	c.AddCommand(f.statusCommand(), f.showCommand(), f.diffCommand(), f.refreshCommand(), f.importCommand(), signersCommand())
	c.PersistentFlags().Lookup("server").Usage = "https `URL` of verifyd (default from the state's configuration)"
	return c
}

// lists is who is asked: verifyd, or a folder.
type lists interface {
	status(ctx context.Context) (*trustStatus, error)
	list(ctx context.Context, territory string) (*trustlist.Summary, error)
	refresh(ctx context.Context) (*trustStatus, error)
	carry(ctx context.Context, files []upkeep.File) (*carried, error)
	close() error
}

// with runs a command on the lists that the flags choose.
func (f *trustFlags) with(c *cobra.Command, run func(ctx context.Context, l lists, out io.Writer) error) (err error) {
	l, err := f.lists(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return run(c.Context(), l, c.OutOrStdout())
}

func (f *trustFlags) lists(ctx context.Context) (lists, error) {
	if f.keep == "" {
		return f.verifyd()
	}
	dir, err := filepath.Abs(f.keep)
	if err != nil {
		return nil, err
	}
	signers, err := trustlist.SignersOf(f.signers)
	if err != nil {
		return nil, fmt.Errorf("--lotl-signers: %w", err)
	}
	bounds := fetch.Config{Timeout: time.Minute, MaxBytes: trustlist.MaxSize}
	if f.proxy != "" {
		if bounds.Proxy, err = url.Parse(f.proxy); err != nil {
			return nil, errors.New("--proxy: this is no URL")
		}
	}
	client, err := fetch.Configured(bounds, f.lotl)
	if err != nil {
		return nil, fmt.Errorf("--lotl: %w", err)
	}
	k, err := upkeep.Open(ctx, upkeep.Config{Dir: dir, Signers: signers, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Fetch: &upkeep.Fetch{Client: client, LOTL: f.lotl, Every: time.Hour}})
	if errors.Is(err, upkeep.ErrLocked) {
		return nil, fmt.Errorf("%w: where that is verifyd, leave --keep out", err)
	}
	if err != nil {
		return nil, err
	}
	return &kept{k}, nil
}

func (f *trustFlags) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say which lists are in use, how old they are, and what is wrong",
		Long: `Shows each list in use with its sequence number, when it was issued and when its next update is due, and below that
what is wrong, with what to do.

  trustctl trust status
  trustctl trust status --json --keep kept/`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.with(c, func(ctx context.Context, l lists, out io.Writer) error {
				s, err := l.status(ctx)
				if err != nil {
					return err
				}
				return f.tell(out, s)
			})
		},
	}
}

// tell shows a status; it is an exit status too.
func (f *trustFlags) tell(out io.Writer, s *trustStatus) error {
	if err := show(out, s, f.asJSON); err != nil {
		return err
	}
	if len(s.Findings) > 0 {
		return exitCode(notPassed)
	}
	return nil
}

func (f *trustFlags) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show TERRITORY",
		Short: "Show the services of a list",
		Long: `Shows the services of a territory's list, what they are entitled to now, and since when. With --json also what they
were entitled to before, and their certificates.

  trustctl trust show PL
  trustctl trust show PL --keep kept/`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.with(c, func(ctx context.Context, l lists, out io.Writer) error {
				s, err := l.list(ctx, args[0])
				if err != nil {
					return err
				}
				return show(out, (*shownList)(s), f.asJSON)
			})
		},
	}
}

func (f *trustFlags) refreshCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "refresh",
		Short: "Fetch all lists now",
		Long: `Asks for the list of the lists and every national list now, and shows what is in use then. What has not changed is not
transferred again. verifyd takes such a wish once a minute, and does the same by itself every few hours.

  trustctl trust refresh
  trustctl trust refresh --keep kept --proxy http://proxy.example.org:3128`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.with(c, func(ctx context.Context, l lists, out io.Writer) error {
				s, err := l.refresh(ctx)
				if err != nil {
					return err
				}
				return f.tell(out, s)
			})
		},
	}
}

func (f *trustFlags) importCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FOLDER",
		Short: "Take lists from a folder that somebody carried in",
		Long: `Takes the lists of a folder, plain or gzip, told apart by what is in them: the list of the lists, its pivots, national
lists. Each is checked as if it had been fetched, the older before the newer; what is in use stays where a file is
not taken, and the file is named with the reason. What is merely older than what is in use is no failure.

  trustctl trust import lists/
  trustctl trust import lists/ --keep kept/`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := readFolder(args[0])
			if err != nil {
				return err
			}
			return f.with(c, func(ctx context.Context, l lists, out io.Writer) error {
				taken, err := l.carry(ctx, files)
				if err != nil {
					return err
				}
				if err := show(out, taken, f.asJSON); err != nil || taken.refused() == 0 {
					return err
				}
				return exitCode(notPassed)
			})
		},
	}
}

// readFolder reads what may be lists.
func readFolder(dir string) ([]upkeep.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []upkeep.File
	for _, e := range entries {
		if e.IsDir() || !trustlist.MayBeList(e.Name()) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			continue
		case info.Size() > trustlist.MaxSize:
			return nil, fmt.Errorf("%s: more than %d bytes: this is no trusted list", name, trustlist.MaxSize)
		}
		octets, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, upkeep.File{Name: e.Name(), Octets: octets})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no file that may be a list", dir)
	}
	return files, nil
}

func (f *trustFlags) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff [OLD NEW]",
		Short: "Say what changed in the lists",
		Long: `Without arguments says what changed in each list when it was taken last: services that were added or removed, whose
status is another, and territories with other signers or addresses. With two files, each one list, or two folders of
lists, says in what they differ; nothing of them is checked but that they can be read.

  trustctl trust diff --keep kept/
  trustctl trust diff old/PL.xml new/PL.xml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return errors.New("name two files or folders, or none for what changed last")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				d, err := diffOf(args[0], args[1])
				if err != nil {
					return err
				}
				return f.tellDiff(c.OutOrStdout(), d)
			}
			return f.with(c, func(ctx context.Context, l lists, out io.Writer) error {
				s, err := l.status(ctx)
				if err != nil {
					return err
				}
				return f.tellDiff(out, lastChanges(s))
			})
		},
	}
}

func (f *trustFlags) tellDiff(out io.Writer, d *listDiffs) error {
	if err := show(out, d, f.asJSON); err != nil || len(*d) == 0 {
		return err
	}
	return exitCode(notPassed)
}

func signersCommand() *cobra.Command {
	var of string
	c := &cobra.Command{
		Use:   "signers",
		Short: "Show who may sign the list of the lists",
		Long: `Shows the certificates of the Official Journal that are shipped: who may sign the first list of the lists. Each later
one names the signers of the next. With --of, writes as PEM the certificates that a list of the lists names: where a
newer issue of the Official Journal replaces those shipped, hold each against its text, and name the folder with
lotl_signers until a version of the program has them.

  trustctl trust signers
  trustctl trust signers --of eu-lotl.xml > signers-new.pem`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			if of == "" {
				asJSON, err := c.Flags().GetBool("json")
				if err != nil {
					return err
				}
				return show(out, shippedSigners(), asJSON)
			}
			named, err := signersNamedBy(c.Context(), of)
			if err != nil {
				return err
			}
			_, err = out.Write(named.PEM())
			return err
		},
	}
	c.Flags().StringVar(&of, "of", "", "`file` with a list of the lists")
	return c
}

func signersNamedBy(ctx context.Context, file string) (*trustlist.Signers, error) {
	c, err := checkFile(ctx, file)
	if err != nil {
		return nil, err
	}
	if !c.LOTL() {
		return nil, fmt.Errorf("%s is the list of %s, no list of the lists", file, c.Territory)
	}
	named := trustlist.SignersNamedBy(c)
	return &named, nil
}

func checkFile(ctx context.Context, file string) (*trustlist.Checked, error) {
	octets, err := readTrustedList(file)
	if err != nil {
		return nil, err
	}
	c, err := trustlist.Check(ctx, octets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

func readTrustedList(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err == nil {
		data, err = trustlist.Unpack(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return data, nil
}
