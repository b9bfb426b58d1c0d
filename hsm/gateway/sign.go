package gateway

import (
	"context"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"trustcore/hsm"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

// answer is how REST uses a key: permitted, then sign, in this order, as every interface does (see Sign). A request
// that was answered before is authorised again, and its answer given again.
func (g *gateway) answer(ctx context.Context, u *use) (answer []byte, replayed bool, why *refusal) {
	grant, key, why := g.permitted(ctx, u)
	if why != nil {
		return nil, false, why
	}
	if u.again == "" {
		answer, why = g.answerOnce(ctx, u, grant, key)
		return answer, false, why
	}
	before, mine, why := g.answers.begin(ctx, u, g.Now())
	if mine == nil {
		return before, true, why
	}
	defer func() { g.answers.end(u, mine, answer) }()
	answer, why = g.answerOnce(ctx, u, grant, key)
	return answer, false, why
}

// answerOnce makes the uses and writes their answer.
func (g *gateway) answerOnce(ctx context.Context, u *use, grant Grant, key *hsm.Key) ([]byte, *refusal) {
	signatures, indexes, why := g.sign(ctx, u, grant, key)
	if why != nil {
		return nil, why
	}
	return u.encode(signatures, indexes), nil
}

// permitted holds the application to its rate, and finds grant and key.
func (g *gateway) permitted(ctx context.Context, u *use) (Grant, *hsm.Key, *refusal) {
	if why := g.admit(u); why != nil {
		return Grant{}, nil, why
	}
	return g.authorised(ctx, u)
}

// authorised finds grant and key, or why there is none, which is in the audit log then.
func (g *gateway) authorised(ctx context.Context, u *use) (Grant, *hsm.Key, *refusal) {
	grant, why, err := g.authorise(ctx, u.client, u.keyID)
	if err != nil {
		return Grant{}, nil, asRefusal(err)
	}
	if why == nil && !u.decrypts { // what was encrypted for a version is decrypted by that, whatever follows it
		why = grant.Version.refusal(g.Now())
	}
	var key *hsm.Key
	if why == nil {
		key, why, err = g.key(ctx, grant, u)
	}
	if err != nil {
		return Grant{}, nil, asRefusal(err)
	}
	if why != nil {
		g.refused(ctx, u, grant, why)
		return Grant{}, nil, why
	}
	return grant, key, nil
}

// sign makes the uses, all of which must have a signature in the end, each with its index in the audit log: written
// down first, then made.
func (g *gateway) sign(ctx context.Context, u *use, grant Grant, key *hsm.Key) (signatures [][]byte, indexes []uint64, no *refusal) {
	n := int64(len(u.digests))
	defer g.inFlight.Add(-n)
	if g.inFlight.Add(n) > int64(g.InFlight) {
		return nil, nil, refuse(http.StatusServiceUnavailable, "overload", "too many signatures are in progress; try again in a moment")
	}
	counted, why := g.limited(ctx, u, grant)
	if why != nil {
		g.refused(ctx, u, grant, why)
		return nil, nil, why
	}
	signatures, indexes = make([][]byte, n), make([]uint64, n)
	left := make([]int, n) // the places of those that have none yet
	for i := range left {
		left[i] = i
	}
	for round := 1; ; round++ {
		var why error
		if left, why = g.round(ctx, u, grant, key, left, signatures, indexes); len(left) == 0 {
			g.metrics.requests.WithLabelValues("signed").Add(float64(n))
			return signatures, indexes, nil
		}
		uncertain := errors.Is(why, hsm.ErrUncertain)
		if !uncertain || round == maxUses || ctx.Err() != nil {
			if len(counted) > 0 && !uncertain {
				g.Meter.Give(counted, int64(len(left)))
			}
			return nil, nil, asRefusal(g.unavailable(why))
		}
	}
}

// errNoEntry stands for a use that the audit log did not take.
var errNoEntry = refuse(http.StatusServiceUnavailable, "audit-unavailable", "the audit log can't be written, so nothing is signed")

// round writes the entries of the uses at these places and has the token sign. Those that came to nothing have a second
// entry, and are left with the reason of the first; when nobody knows what became of them, they may be made once more,
// as other uses with entries of their own.
func (g *gateway) round(ctx context.Context, u *use, grant Grant, key *hsm.Key, places []int,
	signatures [][]byte, indexes []uint64) (left []int, why error) {
	digests := make([][]byte, len(places))
	for i, place := range places {
		digests[i] = u.digests[place]
	}
	entries := g.entries(u, grant, digests)
	receipt, err := g.append(ctx, entries...)
	if err != nil {
		g.Logger.Error("no signature without an audit entry", "error", err)
		return places, errNoEntry
	}
	var failed []audit.Entry
	for i, s := range key.SignDigests(ctx, u.mechanism, digests) {
		place := places[i]
		signatures[place], indexes[place] = s.Signature, receipt.Index+uint64(i)
		if s.Err == nil {
			continue
		}
		if why == nil {
			why = s.Err
		}
		e := entries[i]
		e.Time, e.Outcome, e.Reason = g.Now(), audit.Failed, s.Err.Error()
		e.Details["granted"] = strconv.FormatUint(indexes[place], 10)
		left, failed = append(left, place), append(failed, e)
	}
	if len(failed) > 0 { // also when the caller has gone
		if _, err := g.append(context.WithoutCancel(ctx), failed...); err != nil {
			g.Logger.Error("failed uses have no second audit entry", "error", err, "uses", len(failed),
				"granted", failed[0].Details["granted"])
		}
	}
	return left, why
}

// append writes audit entries in their time: a log that hangs must be told apart from a token that does.
func (g *gateway) append(ctx context.Context, entries ...audit.Entry) (audit.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return g.Audit.AppendAll(ctx, entries)
}

// key returns the key if it may sign, or decrypt, what is asked.
func (g *gateway) key(ctx context.Context, grant Grant, u *use) (*hsm.Key, *refusal, error) {
	m := u.mechanism
	for _, d := range u.digests {
		if u.decrypts {
			break // it is the digest of that
		}
		if err := m.CheckDigest(d); err != nil {
			return nil, refuse(http.StatusBadRequest, "digest", "a digest has %d bytes, %s signs digests of %d", len(d), m, m.Hash().Size()), nil
		}
	}
	if !slices.Contains(grant.Mechanisms, m) {
		return nil, refuse(http.StatusForbidden, "mechanism-not-granted", "the authorisation of order %s allows %s, not %s", grant.Order,
			names(grant.Mechanisms), m), nil
	}
	key, err := g.cached(ctx, grant.KeyID)
	switch {
	case errors.Is(err, hsm.ErrNotActive), errors.Is(err, hsm.ErrUnknownKey):
		return nil, asRefusal(g.unavailable(err)), nil
	case err != nil:
		return nil, nil, g.unavailable(err)
	}
	info := key.Info()
	if info.Partner != grant.Partner {
		g.Logger.Error("a grant names another partner's key", "order", grant.Order, "partner", grant.Partner,
			"key", info.ID, "owner", info.Partner)
		return nil, refuse(http.StatusForbidden, "no-authorisation",
			"no authorisation lets this application use this key"), nil
	}
	if !info.Allows(m) {
		return nil, refuse(http.StatusForbidden, "mechanism-not-allowed", "the key signs by %s, not by %s", names(info.Mechanisms), m), nil
	}
	if public, is := info.Public.(*rsa.PublicKey); u.decrypts && (!is || len(u.ciphertext) != public.Size()) {
		return nil, refuse(http.StatusBadRequest, "ciphertext", "the ciphertext has %d bytes, not as many as the key's modulus",
			len(u.ciphertext)), nil
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

// entries are the audit entries of the uses of these digests. Those of several stand one behind the other in the log,
// and say which of how many they are; the first alone names the certificate.
func (g *gateway) entries(u *use, grant Grant, digests [][]byte) []audit.Entry {
	all := make([]audit.Entry, len(digests))
	for i, d := range digests {
		if i == 0 {
			all[i] = g.entryOf(u, grant)
		} else {
			all[i] = all[0]
			all[i].Details = map[string]string{}
		}
		if len(digests) > 1 {
			all[i].Details["batch"] = fmt.Sprintf("%d/%d", i+1, len(digests))
		}
		all[i].Details["mechanism"], all[i].Details[u.what()] = string(u.mechanism), hex.EncodeToString(d)
		if n := grant.Version.Number; n > 0 {
			all[i].Details["version"] = strconv.Itoa(n)
		}
		if u.document != "" {
			all[i].Details["document"] = u.document
		}
		if u.via != "" {
			all[i].Details["via"] = u.via
		}
	}
	return all
}

// entryOf says who asks for which key.
func (g *gateway) entryOf(u *use, grant Grant) audit.Entry {
	print := hex.EncodeToString(u.print[:])
	e := audit.Entry{
		Time: g.Now(), Actor: audit.Actor{Kind: "application", ID: grant.Application}, Action: u.action(), Subject: u.keyID,
		Partner: grant.Partner, Order: grant.Order, Outcome: audit.Granted,
		Details: map[string]string{"certificate": print, "serial": u.client.SerialNumber.Text(16)},
	}
	if e.Actor.ID == "" { // nobody that an authorisation knows
		e.Actor.ID = u.client.Subject.String()
	}
	if e.Actor.ID == "" {
		e.Actor.ID = print
	}
	return e
}

// admit holds an application to its rate.
func (g *gateway) admit(u *use) *refusal {
	if u.client == nil {
		return noCertificate()
	}
	if !g.own(u).AllowN(g.Now(), len(u.digests)) {
		return refuse(http.StatusTooManyRequests, "rate", "the application asks for more than %g signatures a second", g.Rate)
	}
	return nil
}
