package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/durable"
	"trustcore/vpn/office"
)

// acmeKey is a key for external account binding, as trustd makes it: it opens one account, once.
type acmeKey struct {
	KID       string    `json:"kid"`
	Secret    string    `json:"hmac_key"` // base64url
	Directory string    `json:"directory"`
	Expires   time.Time `json:"expires"`
}

// maxKeyFile bounds a file with such a key, in octets.
const maxKeyFile = 16 << 10

var keyText = regexp.MustCompile(`^[A-Za-z0-9_-]{1,512}$`)

// check refuses what could not stand in a client's settings as one value.
func (k acmeKey) check() error {
	u, err := url.Parse(k.Directory)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.String() != k.Directory || u.User != nil || strings.ContainsAny(k.Directory, " \t\r\n'\"\\") {
		return fmt.Errorf("the key's directory %q is no https URL", k.Directory)
	}
	if !keyText.MatchString(k.KID) || !keyText.MatchString(k.Secret) {
		return errors.New("the key is damaged: ask for another one")
	}
	return nil
}

// acmeSettings is one run of the command.
type acmeSettings struct {
	client, to, email, keyFile string
	domains                    []string
	asJSON                     bool
}

// acmeSetup is what was set up: the files, and the commands that use them.
type acmeSetup struct {
	Client   string   `json:"client"`
	Folder   string   `json:"folder"`
	Files    []string `json:"files"`
	Commands []string `json:"commands"` // for a POSIX shell: the first certificate, then renewal
}

func acmeCommand(dir *string) *cobra.Command {
	var s acmeSettings
	c := &cobra.Command{
		Use:   "acme --client certbot|lego --email ADDRESS --domain NAME --to FOLDER",
		Short: "Set a stock ACME client up, for certificates of this office's servers",
		Long: `Makes a key for external account binding by the office's certificate, and writes what a stock client needs into a
folder that its owner alone may read: certbot gets its settings, lego an account that is open (it takes the key on its
command line alone, where everybody on the machine could read it). It shows the commands that get the first certificate
and renew it, to be typed as they are. step has no external account binding, so it can't open an account.

  trustlink acme --client certbot --email it@example.org --domain www.example.org --to /etc/trustlink/certbot
  trustctl acme eab create um-przykladowo --json | ssh server trustlink acme --key - --client lego ...`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			made, err := s.run(c.Context(), state{*dir}, c.InOrStdin())
			if err != nil {
				return err
			}
			return made.show(c.OutOrStdout(), s.asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&s.client, "client", "", "which `client`: certbot or lego")
	f.StringVar(&s.to, "to", "", "`folder` for its settings; it is made")
	f.StringVar(&s.email, "email", "", "`address` of who answers for the servers")
	f.StringArrayVar(&s.domains, "domain", nil, "`name` of a server, as the office's order has it; repeat for more in one certificate")
	f.StringVar(&s.keyFile, "key", "", "`file` with a key that an officer made (trustctl acme eab create --json), - for standard input; default: make one")
	f.BoolVar(&s.asJSON, "json", false, "print JSON")
	return c
}

// check refuses before a key is made that nobody would use.
func (s *acmeSettings) check() error {
	address, err := mail.ParseAddress(s.email)
	switch {
	case s.client == "step":
		return errors.New("--client: step has no external account binding, so it can't open an account: use certbot or lego")
	case s.client != "certbot" && s.client != "lego":
		return fmt.Errorf("--client: %q is not known; write certbot or lego", s.client)
	case err != nil || address.Address != s.email || strings.ContainsAny(s.email, " '\"\\/"):
		return fmt.Errorf("--email: %q is no address of mail; write one as it@example.org", s.email)
	case len(s.domains) == 0:
		return errors.New("--domain is missing: the name of the server")
	case s.to == "":
		return errors.New("--to is missing: the folder for the client's settings")
	}
	for _, d := range s.domains {
		if !office.IsHost(d) {
			return fmt.Errorf("--domain: %q is no name of a host in lower case", d)
		}
	}
	if _, err := os.Stat(s.to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("--to: %s is there already: choose another folder, or go on with the settings there", s.to))
	}
	return nil
}

func (s *acmeSettings) run(ctx context.Context, st state, in io.Reader) (*acmeSetup, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var err error
	if s.to, err = filepath.Abs(s.to); err != nil {
		return nil, err
	}
	l, err := openLink(st)
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(st.path(caFile))
	if err != nil {
		return nil, err
	}
	key, err := s.key(ctx, l, in)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(s.to, 0o700); err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	made := &acmeSetup{Client: s.client, Folder: s.to}
	if err := made.write("ca.pem", roots); err != nil {
		return nil, err
	}
	if s.client == "certbot" {
		return made, made.certbot(s, key)
	}
	return made, made.lego(ctx, s, key, roots)
}

