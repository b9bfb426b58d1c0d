package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/mapped"
	"trustcore/verify"
	"trustcore/verify/bundle"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// maxBundle is the largest bundle in bytes that is read.
const maxBundle = 2 * verify.MaxDocument

// replayOptions are the flags of trustctl replay.
type replayOptions struct {
	verifyOptions
	document string
}

func replayCommand() *cobra.Command {
	o := replayOptions{verifyOptions: verifyOptions{offline: true}}
	c := &cobra.Command{
		Use:   "replay [flags] BUNDLE",
		Short: "Give the verdict of a bundle again",
		Long: `Judges the document of a bundle (trustctl verify --bundle) again, with the evidence, lists, anchors, policy and
time in the bundle: nothing else is asked, no network, no clock. The report must be the one that the bundle holds;
where it is not, the command says what differs and ends with status 1.

A bundle holds no password: that of an encrypted document is asked for again (--password-file).

With --policy or --at it is judged under another policy or at another time; then nothing is compared.

Nobody signs a bundle: who made it chose its lists and anchors, which standard error names.

  trustctl verify --bundle contract.zip --trust-lists lists/ --lotl-signers signers/ contract.pdf
  trustctl replay contract.zip
  trustctl replay --policy dss-default --at 2030-01-01T00:00:00Z contract.zip`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c.Context(), c.OutOrStdout(), args[0]) },
	}
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "the report as JSON, as trustctl verify writes it, with \"identical\"")
	f.StringVar(&o.at, "at", "", "another time of validation, RFC 3339")
	f.StringVar(&o.policy, "policy", "", "another policy: strict, dss-default or a `file`")
	f.StringVar(&o.language, "language", "pl", "language of sentences, reasons and notes: pl or en (with --json reasons and notes in English)")
	f.BoolVar(&o.numbers, "personal-numbers", false, "show personal numbers such as PESEL as a whole, as the bundle's report does")
	f.StringVar(&o.document, "document", "", "the document's `file`, for a bundle that holds its digest alone")
	f.StringArrayVar(&o.passwordFiles, "password-file", nil,
		"`file` with the password of the document, - for standard input; may be repeated")
	f.StringArrayVar(&o.detached, "detached", nil, "`file` that the signature is about, for a bundle that holds digests alone")
	return c
}

// replayed is the answer.
type replayed struct {
	outcome
	Identical *bool    `json:"identical,omitempty"` // to the report of the bundle; absent where another one was asked for
	Differs   []string `json:"differs,omitempty"`   // the fields that are not
}

func (o *replayOptions) run(ctx context.Context, out io.Writer, file string) error {
	if err := o.checkLanguage(); err != nil {
		return err
	}
	packed, err := mapped.Open(file, maxBundle)
	if err != nil {
		return err
	}
	b, err := bundle.Read(bytes.NewReader(packed.Octets()), int64(len(packed.Octets())))
	if err = errors.Join(err, packed.Close()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := o.complete(b); err != nil {
		return err
	}
	report, err := o.judge(ctx, b)
	if err != nil {
		return err
	}
	r := replayed{outcome: outcome{File: b.Document.Name, SHA256: report.SHA256, Report: report}}
	if o.policy == "" && o.at == "" {
		if err := r.compare(b.Report); err != nil {
			return err
		}
	}
	return o.show(out, &r)
}

// complete adds to a bundle the document that it holds the digest of.
func (o *replayOptions) complete(b *bundle.Bundle) error {
	if b.Document.Content != nil {
		if o.document != "" || len(o.detached) > 0 {
			return errors.New("--document, --detached: the bundle holds the documents")
		}
		return nil
	}
	if o.document == "" {
		return fmt.Errorf("the bundle holds no document: name the file with the SHA-256 %s by --document", b.SHA256)
	}
	content, err := os.ReadFile(o.document)
	if err != nil {
		return fmt.Errorf("--document: %w", err)
	}
	if bundle.Digest(content) != b.SHA256 {
		return fmt.Errorf("--document: %s is another document, the bundle's has the SHA-256 %s", o.document, b.SHA256)
	}
	b.Document.Content = content
	for _, name := range o.detached {
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--detached: %w", err)
		}
		b.Detached = append(b.Detached, bundle.File{Name: filepath.Base(name), Content: content})
	}
	return nil
}

// policyOf is the policy of --policy, or that of the bundle.
func (o *replayOptions) policyOf(b *bundle.Bundle) (*verify.Policy, error) {
	if o.policy != "" {
		p, err := policy.Open(o.policy)
		if err != nil {
			return nil, fmt.Errorf("--policy: %w", err)
		}
		return p, nil
	}
	p, err := policy.Named(b.Policy.Name)
	kept := p
	if b.Policy.File != nil {
		kept, err = policy.Read(b.Policy.File)
	}
	if err != nil {
		return nil, fmt.Errorf("the policy of the bundle: %w", err)
	}
	if kept.Name() != b.Policy.Name {
		return nil, fmt.Errorf("the bundle says that its policy is %q, and holds the policy %q",
			b.Policy.Name, kept.Name())
	}
	if p != nil && p.Digest() != kept.Digest() {
		fmt.Fprintf(os.Stderr, "trustctl: the policy %q of the bundle is not the one of that name that this program has\n",
			kept.Name())
	}
	return kept, nil
}

