// Package chain is `trustctl chain`: it draws the path of a certificate from the leaf to the anchor, with each check and
// its reason.
package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/durable"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
	"trustcore/verify/trustlist"
)

// maxFile is the largest file that is read, in bytes: a CRL of the largest kind.
const maxFile = revocation.MaxCRLSize

// NotValid is the error of a command that did its work and found a certificate that is not valid.
type NotValid struct{ File string }

// Error names the first such certificate.
func (n NotValid) Error() string { return n.File + ": the certificate is not valid" }

// ExitCode is the status with which the program ends.
func (NotValid) ExitCode() int { return 3 }

// options are the flags.
type options struct {
	json        bool
	at          string
	lists       trustlist.Sources
	untrusted   []string
	crls, ocsps []string
	revocation  string
	policy      string   // of validation
	policies    []string // of certificates
	numbers     bool
}

// Command returns `chain`.
func Command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "chain [flags] CERT...",
		Short: "Draw the path of a certificate to its anchor with every check",
		Long: `Validates certificates by RFC 5280 (policies by RFC 9618) and draws the path from the certificate to the anchor, with
each check and, where it failed, the reason. A file is PEM or DER; further certificates in it help to build the path.
Nothing is fetched: CRLs and OCSP answers come from --crl and --ocsp.

Trust comes from --anchors (PEM certificates trusted at all times) or from --trust-lists (a folder with the Union's list of
the lists and national lists) with --lotl-signers; with lists it is also said what the certificate is qualified for.

--policy is the validation policy, as of trustctl verify: until when an algorithm is relied on, and whether revocation
information must be fresh. Policies of certificates, which are object identifiers, are asked for by
--certificate-policy.

Personal numbers are hidden but for their last digits, unless --personal-numbers asks for them.

Exit status: 0 all are valid; 3 one is not; 1 it could not be judged, the reason is on standard error.

  trustctl chain --anchors root.pem --untrusted issuing.pem officer-1.pem
  trustctl chain --anchors root.pem --crl ca.crl --revocation require --at 2026-03-03T12:00:00Z officer-1.pem`,
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, files []string) error { return o.run(c.Context(), c.OutOrStdout(), files) },
	}
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "one JSON object a certificate and line")
	f.StringVar(&o.at, "at", "", "`time` of validation, RFC 3339 (default now)")
	f.StringArrayVar(&o.lists.Anchors, "anchors", nil, "PEM `file` with anchors; may be repeated")
	f.StringVar(&o.lists.Dir, "trust-lists", "", "`folder` with trusted lists, told apart by content")
	f.StringVar(&o.lists.LOTLSigners, "lotl-signers", "", "`folder` with PEM certificates that may sign the list of the lists")
	f.StringArrayVar(&o.untrusted, "untrusted", nil, "`file` with certificates to build the path from; may be repeated")
	f.StringArrayVar(&o.crls, "crl", nil, "CRL `file`, DER or PEM; may be repeated")
	f.StringArrayVar(&o.ocsps, "ocsp", nil, "OCSP response `file`, DER; may be repeated")
	f.StringVar(&o.revocation, "revocation", string(chain.IfAvailable), "none, if-available or require")
	f.StringVar(&o.policy, "policy", policy.Strict,
		"validation policy: strict, dss-default, or a `file` (trustctl policy)")
	f.StringArrayVar(&o.policies, "certificate-policy", nil,
		"policy `OID` that the path must be valid for; may be repeated, one suffices")
	f.BoolVar(&o.numbers, "personal-numbers", false, "show personal numbers such as PESEL as a whole")
	return c
}

// outcome is one line of JSON.
type outcome struct {
	File  string  `json:"file"`
	Error *string `json:"error"`
	*chain.Report
}

