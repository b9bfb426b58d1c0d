package csc

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"regexp"
	"slices"

	"trustcore/hsm/gateway"
	"trustcore/internal/cms"
)

// activation is what SAD stand for: these hashes, by this credential. Whose they are, and until when, their ticket
// says.
type activation struct {
	credential string
	hash       crypto.Hash // that the caller named; 0 where it named none
	hashes     [][]byte
}

type authorizeAnswer struct {
	SAD       string `json:"SAD"`
	ExpiresIn int    `json:"expiresIn"` // seconds
}

// authorize gives SAD for hashes that the caller may have signed now. The key is not used, and nothing is counted but
// the application's rate.
func (s *service) authorize(c *call) (any, error) {
	a, err := c.activation()
	if err != nil {
		return nil, err
	}
	use := c.use(a.credential, a.hashes)
	k, err := s.Gateway.Key(c.Context(), c.client, a.credential)
	if err != nil && gateway.Rule(err) == "" {
		return nil, err
	}
	use.Mechanism = fitting(k, len(a.hashes[0]))
	if err := s.Gateway.May(c.Context(), use); err != nil {
		return nil, err
	}
	return authorizeAnswer{s.sads.give(c.print, a, s.Now().Add(sadLife)), int(sadLife.Seconds())}, nil
}

// activation is what the caller wants authorized.
func (c *call) activation() (a activation, err error) {
	if a.credential, err = c.in.need("credentialID"); err != nil {
		return a, err
	}
	for _, name := range []string{"PIN", "OTP", "authData"} {
		if c.in.Member(name) != nil {
			return a, invalid("%s: the credential has none, as its authorization mode says: leave it out", name)
		}
	}
	n, err := c.in.number("numSignatures")
	if err != nil {
		return a, err
	}
	if a.hash, err = c.in.hashNamed(); err != nil {
		return a, err
	}
	if a.hashes, err = c.in.hashes(); err != nil {
		return a, err
	}
	switch {
	case n != len(a.hashes):
		return a, invalid("Invalid parameter numSignatures: %d hashes are as many signatures", len(a.hashes))
	case a.hash != 0 && a.hash.Size() != len(a.hashes[0]):
		return a, invalid("Invalid parameter hash: the hashes are not as long as those of hashAlgo")
	}
	return a, nil
}

// use is the request as the gateway takes it.
func (c *call) use(credential string, hashes [][]byte) gateway.Use {
	return gateway.Use{Client: c.client, KeyID: credential, Digests: hashes, Via: c.version.via()}
}

// signHash has authorized hashes signed. SAD are spent by being shown with a request that can be read, whatever comes
// of it. clientData names the type of the documents, where the order asks for one.
func (s *service) signHash(c *call) (any, error) {
	credential, err := c.in.need("credentialID")
	if err != nil {
		return nil, err
	}
	sad, err := c.in.need("SAD")
	if err != nil {
		return nil, err
	}
	if mode, err := c.in.text("operationMode"); err != nil || mode != "" && mode != "S" {
		return nil, errors.Join(err, invalid("Invalid parameter operationMode: signatures are made at once (S)"))
	}
	hashes, err := c.in.hashes()
	if err != nil {
		return nil, err
	}
	use := c.use(credential, hashes)
	if use.Mechanism, err = c.in.mechanism(); err != nil {
		return nil, err
	}
	if use.Mechanism.Hash().Size() != len(hashes[0]) {
		return nil, invalid("Invalid parameter hash: %s signs hashes of %d octets, not of %d", use.Mechanism, use.Mechanism.Hash().Size(),
			len(hashes[0]))
	}
	if data, err := c.in.text("clientData"); err == nil && gateway.IsDocument(data) {
		use.Document = data
	}
	if err := s.activated(c, use, sad); err != nil {
		return nil, err
	}
	signatures, err := s.Gateway.Sign(c.Context(), use)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(signatures))
	for i := range signatures {
		values[i] = signatures[i].Value
	}
	return map[string][]string{"signatures": encoded(values)}, nil
}

// activated spends the SAD, and refuses a use that they do not stand for; the audit log has that then.
func (s *service) activated(c *call, use gateway.Use, sad string) error {
	a, found := s.sads.find(c.print, sad, s.Now(), true)
	no := func(format string, args ...any) error {
		return s.refusedSAD(c, use, format, args...)
	}
	switch {
	case !found:
		return no("the SAD are unknown, were used before, or their time is over: authorize the hashes anew")
	case a.credential != use.KeyID:
		return no("the SAD stand for another credential")
	case a.hash != 0 && a.hash != use.Mechanism.Hash():
		return no("the SAD stand for hashes of another algorithm")
	}
	left := slices.Clone(a.hashes)
	for _, hash := range use.Digests {
		at := slices.IndexFunc(left, func(authorized []byte) bool { return bytes.Equal(authorized, hash) })
		if at < 0 {
			return no("Hash is not authorized by the SAD")
		}
		left = slices.Delete(left, at, at+1)
	}
	return nil
}

// refusedSAD has a refusal audited as one of a use of the key, and tells it as the API has it.
func (s *service) refusedSAD(c *call, use gateway.Use, format string, args ...any) error {
	if err := s.Gateway.Refused(c.Context(), use, "sad", format, args...); gateway.Rule(err) != "sad" {
		return err
	}
	return invalid(format, args...)
}

// encoded writes octets in base64, as the API has them.
func encoded(all [][]byte) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = base64.StdEncoding.EncodeToString(one)
	}
	return texts
}

// nonces are whole numbers in decimal, as many octets as time-stamping services take.
var nonces = regexp.MustCompile(`^[0-9]{1,38}$`)

// timestamp gives a time-stamp of a hash (RFC 3161) to an application that may use some key now.
func (s *service) timestamp(c *call) (any, error) {
	if s.Stamp == nil {
		return nil, invalid("the service gives no time-stamps")
	}
	hash, err := c.in.hashNamed()
	if err != nil {
		return nil, err
	}
	text, err := c.in.need("hash")
	if err != nil {
		return nil, err
	}
	digest, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || hash == 0 || len(digest) != hash.Size() {
		return nil, invalid("Invalid parameter hash: send the hash in base64 and its algorithm as hashAlgo")
	}
	nonce, err := c.nonce()
	if err != nil {
		return nil, err
	}
	if err := s.Gateway.Admit(c.Context(), c.client); err != nil {
		return nil, err
	}
	request, err := cms.NewTimestampRequest(hash, digest, "", nonce, true)
	if err != nil {
		return nil, err
	}
	answer, err := cms.ParseTimestampResponse(s.Stamp(c.Context(), request))
	if err != nil || !answer.Granted() {
		s.Logger.Error("CSC API: no time-stamp", "error", err)
		return nil, refuse(http.StatusServiceUnavailable, "temporarily_unavailable", "no time-stamps are given now; try again in a moment")
	}
	return map[string]string{"timestamp": base64.StdEncoding.EncodeToString(answer.Token)}, nil
}

// nonce is the caller's, else one of our own.
func (c *call) nonce() (*big.Int, error) {
	text, err := c.in.text("nonce")
	switch {
	case err != nil:
		return nil, err
	case text == "":
		return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	case !nonces.MatchString(text):
		return nil, invalid("Invalid parameter nonce: send a whole number in decimal, at most 38 digits")
	}
	n, _ := new(big.Int).SetString(text, 10)
	return n, nil
}
