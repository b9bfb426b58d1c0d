package bench_test

import (
	"testing"
	"time"

	"trustcore/vpn/bench"
)

func TestReconcile(t *testing.T) {
	r, err := bench.Reconcile(t.Context(), 50, 30*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.Full <= 0 || len(r.NoOp) < 3 || len(r.Look) < 3 || len(r.OneChange) < 3 {
		t.Errorf("measured %+v", r)
	}
	for _, peers := range []int{0, bench.MaxPeers + 1} {
		if _, err := bench.Reconcile(t.Context(), peers, time.Millisecond); err == nil {
			t.Errorf("%d peers were taken", peers)
		}
	}
}

func BenchmarkReconcile1000(b *testing.B) {
	for b.Loop() {
		r, err := bench.Reconcile(b.Context(), 1000, time.Second)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(r.Full.Microseconds()), "full-us")
		b.ReportMetric(float64(r.NoOp[len(r.NoOp)/2].Microseconds()), "no-op-us")
		b.ReportMetric(float64(r.OneChange[len(r.OneChange)/2].Microseconds()), "one-change-us")
		b.ReportMetric(float64(r.Look[len(r.Look)/2].Microseconds()), "look-us")
		if len(r.Syncconf) > 0 {
			sync := float64(r.Syncconf[len(r.Syncconf)/2])
			b.ReportMetric(float64(r.OneChange[len(r.OneChange)/2])/sync, "one-change/syncconf")
			b.ReportMetric(float64(r.Look[len(r.Look)/2])/sync, "look/syncconf")
		}
	}
}
