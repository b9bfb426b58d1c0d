package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/hsm/remote"
	"trustcore/internal/audit"
)

// opener makes a partner's key that decrypts and grants it to the application.
func (h *house) opener(t testing.TB, limits ...gateway.Limit) (hsm.KeyInfo, []byte) {
	t.Helper()
	how := []mechanism.Mechanism{mechanism.RSAOAEPSHA1}
	info, err := h.tok.Generate(t.Context(), officer, hsm.KeySpec{Partner: "partner-1", Order: "order-1", Label: "open", Algorithm: hsm.RSA2048, Mechanisms: how})
	if err != nil {
		t.Fatal(err)
	}
	h.set(func() {
		h.grants["ezd"] = append(h.grants["ezd"], gateway.Grant{Partner: "partner-1", Application: "ezd", KeyID: info.ID, Mechanisms: how,
			Order: "order-1", Active: true, Limits: limits})
	})
	ciphertext, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, info.Public.(*rsa.PublicKey), []byte("tajne"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return info, ciphertext
}

func decryption(m string, ciphertext []byte) string {
	return `{"mechanism":"` + m + `","ciphertext":"` + base64.StdEncoding.EncodeToString(ciphertext) + `"}`
}

// What was encrypted for a key is decrypted for whom an order lets, in the audit log before, without the plaintext.
func TestDecrypt(t *testing.T) {
	h := build(t, nil)
	info, ciphertext := h.opener(t)
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil || k.Info().Purpose != remote.ToDecrypt {
		t.Fatalf("%+v, %v", k.Info(), err)
	}
	plaintext, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, ciphertext)
	if err != nil || string(plaintext) != "tajne" {
		t.Fatalf("%q, %v", plaintext, err)
	}
	ciphertext[0] ^= 1
	_, err = k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, ciphertext)
	var no *remote.Refusal
	if !errors.As(err, &no) || no.Type != remote.Undecryptable || no.Detail != "the key does not decrypt this" {
		t.Errorf("another ciphertext: %v", err)
	}
	ciphertext[0] ^= 1
	digest := sha256.Sum256(ciphertext)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		entries, err := h.tok.Config.Audit.List(t.Context(), audit.Filter{Action: "hsm.decrypt"})
		if err == nil && len(entries) == 3 {
			if e := entries[0]; e.Outcome != audit.Granted || e.Subject != info.ID || e.Actor.ID != "ezd" ||
				e.Details["ciphertext"] != hex.EncodeToString(digest[:]) || e.Details["mechanism"] != "RSA-OAEP-SHA1" {
				t.Errorf("%+v", e)
			}
			if e := entries[2]; e.Outcome != audit.Failed || e.Details["granted"] == "" {
				t.Errorf("%+v", e)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
}

// What a key is not for is refused, whichever way it is asked.
func TestDecryptRefusals(t *testing.T) {
	h := build(t, nil)
	info, ciphertext := h.opener(t)
	signs := h.key(t, "partner-1", "ezd", hsm.RSA2048, mechanism.RSAPKCS1SHA256)
	c := h.http(h.ca.client(t, "ezd"))
	at := func(id, what string) string { return h.url + "/v1/keys/" + id + "/" + what }
	for what, try := range map[string]struct {
		url, body, rule, field string
	}{
		"PKCS #1 v1.5":               {at(info.ID, "decrypt"), decryption("RSA-PKCS1", ciphertext), "", "body.mechanism"},
		"decrypting by a signature":  {at(info.ID, "decrypt"), decryption("RSA-PKCS1-SHA256", ciphertext), "", "body.mechanism"},
		"a hash that is not granted": {at(info.ID, "decrypt"), decryption("RSA-OAEP-SHA256", ciphertext), "mechanism-not-granted", ""},
		"too long":                   {at(info.ID, "decrypt"), decryption("RSA-OAEP-SHA1", make([]byte, 513)), "", "body.ciphertext"},
		"of another modulus":         {at(info.ID, "decrypt"), decryption("RSA-OAEP-SHA1", make([]byte, 384)), "ciphertext", ""},
		"a key that signs":           {at(signs.ID, "decrypt"), decryption("RSA-OAEP-SHA1", ciphertext), "mechanism-not-granted", ""},
		"a signature":                {at(info.ID, "sign"), request(mechanism.RSAPKCS1SHA256, make([]byte, 32)), "mechanism-not-granted", ""},
		"a signature by OAEP":        {at(info.ID, "sign"), request(mechanism.RSAOAEPSHA256, make([]byte, 32)), "", "body.mechanism"},
		"a label":                    {at(info.ID, "decrypt"), strings.TrimSuffix(decryption("RSA-OAEP-SHA1", ciphertext), "}") + `,"label":"YQ=="}`, "", "body.label"},
	} {
		a := post(t, c, try.url, try.body)
		if a.status/100 != 4 || a.Field != try.field || try.rule != "" && a.Type != "urn:trustcore:hsm:"+try.rule {
			t.Errorf("%s: %d %s; want rule %q, field %q", what, a.status, a.text, try.rule, try.field)
		}
	}
	if a := post(t, h.http(h.ca.client(t, "stranger")), at(info.ID, "decrypt"), decryption("RSA-OAEP-SHA1", ciphertext)); a.status != 403 {
		t.Errorf("a stranger: %d %s", a.status, a.text)
	}
}

// Who asks in vain is slowed down: an oracle takes thousands of questions. And a use is a use, whatever came of it.
func TestDecryptIsLimited(t *testing.T) {
	h := build(t, func(c *gateway.Config) {
		c.Rate, c.Burst = 1, 3*gateway.MaxBatch
		c.Now = func() time.Time { return time.Unix(1.8e9, 0) }
	})
	info, ciphertext := h.opener(t)
	c := h.http(h.ca.client(t, "ezd"))
	ciphertext[0] ^= 1
	tries := 0
	for ; tries < 20; tries++ {
		if a := post(t, c, h.url+"/v1/keys/"+info.ID+"/decrypt", decryption("RSA-OAEP-SHA1", ciphertext)); a.status == 429 {
			break
		}
	}
	if tries > 8 {
		t.Errorf("%d wrong ciphertexts one after the other, of a burst of %d", tries, 3*gateway.MaxBatch)
	}
}

// What was encrypted for a version of a key is decrypted by it after another has followed.
func TestVersionBeforeDecrypts(t *testing.T) {
	h := build(t, nil)
	info, ciphertext := h.opener(t)
	h.set(func() {
		h.grants["ezd"][0].Version = gateway.Version{Number: 1, Replaced: time.Now().Add(-time.Hour), By: strings.Repeat("0", 32)}
	})
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil || !k.Info().Usable {
		t.Fatalf("%+v, %v", k.Info(), err)
	}
	if plaintext, err := k.Decrypt(t.Context(), mechanism.RSAOAEPSHA1, ciphertext); err != nil || string(plaintext) != "tajne" {
		t.Errorf("%q, %v", plaintext, err)
	}
}
