package csc_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/internal/cms"
)

const (
	oidSHA256 = "2.16.840.1.101.3.4.2.1"
	oidSHA384 = "2.16.840.1.101.3.4.2.2"
	oidPSS    = "1.2.840.113549.1.1.10"
)

// verified reports whether the signature is the key's over the hash.
func verified(t *testing.T, key hsm.KeyInfo, m mechanism.Mechanism, hash, signature string) bool {
	t.Helper()
	digest, err1 := base64.StdEncoding.DecodeString(hash)
	value, err2 := base64.StdEncoding.DecodeString(signature)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return m.Verify(key.Public, digest, value)
}

// One hash, and a batch: authorized, signed, verified, and each use written down with who, which hash and by which way.
func TestSign(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	all := hashes(3)
	a := h.sign(ezd, key.ID, h.sad(ezd, key.ID, all...), all...)
	if a.status != http.StatusOK || len(a.Signatures) != 3 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	for i, s := range a.Signatures {
		if !verified(t, key, mechanism.ECDSASHA256, all[i], s) {
			t.Errorf("signature %d does not verify", i)
		}
	}
	entries := h.entries()
	if len(entries) != 3 {
		t.Fatalf("%d entries", len(entries))
	}
	for i, e := range entries {
		digest, _ := base64.StdEncoding.DecodeString(all[i])
		if e.Outcome != audit.Granted || e.Subject != key.ID || e.Partner != "um" || e.Actor.ID != "ezd" ||
			e.Details["digest"] != hex.EncodeToString(digest) || e.Details["via"] != "csc v1" {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

// Version 2 has other names for some fields; each version takes both.
func TestBothSpellings(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	one := hashes(1)
	for _, v := range []string{"v1", "v2"} {
		a := h.call(ezd, v+"/credentials/authorize", map[string]any{"credentialID": key.ID, "hashes": one, "hashAlgorithmOID": oidSHA256,
			"numSignatures": 1, "lang": "pl-PL", "description": "pismo"})
		a = h.call(ezd, v+"/signatures/signHash", map[string]any{"credentialID": key.ID, "SAD": a.SAD, "hashes": one,
			"hashAlgorithmOID": oidSHA256, "signAlgo": "1.2.840.10045.2.1", "operationMode": "S"})
		if a.status != http.StatusOK || len(a.Signatures) != 1 || !verified(t, key, mechanism.ECDSASHA256, one[0], a.Signatures[0]) {
			t.Errorf("%s: %d %s", v, a.status, a.text)
		}
		h.call(ezd, v+"/credentials/authorize", map[string]any{"credentialID": key.ID, "hashes": one, "hash": one, "numSignatures": 1}).
			refused(v+" with both", 400, "invalid_request", "hash and hashes say the same")
	}
}

// SAD that stand for something else, or for nothing any more, sign nothing; the audit log has who tried.
func TestSADBindsWhatIsSigned(t *testing.T) {
	h := build(t)
	key, other := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256)
	ezd, kadry := h.client("ezd"), h.client("kadry")
	h.set(func() { h.grants["kadry"] = slices.Clone(h.grants["ezd"]) }) // another application, with the same keys
	all := hashes(4)
	const unknown = "the SAD are unknown, were used before, or their time is over"
	const notAuthorized = "Hash is not authorized by the SAD"
	used := h.sad(ezd, key.ID, all[0])
	if a := h.sign(ezd, key.ID, used, all[0]); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.text)
	}
	tried := func(what, description string, sign func() answer) {
		t.Helper()
		before := len(h.entries())
		a := sign()
		a.refused(what, 400, "invalid_request", description)
		if len(a.Signatures) != 0 {
			t.Errorf("%s: signed", what)
		}
		entries := h.entries()
		if len(entries) != before+1 || entries[before].Outcome != audit.Refused || !strings.Contains(entries[before].Reason, description) ||
			entries[before].Subject == "" || entries[before].Partner != "um" {
			t.Errorf("%s: the audit log has %+v", what, entries[before:])
		}
	}
	tried("used before", unknown, func() answer { return h.sign(ezd, key.ID, used, all[0]) })
	tried("another caller's", unknown, func() answer { return h.sign(kadry, key.ID, h.sad(ezd, key.ID, all[0]), all[0]) })
	tried("another credential's", "stand for another credential", func() answer { return h.sign(ezd, other.ID, h.sad(ezd, key.ID, all[0]), all[0]) })
	tried("another hash", notAuthorized, func() answer { return h.sign(ezd, key.ID, h.sad(ezd, key.ID, all[0]), all[1]) })
	tried("one of two", notAuthorized, func() answer { return h.sign(ezd, key.ID, h.sad(ezd, key.ID, all[0]), all[0], all[1]) })
	tried("a hash twice", notAuthorized, func() answer { return h.sign(ezd, key.ID, h.sad(ezd, key.ID, all[0]), all[0], all[0]) })
	tried("made up", unknown, func() answer { return h.sign(ezd, key.ID, strings.Repeat("A", 43), all[0]) })
	tried("its time over", unknown, func() answer {
		sad := h.sad(ezd, key.ID, all[0])
		h.later(2 * time.Minute)
		return h.sign(ezd, key.ID, sad, all[0])
	})
	refused := h.sad(ezd, key.ID, all[0])
	h.sign(ezd, key.ID, refused, all[1]).refused("another hash", 400, "invalid_request", notAuthorized)
	tried("spent by a refusal", unknown, func() answer { return h.sign(ezd, key.ID, refused, all[0]) })
}

