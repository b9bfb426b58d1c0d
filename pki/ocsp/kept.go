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
	if old == nil || !now.Before(old.response.nextUpdate) {
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
	serial := string(id.Serial.Bytes())
	byCertID := r.kept.entries[serial]
	if byCertID == nil {
		byCertID = map[string]*entry{}
		r.kept.entries[serial] = byCertID
	}
	if byCertID[string(id.Raw)] == nil {
		r.kept.count++
	}
	byCertID[string(id.Raw)] = &entry{response: signed}
	return signed
}

// Forget drops the kept answers for a serial number. An answer that is being signed at this moment is given once and not kept.
func (r *Responder) Forget(serial *big.Int) {
	r.changes.Add(1)
	r.kept.mu.Lock()
	defer r.kept.mu.Unlock()
	r.kept.count -= len(r.kept.entries[string(serial.Bytes())])
	delete(r.kept.entries, string(serial.Bytes()))
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
