package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// breakGlass is one run of the command of that name: new certificates for who is locked out, on the host, past the two officers.
type breakGlass struct {
	state    string
	config   string // trustd's configuration file
	reason   string
	as       string   // the officer who confirms
	recovery string   // or the file with a recovery share
	officers []string // who gets new certificates
	daemons  []string
}

func breakGlassCommand() *cobra.Command {
	var b breakGlass
	c := &cobra.Command{
		Use:   "break-glass --reason TEXT (--as OFFICER | --recovery FILE)",
		Short: "Make new certificates for officers and daemons that are locked out",
		Long: `For the day on which certificates have ended, or keys were lost, and nobody gets in any more. It is run on the host, by
who owns the state, while the appliance is stopped. It makes new keys and certificates for the daemons and the officer
who confirms, or for those that are named. It is written to the audit log before anything is made.

It is confirmed by an officer's own key, which has to lie in the state's folder officers (the certificate may have
expired, but not be revoked or suspended), or by a recovery share of the ceremony, which is void afterwards. A recovery
share confirms for the daemons; name the officers who need a certificate.

  trustctl break-glass --reason "certificates ended" --as officer-1
  trustctl break-glass --reason "officers' keys lost" --recovery - --officer officer-1 --officer officer-2

Old certificates count until they end: revoke those whose keys were lost (trustctl certificate revoke).`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c.Context(), c.InOrStdin(), c.OutOrStdout()) },
	}
	stateFlag(c, &b.state)
	f := c.Flags()
	f.StringVar(&b.reason, "reason", "", "why; the audit log keeps it")
	f.StringVar(&b.as, "as", "", "`officer` who confirms by the own key")
	f.StringVar(&b.recovery, "recovery", "", "`file` with one recovery share, which confirms; - reads it from standard input")
	f.StringArrayVar(&b.officers, "officer", nil, "`name` of an officer to make a certificate for; repeat for more")
	f.StringArrayVar(&b.daemons, "daemon", nil, "trustd, verifyd, batchd or vpnd: a `daemon` to make a certificate for; repeat for more")
	f.StringVar(&b.config, "config", "", "trustd's configuration `file` (default config/trustd.yaml in the state)")
	return c
}

// check names the flag that is missing or wrong.
func (b *breakGlass) check() error {
	switch {
	case strings.TrimSpace(b.reason) == "":
		return errors.New("--reason is missing: say why; the audit log keeps it")
	case (b.as == "") == (b.recovery == ""):
		return errors.New("who confirms? name an officer whose key is here (--as), or a recovery share (--recovery), not both")
	}
	for _, name := range b.daemons {
		if !slices.Contains(daemonServers, name) && !slices.Contains(daemonClients, name) {
			return fmt.Errorf("--daemon: %q is none of trustd, verifyd, batchd, vpnd", name)
		}
	}
	return nil
}

// run opens what the ceremony opened, and acts.
func (b *breakGlass) run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	if err := b.check(); err != nil {
		return err
	}
	st, err := openState(b.state)
	if err != nil {
		return err
	}
	if err := st.owned(); err != nil {
		return err
	}
	unlock, err := st.lock()
	if err != nil {
		return err
	}
	defer unlock()
	share, err := b.share(in)
	if err != nil {
		return err
	}
	if b.config == "" {
		if _, err := st.adopt(out); err != nil {
			return err
		}
	}
	cfg, err := st.custody(b.config)
	if err != nil {
		return err
	}
	c, err := openCustody(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	return b.act(ctx, st, c, share, out)
}

// owned refuses a state of somebody else: what is made in it would belong to the wrong user.
func (s state) owned() error {
	info, err := os.Stat(s.dir)
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(os.Geteuid()) {
		return fmt.Errorf("the state in %s belongs to user %d, and this is user %d: run it as that user", s.dir, owner, os.Geteuid())
	}
	return nil
}

// maxShare bounds what is read of a recovery share in bytes.
const maxShare = 4096

