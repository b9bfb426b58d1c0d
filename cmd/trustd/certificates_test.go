package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// as sends a request to the admin listener in the holder's name and decodes the answer; it fails on another status.
func (w *world) as(holder, method, path string, body any, status int, into any) answer {
	w.t.Helper()
	a := w.ask(w.client(holder), method, w.url("admin")+path, body)
	if a.status != status {
		w.t.Fatalf("%s %s as %s: %d %s, want %d", method, path, holder, a.status, a.body, status)
	}
	if into != nil {
		w.must(json.Unmarshal(a.body, into))
	}
	return a
}

// lives reports whether the holder is let in at the admin listener: whoever is, is told what its role may not do.
func (w *world) lives(holder string) bool {
	w.t.Helper()
	a := w.ask(w.client(holder), "GET", w.url("admin")+"/v1/expiring", nil)
	return a.status == http.StatusOK || strings.Contains(a.detail(), "may not use this")
}

// request makes a key and a request; the key is written where the holder's lies.
func (w *world) request(holder string, hosts ...net.IP) (*ecdsa.PrivateKey, string) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: holder}, IPAddresses: hosts}, key)
	w.must(err)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// install writes a chain and its key where the holder's lie.
func (w *world) install(holder, chain string, key *ecdsa.PrivateKey) {
	w.t.Helper()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	w.must(err)
	id := w.identity(holder)
	w.must(os.WriteFile(id.Certificate, []byte(chain), 0o600))
	w.must(os.WriteFile(id.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
}

// installOwn installs the one of a holder's certificates that is for the key.
func (w *world) installOwn(holder string, of marked, key *ecdsa.PrivateKey) {
	w.t.Helper()
	for _, c := range of.Certificates {
		block, _ := pem.Decode([]byte(c.Chain))
		leaf, err := x509.ParseCertificate(block.Bytes)
		w.must(err)
		if key.PublicKey.Equal(leaf.PublicKey) {
			w.install(holder, c.Chain, key)
			return
		}
	}
	w.t.Fatalf("%s has no certificate for the key", holder)
}

// TestRevocationTakesTwoOfficers walks a motion: proposed by one, approved by another, seen at the door at once.
func TestRevocationTakesTwoOfficers(t *testing.T) {
	w := newWorld(t, nil)
	body := map[string]any{"kind": "certificate.revoke", "reason": "keyCompromise", "which": map[string]string{"name": "ezd", "profile": "daemon-client"}}
	var m registry.Motion
	w.as("officer-1", "POST", "/v1/motions", body, 200, &m)
	if a := w.as("officer-1", "POST", "/v1/motions/approve", map[string]string{"id": m.ID}, 409, nil); !strings.Contains(a.detail(), "another officer") {
		t.Error(a.detail())
	}
	if !w.lives("ezd") {
		t.Fatal("a proposal alone revoked")
	}
	w.as("officer-2", "POST", "/v1/motions/approve", map[string]string{"id": m.ID}, 200, &m)
	if w.lives("ezd") || m.State != registry.CarriedOut || m.Outcome != "1 certificates" {
		t.Errorf("after the approval: %+v", m)
	}
	w.as("officer-2", "POST", "/v1/motions/approve", map[string]string{"id": m.ID}, 409, nil)
	w.must(w.custody.Audit.Close(t.Context()))
	entries, err := w.custody.Audit.List(t.Context(), audit.Filter{Order: m.ID})
	w.must(err)
	var told []string
	for _, e := range entries {
		told = append(told, e.Action+" "+e.Outcome+" "+e.Actor.ID)
	}
	want := []string{"motion.propose granted officer-1", "motion.approve refused officer-1", "motion.approve granted officer-2",
		"certificate.revoke granted officer-2", "certificate.block-key granted officer-2", "motion.approve refused officer-2"}
	if !slices.Equal(told, want) {
		t.Errorf("the log has %q\nwant %q", told, want)
	}
}

// TestSuspensionTakesOne suspends on one officer's word; the release takes two.
func TestSuspensionTakesOne(t *testing.T) {
	w := newWorld(t, nil)
	which := map[string]string{"partner": "um-przykladowo"}
	var changed marked
	w.as("officer-1", "POST", "/v1/certificates/suspend", map[string]any{"which": which}, 200, &changed)
	if len(changed.Certificates) != 1 || w.lives("um-przykladowo") {
		t.Errorf("%+v", changed)
	}
	if a := w.ask(w.client("um-przykladowo"), "GET", w.url("gateway")+"/v1/keys", nil); a.status != 403 || !strings.Contains(a.detail(), "suspended") {
		t.Errorf("%d %s", a.status, a.detail())
	}
	var m registry.Motion
	w.as("officer-1", "POST", "/v1/motions", map[string]any{"kind": "certificate.release", "which": which}, 200, &m)
	w.as("officer-2", "POST", "/v1/motions/approve", map[string]string{"id": m.ID}, 200, nil)
	if !w.lives("um-przykladowo") {
		t.Error("it is suspended still")
	}
}

// TestBadMotions names the field before anybody decides.
func TestBadMotions(t *testing.T) {
	w := newWorld(t, nil)
	_, csr := w.request("officer-3")
	for name, c := range map[string]struct {
		body  map[string]any
		field string
	}{
		"everything":    {map[string]any{"kind": "certificate.revoke", "reason": "superseded", "which": map[string]string{}}, "selector"},
		"no reason":     {map[string]any{"kind": "certificate.revoke", "which": map[string]string{"partner": "p"}}, "reason"},
		"a hold":        {map[string]any{"kind": "certificate.revoke", "reason": "certificateHold", "which": map[string]string{"partner": "p"}}, "reason"},
		"no kind":       {map[string]any{"name": "officer-3", "csr": csr}, "kind"},
		"no request":    {map[string]any{"kind": "officer.certify", "name": "officer-3"}, "csr"},
		"another name":  {map[string]any{"kind": "officer.certify", "name": "officer-4", "csr": csr}, "common name"},
		"a hidden name": {map[string]any{"kind": "officer.certify", "name": "officer\u202e-3", "csr": csr}, "common name"},
	} {
		a := w.ask(w.client("officer-1"), "POST", w.url("admin")+"/v1/motions", c.body)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), `"field":"`+c.field+`"`) {
			t.Errorf("%s: %d %s, want field %s", name, a.status, a.body, c.field)
		}
	}
	var all []registry.Motion
	if w.as("officer-1", "GET", "/v1/motions", nil, 200, &all); len(all) != 0 {
		t.Errorf("%d motions were taken", len(all))
	}
}

