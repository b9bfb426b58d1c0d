package ceremony

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxTranscript is how many octets of JSON VerifyTranscript reads.
const MaxTranscript = 1 << 20

// Transcript is the protocol of a ceremony. Each step holds the hash of the one before; the root's key signs the last hash.
type Transcript struct {
	Plan      string `json:"plan"` // as it was written
	Steps     []Step `json:"steps"`
	Root      []byte `json:"root"`      // certificate, DER
	Signature []byte `json:"signature"` // by the root's key over signedMessage

	People []Signature `json:"people,omitempty"` // of those who agreed to the opening, in the plan's order
}

// Step is one act of the ceremony.
type Step struct {
	Index    int               `json:"index"` // from 1
	Time     time.Time         `json:"time"`  // UTC, whole seconds
	What     string            `json:"what"`
	Facts    map[string]string `json:"facts"`
	Previous string            `json:"previous"` // hash of the step before, "" in the first
	Hash     string            `json:"hash"`     // SHA-256 of what stands above, see digest; lower-case hex
}

func (t *Transcript) add(at time.Time, what string, facts map[string]string) {
	step := Step{Index: len(t.Steps) + 1, Time: at.UTC().Truncate(time.Second), What: what, Facts: facts}
	if len(t.Steps) > 0 {
		step.Previous = t.Steps[len(t.Steps)-1].Hash
	}
	step.Hash = step.digest()
	t.Steps = append(t.Steps, step)
}

