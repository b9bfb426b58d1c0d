package pki_test

import (
	"math/big"
	"testing"
	"time"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/load"
)

// acts are what is asked of a site over HTTP, and the signatures behind it.
func acts(t testing.TB, s *site, concurrency int) map[string]load.Act {
	t.Helper()
	var serials []*big.Int
	for range 16 {
		serials = append(serials, s.issue(t, pki.PartnerClient, office).SerialNumber)
	}
	client := load.Client(concurrency)
	t.Cleanup(client.CloseIdleConnections)
	cached, err := load.OCSP(client, s.base+"/ocsp", s.made.Issuing.Certificate, serials, false)
	if err != nil {
		t.Fatal(err)
	}
	nonce, err := load.OCSP(client, s.base+"/ocsp", s.made.Issuing.Certificate, serials, true)
	if err != nil {
		t.Fatal(err)
	}
	stamps, err := load.TSA(client, s.base+"/tsa")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]load.Act{"ocsp-cached": cached, "ocsp-nonce": nonce, "tsa": stamps, "signer": load.Signer(s.made.OCSP.Key)}
}

func TestLoadChecksItsAnswers(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	for name, act := range acts(t, s, 2) {
		result, err := load.Measure(t.Context(), 50*time.Millisecond, 2, act)
		if err != nil || result.Count == 0 || result.P99 < result.P50 {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
	wrong, err := load.OCSP(load.Client(1), s.base+"/ocsp", s.made.Root.Certificate, []*big.Int{big.NewInt(1)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load.Measure(t.Context(), 50*time.Millisecond, 2, wrong); err == nil {
		t.Error("answers of another issuer counted as right")
	}
	if _, err := load.OCSP(nil, "", s.made.Root.Certificate, nil, false); err == nil {
		t.Error("no serial numbers")
	}
}

// BenchmarkHTTP measures answers over HTTP at 16 connections; clients and server share the machine. The signer of the same run is the limit of
// what is signed live.
func BenchmarkHTTP(b *testing.B) {
	s := open(b, storetest.SQLite(b))
	const concurrency = 16
	for name, act := range acts(b, s, concurrency) {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(concurrency / 2)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := act(b.Context()); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}