// TestAnOfficerJoinsAndIsReplaced certifies a new officer, replaces a key, and revokes the old certificate.
func TestAnOfficerJoinsAndIsReplaced(t *testing.T) {
	w := newWorld(t, nil)
	join := func(by, second string) {
		t.Helper()
		key, csr := w.request("officer-3")
		var m registry.Motion
		w.as(by, "POST", "/v1/motions", map[string]string{"kind": "officer.certify", "name": "officer-3", "csr": csr}, 200, &m)
		w.as(second, "POST", "/v1/motions/approve", map[string]string{"id": m.ID}, 200, nil)
		var list marked
		w.as(by, "GET", "/v1/officers?name=officer-3", nil, 200, &list)
		w.installOwn("officer-3", list, key)
		w.as("officer-3", "GET", "/v1/orders", nil, 200, nil)
	}
	join("officer-1", "officer-2")
	first := w.serial("officer-3")
	old, err := os.ReadFile(w.identity("officer-3").Certificate)
	w.must(err)
	oldKey, err := os.ReadFile(w.identity("officer-3").Key)
	w.must(err)
	join("officer-2", "officer-1")
	var m registry.Motion
	w.as("officer-3", "POST", "/v1/motions", map[string]any{"kind": "certificate.revoke", "reason": "superseded", "which": map[string]string{"serial": first}}, 200, &m)
	w.as("officer-1", "POST", "/v1/motions/approve", map[string]string{"id": m.ID}, 200, nil)
	w.as("officer-3", "GET", "/v1/orders", nil, 200, nil)
	w.must(os.WriteFile(w.identity("officer-3").Certificate, old, 0o600))
	w.must(os.WriteFile(w.identity("officer-3").Key, oldKey, 0o600))
	w.as("officer-3", "GET", "/v1/orders", nil, 403, nil)
}

