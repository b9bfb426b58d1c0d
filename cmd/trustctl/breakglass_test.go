package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit"
	"trustcore/pki"
	"trustcore/pki/ceremony"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

// glass is a state after its ceremony, with the authority open: what break-glass works on.
type glass struct {
	*custody.Custody
	t      *testing.T
	state  state
	ca     *pki.CA
	shares []string
}

// newGlass holds the ceremony so long ago. The certificates of daemons and officers live 397 days.
func newGlass(t *testing.T, ago time.Duration) *glass {
	t.Helper()
	if _, err := os.Stat(custody.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	g := &glass{t: t, state: state{t.TempDir()}}
	g.must(g.state.make())
	cfg := custody.Defaults()
	cfg.StateDir, cfg.PKIURL, cfg.Logger = g.state.path("trustd"), "http://127.0.0.1/pki", slog.New(slog.DiscardHandler)
	cfg.Now = func() time.Time { return time.Now().Add(-ago) }
	g.open(cfg)
	plan, err := ceremony.Parse(ceremony.Default(cfg.PKIURL))
	g.must(err)
	_, err = g.Perform(t.Context(), plan)
	g.must(err)
	g.shares, err = g.MakeShares(t.Context(), 2)
	g.must(err)
	g.must(issueFirst(t.Context(), g.state, g.Custody, parties{officers: officers, hosts: []string{"127.0.0.1", "core.example"}}))
	g.must(g.Close(t.Context()))
	cfg.Now = time.Now
	g.open(cfg)
	t.Cleanup(func() { g.must(g.Close(context.WithoutCancel(t.Context()))) })
	g.ca, err = g.CA(t.Context())
	g.must(err)
	return g
}

func (g *glass) open(cfg custody.Config) {
	g.t.Helper()
	var err error
	g.Custody, err = custody.Open(g.t.Context(), cfg, []string{"/proc/self/exe", "hsm-worker"})
	g.must(err)
}

func (g *glass) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// breaks runs break-glass and demands that it is refused for a reason, or "" that it works.
func (g *glass) breaks(b breakGlass, share, reason string) string {
	g.t.Helper()
	b.reason = "a test"
	g.must(b.check())
	var out bytes.Buffer
	err := b.act(g.t.Context(), g.state, g.Custody, share, &out)
	if reason == "" && err != nil || reason != "" && (err == nil || !strings.Contains(err.Error(), reason)) {
		g.t.Errorf("%+v: %v; want %q", b, err, reason)
	}
	return out.String()
}

// entries closes the audit log and returns what it has of break-glass.
func (g *glass) entries() []audit.Recorded {
	g.t.Helper()
	g.must(g.Audit.Close(g.t.Context()))
	all, err := g.Audit.List(g.t.Context(), audit.Filter{Action: "break-glass"})
	g.must(err)
	return all
}

// serial is that of the certificate in the files of a holder; its key has to fit.
func (g *glass) serial(folder, name string) string {
	g.t.Helper()
	files := g.state.officer(name)
	if folder == "identity/" {
		files = g.state.daemon(name)
	}
	shown, err := files.Shown()
	g.must(err)
	return shown.SerialNumber.Text(16)
}

// past is when a ceremony was held whose certificates have ended.
const past = 400 * 24 * time.Hour

// TestBreakGlassByOfficer lets an officer whose certificate has ended make new ones for the daemons and itself.
func TestBreakGlassByOfficer(t *testing.T) {
	g := newGlass(t, past)
	for name, files := range map[string]identity.Identity{"trustd": g.state.daemon("trustd"), "officer-1": g.state.officer("officer-1")} {
		shown, err := files.Shown()
		g.must(err)
		if shown.NotAfter.After(time.Now()) {
			t.Fatalf("%s has not expired", name)
		}
	}
	before := map[string]string{}
	for _, name := range []string{"identity/trustd", "identity/verifyd", "identity/vpnd", "officers/officer-1", "officers/officer-2"} {
		before[name] = g.serial(path.Split(name))
	}
	g.breaks(breakGlass{as: "officer-1"}, "", "")
	for name, serial := range before {
		if changed := g.serial(path.Split(name)) != serial; changed != (name != "officers/officer-2") {
			t.Errorf("%s: changed %v", name, changed)
		}
	}
	shown, err := g.state.daemon("trustd").Shown()
	g.must(err)
	if len(shown.DNSNames) != 1 || len(shown.IPAddresses) != 1 {
		t.Errorf("trustd's hosts are %v %v", shown.DNSNames, shown.IPAddresses)
	}
	if _, err := g.ca.Standing(t.Context(), shown); err != nil {
		t.Errorf("trustd's certificate: %v", err)
	}
	all := g.entries()
	if len(all) != 1 || all[0].Outcome != audit.Granted || all[0].Actor.Kind != "operator" || all[0].Subject != "trustd verifyd batchd vpnd officer-1" ||
		!strings.HasPrefix(all[0].Details["confirmed_by"], "officer officer-1, certificate ") || all[0].Details["reason"] != "a test" {
		t.Errorf("%+v", all)
	}
	issues, err := g.Audit.List(t.Context(), audit.Filter{Action: "certificate.issue", Last: 1})
	g.must(err)
	if len(issues) != 1 || issues[0].Index < all[0].Index {
		t.Error("it was recorded after it was done")
	}
}

// TestBreakGlassConfirmers refuses who may not confirm, and says so in the log.
func TestBreakGlassConfirmers(t *testing.T) {
	for name, c := range map[string]struct {
		ago    time.Duration
		before func(g *glass)
		as     string
		reason string
	}{
		"a revoked officer": {0, func(g *glass) {
			_, err := g.ca.Revoke(t.Context(), operator(), pki.Selector{CommonName: "officer-1", Profile: pki.Officer}, pki.PrivilegeWithdrawn, "")
			g.must(err)
		}, "officer-1", "is revoked"},
		"a revoked officer, expired since": {past, func(g *glass) {
			_, err := g.ca.Revoke(t.Context(), operator(), pki.Selector{Serial: g.serial("officers/", "officer-1")}, pki.PrivilegeWithdrawn, "")
			g.must(err)
		}, "officer-1", "is revoked"},
		"a suspended officer": {0, func(g *glass) {
			_, err := g.ca.Suspend(t.Context(), operator(), pki.Selector{CommonName: "officer-1", Profile: pki.Officer}, "")
			g.must(err)
		}, "officer-1", "is suspended"},
		"a daemon that calls itself an officer": {0, func(g *glass) {
			g.must(g.copy("identity/trustd/trustd.pem", "officers/officer-1.pem"))
			g.must(g.copy("identity/trustd/trustd.key", "officers/officer-1.key"))
		}, "officer-1", "no officer's of this authority"},
		"another authority's officer": {0, func(g *glass) {
			other := newGlass(t, 0)
			for _, file := range []string{"officers/officer-1.pem", "officers/officer-1.key"} {
				text, err := os.ReadFile(other.state.path(file))
				g.must(err)
				g.must(os.WriteFile(g.state.path(file), text, 0o600))
			}
		}, "officer-1", "no officer's of this authority"},
		"a certificate without its key": {0, func(g *glass) {
			g.must(g.copy("officers/officer-2.pem", "officers/officer-1.pem"))
		}, "officer-1", "private key does not match"},
		"a forged certificate with an officer's number": {0, func(g *glass) { g.forge("officer-1") }, "officer-1", "no officer's of this authority"},
		"nobody": {0, func(*glass) {}, "officer-9", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGlass(t, c.ago)
			c.before(g)
			serial := g.serial("identity/", "vpnd")
			g.breaks(breakGlass{as: c.as, daemons: []string{"vpnd"}}, "", c.reason)
			if g.serial("identity/", "vpnd") != serial {
				t.Error("a certificate was made all the same")
			}
			if all := g.entries(); len(all) != 1 || all[0].Outcome != audit.Refused || !strings.Contains(all[0].Reason, c.reason) {
				t.Errorf("%+v", all)
			}
		})
	}
}

