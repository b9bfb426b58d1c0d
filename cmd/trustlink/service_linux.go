package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// addService adds the command that writes a unit for systemd, which runs trustlink up.
func addService(root *cobra.Command, dir *string) {
	service := &cobra.Command{Use: "service", Short: "Have systemd run trustlink up"}
	var u unit
	printUnit := &cobra.Command{
		Use:   "unit",
		Short: "Write a unit that runs trustlink up with this state folder",
		Long: "Writes a unit to standard output. It runs this program where it lies now, with no right but to interfaces\n" +
			"and routes, sees nothing but the state folder of what is not the system's, and starts it again when it ends:\n\n" +
			"  trustlink service unit > /etc/systemd/system/trustlink.service\n" +
			"  systemctl daemon-reload && systemctl enable --now trustlink",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if u.program, err = os.Executable(); err != nil {
				return err
			}
			if u.state, err = filepath.Abs(*dir); err != nil {
				return err
			}
			return u.write(c.OutOrStdout())
		},
	}
	printUnit.Flags().StringVar(&u.ifname, "interface", defaultInterface, "`name` of the tunnel interface")
	printUnit.Flags().BoolVar(&u.renewOnly, "renew-only", false, "as of trustlink up")
	service.AddCommand(printUnit)
	root.AddCommand(service)
}

// unit is trustlink up as systemd runs it.
type unit struct {
	program, state, ifname string
	renewOnly              bool
}

// arguments are those of trustlink.
func (u unit) arguments() []string {
	args := []string{"up", "--state", u.state, "--interface", u.ifname}
	if u.renewOnly {
		args = append(args, "--renew-only")
	}
	return args
}

func (u unit) write(out io.Writer) error {
	command := append([]string{u.program}, u.arguments()...)
	for i, arg := range command {
		quoted, err := unitWord(arg)
		if err != nil {
			return err
		}
		command[i] = quoted
	}
	state, err := unitWord(u.state)
	if err != nil {
		return err
	}
	escaped := strings.ReplaceAll(u.state, "%", "%%") // this one is no word, but a path
	_, err = fmt.Fprintf(out, unitText, escaped, strings.Join(command, " "), state)
	return err
}

// unitWord quotes a word for a unit (systemd.syntax(7), systemd.service(5)): nothing in it is a specifier, a variable or an
// escape.
func unitWord(s string) (string, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("the path holds a character that a unit can't hold")
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(s) + `"`, nil
}

const unitText = `[Unit]
Description=The office's end of the tunnel to the data centre
Wants=network-online.target
After=network-online.target nss-lookup.target
StartLimitIntervalSec=0
AssertPathIsDirectory=%s

[Service]
ExecStart=%s
Restart=always
RestartSec=5
RuntimeDirectory=wireguard
RuntimeDirectoryMode=0700
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=%s
ProtectHome=read-only
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
`
