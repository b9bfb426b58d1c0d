package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"

	"trustcore/hsm/mechanism"
	"trustcore/internal/problem"
)

// Gateway is the door. It serves its REST interface as an http.Handler; interfaces that others have standardised stand
// on its methods, so that there is one way to a key: the same grants, limits, counters and audit log, in the same
// order, whatever language an application speaks. It is safe for concurrent use.
type Gateway struct {
	door *gateway
	rest http.Handler
}

// ServeHTTP serves the REST interface.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.rest.ServeHTTP(w, r) }

// Use is a request to sign, by whatever interface it came.
type Use struct {
	Client    *x509.Certificate // the verified one of the connection; nil is nobody, whom everything refuses
	KeyID     string
	Mechanism mechanism.Mechanism
	Digests   [][]byte // 1 to MaxBatch
	Document  string   // the type of the documents, "" where the application says none
	Via       string   // the interface, for the audit log
}

// Signature is a signature, RSA or ECDSA in DER, and where its use of the key stands in the audit log.
type Signature struct {
	Value      []byte
	AuditIndex uint64
}

// Sign uses a key: authorised, counted and written down as each use is, all of the digests or none. It lasts at most
// useTimeout and auditTimeout. An error is a *problem.Problem that may be told, whose Type names the rule.
func (g *Gateway) Sign(ctx context.Context, in Use) ([]Signature, error) {
	u, err := in.use()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	grant, key, why := g.door.permitted(ctx, u)
	if why != nil {
		return nil, g.door.counted(why)
	}
	values, indexes, why := g.door.sign(ctx, u, grant, key)
	if why != nil {
		return nil, g.door.counted(why)
	}
	signatures := make([]Signature, len(values))
	for i := range values {
		signatures[i] = Signature{values[i], indexes[i]}
	}
	return signatures, nil
}

// May says whether Sign would find grant and key, without using them: nothing is counted but the application's rate.
// The error is as Sign's, and is audited as a refusal of Sign is.
func (g *Gateway) May(ctx context.Context, in Use) error {
	u, err := in.use()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	if _, _, why := g.door.permitted(ctx, u); why != nil {
		return g.door.counted(why)
	}
	return nil
}

// Refused audits and counts that an interface refuses a use for a reason of its own, and returns the reason, whose Type
// names the rule. Which key it was about is taken from the use, who asked from its certificate.
func (g *Gateway) Refused(ctx context.Context, in Use, rule, format string, args ...any) error {
	why := refuse(http.StatusForbidden, rule, format, args...)
	u, err := in.use()
	if err != nil || u.client == nil {
		return g.door.counted(why)
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	grant := Grant{}
	if grants, err := g.door.grants(ctx, u.client); err == nil {
		if grant, _ = g.door.choose(grants, u.keyID); grant.KeyID == "" {
			grant = g.door.stranger(ctx, u.client, grants)
		}
	}
	g.door.refused(ctx, u, grant, why)
	return g.door.counted(why)
}

// Admit refuses a client that may use no key now, and holds others to their rate: for what uses no key, such as
// time-stamps. The error is a *problem.Problem.
func (g *Gateway) Admit(ctx context.Context, client *x509.Certificate) error {
	if why := g.door.welcome(ctx, &caller{client}); why != nil {
		return g.door.counted(why)
	}
	return nil
}

// Keys describes the keys that authorisations name for the holder of the certificate, those that may not be used now
// last. The error is a *problem.Problem.
func (g *Gateway) Keys(ctx context.Context, client *x509.Certificate) ([]KeyDescription, error) {
	in := &struct{ caller }{}
	in.certificate = client
	out, err := g.door.list(ctx, in)
	if err != nil {
		return nil, &asRefusal(err).Problem
	}
	return out.Body.Keys, nil
}

// Key describes one of Keys. A key that no authorisation names for the caller is not there for it, whoever else has it.
func (g *Gateway) Key(ctx context.Context, client *x509.Certificate, id string) (KeyDescription, error) {
	grants, err := g.door.grants(ctx, client)
	if err != nil {
		return KeyDescription{}, &asRefusal(err).Problem
	}
	_, none := g.door.choose(nil, id)
	if !slices.Contains(keysOf(grants), id) {
		return KeyDescription{}, &none.Problem
	}
	described, there, err := g.door.described(ctx, grants, id)
	switch {
	case err != nil:
		return KeyDescription{}, &asRefusal(err).Problem
	case !there:
		return KeyDescription{}, &none.Problem
	}
	return described, nil
}

// Application names who the holder of a certificate is in the audit log, "" where no authorisation knows it. The error
// is a *problem.Problem.
func (g *Gateway) Application(ctx context.Context, client *x509.Certificate) (string, error) {
	grants, err := g.door.grants(ctx, client)
	if err != nil {
		return "", &asRefusal(err).Problem
	}
	if len(grants) == 0 {
		return "", nil
	}
	return grants[len(grants)-1].Application, nil
}

// use is what the door knows of it.
func (in Use) use() (*use, error) {
	u := &use{client: in.Client, keyID: in.KeyID, via: in.Via}
	if u.client != nil {
		u.print = sha256.Sum256(u.client.Raw)
	}
	switch {
	case !keyIDs.MatchString(in.KeyID):
		return nil, problem.Refuse(http.StatusBadRequest, "a key's ID has 32 hexadecimal digits, in lower case")
	case len(in.Digests) == 0 || len(in.Digests) > MaxBatch:
		return nil, problem.Refuse(http.StatusBadRequest, "1 to %d digests are taken", MaxBatch)
	}
	if p := u.take(in.Mechanism, in.Document, in.Digests, "digests"); p != nil {
		return nil, p
	}
	return u, nil
}

// counted counts a refusal, and is what may be told of it.
func (g *gateway) counted(why *refusal) error {
	g.metrics.requests.WithLabelValues(why.rule).Inc()
	return &why.Problem
}

// Rule is the name of the rule that an error of this package refuses by, "" for what is none.
func Rule(err error) string {
	var p *problem.Problem
	if !errors.As(err, &p) || len(p.Type) <= len(problemType) || p.Type[:len(problemType)] != problemType {
		return ""
	}
	return p.Type[len(problemType):]
}
