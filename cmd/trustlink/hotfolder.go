package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"trustcore/cmd/trustlink/internal/hotfolder"
	"trustcore/hsm/receipt"
	"trustcore/hsm/seal"
)

func hotfolderCommand(dir *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "hotfolder",
		Short: "Seal what appears in a folder, for systems that can't call anything",
	}
	c.AddCommand(hotfolderRun(dir), hotfolderStatus())
	return c
}

func hotfolderRun(dir *string) *cobra.Command {
	var h hotSealing
	c := &cobra.Command{
		Use:   "run --in FOLDER --out FOLDER",
		Short: "Seal what appears in a folder until told to end",
		Long: `Seals each document that appears in the folder --in and puts the result into --out under the same name; the original goes
to --done. Kinds are told by content, as by trustlink seal. A document that can't be sealed for a reason of its own goes to
--failed with the reason beside it in Polish and English (NAME.reason.txt); while the data centre is away documents wait.

  trustlink hotfolder run --in /srv/ezd/in --out /srv/ezd/out

A document is taken when its size and time have not changed for --settle. Safer is to write it under a name that begins
with a dot or ends in .tmp or .part, and to rename it when it is whole: such names are never taken; with --settle 0 all
writers have to do so. Links, devices, folders and files with several names (hard links) are never followed or read.

A result appears in one step and never replaces a file: of several of one name the later are numbered. Whenever the
process ends, by a kill or a power cut too, each document has exactly one result. One process works on a folder at a time.
The folders --failed, --done and --work must be on the file system of --in, and not in it.

With --receipt what appears is not a document but the facts of an official receipt, YAML or JSON, over those of --facts; the
sealed receipt appears in --out as NAME.upo.xml, .upp.xml or .upd.xml.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			h.state = state{*dir}
			return h.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	h.flags(c.Flags())
	return c
}

// hotSealing is one run of the command.
type hotSealing struct {
	sealOptions
	folders hotFolders
	keep    string
	settle  time.Duration
	poll    time.Duration
	flight  int
	most    int64
	mode    string
	json    bool

	state  state
	kind   receipt.Kind // "" to seal documents
	common factsFile

	mu     sync.Mutex
	sealer *sealer   // guarded by mu; nil before the data centre has answered, and after it failed
	since  time.Time // guarded by mu
}

// hotFolders are named as hotfolder.Config has them.
type hotFolders struct{ in, out, failed, done, work string }

func (h *hotFolders) flags(f *pflag.FlagSet) {
	f.StringVar(&h.in, "in", "", "`folder` in which documents appear")
	f.StringVar(&h.failed, "failed", "", "`folder` for documents that can't be sealed (default that of --in with -failed behind its name)")
	f.StringVar(&h.work, "work", "", "`folder` for documents in work (default that of --in with -work behind its name)")
}

// complete puts the folders that are not named beside --in.
func (h *hotFolders) complete() error {
	if h.in == "" {
		return errors.New("--in is missing: the folder in which documents appear")
	}
	in, err := filepath.Abs(h.in)
	if err != nil {
		return fmt.Errorf("--in: %w", err)
	}
	h.in = in
	for _, f := range []struct {
		path *string
		end  string
	}{{&h.failed, "-failed"}, {&h.done, "-done"}, {&h.work, "-work"}} {
		if *f.path == "" {
			*f.path = in + f.end
		}
	}
	return nil
}

func (h *hotSealing) flags(f *pflag.FlagSet) {
	h.folders.flags(f)
	h.sealOptions.flags(f, asContainer)
	f.StringVar(&h.folders.out, "out", "", "`folder` in which results appear")
	f.StringVar(&h.folders.done, "done", "", "`folder` for originals of sealed documents (default that of --in with -done behind its name)")
	f.StringVar(&h.keep, "originals", "done", "what becomes of originals once the result is there: done or remove")
	f.DurationVar(&h.settle, "settle", 2*time.Second, "`time` for which a file must not change before it is taken")
	f.DurationVar(&h.poll, "poll", time.Second, "`time` between two looks at the folder")
	f.IntVar(&h.flight, "in-flight", 4, "`documents` in work at once")
	f.Int64Var(&h.most, "max-bytes", seal.MaxDocument, "`bytes` of the largest document")
	f.StringVar(&h.mode, "mode", "0640", "`permissions` of results")
	f.BoolVar(&h.json, "json", false, "print one JSON object a document that is done with")
}

// configuration is what the flags say.
func (h *hotSealing) configuration(out, log io.Writer) (hotfolder.Config, error) {
	if err := h.folders.complete(); err != nil {
		return hotfolder.Config{}, err
	}
	mode, err := strconv.ParseUint(h.mode, 8, 32)
	switch {
	case err != nil || mode > 0o777:
		return hotfolder.Config{}, fmt.Errorf("--mode: %q: write permissions such as 0640", h.mode)
	case h.folders.out == "":
		return hotfolder.Config{}, errors.New("--out is missing: the folder in which results appear")
	case h.keep != "done" && h.keep != "remove":
		return hotfolder.Config{}, fmt.Errorf("--originals: %q is none: write done or remove", h.keep)
	case h.most > seal.MaxDocument:
		return hotfolder.Config{}, fmt.Errorf("--max-bytes: at most %d are sealed", seal.MaxDocument)
	}
	if h.keep == "remove" {
		h.folders.done = ""
	}
	f := h.folders
	cfg := hotfolder.Config{In: f.in, Out: f.out, Failed: f.failed, Done: f.done, Work: f.work, Seal: h.seal, MaxBytes: h.most,
		InFlight: h.flight, Settle: h.settle, Poll: h.poll, Mode: fs.FileMode(mode), Log: slog.New(slog.NewJSONHandler(log, nil))}
	cfg.Report = func(r hotfolder.Result) { h.tell(out, r) }
	return cfg, nil
}

// tell prints what became of a document. Who reads it may go away: documents are sealed nevertheless.
func (h *hotSealing) tell(out io.Writer, r hotfolder.Result) {
	switch {
	case h.json:
		_ = json.NewEncoder(out).Encode(r)
	case r.Failed != "":
		fmt.Fprintf(out, "%q: %s\n", r.Failed, r.Reason)
	default:
		fmt.Fprintln(out, r.Out)
	}
}

func (h *hotSealing) run(ctx context.Context, out, log io.Writer) (err error) {
	if err := h.sealOptions.check(); err != nil {
		return err
	}
	if h.receipt != "" {
		if h.kind, err = receiptKind(h.receipt); err == nil {
			h.common, err = readFacts(h.facts)
		}
		if err != nil {
			return err
		}
	}
	if _, err := h.state.enrolled(); err != nil {
		return err
	}
	cfg, err := h.configuration(out, log)
	if err != nil {
		return err
	}
	folder, err := hotfolder.Open(cfg)
	if err != nil {
		return err
	}
	return errors.Join(folder.Run(ctx), folder.Close())
}

// renewEvery is how often the key and its certificate are asked for again: orders change them.
const renewEvery = 10 * time.Minute

// seal seals one document that appeared, or the receipt that it asks for.
func (h *hotSealing) seal(ctx context.Context, name string, content []byte) (hotfolder.Sealed, error) {
	s, err := h.open(ctx)
	if err != nil {
		return hotfolder.Sealed{}, err
	}
	var sealed hotfolder.Sealed
	if h.kind == "" {
		sealed, err = s.document(ctx, name, content)
	} else {
		sealed, err = h.sealReceipt(ctx, s, content)
		sealed.Suffix = "." + string(h.kind) + ".xml"
	}
	var refusal *hotfolder.Refusal
	if err != nil && !errors.As(err, &refusal) {
		h.drop(s)
	}
	return sealed, err
}

// sealReceipt takes what appeared for facts.
func (h *hotSealing) sealReceipt(ctx context.Context, s *sealer, content []byte) (hotfolder.Sealed, error) {
	facts, err := parseFacts(content, h.common)
	if err != nil {
		return hotfolder.Sealed{}, wrongFacts(err)
	}
	said, err := facts.of(h.kind, time.Now())
	if err != nil {
		return hotfolder.Sealed{}, wrongFacts(err)
	}
	return s.receipt(ctx, said)
}

// open returns what seals now. The way to the data centre is looked for again after it failed: trustlink up may have
// started anew, at other ports.
func (h *hotSealing) open(ctx context.Context) (*sealer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sealer != nil && time.Since(h.since) < renewEvery {
		return h.sealer, nil
	}
	l, err := openLink(h.state)
	if err != nil {
		return nil, err
	}
	if h.sealer, err = openSealer(ctx, l, h.sealOptions); err != nil {
		h.sealer = nil
		return nil, err
	}
	h.since = time.Now()
	return h.sealer, nil
}

func (h *hotSealing) drop(s *sealer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sealer == s {
		h.sealer = nil
	}
}

func hotfolderStatus() *cobra.Command {
	var folders hotFolders
	var asJSON bool
	c := &cobra.Command{
		Use:   "status --in FOLDER",
		Short: "Say how a hot folder is",
		Long: `Says how the hot folder is whose documents appear in --in. The exit status is 3 when no process works on it, when documents
wait because they can't be sealed now, or when some lie in the folder for those that never can.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := folders.complete(); err != nil {
				return err
			}
			s, err := hotfolder.Inspect(folders.work, folders.failed)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(s)
			} else {
				printHotfolder(c.OutOrStdout(), s)
			}
			if err == nil && !s.Well() {
				err = exitCode(notWell)
			}
			return err
		},
	}
	folders.flags(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func printHotfolder(out io.Writer, s hotfolder.Status) {
	if !s.Running {
		fmt.Fprintln(out, "no process works on the folder (trustlink hotfolder run)")
	} else {
		fmt.Fprintf(out, "process %d works on the folder since %s: %d sealed, %d refused\n",
			s.PID, s.Started.Format(time.RFC3339), s.Sealed, s.Refused)
	}
	fmt.Fprintf(out, "waiting %d, in work %d, failed %d, ignored %d\n", s.Waiting, s.InWork, s.InFailed, s.Ignored)
	if s.Running && s.Blocked != "" {
		fmt.Fprintf(out, "documents wait since %s: %s\n", s.BlockedAt.Format(time.RFC3339), s.Blocked)
	}
	for _, name := range s.Names {
		fmt.Fprintf(out, "  ignored: %q is no regular file\n", name)
	}
}
