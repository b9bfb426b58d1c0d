package gateway_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"trustcore/hsm"
	"trustcore/hsm/mechanism"
)

func TestVerify(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	client := h.ca.client(t, "ezd")
	k, err := h.remote(t, client).Key(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	digest := digestsOf(2)
	signature, err := k.Sign(nil, digest[0], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(digest []byte) answer {
		body := strings.TrimSuffix(request(mechanism.ECDSASHA256, digest), "}") + `,"signature":"` + base64.StdEncoding.EncodeToString(signature) + `"}`
		return post(t, h.http(client), h.url+"/v1/keys/"+info.ID+"/verify", body)
	}
	if a := ask(digest[0]); a.status != 200 || !strings.Contains(a.text, `"valid":true`) {
		t.Errorf("its digest: %d %s", a.status, a.text)
	}
	if a := ask(digest[1]); a.status != 200 || !strings.Contains(a.text, `"valid":false`) {
		t.Errorf("another digest: %d %s", a.status, a.text)
	}
	h.set(func() { h.grants["ezd"][0].Active = false })
	if a := ask(digest[0]); a.status != 403 {
		t.Errorf("after withdrawal: %d %s", a.status, a.text)
	}
}

func TestRandom(t *testing.T) {
	h := build(t, nil)
	h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	client := h.ca.client(t, "ezd")
	seen := map[string]bool{}
	for _, n := range []int{1, 32, 32, hsm.MaxRandom} {
		a := post(t, h.http(client), h.url+"/v1/random", fmt.Sprintf(`{"octets":%d}`, n))
		var got struct{ Random []byte }
		if err := json.Unmarshal([]byte(a.text), &got); a.status != 200 || err != nil || len(got.Random) != n || n > 1 && seen[string(got.Random)] {
			t.Errorf("%d: %d %s, %v", n, a.status, a.text, err)
		}
		seen[string(got.Random)] = true
	}
	if a := post(t, h.http(client), h.url+"/v1/random", `{"octets":1025}`); a.status != 422 {
		t.Errorf("too many: %d", a.status)
	}
	if a := post(t, h.http(h.ca.client(t, "stranger")), h.url+"/v1/random", `{"octets":1}`); a.status != 403 {
		t.Errorf("a stranger: %d", a.status)
	}
	h.set(func() { h.grants["ezd"][0].Active = false })
	if a := post(t, h.http(client), h.url+"/v1/random", `{"octets":1}`); a.status != 403 {
		t.Errorf("after withdrawal: %d", a.status)
	}
}
