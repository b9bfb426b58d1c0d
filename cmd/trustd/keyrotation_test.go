package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
)

// version is a key as its user sees it, in one of its versions.
type version struct {
	ID, Name   string
	Usable     bool
	Chain      [][]byte
	ReplacedBy string `json:"replaced_by"`
}

// versions lists what the holder sees of keys, by name with version.
func (o *outside) versions(holder string) map[string]version {
	o.t.Helper()
	var said struct{ Keys []version }
	o.must(json.Unmarshal(o.try(holder, "GET", "gateway", "/v1/keys", nil).body, &said))
	found := map[string]version{}
	for _, v := range said.Keys {
		found[v.Name] = v
	}
	return found
}

// rotates has two officers decide on the next version; from is "" for at once.
func (o *outside) rotates(key, from string) answer {
	o.t.Helper()
	m, a := o.proposesRotation(key, from)
	if a.status != http.StatusOK {
		return a
	}
	return o.approves("officer-2", m.ID)
}

func (o *outside) proposesRotation(key, from string) (m registry.Motion, a answer) {
	o.t.Helper()
	body := map[string]any{"kind": registry.RotateKeys, "keys": []string{key}, "reason": "a test"}
	if from != "" {
		body["signs_on"] = from
	}
	a = o.officerPosts("officer-1", "/v1/motions", body)
	_ = json.Unmarshal(a.body, &m) // a refusal is none
	return m, a
}

// awaitUsable waits for the moment of a version, and returns it.
func (o *outside) awaitUsable(holder, name string) version {
	o.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if v := o.versions(holder)[name]; v.Usable {
			return v
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%s does not sign: %+v", name, o.versions(holder))
		}
	}
}

const digestOfNothing = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// wantVerified has the gateway verify a signature over digestOfNothing by a key.
func (o *outside) wantVerified(holder, id string, signature []byte) {
	o.t.Helper()
	a := o.try(holder, "POST", "gateway", "/v1/keys/"+id+"/verify", []byte(`{"mechanism":"ECDSA-SHA256","digest":"`+digestOfNothing+
		`","signature":"`+base64.StdEncoding.EncodeToString(signature)+`"}`))
	if a.status != http.StatusOK || !strings.Contains(string(a.body), "true") {
		o.t.Errorf("a signature by %s: %d %s", id, a.status, a.body)
	}
}

// signed is a signature over digestOfNothing.
func (o *outside) signed(holder, id string) []byte {
	o.t.Helper()
	a := o.try(holder, "POST", "gateway", "/v1/keys/"+id+"/sign", []byte(`{"mechanism":"ECDSA-SHA256","digest":"`+digestOfNothing+`"}`))
	var said struct{ Signature []byte }
	if err := json.Unmarshal(a.body, &said); err != nil || a.status != http.StatusOK {
		o.t.Fatalf("%s: %d %s", id, a.status, a.body)
	}
	return said.Signature
}

