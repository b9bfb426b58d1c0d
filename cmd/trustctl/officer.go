package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/durable"
)

func officerCommand() *cobra.Command {
	var f officerFlags
	c := f.group("officer", "List and certify officers, renew the own certificate",
		`An officer is who holds the key of an officer's certificate. A new officer, or a new key of one, takes two others:

  trustctl officer request officer-3                                 makes key and request, where the key is to stay
  trustctl officer add officer-3 --request officer-3.csr --as officer-1
  trustctl motion approve M-ABCDEFGHIJ --as officer-2
  trustctl officer fetch officer-3 --as officer-1                    puts the certificate beside the key

Before it ends, an officer renews the own certificate alone (trustctl officer renew --as officer-3); once it has
ended, two others certify a new key, or trustctl break-glass does. To end an officer's rights: trustctl certificate.`)
	c.AddCommand(
		f.do("list", "List the officers' certificates", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
			return o.officers(ctx, "")
		}),
		officerRequest(&f), officerAdd(&f),
		f.do("fetch NAME", "Put an officer's new certificate beside its key", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) { return f.fetch(ctx, o, args[0]) }),
		f.do("renew", "Renew the certificate of the officer who asks, with a new key", cobra.NoArgs,
			func(ctx context.Context, o *officer, _ []string) (any, error) { return o.renew(ctx) }),
	)
	return c
}

// officerName is one that is the name of a file too.
var officerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// officerFiles returns where an officer's files lie.
func (s state) officerFiles(name string) (identity.Identity, error) {
	if !officerName.MatchString(name) {
		return identity.Identity{}, fmt.Errorf("%q can't name an officer's files: use up to 64 of A-Z, a-z, 0-9, and . _ @ - after the first", name)
	}
	return s.officer(name), nil
}

func (o *officer) officers(ctx context.Context, name string) (*inventory, error) {
	query := ""
	if name != "" {
		query = "?name=" + url.QueryEscape(name)
	}
	var found inventory
	return &found, o.call(ctx, "GET", "/v1/officers"+query, nil, &found)
}

// requested is what was made for an officer.
type requested struct {
	Officer string `json:"officer"`
	Request string `json:"request"` // the file
	Key     string `json:"key"`     // SHA-256 of the SubjectPublicKeyInfo, hex
	again   string
}

func (r *requested) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, `The key of %s lies beside %s; its SHA-256 is
  %s
An officer who has compared that proposes the certificate with
  trustctl officer add %s --request %s%s
`, r.Officer, r.Request, r.Key, r.Officer, r.Request, r.again)
	return err
}

func officerRequest(f *officerFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "request NAME",
		Short: "Make an officer's key and the request for its certificate, on this machine",
		Args:  cobra.ExactArgs(1),
		Long: `Makes a key (NAME.key.next, 0600, in the state's folder officers) and the request NAME.csr for its certificate. trustd
is not asked. A key that is in use stays so until the certificate is fetched; repeated, it finds the key again.`,
		RunE: func(c *cobra.Command, args []string) error {
			st, err := openState(f.state)
			if err != nil {
				return err
			}
			r, err := st.request(args[0])
			if err != nil {
				return err
			}
			r.again = f.again("OFFICER")
			return show(c.OutOrStdout(), r, f.asJSON)
		},
	}
}

func (s state) request(name string) (*requested, error) {
	id, err := s.officerFiles(name)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(s.path("officers"), 0o700); err != nil {
		return nil, err
	}
	der, err := id.Request(name)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	r := &requested{Officer: name, Request: s.path("officers", name+".csr")}
	if r.Key, err = keyOf(text); err != nil {
		return nil, err
	}
	return r, durable.WriteFile(r.Request, text, 0o600)
}

// keyOf names the key of a request in PEM: the SHA-256 of its SubjectPublicKeyInfo, as the inventory does.
func keyOf(request []byte) (string, error) {
	block, _ := pem.Decode(request)
	if block == nil {
		return "", errors.New("the request is not in PEM")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the request: %w", err)
	}
	return digestOfKey(r.PublicKey)
}

func digestOfKey(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

func officerAdd(f *officerFlags) *cobra.Command {
	var file string
	var auditor bool
	c := f.do("add NAME --request FILE", "Propose to certify an officer; another officer decides", cobra.ExactArgs(1), func(ctx context.Context, o *officer,
		args []string) (any, error) {
		if file == "" {
			return nil, errors.New("--request is missing: the file that `trustctl officer request` made")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		body := map[string]any{"kind": registry.CertifyOfficer, "name": args[0], "csr": string(text)}
		if auditor {
			body["as"] = "auditor"
		}
		return f.propose(ctx, o, body)
	})
	c.Flags().StringVar(&file, "request", "", "`file` with the officer's request (PKCS #10 in PEM)")
	c.Flags().BoolVar(&auditor, "auditor", false, "certify an auditor, who reads and proves in the console and changes nothing")
	return c
}

// installed is a certificate that lies beside its key now.
type installed struct {
	issued
	File string `json:"file"`
}

func (i *installed) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%s of %s, until %s\n", i.File, i.Name, i.NotAfter.Format(time.DateOnly))
	return err
}

// fetch finds the newest certificate of a key that is here.
func (f *officerFlags) fetch(ctx context.Context, o *officer, name string) (any, error) {
	st, err := openState(f.state)
	if err != nil {
		return nil, err
	}
	id, err := st.officerFiles(name)
	if err != nil {
		return nil, err
	}
	found, err := o.officers(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, c := range found.Certificates { // newest first
		if c.State != "valid" {
			continue
		}
		err := id.Install([]byte(c.Chain))
		if errors.Is(err, identity.ErrNoKey) {
			continue
		}
		return &installed{c, id.Certificate}, err
	}
	return nil, fmt.Errorf("there is no valid certificate for a key of %s that lies in %s: is the motion approved (trustctl motion list)?",
		name, st.path("officers"))
}

// renew replaces the certificate that the officer shows.
func (o *officer) renew(ctx context.Context) (any, error) {
	old, err := o.identity.Shown()
	if err != nil {
		return nil, err
	}
	if err := o.identity.Replace(ctx, old, time.Now(), identity.AskTrustd(o.client, o.url)); err != nil {
		return nil, err
	}
	renewed, err := o.identity.Shown()
	if err != nil {
		return nil, err
	}
	key, err := digestOfKey(renewed.PublicKey)
	return &installed{issued{Profile: "officer", Name: renewed.Subject.CommonName, Serial: renewed.SerialNumber.Text(16), State: "valid",
		NotBefore: renewed.NotBefore, NotAfter: renewed.NotAfter, Key: key}, o.identity.Certificate}, err
}
