package jades

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

const content = `{"umowa":7,"kwota":120}`

func url64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
func std64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func officer(t testing.TB) cmstest.Identity { return cmstest.NewSigner(t, "p256", "officer-1") }

// thumb is x5t#S256 of the certificate.
func thumb(id cmstest.Identity) string {
	sum := sha256.Sum256(id.Cert.Raw)
	return `"x5t#S256":"` + url64(sum[:]) + `"`
}

func chain(id cmstest.Identity) string { return `"x5c":["` + std64(id.Cert.Raw) + `"]` }

const claimed = `"iat":1793613600`

// head is a protected header of B-B, with more members where they are given.
func head(id cmstest.Identity, more ...string) string {
	return object(append([]string{`"alg":"ES256"`, thumb(id), chain(id), claimed}, more...)...)
}

func object(members ...string) string { return "{" + strings.Join(members, ",") + "}" }

// value signs the protected header and a payload as it stands in the signing input.
func value(t testing.TB, id cmstest.Identity, header, payload string) string {
	t.Helper()
	return url64(raw(t, id, url64([]byte(header))+"."+payload))
}

// raw signs as RFC 7518 wants it: r and s of the curve's size, or PKCS #1 for RSA, or as Ed25519 does.
func raw(t testing.TB, id cmstest.Identity, input string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	digest, hash, size := sum[:], crypto.SHA256, 32
	switch {
	case id.Cert.PublicKeyAlgorithm.String() == "Ed25519":
		digest, hash = []byte(input), crypto.Hash(0)
	case id.Cert.SignatureAlgorithm.String() == "ECDSA-SHA384":
		sum := sha512.Sum384([]byte(input))
		digest, hash, size = sum[:], crypto.SHA384, 48
	}
	out, err := id.Key.Sign(rand.Reader, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(out, &v); err != nil || hash == 0 {
		return out
	}
	return append(v.R.FillBytes(make([]byte, size)), v.S.FillBytes(make([]byte, size))...)
}

func pss(t testing.TB, id cmstest.Identity, input string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	out, err := rsa.SignPSS(rand.Reader, id.Key.(*rsa.PrivateKey), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compact signs content.
func compact(t testing.TB, id cmstest.Identity, header string) string {
	t.Helper()
	payload := url64([]byte(content))
	return url64([]byte(header)) + "." + payload + "." + value(t, id, header, payload)
}

// flat is the flattened serialization of a signature over content; unprotected is the header's content.
func flat(t testing.TB, id cmstest.Identity, header string, unprotected ...string) string {
	t.Helper()
	payload := url64([]byte(content))
	text := fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q`, payload, url64([]byte(header)), value(t, id, header, payload))
	if len(unprotected) > 0 {
		text += `,"header":` + object(unprotected...)
	}
	return text + "}"
}

// general joins flattened signatures over content to one document.
func general(flattened ...string) string {
	payload := `"payload":"` + url64([]byte(content)) + `",`
	return `{` + payload + `"signatures":[` + strings.ReplaceAll(strings.Join(flattened, ","), payload, "") + `]}`
}

// etsiU holds properties, each base64url of an object.
func etsiU(properties ...string) string {
	items := make([]string, len(properties))
	for i, p := range properties {
		items[i] = `"` + url64([]byte(p)) + `"`
	}
	return `"etsiU":[` + strings.Join(items, ",") + `]`
}

// stampOf is a time-stamp property with tokens.
func stampOf(name string, tokens ...[]byte) string {
	items := make([]string, len(tokens))
	for i, token := range tokens {
		items[i] = `{"val":"` + std64(token) + `"}`
	}
	return `{"` + name + `":{"tstTokens":[` + strings.Join(items, ",") + `]}}`
}

func open(t testing.TB, text string, files ...signature.Detached) (*signature.Document, error) {
	t.Helper()
	return Open(budget.New(t.Context(), len(text)), []byte(text), files)
}

func only(t testing.TB, text string, files ...signature.Detached) *signature.Signature {
	t.Helper()
	doc, err := open(t, text, files...)
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Signatures) != 1 {
		t.Fatalf("%d signatures", len(doc.Signatures))
	}
	return doc.Signatures[0]
}

func file(name, content string) signature.Detached {
	return signature.Detached{Name: name, Content: []byte(content)}
}

// outcome is why a signature does not pass whatever its certificate is, in the order of EN 319 102-1, or "passes".
func outcome(s *signature.Signature) string {
	switch {
	case s.Unchecked != "":
		return "unchecked: " + s.Unchecked
	case len(s.Structure) > 0:
		return "format: " + strings.Join(s.Structure, "; ")
	case s.Signer == nil:
		return "no signer"
	case s.Binding != signature.BindingMatches:
		return "another signer"
	}
	for _, r := range s.References {
		switch {
		case !r.Found:
			return "not found: " + r.Name
		case r.Unchecked != "":
			return "not checked: " + r.Unchecked
		}
	}
	empty := true
	for _, r := range s.References {
		if !r.Intact {
			return "changed: " + r.Name
		}
		empty = empty && (r.Empty || r.Type == "signed-properties")
	}
	switch {
	case empty:
		return "nothing signed"
	case !s.Intact:
		return "value"
	case len(s.Constraints)+len(s.Strays) > 0:
		return "constraint: " + strings.Join(append(s.Constraints, s.Strays...), "; ")
	}
	return "passes"
}

// told is the outcome of every signature of a document, or the error.
func told(t testing.TB, text string, files ...signature.Detached) string {
	t.Helper()
	doc, err := open(t, text, files...)
	if err != nil {
		if errors.Is(err, ErrNoSignature) {
			return "no signature"
		}
		return "error: " + err.Error()
	}
	var all []string
	for _, s := range doc.Signatures {
		all = append(all, outcome(s))
	}
	return strings.Join(all, " | ")
}
