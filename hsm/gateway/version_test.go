package gateway_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/remote"
)

// Of the versions of a key the one whose moment has come signs, and no other by any interface; all are listed and
// verify.
func TestVersionsOfAKey(t *testing.T) {
	h := build(t, nil)
	first := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	second := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	moment := time.Now().Add(time.Hour)
	h.set(func() {
		h.now = moment.Add(-time.Second)
		h.grants["ezd"][0].Version = gateway.Version{Number: 1, Replaced: moment, By: second.ID}
		h.grants["ezd"][1].Version = gateway.Version{Number: 2, SignsOn: moment}
	})
	client := h.ca.client(t, "ezd")
	c, digest := h.remote(t, client), make([]byte, 32)
	signs := func(id, rule string) (signature []byte) {
		t.Helper()
		listed, err := c.Keys(t.Context())
		if err != nil || len(listed) != 2 {
			t.Fatalf("%+v, %v", listed, err)
		}
		for _, info := range listed {
			if info.ID == id && info.Usable != (rule == "") {
				t.Errorf("listed as %+v", info)
			}
		}
		k, err := c.Key(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := k.SignDigest(t.Context(), mechanism.ECDSASHA256, digest)
		var no *remote.Refusal
		if rule == "" && err != nil || rule != "" && (!errors.As(err, &no) || no.Type != rule) {
			t.Errorf("signing with %s: %v; want %q", id, err, rule)
		}
		many, err := k.SignDigests(t.Context(), mechanism.ECDSASHA256, [][]byte{digest, digest})
		if (len(many) == 2) != (rule == "") {
			t.Errorf("a batch: %d, %v; want %q", len(many), err, rule)
		}
		return signed.Value
	}
	old := signs(first.ID, "")
	signs(second.ID, "urn:trustcore:hsm:version-not-yet")
	h.set(func() { h.now = moment })
	signs(first.ID, remote.Replaced)
	signs(second.ID, "")
	k, err := c.Key(t.Context(), first.ID)
	if err != nil || !k.Info().VerifiesAlone(moment) || k.Info().ReplacedBy != second.ID || !mechanism.ECDSASHA256.Verify(k.Public(), digest, old) {
		t.Errorf("%+v, %v", k.Info(), err)
	}
	body := strings.TrimSuffix(request(mechanism.ECDSASHA256, digest), "}") + `,"signature":"` + base64.StdEncoding.EncodeToString(old) + `"}`
	if a := post(t, h.http(client), h.url+"/v1/keys/"+first.ID+"/verify", body); !strings.Contains(a.text, `"valid":true`) {
		t.Errorf("the version before does not verify: %s", a.text)
	}
	var versions []string
	for _, e := range h.entries(t, 10) {
		if e.Outcome == "granted" {
			versions = append(versions, e.Details["version"])
		}
	}
	if len(versions) != 6 || versions[0] != "1" || versions[5] != "2" {
		t.Errorf("the audit log has uses of versions %v", versions)
	}
}
