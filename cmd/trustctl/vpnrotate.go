package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn/office"
)

// vpnStatus is the tunnels, and how old their secrets are.
type vpnStatus struct {
	Gateways tunnels         `json:"gateways"`
	Secrets  []tunnelSecrets `json:"secrets"`
}

// tunnelSecrets is how the secrets of one tunnel stand.
type tunnelSecrets struct {
	Partner   string    `json:"partner"`
	Site      string    `json:"site"`
	Order     string    `json:"order"`
	Serial    int64     `json:"preshared_serial"` // 0 is none
	RotatedAt time.Time `json:"preshared_at,omitzero"`
	KeyAt     time.Time `json:"key_at,omitzero"`
	Changing  bool      `json:"changing"`
	Due       []string  `json:"due"`
}

// well is whether the tunnels are: a secret that is due is the office's affair for the next minutes.
func (s vpnStatus) well() bool { return s.Gateways.well() }

func (s vpnStatus) write(out io.Writer, now time.Time) error {
	if err := s.Gateways.write(out, now); err != nil || len(s.Secrets) == 0 {
		return err
	}
	fmt.Fprintln(out)
	w := table(out)
	fmt.Fprintln(w, "PARTNER\tSITE\tPRE-SHARED KEY\tKEY OF THE OFFICE\tHAS NOT FOLLOWED")
	for _, t := range s.Secrets {
		preshared := "none"
		if t.Serial > 0 {
			preshared = fmt.Sprintf("number %d, %s", t.Serial, age(t.RotatedAt, now))
		}
		key := age(t.KeyAt, now)
		if t.Changing {
			key += ", changing"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Partner, t.Site, preshared, key, strings.Join(t.Due, ", "))
	}
	return w.Flush()
}

// age is in days, which is how periods of rotation are given.
func age(since, now time.Time) string {
	if since.IsZero() {
		return "age unknown"
	}
	return fmt.Sprintf("%d days old", int(now.Sub(since).Hours()/24))
}

func vpnRotateCommand() *cobra.Command {
	var f officerFlags
	c := &cobra.Command{
		Use:   "rotate preshared-key|key [PARTNER[/SITE]], or rotate hub-key [GATEWAY]",
		Short: "Have offices rotate a secret of their tunnel, or gateways the key of their hub",
		Long: "Has trustd ask the office to rotate the pre-shared key or its own key, through the tunnel, within minutes;\n" +
			"without a partner, all offices. With hub-key it asks the gateway, or all, to make its hub's next key: offices\n" +
			"follow to it, and the former one goes on until two officers end it (trustctl motion end-hub-key). trustctl vpn\n" +
			"status says who has not followed.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.open()
			if err != nil {
				return err
			}
			return askRotation(c.Context(), o, c.OutOrStdout(), args)
		},
	}
	f.add(c)
	return c
}

func askRotation(ctx context.Context, o *officer, out io.Writer, args []string) error {
	in := struct {
		Secret  registry.Secret `json:"secret"`
		Partner string          `json:"partner,omitempty"`
		Site    string          `json:"site,omitempty"`
		Gateway string          `json:"gateway,omitempty"`
	}{Secret: registry.Secret(args[0])}
	if in.Secret == office.HubKey {
		if len(args) == 2 {
			in.Gateway = args[1]
		}
	} else if len(args) == 2 {
		in.Partner, in.Site, _ = strings.Cut(args[1], "/")
		if in.Partner == "" {
			return fmt.Errorf("%q names no partner", args[1])
		}
	}
	var answer struct {
		Asked int `json:"asked"`
	}
	if err := o.call(ctx, "POST", "/v1/tunnels/rotate", in, &answer); err != nil {
		return err
	}
	whom := "offices"
	if in.Secret == office.HubKey {
		whom = "gateways"
	}
	_, err := fmt.Fprintf(out, "asked %d %s to rotate the %s; who has not followed: trustctl vpn status\n", answer.Asked, whom, in.Secret)
	return err
}
