package csc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"
	"time"
)

// maxCallers is how many callers' tickets are remembered; beyond, all are forgotten, and asked for anew.
const maxCallers = 4096

// secretSize is the length of a secret in octets before it is written in base64.
const secretSize = 32

// tickets keeps what secrets stand for that were handed out, each to one caller. The secrets themselves are not kept.
// It is safe for concurrent use.
type tickets[T any] struct {
	most int // of one caller

	mu      sync.Mutex
	of      map[[sha256.Size]byte]ticket[T]           // guarded by mu; by the secret's digest
	callers map[[sha256.Size]byte][][sha256.Size]byte // guarded by mu; digests of a caller's secrets, the oldest first
}

// ticket is what a secret stands for.
type ticket[T any] struct {
	caller [sha256.Size]byte
	ends   time.Time
	value  T
}

// give makes a secret that stands for the value until ends, if the caller shows it.
func (t *tickets[T]) give(caller [sha256.Size]byte, value T, ends time.Time) string {
	var raw [secretSize]byte
	_, _ = rand.Read(raw[:]) // which never fails
	secret := base64.RawURLEncoding.EncodeToString(raw[:])
	digest := sha256.Sum256([]byte(secret))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || t.callers[caller] == nil && len(t.callers) >= maxCallers {
		t.of, t.callers = map[[sha256.Size]byte]ticket[T]{}, map[[sha256.Size]byte][][sha256.Size]byte{}
	}
	if all := t.callers[caller]; len(all) >= t.most {
		delete(t.of, all[0])
		t.callers[caller] = all[1:]
	}
	t.of[digest] = ticket[T]{caller, ends, value}
	t.callers[caller] = append(t.callers[caller], digest)
	return secret
}

// find returns what the caller's secret stands for now, and false where it stands for nothing: of another caller's one,
// or one that has ended, no more is said. What is spent is found once.
func (t *tickets[T]) find(caller [sha256.Size]byte, secret string, now time.Time, spend bool) (value T, found bool) {
	digest := sha256.Sum256([]byte(secret))
	t.mu.Lock()
	defer t.mu.Unlock()
	k, there := t.of[digest]
	if !there || k.caller != caller {
		return value, false
	}
	over := !now.Before(k.ends)
	if spend || over {
		t.forget(digest, k.caller)
	}
	if over {
		return value, false
	}
	return k.value, true
}

// forget is called with t.mu.
func (t *tickets[T]) forget(digest, caller [sha256.Size]byte) {
	delete(t.of, digest)
	left := slices.DeleteFunc(t.callers[caller], func(d [sha256.Size]byte) bool { return d == digest })
	if len(left) == 0 {
		delete(t.callers, caller)
		return
	}
	t.callers[caller] = left
}
