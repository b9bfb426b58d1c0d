package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func enrolCommand(dir *string) *cobra.Command {
	var o enrolment
	command := &cobra.Command{
		Use:   "enrol --url https://core --token TOKEN",
		Short: "Make this office's keys and enrol them with a one-time token",
		Long: "Makes a WireGuard key and a TLS key in the state folder, sends their public halves to the core with the\n" +
			"token, and keeps the answer. The private keys never leave the folder. Run again with the same token, it\n" +
			"resumes where it was interrupted.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.state = state{*dir}
			return o.run(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.url, "url", "", "`address` of the core, https")
	flags.StringVar(&o.token, "token", "", "one-time token from the data centre; - reads it from standard input")
	flags.StringVar(&o.trust.caFile, "ca", "", "PEM `file` of the CA that the core's server is known by")
	flags.StringVar(&o.trust.pin, "pin", "", "`SHA-256` of the certificate of the core's server or of its CA")
	return command
}

// enrolment is one run of the command.
type enrolment struct {
	state state
	url   string
	token string
	trust trust
}

func (o enrolment) run(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := o.check(&in); err != nil {
		return err
	}
	done, err := o.already()
	if err != nil {
		return err
	}
	if done != nil {
		fmt.Fprintf(out, "already enrolled with this token as site %s of partner %s\n", done.Enrolment.Site, done.Enrolment.Partner)
		return nil
	}
	r, err := o.enrol(ctx)
	if err != nil {
		return err
	}
	if !r.Enrolment.HasTunnel() {
		fmt.Fprintf(out, "enrolled as partner %s, without a tunnel\n", r.Enrolment.Partner)
		return nil
	}
	fmt.Fprintf(out, "enrolled as site %s of partner %s, tunnel address %v; now run: trustlink up --state %s\n",
		r.Enrolment.Site, r.Enrolment.Partner, r.Enrolment.Address[0].Addr(), o.state.dir)
	return nil
}

func (o *enrolment) check(in *io.Reader) error {
	if u, err := url.Parse(o.url); err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("--url is required: the core's address, such as https://core.example:8443")
	}
	if o.token == "-" {
		line, err := bufio.NewReader(io.LimitReader(*in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the token: %w", err)
		}
		o.token = line
	}
	if o.token = strings.TrimSpace(o.token); o.token == "" {
		return errors.New("--token is required: the one-time token from the data centre")
	}
	return o.state.prepare()
}

// already says whether this token was used here before. Another token on an enrolled
// folder is refused: it would orphan the tunnel that is in use.
func (o enrolment) already() (*record, error) {
	if _, err := os.Stat(o.state.path(officeFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r, err := o.state.enrolled()
	if err != nil {
		return nil, err
	}
	if r.TokenSHA256 != digest(o.token) {
		return nil, fmt.Errorf("%s is enrolled already as site %s of partner %s: choose another folder with --state, or remove this one after the data centre has switched the office off",
			o.state.dir, r.Enrolment.Site, r.Enrolment.Partner)
	}
	return &r, nil
}

func (o enrolment) enrol(ctx context.Context) (record, error) {
	wireguard, err := o.state.wireguardKey()
	if err != nil {
		return record{}, err
	}
	key, err := o.state.tlsKey()
	if err != nil {
		return record{}, err
	}
	csr, err := o.state.request(key)
	if err != nil {
		return record{}, err
	}
	answer, err := enrolAt(ctx, o.url, o.trust, request{Token: o.token, PublicKey: wireguard.Public().String(), CSR: string(csr)})
	if err != nil {
		return record{}, err
	}
	if err := certifies(answer.Certificate, key); err != nil {
		return record{}, err
	}
	r := record{Core: o.url, TokenSHA256: digest(o.token), Enrolment: answer}
	return r, o.state.keep(r)
}

// certifies checks that the first certificate is over our key.
func certifies(chain string, key crypto.Signer) error {
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return errors.New("the core's answer holds no certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("the certificate in the core's answer: %w", err)
	}
	if !samePublic(certificate.PublicKey, key.Public()) {
		return errors.New("the certificate in the core's answer is not over this office's key")
	}
	return nil
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
