package gateway_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/hsmtest"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

func batchOf(m mechanism.Mechanism, digests ...[]byte) string {
	text, err := json.Marshal(map[string]any{"mechanism": m, "digests": digests})
	if err != nil {
		panic(err) // strings and bytes
	}
	return string(text)
}

func digestsOf(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		sum := sha256.Sum256([]byte(fmt.Sprint("document ", i)))
		all[i] = sum[:]
	}
	return all
}

// A batch gets a signature a digest, in order, and each is a use of its own in the audit log, one behind the other.
func TestBatchSigns(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	digests := digestsOf(gateway.MaxBatch)
	signed, err := k.SignDigests(t.Context(), mechanism.ECDSASHA256, digests)
	if err != nil || len(signed) != len(digests) {
		t.Fatal(len(signed), err)
	}
	entries := h.entries(t, len(digests))
	for i, s := range signed {
		if !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digests[i], s.Value) {
			t.Errorf("signature %d is not of its digest", i)
		}
		e := entries[i]
		if e.Index != s.AuditIndex || s.AuditIndex != signed[0].AuditIndex+uint64(i) || e.Details["digest"] != fmt.Sprintf("%x", digests[i]) ||
			e.Details["batch"] != fmt.Sprintf("%d/%d", i+1, len(digests)) || e.Actor.ID != "ezd" || e.Order != "order-1" || e.Outcome != audit.Granted {
			t.Fatalf("%d: %+v", i, e)
		}
	}
	if entries[0].Details["certificate"] == "" {
		t.Errorf("nobody knows by which certificate: %+v", entries[0])
	}
}

// Nothing of a batch is signed when any of it may not be; the refusal is one entry that says how many were asked for.
func TestBatchIsRefusedWhole(t *testing.T) {
	h := build(t, nil)
	own := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	foreign := h.key(t, "partner-2", "other", hsm.P256, mechanism.ECDSASHA256)
	c, digests := h.http(h.ca.client(t, "ezd")), digestsOf(3)
	for name, try := range map[string]struct {
		key, body string
		status    int
		rule      string
	}{
		"none":          {own.ID, batchOf(mechanism.ECDSASHA256), 422, ""},
		"one too many":  {own.ID, batchOf(mechanism.ECDSASHA256, digestsOf(gateway.MaxBatch+1)...), 422, ""},
		"one too short": {own.ID, batchOf(mechanism.ECDSASHA256, digests[0], digests[1][:31]), 422, ""},
		"one too long":  {own.ID, batchOf(mechanism.ECDSASHA256, digests[0], make([]byte, 48)), 400, "digest"},
		"another's key": {foreign.ID, batchOf(mechanism.ECDSASHA256, digests...), 403, "no-authorisation"},
		"two bodies":    {own.ID, batchOf(mechanism.ECDSASHA256, digests...) + "{}", 400, ""},
	} {
		a := post(t, c, h.url+"/v1/keys/"+try.key+"/signatures", try.body)
		if a.status != try.status || !strings.HasSuffix(a.Type, try.rule) || a.Signatures != nil {
			t.Errorf("%s: %s, want %d %s", name, a.text, try.status, try.rule)
		}
	}
	post(t, c, h.url+"/v1/keys/"+own.ID+"/sign", request(mechanism.ECDSASHA256, digests[0])) // the log's end
	refused := 0
	for _, e := range h.entries(t, 4) { // malformed ones are audited once a minute
		if e.Outcome == audit.Granted && e.Details["digest"] != fmt.Sprintf("%x", digests[0]) {
			t.Errorf("signed: %+v", e)
		}
		if e.Subject == foreign.ID && e.Details["digests"] == "3" {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d entries of the refused batch", refused)
	}
}

// The same request with the same Idempotency-Key gets the same answer and is one use, also when it comes while the
// first is under way; another request with that key is refused, and so is the same one once its right is gone.
func TestSameRequestAgain(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c, url := h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+info.ID+"/signatures"
	body, key := batchOf(mechanism.ECDSASHA256, digestsOf(8)...), map[string]string{"Idempotency-Key": "9b1deb4d-3b7d-4bad"}
	got := make([]answer, 6)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = postAs(t, c, url, body, key) })
	}
	all.Wait()
	replayed := 0
	for _, a := range got {
		if a.status != 200 || a.text != got[0].text {
			t.Errorf("%d %s, want %s", a.status, a.text, got[0].text)
		}
		if a.replayed {
			replayed++
		}
	}
	if replayed != len(got)-1 {
		t.Errorf("%d of %d say that they were answered before", replayed, len(got))
	}
	if a := postAs(t, c, url, batchOf(mechanism.ECDSASHA256, digestsOf(7)...), key); a.status != 422 || !strings.HasSuffix(a.Type, ":idempotency-key") {
		t.Errorf("another request with the key: %d %s", a.status, a.text)
	}
	h.set(func() { h.grants["other"] = h.grants["ezd"] })
	if a := postAs(t, h.http(h.ca.client(t, "other")), url, body, key); a.status != 200 || a.text == got[0].text {
		t.Errorf("another application's request: %d %s", a.status, a.text)
	}
	h.set(func() { h.grants["ezd"][0].Active = false })
	if a := postAs(t, c, url, body, key); a.status != 403 {
		t.Errorf("after withdrawal: %d %s", a.status, a.text)
	}
	if n := len(h.entries(t, 8+8+1)); n != 8+8+1 {
		t.Errorf("%d entries", n)
	}
}