// A SAD names its algorithm where the caller did.
func TestSADBindsTheAlgorithm(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P384, mechanism.ECDSASHA384, mechanism.ECDSASHA256), h.client("ezd")
	one := hashes(1)
	h.call(ezd, "v2/credentials/authorize", map[string]any{"credentialID": key.ID, "hashes": one, "hashAlgorithmOID": oidSHA384, "numSignatures": 1}).
		refused("a hash of another length", 400, "invalid_request", "not as long as those of hashAlgo")
	a := h.sign(ezd, key.ID, h.sad(ezd, key.ID, one...), one...)
	if a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// More signatures than hashes, fewer, or a number that one reader takes for another: refused before anything is given.
func TestNumberOfSignatures(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	one := hashes(1)[0]
	for number, description := range map[string]string{
		`2`: "numSignatures", `1000000`: "numSignatures", `0`: "numSignatures", `-1`: "numSignatures", `1.0`: "numSignatures", `1e0`: "numSignatures",
		`"1"`: "numSignatures", `[1]`: "numSignatures", `true`: "numSignatures", `null`: "numSignatures", `18446744073709551617`: "numSignatures",
	} {
		h.post(ezd, "v1/credentials/authorize", `{"credentialID":"`+key.ID+`","hash":["`+one+`"],"numSignatures":`+number+`}`).
			refused(number, 400, "invalid_request", description)
	}
	h.post(ezd, "v1/credentials/authorize", `{"credentialID":"`+key.ID+`","hash":["`+one+`"]}`).
		refused("none", 400, "invalid_request", "numSignatures")
	many := hashes(gateway.MaxBatch + 1)
	h.call(ezd, "v1/credentials/authorize", map[string]any{"credentialID": key.ID, "hash": many, "numSignatures": len(many)}).
		refused("more than a batch", 400, "invalid_request", "at most 256")
}

