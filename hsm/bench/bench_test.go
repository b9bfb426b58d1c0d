package bench_test

import (
	"context"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/bench"
	"trustcore/hsm/gateway"
	"trustcore/hsm/hsmtest"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

func TestRunMeasuresEveryWay(t *testing.T) {
	if _, err := os.Stat(hsmtest.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	figures, err := bench.Run(t.Context(), bench.Config{
		Worker: []string{"/proc/self/exe", "hsm-worker"}, ModulePath: hsmtest.SoftHSM, Dir: t.TempDir(), Duration: 500 * time.Millisecond,
		Callers: []int{1, 3}, Authorise: authorise})
	if err != nil || len(figures) != 4 {
		t.Fatal(len(figures), err)
	}
	for _, f := range figures {
		for _, way := range []string{bench.Direct, bench.Worker, bench.Floor, bench.Single, bench.Batch} {
			if r := f.Ways[way]; r.PerSecond <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
				t.Errorf("%s, %d callers, %s: %+v", f.Algorithm, f.Callers, way, r)
			}
		}
		if f.Ways[bench.Single].Written < 300 || f.Ways[bench.Batch].Written < 300 { // at least its entry
			t.Errorf("%s: octets written: %+v", f.Algorithm, f.Ways)
		}
	}
}

func authorise(_ context.Context, _ *store.DB, _ *audit.Log, partner string, keys []hsm.KeyInfo) (bench.Grants, error) {
	var grants []gateway.Grant
	for _, k := range keys {
		grants = append(grants, gateway.Grant{Partner: partner, Application: "ezd", KeyID: k.ID, Mechanisms: k.Mechanisms, Active: true})
	}
	return func(context.Context, *x509.Certificate) ([]gateway.Grant, error) { return grants, nil }, nil
}
