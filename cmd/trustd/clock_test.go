package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/pki/clock"
)

// stamp asks for a time-stamp, and returns the status and what is wrong with it (RFC 3161, 2.4.2).
func (w *world) stamp() (status int, failure asn1.BitString) {
	w.t.Helper()
	type imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	digest := sha256.Sum256([]byte("a document"))
	request, err := asn1.Marshal(struct {
		Version int
		Imprint imprint
		CertReq bool
	}{1, imprint{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}, digest[:]}, true})
	w.must(err)
	response, err := http.Post(w.url("pki")+"/pki/tsa", "application/timestamp-query", bytes.NewReader(request))
	w.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	w.must(err)
	var reply struct {
		Status struct {
			Status  int
			Text    []string       `asn1:"optional"`
			Failure asn1.BitString `asn1:"optional"`
		}
		Token asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(body, &reply); err != nil {
		w.t.Fatalf("%s: %v: %q", response.Status, err, body)
	}
	return reply.Status.Status, reply.Status.Failure
}

// TestClockInTrouble sets the clock of a running trustd: no time-stamp is given, that is said, everything else goes on, and with the
// clock right again so are time-stamps.
func TestClockInTrouble(t *testing.T) {
	const granted, timeNotAvailable = 0, 14
	steps := map[string]time.Duration{"back": -time.Hour}
	if kernel, err := clock.ReadKernel(); err != nil || !kernel.Synchronised {
		steps["forward"] = time.Hour // a kernel that vouches for its clock has put it right
	}
	var shift atomic.Int64
	o := newInside(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) } })
	o.awaitReadiness("tsa", http.StatusOK)
	if status, _ := o.stamp(); status != granted {
		t.Fatalf("a time-stamp has status %d", status)
	}
	for name, by := range steps {
		shift.Store(int64(by))
		seen := o.awaitReadiness("tsa", http.StatusServiceUnavailable)
		o.awaitFinding("clock")
		if status, failure := o.stamp(); status == granted || failure.At(timeNotAvailable) != 1 {
			t.Errorf("%s: a time-stamp has status %d, failure %v", name, status, failure)
		}
		for _, service := range []string{"admin", "gateway", "enrolment", "console", "ocsp", "crl"} {
			if a := o.readiness(service); a.status != http.StatusOK {
				t.Errorf("%s: %s: %d %s", name, service, a.status, a.body)
			}
		}
		shift.Store(0)
		healed := o.awaitReadiness("tsa", http.StatusOK)
		if status, _ := o.stamp(); status != granted {
			t.Errorf("%s, and right again: a time-stamp has status %d", name, status)
		}
		t.Logf("%s: seen after %v, healed after %v", name, seen.Round(time.Millisecond), healed.Round(time.Millisecond))
		if seen > outageSeen || healed > outageHealed {
			t.Errorf("%s: seen after %v, healed after %v", name, seen, healed)
		}
	}
}
