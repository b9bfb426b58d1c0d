package acme_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"testing"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/acme"
)

// rollover is a change of an account's key (RFC 8555 7.3.5) as an attacker writes it.
type rollover struct {
	header  map[string]any
	payload map[string]any
	key     *ecdsa.PrivateKey // signs the inner request
}

func (a account) changes(change func(*rollover), next *ecdsa.PrivateKey) said {
	a.t.Helper()
	r := rollover{key: next, header: map[string]any{"jwk": jwkOf(next), "url": a.at("key-change")},
		payload: map[string]any{"account": a.kid, "oldKey": jwkOf(key(a.client))}}
	change(&r)
	inner := signed{key: r.key, header: r.header, payload: r.payload}
	return a.says("key-change", json.RawMessage(inner.text(a.t)), nil)
}

// TestKeyChange: the new key proves itself, for this account and its old key, at this address.
func TestKeyChange(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	h.world.set("um-inny", &acme.Rule{Line: "OR.9", Order: "OR.9", Names: []string{"www.inny.example"}, Profile: pki.PartnerServer})
	a, other := h.account(partner), h.account("um-inny")
	leaf := newKey(t)
	h.issue(a.client, leaf, host)
	for what, c := range map[string]struct {
		next   *ecdsa.PrivateKey
		change func(*rollover)
		status int
		kind   string
	}{
		"signed by another key": {newKey(t), func(r *rollover) { r.key = newKey(t) }, 400, "malformed"},
		"signed by the old key": {newKey(t), func(r *rollover) { r.key = key(a.client) }, 400, "malformed"},
		"at another address":    {newKey(t), func(r *rollover) { r.header["url"] = a.at("new-order") }, 400, "malformed"},
		"with a nonce":          {newKey(t), func(r *rollover) { r.header["nonce"] = a.nonce() }, 400, "malformed"},
		"for another account":   {newKey(t), func(r *rollover) { r.payload["account"] = other.kid }, 400, "malformed"},
		"of another old key":    {newKey(t), func(r *rollover) { r.payload["oldKey"] = jwkOf(key(other.client)) }, 400, "malformed"},
		"without an old key":    {newKey(t), func(r *rollover) { delete(r.payload, "oldKey") }, 400, "malformed"},
		"with a kid":            {newKey(t), func(r *rollover) { r.header["kid"] = a.kid }, 400, "malformed"},
		"by HMAC":               {newKey(t), func(r *rollover) { r.header["alg"] = "HS256" }, 400, "badSignatureAlgorithm"},
		"to another account's":  {key(other.client), func(*rollover) {}, 409, "malformed"},
		"to a certificate's":    {leaf, func(*rollover) {}, 400, "badPublicKey"},
	} {
		h.refused(what, a.changes(c.change, c.next), c.status, c.kind)
	}
	if s := a.says("new-order", order(host), nil); s.status != 201 {
		t.Errorf("the old key after all that: %d %s", s.status, s.body)
	}
	next := newKey(t)
	if s := a.changes(func(*rollover) {}, next); s.status != 200 {
		t.Fatalf("an honest change: %d %s", s.status, s.body)
	}
	h.refused("the old key", a.says("new-order", order(host), nil), 400, "malformed")
	a.client.Key = next
	if s := a.says("new-order", order(host), nil); s.status != 201 {
		t.Errorf("the new key: %d %s", s.status, s.body)
	}
}
