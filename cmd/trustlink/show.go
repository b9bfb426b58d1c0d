package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"trustcore/internal/durable"
	"trustcore/vpn/office"
)

func showCommand(dir *string) *cobra.Command {
	var asQR, asConf, withKey bool
	var out, format, ifname string
	command := &cobra.Command{
		Use:   "show",
		Short: "Show the tunnel as a WireGuard configuration or a QR code",
		Long: "Shows the tunnel for a router or a WireGuard application. The private key stays out, a placeholder stands\n" +
			"for it, unless --with-private-key is given. On Windows and macOS the official application carries the tunnel:\n" +
			"trustlink show --with-private-key --out tc-office.conf, and import the file there. Secrets of a tunnel that\n" +
			"another program carries are not rotated.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f := office.Format(format); f != office.WGQuick {
				return exportTunnel(c.OutOrStdout(), state{*dir}, f, ifname, withKey, out)
			}
			conf, err := configuration(state{*dir}, withKey)
			if err != nil {
				return err
			}
			if out != "" {
				return keepConf(out, conf)
			}
			if asQR {
				return drawQR(c.OutOrStdout(), conf)
			}
			_, err = io.WriteString(c.OutOrStdout(), conf)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&format, "format", string(office.WGQuick), "for which `system`: wg-quick, networkd, openwrt, mikrotik or opnsense")
	flags.StringVar(&ifname, "interface", defaultInterface, "`name` of the tunnel interface there; that of wg-quick is the file's")
	flags.BoolVar(&asConf, "conf", false, "as a file for wg-quick (default)")
	flags.BoolVar(&asQR, "qr", false, "as a QR code")
	flags.BoolVar(&withKey, "with-private-key", false, "with the private key: keep the output secret")
	flags.StringVar(&out, "out", "", "write the configuration to this `file`, readable by its owner alone; the WireGuard\n"+
		"application names the tunnel after it. With another --format, the folder for its files")
	command.MarkFlagsMutuallyExclusive("conf", "qr")
	command.MarkFlagsMutuallyExclusive("out", "qr")
	command.MarkFlagsMutuallyExclusive("format", "qr")
	return command
}

func configuration(s state, withKey bool) (string, error) {
	r, err := s.enrolled()
	if err != nil {
		return "", err
	}
	if !r.Enrolment.HasTunnel() {
		return "", errors.New("this office has no tunnel: its order holds none")
	}
	text, err := s.keyText(withKey)
	return r.Enrolment.Conf(text), err
}

// keyText is the private key in base64, or what stands for it.
func (s state) keyText(withKey bool) (string, error) {
	if !withKey {
		return office.KeyPlaceholder, nil
	}
	key, err := s.wireguardKey()
	secret := key.Reveal()
	return base64.StdEncoding.EncodeToString(secret[:]), err
}

// exportTunnel writes the tunnel for another system, into a folder or one file after the other.
func exportTunnel(out io.Writer, s state, f office.Format, ifname string, withKey bool, folder string) error {
	r, err := s.enrolled()
	if err != nil {
		return err
	}
	text, err := s.keyText(withKey)
	if err != nil {
		return err
	}
	files, err := r.Enrolment.Export(f, ifname, text)
	if err != nil {
		return err
	}
	for _, file := range files {
		if folder != "" {
			err = durable.WriteFile(filepath.Join(folder, file.Name), []byte(file.Text), 0o600)
		} else if len(files) > 1 {
			_, err = fmt.Fprintf(out, "# %s\n%s\n", file.Name, file.Text)
		} else {
			_, err = io.WriteString(out, file.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tunnelName is what all applications take as the name of a tunnel, which is that of the file: Linux has room for 15
// bytes.
var tunnelName = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`)

func keepConf(file, conf string) error {
	name, is := strings.CutSuffix(filepath.Base(file), ".conf")
	if !is || !tunnelName.MatchString(name) {
		return fmt.Errorf("--out: %s is not named as a tunnel: 1 to 15 letters, digits or _=+.- and then .conf", filepath.Base(file))
	}
	return durable.WriteFile(file, []byte(conf), 0o600)
}

// quietZone is the margin that readers need, in modules (ISO/IEC 18004).
const quietZone = 4

// drawQR draws two rows of modules a line. Light modules are drawn and dark ones left out, as on a
// terminal with a dark background.
func drawQR(out io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return fmt.Errorf("the configuration does not fit into a QR code: %w", err)
	}
	var b strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		for x := -quietZone; x < code.Size+quietZone; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				b.WriteRune(' ')
			case upper:
				b.WriteRune('▄')
			case lower:
				b.WriteRune('▀')
			default:
				b.WriteRune('█')
			}
		}
		b.WriteRune('\n')
	}
	_, err = io.WriteString(out, b.String())
	return err
}
