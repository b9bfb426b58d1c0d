package jades

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// row is a document that somebody made up, and what is said of it.
type row struct {
	name, text, want string
	files            []signature.Detached
}

func (r row) run(t *testing.T) {
	t.Run(r.name, func(t *testing.T) {
		got := told(t, r.text, r.files...)
		if got != r.want && (r.want == "passes" || !strings.Contains(got, r.want)) {
			t.Errorf("%s\nwant %q", got, r.want)
		}
	})
}

// TestHeaders: what stands in the headers, and must not.
func TestHeaders(t *testing.T) {
	id, other := officer(t), officer(t)
	bare := object(`"alg":"ES256"`, claimed)
	payload := url64([]byte(content))
	with := func(more ...string) string { return compact(t, id, head(id, more...)) }
	secret := hmac.New(sha256.New, id.Cert.Raw)
	mac := strings.Replace(head(id), "ES256", "HS256", 1)
	secret.Write([]byte(url64([]byte(mac)) + "." + payload))
	sha1Thumb := sha1.Sum(id.Cert.Raw)
	good := compact(t, id, head(id))
	for _, r := range []row{
		{name: "good", text: good, want: "passes"},
		{name: "a line end after it", text: good + "\r\n", want: "passes"},
		{name: "flattened", text: flat(t, id, head(id)), want: "passes"},
		{name: "general", text: general(flat(t, id, head(id)), flat(t, id, head(id))), want: "passes | passes"},
		{name: "b64 true", text: with(`"b64":true`), want: "passes"},
		{name: "x5c alone", text: compact(t, id, object(`"alg":"ES256"`, chain(id))), want: "passes"},
		{name: "x5t", text: compact(t, id, object(`"alg":"ES256"`, chain(id), `"x5t":"`+url64(sha1Thumb[:])+`"`)), want: "passes"},
		{name: "alg none without a value", text: url64([]byte(strings.Replace(head(id), "ES256", "none", 1))) + "." + payload + ".", want: `format: there is no signature value`},
		{name: "alg none with a value", text: compact(t, id, strings.Replace(head(id), "ES256", "none", 1)), want: `alg is "none": that is no signature`},
		{name: "alg in other letters", text: compact(t, id, strings.Replace(head(id), "ES256", "nOnE", 1)), want: "not checked: signature algorithm"},
		{name: "a MAC with the certificate", text: url64([]byte(mac)) + "." + payload + "." + url64(secret.Sum(nil)), want: `alg is "HS256": that is no signature`},
		{name: "no alg", text: compact(t, id, object(thumb(id), chain(id), claimed)), want: `alg is ""`},
		{name: "alg is no string", text: compact(t, id, object(`"alg":["ES256"]`, thumb(id), chain(id))), want: `alg is ""`},
		{name: "alg is unprotected", text: flat(t, id, object(thumb(id), chain(id)), `"alg":"ES256"`), want: `"alg" is not protected`},
		{name: "alg for another kind of key", text: compact(t, id, strings.Replace(head(id), "ES256", "RS256", 1)), want: "not checked: key does not fit the algorithm"},
		{name: "alg for another curve", text: compact(t, id, strings.Replace(head(id), "ES256", "ES384", 1)), want: "not checked: alg is"},
		{name: "no protected header", text: strings.Replace(flat(t, id, head(id)), `"protected"`, `"geschützt"`, 1), want: "there is no protected header"},
		{name: "alg twice", text: with(`"alg":"none"`), want: `"alg" occurs twice`},
		{name: "alg twice, by an escape", text: with(`"\u0061lg":"none"`), want: `"alg" occurs twice`},
		{name: "twice deep in the header", text: with(`"x":{"a":1,"a":2}`), want: `"a" occurs twice`},
		{name: "payload twice", text: strings.Replace(flat(t, id, head(id)), "{", `{"payload":"e30",`, 1), want: `error: jades: malformed JSON`},
		{name: "payload twice, by an escape", text: strings.Replace(flat(t, id, head(id)), "{", `{"payl\u006fad":"e30",`, 1), want: `"payload" occurs twice`},
		{name: "one name in both headers", text: flat(t, id, head(id, `"note":1`), `"note":2`), want: `"note" stands in both headers`},
		{name: "x5c unprotected", text: flat(t, id, bare, chain(id)), want: `"x5c" is not protected`},
		{name: "kid unprotected", text: flat(t, id, head(id), `"kid":"officer-1"`), want: `"kid" is not protected`},
		{name: "x5t#S256 unprotected", text: flat(t, id, object(`"alg":"ES256"`, chain(id)), thumb(id)), want: `"x5t#S256" is not protected`},
		{name: "crit unprotected", text: flat(t, id, head(id), `"crit":["b64"]`), want: `"crit" is not protected`},
		{name: "b64 unprotected", text: flat(t, id, head(id), `"b64":false`), want: `"b64" is not protected`},
		{name: "sigD unprotected", text: flat(t, id, head(id), `"sigD":{}`), want: `"sigD" is not protected`},
		{name: "iat unprotected", text: flat(t, id, object(`"alg":"ES256"`, thumb(id), chain(id)), claimed), want: `"iat" is not protected`},
		{name: "etsiU protected", text: with(`"etsiU":[]`), want: "etsiU stands in the protected header"},
		{name: "an unknown name in crit", text: with(`"urn:x":1`, `"crit":["urn:x"]`), want: `format: crit lists "urn:x", which is not understood`},
		{name: "exp in crit", text: with(`"exp":1`, `"crit":["exp"]`), want: "passes"},
		{name: "a name in crit that is absent", text: with(`"crit":["sigPl"]`), want: `constraint: crit lists "sigPl", which is not there`},
		{name: "a name in crit twice", text: with(`"sigPl":{}`, `"crit":["sigPl","sigPl"]`), want: `format: crit lists "sigPl" twice`},
		{name: "alg in crit", text: with(`"crit":["alg"]`), want: `constraint: crit lists "alg", which it must not`},
		{name: "crit is empty", text: with(`"crit":[]`), want: "constraint: crit is empty"},
		{name: "crit is a string", text: with(`"crit":"b64"`), want: "format: crit is no array"},
		{name: "crit lists a number", text: with(`"crit":[1]`), want: "format: crit lists"},
		{name: "another certificate named", text: compact(t, id, object(`"alg":"ES256"`, thumb(other), chain(id))), want: "another signer"},
		{name: "another certificate named, both there", text: compact(t, id, object(`"alg":"ES256"`, thumb(other),
			`"x5c":["`+std64(id.Cert.Raw)+`","`+std64(other.Cert.Raw)+`"]`)), want: "changed: payload"},
		{name: "two digests of different certificates", text: with(`"x5t":"` + url64(sha1Thumb[:19]) + `"`), want: "another signer"},
		{name: "a list with another certificate first", text: compact(t, id, object(`"alg":"ES256"`, chain(id), claimed,
			`"sigX5ts":[`+digestOf(other.Cert.Raw)+`,`+digestOf(id.Cert.Raw)+`]`)), want: "passes"},
		{name: "a list of other certificates", text: compact(t, id, object(`"alg":"ES256"`, chain(id), claimed,
			`"sigX5ts":[`+digestOf(other.Cert.Raw)+`]`)), want: "another signer"},
		{name: "a list, and x5t#S256 of another", text: compact(t, id, object(`"alg":"ES256"`, chain(id), thumb(other), claimed,
			`"sigX5ts":[`+digestOf(id.Cert.Raw)+`]`)), want: "another signer"},
		{name: "sigX5ts of too many", text: compact(t, id, object(`"alg":"ES256"`, chain(id), claimed,
			`"sigX5ts":[`+strings.Repeat(digestOf(id.Cert.Raw)+",", maxCertDigests)+digestOf(id.Cert.Raw)+`]`)), want: "more than 64 digests"},
		{name: "a value with a zero before it", text: padded(good, "\x00", ""), want: "changed: payload"},
		{name: "a value with a zero after it", text: padded(good, "", "\x00"), want: "changed: payload"},
		{name: "a value of zeros", text: good[:strings.LastIndexByte(good, '.')+1] + url64(make([]byte, 64)), want: "changed: payload"},
		{name: "a key in the header, and the certificate of another", text: compact(t, other, head(id, `"jwk":{"kty":"EC"}`)), want: "changed: payload"},
		{name: "a value in DER", text: inDER(good), want: "changed: payload"},
		{name: "the key of the second certificate", text: compact(t, id, object(`"alg":"ES256"`,
			`"x5c":["`+std64(other.Cert.Raw)+`","`+std64(id.Cert.Raw)+`"]`)), want: "changed: payload"},
		{name: "a bare key", text: compact(t, id, object(`"alg":"ES256"`, `"jwk":{"kty":"EC"}`)), want: "no signer"},
		{name: "a name", text: compact(t, id, object(`"alg":"ES256"`, `"kid":"officer-1"`, `"x5u":"https://127.0.0.1/"`)), want: "no signer"},
		{name: "x5c of no base64", text: compact(t, id, object(`"alg":"ES256"`, thumb(id), `"x5c":["`+std64(id.Cert.Raw)+`\n"]`)), want: "no signer"},
		{name: "an unknown digest of the certificate", text: compact(t, id, object(`"alg":"ES256"`, chain(id), `"x5t#o":{"digAlg":"S1","digVal":"AAAA"}`)), want: "another signer"},
		{name: "an unprotected member", text: flat(t, id, head(id), `"kwota":999120`), want: `constraint: the header parameter "kwota", which is not protected`},
	} {
		r.run(t)
	}
}

