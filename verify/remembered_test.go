package verify

import (
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/cache"
)

// TestRememberedConformance judges every sample at the instants that its report names and beside them, forwards and
// backwards, with a memory of chains that all samples fill, and without: the reports are the same.
func TestRememberedConformance(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	run := trials[len(trials)-1]
	without := corpusEvidence(t, corpus, run.lists)
	with := *without
	var err error
	if with.Cache, err = cache.New(cache.Config{Certificates: 10_000, Verdicts: 50_000, Evidence: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	for _, s := range samples(t, corpus, run.oracle) {
		doc := openSample(t, corpus, s)
		if doc == nil {
			continue
		}
		judge := func(ev *Evidence, at time.Time) *Report {
			r, err := Judge(budget.New(t.Context(), 64<<20), doc, ev, DefaultPolicy(), at)
			if err != nil {
				t.Fatalf("%s: %v", s.File, err)
			}
			return r
		}
		times := instantsOf(judge(without, run.at), run.at)
		for range 2 {
			for _, at := range times {
				if got, want := judge(&with, at), judge(without, at); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s at %s: with a memory %+v, without %+v", s.File, at, got.Signatures, want.Signatures)
				}
			}
			slices.Reverse(times)
		}
	}
}

// maxTimes bounds the times at which one sample is judged.
const maxTimes = 24

// instantsOf are the instants of a report and those beside them, the validation time too.
func instantsOf(r *Report, at time.Time) []time.Time {
	instants := []time.Time{at}
	for _, s := range r.Signatures {
		instants = append(instants, s.BestSignatureTime)
		for _, c := range s.Chain {
			instants = append(instants, c.NotBefore, c.NotAfter)
			if c.RevokedAt != nil {
				instants = append(instants, *c.RevokedAt)
			}
		}
		for _, stamp := range s.Timestamps {
			if stamp.Time != nil {
				instants = append(instants, *stamp.Time)
			}
		}
	}
	var list []time.Time
	for _, t := range instants {
		list = append(list, t.Add(-time.Second), t, t.Add(1500*time.Millisecond))
	}
	slices.SortFunc(list, time.Time.Compare)
	list = slices.CompactFunc(list, time.Time.Equal)
	return list[max(0, len(list)-maxTimes):]
}
