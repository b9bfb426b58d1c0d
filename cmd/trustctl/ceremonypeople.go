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

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
	"trustcore/pki/ceremony"
)

// maxSignature is how many octets of a signature are read: RSA of 8192 bits has 1024.
const maxSignature = 2048

// signedFlag names the folder with people's signatures.
func signedFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "signed", "", "`folder` with the signatures of the plan's people, beside what they signed (NN-ACT.txt, NN-ACT.sig)")
}

// messageFile is the name of what the attendee with a number signs for an act.
func messageFile(number int, act string) string { return fmt.Sprintf("%02d-%s.txt", number, act) }

// writeMessages writes what people sign, a file each, and says how.
func writeMessages(out io.Writer, dir, act string, messages []ceremony.Message) error {
	if dir == "" {
		return errors.New("the folder for what people sign is missing, such as one on a stick: --to, of a list --signed")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, m := range messages {
		file := filepath.Join(dir, messageFile(m.Number, act))
		if err := durable.WriteFile(absolute(file), m.Text, 0o644); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s reads and signs, with their own key:\n  openssl dgst -%s -sign KEY -out %s %s\n",
			m.Name, m.Hash, signatureOf(file), file); err != nil {
			return err
		}
	}
	return nil
}

// signatureOf is the file with the signature over another one.
func signatureOf(message string) string { return strings.TrimSuffix(message, ".txt") + ".sig" }

// openingSignatures are those of the plan's people who agreed that the ceremony begins.
func openingSignatures(dir string, plan *ceremony.Plan) ([]ceremony.Signature, error) {
	var people []ceremony.Message
	for i, a := range plan.Attendees {
		people = append(people, ceremony.Message{Name: a.Name, Number: i + 1})
	}
	return readSignatures(dir, openingAct, people)
}

// readSignatures reads the signatures that people put beside what they signed for an act; who has none there did not sign.
func readSignatures(dir, act string, people []ceremony.Message) (all []ceremony.Signature, err error) {
	if dir == "" {
		return nil, nil
	}
	for _, who := range people {
		signature, err := durable.ReadFile(filepath.Join(dir, signatureOf(messageFile(who.Number, act))), maxSignature)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("--signed: %w", err)
		}
		all = append(all, ceremony.Signature{Name: who.Name, Signature: signature})
	}
	return all, nil
}

// The acts of which people's files are called, beside those of custody.
const openingAct, recordAct = "opening", "record"

// peopleCommands are those of ceremonies whose people have keys.
func (s *stick) peopleCommands() []*cobra.Command {
	open := s.command("open --plan FILE --to FOLDER", "Open a ceremony whose people have keys: writes what each of them signs", cobra.NoArgs, s.open)
	open.Flags().StringVar(&s.plan, "plan", "", "`file` with the plan: of a ceremony, of a root alone or of a succession")
	act := s.command("act grant|import FILE --to FOLDER", "Write what people sign for a root's answer to a request, or to take an answer",
		cobra.ExactArgs(2), s.act)
	for _, c := range []*cobra.Command{open, act} {
		c.Flags().StringVar(&s.to, "to", "", "`folder` for what people sign")
	}
	return []*cobra.Command{open, act, s.attachCommand()}
}

func (s *stick) open(ctx context.Context, _ state, c *custody.Custody, _ []string, out io.Writer) error {
	text, err := readPlan(s.plan)
	if err != nil {
		return err
	}
	plan, err := ceremony.ParseRequested(text)
	if err != nil {
		return err
	}
	messages, err := c.OpenCeremony(ctx, plan)
	if err != nil {
		return err
	}
	if err := writeMessages(out, s.to, openingAct, messages); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d of them have to; then hold the ceremony with --signed %s\n", plan.Signatures, s.to)
	return err
}

func (s *stick) act(_ context.Context, _ state, c *custody.Custody, args []string, out io.Writer) error {
	file, err := durable.ReadFile(args[1], ceremony.MaxExchange)
	if err != nil {
		return err
	}
	messages, err := c.ActMessages(args[0], file)
	if err != nil {
		return err
	}
	return writeMessages(out, s.to, args[0], messages)
}

// attachCommand takes the signatures of the transcript.
func (s *stick) attachCommand() *cobra.Command {
	var signed string
	var number int
	c := &cobra.Command{Use: "attach --signed FOLDER", Short: "Have people sign a ceremony's transcript: takes their signatures, or writes what they sign",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			st, err := openState(*s.dir)
			if err != nil {
				return err
			}
			return attach(c.OutOrStdout(), custody.Config{StateDir: st.path("trustd")}, number, signed)
		}}
	signedFlag(c.Flags(), &signed)
	c.Flags().IntVar(&number, "number", 1, "`number` of the ceremony: 1, or that of the succession")
	return c
}

func attach(out io.Writer, cfg custody.Config, number int, dir string) error {
	if dir == "" {
		return errors.New("--signed is missing: the folder with what people sign, and their signatures")
	}
	waiting, err := custody.ToSign(cfg, number)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		_, err := fmt.Fprintln(out, "nobody has to sign")
		return err
	}
	signatures, err := readSignatures(dir, recordAct, waiting)
	if err != nil {
		return err
	}
	absent, err := custody.SignTranscript(cfg, number, signatures)
	if err != nil {
		return err
	}
	if len(absent) == 0 {
		_, err := fmt.Fprintln(out, "everybody signed who agreed: trustctl ceremony verify")
		return err
	}
	if waiting, err = custody.ToSign(cfg, number); err != nil {
		return err
	}
	return writeMessages(out, dir, recordAct, waiting)
}

// performed shows the transcript, and has people sign it.
func performed(out io.Writer, cfg custody.Config, number int, result *ceremony.Result, dir string) error {
	if _, err := fmt.Fprint(out, result.Transcript.Text()); err != nil || dir == "" {
		return err
	}
	waiting, err := custody.ToSign(cfg, number)
	if err != nil {
		return err
	}
	if err := writeMessages(out, dir, recordAct, waiting); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "print and sign the protocol, too: %s; then trustctl ceremony attach --number %d --signed %s\n",
		filepath.Join(cfg.StateDir, "pki", custody.ProtocolFile(number, "pl")), number, dir)
	return err
}
