package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
	"trustcore/pki/ceremony"
)

// stick is one run of a command that reads or writes a file on the stick, between the machine of a root and this one.
type stick struct {
	dir                                *string
	cfg                                custody.Config
	plan, to, digest, name, cross, end string
	signed                             string
	by, revoke                         []string
	parties                            parties
}

// stickCommands are those.
func stickCommands(dir *string) []*cobra.Command {
	s := &stick{dir: dir, cfg: custody.Defaults()}
	root := s.command("root --plan FILE", "Make a root on a machine of its own", cobra.NoArgs, s.makeRoot)
	root.Flags().StringVar(&s.plan, "plan", "", "`file` with the plan: one without issuing, ocsp and time_stamping")
	root.Flags().StringVar(&s.name, "name", "root", "`name` of the root in URLs: root-2 for a second one")
	request := s.command("request --plan FILE --to FILE", "Ask a root on another machine to certify an issuing authority", cobra.NoArgs, s.ask)
	request.Flags().StringVar(&s.plan, "plan", "", "`file` with the plan: one without root and root_crl, or with --cross root that of the root")
	request.Flags().StringVar(&s.cross, "cross", "", "`name` of an authority that is here, such as issuing or root: asks a further root to certify it too")
	signedFlag(root.Flags(), &s.signed)
	sign := s.command("sign REQUEST --digest HEX --by NAME --by NAME --to FILE", "Have the root that is here answer a request", cobra.ExactArgs(1), s.sign)
	take := s.command("import ANSWER --digest HEX --by NAME --by NAME", "Take the root's answer, and make what stands below", cobra.ExactArgs(1), s.take)
	s.parties.flags(take.Flags())
	for _, c := range []*cobra.Command{sign, take} {
		c.Flags().StringVar(&s.digest, "digest", "", "SHA-256 of the file, in `hex`, as the other machine showed it and people carried it on paper")
		c.Flags().StringArrayVar(&s.by, "by", nil, "`name` of an attendee of the plan who does this; two different ones. Where the people have keys: --signed")
		signedFlag(c.Flags(), &s.signed)
	}
	list := s.command("list --to FILE", "Have the root that is here make its next list", cobra.NoArgs, s.list)
	list.Flags().StringVar(&s.end, "valid", "180d", "how long the list is valid, at most a year, as `span`")
	list.Flags().StringArrayVar(&s.revoke, "revoke", nil, "`file` with a certificate of this root to revoke; repeat for more")
	signedFlag(list.Flags(), &s.signed)
	for _, c := range []*cobra.Command{request, sign, list} {
		c.Flags().StringVar(&s.to, "to", "", "`file` to write")
	}
	return append([]*cobra.Command{root, request, sign, take, list}, s.peopleCommands()...)
}

// command opens the state for what is done.
func (s *stick) command(use, short string, args cobra.PositionalArgs,
	do func(ctx context.Context, st state, c *custody.Custody, args []string, out io.Writer) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: args}
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if c.Flags().Lookup("to") != nil && s.to == "" { // before a key signs what nobody would get
			return errors.New("--to is missing: the file to write")
		}
		st, err := openState(*s.dir)
		if err != nil {
			return err
		}
		if err := st.make(); err != nil {
			return err
		}
		cfg := s.cfg
		if there, err := st.exists("config", "trustd.yaml"); err != nil {
			return err
		} else if there {
			if cfg, err = st.custody(""); err != nil {
				return err
			}
		}
		cfg.StateDir, cfg.Logger = st.path("trustd"), slog.New(slog.DiscardHandler)
		opened, err := openCustody(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened.Close(context.WithoutCancel(c.Context()))) }()
		return do(c.Context(), st, opened, args, c.OutOrStdout())
	}
	custodyFlags(c.Flags(), &s.cfg)
	return c
}

