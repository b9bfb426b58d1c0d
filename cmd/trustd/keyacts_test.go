package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
)

// officerPosts has an officer ask for something.
func (o *outside) officerPosts(officer, path string, body any) answer {
	o.t.Helper()
	return o.ask(o.client(officer), "POST", o.url("admin")+path, body)
}

// proposes is officerPosts of a motion about keys.
func (o *outside) proposes(officer string, kind registry.MotionKind, keys ...string) (registry.Motion, answer) {
	o.t.Helper()
	a := o.officerPosts(officer, "/v1/motions", map[string]any{"kind": kind, "keys": keys, "reason": "a test"})
	var m registry.Motion
	_ = json.Unmarshal(a.body, &m) // a refusal is none
	return m, a
}

func (o *outside) approves(officer, motion string) answer {
	o.t.Helper()
	return o.officerPosts(officer, "/v1/motions/approve", map[string]any{"id": motion})
}

// A key of an office is suspended by one officer at once, given back by two while an order in force gives it, and destroyed by
// two with the proof that the token holds it no more.
func TestKeyActs(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", "")+key("upo", ""), inYears(1)), ezd)
	seal, upo := o.uses(ezd)["seal"].ID, o.uses(ezd)["upo"].ID
	refused := func(what string, a answer, status int, detail string) {
		t.Helper()
		if a.status != status || !strings.Contains(a.detail(), detail) {
			t.Errorf("%s: %d %s; want %d %q", what, a.status, a.body, status, detail)
		}
	}
	suspend := func(id, reason string) answer {
		return o.officerPosts("officer-1", "/v1/keys/suspend", map[string]string{"key": id, "reason": reason})
	}
	refused("without a reason", suspend(seal, " "), 422, "say why")
	refused("a key that is not there", suspend(strings.Repeat("0", 32), "x"), 404, "no office has the key")
	own, err := o.custody.HSM.Keys(t.Context(), hsm.Filter{})
	o.must(err)
	for _, k := range own {
		if k.Partner == "" {
			refused("the authority's own key", suspend(k.ID, "x"), 404, "no office has the key")
			_, a := o.proposes("officer-1", registry.DestroyKeys, k.ID)
			refused("the authority's own key", a, 404, "no office has the key")
		}
	}
	_, a := o.proposes("officer-1", registry.DestroyKeys, seal)
	refused("destroying one in use", a, 409, "is active, not suspended")
	if a := suspend(seal, "the application signs by itself"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := o.sign(o.client(ezd), seal); a.status != http.StatusConflict {
		t.Errorf("suspended: %d %s", a.status, a.body)
	}
	o.wantUse(ezd, upo, "")

	m, a := o.proposes("officer-1", registry.ResumeKeys, seal)
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	refused("who proposed it approves it", o.approves("officer-1", m.ID), 409, "another officer must approve it")
	if a := o.approves("officer-2", m.ID); a.status != http.StatusOK || !strings.Contains(string(a.body), "1 keys sign again") {
		t.Errorf("%d %s", a.status, a.body)
	}
	o.wantUse(ezd, seal, "")

	suspend(upo, "x")
	m, _ = o.proposes("officer-1", registry.DestroyKeys, upo)
	if a := o.approves("officer-2", m.ID); a.status != http.StatusOK || !strings.Contains(string(a.body), "1 keys destroyed: none of them is among the") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := o.sign(o.client(ezd), upo); a.status == http.StatusOK {
		t.Error("a destroyed key signs")
	}
	entries, err := o.custody.Audit.List(t.Context(), audit.Filter{Subject: upo, Action: "hsm.key.destroy"})
	if err != nil || len(entries) != 1 || entries[0].Actor.ID != "officer-2" {
		t.Errorf("%+v, %v", entries, err)
	}
}

// What was approved does not come true on another day: a key that was given back meanwhile is not destroyed.
func TestOutdatedMotionAboutKeys(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	seal := o.uses(ezd)["seal"].ID
	o.must(o.custody.HSM.Suspend(t.Context(), carrier, seal))
	destroy, _ := o.proposes("officer-1", registry.DestroyKeys, seal)
	resume, _ := o.proposes("officer-1", registry.ResumeKeys, seal)
	o.must(o.custody.HSM.Resume(t.Context(), carrier, seal))
	if a := o.approves("officer-2", destroy.ID); !strings.Contains(string(a.body), "not carried out: key "+seal+" is active") {
		t.Errorf("%d %s", a.status, a.body)
	}
	o.wantUse(ezd, seal, "")
	o.off("ZZ-1", "components: [B_HSM]\n")
	if a := o.approves("officer-2", resume.ID); !strings.Contains(string(a.body), "not carried out: no order in force gives key "+seal) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if k, err := o.custody.HSM.Key(t.Context(), seal); err != nil || k.State != hsm.Suspended {
		t.Errorf("%s, %v", k.State, err)
	}
}

// The emergency stop takes one officer and ends the use of every key of the office, or of all.
func TestEmergencyStop(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", "")+key("upo", ""), inYears(1)), ezd)
	all := o.uses(ezd)
	stop := func(body map[string]any) answer { return o.officerPosts("officer-1", "/v1/keys/stop", body) }
	for what, body := range map[string]map[string]any{
		"of whom": {"reason": "x"}, "of one and of all": {"reason": "x", "partner": "um-nowe", "all": true}, "why": {"all": true},
	} {
		if a := stop(body); a.status != http.StatusUnprocessableEntity {
			t.Errorf("it does not say %s: %d %s", what, a.status, a.body)
		}
	}
	if a := stop(map[string]any{"reason": "x", "partner": "um-inne"}); a.status != http.StatusOK || string(a.body) != "[]\n" {
		t.Errorf("another office: %d %s", a.status, a.body)
	}
	o.wantUse(ezd, all["seal"].ID, "")
	if a := stop(map[string]any{"reason": "the gateway is attacked", "all": true}); a.status != http.StatusOK || strings.Count(string(a.body), `"suspended"`) != 2 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, k := range all {
		if a := o.sign(o.client(ezd), k.ID); a.status != http.StatusConflict {
			t.Errorf("%s signs: %d %s", name, a.status, a.body)
		}
	}
	o.must(o.custody.CanIssue("issuing")) // the authority goes on
}

// A key signs a request for a certificate, and the token says what it is, in a document that openssl finds time-stamped.
func TestRequestAndAttestation(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	seal := o.uses(ezd)["seal"].ID
	info, err := o.custody.HSM.Key(t.Context(), seal)
	o.must(err)
	var made struct{ CSR string }
	o.must(json.Unmarshal(o.officerPosts("officer-1", "/v1/keys/request", map[string]string{"key": seal, "name": "Pieczęć", "organization": "Urząd"}).body, &made))
	block, _ := pem.Decode([]byte(made.CSR))
	if block == nil {
		t.Fatal(made.CSR)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.CheckSignature() != nil || request.Subject.CommonName != "Pieczęć" || string(request.RawSubjectPublicKeyInfo) != string(info.SPKI) {
		t.Errorf("%+v, %v", request, err)
	}
	if entries, err := o.custody.Audit.List(t.Context(), audit.Filter{Subject: seal, Action: "hsm.key.request"}); err != nil || len(entries) != 1 {
		t.Errorf("%+v, %v", entries, err)
	}

	var said struct{ Document, Stamp []byte }
	a := o.ask(o.client("officer-1"), "GET", o.url("admin")+"/v1/keys/attestation?key="+seal, nil)
	o.must(json.Unmarshal(a.body, &said))
	var document attested
	o.must(json.Unmarshal(said.Document, &document))
	if !document.Hardened || document.Key.ID != seal || !document.Attributes.NeverExtractable || string(document.PublicKey) != string(info.SPKI) {
		t.Errorf("%s", said.Document)
	}
	dir := t.TempDir()
	o.must(os.WriteFile(filepath.Join(dir, "seal.json"), said.Document, 0o600))
	o.must(os.WriteFile(filepath.Join(dir, "seal.json.tsr"), said.Stamp, 0o600))
	c := exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-data", "seal.json", "-in", "seal.json.tsr", "-CAfile", o.identity(ezd).CA)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verification: OK") {
		t.Errorf("%v %s", err, out)
	}
	o.must(o.custody.HSM.Suspend(t.Context(), carrier, seal))
	if a := o.officerPosts("officer-1", "/v1/keys/request", map[string]string{"key": seal, "name": "x"}); a.status != http.StatusConflict {
		t.Errorf("a suspended key signs a request: %d %s", a.status, a.body)
	}
}

// An inventory is taken at the start, on record, and /health tells what nobody knows.
func TestInventoryIsTaken(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	seal := o.uses(ezd)["seal"].ID
	o.await("the first inventory", func() bool {
		entries, err := o.custody.Audit.List(t.Context(), audit.Filter{Action: "hsm.inventory"})
		return err == nil && len(entries) == 1
	})
	if found := o.inventoryFindings(); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	_, err := o.custody.DB.ExecContext(t.Context(), `DELETE FROM hsm_keys WHERE id = $1`, seal)
	o.must(err)
	a := o.ask(o.client("officer-1"), "GET", o.url("admin")+"/v1/keys/inventory", nil)
	if a.status != http.StatusOK || !strings.Contains(string(a.body), `"unknown":["`+seal+`"]`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	o.must(o.recordInventory(t.Context()))
	if found := o.inventoryFindings(); len(found) != 1 || !strings.Contains(found[0].What, "0 keys that were destroyed and 1 that nobody knows") {
		t.Errorf("%+v", found)
	}
	for what, i := range map[string]hsm.Inventory{
		"1 keys of the token are less hardened": {Weak: []hsm.Weak{{ID: seal, Attribute: "CKA_EXTRACTABLE"}}},
		"1 IDs are shared by several keys":      {Doubles: []string{seal}},
	} {
		o.taken.Store(&i)
		if found := o.inventoryFindings(); len(found) != 1 || found[0].State != httpserver.Red || !strings.Contains(found[0].What, what) {
			t.Errorf("want %q: %+v", what, found)
		}
	}
}
