package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/time/rate"

	"trustcore/hsm"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

type signInput struct {
	caller
	ID   string `path:"id" pattern:"^[0-9a-f]{32}$" doc:"The key"`
	Body struct {
		Mechanism mechanism.Mechanism `json:"mechanism" enum:"RSA-PKCS1-SHA256,RSA-PKCS1-SHA384,RSA-PKCS1-SHA512,RSA-PSS-SHA256,RSA-PSS-SHA384,RSA-PSS-SHA512,ECDSA-SHA256,ECDSA-SHA384,ECDSA-SHA512" doc:"How to sign"`
		Digest    []byte              `json:"digest" minLength:"44" maxLength:"88" doc:"The digest to sign, base64"`
	}
}

type signOutput struct {
	Body struct {
		Signature  []byte `json:"signature" doc:"RSA: as long as the modulus. ECDSA: DER (r, s)"`
		AuditIndex uint64 `json:"audit_index" doc:"Where this use stands in the audit log"`
	}
}

// sign is the one way to use a key: authorise, write it down, sign, answer; in this order.
func (g *gateway) sign(ctx context.Context, in *signInput) (*signOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	if err := g.admit(in.certificate); err != nil {
		return nil, g.counted(err)
	}
	select {
	case g.inFlight <- struct{}{}:
		defer func() { <-g.inFlight }()
	default:
		return nil, g.counted(refuse(http.StatusServiceUnavailable, "overload", "too many signatures are in progress; try again in a moment"))
	}
	grant, why, err := g.authorise(ctx, in.certificate, in.ID)
	if err != nil {
		return nil, g.counted(err)
	}
	var key *hsm.Key
	if why == nil {
		key, why, err = g.key(ctx, grant, in)
	}
	if err != nil {
		return nil, g.counted(err)
	}
	entry := g.entry(in, grant, why)
	if why != nil {
		if _, err := g.append(ctx, entry); err != nil {
			g.Logger.Error("a refusal is not in the audit log", "error", err, "refusal", why.Detail)
		}
		return nil, g.counted(why)
	}
	out := new(signOutput)
	if out.Body.Signature, out.Body.AuditIndex, err = g.use(ctx, key, entry, in); err != nil {
		return nil, g.counted(err)
	}
	g.metrics.requests.WithLabelValues("signed").Inc()
	return out, nil
}

// use writes the entry and signs. A use that came to nothing has a second entry; when nobody knows what became of it, it is made once more,
// as another use with entries of its own.
func (g *gateway) use(ctx context.Context, key *hsm.Key, entry audit.Entry, in *signInput) (signature []byte, index uint64, err error) {
	for n := 1; ; n++ {
		receipt, err := g.append(ctx, entry)
		if err != nil {
			g.Logger.Error("no signature without an audit entry", "error", err)
			return nil, 0, refuse(http.StatusServiceUnavailable, "audit-unavailable", "the audit log can't be written, so nothing is signed")
		}
		signature, err := key.SignDigest(ctx, in.Body.Mechanism, in.Body.Digest)
		if err == nil {
			return signature, receipt.Index, nil
		}
		g.failed(ctx, entry, receipt, err)
		if !errors.Is(err, hsm.ErrUncertain) || n == maxUses || ctx.Err() != nil {
			return nil, 0, g.unavailable(err)
		}
	}
}

// failed writes the second entry of a use that came to nothing, even after the caller has gone.
func (g *gateway) failed(ctx context.Context, entry audit.Entry, first audit.Receipt, why error) {
	entry.Time, entry.Outcome, entry.Reason = g.Now(), audit.Failed, why.Error()
	entry.Details = maps.Clone(entry.Details)
	entry.Details["granted"] = strconv.FormatUint(first.Index, 10)
	if _, err := g.append(context.WithoutCancel(ctx), entry); err != nil {
		g.Logger.Error("a failed use has no second audit entry", "error", err, "granted", first.Index)
	}
}

// append writes an audit entry in its time: a log that hangs must be told apart from a token that does.
func (g *gateway) append(ctx context.Context, entry audit.Entry) (audit.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return g.Audit.Append(ctx, entry)
}

