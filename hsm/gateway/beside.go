package gateway

import (
	"context"
	"crypto/sha256"
	"net/http"

	"trustcore/hsm/mechanism"
)

// What offices may ask beside signatures. It uses no key, so it is in no audit log; it counts in the application's
// rate.

type verifyInput struct {
	caller
	ID   string `path:"id" pattern:"^[0-9a-f]{32}$" doc:"The key"`
	Body struct {
		Mechanism mechanism.Mechanism `json:"mechanism" enum:"RSA-PKCS1-SHA256,RSA-PKCS1-SHA384,RSA-PKCS1-SHA512,RSA-PSS-SHA256,RSA-PSS-SHA384,RSA-PSS-SHA512,ECDSA-SHA256,ECDSA-SHA384,ECDSA-SHA512" doc:"How it was signed"`
		Digest    []byte              `json:"digest" minLength:"44" maxLength:"88" doc:"The digest that was signed, base64"`
		Signature []byte              `json:"signature" maxLength:"700" doc:"RSA: as long as the modulus. ECDSA: DER (r, s)"`
	}
}

type verifyOutput struct {
	Body struct {
		Valid bool `json:"valid"`
	}
}

// verify checks a signature by the public key that the registry has.
func (g *gateway) verify(ctx context.Context, in *verifyInput) (*verifyOutput, error) {
	if why := g.admit(in.use()); why != nil {
		return nil, why
	}
	_, info, err := g.usableKey(ctx, in.certificate, in.ID)
	if err != nil {
		return nil, err
	}
	out := new(verifyOutput)
	out.Body.Valid = in.Body.Mechanism.Verify(info.Public, in.Body.Digest, in.Body.Signature)
	return out, nil
}

type randomInput struct {
	caller
	Body struct {
		Octets int `json:"octets" minimum:"1" maximum:"1024" doc:"How many"`
	}
}

type randomOutput struct {
	Body struct {
		Random []byte `json:"random" doc:"base64"`
	}
}

// random gives octets of the token's generator to applications that may use some key of it now.
func (g *gateway) random(ctx context.Context, in *randomInput) (*randomOutput, error) {
	if why := g.welcome(ctx, &in.caller); why != nil {
		return nil, why
	}
	var err error
	out := new(randomOutput)
	if out.Body.Random, err = g.Module.Random(ctx, in.Body.Octets); err != nil {
		return nil, g.unavailable(err)
	}
	return out, nil
}

// welcome refuses a caller that may use no key now, and holds others to their rate.
func (g *gateway) welcome(ctx context.Context, c *caller) *refusal {
	if why := g.admit(c.use()); why != nil {
		return why
	}
	grants, err := g.grants(ctx, c.certificate)
	if err != nil {
		return asRefusal(err)
	}
	why := refuse(http.StatusForbidden, "no-authorisation", "no authorisation lets this application use this key")
	for _, grant := range grants {
		if why = g.usable(grant); why == nil {
			break
		}
	}
	return why
}

// use is the caller as its rate knows it; what it asks counts as one signature.
func (c *caller) use() *use {
	u := &use{client: c.certificate, digests: [][]byte{nil}}
	if u.client != nil {
		u.print = sha256.Sum256(u.client.Raw)
	}
	return u
}