// key takes the one that an officer made, or has one made.
func (s *acmeSettings) key(ctx context.Context, l *link, in io.Reader) (key acmeKey, err error) {
	var text []byte
	switch s.keyFile {
	case "":
		text, err = l.makeACMEKey(ctx)
	case "-":
		text, err = io.ReadAll(io.LimitReader(in, maxKeyFile))
	default:
		text, err = durable.ReadFile(s.keyFile, maxKeyFile)
	}
	if err != nil {
		return key, err
	}
	if err := json.Unmarshal(text, &key); err != nil {
		return key, errors.New("--key: it is no key as trustctl acme eab create --json shows it") // the error would show its text
	}
	return key, key.check()
}

// makeACMEKey asks the gateway, by the office's certificate.
func (l *link) makeACMEKey(ctx context.Context) ([]byte, error) {
	address, err := l.address(gatewayService)
	if err != nil {
		return nil, err
	}
	client, err := l.state.identity().HTTP(callTimeout)
	if err != nil {
		return nil, fmt.Errorf("the office's certificate: %w", err)
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/v1/acme/keys", nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(post)
	if err != nil {
		return nil, fmt.Errorf("the data centre does not answer: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the data centre made no key: %s", reason(response, text))
	}
	return text, nil
}

// write writes a file of the folder, for its owner alone.
func (a *acmeSetup) write(name string, content []byte) error {
	file := filepath.Join(a.Folder, name)
	a.Files = append(a.Files, file)
	return errors.Join(durable.MkdirAll(filepath.Dir(file), 0o700), durable.WriteFile(file, content, 0o600))
}

// certbot writes its settings: the secret stands there and nowhere else.
func (a *acmeSetup) certbot(s *acmeSettings, key acmeKey) error {
	settings := fmt.Sprintf("server = %s\neab-kid = %s\neab-hmac-key = %s\nemail = %s\nagree-tos = true\nno-eff-email = true\nnon-interactive = true\n"+
		"config-dir = %[5]s\nwork-dir = %[5]s/work\nlogs-dir = %[5]s/log\n", key.Directory, key.KID, key.Secret, s.email, a.Folder)
	trusted := "REQUESTS_CA_BUNDLE=" + quoted(filepath.Join(a.Folder, "ca.pem")) + " certbot"
	config := " --config " + quoted(filepath.Join(a.Folder, "certbot.ini"))
	first := trusted + " certonly" + config + " --standalone"
	for _, d := range s.domains {
		first += " -d " + d
	}
	a.Commands = []string{first, trusted + " renew" + config}
	return a.write("certbot.ini", []byte(settings))
}

// lego opens the account, since lego would take the secret on its command line alone, and writes it as lego keeps it.
func (a *acmeSetup) lego(ctx context.Context, s *acmeSettings, key acmeKey, roots []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return errors.New("the state holds no authority of the data centre's: enrol again")
	}
	secret, err := base64.RawURLEncoding.DecodeString(key.Secret)
	if err != nil {
		return errors.New("the key is damaged: ask for another one")
	}
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	account, err := openAccount(ctx, client, key, secret, s.email)
	if err != nil {
		return err
	}
	server, err := url.Parse(key.Directory)
	if err != nil {
		return err
	}
	folder := filepath.Join("accounts", strings.ReplaceAll(server.Host, ":", "_"), s.email)
	if err := errors.Join(a.write(filepath.Join(folder, "keys", s.email+".key"), account.key), a.write(filepath.Join(folder, "account.json"), account.json)); err != nil {
		return err
	}
	// Without --eab it refuses to talk to the server at all; with an account that is open it asks for no key.
	base := "LEGO_CA_CERTIFICATES=" + quoted(filepath.Join(a.Folder, "ca.pem")) + " lego --accept-tos --eab --path " + quoted(a.Folder) +
		" --server " + quoted(key.Directory) + " --email " + quoted(s.email)
	for _, d := range s.domains {
		base += " --domains " + d
	}
	a.Commands = []string{base + " --http run", base + " --http renew"}
	return nil
}

// quoted is a word for a POSIX shell.
func quoted(text string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./:@%+=-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func (a *acmeSetup) show(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(a)
	}
	_, err := fmt.Fprintf(out, "The settings are in %s. The first certificate (the name's port 80 has to lead here), and its renewal, daily:\n\n%s\n\n%s\n",
		a.Folder, a.Commands[0], a.Commands[1])
	return err
}
