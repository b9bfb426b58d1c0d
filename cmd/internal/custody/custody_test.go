package custody_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/hsm"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

const url = "http://127.0.0.1/pki"

var officer = audit.Actor{Kind: "officer", ID: "officer-1"}

// states are the folders of what open opened.
var states sync.Map

func stateOf(t *testing.T, c *custody.Custody) string {
	t.Helper()
	dir, there := states.Load(c)
	if !there {
		t.Fatal("a state that open did not open")
	}
	return dir.(string)
}

// open opens a state of its own behind SoftHSM2; its authority's clock runs ahead by what ahead holds.
func open(t *testing.T, ahead *atomic.Int64) *custody.Custody {
	t.Helper()
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	cfg := custody.Defaults()
	cfg.StateDir, cfg.PKIURL, cfg.Logger = filepath.Join(audittest.Dir(t), "trustd"), url, slog.New(slog.DiscardHandler)
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	c, err := custody.Open(t.Context(), cfg, []string{"/proc/self/exe", "hsm-worker"})
	if err != nil {
		t.Fatal(err)
	}
	states.Store(c, cfg.StateDir)
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// run opens the authority and runs it until done.
func run(t *testing.T, c *custody.Custody, what string, done func() bool) *pki.CA {
	t.Helper()
	ca, err := c.CA(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ca.Run(ctx) }()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s; %+v", what, ca.Findings())
		}
		time.Sleep(50 * time.Millisecond) // polls a condition, orders nothing
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return ca
}

// TestYearsWithAToken renews the responder's key in the HSM, destroys the old one, and adds an issuing authority.
func TestYearsWithAToken(t *testing.T) {
	var ahead atomic.Int64
	c := open(t, &ahead)
	plan, err := ceremony.Parse(ceremony.Default(url))
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Perform(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	state := func(label string) hsm.State {
		t.Helper()
		keys, err := c.HSM.Keys(t.Context(), hsm.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if strings.HasPrefix(k.Label, label) {
				return k.State
			}
		}
		return ""
	}
	const day = 24 * time.Hour
	ahead.Store(int64(300 * day))
	run(t, c, "the responder has a new key in force", func() bool {
		var generation int
		if err := c.DB.QueryRow(`SELECT MAX(generation) FROM pki_unit WHERE role LIKE 'ocsp%'`).Scan(&generation); err != nil {
			t.Fatal(err)
		}
		return generation == 2 && state("ocsp-responder/") == hsm.Active
	})
	ahead.Add(int64(2 * time.Hour))
	run(t, c, "its first key is destroyed", func() bool { return state("ocsp-1") == hsm.Destroyed })

	ahead.Store(int64(3400 * day))
	next, err := ceremony.ParseSuccession(ceremony.DefaultSuccession(url, 2))
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Succeed(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.VerifyTranscript(mustJSON(t, second.Transcript), made.Root.Certificate); err != nil {
		t.Error(err)
	}
	ca := run(t, c, "the new authority is there", func() bool { return true })
	if err := c.IssueIdentity(t.Context(), ca, pki.Officer, pki.Subject{CommonName: "officer-1"}, t.TempDir(), "officer-1"); err != nil {
		t.Fatal(err)
	}
	found, err := ca.Certificates(t.Context(), pki.Filter{Profile: pki.Officer})
	if err != nil || len(found) != 1 || found[0].Issuer != "Demonstration Issuing CA 2" {
		t.Errorf("who issues? %+v, %v", found, err)
	}
	if all := ca.Authorities(); len(all) != 2 || !bytes.Equal(all[0], second.Issuing.Certificate.Raw) {
		t.Errorf("the chain does not begin with the authority that issues: %d certificates", len(all))
	}
	if err := c.Audit.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := c.Audit.List(t.Context(), audit.Filter{Action: "ceremony.succeed"})
	if err != nil || len(entries) != 1 || entries[0].Subject != "issuing-2" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}

func mustJSON(t *testing.T, transcript *ceremony.Transcript) []byte {
	t.Helper()
	data, err := transcript.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestClockSettingsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*custody.Config){
		"tsa_clock":  func(c *custody.Config) { c.TSAClock = "ntp" },
		"tsa_policy": func(c *custody.Config) { c.TSAPolicy = "best effort" },
	} {
		cfg := custody.Defaults()
		cfg.StateDir, cfg.PKIURL = audittest.Dir(t), url
		change(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
