package bench_test

import (
	"context"
	"os"
	"testing"
	"time"

	"trustcore/hsm/bench"
	"trustcore/hsm/hsmtest"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

func run(t testing.TB, d time.Duration, concurrency int) []bench.Figures {
	t.Helper()
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	figures, err := bench.Run(context.Background(), bench.Config{
		Worker: []string{"/proc/self/exe", "hsm-worker"}, ModulePath: hsmtest.SoftHSM, Dir: t.TempDir(), Duration: d, Concurrency: concurrency})
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

func TestRunMeasuresEveryWay(t *testing.T) {
	for _, f := range run(t, 500*time.Millisecond, 2) {
		if f.Direct.PerSecond <= 0 || f.Worker.PerSecond <= 0 || f.Gateway.PerSecond <= 0 || f.Gateway.P99 < f.Gateway.P50 {
			t.Errorf("%+v", f)
		}
	}
}

// BenchmarkGateway reports rates and their ratios to direct PKCS#11; its own time an operation means nothing.
func BenchmarkGateway(b *testing.B) {
	for _, f := range run(b, 20*time.Second, 32) {
		b.Run(string(f.Algorithm), func(b *testing.B) {
			for b.Loop() {
			}
			b.ReportMetric(f.Direct.PerSecond, "direct/s")
			b.ReportMetric(f.Worker.PerSecond/f.Direct.PerSecond, "worker/direct")
			b.ReportMetric(f.Gateway.PerSecond/f.Direct.PerSecond, "gateway/direct")
			b.ReportMetric(float64(f.Gateway.P50.Microseconds()), "gateway-p50-us")
			b.ReportMetric(0, "ns/op")
		})
	}
}
