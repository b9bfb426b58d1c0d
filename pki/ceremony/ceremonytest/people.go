package ceremonytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"trustcore/pki/ceremony"
)

// People are attendees with keys in memory, by their names.
type People map[string]*ecdsa.PrivateKey

// Keyed gives each attendee of a plan a key of their own, and has count of them sign at least. Keys of who has one in before stay.
func Keyed(t testing.TB, planText []byte, count int, before People) (keyed []byte, people People) {
	t.Helper()
	people = People{}
	var text strings.Builder
	for line := range strings.Lines(string(planText)) {
		if !strings.HasPrefix(line, "  - {name: ") {
			text.WriteString(line)
			continue
		}
		name, role, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "  - {name: "), "}\n"), ", role: ")
		curve := elliptic.P256()
		if len(people) == 1 { // one of them has another kind of key
			curve = elliptic.P384()
		}
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if before[name] != nil {
			key = before[name]
		}
		people[name] = key
		fmt.Fprintf(&text, "  - name: %s\n    role: %s\n    key: |\n%s", name, role, PublicPEM(t, key.Public(), "      "))
	}
	fmt.Fprintf(&text, "signatures: %d\n", count)
	return []byte(text.String()), people
}

// PublicPEM writes a public key as a plan has it, each line behind indent.
func PublicPEM(t testing.TB, public crypto.PublicKey, indent string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))) {
		text.WriteString(indent + line)
	}
	return text.String()
}

// Sign has those named sign what they are to sign.
func (p People) Sign(t testing.TB, messages []ceremony.Message, names ...string) (all []ceremony.Signature) {
	t.Helper()
	for _, m := range messages {
		for _, name := range names {
			if m.Name != name {
				continue
			}
			hash := map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384}[m.Hash]
			h := hash.New()
			h.Write(m.Text)
			signature, err := p[name].Sign(rand.Reader, h.Sum(nil), hash)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, ceremony.Signature{Name: name, Signature: signature})
		}
	}
	return all
}
