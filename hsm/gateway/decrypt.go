package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"trustcore/hsm"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

type decryptRequest struct {
	Mechanism  mechanism.Mechanism `json:"mechanism" enum:"RSA-OAEP-SHA1,RSA-OAEP-SHA256" doc:"How it was encrypted: MGF1 is over the same hash, the label is empty"`
	Ciphertext []byte              `json:"ciphertext" minLength:"344" maxLength:"684" doc:"As long as the key's modulus, base64"`
	Document   string              `json:"document,omitempty" maxLength:"40" doc:"The type of the document, where the authorisation names some"`
}

type decryptAnswer struct {
	Plaintext  []byte `json:"plaintext" doc:"base64"`
	AuditIndex uint64 `json:"audit_index" doc:"Where this use stands in the audit log"`
}

// decrypt answers a request to decrypt. An Idempotency-Key changes nothing: what was decrypted is kept nowhere, and a
// request that comes again is another use, with the same answer.
func (g *gateway) decrypt(w http.ResponseWriter, r *http.Request) {
	u := caughtUse(r)
	u.decrypts = true
	var in decryptRequest
	p := u.read(r, maxBody, &in)
	if p == nil {
		p = u.takeCiphertext(in)
	}
	if p != nil {
		g.malformed(r.Context(), u, p)
		told(r, p).Write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), useTimeout)
	defer cancel()
	plaintext, index, why := g.decrypted(ctx, u)
	if why != nil {
		g.metrics.requests.WithLabelValues(why.rule).Inc()
		told(r, &why.Problem).Write(w)
		return
	}
	answer, err := json.Marshal(decryptAnswer{plaintext, index})
	if err != nil {
		told(r, &asRefusal(err).Problem).Write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	problem.Send(w, http.StatusOK, "application/json", answer)
}

// decrypted is permitted, then the use: as a signature is, one digest of which is that of the ciphertext.
func (g *gateway) decrypted(ctx context.Context, u *use) (plaintext []byte, index uint64, no *refusal) {
	grant, key, why := g.permitted(ctx, u)
	if why != nil {
		return nil, 0, why
	}
	defer g.inFlight.Add(-1)
	if g.inFlight.Add(1) > int64(g.InFlight) {
		return nil, 0, refuse(http.StatusServiceUnavailable, "overload", "too many signatures are in progress; try again in a moment")
	}
	counted, why := g.limited(ctx, u, grant)
	if why != nil {
		g.refused(ctx, u, grant, why)
		return nil, 0, why
	}
	entry := g.entries(u, grant, u.digests)[0]
	receipt, err := g.append(ctx, entry)
	if err != nil {
		g.Logger.Error("nothing is decrypted without an audit entry", "error", err)
		return nil, 0, errNoEntry
	}
	plaintext, err = key.Decrypt(ctx, u.mechanism, u.ciphertext)
	if err == nil {
		g.metrics.requests.WithLabelValues("decrypted").Inc()
		return plaintext, receipt.Index, nil
	}
	g.failedDecryption(ctx, entry, receipt, err)
	if errors.Is(err, hsm.ErrUndecryptable) {
		// Who asks in vain again and again wants to know something about the key: it costs as a refusal does.
		g.own(u).ReserveN(g.Now(), min(refusalCost, g.Burst))
		return nil, 0, refuse(http.StatusUnprocessableEntity, "undecryptable", "the key does not decrypt this")
	}
	if len(counted) > 0 && !errors.Is(err, hsm.ErrUncertain) {
		g.Meter.Give(counted, 1)
	}
	return nil, 0, asRefusal(g.unavailable(err))
}

// failedDecryption writes the second entry of a use that came to nothing, also when the caller has gone.
func (g *gateway) failedDecryption(ctx context.Context, e audit.Entry, granted audit.Receipt, why error) {
	e.Time, e.Outcome, e.Reason = g.Now(), audit.Failed, why.Error()
	e.Details["granted"] = strconv.FormatUint(granted.Index, 10)
	if _, err := g.append(context.WithoutCancel(ctx), e); err != nil {
		g.Logger.Error("a failed use has no second audit entry", "error", err, "granted", e.Details["granted"])
	}
}

// takeCiphertext takes what is to be decrypted, where it looks like that.
func (u *use) takeCiphertext(in decryptRequest) *problem.Problem {
	switch {
	case in.Document != "" && !documents.MatchString(in.Document):
		return problem.RefuseField(http.StatusUnprocessableEntity, "body.document", "a type is named by lower-case letters, digits and hyphens, at most 40")
	case !in.Mechanism.Decrypts():
		return problem.RefuseField(http.StatusUnprocessableEntity, "body.mechanism",
			"name RSA-OAEP-SHA1 or RSA-OAEP-SHA256, as the key has it: nothing else is decrypted")
	case len(in.Ciphertext) < minCiphertext || len(in.Ciphertext) > maxCiphertext:
		return problem.RefuseField(http.StatusUnprocessableEntity, "body.ciphertext", "it is as long as the key's modulus, in base64, not %d bytes",
			len(in.Ciphertext))
	}
	digest := sha256.Sum256(in.Ciphertext)
	u.mechanism, u.document, u.ciphertext, u.digests = in.Mechanism, in.Document, in.Ciphertext, [][]byte{digest[:]}
	return nil
}

// Ciphertexts of any key, in bytes.
const (
	minCiphertext = 256
	maxCiphertext = 512
)
