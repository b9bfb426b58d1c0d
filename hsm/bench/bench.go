// Package bench measures signing through the gateway against the same kind of keys by PKCS#11 directly, and against
// what no gateway could go below, in one run, since absolute figures do not last from one machine to the next.
package bench

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

// Config tells Run what to measure with.
type Config struct {
	Worker     []string      // the command that calls worker.Main
	ModulePath string        // SoftHSM2's module
	Dir        string        // an empty folder for two tokens, a registry and an audit log
	Duration   time.Duration // of the whole measurement
	Callers    []int         // how many at a time, one row of figures each

	// Authorise lets an application use the keys, by a registry in the database and the audit log given, and returns
	// where the gateway asks for its grants.
	Authorise func(ctx context.Context, db *store.DB, log *audit.Log, partner string, keys []hsm.KeyInfo) (Grants, error)
}

// Grants is gateway.Config's.
type Grants func(ctx context.Context, client *x509.Certificate) ([]gateway.Grant, error)

// Algorithms are the kinds of keys that are measured.
var Algorithms = []hsm.Algorithm{hsm.P256, hsm.RSA3072}

// BatchSize is how many digests a batch has.
const BatchSize = 64

// Ways of signing, as Figures has them.
const (
	Direct = "direct" // PKCS#11 in this process
	Worker = "worker" // through the worker process
	Floor  = "floor"  // through the worker process, and an empty request over mutual TLS
	Single = "single" // through the gateway, a request a digest
	Batch  = "batch"  // through the gateway, BatchSize digests a request, of 16 callers at most
)

// Figures are what was measured of one kind of key and number of callers.
type Figures struct {
	Algorithm hsm.Algorithm
	Callers   int
	Ways      map[string]Rate
}

// Rate is a speed and its times.
type Rate struct {
	PerSecond float64       // signatures
	P50, P99  time.Duration // of a request
	Processor time.Duration // a signature, of this process and the worker's: clients and servers
	Written   float64       // octets given to write(2) a signature, without those of network connections
}

// turns is how often the ways take turns, so that a busy moment of the machine hits all alike.
const turns = 4

// Run makes its own tokens and leaves the caller's alone.
func Run(ctx context.Context, cfg Config) ([]Figures, error) {
	if len(cfg.Worker) == 0 || cfg.ModulePath == "" || cfg.Dir == "" || cfg.Duration <= 0 || len(cfg.Callers) == 0 ||
		slices.Min(cfg.Callers) < 1 || cfg.Authorise == nil {
		return nil, errors.New("HSM benchmark: Worker, ModulePath, Dir, Duration, Callers and Authorise are needed")
	}
	b := &bench{cfg: cfg}
	defer b.close()
	if err := b.build(ctx); err != nil {
		return nil, fmt.Errorf("HSM benchmark: %w", err)
	}
	slice := cfg.Duration / time.Duration(len(Algorithms)*len(cfg.Callers)*5*turns)
	var all []Figures
	for _, a := range Algorithms {
		for _, callers := range cfg.Callers {
			f, err := b.measure(ctx, a, callers, slice)
			if err != nil {
				return nil, fmt.Errorf("HSM benchmark: %s: %w", a, err)
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// measure lets the ways take turns.
func (b *bench) measure(ctx context.Context, a hsm.Algorithm, callers int, slice time.Duration) (Figures, error) {
	f := Figures{Algorithm: a, Callers: callers, Ways: map[string]Rate{}}
	sums := map[string]*sum{}
	for range turns {
		for _, w := range b.ways(a) {
			if sums[w.name] == nil {
				sums[w.name] = &sum{signatures: w.signatures}
			}
			some := min(callers, inFlight/w.signatures) // more would be shed
			if err := b.hammer(ctx, w.sign, some, slice, sums[w.name]); err != nil {
				return f, fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	for name, s := range sums {
		f.Ways[name] = s.rate()
	}
	return f, nil
}

// sum is what one way did in all its turns.
type sum struct {
	signatures int // a call
	taken      []time.Duration
	total      time.Duration
	processor  time.Duration
	written    int64
}

func (s *sum) rate() Rate {
	if len(s.taken) == 0 {
		return Rate{}
	}
	slices.Sort(s.taken)
	n := float64(len(s.taken) * s.signatures)
	return Rate{PerSecond: n / s.total.Seconds(), P50: s.taken[len(s.taken)/2], P99: s.taken[len(s.taken)*99/100],
		Processor: time.Duration(float64(s.processor) / n), Written: float64(s.written) / n}
}

// hammer signs from all callers for a while.
func (b *bench) hammer(ctx context.Context, sign func(context.Context) error, callers int, slice time.Duration, into *sum) error {
	before, err := b.usage()
	if err != nil {
		return err
	}
	begun := time.Now()
	var mu sync.Mutex
	var failure error
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			var taken []time.Duration
			var err error
			for err == nil && ctx.Err() == nil && time.Since(begun) < slice {
				start := time.Now()
				err = sign(ctx)
				taken = append(taken, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			into.taken, failure = append(into.taken, taken...), errors.Join(failure, err)
		})
	}
	running.Wait()
	into.total += time.Since(begun)
	after, err := b.usage()
	into.processor += after.processor - before.processor
	into.written += after.written - before.written
	return errors.Join(failure, err, ctx.Err())
}
