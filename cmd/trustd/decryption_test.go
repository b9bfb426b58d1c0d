package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"trustcore/hsm"
	"trustcore/hsm/mechanism"
)

// An order brings a key that decrypts, which is for that alone: it has no certificate, signs no request, and what was
// encrypted for it is decrypted by it after another version has followed. What the token can't do is told before anybody
// decides.
func TestKeyThatDecrypts(t *testing.T) {
	o := newInside(t, nil)
	opens := func(how string) string {
		return "    - {name: open, algorithm: RSA-3072, purpose: decrypt, mechanisms: [" + how + "]}\n"
	}
	if o.custody.HSM.CanDecrypt(t.Context(), mechanism.RSAOAEPSHA256) != nil {
		o.wantField(activationOf("ZU-0", "", keysOnly, ezd, opens("RSA-OAEP-SHA1, RSA-OAEP-SHA256"), inYears(1)), "hsm_authorization.keys[0].mechanisms[1]")
	}
	o.wantField(activationOf("ZU-0", "", keysOnly, ezd, opens("RSA-PSS-SHA256"), inYears(1)), "hsm_authorization.keys[0].mechanisms[0]")
	o.wantField(activationOf("ZU-0", "", keysOnly, ezd, strings.Replace(opens("RSA-OAEP-SHA1"), "purpose: decrypt, ", "", 1), inYears(1)),
		"hsm_authorization.keys[0].mechanisms[0]")
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, key("seal", "")+opens("RSA-OAEP-SHA1"), inYears(1)), ezd)
	first := o.versions(ezd)["open"]
	if len(first.Chain) != 0 || o.keyState(first.ID) != hsm.Active {
		t.Errorf("%+v", first)
	}
	info, err := o.custody.HSM.Key(t.Context(), first.ID)
	o.must(err)
	if a := o.officerPosts("officer-1", "/v1/keys/request", map[string]string{"key": first.ID, "name": "x"}); a.status != http.StatusConflict {
		t.Errorf("it signs a request: %d %s", a.status, a.body)
	}
	public, err := x509.ParsePKIXPublicKey(info.SPKI)
	o.must(err)
	ciphertext, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public.(*rsa.PublicKey), []byte("tajne"), nil)
	o.must(err)
	decrypts := func(when string) {
		t.Helper()
		a := o.try(ezd, "POST", "gateway", "/v1/keys/"+first.ID+"/decrypt", []byte(`{"mechanism":"RSA-OAEP-SHA1","ciphertext":"`+
			base64.StdEncoding.EncodeToString(ciphertext)+`"}`))
		var said struct{ Plaintext []byte }
		if err := json.Unmarshal(a.body, &said); err != nil || a.status != http.StatusOK || string(said.Plaintext) != "tajne" {
			t.Errorf("%s: %d %s", when, a.status, a.body)
		}
	}
	decrypts("new")
	if a := o.rotates(first.ID, ""); a.status != http.StatusOK || !strings.Contains(string(a.body), "open/2, key ") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	o.awaitUsable(ezd, "open/2")
	decrypts("after another followed")
	o.off("ZZ-1", "components: [B_HSM]\n")
	if is := o.keyState(first.ID); is != hsm.Suspended {
		t.Errorf("after the order's end it is %s", is)
	}
}
