// Package remote is a key behind the HSM gateway as a crypto.Signer: what an application or trustlink uses at the
// office. Only digests leave the machine.
package remote

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"trustcore/hsm/mechanism"
)

// Limits.
const (
	maxAnswer   = 1 << 20                // bytes: a list of keys is 1 KB for each
	tries       = 4                      // for a gateway that is away for a moment
	firstPause  = 200 * time.Millisecond // between tries; doubled each time
	lastPause   = 2 * time.Second        // and no longer than this
	signTimeout = time.Minute            // of Sign, which has no context
)

// Client speaks to one gateway.
type Client struct {
	base     string
	http     *http.Client
	patience time.Duration
}

// NewClient returns a client of the gateway at base, such as https://10.77.0.1:8443. The transport of c carries the
// client certificate and the anchors for the gateway's own.
func NewClient(base string, c *http.Client) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("HSM gateway's address: %w", err)
	}
	if u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("HSM gateway's address %q is not of the form https://host:port", base)
	}
	if c == nil {
		return nil, errors.New("HSM gateway: the HTTP client is missing")
	}
	return &Client{base: u.Scheme + "://" + u.Host, http: c}, nil
}

// Patient returns a client that goes on trying for so long while the gateway is away, for programs that can't try
// again themselves.
func (c *Client) Patient(d time.Duration) *Client {
	patient := *c
	patient.patience = d
	return &patient
}

// KeyInfo describes a key, as the gateway does.
type KeyInfo struct {
	ID         string                `json:"id"`
	Label      string                `json:"label"`
	Name       string                `json:"name"`    // the label with the version, such as seal/2
	Version    int                   `json:"version"` // of the keys of that label: one signs at a time, all verify
	Algorithm  string                `json:"algorithm"`
	PublicKey  []byte                `json:"public_key"` // SubjectPublicKeyInfo, DER
	Mechanisms []mechanism.Mechanism `json:"mechanisms"`
	Purpose    string                `json:"purpose"` // sign or decrypt
	State      string                `json:"state"`
	Usable     bool                  `json:"usable"`
	Why        string                `json:"why"` // why it is not usable now
	NotBefore  *time.Time            `json:"not_before"`
	NotAfter   *time.Time            `json:"not_after"`
	SignsFrom  *time.Time            `json:"signs_from"`  // the version does from then on
	ReplacedAt *time.Time            `json:"replaced_at"` // from then on another version signs in its place
	ReplacedBy string                `json:"replaced_by"` // the ID of that one
	Order      string                `json:"order"`
	Chain      [][]byte              `json:"chain"` // certificates, DER, the key's own first
}

// VerifiesAlone reports whether the key signs no more since another version does so in its place.
func (i KeyInfo) VerifiesAlone(now time.Time) bool {
	return i.ReplacedAt != nil && !now.Before(*i.ReplacedAt)
}

// Changes returns the next moment at which the key begins to sign, or ends; the zero time where nothing is to come.
func (i KeyInfo) Changes(now time.Time) (next time.Time) {
	for _, t := range []*time.Time{i.SignsFrom, i.ReplacedAt} {
		if t != nil && t.After(now) && (next.IsZero() || t.Before(next)) {
			next = *t
		}
	}
	return next
}

// Certificates are those of the key, its own first; a key without one is an error.
func (i KeyInfo) Certificates() ([]*x509.Certificate, error) {
	if len(i.Chain) == 0 && i.Purpose == ToDecrypt {
		return nil, fmt.Errorf("the key %s decrypts, and has no certificate of the data centre's: have an authority of yours certify its "+
			"public key for keyEncipherment", i.Label)
	}
	if len(i.Chain) == 0 {
		return nil, fmt.Errorf("the key %s has no certificate: the data centre must issue one", i.Label)
	}
	chain := make([]*x509.Certificate, len(i.Chain))
	for n, der := range i.Chain {
		var err error
		if chain[n], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("certificate of the key %s: %w", i.Label, err)
		}
	}
	return chain, nil
}