func (o *options) run(ctx context.Context, out io.Writer, files []string) error {
	question, err := o.question(ctx)
	if err != nil {
		return err
	}
	var failed, notValid error
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	draw := newDrawing(out)
	for _, file := range files {
		result := outcome{File: file}
		if result.Report, err = judge(ctx, *question, file); err != nil {
			text := err.Error()
			result.Error = &text
			failed = errors.Join(failed, fmt.Errorf("%s: %w", file, err))
		} else if !result.Valid && notValid == nil {
			notValid = NotValid{file}
		}
		switch {
		case o.json:
			err = encoder.Encode(result)
		case result.Report != nil:
			err = draw.report(file, result.Report)
		}
		if result.Error == nil && err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	if failed != nil {
		return failed
	}
	return notValid
}

func judge(ctx context.Context, q chain.Question, file string) (*chain.Report, error) {
	list, err := readCertificates(file)
	if err != nil {
		return nil, err
	}
	q.Target = list[0]
	q.Further = append(list[1:len(list):len(list)], q.Further...)
	return chain.Judge(ctx, q)
}

// question reads what all certificates are judged by.
func (o *options) question(ctx context.Context) (*chain.Question, error) {
	now := time.Now()
	q := &chain.Question{Time: now, Known: now, Numbers: o.numbers}
	var err error
	if q.Policy, err = o.validationPolicy(); err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	if o.at != "" {
		if q.Time, err = time.Parse(time.RFC3339, o.at); err != nil {
			return nil, fmt.Errorf("--at: %q: write a time such as 2026-03-03T12:00:00Z", o.at)
		}
	}
	if q.Mode, err = chain.ParseMode(o.revocation); err != nil {
		return nil, fmt.Errorf("--revocation: %w", err)
	}
	for _, text := range o.policies {
		id, err := certificate.ParseOID(text)
		if err != nil {
			return nil, fmt.Errorf("--certificate-policy: %q is no object identifier, such as 0.4.0.194112.1.2", text)
		}
		q.Policies = append(q.Policies, id)
	}
	if err := o.trust(ctx, q); err != nil {
		return nil, err
	}
	if q.Cache, err = cache.New(cache.Config{Certificates: 10_000, Verdicts: 100_000}); err != nil {
		return nil, err
	}
	return q, o.evidence(q)
}

func (o *options) validationPolicy() (*policy.Policy, error) {
	if _, err := certificate.ParseOID(o.policy); err == nil {
		return nil, fmt.Errorf("%s is a policy of certificates: name it by --certificate-policy", o.policy)
	}
	return policy.Open(o.policy)
}

func (o *options) trust(ctx context.Context, q *chain.Question) error {
	if len(o.lists.Anchors) == 0 && o.lists.Dir == "" {
		return errors.New("nothing is trusted: name --anchors, or --trust-lists with --lotl-signers")
	}
	lists, err := trustlist.Load(ctx, o.lists)
	if err != nil {
		return err
	}
	for _, s := range lists.Status() {
		if s.Error != "" {
			fmt.Fprintf(os.Stderr, "trustctl: trusted list %s is not used: %s\n", s.File, s.Error)
		}
	}
	if q.Anchors = lists.Anchors(); o.lists.Dir != "" {
		q.Lists = lists
	}
	return nil
}

func (o *options) evidence(q *chain.Question) error {
	for _, file := range o.untrusted {
		list, err := readCertificates(file)
		if err != nil {
			return fmt.Errorf("--untrusted %s: %w", file, err)
		}
		q.Further = append(q.Further, list...)
	}
	for _, file := range o.crls {
		data, err := durable.ReadFile(file, maxFile)
		if err != nil {
			return fmt.Errorf("--crl: %w", err)
		}
		list, err := revocation.ParseCRL(data)
		if err != nil {
			return fmt.Errorf("--crl %s: %w", file, err)
		}
		q.CRLs = append(q.CRLs, list)
	}
	for _, file := range o.ocsps {
		data, err := durable.ReadFile(file, maxFile)
		if err != nil {
			return fmt.Errorf("--ocsp: %w", err)
		}
		response, err := revocation.ParseOCSP(data)
		if err != nil {
			return fmt.Errorf("--ocsp %s: %w", file, err)
		}
		q.OCSPs = append(q.OCSPs, response)
	}
	return nil
}

func readCertificates(file string) ([]*certificate.Certificate, error) {
	data, err := durable.ReadFile(file, maxFile)
	if err != nil {
		return nil, err
	}
	return chain.ReadCertificates(data, nil)
}