// What is no JSON object in which each name stands once is refused whole, and so is what is longer than any real
// request.
func TestBodies(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	one := hashes(2)
	sad := h.sad(ezd, key.ID, one[0])
	const malformed = "not a JSON object in which each name stands once"
	start := `{"credentialID":"` + key.ID + `","SAD":"` + sad + `","signAlgo":"` + ecdsaSHA256 + `",`
	for body, description := range map[string]string{
		start + `"hash":["` + one[0] + `"],"hash":["` + one[1] + `"]}`:             malformed,
		start + `"hash":["` + one[0] + `"],"h\u0061sh":["` + one[1] + `"]}`:        malformed,
		start + `"hash":["` + one[0] + `"]} {}`:                                    malformed,
		`[` + start + `"hash":["` + one[0] + `"]}]`:                                malformed,
		"\xef\xbb\xbf" + start + `"hash":["` + one[0] + `"]}`:                      malformed,
		start + `"Hash":["` + one[0] + `"]}`:                                       "array parameter hash",
		start + `"hash":"` + one[0] + `"}`:                                         "array parameter hash",
		start + `"hash":[]}`:                                                       "Empty hash array",
		start + `"hash":[7]}`:                                                      "Invalid Base64 hash",
		start + `"hash":["` + strings.TrimRight(one[0], "=") + `"]}`:               "Invalid Base64 hash",
		start + `"hash":["` + base64.StdEncoding.EncodeToString([]byte{1}) + `"]}`: "Invalid parameter hash",
		start + `"hash":["` + one[0] + `"],"operationMode":"A"}`:                   "operationMode",
	} {
		h.post(ezd, "v1/signatures/signHash", body).refused(body, 400, "invalid_request", description)
	}
	long := start + `"hash":["` + one[0] + `"],"clientData":"` + strings.Repeat("a", 64<<10) + `"}`
	h.post(ezd, "v1/signatures/signHash", long).refused("a long one", 413, "invalid_request", "at most 65536 bytes")
	h.post(ezd, "v1/signatures/signHash", start, "Content-Type", "text/plain").refused("text", 415, "invalid_request", "application/json")
	if a := h.sign(ezd, key.ID, sad, one[0]); a.status != http.StatusOK {
		t.Errorf("none of them spent the SAD: %d %s", a.status, a.text)
	}
}

// A credential of another application or office is not there, whatever is asked of it, and neither is one that nobody
// has.
func TestOthersCredentials(t *testing.T) {
	h := build(t)
	h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256)
	theirs, ezd := h.key("sp", "kadry", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	const none = "no authorisation lets this application use this key"
	for _, id := range []string{theirs.ID, strings.Repeat("0", 32)} {
		h.call(ezd, "v1/credentials/info", map[string]any{"credentialID": id}).refused("info", 403, "access_denied", none)
		h.call(ezd, "v1/credentials/authorize", map[string]any{"credentialID": id, "hash": hashes(1), "numSignatures": 1}).
			refused("authorize", 403, "access_denied", none)
	}
	h.call(ezd, "v1/credentials/authorize", map[string]any{"credentialID": "../" + theirs.ID, "hash": hashes(1), "numSignatures": 1}).
		refused("no ID", 400, "invalid_request", "32 hexadecimal digits")
	if a := h.call(ezd, "v1/credentials/list", nil); len(a.IDs) != 1 || slices.Contains(a.IDs, theirs.ID) {
		t.Errorf("list: %s", a.text)
	}
	if e := h.entries(); len(e) != 2 || e[0].Outcome != audit.Refused || e[0].Subject != theirs.ID || e[0].Actor.ID != "ezd" {
		t.Errorf("the audit log has %+v", e)
	}
}