// A key is followed by others: the one whose moment has come signs, with a certificate of its own, and all verify and stay
// listed, over renewal, end and return of the order.
func TestKeyRotation(t *testing.T) {
	o := newInside(t, nil)
	limits := ", limits: {uses: 6}"
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", limits)+key("upo", ""), inYears(1)), ezd)
	first := o.versions(ezd)["seal"]
	old := o.signed(ezd, first.ID) // 1
	if a := o.rotates(first.ID, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	second := o.versions(ezd)["seal/2"]
	if second.Usable || len(second.Chain) == 0 || o.versions(ezd)["seal"].ReplacedBy != second.ID {
		t.Errorf("before its moment: %+v", o.versions(ezd))
	}
	o.wantUse(ezd, first.ID, "") // 2
	o.wantUse(ezd, second.ID, "this version of the key signs from ")
	if _, a := o.proposesRotation(first.ID, ""); a.status != http.StatusConflict || !strings.Contains(a.detail(), "followed by version 2 already") {
		t.Errorf("followed twice: %d %s", a.status, a.body)
	}

	if a := o.rotates(second.ID, ""); !strings.Contains(string(a.body), "seal/3, key ") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	third := o.awaitUsable(ezd, "seal/3")
	o.wantUse(ezd, third.ID, "") // 3
	for _, before := range []version{first, second} {
		o.wantUse(ezd, before.ID, "the key "+third.ID+" signs in its place")
	}
	o.wantVerified(ezd, first.ID, old)
	o.wantRotationAudited(third.ID, second.ID)

	o.must(o.custody.HSM.Suspend(t.Context(), carrier, first.ID)) // by itself
	o.wantVerified(ezd, first.ID, old)
	o.wantUse(ezd, third.ID, "") // 4
	o.decide("ZU-2", activationOf("ZU-2", "renews: ZU-1\n", keysOnly, ezd, key("seal", limits)+key("upo", ""), inYears(2)))
	o.awaitState("ZU-2", registry.Active)
	if all := o.versions(ezd); len(all) != 4 || !all["seal/3"].Usable || all["seal/2"].Usable || all["seal"].Usable {
		t.Errorf("after a renewal: %+v", all)
	}
	o.off("ZZ-1", "components: [B_HSM]\n")
	o.on("ZU-3", activationOf("ZU-3", "resume: ZU-2\n", keysOnly, ezd, key("seal", limits), inYears(1)), "again")
	o.wantUse("again", third.ID, "")
	o.wantVerified("again", first.ID, old)
	if is := o.keyState(second.ID); is != hsm.Suspended {
		t.Errorf("what signs no more came back as %s", is)
	}
}

// wantRotationAudited wants the decision with who replaces whom, and the use with the version's number.
func (o *outside) wantRotationAudited(id, replaced string) {
	o.t.Helper()
	rotated, err := o.custody.Audit.List(o.t.Context(), audit.Filter{Action: "key.rotate", Subject: id})
	if err != nil || len(rotated) != 1 || rotated[0].Actor.ID != "officer-2" || rotated[0].Details["replaces"] != replaced {
		o.t.Errorf("%+v, %v", rotated, err)
	}
	used, err := o.custody.Audit.List(o.t.Context(), audit.Filter{Action: "hsm.sign", Subject: id})
	if err != nil || len(used) == 0 || used[0].Details["version"] != "3" {
		o.t.Errorf("%+v, %v", used, err)
	}
}

// A rotation gives nobody a quota again.
func TestRotationKeepsTheCount(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ", limits: {uses: 2}"), inYears(1)), ezd)
	first := o.versions(ezd)["seal"]
	o.wantUse(ezd, first.ID, "")
	if a := o.rotates(first.ID, ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	second := o.awaitUsable(ezd, "seal/2")
	o.wantUse(ezd, second.ID, "")
	o.wantUse(ezd, second.ID, "has not as many uses left")
}

// What can't be rotated is refused before anybody decides, and what can't be any more ends the motion.
func TestRotationsThatCannotBe(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", ""), inYears(1)), ezd)
	seal := o.versions(ezd)["seal"].ID
	for what, c := range map[string]struct{ key, from, detail string }{
		"no such key":           {strings.Repeat("0", 32), "", "no office has the key"},
		"a moment that is over": {seal, inYears(-1), "it is over"},
		"after the order's end": {seal, inYears(2), "write an earlier moment"},
	} {
		if _, a := o.proposesRotation(c.key, c.from); a.status/100 != 4 || !strings.Contains(a.detail(), c.detail) {
			t.Errorf("%s: %d %s; want %q", what, a.status, a.body, c.detail)
		}
	}
	m, _ := o.proposesRotation(seal, "")
	if a := o.approves("officer-1", m.ID); a.status != http.StatusConflict || !strings.Contains(a.detail(), "another officer must approve it") {
		t.Errorf("who proposed it approves it: %d %s", a.status, a.body)
	}
	again, _ := o.proposesRotation(seal, "")
	if a := o.approves("officer-2", m.ID); !strings.Contains(string(a.body), "seal/2, key ") {
		t.Errorf("%d %s", a.status, a.body)
	}
	made, err := o.custody.HSM.Keys(t.Context(), hsm.Filter{Partner: "um-nowe"})
	o.must(err)
	if a := o.approves("officer-2", again.ID); !strings.Contains(string(a.body), "seal/2, key ") {
		t.Errorf("the same once more: %d %s", a.status, a.body)
	}
	if now, err := o.custody.HSM.Keys(t.Context(), hsm.Filter{Partner: "um-nowe"}); err != nil || len(now) != len(made) || len(now) != 2 {
		t.Errorf("%d keys, %v; want %d", len(now), err, len(made))
	}
	late, _ := o.proposesRotation(o.versions(ezd)["seal/2"].ID, "")
	o.off("ZZ-1", "components: [B_HSM]\n")
	if a := o.approves("officer-2", late.ID); !strings.Contains(string(a.body), "not carried out: no order in force gives key") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
