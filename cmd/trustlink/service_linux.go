package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// addService adds the command that writes a unit for systemd.
func addService(root *cobra.Command, dir *string) {
	service := &cobra.Command{Use: "service", Short: "Have systemd run trustlink up, or a hot folder"}
	var u unit
	printUnit := &cobra.Command{
		Use:   "unit [-- hotfolder run --in FOLDER --out FOLDER]",
		Short: "Write a unit that runs trustlink up, or a hot folder, with this state folder",
		Long: "Writes a unit to standard output. It runs this program where it lies now, with no right but to interfaces\n" +
			"and routes, sees nothing but the state folder of what is not the system's, and starts it again when it ends:\n\n" +
			"  trustlink service unit > /etc/systemd/system/trustlink.service\n" +
			"  systemctl daemon-reload && systemctl enable --now trustlink\n\n" +
			"Behind -- the command of a hot folder makes a unit for that, which may write into its folders alone. It runs as root\n" +
			"with the right to read and move files of all, or under the account of --user, which must own the state folder:\n\n" +
			"  trustlink service unit -- hotfolder run --in /srv/ezd/in --out /srv/ezd/out",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if u.program, err = os.Executable(); err != nil {
				return err
			}
			if u.state, err = filepath.Abs(*dir); err != nil {
				return err
			}
			if len(args) > 0 {
				return u.writeHotfolder(c.OutOrStdout(), args)
			}
			if u.user != "" {
				return errors.New("--user: it is for a hot folder; trustlink up needs the rights of root")
			}
			return u.write(c.OutOrStdout())
		},
	}
	printUnit.Flags().StringVar(&u.user, "user", "", "`account` of a hot folder's unit (default root)")
	printUnit.Flags().StringVar(&u.ifname, "interface", defaultInterface, "`name` of the tunnel interface")
	printUnit.Flags().BoolVar(&u.renewOnly, "renew-only", false, "as of trustlink up")
	service.AddCommand(printUnit)
	root.AddCommand(service)
}

// unit is trustlink up as systemd runs it.
type unit struct {
	program, state, ifname string
	renewOnly              bool
	user                   string // of a hot folder
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
	command, err := unitWords(append([]string{u.program}, u.arguments()...))
	if err != nil {
		return err
	}
	state, err := unitWord(u.state)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, unitText+unitHardening, unitPath(u.state), command, state)
	return err
}

var accountName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// writeHotfolder writes the unit of a hot folder. The state is its to read: trustlink up beside it keeps the
// certificate.
func (u unit) writeHotfolder(out io.Writer, args []string) error {
	arguments, folders, err := hotfolderService(u.state, args)
	if err != nil {
		return err
	}
	command, err := unitWords(append([]string{u.program}, arguments...))
	if err != nil {
		return err
	}
	paths, err := folders.writable()
	if err != nil {
		return err
	}
	writable, err := unitWords(paths)
	if err != nil {
		return err
	}
	rights := "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER"
	if u.user != "" {
		if !accountName.MatchString(u.user) {
			return fmt.Errorf("--user: %q is no name of an account", u.user)
		}
		rights = "User=" + u.user + "\nCapabilityBoundingSet="
	}
	_, err = fmt.Fprintf(out, hotfolderText+unitHardening, unitPath(u.state), command, rights, writable)
	return err
}

// unitPath is a path in a setting that takes one path as it is, not words.
func unitPath(s string) string { return strings.ReplaceAll(s, "%", "%%") }

func unitWords(list []string) (string, error) {
	quoted := make([]string, len(list))
	for i, word := range list {
		var err error
		if quoted[i], err = unitWord(word); err != nil {
			return "", err
		}
	}
	return strings.Join(quoted, " "), nil
}

// unitWord quotes a word for a unit (systemd.syntax(7), systemd.service(5)): nothing in it is a specifier, a variable
// or an escape.
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
ReadWritePaths=%s
DeviceAllow=/dev/net/tun rw
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
`

const hotfolderText = `[Unit]
Description=Seals of what appears in a folder, by keys in the data centre
Wants=network-online.target
After=network-online.target nss-lookup.target remote-fs.target trustlink.service
StartLimitIntervalSec=0
AssertPathIsDirectory=%s

[Service]
ExecStart=%s
Restart=always
RestartSec=5
%s
ReadWritePaths=%s
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
`

// unitHardening is what both units have in common.
const unitHardening = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
DevicePolicy=closed
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
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