// An authorisation that is taken back between authorize and signHash is seen by the latter, and a revoked certificate
// by both.
func TestTakenBack(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	one := hashes(1)[0]
	first, second := h.sad(ezd, key.ID, one), h.sad(ezd, key.ID, one)
	h.set(func() { h.grants["ezd"][0].Active = false })
	h.sign(ezd, key.ID, first, one).refused("withdrawn", 403, "access_denied", "the authorisation of order order-1 was withdrawn")
	h.call(ezd, "v1/credentials/authorize", map[string]any{"credentialID": key.ID, "hash": []string{one}, "numSignatures": 1}).
		refused("authorize", 403, "access_denied", "was withdrawn")
	if a := h.call(ezd, "v1/credentials/info", map[string]any{"credentialID": key.ID}); a.Key["status"] != "disabled" {
		t.Errorf("info: %s", a.text)
	}
	h.set(func() { h.grants["ezd"][0].Active = true; h.ended["ezd"] = true })
	for _, m := range []string{"info", "credentials/list", "credentials/info", "credentials/authorize", "signatures/signHash", "oauth2/token"} {
		h.sign(ezd, key.ID, second, one).refused(m, 403, "access_denied", "the client certificate is revoked")
		h.call(ezd, "v2/"+m, map[string]any{}).refused(m, 403, "access_denied", "the client certificate is revoked")
	}
}

// Limits of a grant hold here as they do by REST: they are counted together.
func TestLimits(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	h.set(func() {
		h.grants["ezd"][0].Limits = []gateway.Limit{{Scope: gateway.OfKey, Name: "key", Uses: 2, Documents: []string{"upo"}}}
	})
	all := hashes(3)
	ask := func(document string, hashes ...string) answer {
		return h.call(ezd, "v1/signatures/signHash", map[string]any{"credentialID": key.ID, "SAD": h.sad(ezd, key.ID, hashes...), "hash": hashes,
			"signAlgo": ecdsaSHA256, "clientData": document})
	}
	ask("", all[0]).refused("no type", 403, "access_denied", "documents of the types upo")
	ask("upo", all...).refused("three", 403, "access_denied", "may sign 2 times in all")
	if a := ask("upo", all[:2]...); a.status != http.StatusOK {
		t.Errorf("two: %d %s", a.status, a.text)
	}
	ask("upo", all[2]).refused("a third", 403, "access_denied", "may sign 2 times in all")
}

// oauth asks for a token, or for its end.
func (h *house) oauth(c *http.Client, method string, form url.Values, headers ...string) answer {
	h.t.Helper()
	return h.post(c, "v1/oauth2/"+method, form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// A token is good over connections with the certificate that it was given to, for ten minutes, until it is revoked.
func TestTokens(t *testing.T) {
	h := build(t)
	h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256)
	h.set(func() { h.grants["kadry"] = slices.Clone(h.grants["ezd"]) })
	ezd, kadry := h.client("ezd"), h.client("kadry")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"ezd"}, "scope": {"service"}}
	given := h.oauth(ezd, "token", form)
	if given.status != http.StatusOK || given.Token == "" || given.TokenExpires != 600 {
		t.Fatalf("%d %s", given.status, given.text)
	}
	list := func(c *http.Client, token string) answer {
		return h.call(c, "v1/credentials/list", nil, "Authorization", "Bearer "+token)
	}
	if a := list(ezd, given.Token); a.status != http.StatusOK || len(a.IDs) != 1 {
		t.Errorf("%d %s", a.status, a.text)
	}
	const unknown = "the token is unknown, or its time is over"
	list(kadry, given.Token).refused("another's", 401, "invalid_token", unknown)
	list(ezd, given.Token+"x").refused("made up", 401, "invalid_token", unknown)
	h.call(ezd, "v1/credentials/list", nil, "Authorization", "Basic "+given.Token).refused("basic", 401, "invalid_token", unknown)
	if h.oauth(kadry, "revoke", url.Values{"token": {given.Token}}).status != http.StatusNoContent || list(ezd, given.Token).status != http.StatusOK {
		t.Error("another's token could be revoked")
	}
	if h.oauth(ezd, "revoke", url.Values{"token": {given.Token}}).status != http.StatusNoContent {
		t.Error("not revoked")
	}
	list(ezd, given.Token).refused("after its revocation", 401, "invalid_token", unknown)
	old := h.oauth(ezd, "token", form).Token
	h.later(10 * time.Minute)
	list(ezd, old).refused("its time over", 401, "invalid_token", unknown)
	for _, secret := range []string{given.Token, old} {
		if strings.Contains(h.logged.text(), secret) {
			t.Error("a token is in the log")
		}
	}
}

