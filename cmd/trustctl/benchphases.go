package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/judge"
	"trustcore/verify/signature"
)

// phaseRounds is how often each phase of each document is timed.
const phaseRounds = 5

// phases tells where the time of a document goes, warm, in microseconds: a pass of its own beside the measured turns, with
// the median of each phase of each document. Hash and public key are those of the limit; what is hashed or verified
// besides belongs to the phase that does it.
func (mix *benchMix) phases(ctx context.Context) (map[string]any, error) {
	sums := map[string]time.Duration{}
	for _, d := range mix.documents {
		times, err := d.phases(cache.Within(ctx, mix.evidence.Cache), mix)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		open, judged, whole := median(times["open"]), median(times["judge"]), median(times["verdict"])
		hash, key := median(times["hash"]), median(times["public_key"])
		sums["hash"], sums["public_key"] = sums["hash"]+hash, sums["public_key"]+key
		sums["parse"] += max(0, open-hash-key)
		sums["path"] += judged
		sums["report"] += max(0, whole-judged)
	}
	details := map[string]any{}
	for name, sum := range sums {
		details[name] = microseconds(sum) / float64(len(mix.documents))
	}
	return details, nil
}

// phases times what a document goes through.
func (d *benchDocument) phases(ctx context.Context, mix *benchMix) (map[string][]time.Duration, error) {
	times, policy := map[string][]time.Duration{}, verify.DefaultPolicy()
	var failure error
	phase := func(name string, act func() error) {
		begun := time.Now()
		if err := act(); err != nil && failure == nil {
			failure = err
		}
		times[name] = append(times[name], time.Since(begun))
	}
	for range phaseRounds {
		b := budget.New(ctx, len(d.data))
		var doc *signature.Document
		phase("open", func() (err error) { doc, err = verify.Open(b, d.data, d.detached...); return err })
		if failure != nil {
			return nil, failure
		}
		limit := bare(doc, d.data, d.detached, mix.roots, &mix.evidence)
		phase("hash", func() error { limit.hash(); return ctx.Err() })
		phase("public_key", func() error { return limit.verify(limit.own) })
		phase("judge", func() error { _, err := judge.Judge(b, doc, &mix.evidence, policy, d.at); return err })
		phase("verdict", func() error { _, err := verify.Judge(b, doc, &mix.evidence, policy, d.at); return err })
	}
	return times, failure
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