// Answers to requests that came to nothing are not kept: they may be made again.
func TestFailedRequestMayBeMadeAgain(t *testing.T) {
	disk := new(logbook)
	h := build(t, func(c *gateway.Config) { disk.Auditor = c.Audit; c.Audit = disk })
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c, url := h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+info.ID+"/sign"
	body, key := request(mechanism.ECDSASHA256, make([]byte, 32)), map[string]string{"Idempotency-Key": "1"}
	disk.set(false, true)
	if a := postAs(t, c, url, body, key); a.status != 503 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	disk.set(false, false)
	if a := postAs(t, c, url, body, key); a.status != 200 || a.replayed {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// What is in progress is bounded by digests, not by requests.
func TestOverloadSheds(t *testing.T) {
	disk := &logbook{hanging: make(chan struct{}, 2)} // a failed use's second entry is never written here
	h := build(t, func(c *gateway.Config) { disk.Auditor = c.Audit; c.Audit = disk; c.InFlight = gateway.MaxBatch })
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	c, url := h.http(h.ca.client(t, "ezd")), h.url+"/v1/keys/"+info.ID
	disk.set(true, false) // so that the batch stays in progress for the time that an entry may take
	batch := make(chan answer, 1)
	go func() {
		batch <- post(t, c, url+"/signatures", batchOf(mechanism.ECDSASHA256, digestsOf(gateway.MaxBatch)...))
	}()
	<-disk.hanging
	if a := post(t, c, url+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32))); a.status != 503 || !strings.HasSuffix(a.Type, ":overload") {
		t.Errorf("nothing was shed: %d %s", a.status, a.text)
	}
	<-batch
	disk.set(false, false)
	if a := post(t, c, url+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32))); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.text)
	}
}

// Over the deaths of workers amid batches, the uses by the token's own count are those of the audit log: granted and
// not failed.
func TestTokensCountIsTheAudits(t *testing.T) {
	seen := prometheus.NewRegistry()
	h := buildOn(t, hsmtest.Config(t), seen)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	k, err := h.remote(t, h.ca.client(t, "ezd")).Key(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	const callers, each, size = 3, 6, 40
	var all sync.WaitGroup
	begun := make(chan struct{}, callers*each)
	for range callers {
		all.Go(func() {
			for range each {
				begun <- struct{}{}
				if _, err := k.SignDigests(t.Context(), mechanism.ECDSASHA256, digestsOf(size)); err != nil {
					t.Log(err)
				}
			}
		})
	}
	for i := range callers * each {
		<-begun
		if pid := h.tok.WorkerPID(); i%5 == 4 && pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
	all.Wait()
	if _, err := k.SignDigest(t.Context(), mechanism.ECDSASHA256, make([]byte, 32)); err != nil { // the log's end
		t.Fatal(err)
	}
	counted := signedBy(t, seen)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		uses, end := 0, false
		for _, e := range h.entries(t, 1) {
			end = end || e.Details["digest"] == strings.Repeat("00", 32)
			switch e.Outcome {
			case audit.Granted:
				uses++
			case audit.Failed:
				uses--
			}
		}
		if end && uses == counted {
			return
		}
		if end || time.Now().After(deadline) {
			t.Fatalf("the token signed %d times, the log has %d uses (whole: %v)", counted, uses, end)
		}
	}
}

func signedBy(t *testing.T, seen *prometheus.Registry) (n int) {
	t.Helper()
	families, err := seen.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "hsm_signatures_total" && m.GetLabel()[1].GetValue() == "signed" {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// Every refusal is told in Polish to who asks for that.
func TestRefusalsInPolish(t *testing.T) {
	h := build(t, nil)
	info := h.key(t, "partner-1", "ezd", hsm.P256, mechanism.ECDSASHA256)
	h.set(func() { h.grants["ezd"][0].Active = false })
	c := h.http(h.ca.client(t, "ezd"))
	a := postAs(t, c, h.url+"/v1/keys/"+info.ID+"/sign", request(mechanism.ECDSASHA256, make([]byte, 32)), map[string]string{"Accept-Language": "pl"})
	if a.status != 403 || a.Detail != "upoważnienie ze zlecenia order-1 zostało cofnięte" || a.Title != "Odmowa dostępu" ||
		!strings.HasSuffix(a.Type, ":authorisation-withdrawn") {
		t.Errorf("%s", a.text)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	spoken, err := os.ReadFile("polish.go")
	if err != nil {
		t.Fatal(err)
	}
	refusal := regexp.MustCompile(`refuse\(http\.Status\w+, "[a-z-]+",\s*("[^"]*")`)
	found := 0
	for _, f := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") }) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range refusal.FindAllSubmatch(text, -1) {
			found++
			if !strings.Contains(string(spoken), string(m[1])+":") {
				t.Errorf("%s: %s is not said in Polish", f, m[1])
			}
		}
	}
	if found < 12 {
		t.Errorf("%d refusals were found", found)
	}
}