func (s *stick) makeRoot(ctx context.Context, st state, c *custody.Custody, _ []string, out io.Writer) error {
	text, err := readPlan(s.plan)
	if err != nil {
		return err
	}
	plan, err := ceremony.ParseRoot(text)
	if err != nil {
		return err
	}
	signatures, err := openingSignatures(s.signed, plan)
	if err != nil {
		return err
	}
	result, err := c.PerformRoot(ctx, plan, s.name, signatures...)
	if err != nil {
		return err
	}
	return performed(out, custody.Config{StateDir: st.path("trustd")}, 1, result, s.signed)
}

func readPlan(file string) ([]byte, error) {
	if file == "" {
		return nil, errors.New("--plan is missing: the written plan")
	}
	return os.ReadFile(file)
}

func (s *stick) ask(ctx context.Context, _ state, c *custody.Custody, _ []string, out io.Writer) error {
	text, err := readPlan(s.plan)
	if err != nil {
		return err
	}
	plan, err := ceremony.ParseRequested(text)
	if err != nil {
		return err
	}
	request, err := c.Ask(ctx, plan, text, s.cross)
	if err != nil {
		return err
	}
	return s.write(out, request, "take it to the root's machine: trustctl ceremony sign")
}

func (s *stick) sign(ctx context.Context, _ state, c *custody.Custody, args []string, out io.Writer) error {
	request, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	signatures, err := s.signatures(c, custody.GrantAct, request)
	if err != nil {
		return err
	}
	answer, err := c.Grant(ctx, request, s.digest, s.by, signatures...)
	if err != nil {
		return err
	}
	return s.write(out, answer, "take it back: trustctl ceremony import")
}

func (s *stick) take(ctx context.Context, st state, c *custody.Custody, args []string, out io.Writer) error {
	answer, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	signatures, err := s.signatures(c, custody.ImportAct, answer)
	if err != nil {
		return err
	}
	granted, first, err := c.Import(ctx, answer, s.digest, s.by, signatures...)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s, certified by %s (SHA-256 %s)\n", granted.Certificate.Subject.CommonName, granted.Root.Subject.CommonName,
		fingerprint(granted.Root)); err != nil || !first {
		return err
	}
	s.parties.handOver = printShares(out)
	return begin(ctx, st, c, s.parties)
}

// signatures are those of people for an act on a file, none without --signed.
func (s *stick) signatures(c *custody.Custody, act string, file []byte) ([]ceremony.Signature, error) {
	if s.signed == "" {
		return nil, nil
	}
	messages, err := c.ActMessages(act, file)
	if err != nil {
		return nil, err
	}
	return readSignatures(s.signed, act, messages)
}

func (s *stick) list(ctx context.Context, _ state, c *custody.Custody, _ []string, out io.Writer) error {
	span, err := ceremony.ParseSpan(s.end)
	if err != nil {
		return fmt.Errorf("--valid: %w", err)
	}
	var revoked []*x509.Certificate
	for _, file := range s.revoke {
		r, err := custody.ReadCertificate(file)
		if err != nil {
			return err
		}
		revoked = append(revoked, r)
	}
	until := span.After(time.Now()).UTC().Truncate(24 * time.Hour) // the same while people sign
	messages, err := c.ListMessages(until, revoked, 0)
	if err != nil {
		return err
	}
	signatures, err := readSignatures(s.signed, custody.ListAct, messages)
	if err != nil {
		return err
	}
	if len(messages) > 0 && len(signatures) == 0 {
		return errors.Join(writeMessages(out, s.signed, custody.ListAct, messages), errors.New("--signed: nobody has signed for the list yet"))
	}
	list, err := c.NextRootList(ctx, until, revoked, 0, signatures...)
	if err != nil {
		return err
	}
	return s.write(out, list, "take it to trustd: trustctl ca root-list")
}

// write writes the file for the stick, and shows the digest for the paper.
func (s *stick) write(out io.Writer, content []byte, then string) error {
	if err := durable.WriteFile(absolute(s.to), content, 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\nSHA-256, to be carried on paper beside the file:\n  %s\n%s\n", s.to, ceremony.Digest(content), then)
	return err
}