func TestTokenRefusals(t *testing.T) {
	h := build(t)
	h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256)
	ezd, stranger := h.client("ezd"), h.client("stranger")
	form := func(pairs ...string) url.Values {
		all := url.Values{"grant_type": {"client_credentials"}, "client_id": {"ezd"}}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = append(all[pairs[i]], pairs[i+1])
		}
		return all
	}
	h.oauth(stranger, "token", form()).refused("a stranger", 401, "invalid_client", "client_id")
	h.oauth(ezd, "token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"kadry"}}).refused("another's name", 401, "invalid_client", "client_id")
	h.oauth(ezd, "token", url.Values{"grant_type": {"client_credentials"}}).refused("no name", 401, "invalid_client", "client_id")
	h.oauth(ezd, "token", form("client_secret", "guess")).refused("a secret", 401, "invalid_client", "no secret")
	h.oauth(ezd, "token", form(), "Authorization", "Basic ZXpkOmd1ZXNz").refused("a password", 401, "invalid_client", "no secret")
	h.oauth(ezd, "token", form("client_id", "kadry")).refused("two names", 400, "invalid_request", "stands more than once")
	h.oauth(ezd, "token", form("scope", "credential")).refused("another scope", 400, "invalid_scope", "service")
	h.oauth(ezd, "token", url.Values{"grant_type": {"password"}, "client_id": {"ezd"}}).refused("another way", 400, "unsupported_grant_type", "client_credentials")
	h.oauth(ezd, "token?client_id=ezd", form()).refused("in the address", 400, "invalid_request", "in the body")
}

// A caller has so many SAD at a time: then the oldest go, and others' stay.
func TestSADsAreBounded(t *testing.T) {
	h := build(t)
	key, ezd, kadry := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd"), h.client("kadry")
	h.set(func() { h.grants["kadry"] = slices.Clone(h.grants["ezd"]) })
	one := hashes(1)[0]
	others, first, second := h.sad(kadry, key.ID, one), h.sad(ezd, key.ID, one), h.sad(ezd, key.ID, one)
	for range 127 {
		h.sad(ezd, key.ID, one)
	}
	h.sign(ezd, key.ID, first, one).refused("the oldest", 400, "invalid_request", "the SAD are unknown")
	if a := h.sign(ezd, key.ID, second, one); a.status != http.StatusOK {
		t.Errorf("the next: %d %s", a.status, a.text)
	}
	if a := h.sign(kadry, key.ID, others, one); a.status != http.StatusOK {
		t.Errorf("another's: %d %s", a.status, a.text)
	}
}

