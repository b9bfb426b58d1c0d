package ocsp

import (
	"context"
	"math/big"
	"sync"
	"time"
)

// keeper holds signed answers by serial number and by the DER of the CertID that asked.
type keeper struct {
	mu      sync.RWMutex
	entries map[string]map[string]*entry // guarded by mu
	count   int                          // guarded by mu
}

// entry is one kept answer.
type entry struct {
	response response
	renewing sync.Mutex // held by the one request that renews
	retry    time.Time  // guarded by renewing
}

func (k *keeper) find(serial, certID []byte) *entry {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.entries[string(serial)][string(certID)]
}

// keptAnswer gives the kept answer, signs one when there is none, and renews it at half of its life. When renewing fails the
// old one serves until its nextUpdate: the key may be away for a while.
func (r *Responder) keptAnswer(ctx context.Context, id CertID) response {
	now := r.cfg.Now()
	old := r.kept.find(id.Serial.Bytes(), id.Raw)
	if old == nil || !old.response.serves(now) {
		return r.keep(ctx, id)
	}
	half := old.response.thisUpdate.Add(old.response.nextUpdate.Sub(old.response.thisUpdate) / 2)
	if now.Before(half) || !old.renewing.TryLock() {
		return old.response
	}
	defer old.renewing.Unlock()
	if now.Before(old.retry) {
		return old.response
	}
	old.retry = now.Add(retryAfter)
	if fresh := r.keep(ctx, id); fresh.etag != "" {
		return fresh
	}
	return old.response
}

// keep signs an answer and keeps it, unless a status changed meanwhile or the certificate is unknown: strangers' serial numbers
// must not fill the memory.
func (r *Responder) keep(ctx context.Context, id CertID) response {
	changes := r.changes.Load()
	signed, err := r.sign(ctx, &Request{CertIDs: []CertID{id}})
	if err != nil {
		return r.refusal(err)
	}
	if !signed.cacheable {
		return signed
	}
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	if r.changes.Load() != changes || r.kept.count >= maxKept {
		return signed
	}
	r.kept.put(id.Serial.Bytes(), id.Raw, signed)
	if r.cfg.Keep != nil {
		r.cfg.Keep(Kept{Serial: id.Serial, CertID: id.Raw, Response: signed.der, Status: signed.status,
			ThisUpdate: signed.thisUpdate, NextUpdate: signed.nextUpdate})
	}
	return signed
}

// put keeps an answer. The caller holds mu.
func (k *keeper) put(serial, certID []byte, answer response) {
	byCertID := k.entries[string(serial)]
	if byCertID == nil {
		byCertID = map[string]*entry{}
		k.entries[string(serial)] = byCertID
	}
	if byCertID[string(certID)] == nil {
		k.count++
	}
	byCertID[string(certID)] = &entry{response: answer}
}

// serves reports whether the answer may be given out: it has not ended, and was not made by a clock that ran ahead.
func (a response) serves(now time.Time) bool {
	return now.Before(a.nextUpdate) && !a.thisUpdate.After(now.Add(skew))
}

// Kept is a signed answer about one certificate.
type Kept struct {
	Serial                 *big.Int
	CertID, Response       []byte // DER
	Status                 Status // what the answer says
	ThisUpdate, NextUpdate time.Time
}

// Restore keeps an answer that Config.Keep was told of earlier. One that does not serve now is left out; that it still says what is
// so is the caller's to check.
func (r *Responder) Restore(k Kept) {
	answer := response{der: k.Response, thisUpdate: k.ThisUpdate.UTC(), nextUpdate: k.NextUpdate.UTC(), etag: etag(k.Response),
		status: k.Status, cacheable: true}
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	if answer.serves(r.cfg.Now()) && r.kept.count < maxKept {
		r.kept.put(k.Serial.Bytes(), k.CertID, answer)
	}
}

// Forget drops the kept answers for a serial number. An answer that is being signed at this moment is given once and not kept.
func (r *Responder) Forget(serial *big.Int) {
	r.changes.Add(1)
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	r.kept.count -= len(r.kept.entries[string(serial.Bytes())])
	delete(r.kept.entries, string(serial.Bytes()))
}

// ForgetAll drops every kept answer: those of a delegate that is no longer to be trusted.
func (r *Responder) ForgetAll() {
	r.changes.Add(1)
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	r.kept.entries, r.kept.count = map[string]map[string]*entry{}, 0
}

// Presign signs and keeps the answers that RFC 5019 clients (SHA-1) and newer ones (SHA-256) will ask for.
func (r *Responder) Presign(ctx context.Context, serials []*big.Int) error {
	for _, serial := range serials {
		for _, known := range certIDHashes[:2] {
			if err := ctx.Err(); err != nil {
				return err
			}
			id, err := newCertID(known.hash, r.issuer[known.hash], serial)
			if err != nil {
				return err
			}
			r.keptAnswer(ctx, id)
		}
	}
	return nil
}