// digest hashes the lines: index, time (RFC 3339), what, previous hash, and each fact as name=value sorted by name; texts are
// quoted as Go does, so no text can pass for two.
func (s Step) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s\n%q\n%q\n", s.Index, s.Time.UTC().Format(time.RFC3339Nano), s.What, s.Previous)
	for _, name := range slices.Sorted(maps.Keys(s.Facts)) {
		fmt.Fprintf(h, "%q=%q\n", name, s.Facts[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// signedMessage can't be mistaken for a certificate or a list, which begin with 30.
func (t *Transcript) signedMessage() []byte {
	head := ""
	if len(t.Steps) > 0 {
		head = t.Steps[len(t.Steps)-1].Hash
	}
	return []byte("trustcore ceremony transcript v1\n" + head + "\n")
}

// close writes the last step and has the root's key sign.
func (t *Transcript) close(root Authority, at time.Time) error {
	facts := map[string]string{"root_sha256": fingerprint(root.Certificate)}
	for _, language := range Languages() {
		protocol, err := t.Protocol(language)
		if err != nil {
			return err
		}
		facts[protocolFact(language)] = Digest(protocol)
	}
	t.add(at, stepClosed, facts)
	t.Root = root.Certificate.Raw
	var err error
	t.Signature, err = signBy(root, t.signedMessage())
	return err
}

func messageDigest(public crypto.PublicKey, message []byte) ([]byte, crypto.Hash, error) {
	hash := crypto.SHA256
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize > 256 {
			hash = crypto.SHA384
		}
	case *rsa.PublicKey:
	default:
		return nil, 0, fmt.Errorf("a key of type %T", public)
	}
	h := hash.New()
	h.Write(message)
	return h.Sum(nil), hash, nil
}

// JSON is what VerifyTranscript reads.
func (t *Transcript) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return append(data, '\n'), nil
}

// Text is the transcript for people to read and sign on paper.
func (t *Transcript) Text() string {
	var b strings.Builder
	b.WriteString("CEREMONY TRANSCRIPT\n")
	for _, step := range t.Steps {
		fmt.Fprintf(&b, "\n%d. %s  %s\n", step.Index, step.Time.Format(time.RFC3339), step.What)
		for _, name := range slices.Sorted(maps.Keys(step.Facts)) {
			if name != "certificate" { // the DER is in the JSON; people compare fingerprints
				fmt.Fprintf(&b, "   %-28s %s\n", name, step.Facts[name])
			}
		}
		fmt.Fprintf(&b, "   %-28s %s\n", "hash of this step", step.Hash)
	}
	fmt.Fprintf(&b, "\nSignature of the root key over the last hash:\n%s\n", base64.StdEncoding.EncodeToString(t.Signature))
	return b.String()
}

// VerifyTranscript checks a transcript offline against the root's certificate, which comes from elsewhere: hashes, signature, the plan's
// digest, that the certificates written down were issued below that root, and that people agreed to the opening before. Who of them has
// signed the transcript Attended tells.
func VerifyTranscript(data []byte, root *x509.Certificate) (*Transcript, error) {
	t, err := readTranscript(data, root)
	if err != nil {
		return nil, err
	}
	if _, err := t.people(); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return t, nil
}

// Attended tells who agreed and who signed.
func (t *Transcript) Attended() (Attended, error) { return t.people() }

// readTranscript checks all but people's part.
func readTranscript(data []byte, root *x509.Certificate) (*Transcript, error) {
	if root == nil {
		return nil, errors.New("transcript: the root's certificate is missing")
	}
	if len(data) > MaxTranscript {
		return nil, fmt.Errorf("transcript: %d octets, at most %d are read", len(data), MaxTranscript)
	}
	t := &Transcript{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(t); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	if !t.wroteThis(data) {
		return nil, errors.New("transcript: isn't written as a ceremony writes it: a field is there twice, or something follows")
	}
	if !bytes.Equal(t.Root, root.Raw) {
		return nil, errors.New("transcript: is of another root")
	}
	if err := t.checkChain(); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	if err := t.checkSignature(root); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	if err := t.checkCertificates(root); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return t, nil
}

// wroteThis reports whether the JSON is what t gives, apart from white space. JSON allows a field twice and readers
// differ in which they take, so what one verifies another would not show.
func (t *Transcript) wroteThis(data []byte) bool {
	var have, want bytes.Buffer
	again, err := t.JSON()
	return err == nil && json.Compact(&have, data) == nil && json.Compact(&want, again) == nil && bytes.Equal(have.Bytes(), want.Bytes())
}

func (t *Transcript) checkChain() error {
	if len(t.Steps) == 0 {
		return errors.New("there are no steps")
	}
	previous := ""
	for i, step := range t.Steps {
		if step.Index != i+1 || step.Previous != previous || step.Hash != step.digest() {
			return fmt.Errorf("step %d was changed, moved or removed", i+1)
		}
		previous = step.Hash
	}
	sum := sha256.Sum256([]byte(t.Plan))
	if t.Steps[0].Facts["plan_sha256"] != hex.EncodeToString(sum[:]) {
		return errors.New("the plan is not the one that was carried out")
	}
	return nil
}

func (t *Transcript) checkSignature(root *x509.Certificate) error {
	if !signedBy(root, t.signedMessage(), t.Signature) {
		return errors.New("the signature is not the root key's")
	}
	return nil
}

// checkCertificates follows the order of the ceremony: root, issuing, then what issuing signed.
func (t *Transcript) checkCertificates(root *x509.Certificate) error {
	issuer := root
	count := 0
	for _, step := range t.Steps {
		text, there := step.Facts["certificate"]
		if !there {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("step %d: certificate: %w", step.Index, err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("step %d: certificate: %w", step.Index, err)
		}
		if step.Facts["sha256"] != fingerprint(certificate) {
			return fmt.Errorf("step %d: the fingerprint is not the certificate's", step.Index)
		}
		if err := certificate.CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("step %d: %w", step.Index, err)
		}
		if count++; count == 2 {
			issuer = certificate
		}
	}
	if len(t.Steps) > 0 && t.Steps[0].Facts["of"] == ofRootAlone && count == 1 {
		return nil
	}
	if count < 3 {
		return errors.New("the certificates of root, issuing authority and responder are not all there")
	}
	return nil
}

func certificateFacts(c *x509.Certificate) map[string]string {
	return map[string]string{
		"subject":     c.Subject.String(),
		"issuer":      c.Issuer.String(),
		"serial":      c.SerialNumber.Text(16),
		"not_before":  c.NotBefore.UTC().Format(time.RFC3339),
		"not_after":   c.NotAfter.UTC().Format(time.RFC3339),
		"sha256":      fingerprint(c),
		"certificate": base64.StdEncoding.EncodeToString(c.Raw),
	}
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
