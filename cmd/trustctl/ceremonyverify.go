package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/durable"
	"trustcore/pki/ceremony"
)

func ceremonyVerify(dir *string) *cobra.Command {
	var root, plan string
	c := &cobra.Command{Use: "verify", Short: "Check transcripts, protocols and people's signatures against the root's certificate", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			st, err := openState(*dir)
			if err != nil {
				return err
			}
			if root == "" {
				root = st.path("trustd", "pki", "root.pem")
			}
			certificate, err := custody.ReadCertificate(root)
			if err != nil {
				return err
			}
			v := verification{out: c.OutOrStdout(), st: st, root: certificate}
			if plan != "" {
				if v.plan, err = durable.ReadFile(plan, ceremony.MaxPlan); err != nil {
					return fmt.Errorf("--plan: %w", err)
				}
			}
			return v.all()
		}}
	c.Flags().StringVar(&root, "root", "", "`file` with the root's certificate that was kept elsewhere")
	c.Flags().StringVar(&plan, "plan", "", "`file` with the first ceremony's plan that was kept elsewhere: whose keys count stands there")
	return c
}

// verification checks what the ceremonies of a state left.
type verification struct {
	out  io.Writer
	st   state
	root *x509.Certificate
	plan []byte // of the first ceremony, nil where nobody kept it
}

// all checks what each ceremony left: its transcript, or the answer of a root on another machine.
func (v *verification) all() error {
	cfg := custody.Config{StateDir: v.st.path("trustd")}
	number, err := custody.NextAuthority(cfg)
	if err != nil {
		return err
	}
	imported, err := custody.Imported(cfg)
	if err != nil {
		return err
	}
	var before ceremony.Attended
	for n := 1; n < max(number, 2); n++ { // a root alone has one, too
		_, err := os.Stat(v.st.path("trustd", "pki", custody.TranscriptFile(n)))
		if errors.Is(err, fs.ErrNotExist) && custody.Elsewhere(cfg, n) {
			continue
		}
		if before, err = v.one(n, before); err != nil {
			return err
		}
	}
	for _, g := range imported {
		if _, err := fmt.Fprintf(v.out, "%s: certified by %s on another machine, as it was asked for: nothing was changed\n",
			g.Certificate.Subject.CommonName, g.Root.Subject.CommonName); err != nil {
			return err
		}
	}
	return nil
}

// one checks the ceremony with a number, and that people of the one before agreed to it.
func (v *verification) one(n int, before ceremony.Attended) (ceremony.Attended, error) {
	name := custody.TranscriptFile(n)
	data, err := os.ReadFile(v.st.path("trustd", "pki", name))
	if err != nil {
		return before, err
	}
	t, err := ceremony.VerifyTranscript(data, v.root)
	if err == nil && n == 1 && v.plan != nil && t.Plan != string(v.plan) {
		err = errors.New("its plan is not the one that was kept elsewhere")
	}
	if err != nil {
		return before, fmt.Errorf("%s: %w", name, err)
	}
	if err := v.papers(n, t); err != nil {
		return before, err
	}
	who, err := t.Attended()
	if err == nil {
		err = who.Complete(before)
	}
	if err != nil {
		return before, fmt.Errorf("%s: %w", name, err)
	}
	return who, v.tell(name, t, who)
}

// papers checks what people read and signed on paper.
func (v *verification) papers(n int, t *ceremony.Transcript) error {
	text, err := os.ReadFile(v.st.path("trustd", "pki", custody.TextFile(n)))
	if err != nil {
		return err
	}
	if !bytes.Equal(text, []byte(t.Text())) {
		return fmt.Errorf("%s: it was changed: it is not what %s says", custody.TextFile(n), custody.TranscriptFile(n))
	}
	for _, language := range ceremony.Languages() {
		if t.ProtocolDigest(language) == "" {
			continue // of a version that made none
		}
		page, err := durable.ReadFile(v.st.path("trustd", "pki", custody.ProtocolFile(n, language)), ceremony.MaxProtocol)
		if err == nil {
			err = t.CheckProtocol(language, page)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", custody.ProtocolFile(n, language), err)
		}
	}
	return nil
}

func (v *verification) tell(name string, t *ceremony.Transcript, who ceremony.Attended) error {
	if _, err := fmt.Fprintf(v.out, "%s: %d steps, chained and signed by %s: nothing was changed\n", name, len(t.Steps),
		v.root.Subject.CommonName); err != nil {
		return err
	}
	if who.Plan == nil {
		_, err := fmt.Fprintln(v.out, "  made without keys of people: that they were there is not proved")
		return err
	}
	if _, err := fmt.Fprintf(v.out, "  by the plan with SHA-256 %s\n", who.Plan.Digest()); err != nil {
		return err
	}
	for _, p := range who.Signers() {
		if _, err := fmt.Fprintf(v.out, "  agreed before a key was made, and signed: %s, with the key %s\n", p.Name, p.KeySHA256); err != nil {
			return err
		}
	}
	return nil
}
