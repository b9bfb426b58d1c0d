package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/application"
	"trustcore/internal/durable"
)

func applicationCommand() *cobra.Command {
	var f officerFlags
	c := f.group("application", "Register and revoke programs that have documents verified",
		`An application is a program of the layers above, such as the records system. verifyd and batchd know it by a
token, or by a certificate of profile daemon-client with its name. What it may use stands in its entry; every act
is in the audit log.

  trustctl application add ezd --documents-a-day 100000 --service wnioski
  trustctl application token ezd                                   a second token,
	so that the first can be taken out of use
  trustctl application certificate ezd --request ezd.csr > ezd.pem a certificate for a key
	that the application made for itself
  trustctl application revoke ezd --reason "switched off"          for good, within a second`)
	var reason string
	revoke := f.do("revoke NAME --reason TEXT", "End what an application may do, for good", cobra.ExactArgs(1),
		func(ctx context.Context, o *officer, args []string) (any, error) {
			return nil, o.call(ctx, "POST", "/v1/applications/revoke", map[string]string{"name": args[0], "reason": reason}, nil)
		})
	revoke.Flags().StringVar(&reason, "reason", "", "why")
	c.AddCommand(
		applicationAdd(&f),
		f.do("list", "List applications", cobra.NoArgs, func(ctx context.Context, o *officer, _ []string) (any, error) {
			all := applications{}
			return &all, o.call(ctx, "GET", "/v1/applications", nil, &all)
		}),
		f.do("token NAME", "Make an application a further token; of more than two the oldest ends", cobra.ExactArgs(1),
			func(ctx context.Context, o *officer, args []string) (any, error) {
				var t appToken
				return &t, o.call(ctx, "POST", "/v1/applications/token", map[string]string{"name": args[0]}, &t)
			}),
		applicationCertificate(&f),
		revoke,
	)
	return c
}

func applicationCertificate(f *officerFlags) *cobra.Command {
	var request string
	c := f.do("certificate NAME --request FILE", "Certify the application's own key, and print the certificate",
		cobra.ExactArgs(1), func(ctx context.Context, o *officer, args []string) (any, error) {
			text, err := durable.ReadFile(request, maxRequestFile)
			if err != nil {
				return nil, err
			}
			var made appCertificate
			return &made, o.call(ctx, "POST", "/v1/applications/certificate",
				map[string]string{"name": args[0], "csr": string(text)}, &made)
		})
	c.Flags().StringVar(&request, "request", "", "`file` with a PKCS #10 request in PEM, for NAME or without a name")
	if err := c.MarkFlagRequired("request"); err != nil {
		panic(err) // the flag is one line above
	}
	return c
}

// maxRequestFile bounds a file with a request for a certificate, in bytes.
const maxRequestFile = 64 << 10

// appCertificate is a certificate that was made just now.
type appCertificate struct {
	Chain string `json:"chain"` // PEM
}

func (c *appCertificate) show(out io.Writer) error {
	_, err := io.WriteString(out, c.Chain)
	return err
}

func applicationAdd(f *officerFlags) *cobra.Command {
	var in struct {
		Name    string `json:"name"`
		Partner string `json:"partner,omitempty"`
		application.Terms
	}
	c := f.do("add NAME", "Register an application and make its token, which is shown once", cobra.ExactArgs(1),
		func(ctx context.Context, o *officer, args []string) (any, error) {
			in.Name = args[0]
			var t appToken
			return &t, o.call(ctx, "POST", "/v1/applications", in, &t)
		})
	flags := c.Flags()
	flags.StringVar(&in.Partner, "partner", "", "`partner` whose program it is (default: the data centre's own)")
	flags.Int64Var(&in.DocumentsADay, "documents-a-day", 0,
		"`number` of documents a day, in batches, and at verifyd (default: no limit)")
	flags.Int64Var(&in.RequestsAMinute, "requests-a-minute", 0,
		"`number` of requests a minute to verifyd, and to batchd (default: no limit)")
	flags.Int64Var(&in.SpoolBytes, "spool-bytes", 0,
		"`bytes` of documents that may wait (default: a half of batchd's max_spool)")
	flags.IntVar(&in.OpenBatches, "open-batches", 0, "`number` of batches that are not finished (default 100)")
	flags.StringArrayVar(&in.Services, "service", nil,
		"service `card` that it may ask about; repeat for more (default: all)")
	flags.StringArrayVar(&in.Webhooks, "webhook", nil, "https `address` that hears of finished batches; repeat for more")
	return c
}

// appToken is a token that was made just now.
type appToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

func (t *appToken) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, "the token of %s, shown this once:\n%s\n", t.Name, t.Token)
	return err
}

type applications []application.Application

func (all *applications) show(out io.Writer) error {
	if len(*all) == 0 {
		_, err := fmt.Fprintln(out, "there is no application: trustctl application add NAME")
		return err
	}
	t := table(out)
	fmt.Fprintln(t, "NAME\tPARTNER\tSINCE\tTOKENS\tSTATE")
	for _, a := range *all {
		state := "in use"
		if a.Revoked != nil {
			state = "revoked " + a.Revoked.Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", a.Name, a.Partner, a.Created.Format(time.DateOnly), len(a.Tokens), state)
	}
	return t.Flush()
}
