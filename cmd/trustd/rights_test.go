package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// requests are the rights' routes as they are asked for: without a body, so that who is let in is told what is missing.
func requests(at rights.Listener) []rights.Right {
	var found []rights.Right
	for _, r := range rights.Table {
		if r.Listener == at {
			r.Route = strings.NewReplacer("{id}", strings.Repeat("0", 32), "{version}", "v1").Replace(r.Route)
			found = append(found, r)
		}
	}
	return found
}

func (w *world) try(c *http.Client, right rights.Right) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(right.Route, " ")
	if right.Route == "GET /v1/clients" {
		path += "?have=" // answers at once
	}
	return w.ask(c, method, w.url(string(right.Listener))+path, nil)
}

// TestRights lets every role try every route of trustd's listeners: the table's opens, everything else is refused.
func TestRights(t *testing.T) {
	w := newWorld(t, nil)
	for _, listener := range []rights.Listener{rights.Admin, rights.HSM} {
		for _, right := range requests(listener) {
			for _, h := range holders {
				a := w.try(w.client(h.name), right)
				allowed := slices.Contains(right.Roles, h.role)
				refused := a.status == http.StatusForbidden && strings.Contains(a.detail(), "may not use this")
				if refused == allowed || a.status == http.StatusNotFound {
					t.Errorf("%s %s as %s: %d %s, want allowed: %v", listener, right.Route, h.name, a.status, a.detail(), allowed)
				}
			}
		}
	}
}

// TestEveryRoleHasAHolder keeps TestRights whole when a role is added.
func TestEveryRoleHasAHolder(t *testing.T) {
	for _, right := range rights.Table {
		for _, role := range right.Roles {
			if !slices.ContainsFunc(holders, func(h holding) bool { return h.role == role }) {
				t.Errorf("no test speaks as %s", role)
			}
		}
	}
	for _, h := range holders {
		who := rights.Holder{Profile: string(h.profile), Name: h.name}
		if who.Role() != h.role {
			t.Errorf("%s is %q, want %q", h.name, who.Role(), h.role)
		}
	}
}

// TestRevokedOpensNothing keeps a connection of each holder open, revokes its certificate, and asks again on every route that it
// had: over that connection, over a resumed session and over a new one.
func TestRevokedOpensNothing(t *testing.T) {
	w := newWorld(t, nil)
	officer := audit.Actor{Kind: "officer", ID: "officer-1"}
	for _, h := range holders {
		c := w.client(h.name)
		var own []rights.Right
		for _, listener := range []rights.Listener{rights.Admin, rights.HSM} {
			for _, right := range requests(listener) {
				if slices.Contains(right.Roles, h.role) {
					own = append(own, right)
				}
			}
		}
		for _, right := range own {
			if a := w.try(c, right); a.status == http.StatusForbidden && strings.Contains(a.detail(), "certificate") {
				t.Errorf("%s as %s before: %d %s", right.Route, h.name, a.status, a.detail())
			}
		}
		_, err := w.ca.Revoke(t.Context(), officer, pki.Selector{Serial: w.serial(h.name)}, pki.CessationOfOperation, "")
		w.must(err)
		for _, right := range own {
			for name, c := range map[string]*http.Client{"the open connection": c, "a new one": w.client(h.name)} {
				if a := w.try(c, right); a.status != http.StatusForbidden || !strings.Contains(a.detail(), "is revoked") {
					t.Errorf("%s as %s, revoked, over %s: %d %s", right.Route, h.name, name, a.status, a.detail())
				}
			}
		}
	}
	w.wantRefusals(t)
}

// wantRefusals finds what was refused in the audit log, with its holder.
func (w *world) wantRefusals(t *testing.T) {
	t.Helper()
	w.must(w.custody.Audit.Close(t.Context()))
	entries, err := w.custody.Audit.List(t.Context(), audit.Filter{Action: "access"})
	w.must(err)
	found := false
	for _, e := range entries {
		if e.Outcome == audit.Refused && e.Partner == "um-przykladowo" && strings.Contains(e.Subject, "/sign") && e.Reason != "" {
			found = true
		}
	}
	if !found {
		t.Errorf("no refusal of the office among %d entries", len(entries))
	}
}

// TestStrangersOpenNothing shows certificates that look like an officer's and are none: of nobody, of another authority with the
// same names, and one that the authority's key signed but the inventory does not have.
func TestStrangersOpenNothing(t *testing.T) {
	w := newWorld(t, nil)
	right := requests(rights.Admin)[0]
	if _, err := w.client("").Post(w.url("admin")+"/v1/orders", "", nil); err == nil {
		t.Error("a client without a certificate was served")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "officer-1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	issuer, signer := w.issuing()
	for name, serial := range map[string]*big.Int{"a serial number of nobody": big.NewInt(7), "the officer's serial number": w.serialNumber("officer-1")} {
		template.SerialNumber = serial
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
		w.must(err)
		w.write("stranger", der, key)
		a := w.try(w.client("stranger"), right)
		if a.status != http.StatusForbidden || !strings.Contains(a.detail(), "none of this authority's") {
			t.Errorf("%s: %d %s", name, a.status, a.detail())
		}
	}
}

// issuing returns the certificate and the key of the issuing authority.
func (w *world) issuing() (*x509.Certificate, crypto.Signer) {
	w.t.Helper()
	c, err := custody.ReadCertificate(filepath.Join(w.cfg.StateDir, "pki", "issuing.pem"))
	w.must(err)
	text, err := os.ReadFile(filepath.Join(w.cfg.StateDir, "pki", "keys.json"))
	w.must(err)
	var keys map[string]string
	w.must(json.Unmarshal(text, &keys))
	key, err := w.custody.HSM.Signer(w.t.Context(), keys["issuing"])
	w.must(err)
	return c, key
}

func (w *world) serialNumber(holder string) *big.Int {
	n, _ := new(big.Int).SetString(w.serial(holder), 16)
	return n
}

// write puts a certificate and its key where the holder's files lie.
func (w *world) write(holder string, der []byte, key *ecdsa.PrivateKey) {
	w.t.Helper()
	w.install(holder, string(custody.PEM(append([][]byte{der}, w.ca.Authorities()...)...)), key)
}

// TestRefusalsAreRecordedOnceAMinute keeps who is refused from filling the log, and the memory of it bounded.
func TestRefusalsAreRecordedOnceAMinute(t *testing.T) {
	now := time.Now()
	f := new(refusals)
	for _, c := range []struct {
		key   string
		after time.Duration
		due   bool
	}{{"a", 0, true}, {"a", refusalEvery - time.Second, false}, {"b", refusalEvery - time.Second, true}, {"a", refusalEvery, true}, {"a", -time.Hour, true}} {
		if got := f.due(c.key, now.Add(c.after)); got != c.due {
			t.Errorf("%s after %s: %v, want %v", c.key, c.after, got, c.due)
		}
	}
	for i := range 3 * maxRefusals {
		f.due(strings.Repeat("x", i%7)+big.NewInt(int64(i)).String(), now)
	}
	if len(f.last) > maxRefusals {
		t.Errorf("%d refusals are remembered", len(f.last))
	}
}
