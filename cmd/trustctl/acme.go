package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func acmeCommand() *cobra.Command {
	c := &cobra.Command{Use: "acme", Short: "Let servers of offices get their certificates by ACME (RFC 8555)"}
	var f officerFlags
	eab := f.group("eab", "Make, list and revoke the keys with which offices open their ACME accounts",
		`An office whose order has B_CC and names its servers (server_certificates) gets their certificates with a stock
client: certbot, lego or another. To open an account the client needs a key for external account binding, which
serves once, within 7 days, and ends with the office's orders. Its secret is shown once.

  trustctl acme eab create um-przykladowo
  trustctl acme eab list --partner um-przykladowo
  trustctl acme eab revoke KID        with the account that was opened by it; certificates stay as they are`)
	var partner string
	list := f.do("list", "List keys and what became of them", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
		all := acmeKeys{}
		return &all, o.call(ctx, "GET", "/v1/acme/keys?"+url.Values{"partner": {partner}}.Encode(), nil, &all)
	})
	list.Flags().StringVar(&partner, "partner", "", "of this `partner` alone")
	eab.AddCommand(
		f.do("create PARTNER", "Make an office a key, and show its secret this once", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				var k newACMEKey
				return &k, o.call(ctx, "POST", "/v1/acme/keys", map[string]string{"partner": args[0]}, &k)
			}),
		list,
		f.do("revoke KID", "Revoke a key and the account that was opened by it", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				return nil, o.call(ctx, "POST", "/v1/acme/keys/revoke", map[string]string{"kid": args[0]}, nil)
			}),
	)
	c.AddCommand(eab)
	return c
}

// newACMEKey is a key that was made just now.
type newACMEKey struct {
	KID       string    `json:"kid"`
	Secret    string    `json:"hmac_key"`
	Expires   time.Time `json:"expires"`
	Partner   string    `json:"partner"`
	Directory string    `json:"directory"`
}

func (k *newACMEKey) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, `directory  %s
key id     %s
HMAC key   %s
For %s, once, until %s. Nobody can show the HMAC key again.
`, k.Directory, k.KID, k.Secret, k.Partner, k.Expires.Local().Format(time.DateTime))
	return err
}

// acmeKeys is the list of keys.
type acmeKeys []struct {
	KID     string    `json:"kid"`
	Partner string    `json:"partner"`
	Line    string    `json:"line"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Account string    `json:"account,omitempty"`
	State   string    `json:"state"`
}

func (l *acmeKeys) show(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY ID\tPARTNER\tORDERS\tSTATE\tMADE\tBY")
	for _, k := range *l {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.KID, k.Partner, k.Line, k.State, k.Created.Local().Format(time.DateTime), k.By)
	}
	return w.Flush()
}
