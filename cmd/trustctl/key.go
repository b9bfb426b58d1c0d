package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/durable"
)

// hsmKey is a row of the HSM's keys, as trustd shows it to officers.
type hsmKey struct {
	ID        string    `json:"id"`
	Partner   string    `json:"partner,omitempty"`
	Order     string    `json:"order,omitempty"`
	Label     string    `json:"label"`
	Version   int       `json:"version"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	SignsOn   time.Time `json:"signs_on,omitzero"`
	Replaced  time.Time `json:"replaced,omitzero"`
}

// signs says when the version signs, where it is not the only one.
func (k hsmKey) signs() string {
	var parts []string
	if !k.SignsOn.IsZero() {
		parts = append(parts, "from "+k.SignsOn.Format(time.RFC3339))
	}
	if !k.Replaced.IsZero() {
		parts = append(parts, "until "+k.Replaced.Format(time.RFC3339))
	}
	return strings.Join(parts, " ")
}

type hsmKeys []hsmKey

func (l *hsmKeys) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "KEY\tPARTNER\tORDER\tNAME\tVERSION\tALGORITHM\tSTATE\tMADE\tSIGNS")
	for _, k := range *l {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", k.ID, k.Partner, k.Order, k.Label, k.Version, k.Algorithm, k.State,
			k.Created.Format(time.DateOnly), k.signs())
	}
	return w.Flush()
}

func keyCommand() *cobra.Command {
	var f officerFlags
	c := f.group("key", "List, rotate, suspend, stop, resume, destroy and attest the keys of offices",
		`Orders make the keys of offices and give them to applications. One officer takes keys out of use, at once: one key, those
of an office, or those of all offices. To give them back, to destroy them and to have others sign in their place takes two:
one proposes a motion, another approves it. The keys of the authority itself are not among them.

  trustctl key list --partner um-przykladowo
  trustctl key suspend 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason "the application signs by itself"
  trustctl key stop um-przykladowo --reason "a laptop was stolen"
  trustctl key stop --all --reason "the gateway is attacked"
  trustctl key resume 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason "it was an exercise"
  trustctl key destroy 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason "the office has closed"
  trustctl key rotate 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --from 2026-12-01T06:00:00Z --reason "two years are over"
  trustctl motion approve M-ABCDEFGHIJ --as officer-2
  trustctl key attest 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --out seal.json`)
	c.AddCommand(keyList(&f), keySuspend(&f), keyStop(&f),
		keyMotion(&f, registry.ResumeKeys, "resume KEY...", "Propose to give suspended keys back"),
		keyMotion(&f, registry.DestroyKeys, "destroy KEY...", "Propose to destroy suspended keys for ever"),
		keyRotate(&f), keyRequest(&f), keyAttest(&f))
	return c
}

func keyList(f *officerFlags) *cobra.Command {
	var partner, order string
	c := f.do("list", "List keys, oldest first", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
		var found hsmKeys
		return &found, o.call(ctx, "GET", "/v1/keys?"+url.Values{"partner": {partner}, "order": {order}}.Encode(), nil, &found)
	})
	c.Flags().StringVar(&partner, "partner", "", "`id` of the office")
	c.Flags().StringVar(&order, "order", "", "`number` of the order that gives them")
	return c
}

// why adds the reason that the audit log has.
func why(c *cobra.Command, reason *string) *cobra.Command {
	c.Flags().StringVar(reason, "reason", "", "`text` for the audit log")
	return c
}

func keySuspend(f *officerFlags) *cobra.Command {
	var reason string
	return why(f.do("suspend KEY --reason TEXT", "Take one key out of use at once", cobra.ExactArgs(1),
		func(ctx context.Context, o *officer, args []string) (any, error) {
			var changed hsmKeys
			return &changed, o.call(ctx, "POST", "/v1/keys/suspend", map[string]string{"key": args[0], "reason": reason}, &changed)
		}), &reason)
}

func keyStop(f *officerFlags) *cobra.Command {
	var reason string
	var all bool
	c := why(f.do("stop PARTNER | stop --all, with --reason TEXT", "Emergency stop: take the keys of an office, or of all, out of use at once",
		cobra.MaximumNArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			if all == (len(args) == 1) {
				return nil, errors.New("whose? name the office, or --all")
			}
			var changed hsmKeys
			return &changed, o.call(ctx, "POST", "/v1/keys/stop",
				map[string]any{"partner": strings.Join(args, ""), "all": all, "reason": reason}, &changed)
		}), &reason)
	c.Flags().BoolVar(&all, "all", false, "those of all offices")
	return c
}

func keyMotion(f *officerFlags, kind registry.MotionKind, use, short string) *cobra.Command {
	var reason string
	return why(f.do(use+" --reason TEXT", short, cobra.MinimumNArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
		return f.propose(ctx, o, map[string]any{"kind": kind, "keys": args, "reason": reason})
	}), &reason)
}

func keyRotate(f *officerFlags) *cobra.Command {
	var reason, from string
	c := why(f.do("rotate KEY... --reason TEXT", "Propose to have other keys sign in the place of these, the next versions",
		cobra.MinimumNArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			body := map[string]any{"kind": registry.RotateKeys, "keys": args, "reason": reason}
			if from != "" {
				at, err := time.Parse(time.RFC3339, from)
				if err != nil {
					return nil, fmt.Errorf("--from: %q: write a moment such as 2026-12-01T06:00:00Z", from)
				}
				body["signs_on"] = at
			}
			return f.propose(ctx, o, body)
		}), &reason)
	c.Long = `The next version of a key is made in the token and certified as soon as the motion is approved. It signs from --from on, and
until then the one before does: offices see it beforehand, with its certificate (trustlink keys). The one before stays
listed and verifies; nothing is signed with it any more. It is suspended (trustctl key suspend) and destroyed by itself.
Limits of the key count on: the versions of a key share them.`
	c.Flags().StringVar(&from, "from", "", "`moment` from which the next version signs; left out, it does at once")
	return c
}

// certificateRequest is a request that a key has signed.
type certificateRequest struct {
	CSR string `json:"csr"` // PEM
}

func (r *certificateRequest) show(out io.Writer) error {
	_, err := io.WriteString(out, r.CSR)
	return err
}

func keyRequest(f *officerFlags) *cobra.Command {
	var name, organization string
	c := f.do("request KEY --name NAME", "Have a key sign a certificate request (PKCS #10), for another authority than ours", cobra.ExactArgs(1),
		func(ctx context.Context, o *officer, args []string) (any, error) {
			var made certificateRequest
			in := map[string]string{"key": args[0], "name": name, "organization": organization}
			return &made, o.call(ctx, "POST", "/v1/keys/request", in, &made)
		})
	c.Flags().StringVar(&name, "name", "", "common `name`")
	c.Flags().StringVar(&organization, "organization", "", "`name` of the organization")
	return c
}

// attestation is where an attestation lies.
type attestation struct {
	Document string `json:"document"`
	Stamp    string `json:"stamp"`
	text     []byte
}

func (a *attestation) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, `%s

%s, and its time-stamp %s. Verify it with
  openssl ts -verify -data %[2]s -in %[3]s -CAfile ca.pem
`, a.text, a.Document, a.Stamp)
	return err
}

func keyAttest(f *officerFlags) *cobra.Command {
	var to string
	c := f.do("attest KEY --out FILE", "Have the token say what a key is, in a document with a time-stamp of the data centre",
		cobra.ExactArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			a := &attestation{Document: to, Stamp: to + ".tsr"}
			if to == "" {
				return nil, errors.New("--out: name the file of the document; its time-stamp is written beside it, as FILE.tsr")
			}
			for _, path := range []string{a.Document, a.Stamp} {
				if _, err := os.Lstat(path); err == nil {
					return nil, fmt.Errorf("--out: %s is there already", path)
				}
			}
			var said struct{ Document, Stamp []byte }
			if err := o.call(ctx, "GET", "/v1/keys/attestation?"+url.Values{"key": {args[0]}}.Encode(), nil, &said); err != nil {
				return nil, err
			}
			a.text = said.Document
			return a, errors.Join(durable.WriteFile(a.Document, said.Document, 0o644), durable.WriteFile(a.Stamp, said.Stamp, 0o644))
		})
	c.Flags().StringVar(&to, "out", "", "`file` for the document")
	return c
}

// tokenInventory is what trustd found when it held the registry of keys against the token.
type tokenInventory struct {
	At         time.Time `json:"at"`
	Serial     string    `json:"token_serial"`
	Registered int       `json:"registered"`
	Held       int       `json:"held"`
	Lost       []hsmKey  `json:"lost"`
	Left       []hsmKey  `json:"left"`
	Unknown    []string  `json:"unknown"`
	Doubles    []string  `json:"doubles"`
	Weak       []weakKey `json:"weak"`
	Foreign    int       `json:"foreign"`
}

// weakKey is less hardened than trustd makes keys.
type weakKey struct {
	ID        string `json:"id"`
	Attribute string `json:"attribute"`
}

func (i *tokenInventory) whole() bool {
	return len(i.Lost)+len(i.Left)+len(i.Unknown)+len(i.Doubles)+len(i.Weak)+i.Foreign == 0
}

func (i *tokenInventory) show(out io.Writer) error {
	fmt.Fprintf(out, "token %s at %s: %d keys, of which the registry has %d\n", i.Serial, i.At.Format(time.RFC3339), i.Held, i.Registered)
	if i.whole() {
		_, err := fmt.Fprintln(out, "registry and token agree")
		return err
	}
	w := table(out)
	fmt.Fprintln(w, "KEY\tPARTNER\tORDER\tNAME\tWHAT IS WRONG")
	for _, row := range []struct {
		keys []hsmKey
		what string
	}{{i.Lost, "the token has lost it"}, {i.Left, "was destroyed, and the token holds it"}} {
		for _, k := range row.keys {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Partner, k.Order, k.Label, row.what)
		}
	}
	for _, id := range i.Unknown {
		fmt.Fprintf(w, "%s\t\t\t\tnobody knows it\n", id)
	}
	for _, id := range i.Doubles {
		fmt.Fprintf(w, "%s\t\t\t\tseveral keys of the token have this ID\n", id)
	}
	for _, k := range i.Weak {
		fmt.Fprintf(w, "%s\t\t\t\tits %s is not as it was made\n", k.ID, k.Attribute)
	}
	if i.Foreign > 0 {
		fmt.Fprintf(w, "(%d keys)\t\t\t\tanother program made them in this token\n", i.Foreign)
	}
	return w.Flush()
}

func hsmCommand() *cobra.Command {
	var f officerFlags
	c := f.group("hsm", "Look at the HSM", `  trustctl hsm inventory`)
	inventory := &cobra.Command{
		Use: "inventory", Short: "Hold the registry of keys against the token's own list",
		Long: `Lists what registry and token do not agree about: keys that the token has lost, keys that were destroyed and that it holds
(a backup brought them back), keys that nobody knows, keys that share an ID, and keys that are less hardened than trustd makes
them (extractable, not sensitive, made elsewhere, for another use). trustd takes an inventory every night too, and /health tells it.

Exit status: 0 they agree and every key is as it was made; 3 they do not.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.open()
			if err != nil {
				return err
			}
			var i tokenInventory
			if err := o.call(c.Context(), "GET", "/v1/keys/inventory", nil, &i); err != nil {
				return err
			}
			if err := show(c.OutOrStdout(), &i, f.asJSON); err != nil {
				return err
			}
			if !i.whole() {
				return exitCode(notPassed)
			}
			return nil
		},
	}
	c.AddCommand(inventory)
	return c
}