// The service and a credential describe themselves as each version has it.
func TestDescriptions(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	for v, specs := range map[string]string{"v1": "1.0.4.0", "v2": "2.0.0.2"} {
		a := h.post(ezd, v+"/info", "")
		if a.status != 200 || a.Specs != specs || !slices.Contains(a.Methods, "signatures/signHash") || !strings.HasSuffix(a.OAuth2, "/csc/"+v) ||
			(a.SignAlgos == nil) != (v == "v1") {
			t.Errorf("info of %s: %s", v, a.text)
		}
		a = h.call(ezd, v+"/credentials/info", map[string]any{"credentialID": key.ID, "certificates": "chain", "certInfo": true})
		if a.SCAL != "2" || a.Multisign != 256 || a.Key["status"] != "enabled" || a.Key["len"] != 256.0 || fmt.Sprint(a.Key["algo"]) != "["+ecdsaSHA256+"]" ||
			a.Key["curve"] != "1.2.840.10045.3.1.7" || a.Cert["subjectDN"] != "CN=seal of um" || len(a.Cert["certificates"].([]any)) != 2 ||
			(a.AuthMode == "implicit") != (v == "v1") || (fmt.Sprint(a.Auth["mode"]) == "implicit") != (v == "v2") {
			t.Errorf("credential of %s: %s", v, a.text)
		}
	}
	second := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256)
	a := h.call(ezd, "v1/credentials/list", map[string]any{"maxResults": 1})
	next := h.call(ezd, "v1/credentials/list", map[string]any{"maxResults": 1, "pageToken": a.Next})
	if len(a.IDs) != 1 || len(next.IDs) != 1 || next.Next != "" || a.IDs[0] == next.IDs[0] {
		t.Errorf("pages: %s, %s", a.text, next.text)
	}
	h.set(func() { h.grants["ezd"][1].Active = false })
	a = h.call(ezd, "v2/credentials/list", map[string]any{"credentialInfo": true, "onlyValid": true})
	if len(a.IDs) != 1 || a.IDs[0] == second.ID || len(a.Infos) != 1 {
		t.Errorf("list of version 2: %s", a.text)
	}
	h.call(ezd, "v1/credentials/list", map[string]any{"pageToken": second.ID[:31] + "x"}).refused("no page", 400, "invalid_request", "pageToken")
	if a := h.post(ezd, "v3/info", ""); a.status != 404 || a.Error != "invalid_request" {
		t.Errorf("version 3: %d %s", a.status, a.text)
	}
	if a := h.post(ezd, "v1/signatures/signDoc", ""); a.status != 404 || a.Error != "invalid_request" {
		t.Errorf("signDoc: %d %s", a.status, a.text)
	}
	a = h.post(ezd, "v3/info", "", "Accept-Language", "pl")
	a.refused("in Polish", 404, "invalid_request", "API ma wersje v1 i v2")
}

// pss are parameters of RSASSA-PSS in base64.
func pss(t *testing.T, hash, mask string, salt int) string {
	t.Helper()
	identifier := func(oid string) pkix.AlgorithmIdentifier {
		var parts asn1.ObjectIdentifier
		for _, arc := range strings.Split(oid, ".") {
			n := 0
			if _, err := fmt.Sscan(arc, &n); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, n)
		}
		return pkix.AlgorithmIdentifier{Algorithm: parts, Parameters: asn1.NullRawValue}
	}
	of, err := asn1.Marshal(identifier(mask))
	if err != nil {
		t.Fatal(err)
	}
	mgf := identifier("1.2.840.113549.1.1.8")
	mgf.Parameters = asn1.RawValue{FullBytes: of}
	der, err := asn1.Marshal(struct {
		Hash pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
		MGF  pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
		Salt int                      `asn1:"explicit,tag:2"`
	}{identifier(hash), mgf, salt})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// RSA by PKCS #1 v1.5 and by PSS, whose parameters are taken only as what is done: another salt, such as the greatest