// Refusal is the gateway's answer to what it does not allow.
type Refusal struct {
	Status int    `json:"status"` // HTTP
	Type   string `json:"type"`   // names the rule, such as urn:trustcore:hsm:authorisation-expired
	Detail string `json:"detail"` // a sentence
}

// Replaced is the Type of the refusal to sign with a key in whose place another version signs by now.
const Replaced = "urn:trustcore:hsm:version-replaced"

// Error says what the gateway said.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the HSM gateway refuses (%d): %s", r.Status, r.Detail)
}

// Keys lists the keys that authorisations name for the application, those that it may not use now too, last.
func (c *Client) Keys(ctx context.Context) ([]KeyInfo, error) {
	var answer struct {
		Keys []KeyInfo `json:"keys"`
	}
	if err := c.do(ctx, http.MethodGet, "/v1/keys", nil, &answer); err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	return answer.Keys, nil
}

var keyID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Key asks for one key and returns it as a signer.
func (c *Client) Key(ctx context.Context, id string) (*Key, error) {
	if !keyID.MatchString(id) {
		return nil, fmt.Errorf("key %q: an ID has 32 hexadecimal digits", id)
	}
	var info KeyInfo
	if err := c.do(ctx, http.MethodGet, "/v1/keys/"+id, nil, &info); err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	return c.Listed(info)
}

// Listed returns a key that Keys has listed as a signer, without asking again.
func (c *Client) Listed(info KeyInfo) (*Key, error) {
	public, err := x509.ParsePKIXPublicKey(info.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("key %s: public key: %w", info.ID, err)
	}
	return &Key{client: c, info: info, public: public}, nil
}

// Key is a key behind the gateway, safe for concurrent use.
type Key struct {
	client   *Client
	info     KeyInfo
	public   crypto.PublicKey
	document string // the type of what is signed; "" says none
}

// For returns the key for documents of one type, which an authorisation may demand to be named, such as
// official-receipt: lower-case letters, digits and hyphens, at most 40.
func (k *Key) For(document string) *Key {
	named := *k
	named.document = document
	return &named
}

// Info describes the key as it was when it was asked for.
func (k *Key) Info() KeyInfo { return k.info }

// Public returns the public key.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Mechanisms are the ways in which the application may sign with the key.
func (k *Key) Mechanisms() []mechanism.Mechanism { return k.info.Mechanisms }

// Sign signs a digest (crypto.Signer). The source of randomness is the HSM's; the first argument is not used. It
// waits at most a minute.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), signTimeout)
	defer cancel()
	return k.SignContext(ctx, digest, opts)
}

// SignContext is Sign until ctx ends.
func (k *Key) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	m, err := mechanism.Of(k.public, opts)
	if err != nil {
		return nil, err
	}
	signed, err := k.SignDigest(ctx, m, digest)
	return signed.Value, err
}

// Signature is a signature and where its use of the key stands in the data centre's audit log.
type Signature struct {
	Value      []byte `json:"signature"`
	AuditIndex uint64 `json:"audit_index"`
}

// SignDigest signs a digest by a named mechanism. What the gateway does not allow is a *Refusal.
func (k *Key) SignDigest(ctx context.Context, m mechanism.Mechanism, digest []byte) (Signature, error) {
	if err := k.may(m, digest); err != nil {
		return Signature{}, err
	}
	var signed Signature
	err := k.post(ctx, "sign", use{Mechanism: m, Document: k.document, Digest: digest}, &signed)
	return signed, err
}

// ToDecrypt is the Purpose of keys that decrypt, and sign nothing.
const ToDecrypt = "decrypt"

// Undecryptable is the Type of the refusal of a ciphertext that was not made for the key, whatever is wrong with it.
const Undecryptable = "urn:trustcore:hsm:undecryptable"