// share reads the recovery share, "" when an officer confirms.
func (b *breakGlass) share(in io.Reader) (string, error) {
	if b.recovery == "" {
		return "", nil
	}
	if b.recovery != "-" {
		f, err := os.Open(b.recovery)
		if err != nil {
			return "", fmt.Errorf("--recovery: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxShare))
	if err != nil {
		return "", fmt.Errorf("--recovery: %w", err)
	}
	return string(text), nil
}

// operator is who runs the command.
func operator() audit.Actor {
	if os.Geteuid() == 0 {
		return audit.Actor{Kind: "operator", ID: "root"}
	}
	return audit.Actor{Kind: "operator", ID: fmt.Sprintf("uid %d", os.Geteuid())}
}

// holder is one who gets a new certificate.
type holder struct {
	profile pki.Profile
	old     *x509.Certificate // the newest; the new one is for the same name and hosts
	files   identity.Identity
}

// act is confirmed, recorded, and then makes the certificates.
func (b *breakGlass) act(ctx context.Context, st state, c *custody.Custody, share string, out io.Writer) error {
	ca, err := c.CA(ctx)
	if err != nil {
		return err
	}
	holders, err := b.holders(ctx, st, ca)
	if err != nil {
		return err
	}
	var names []string
	for _, h := range holders {
		names = append(names, h.old.Subject.CommonName)
	}
	entry := audit.Entry{Time: time.Now(), Actor: operator(), Action: "break-glass", Subject: strings.Join(names, " "), Outcome: audit.Granted,
		Details: map[string]string{"reason": b.reason}}
	number, by, err := b.confirm(ctx, st, c, ca, share)
	if err != nil {
		entry.Outcome, entry.Reason = audit.Refused, err.Error()
		_, failed := c.Audit.Append(ctx, entry)
		return errors.Join(err, failed)
	}
	entry.Details["confirmed_by"] = by
	err = c.Audit.Act(ctx, entry, time.Now, func() error {
		if number != 0 { // it was shown on this host: whatever becomes of this, nobody is to use it again
			if err := c.VoidShare(number, time.Now()); err != nil {
				return err
			}
		}
		return replaceAll(ctx, c, ca, holders, out)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "confirmed by %s; start the appliance again\n", by)
	return err
}

// holders finds who gets certificates, by default the daemons and the officer who confirms.
func (b *breakGlass) holders(ctx context.Context, st state, ca *pki.CA) (all []holder, err error) {
	officers, daemons := b.officers, b.daemons
	if len(officers) == 0 && len(daemons) == 0 {
		daemons = slices.DeleteFunc(slices.Concat(daemonServers, daemonClients), func(name string) bool {
			there, err := st.exists("identity", name)
			return err == nil && !there // a state that was made before there was batchd
		})
		if b.as != "" {
			officers = []string{b.as}
		}
	}
	for _, name := range daemons {
		profile := pki.DaemonServer
		if slices.Contains(daemonClients, name) {
			profile = pki.DaemonClient
		}
		c, err := newest(ctx, ca, profile, name)
		if err != nil {
			return nil, err
		}
		h := holder{profile: profile, files: st.daemon(name)}
		if h.old, err = x509.ParseCertificate(c.DER); err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	for _, name := range officers {
		h, err := officerIn(ctx, st, ca, name)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

// officerIn is an officer who has rights: one whose newest certificate was revoked or suspended is none, and a new one is made by
// two others.
func officerIn(ctx context.Context, st state, ca *pki.CA, name string) (h holder, err error) {
	h.profile = pki.Officer
	if h.files, err = st.officerFiles(name); err != nil {
		return h, err
	}
	c, err := newest(ctx, ca, pki.Officer, name)
	if err != nil {
		return h, err
	}
	if err := counts(c); err != nil {
		return h, err
	}
	h.old, err = x509.ParseCertificate(c.DER)
	return h, err
}

// newest is the newest certificate of a holder.
func newest(ctx context.Context, ca *pki.CA, profile pki.Profile, name string) (pki.Certificate, error) {
	found, err := ca.Certificates(ctx, pki.Filter{Profile: profile, CommonName: name, Limit: 1})
	if err != nil {
		return pki.Certificate{}, err
	}
	if len(found) == 0 {
		return pki.Certificate{}, fmt.Errorf("%s never had a certificate of profile %s: officers make new ones (trustctl officer add)", name, profile)
	}
	return found[0], nil
}

// counts refuses an officer's certificate that was taken out of use; that it has expired is why we are here.
func counts(c pki.Certificate) error {
	if c.State != pki.Valid && c.State != pki.Expired {
		return fmt.Errorf("the certificate %s of %s is %s", c.Serial, c.CommonName, c.State)
	}
	return nil
}

// confirm says who confirms: the number of a recovery share, or 0 and an officer.
func (b *breakGlass) confirm(ctx context.Context, st state, c *custody.Custody, ca *pki.CA, share string) (number int, by string, err error) {
	if b.as == "" {
		if number, err = c.FindShare(share); err != nil {
			return 0, "", err
		}
		return number, fmt.Sprintf("recovery share %d", number), nil
	}
	files, err := st.officerFiles(b.as)
	if err != nil {
		return 0, "", err
	}
	serial, err := confirmOfficer(ctx, ca, files)
	if err != nil {
		return 0, "", fmt.Errorf("%s does not confirm: %w", b.as, err)
	}
	return 0, fmt.Sprintf("officer %s, certificate %s", b.as, serial), nil
}

// confirmOfficer demands a certificate of the inventory, with this very fingerprint, of profile officer, that was not taken out of
// use, and its private key: reading the pair derives the public key from that and compares. It returns the serial number.
func confirmOfficer(ctx context.Context, ca *pki.CA, files identity.Identity) (string, error) {
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return "", err
	}
	found, err := ca.Certificates(ctx, pki.Filter{Serial: pair.Leaf.SerialNumber.Text(16), Profile: pki.Officer})
	if err != nil {
		return "", err
	}
	for _, c := range found {
		if c.Fingerprint == fingerprint(pair.Leaf) {
			return c.Serial, counts(c)
		}
	}
	return "", errors.New("the certificate is no officer's of this authority")
}

func fingerprint(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }

// replaceAll makes new certificates and says so.
func replaceAll(ctx context.Context, c *custody.Custody, ca *pki.CA, holders []holder, out io.Writer) error {
	for _, h := range holders {
		subject := pki.Subject{CommonName: h.old.Subject.CommonName, DNS: h.old.DNSNames, IPs: h.old.IPAddresses}
		issue := func(ctx context.Context, der []byte) ([]byte, error) {
			request, err := x509.ParseCertificateRequest(der)
			if err != nil {
				return nil, err
			}
			made, err := ca.Issue(ctx, operator(), h.profile, request, subject, "")
			if err != nil {
				return nil, err
			}
			above, err := ca.Chain(made)
			return custody.PEM(append([][]byte{made.Raw}, above...)...), err
		}
		if err := h.files.Replace(ctx, h.old, time.Now(), issue); err != nil {
			return fmt.Errorf("%s: %w", subject.CommonName, err)
		}
		shown, err := h.files.Shown()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: a new key and certificate until %s\n", subject.CommonName, shown.NotAfter.Format(time.DateOnly))
	}
	return nil
}