// TestEveryHolderRenews asks for a successor at the holder's listener: the same holder, another key, and both count.
func TestEveryHolderRenews(t *testing.T) {
	w := newWorld(t, nil)
	for _, h := range holders {
		if h.name == "trustd" || h.name == "um-przykladowo" {
			continue // see TestTrustdRenewsItself and TestRenewalNeedsTheOrder
		}
		before := w.serial(h.name)
		old := w.client(h.name)
		var hosts []net.IP
		if h.profile == pki.DaemonServer {
			hosts = []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		key, csr := w.request(h.name, hosts...)
		var got struct{ Chain string }
		w.as(h.name, "POST", "/v1/renewals", map[string]string{"csr": csr}, 200, &got)
		if a := w.ask(old, "GET", w.url("admin")+"/v1/expiring", nil); a.status == 403 && !strings.Contains(a.detail(), "may not use") {
			t.Errorf("%s: the certificate before does not count any more: %s", h.name, a.detail())
		}
		w.install(h.name, got.Chain, key)
		if w.serial(h.name) == before || !w.lives(h.name) {
			t.Errorf("%s: the new certificate does not count", h.name)
		}
		_, foreign := w.request("officer-1", hosts...)
		if h.name != "officer-1" {
			w.as(h.name, "POST", "/v1/renewals", map[string]string{"csr": foreign}, 422, nil)
		}
	}
}

// TestTrustdRenewsItself lets two thirds of its certificate's life pass: the listeners show the new one.
func TestTrustdRenewsItself(t *testing.T) {
	w := newWorld(t, nil)
	before := w.serial("trustd")
	later := &identity.Renewal{Identity: w.self.Identity, Ask: w.self.Ask, Logger: w.self.Logger,
		Now: func() time.Time { return time.Now().Add(61 * 24 * time.Hour) }}
	w.must(later.Once(t.Context()))
	if w.serial("trustd") == before {
		t.Fatal("it was not renewed")
	}
	for deadline := time.Now().Add(time.Minute); ; {
		response, err := w.client("officer-1").Get(w.url("admin") + "/v1/orders")
		w.must(err)
		w.must(response.Body.Close())
		if response.TLS.PeerCertificates[0].SerialNumber.Cmp(w.serialNumber("trustd")) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the listener shows the old certificate")
		}
		<-time.After(50 * time.Millisecond)
	}
}

// TestRenewalNeedsTheOrder refuses an office whose order is not in force.
func TestRenewalNeedsTheOrder(t *testing.T) {
	w := newWorld(t, nil)
	_, csr := w.request("um-przykladowo")
	a := w.ask(w.client("um-przykladowo"), "POST", w.url("gateway")+"/v1/renewals", map[string]string{"csr": csr})
	if a.status == 200 {
		t.Errorf("renewed without an order: %s", a.body)
	}
}

// TestApprovedMotionsOutliveACrash leaves a motion approved and not carried out, as a crash would.
func TestApprovedMotionsOutliveACrash(t *testing.T) {
	w := newWorld(t, nil)
	var m registry.Motion
	w.as("officer-1", "POST", "/v1/motions", map[string]any{"kind": "certificate.revoke", "reason": "superseded",
		"which": map[string]string{"name": "ezd", "profile": "daemon-client"}}, 200, &m)
	_, err := w.registry.ApproveMotion(t.Context(), audit.Actor{Kind: "officer", ID: "officer-2"}, m.ID)
	w.must(err)
	for deadline := time.Now().Add(time.Minute); w.lives("ezd"); {
		if time.Now().After(deadline) {
			t.Fatal("the motion is never carried out")
		}
		<-time.After(50 * time.Millisecond)
	}
}