// Decrypt decrypts what was encrypted for the key, as long as its modulus, by one of its mechanisms. What the gateway
// does not allow, and what the key does not decrypt, is a *Refusal.
func (k *Key) Decrypt(ctx context.Context, m mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
	public, is := k.public.(*rsa.PublicKey)
	if !is {
		return nil, fmt.Errorf("key %s decrypts nothing", k.info.ID)
	}
	if err := m.CheckCiphertext(public, ciphertext); err != nil {
		return nil, err
	}
	if !slices.Contains(k.info.Mechanisms, m) {
		return nil, fmt.Errorf("key %s may be used by %v, not by %s", k.info.ID, k.info.Mechanisms, m)
	}
	var answer struct {
		Plaintext []byte `json:"plaintext"`
	}
	err := k.post(ctx, "decrypt", use{Mechanism: m, Document: k.document, Ciphertext: ciphertext}, &answer)
	return answer.Plaintext, err
}

// use is a request to sign one digest, or several, or to decrypt.
type use struct {
	Mechanism mechanism.Mechanism `json:"mechanism"`
	Document  string              `json:"document,omitempty"`
	Digest    []byte              `json:"digest,omitempty"`
	Digests   [][]byte            `json:"digests,omitempty"`

	Ciphertext []byte `json:"ciphertext,omitempty"`
}

// MaxBatch is how many digests SignDigests takes.
const MaxBatch = 256

// SignDigests signs up to MaxBatch digests in one request: all of them get a signature, in their order, or none does.
// What the gateway does not allow is a *Refusal.
func (k *Key) SignDigests(ctx context.Context, m mechanism.Mechanism, digests [][]byte) ([]Signature, error) {
	if len(digests) == 0 || len(digests) > MaxBatch {
		return nil, fmt.Errorf("%d digests at once: 1 to %d are signed", len(digests), MaxBatch)
	}
	if err := k.may(m, digests...); err != nil {
		return nil, err
	}
	var answer struct {
		Signatures []Signature `json:"signatures"`
	}
	if err := k.post(ctx, "signatures", use{Mechanism: m, Document: k.document, Digests: digests}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Signatures) != len(digests) {
		return nil, fmt.Errorf("signing with key %s: %w: %d signatures of %d digests", k.info.ID, errAnswer, len(answer.Signatures), len(digests))
	}
	return answer.Signatures, nil
}

// may says what the gateway would refuse, without asking it.
func (k *Key) may(m mechanism.Mechanism, digests ...[]byte) error {
	for _, d := range digests {
		if err := m.CheckDigest(d); err != nil {
			return err
		}
	}
	if !slices.Contains(k.info.Mechanisms, m) {
		return fmt.Errorf("key %s may sign by %v, not by %s", k.info.ID, k.info.Mechanisms, m)
	}
	return nil
}

func (k *Key) post(ctx context.Context, what string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if err := k.client.do(ctx, http.MethodPost, "/v1/keys/"+k.info.ID+"/"+what, body, answer); err != nil {
		return fmt.Errorf("using key %s: %w", k.info.ID, err)
	}
	return nil
}

var errAnswer = errors.New("the HSM gateway's answer makes no sense")

// do makes a request, and again when the gateway is away or busy. It is the same request then: the gateway, which
// knows it by its key, gives the answer that was lost on the way, and counts one use.
func (c *Client) do(ctx context.Context, method, path string, body []byte, answer any) error {
	begun, pause, key := time.Now(), firstPause, ""
	if body != nil {
		key = rand.Text()
	}
	for try := 1; ; try++ {
		err := c.once(ctx, method, path, key, body, answer)
		var r *Refusal
		final := errors.Is(err, errAnswer) || errors.As(err, &r) && r.Status != http.StatusServiceUnavailable && r.Status != http.StatusTooManyRequests
		if err == nil || final || try >= tries && time.Since(begun) >= c.patience {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

func (c *Client) once(ctx context.Context, method, path, key string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the HSM gateway's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		r := new(Refusal)
		if json.Unmarshal(text, r) != nil || r.Detail == "" {
			r.Detail = response.Status
		}
		r.Status = response.StatusCode
		return r
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	return nil
}