// forge puts a certificate and key of ours, which say the same, in the place of an officer's.
func (g *glass) forge(name string) {
	g.t.Helper()
	files := g.state.officer(name)
	real, err := files.Shown()
	g.must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.must(err)
	forged := &x509.Certificate{SerialNumber: real.SerialNumber, Subject: real.Subject, NotBefore: real.NotBefore, NotAfter: real.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, forged, forged, key.Public(), key)
	g.must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	g.must(err)
	g.must(os.WriteFile(files.Certificate, custody.PEM(der), 0o600))
	g.must(os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
}

func (g *glass) copy(from, to string) error {
	text, err := os.ReadFile(g.state.path(from))
	if err != nil {
		return err
	}
	return os.WriteFile(g.state.path(to), text, 0o600)
}

// TestBreakGlassByShare uses a recovery share, which is void then, and others that are none.
func TestBreakGlassByShare(t *testing.T) {
	g := newGlass(t, 0)
	g.breaks(breakGlass{recovery: "-"}, "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-HHHH", "none of the recovery shares")
	g.breaks(breakGlass{recovery: "-"}, "", "none of the recovery shares")
	copied := " " + strings.ToLower(strings.ReplaceAll(g.shares[1], "-", " ")) + "\n"
	vpnd, second := g.serial("identity/", "vpnd"), g.serial("officers/", "officer-2")
	g.breaks(breakGlass{recovery: "-", officers: []string{"officer-2"}}, copied, "")
	if g.serial("officers/", "officer-2") == second || g.serial("identity/", "vpnd") != vpnd {
		t.Error("certificates were made for others than those named")
	}
	g.breaks(breakGlass{recovery: "-"}, g.shares[1], "recovery share 2 was used on")
	g.breaks(breakGlass{recovery: "-"}, g.shares[0], "")
	if g.serial("identity/", "vpnd") == vpnd {
		t.Error("the daemons are not the default")
	}
	text, err := os.ReadFile(g.state.path("trustd", "pki", "recovery.json"))
	g.must(err)
	if bytes.Contains(text, []byte(g.shares[0][:4])) {
		t.Error("the state has a share")
	}
	if _, err := g.MakeShares(t.Context(), 1); err == nil {
		t.Error("shares were made a second time")
	}
	if all := g.entries(); len(all) != 5 || all[2].Details["confirmed_by"] != "recovery share 2" {
		t.Errorf("%+v", all)
	}
}

// TestBreakGlassMakesNoOfficers refuses names that have no rights.
func TestBreakGlassMakesNoOfficers(t *testing.T) {
	g := newGlass(t, 0)
	_, err := g.ca.Revoke(t.Context(), operator(), pki.Selector{CommonName: "officer-2", Profile: pki.Officer}, pki.PrivilegeWithdrawn, "")
	g.must(err)
	g.breaks(breakGlass{as: "officer-1", officers: []string{"officer-2"}}, "", "is revoked")
	g.breaks(breakGlass{as: "officer-1", officers: []string{"officer-9"}}, "", "never had a certificate")
	g.breaks(breakGlass{as: "officer-1", officers: []string{"trustd"}}, "", "never had a certificate")
	g.breaks(breakGlass{as: "officer-1", officers: []string{"../identity/trustd"}}, "", "can't name an officer's files")
}

// TestBreakGlassThatFails leaves a second entry in the log, a share that was shown void, and the old pair in use.
func TestBreakGlassThatFails(t *testing.T) {
	g := newGlass(t, 0)
	g.must(os.Remove(g.state.path("identity", "vpnd", "vpnd.pem")))
	g.must(os.Mkdir(g.state.path("identity", "vpnd", "vpnd.pem"), 0o700)) // nothing can take its place
	g.must(os.WriteFile(g.state.path("identity", "vpnd", "vpnd.pem", "full"), nil, 0o600))
	g.breaks(breakGlass{recovery: "-", daemons: []string{"vpnd"}}, g.shares[0], "vpnd")
	g.breaks(breakGlass{recovery: "-", daemons: []string{"vpnd"}}, g.shares[0], "recovery share 1 was used")
	all := g.entries()
	if len(all) != 3 || all[0].Outcome != audit.Granted || all[1].Outcome != audit.Failed || all[1].Reason == "" || all[2].Outcome != audit.Refused {
		t.Errorf("%+v", all)
	}
}

// TestBreakGlassOfOldState has no shares: an officer's key does.
func TestBreakGlassOfOldState(t *testing.T) {
	g := newGlass(t, 0)
	g.must(os.Remove(g.state.path("trustd", "pki", "recovery.json")))
	g.breaks(breakGlass{recovery: "-"}, g.shares[0], "no recovery shares were made here")
	g.must(os.Remove(g.state.path("identity", "vpnd", "vpnd.key"))) // what is lost is made again
	g.must(os.Remove(g.state.path("identity", "trustd", "trustd.pem")))
	g.breaks(breakGlass{as: "officer-2"}, "", "")
	g.serial("identity/", "vpnd")
	g.serial("identity/", "trustd")
}

// TestBreakGlassFlags needs a reason and one who confirms.
func TestBreakGlassFlags(t *testing.T) {
	for _, c := range []struct {
		b    breakGlass
		want string
	}{
		{breakGlass{as: "officer-1"}, "--reason"},
		{breakGlass{as: "officer-1", reason: " "}, "--reason"},
		{breakGlass{reason: "a"}, "who confirms?"},
		{breakGlass{reason: "a", as: "officer-1", recovery: "-"}, "who confirms?"},
		{breakGlass{reason: "a", as: "officer-1", daemons: []string{"sshd"}}, "none of trustd"},
	} {
		if err := c.b.check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.b, err, c.want)
		}
	}
}

// TestBreakGlassWhileServing refuses a state that is in use.
func TestBreakGlassWhileServing(t *testing.T) {
	st := state{t.TempDir()}
	unlock, err := st.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	b := breakGlass{state: st.dir, reason: "a", as: "officer-1"}
	if err := b.run(t.Context(), strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "another trustctl up serves the state") {
		t.Error(err)
	}
}

// TestBreakGlassOfOthers refuses the state of another user.
func TestBreakGlassOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it needs root to make another user's folder")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	b := breakGlass{state: dir, reason: "a", as: "officer-1"}
	if err := b.run(t.Context(), strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Error(err)
	}
}
