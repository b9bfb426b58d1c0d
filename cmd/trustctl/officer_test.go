package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
)

// TestYears lives through what happens to an appliance over the years: officers come, renew and go.
func TestYears(t *testing.T) {
	w := newWorld(t, uint32(os.Geteuid()))
	dir := w.folder(t)
	a := w.serve(t, dir)
	a.separated(t, w)
	c := cli{t, w, dir}
	c.newOfficer()
	c.newApplication()
	c.suspendedAndReleased()
	c.revoked()
	c.expires()
	c.fails("another trustctl up serves the state", "break-glass", "--reason", "a test", "--as", "officer-1")
	a.end(t)
	before := c.serial("officer-1")
	if out := c.does("break-glass", "--reason", "a test", "--as", "officer-1"); c.serial("officer-1") == before {
		t.Error(out)
	}
	c.fails("is revoked", "break-glass", "--reason", "a test", "--as", "officer-3")
	if os.Geteuid() == 0 {
		c.movesAsVersion1()
	}
	a = w.serve(t, c.dir)
	a.separated(t, w)
	c.does("order", "show", "--as", "officer-1")
	a.end(t)
}

// movesAsVersion1 gives the state the configuration that version 1 wrote, and another place.
func (c *cli) movesAsVersion1() {
	c.t.Helper()
	for name, text := range version1 {
		text = strings.ReplaceAll(strings.Replace(text, `, "/srv/older/root.pem", "/mnt/srv/old/root.pem"`, "", 1), "/srv/old/", c.dir+"/")
		text = strings.Replace(text, "\ndatabase:", "\n# database:", 1)
		if err := os.WriteFile(filepath.Join(c.dir, "config", name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, name := range []string{"trustd", "verifyd", "vpnd"} {
		for _, file := range []string{name + ".pem", name + ".key"} {
			if err := os.Rename(filepath.Join(c.dir, "identity", name, file), filepath.Join(c.dir, "identity", file)); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	for _, path := range []string{"identity/batchd", "config/batchd.yaml", "batchd"} { // which came later
		if err := os.RemoveAll(filepath.Join(c.dir, path)); err != nil {
			c.t.Fatal(err)
		}
	}
	above := c.w.folder(c.t)
	if err := os.Chmod(above, 0o711); err != nil { // the daemons have users of their own
		c.t.Fatal(err)
	}
	to := filepath.Join(above, "moved")
	if err := os.Rename(c.dir, to); err != nil {
		c.t.Fatal(err)
	}
	c.dir = to
}

// cli is the command line over one state.
type cli struct {
	t   *testing.T
	w   *world
	dir string
}

func (c cli) does(args ...string) string {
	c.t.Helper()
	return c.w.must(c.t, append(args, "--state", c.dir)...)
}

// fails demands that a command is refused for a reason.
func (c cli) fails(reason string, args ...string) {
	c.t.Helper()
	out, err := c.w.trustctl(c.t, append(args, "--state", c.dir)...)
	if err == nil || !strings.Contains(out, reason) {
		c.t.Errorf("%v: %v: %s; want %q", args, err, out, reason)
	}
}

// proposes makes a motion and returns its number. The line for the second officer has to be one that works.
func (c cli) proposes(args ...string) string {
	c.t.Helper()
	out := c.does(args...)
	_, line, found := strings.Cut(out, "trustctl motion approve ")
	if !found || !strings.Contains(line, "--state "+c.dir) {
		c.t.Fatalf("%v: %s", args, out)
	}
	id, _, _ := strings.Cut(line, " ")
	return id
}

func (c cli) newOfficer() {
	c.t.Helper()
	if out := c.does("officer", "list"); !strings.Contains(out, "officer-1") || !strings.Contains(out, "officer-2") {
		c.t.Error(out)
	}
	request := filepath.Join(c.dir, "officers", "officer-3.csr")
	first := c.does("officer", "request", "officer-3")
	if again := c.does("officer", "request", "officer-3"); again != first {
		c.t.Errorf("asked again it says %s, and said %s", again, first)
	}
	if info, err := os.Stat(filepath.Join(c.dir, "officers", "officer-3.key.next")); err != nil || info.Mode().Perm() != 0o600 {
		c.t.Errorf("the key: %v %v", info, err)
	}
	id := c.proposes("officer", "add", "officer-3", "--request", request, "--as", "officer-1")
	key, err := keyOf(must(os.ReadFile(request)))
	if err != nil {
		c.t.Fatal(err)
	}
	if list := c.does("motion", "list"); !strings.Contains(list, "certify officer officer-3, key "+key) {
		c.t.Errorf("who decides is not told what: %s", list)
	}
	c.fails("is the motion approved", "officer", "fetch", "officer-3")
	c.fails("another officer", "motion", "approve", id, "--as", "officer-1")
	c.does("motion", "approve", id, "--as", "officer-2")
	c.does("officer", "fetch", "officer-3")
	c.does("order", "show", "--as", "officer-3")
	c.fails("can't name an officer's files", "officer", "request", "../identity/trustd")

	before := c.serial("officer-3")
	c.does("officer", "renew", "--as", "officer-3")
	if after := c.serial("officer-3"); after == before {
		c.t.Error("the certificate was not renewed")
	}
	c.does("order", "show", "--as", "officer-3")
	c.does("officer", "fetch", "officer-3") // what is there already stays
	c.does("order", "show", "--as", "officer-3")
}

// newApplication registers one and certifies a key that it made for itself.
func (c cli) newApplication() {
	c.t.Helper()
	if out := c.does("application", "add", "ezd", "--requests-a-minute", "60"); !strings.Contains(out, "tcapp-") {
		c.t.Error(out)
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	request := filepath.Join(c.dir, "ezd.csr")
	der := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	if err := os.WriteFile(request, text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(c.does("application", "certificate", "ezd", "--request", request)))
	if block == nil {
		c.t.Fatal("no certificate is printed")
	}
	if made := must(x509.ParseCertificate(block.Bytes)); made.Subject.CommonName != "ezd" || !key.PublicKey.Equal(made.PublicKey) {
		c.t.Errorf("%v", made.Subject)
	}
	c.fails("is not there", "application", "certificate", "peup", "--request", request)
	c.fails("required flag", "application", "certificate", "ezd")
}

// serial is that of the certificate that lies in the state.
func (c cli) serial(officer string) string {
	c.t.Helper()
	st, err := openState(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	shown, err := st.officer(officer).Shown()
	if err != nil {
		c.t.Fatal(err)
	}
	return shown.SerialNumber.Text(16)
}

func (c cli) suspendedAndReleased() {
	c.t.Helper()
	which := []string{"--name", "officer-3", "--profile", "officer"}
	c.fails("which?", "certificate", "suspend", "--name", "officer-3")
	c.does(append([]string{"certificate", "suspend"}, which...)...)
	c.fails("suspended", "order", "show", "--as", "officer-3")
	c.does("motion", "approve", c.proposes(append([]string{"certificate", "release"}, which...)...), "--as", "officer-2")
	c.does("order", "show", "--as", "officer-3")
}

func (c cli) revoked() {
	c.t.Helper()
	serial := c.serial("officer-3")
	revoke := []string{"certificate", "revoke", "--serial", serial, "--reason", "keyCompromise"}
	c.fails("keyCompromise", "certificate", "revoke", "--serial", serial) // without a reason
	id := c.proposes(revoke...)
	c.fails("say why", "motion", "reject", id)
	c.does("motion", "reject", id, "--reason", "not yet", "--as", "officer-2")
	c.does("order", "show", "--as", "officer-3")
	c.does("motion", "approve", c.proposes(revoke...), "--as", "officer-2")
	c.fails("revoked", "order", "show", "--as", "officer-3")
	var found inventory
	if err := json.Unmarshal([]byte(c.does("certificate", "list", "--serial", serial, "--json")), &found); err != nil {
		c.t.Fatal(err)
	}
	if len(found.Certificates) != 1 || found.Certificates[0].State != "revoked" {
		c.t.Errorf("%+v", found)
	}
	if out := c.does("certificate", "list", "--key", found.Certificates[0].Key); !strings.Contains(out, serial) || strings.Contains(out, "officer-1") {
		c.t.Error(out)
	}
	var all []registry.Motion
	if err := json.Unmarshal([]byte(c.does("motion", "list", "--json")), &all); err != nil || len(all) != 4 {
		c.t.Errorf("%d motions, %v", len(all), err)
	}
}

// expires is a new appliance's list: nothing is due but what came with the program and is old.
func (c cli) expires() {
	c.t.Helper()
	out, _ := c.w.trustctl(c.t, "expiring", "--state", c.dir) // its status is 3 where something of the program is due
	if !strings.Contains(out, "officer-1") || !strings.Contains(out, "by itself") {
		c.t.Error(out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "!") && !strings.Contains(line, " pin ") && !strings.Contains(line, " lotl-signer ") {
			c.t.Error(line)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestExpiringSaysWhatPeopleMustDo marks what is due and nothing else.
func TestExpiringSaysWhatPeopleMustDo(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	at := func(days int) time.Time { return now.AddDate(0, 0, days) }
	for name, c := range map[string]struct {
		list expiries
		line string // the last
		due  bool
	}{
		"by itself": {expiries{{Kind: "daemon-server", Subject: "trustd", NotAfter: at(10), Renewed: "by itself", Due: at(-100), Failure: "no HSM"}},
			"2026-12-08  10    daemon-server  trustd  by itself  the last renewal failed: no HSM", false},
		"not yet": {expiries{{Kind: "officer", Subject: "officer-1", NotAfter: at(61), Renewed: byPeople, Due: at(1), Remedy: "renew"}},
			"2027-01-28  61    officer  officer-1  by people  renew", false},
		"due": {expiries{{Kind: "officer", Subject: "officer-1", NotAfter: at(60), Renewed: byPeople, Due: at(0), Remedy: "renew"}},
			"!  2027-01-27  60    officer  officer-1  by people  renew", true},
		"over": {expiries{{Kind: "officer", Subject: "officer-1", NotAfter: now.Add(-time.Hour), Renewed: byPeople, Due: at(-60)}},
			"!  2026-11-28  -1    officer  officer-1  by people", true},
	} {
		var out bytes.Buffer
		if err := c.list.write(&out, now); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(out.String(), "\n "), "\n")
		if last := strings.TrimSpace(lines[len(lines)-1]); last != c.line || c.list.due(now) != c.due {
			t.Errorf("%s: due %v\n%s\nwant\n%s", name, c.list.due(now), last, c.line)
		}
	}
}