// that pyHanko asks for, is refused with the remedy.
func TestRSA(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.RSA2048, mechanism.RSAPKCS1SHA256, mechanism.RSAPSSSHA256), h.client("ezd")
	one := hashes(1)[0]
	ask := func(fields map[string]any) answer {
		fields["credentialID"], fields["SAD"], fields["hash"] = key.ID, h.sad(ezd, key.ID, one), []string{one}
		return h.call(ezd, "v1/signatures/signHash", fields)
	}
	for _, good := range []struct {
		m      mechanism.Mechanism
		fields map[string]any
	}{
		{mechanism.RSAPKCS1SHA256, map[string]any{"signAlgo": "1.2.840.113549.1.1.11"}},
		{mechanism.RSAPKCS1SHA256, map[string]any{"signAlgo": "1.2.840.113549.1.1.1", "hashAlgo": oidSHA256}},
		{mechanism.RSAPSSSHA256, map[string]any{"signAlgo": oidPSS, "hashAlgo": oidSHA256, "signAlgoParams": pss(t, oidSHA256, oidSHA256, 32)}},
	} {
		if a := ask(good.fields); a.status != 200 || !verified(t, key, good.m, one, a.Signatures[0]) {
			t.Errorf("%v: %d %s", good.fields, a.status, a.text)
		}
	}
	for description, fields := range map[string]map[string]any{
		"a salt of 32 octets, as long as the hash, not of 222": {"signAlgo": oidPSS, "signAlgoParams": pss(t, oidSHA256, oidSHA256, 222)},
		"signAlgoParams: send RSASSA-PSS-params":               {"signAlgo": oidPSS, "signAlgoParams": pss(t, oidSHA256, "1.3.14.3.2.26", 32)},
		"string parameter signAlgoParams":                      {"signAlgo": oidPSS},
		"with hash, mask generation function":                  {"signAlgo": oidPSS, "hashAlgo": oidSHA384, "signAlgoParams": pss(t, oidSHA256, oidSHA256, 32)},
		"Invalid parameter signAlgo":                           {"signAlgo": "1.2.840.113549.1.1.5"}, // with SHA-1
		"name the hash that signAlgo means":                    {"signAlgo": "1.2.840.113549.1.1.11", "hashAlgo": oidSHA384},
		"Invalid parameter hashAlgo: hashes of SHA-256":        {"signAlgo": "1.2.840.113549.1.1.1", "hashAlgo": "1.3.14.3.2.26"},
	} {
		ask(fields).refused(description, 400, "invalid_request", description)
	}
	ask(map[string]any{"signAlgo": ecdsaSHA256}).refused("a mechanism that the order does not name", 403, "access_denied", "allows RSA-PKCS1-SHA256")
	if digest, _ := base64.StdEncoding.DecodeString(one); rsa.VerifyPKCS1v15(key.Public.(*rsa.PublicKey), crypto.SHA256, digest, nil) == nil {
		t.Error("the check takes anything")
	}
}

// A time-stamp is asked for as the caller's hash and nonce have it; one that is not given is told without its reason.
func TestTimestamp(t *testing.T) {
	h := build(t)
	h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256)
	ezd := h.client("ezd")
	one := hashes(1)[0]
	h.call(ezd, "v1/signatures/timestamp", map[string]any{"hash": one, "hashAlgo": oidSHA256, "nonce": "4711"}).
		refused("refused by the service", 503, "temporarily_unavailable", "no time-stamps are given now")
	digest, _ := base64.StdEncoding.DecodeString(one)
	if q, err := cms.ParseTimestampRequest(h.stamped); err != nil || !bytes.Equal(q.Imprint, digest) || q.Nonce.Int64() != 4711 || !q.CertReq {
		t.Errorf("asked for %+v, %v", q, err)
	}
	h.call(ezd, "v1/signatures/timestamp", map[string]any{"hash": one, "hashAlgo": oidSHA384}).refused("another length", 400, "invalid_request", "hash")
	h.call(ezd, "v1/signatures/timestamp", map[string]any{"hash": one, "hashAlgo": oidSHA256, "nonce": "-1"}).refused("nonce", 400, "invalid_request", "nonce")
	h.set(func() { h.grants["ezd"][0].Active = false })
	h.call(ezd, "v1/signatures/timestamp", map[string]any{"hash": one, "hashAlgo": oidSHA256}).refused("withdrawn", 403, "access_denied", "withdrawn")
}

// Nothing asks for a PIN, so one that is sent protects nothing: the client has to know.
func TestNoPIN(t *testing.T) {
	h := build(t)
	key, ezd := h.key("um", "ezd", hsm.P256, mechanism.ECDSASHA256), h.client("ezd")
	for _, name := range []string{"PIN", "OTP"} {
		h.call(ezd, "v1/credentials/authorize", map[string]any{"credentialID": key.ID, "hash": hashes(1), "numSignatures": 1, name: "1234"}).
			refused(name, 400, "invalid_request", name)
	}
}