// key returns the key if it may sign what is asked.
func (g *gateway) key(ctx context.Context, grant Grant, in *signInput) (*hsm.Key, *refusal, error) {
	m := in.Body.Mechanism
	if err := m.CheckDigest(in.Body.Digest); err != nil {
		return nil, refuse(http.StatusBadRequest, "digest", err.Error()), nil
	}
	if !slices.Contains(grant.Mechanisms, m) {
		return nil, refuse(http.StatusForbidden, "mechanism-not-granted",
			fmt.Sprintf("the authorisation of order %s allows %s, not %s", grant.Order, names(grant.Mechanisms), m)), nil
	}
	key, err := g.cached(ctx, grant.KeyID)
	switch {
	case errors.Is(err, hsm.ErrNotActive), errors.Is(err, hsm.ErrUnknownKey):
		return nil, refuse(http.StatusConflict, "key-not-active", err.Error()), nil
	case err != nil:
		return nil, nil, g.unavailable(err)
	}
	info := key.Info()
	if info.Partner != grant.Partner {
		g.Logger.Error("a grant names another partner's key", "order", grant.Order, "partner", grant.Partner, "key", info.ID, "owner", info.Partner)
		return nil, refuse(http.StatusForbidden, "no-authorisation", "no authorisation lets this application use this key"), nil
	}
	if !info.Allows(m) {
		return nil, refuse(http.StatusForbidden, "mechanism-not-allowed", fmt.Sprintf("the key signs by %s, not by %s", names(info.Mechanisms), m)), nil
	}
	return key, nil, nil
}

// cached returns the key; a Key watches its own state, so it may be kept.
func (g *gateway) cached(ctx context.Context, id string) (*hsm.Key, error) {
	if k, ok := g.keys.Load(id); ok {
		key := k.(*hsm.Key)
		return key, key.Usable()
	}
	key, err := g.Module.Signer(ctx, id)
	if err == nil {
		g.keys.Store(id, key)
	}
	return key, err
}

func names(mechanisms []mechanism.Mechanism) string {
	if len(mechanisms) == 0 {
		return "nothing"
	}
	s := make([]string, len(mechanisms))
	for i, m := range mechanisms {
		s[i] = string(m)
	}
	return strings.Join(s, ", ")
}

// entry is the audit entry of a use or of its refusal.
func (g *gateway) entry(in *signInput, grant Grant, why *refusal) audit.Entry {
	e := g.entryOf(in.certificate, in.ID, grant)
	e.Details["mechanism"], e.Details["digest"] = string(in.Body.Mechanism), hex.EncodeToString(in.Body.Digest)
	if why != nil {
		e.Outcome, e.Reason = audit.Refused, why.Detail
	}
	return e
}

// entryOf says who asks for which key.
func (g *gateway) entryOf(client *x509.Certificate, keyID string, grant Grant) audit.Entry {
	print := sha256.Sum256(client.Raw)
	e := audit.Entry{
		Time: g.Now(), Actor: audit.Actor{Kind: "application", ID: grant.Application}, Action: "hsm.sign", Subject: keyID,
		Partner: grant.Partner, Order: grant.Order, Outcome: audit.Granted,
		Details: map[string]string{"certificate": hex.EncodeToString(print[:]), "serial": client.SerialNumber.Text(16)},
	}
	if e.Actor.ID == "" { // nobody that an authorisation knows
		e.Actor.ID = client.Subject.String()
	}
	if e.Actor.ID == "" {
		e.Actor.ID = hex.EncodeToString(print[:])
	}
	return e
}

// admit holds an application to its rate.
func (g *gateway) admit(client *x509.Certificate) error {
	if client == nil {
		return noCertificate()
	}
	print := sha256.Sum256(client.Raw)
	g.mu.Lock()
	limiter := g.rates[print]
	if limiter == nil {
		if len(g.rates) >= maxApplications {
			clear(g.rates)
		}
		limiter = rate.NewLimiter(rate.Limit(g.Rate), g.Burst)
		g.rates[print] = limiter
	}
	g.mu.Unlock()
	if !limiter.Allow() {
		return refuse(http.StatusTooManyRequests, "rate", fmt.Sprintf("the application asks for more than %g signatures a second", g.Rate))
	}
	return nil
}
