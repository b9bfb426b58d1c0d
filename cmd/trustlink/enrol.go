package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
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

	"trustcore/internal/durable"
	"trustcore/vpn"
)

func enrolCommand(dir *string) *cobra.Command {
	var o enrolment
	command := &cobra.Command{
		Use:   "enrol --url https://core --token TOKEN",
		Short: "Make this office's keys and enrol them with a one-time token",
		Long: "Makes a WireGuard key and a TLS key in the state folder, sends their public halves to the core with the\n" +
			"token, and keeps the answer. The private keys never leave the folder. Run again with the same token, it\n" +
			"resumes where it was interrupted. With another token, an office that comes back gets new keys in the same\n" +
			"folder; its enrolment of before is kept in the folder 'before' within.",
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
	return o.tell(out, r)
}

func (o enrolment) tell(out io.Writer, r record) (err error) {
	if !r.Enrolment.HasTunnel() {
		_, err = fmt.Fprintf(out, "enrolled as partner %s, without a tunnel\n", r.Enrolment.Partner)
		return err
	}
	_, err = fmt.Fprintf(out,
		"enrolled as site %s of partner %s, tunnel address %v; now run: trustlink up --state %s\n",
		r.Enrolment.Site, r.Enrolment.Partner, r.Enrolment.Address[0].Addr(), o.state.dir)
	return err
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

// already says whether this token was used here before.
func (o enrolment) already() (*record, error) {
	r, err := o.state.present()
	if r == nil || r.TokenSHA256 != digest(o.token) {
		return nil, err
	}
	return r, nil
}

// present is the enrolment that the folder holds, nil when there is none.
func (s state) present() (*record, error) {
	if _, err := os.Stat(s.path(officeFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r, err := s.enrolled()
	return &r, err
}

// enrol enrols in the folder, or beside the enrolment that it holds, which goes on until the new one is complete.
func (o enrolment) enrol(ctx context.Context) (record, error) {
	present, err := o.state.present()
	if err != nil {
		return record{}, err
	}
	if present == nil {
		return o.enrolIn(ctx, o.state)
	}
	next := state{o.state.path(nextFolder)}
	r, err := o.enrolBeside(ctx, next, present.TokenSHA256)
	if err != nil {
		return record{}, err
	}
	if r.Enrolment.Partner != present.Enrolment.Partner {
		return record{}, fmt.Errorf("the token is one of partner %s, and %s is the folder of %s: move %s elsewhere and use it with --state",
			r.Enrolment.Partner, o.state.dir, present.Enrolment.Partner, next.dir)
	}
	if err := o.state.keepBefore(*present); err != nil {
		return record{}, err
	}
	if err := next.copyTo(o.state); err != nil {
		return record{}, err
	}
	return r, os.RemoveAll(next.dir)
}

// enrolBeside enrols in the folder next, unless it was interrupted after that. installed is the digest of the present
// token.
func (o enrolment) enrolBeside(ctx context.Context, next state, installed string) (record, error) {
	there, err := next.present()
	switch {
	case err != nil:
		return record{}, err
	case there != nil && there.TokenSHA256 == digest(o.token):
		return *there, nil
	case there != nil && there.TokenSHA256 != installed:
		return record{}, fmt.Errorf("%s holds the enrolment with another token: run this with that one, or remove the folder", next.dir)
	case there != nil:
		if err := os.RemoveAll(next.dir); err != nil { // it was interrupted just before
			return record{}, err
		}
	}
	if err := next.prepare(); err != nil {
		return record{}, err
	}
	return o.enrolIn(ctx, next)
}

func (o enrolment) enrolIn(ctx context.Context, s state) (record, error) {
	wireguard, err := s.wireguardKey()
	if err != nil {
		return record{}, err
	}
	key, err := s.tlsKey()
	if err != nil {
		return record{}, err
	}
	csr, err := s.request(key)
	if err != nil {
		return record{}, err
	}
	x, err := s.exchange()
	if err != nil {
		return record{}, err
	}
	answer, err := enrolAt(ctx, o.url, o.trust, request{Token: o.token, PublicKey: wireguard.Public().String(), CSR: string(csr),
		Exchange: base64.StdEncoding.EncodeToString(x.Public())})
	if err != nil {
		return record{}, err
	}
	if err := certifies(answer.Certificate, key); err != nil {
		return record{}, err
	}
	if len(answer.Encapsulated) > 0 {
		if answer.Hub.PresharedKey, err = x.Open(answer.Encapsulated, wireguard.Public(), 1); err != nil {
			return record{}, err
		}
		answer.Encapsulated = nil
	}
	r := record{Core: o.url, TokenSHA256: digest(o.token), Enrolment: answer}
	if err := s.keep(r); err != nil {
		return r, err
	}
	return r, durable.Remove(s.path(exchangeFile))
}

// exchange is the office's half of the agreement on the first pre-shared key, made at the first call: a repeated
// enrolment is the same one.
func (s state) exchange() (*vpn.Exchange, error) {
	secret, err := durable.ReadFile(s.path(exchangeFile), maxSecrets)
	if err == nil {
		return vpn.ParseExchange(secret)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	x, err := vpn.NewExchange()
	if err != nil {
		return nil, err
	}
	if secret, err = x.Secret(); err != nil {
		return nil, err
	}
	return x, s.write(exchangeFile, secret)
}

// Folders within the state folder of an office that enrols again.
const (
	nextFolder   = "next"   // the new enrolment until it is complete
	beforeFolder = "before" // the one that it replaced
)

// keepBefore keeps the present enrolment, once: a repetition finds the folder changed already.
func (s state) keepBefore(present record) error {
	before := state{s.path(beforeFolder)}
	kept, err := before.present()
	if err != nil || kept != nil && kept.TokenSHA256 == present.TokenSHA256 {
		return err
	}
	if err := before.prepare(); err != nil {
		return err
	}
	return s.copyTo(before)
}

// copyTo copies the files of an enrolment. The one that makes it count comes last.
func (s state) copyTo(to state) error {
	for _, name := range []string{wireguardKeyFile, tlsKeyFile, requestFile, certificateFile, caFile, officeFile} {
		data, err := os.ReadFile(s.path(name))
		if err != nil {
			return err
		}
		if err := to.write(name, data); err != nil {
			return err
		}
	}
	return nil
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