// padded puts octets around the value.
func padded(text, before, after string) string {
	i := strings.LastIndexByte(text, '.') + 1
	val, err := base64.RawURLEncoding.DecodeString(text[i:])
	if err != nil {
		panic(err)
	}
	return text[:i] + url64([]byte(before+string(val)+after))
}

// inDER writes the value as CMS has it.
func inDER(text string) string {
	i := strings.LastIndexByte(text, '.') + 1
	val, err := base64.RawURLEncoding.DecodeString(text[i:])
	if err != nil {
		panic(err)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(val[:32]), new(big.Int).SetBytes(val[32:])})
	if err != nil {
		panic(err)
	}
	return text[:i] + url64(der)
}

// TestSerializations: the document around the signatures.
func TestSerializations(t *testing.T) {
	id := officer(t)
	good, flattened := compact(t, id, head(id)), flat(t, id, head(id))
	parts := strings.Split(good, ".")
	signed := func(payload string) string {
		return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, parts[0], value(t, id, head(id), payload))
	}
	b64false := head(id, `"b64":false`, `"crit":["b64"]`)
	many := strings.Repeat(",{}", 256)
	for _, r := range []row{
		{name: "another payload", text: parts[0] + "." + url64([]byte(`{"kwota":999120}`)) + "." + parts[2], want: "changed: payload"},
		{name: "a payload with the bits of another end", text: parts[0] + "." + parts[1][:len(parts[1])-1] + "1." + parts[2], want: "the payload: no base64url"},
		{name: "one that is signed so", text: signed("e31"), want: "the payload: no base64url"},
		{name: "a payload of base64", text: signed("+/+/"), want: "the payload: no base64url"},
		{name: "a payload with padding", text: signed("e30="), want: "the payload: no base64url"},
		{name: "a payload with a line end", text: signed("e3\n0"), want: "the payload: no base64url"},
		{name: "a value with padding", text: good + "==", want: "the signature value: no base64url"},
		{name: "a value with other bits at its end", text: twisted(good), want: "the signature value: no base64url"},
		{name: "a header with padding", text: parts[0] + "=." + parts[1] + "." + parts[2], want: "the protected header: no base64url"},
		{name: "a blank before it", text: " " + good, want: "the protected header: no base64url"},
		{name: "a blank after it", text: good + " ", want: "the signature value: no base64url"},
		{name: "two line ends after it", text: good + "\n\n", want: "the signature value: no base64url"},
		{name: "a byte order mark", text: "\xef\xbb\xbf" + good, want: "the protected header: no base64url"},
		{name: "a byte order mark before JSON", text: "\xef\xbb\xbf" + flattened, want: "byte order mark"},
		{name: "a byte order mark in the header", text: compact(t, id, "\xef\xbb\xbf"+head(id)), want: "byte order mark"},
		{name: "something after the header", text: compact(t, id, head(id)+"{}"), want: "something stands after it"},
		{name: "a NUL after the header", text: compact(t, id, head(id)+"\x00"), want: "something stands after it"},
		{name: "a header that is an array", text: compact(t, id, "["+head(id)+"]"), want: "the protected header is no object"},
		{name: "a lone surrogate in the header", text: compact(t, id, head(id, `"x":"\ud800"`)), want: "half of a surrogate pair"},
		{name: "no UTF-8 in the header", text: compact(t, id, head(id, "\"x\":\"\xff\"")), want: "not in UTF-8"},
		{name: "four parts", text: good + ".", want: "no signature"},
		{name: "a JWE", text: good + ".AA.AA", want: "no signature"},
		{name: "two parts", text: parts[0] + "." + parts[1], want: "no signature"},
		{name: "JSON that is no JWS", text: `{"payload":"e30"}`, want: "no signature"},
		{name: "JSON with a signature of its own", text: `{"signature":"Jan Kowalski"}`, want: "no signature"},
		{name: "something after JSON", text: flattened + "x", want: "something stands after it"},
		{name: "two documents", text: flattened + flattened, want: "something stands after it"},
		{name: "flattened and general", text: flattened[:len(flattened)-1] + `,"signatures":[]}`, want: `both "signature" and "signatures"`},
		{name: "general, with a header above", text: `{"protected":"e30",` + general(flattened)[1:], want: `a header beside "signatures"`},
		{name: "no value", text: `{"payload":"e30","protected":"` + parts[0] + `","signature":""}`, want: "there is no signature value"},
		{name: "a value that is no string", text: `{"payload":"e30","protected":"` + parts[0] + `","signature":1}`, want: "there is no signature value"},
		{name: "a payload that is an object", text: `{"payload":{},"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, want: "the payload is no string"},
		{name: "an unprotected header that is an array", text: flattened[:len(flattened)-1] + `,"header":[]}`, want: "the unprotected header is no object"},
		{name: "a signature that is a number", text: `{"payload":"e30","signatures":[1]}`, want: "a signature that is no object"},
		{name: "257 signatures", text: `{"payload":"e30","signatures":[{}` + many + `]}`, want: "more than the limit"},
		{name: "one of two is forged", text: general(flattened, strings.Replace(flattened, `"signature":"`, `"signature":"AAAA`, 1)), want: "passes | changed: payload"},
		{name: "a member beside the payload", text: `{"umowa":{"kwota":999120},` + flattened[1:], want: `constraint: the member "umowa" of the document`},
		{name: "one beside the value", text: general(`{"kwota":999120,` + flattened[1:]), want: `constraint: the member "kwota" of the signature`},
		{name: "a text beside the payload", text: `{"Payload":"e30",` + flattened[1:], want: `constraint: the member "Payload" of the document`},
		{name: "no payload", text: `{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, want: "not found: payload"},
		{name: "an empty payload", text: signed(""), want: "not found: payload"},
		{name: "b64 false", text: unencoded(t, id, b64false, `{"kwota":120}`), want: "passes"},
		{name: "b64 false, escaped", text: strings.Replace(unencoded(t, id, b64false, `{"kwota":120}`), "kwota", `k\u0077ota`, 1), want: "passes"},
		{name: "b64 false, not in crit", text: unencoded(t, id, head(id, `"b64":false`), "e30"), want: "b64 is false and crit does not list it"},
		{name: "b64 false, and another in crit", text: unencoded(t, id, head(id, `"b64":false`, `"sigPl":{}`, `"crit":["sigPl"]`), "e30"), want: "b64 is false and crit does not list it"},
		{name: "b64 is a text", text: compact(t, id, head(id, `"b64":"false"`, `"crit":["b64"]`)), want: "b64 is neither true nor false"},
		{name: "b64 null", text: compact(t, id, head(id, `"b64":null`, `"crit":["b64"]`)), want: "b64 is neither true nor false"},
		{name: "b64 false of one of two", text: general(flattened, flat(t, id, b64false)), want: "differ in b64"},
		{name: "b64 false, compact, a character that may not be", text: url64([]byte(b64false)) + ".zł." + value(t, id, b64false, "zł"), want: "a character that it may not hold"},
		{name: "b64 false, compact", text: url64([]byte(b64false)) + ".Wniosek nr 7." + value(t, id, b64false, "Wniosek nr 7"), want: "passes"},
	} {
		r.run(t)
	}
}

func unencoded(t testing.TB, id cmstest.Identity, header, payload string) string {
	t.Helper()
	return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, url64([]byte(header)), value(t, id, header, payload))
}

// twisted sets bits at the end of the value that mean nothing.
func twisted(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	return text[:len(text)-1] + string(alphabet[last^1])
}

// TestDetached: what lies outside of the file.
func TestDetached(t *testing.T) {
	id := officer(t)
	simple := head(id)
	detached := url64([]byte(simple)) + ".." + value(t, id, simple, url64([]byte("pismo")))
	plain := head(id, `"b64":false`, `"crit":["b64"]`)
	detachedPlain := url64([]byte(plain)) + ".." + value(t, id, plain, "pismo")
	sum := func(text string) string { h := sha256.Sum256([]byte(text)); return `"` + url64(h[:]) + `"` }
	sigD := func(mechanism, pars, more string) string {
		return `"sigD":{"mId":"http://uri.etsi.org/19182/` + mechanism + `","pars":[` + pars + `]` + more + `},"crit":["sigD"]`
	}
	by := func(payload string, sigD string) string {
		h := head(id, sigD)
		return fmt.Sprintf(`{"protected":%q,"signature":%q}`, url64([]byte(h)), value(t, id, h, payload))
	}
	a, b := file("a.txt", "pismo"), file("b.txt", "załącznik")
	hashes := `,"hashM":"S256","hashV":[` + sum(url64(a.Content)) + `,` + sum(url64(b.Content)) + `]`
	both := `"a.txt","b.txt"`
	unencoded := strings.Replace(sigD("ObjectIdByURI", both, ""), `["sigD"]`, `["sigD","b64"],"b64":false`, 1)
	digest := signature.Detached{Name: "a.txt", Digests: map[string][]byte{"SHA-256": sha256Of("pismo")}}
	byDigest := strings.Replace(sigD("ObjectIdByURIHash", `"a.txt"`, `,"hashM":"S256","hashV":[`+sum("pismo")+`]`), `["sigD"]`, `["sigD","b64"],"b64":false`, 1)
	refs := only(t, by("", byDigest), digest).References
	if scope := refs[len(refs)-1].Scope; !strings.HasSuffix(scope, signature.DigestAlone) {
		t.Errorf("a digest in place of the file: the scope is %q", scope)
	}
	for _, r := range []row{
		{name: "the file", text: detached, files: []signature.Detached{file("x", "pismo")}, want: "passes"},
		{name: "another file", text: detached, files: []signature.Detached{file("x", "Pismo")}, want: "changed: x"},
		{name: "no file", text: detached, want: "not found: payload"},
		{name: "two files", text: detached, files: []signature.Detached{a, b}, want: "not found: payload"},
		{name: "a digest", text: detached, files: []signature.Detached{digest}, want: "not checked: the signature needs the file itself"},
		{name: "the file, unencoded", text: detachedPlain, files: []signature.Detached{a}, want: "passes"},
		{name: "an empty file", text: url64([]byte(plain)) + ".." + value(t, id, plain, ""), files: []signature.Detached{file("x", "")}, want: "nothing signed"},
		{name: "by URI", text: by(url64(a.Content)+url64(b.Content), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{b, a}, want: "passes"},
		{name: "by URI, whole groups", text: by(url64([]byte("kwota 100 zł"+"dla Jana")), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{file("a.txt", "kwota 100"), file("b.txt", " złdla Jana")}, want: `constraint: where the file "a.txt" ends`},
		{name: "by URI, an empty file before", text: by(url64(a.Content), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{file("a.txt", ""), file("b.txt", "pismo")}, want: `constraint: where the file "a.txt" ends`},
		{name: "by URI, unencoded", text: by("pismozałącznik", unencoded), files: []signature.Detached{file("a.txt", "pismozał"), file("b.txt", "ącznik")}, want: `constraint: where the file "a.txt" ends`},
		{name: "by URI, two files of the name", text: by(url64(a.Content)+url64(b.Content), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{file("x/a.txt", "pismo"), file("y/a.txt", "inne"), b}, want: "not found: a.txt"},
		{name: "by URI, one of the name and one of its last part", text: by(url64(a.Content)+url64(b.Content), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{file("y/a.txt", "inne"), a, b}, want: "passes"},
		{name: "by hash, the same name twice", text: by("", sigD("ObjectIdByURIHash", both, hashes)), files: []signature.Detached{a, a, b}, want: "not found: a.txt"},
		{name: "by URI, exchanged", text: by(url64(a.Content)+url64(b.Content), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{file("a.txt", "załącznik"), file("b.txt", "pismo")}, want: "changed: a.txt"},
		{name: "by URI, one is missing", text: by(url64(a.Content)+url64(b.Content), sigD("ObjectIdByURI", both, "")), files: []signature.Detached{a}, want: "not found: b.txt"},
		{name: "by URI, escaped", text: by(url64(a.Content), sigD("ObjectIdByURI", `"https%3A//127.0.0.1/%61.txt"`, "")), files: []signature.Detached{b, a}, want: "passes"},
		{name: "by hash", text: by("", sigD("ObjectIdByURIHash", both, hashes)), files: []signature.Detached{a, b}, want: "passes"},
		{name: "by hash, one changed", text: by("", sigD("ObjectIdByURIHash", both, hashes)), files: []signature.Detached{a, file("b.txt", "inny")}, want: "changed: b.txt"},
		{name: "by hash, one missing", text: by("", sigD("ObjectIdByURIHash", both, hashes)), files: []signature.Detached{a}, want: "not found: b.txt"},
		{name: "by hash, the value of another header", text: strings.Replace(by("", sigD("ObjectIdByURIHash", both, hashes)), `"signature":"`, `"signature":"AAAA`, 1), files: []signature.Detached{a, b}, want: "changed: sigD"},
		{name: "by hash, one digest too few", text: by("", sigD("ObjectIdByURIHash", both, `,"hashM":"S256","hashV":[`+sum(url64(a.Content))+`]`)), files: []signature.Detached{a, b}, want: "not one digest for each name"},
		{name: "by hash, an unknown digest", text: by("", sigD("ObjectIdByURIHash", both, strings.Replace(hashes, "S256", "S1", 1))), files: []signature.Detached{a, b}, want: "not checked: the digest algorithm"},
		{name: "by hash, a digest in place of the file", text: by("", byDigest), files: []signature.Detached{digest}, want: "passes"},
		{name: "by hash, another digest in place of it", text: by("", byDigest), files: []signature.Detached{{Name: "a.txt", Digests: map[string][]byte{"SHA-256": sha256Of("inne")}}}, want: "changed: a.txt"},
		{name: "by hash, a digest of another kind", text: by("", byDigest), files: []signature.Detached{{Name: "a.txt", Digests: map[string][]byte{"SHA-512": {1}}}}, want: "not checked: the digest of the file was not given"},
		{name: "by hash of the encoding, a digest in place of the file", text: by("", sigD("ObjectIdByURIHash", `"a.txt"`, `,"hashM":"S256","hashV":[`+sum("pismo")+`]`)), files: []signature.Detached{digest}, want: "the file itself is needed"},
		{name: "by hash, and a payload", text: strings.Replace(by("e30", sigD("ObjectIdByURIHash", both, hashes)), "{", `{"payload":"e30",`, 1), files: []signature.Detached{a, b}, want: "sigD, and a payload"},
		{name: "an unknown mechanism", text: by("", sigD("Nieznany", both, "")), files: []signature.Detached{a, b}, want: "unknown mechanism"},
		{name: "no mechanism", text: by("", `"sigD":{"pars":["a.txt"]},"crit":["sigD"]`), files: []signature.Detached{a}, want: "unknown mechanism"},
		{name: "no names", text: by("", sigD("ObjectIdByURIHash", "", `,"hashM":"S256","hashV":[]`)), files: []signature.Detached{a}, want: "without a list"},
		{name: "a name and a number", text: by(url64(a.Content), sigD("ObjectIdByURI", `"a.txt",1`, "")), files: []signature.Detached{a}, want: "without a list"},
		{name: "names that are numbers", text: by("", sigD("ObjectIdByURI", "1", "")), files: []signature.Detached{a}, want: "without a list"},
		{name: "sigD is a text", text: by("", `"sigD":"a.txt","crit":["sigD"]`), files: []signature.Detached{a}, want: "without a list"},
	} {
		r.run(t)
	}
	s := only(t, by("pismozałącznik", unencoded), a, b)
	if s.References[0].Full || s.References[1].Full {
		t.Errorf("files that are joined: %+v", s.References)
	}
}

// TestFileBesideThePayload: a file that is given beside a payload must be that payload; else the verdict would be read as
// one about the file.
func TestFileBesideThePayload(t *testing.T) {
	id := officer(t)
	plain := head(id, `"b64":false`, `"crit":["b64"]`)
	texts := map[string]string{"compact": compact(t, id, head(id)), "general": general(flat(t, id, head(id))), "unencoded": unencoded(t, id, plain, content)}
	digests := func(text string) signature.Detached {
		return signature.Detached{Name: "x", Digests: map[string][]byte{"SHA-256": sha256Of(text)}}
	}
	for name, text := range texts {
		for _, files := range [][]signature.Detached{{file("x", content)}, {file("y", "inne"), file("x", content)}, {digests(content)}} {
			doc, err := open(t, text, files...)
			if err != nil || len(doc.Notes) != 1 || !strings.Contains(doc.Notes[0], "“x” that was given is the payload") {
				t.Errorf("%s, the payload: %+v, %v", name, doc, err)
			}
		}
		for _, f := range []signature.Detached{file("x", "inne"), file("x", ""), file("x", content+"\n"), file("x", url64([]byte(content))), digests("inne"), {Name: "x"}} {
			if doc, err := open(t, text, f); !errors.Is(err, ErrOtherData) {
				t.Errorf("%s, another file: %+v, %v", name, doc, err)
			}
		}
	}
}

func sha256Of(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// TestHTTPHeaders: a message of which header fields are signed.
func TestHTTPHeaders(t *testing.T) {
	id := officer(t)
	digest := "SHA-256=" + std64(sha256Of("kwota=120"))
	message := "POST /wniosek?nr=7 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: a\r\nX-Nr:  7 \r\naccept: b\r\nDigest: " + digest + "\r\n\r\nkwota=120"
	h := func(pars string) string {
		return head(id, `"b64":false`, `"sigD":{"mId":"http://uri.etsi.org/19182/HttpHeaders","pars":[`+pars+`]}`, `"crit":["b64","sigD"]`)
	}
	signed := func(pars, payload string) string {
		return url64([]byte(h(pars))) + ".." + value(t, id, h(pars), payload)
	}
	all := signed(`"(request-target)","accept","x-nr","digest"`, "(request-target): post /wniosek?nr=7\naccept: a, b\nx-nr: 7\ndigest: "+digest)
	with := func(text string) []signature.Detached { return []signature.Detached{file("http.txt", text)} }
	for _, r := range []row{
		{name: "good", text: all, files: with(message), want: "passes"},
		{name: "line feeds alone", text: all, files: with(strings.ReplaceAll(message, "\r", "")), want: "passes"},
		{name: "another body", text: all, files: with(strings.Replace(message, "kwota=120", "kwota=999120", 1)), want: "changed: HTTP body"},
		{name: "another target", text: all, files: with(strings.Replace(message, "nr=7", "nr=8", 1)), want: "changed: http.txt"},
		{name: "another field", text: all, files: with(strings.Replace(message, "Accept: a", "Accept: c", 1)), want: "changed: http.txt"},
		{name: "one more field", text: all, files: with(strings.Replace(message, "X-Nr", "accept: c\r\nX-Nr", 1)), want: "changed: http.txt"},
		{name: "a field that is missing", text: all, files: with(strings.Replace(message, "X-Nr", "X-Mr", 1)), want: "not found: HTTP message"},
		{name: "an unknown digest", text: signed(`"digest"`, "digest: MD5=AAAA"), files: with(strings.Replace(message, digest, "MD5=AAAA", 1)), want: "not checked: the header field Digest"},
		{name: "two digests, one is wrong", text: signed(`"digest"`, "digest: SHA-512=AAAA,"+digest), files: with(strings.Replace(message, digest, "SHA-512=AAAA,"+digest, 1)), want: "changed: HTTP body"},
		{name: "the body is not signed", text: signed(`"x-nr"`, "x-nr: 7"), files: with(message), want: "nothing signed"},
		{name: "no body", text: signed(`"x-nr"`, "x-nr: 7"), files: with("HTTP/1.1 200 OK\r\nX-Nr: 7\r\n\r\n"), want: "passes"},
		{name: "a folded field", text: signed(`"x-nr"`, "x-nr: 7"), files: with("HTTP/1.1 200 OK\r\nX-Nr: 7\r\n a: b\r\n\r\n"), want: "not found: HTTP message"},
		{name: "a line feed in a field", text: signed(`"x-nr"`, "x-nr: 7"), files: with("HTTP/1.1 200 OK\r\nX-Nr: 7\nX: 8\r\n\r\n"), want: "not found: HTTP message"},
		{name: "another message in the first line", text: signed(`"(request-target)","x-nr"`, "(request-target): post /\nx-nr: 7"), files: with("POST / HTTP/1.1\nX-Nr:8\n\nkwota=999120\r\nX-Nr: 7\r\n\r\n"), want: "not found: HTTP message"},
		{name: "another message in the status", text: signed(`"x-nr"`, "x-nr: 7"), files: with("HTTP/1.1 200 OK\nX-Nr:8\n\nkwota=999120\r\nX-Nr: 7\r\n\r\n"), want: "not found: HTTP message"},
		{name: "a version that is none", text: signed(`"x-nr"`, "x-nr: 7"), files: with("POST / HTTP/kwota=999120\r\nX-Nr: 7\r\n\r\n"), want: "not found: HTTP message"},
		{name: "a NUL in a field", text: signed(`"x-nr"`, "x-nr: 7\x00"), files: with("HTTP/1.1 200 OK\r\nX-Nr: 7\x00\r\n\r\n"), want: "not found: HTTP message"},
		{name: "a name that is none", text: signed(`"x-nr"`, "x-nr: 7"), files: with("HTTP/1.1 200 OK\r\nX-Nr: 7\r\nHo\x0bst: 8\r\n\r\n"), want: "not found: HTTP message"},
		{name: "no status", text: signed(`"x-nr"`, "x-nr: 7"), files: with("HTTP/1.1\r\nX-Nr: 7\r\n\r\n"), want: "not found: HTTP message"},
		{name: "no message", text: all, files: with("pismo"), want: "not found: HTTP message"},
	} {
		r.run(t)
	}
}
