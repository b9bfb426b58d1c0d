package ceremony

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"trustcore/pki/weak"
)

// Bounds of the moduli of people's RSA keys, in bits.
const minPersonRSA, maxPersonRSA = 3072, 8192

// minSignatures is how many people do a ceremony at least: one person alone does none.
const minSignatures = 2

// person is an attendee with the key that they sign with: in a file that they alone open, or on a card.
type person struct {
	Attendee
	number int // in the plan, from 1
	public crypto.PublicKey
	digest string // SHA-256 of SubjectPublicKeyInfo, hex
}

// Keyed reports whether the people of a plan sign by keys of their own.
func (p *Plan) Keyed() bool { return len(p.people) > 0 }

// keyed reports that of a plan as it was written, whatever else is wrong with it by today's rules.
func keyed(planYAML string) (bool, error) {
	var plan struct {
		Signatures int `yaml:"signatures"`
		Attendees  []struct {
			Key string `yaml:"key"`
		} `yaml:"attendees"`
	}
	if err := yaml.Unmarshal([]byte(planYAML), &plan); err != nil {
		return false, fmt.Errorf("plan: %w", err)
	}
	for _, a := range plan.Attendees {
		if a.Key != "" {
			return true, nil
		}
	}
	return plan.Signatures != 0, nil
}

// checkPeople reads the attendees' keys: all have one, or none has. What somebody could pass off as a second person's is refused.
func (p *Plan) checkPeople() (wrong []error) {
	refuse := func(field, format string, a ...any) {
		wrong = append(wrong, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, a...)))
	}
	seen, count := map[string]int{}, 0
	for i, a := range p.Attendees {
		if a.Key == "" {
			continue
		}
		count++
		field := fmt.Sprintf("attendees[%d].key", i)
		public, err := readPersonKey(a.Key)
		if err != nil {
			refuse(field, "%v", err)
			continue
		}
		if other, taken := seen[sameSecret(public)]; taken {
			refuse(field, "is that of attendees[%d], or made from it: one key is one person", other)
		}
		seen[sameSecret(public)] = i
		spki, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			refuse(field, "%v", err)
			continue
		}
		sum := sha256.Sum256(spki)
		p.people = append(p.people, person{Attendee: a, number: i + 1, public: public, digest: hex.EncodeToString(sum[:])})
	}
	switch {
	case count == 0 && p.Signatures == 0:
	case count != len(p.Attendees):
		refuse("attendees", "%d of %d have a key; write each one's, or none and no signatures", count, len(p.Attendees))
	case p.Signatures < minSignatures || p.Signatures > len(p.Attendees):
		refuse("signatures", "is %d; write how many of the %d attendees open a ceremony at least, %d or more", p.Signatures, len(p.Attendees), minSignatures)
	}
	if len(wrong) > 0 {
		p.people = nil
	}
	return wrong
}

// readPersonKey reads a public key as `openssl pkey -pubout` writes it.
func readPersonKey(text string) (crypto.PublicKey, error) {
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil || block.Type != "PUBLIC KEY" || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("is no public key; write one PEM block PUBLIC KEY, as openssl pkey -pubout makes it")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return key, nil
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minPersonRSA || bits > maxPersonRSA || key.E < 65537 {
			return nil, fmt.Errorf("an RSA key of %d bits with exponent %d can't be used; make one of %d to %d bits", bits, key.E,
				minPersonRSA, maxPersonRSA)
		}
		if why := weak.RSA(key.N); why != "" {
			return nil, fmt.Errorf("%s; make another key", why)
		}
		return key, nil
	}
	return nil, fmt.Errorf("keys of type %T can't be used; make one of P-256, P-384 or RSA", public)
}

// sameSecret names what two public keys have in common when who has one private key has the other: the modulus, whatever the exponent;
// the x of a point, which its negative has too.
func sameSecret(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return "n" + key.N.Text(16)
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 04, x, y: the curve is one that is known
		if err == nil {
			return key.Curve.Params().Name + hex.EncodeToString(point[1:1+(len(point)-1)/2])
		}
	}
	return fmt.Sprintf("%T", public)
}

// verifies reports whether a person signed a message.
func (p person) verifies(message, signature []byte) bool {
	return verifies(p.public, message, signature)
}

// Signature is one person's, as openssl dgst -sign or a card made it.
type Signature struct {
	Name      string `json:"name"`
	Signature []byte `json:"signature"`
}

// Message is what one attendee signs, and the name of their file.
type Message struct {
	Name   string
	Number int    // in the plan, from 1
	Hash   string // that their key signs with: "sha256" or "sha384"
	Text   []byte
}

// about writes a message to a person: what it is about, who signs by which key, and the facts. Texts are quoted as Go does, so no
// text can pass for two.
func (p person) about(what string, facts ...[2]string) Message {
	var b bytes.Buffer
	fmt.Fprintf(&b, "trustcore ceremony %s v1\nperson: %q\nrole: %q\nkey_sha256: %q\n", what, p.Name, p.Role, p.digest)
	for _, f := range facts {
		fmt.Fprintf(&b, "%s: %q\n", f[0], f[1])
	}
	m := Message{Name: p.Name, Number: p.number, Hash: "sha256", Text: b.Bytes()}
	if _, hash, err := messageDigest(p.public, nil); err == nil && hash == crypto.SHA384 {
		m.Hash = "sha384"
	}
	return m
}

// ActMessages are what the people of a plan sign for an act on a file: "grant" for the root's answer to a request, "import" to take an answer.
func (p *Plan) ActMessages(act string, file []byte) (all []Message) {
	for _, who := range p.people {
		all = append(all, who.about(act, [2]string{"file_sha256", Digest(file)}, [2]string{"plan_sha256", p.Digest()}))
	}
	return all
}

// ActBy checks who of a plan signed for an act on a file, and returns their names. Too few are refused, and a signature that does
// not verify, whatever the others do.
func (p *Plan) ActBy(act string, file []byte, signatures []Signature) (names []string, err error) {
	return p.signed(p.ActMessages(act, file), signatures)
}

// signed checks signatures over messages to people, and that they are enough.
func (p *Plan) signed(messages []Message, signatures []Signature) (names []string, err error) {
	given := map[string][]byte{}
	for _, s := range signatures {
		if _, twice := given[s.Name]; twice {
			return nil, fmt.Errorf("signatures: %s is there twice", s.Name)
		}
		given[s.Name] = s.Signature
	}
	for i, who := range p.people {
		signature, there := given[who.Name]
		if !there {
			continue
		}
		if !who.verifies(messages[i].Text, signature) {
			return nil, fmt.Errorf("signatures: the one of %s is not by their key over this message", who.Name)
		}
		names = append(names, who.Name)
		delete(given, who.Name)
	}
	for name := range given {
		return nil, fmt.Errorf("signatures: %q is none of the plan's attendees", name)
	}
	if len(names) < p.Signatures {
		return nil, fmt.Errorf("signatures: %d of the plan's people signed; %d have to", len(names), p.Signatures)
	}
	return names, nil
}

// holders are how many of the people named hold keys that the people of an earlier plan hold.
func (p *Plan) holders(names []string, before *Plan) (count int) {
	known := map[string]bool{}
	for _, who := range before.people {
		known[sameSecret(who.public)] = true
	}
	for _, who := range p.people {
		for _, name := range names {
			if who.Name == name && known[sameSecret(who.public)] {
				count++
			}
		}
	}
	return count
}