// judge gives the verdict by what the bundle holds alone.
func (o *replayOptions) judge(ctx context.Context, b *bundle.Bundle) (*verify.Report, error) {
	at, err := o.time(b.At)
	if err != nil {
		return nil, err
	}
	policy, err := o.policyOf(b)
	if err != nil {
		return nil, err
	}
	pins := poland.Shipped()
	if b.Pins != nil {
		if pins, err = poland.Parse(b.Pins); err != nil {
			return nil, fmt.Errorf("the bundle: %w", err)
		}
	}
	lists, err := loadFrom(ctx, b, pins)
	if err != nil {
		return nil, err
	}
	sayTrust(b)
	v, err := o.verifier(lists, policy, pins)
	if err != nil {
		return nil, err
	}
	var kept struct{ Trace json.RawMessage }
	if err := json.Unmarshal(b.Report, &kept); err != nil {
		return nil, fmt.Errorf("the bundle's report: %w", err)
	}
	r := verify.Request{Document: b.Document.Content, At: at, Trace: kept.Trace != nil,
		Numbers: o.numbers,
		Evidence: &verify.Evidence{Certificates: b.Certificates, CRLs: b.CRLs, OCSPs: b.OCSPs, Later: b.Later,
			Origins: b.Origins}}
	for _, d := range b.Detached {
		r.Detached = append(r.Detached, signature.Detached{Name: d.Name, Content: d.Content})
	}
	if r.Detached, err = withDigests(r.Detached, b.Digests); err != nil {
		return nil, fmt.Errorf("the digests of the bundle: %w", err)
	}
	passwords, err := o.passwords(b)
	defer passwords.wipe()
	if err != nil {
		return nil, fmt.Errorf("--password-file: %w", err)
	}
	r.Passwords = passwords
	return v.Verify(ctx, r)
}

func withDigests(files []signature.Detached, texts []string) ([]signature.Detached, error) {
	var d verify.Digests
	for _, text := range texts {
		if err := d.Add(text); err != nil {
			return nil, err
		}
	}
	return d.Beside(files)
}

// passwords are those that the document may need once more.
func (o *replayOptions) passwords(b *bundle.Bundle) (passwords, error) {
	if b.Password && len(o.passwordFiles) == 0 {
		return nil, errors.New("the verdict was given with the document's password, " +
			"which a bundle does not keep: name a file with it")
	}
	return readPasswords(o.passwordFiles)
}

// sayTrust names what a bundle is judged by, since whoever made it chose that.
func sayTrust(b *bundle.Bundle) {
	for _, f := range slices.Concat(b.LOTLSigners, b.Extra, b.Anchors) {
		fmt.Fprintf(os.Stderr, "trustctl: trusted because the bundle says so: %q, SHA-256 %s\n", f.Name, bundle.Digest(f.Content))
	}
	if b.Pins != nil {
		fmt.Fprintf(os.Stderr, "trustctl: trusted because the bundle says so: a list of pins, SHA-256 %s\n", bundle.Digest(b.Pins))
	}
}

// compare holds the report against the one that the bundle holds.
func (r *replayed) compare(kept json.RawMessage) error {
	again, err := json.Marshal(r.Report)
	if err != nil {
		return err
	}
	if len(kept) > 2*len(again)+reportSlack { // whoever wrote it, it is another one
		kept = json.RawMessage("null")
	}
	var before, now any
	if err := errors.Join(json.Unmarshal(kept, &before), json.Unmarshal(again, &now)); err != nil {
		return fmt.Errorf("the bundle's report: %w", err)
	}
	r.Differs = differences("", before, now)
	same := len(r.Differs) == 0
	r.Identical = &same
	return nil
}

// reportSlack is how much longer than twice the report the kept one may be that is compared field by field.
const reportSlack = 64 << 10

// differences names the fields of JSON values that are not the same.
func differences(at string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			return inObjects(at, x, y)
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			var list []string
			for i := range x {
				list = append(list, differences(fmt.Sprintf("%s[%d]", at, i), x[i], y[i])...)
			}
			return list
		}
	}
	if reflect.DeepEqual(a, b) {
		return nil
	}
	return []string{cmp.Or(at, "everything")}
}

func inObjects(at string, a, b map[string]any) []string {
	var names, list []string
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		field := name
		if at != "" {
			field = at + "." + name
		}
		list = append(list, differences(field, a[name], b[name])...)
	}
	return list
}

func (o *replayOptions) show(out io.Writer, r *replayed) error {
	if o.json {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	} else {
		r.File = prose.Name(r.File) // a stranger may have named it
		r.Report = r.Report.In(o.language)
		o.printOutcome(out, &r.outcome)
		fmt.Fprintln(out, r.standing())
	}
	if len(r.Differs) > 0 {
		return fmt.Errorf("the report is not the one that the bundle holds: it differs in %s", r.Differs)
	}
	return r.status().err()
}

// standing says what the report is beside the one that the bundle holds.
func (r *replayed) standing() string {
	switch {
	case r.Identical == nil:
		return "The report is not the one that the bundle holds: another policy or time was asked for."
	case !*r.Identical:
		return "The report is not the one that the bundle holds."
	}
	return "The report is the one that the bundle holds."
}
