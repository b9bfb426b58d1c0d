package tsa_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // an algorithm that is refused
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	oracle "github.com/digitorus/timestamp"

	"trustcore/internal/cms"
	"trustcore/pki/ceremony"
	"trustcore/pki/pkitest"
	"trustcore/pki/tsa"
)

// journal keeps records in memory and refuses a serial number that it has.
type journal struct {
	mu      sync.Mutex
	records map[string]tsa.Record // guarded by mu
	fail    error                 // guarded by mu
}

func (j *journal) append(_ context.Context, r tsa.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return j.fail
	}
	if _, used := j.records[r.Serial.String()]; used {
		return errors.New("used before")
	}
	j.records[r.Serial.String()] = r
	return nil
}

type setup struct {
	made    *ceremony.Result
	journal *journal
	cfg     tsa.Config
}

func newSetup(t testing.TB) *setup {
	t.Helper()
	s := &setup{made: pkitest.Perform(t, "http://127.0.0.1/pki"), journal: &journal{records: map[string]tsa.Record{}}}
	s.cfg = tsa.Config{Unit: tsa.Unit{Certificate: s.made.TimeStamping.Certificate, Key: s.made.TimeStamping.Key}, Policy: "1.3.6.1.4.1.32473.1.1",
		Clock: func() (time.Time, error) { return time.Now(), nil }, Journal: s.journal.append, Logger: slog.New(slog.DiscardHandler)}
	return s
}

func (s *setup) open(t testing.TB) *tsa.Authority {
	t.Helper()
	a, err := tsa.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func query(t testing.TB, options *oracle.RequestOptions) []byte {
	t.Helper()
	der, err := oracle.CreateRequest(strings.NewReader("document"), options)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestTokenAsDigitorusReadsIt(t *testing.T) {
	s := newSetup(t)
	at := time.Date(2027, 3, 3, 11, 12, 13, 456_789_000, time.FixedZone("CET", 3600))
	s.cfg.Clock = func() (time.Time, error) { return at.Add(time.Since(began)), nil }
	a := s.open(t)
	nonce := big.NewInt(0xfedcba)
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		reply := a.Respond(t.Context(), query(t, &oracle.RequestOptions{Hash: hash, Certificates: true, Nonce: nonce}))
		token, err := oracle.ParseResponse(reply)
		if err != nil {
			t.Fatal(err)
		}
		if token.Nonce.Cmp(nonce) != 0 || token.HashAlgorithm != hash || token.Accuracy != time.Second || token.Ordering || token.Policy.String() != s.cfg.Policy {
			t.Errorf("%v: %+v", hash, token)
		}
		record, there := s.journal.records[token.SerialNumber.String()]
		if !there || !bytes.Equal(record.Imprint, token.HashedMessage) {
			t.Errorf("%v: serial number %v is not in the journal with its imprint", hash, token.SerialNumber)
		}
		info := tstInfo(t, reply)
		if info.Time.Location() != time.UTC || !info.Time.Equal(record.Time) || info.Time.Nanosecond()%int(time.Millisecond) != 0 {
			t.Errorf("genTime %v, journalled %v", info.Time, record.Time)
		}
		if len(info.Serial) > 20 {
			t.Errorf("serial number of %d octets", len(info.Serial))
		}
	}
}

var began = time.Now()

func tstInfo(t *testing.T, reply []byte) *cms.TSTInfo {
	t.Helper()
	response, err := cms.ParseTimestampResponse(reply)
	if err != nil {
		t.Fatal(err)
	}
	if !response.Granted() {
		t.Fatalf("refused: %v %q", response.Failure, response.Text)
	}
	signed, err := cms.Parse(response.Token)
	if err != nil {
		t.Fatal(err)
	}
	info, err := cms.ParseTSTInfo(signed.Content.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func refusal(t *testing.T, reply []byte) cms.FailureInfo {
	t.Helper()
	response, err := cms.ParseTimestampResponse(reply)
	if err != nil {
		t.Fatal(err)
	}
	if response.Granted() || response.Status != 2 || len(response.Failure) != 1 || response.Text == "" {
		t.Fatalf("not a refusal with one reason and a text: %+v", response)
	}
	return response.Failure[0]
}

// request encodes a TimeStampReq field by field.
func request(version byte, hash string, imprint int, more ...byte) []byte {
	algorithm := append([]byte{0x06, byte(len(hash))}, hash...)
	algorithm = append([]byte{0x30, byte(len(algorithm))}, algorithm...)
	digest := append([]byte{0x04, byte(imprint)}, make([]byte, imprint)...)
	body := append([]byte{0x02, 0x01, version, 0x30, byte(len(algorithm) + len(digest))}, append(algorithm, digest...)...)
	body = append(body, more...)
	return append([]byte{0x30, byte(len(body))}, body...)
}

const sha256OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"

// extensions with one of type 1.2.3.
var (
	plainExtension    = []byte{0xa0, 0x0a, 0x30, 0x08, 0x06, 0x02, 0x2a, 0x03, 0x04, 0x02, 0x05, 0x00}
	criticalExtension = []byte{0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x02, 0x2a, 0x03, 0x01, 0x01, 0xff, 0x04, 0x02, 0x05, 0x00}
)

func TestRefusals(t *testing.T) {
	s := newSetup(t)
	a := s.open(t)
	for _, c := range []struct {
		name string
		der  []byte
		want cms.FailureInfo
	}{
		{"nothing", nil, cms.BadDataFormat},
		{"octets after it", append(request(1, sha256OID, 32), 0), cms.BadDataFormat},
		{"version 7", request(7, sha256OID, 32), cms.BadRequest},
		{"imprint of 5 octets", request(1, sha256OID, 5), cms.BadDataFormat},
		{"SHA-1", query(t, &oracle.RequestOptions{Hash: crypto.SHA1}), cms.BadAlgorithm},
		{"unknown hash", request(1, "\x2a\x03", 32), cms.BadAlgorithm},
		{"another policy", query(t, &oracle.RequestOptions{Hash: crypto.SHA256, TSAPolicyOID: []int{1, 2, 3}}), cms.UnacceptedPolicy},
		{"extension", request(1, sha256OID, 32, plainExtension...), cms.UnacceptedExtension},
		{"critical extension", request(1, sha256OID, 32, criticalExtension...), cms.UnacceptedExtension},
		{"negative nonce", request(1, sha256OID, 32, 0x02, 0x01, 0x80), cms.BadDataFormat},
	} {
		if got := refusal(t, a.Respond(t.Context(), c.der)); got != c.want {
			t.Errorf("%s: failure %d, want %d", c.name, got, c.want)
		}
	}
	if len(s.journal.records) != 0 {
		t.Error("a refusal took a serial number")
	}
	if info := tstInfo(t, a.Respond(t.Context(), request(1, sha256OID, 32))); info.Nonce != nil {
		t.Errorf("a nonce that was not asked for: %v", info.Nonce)
	}
}

func TestClockThatCannotBeTrustedStopsTheUnit(t *testing.T) {
	s := newSetup(t)
	der := query(t, &oracle.RequestOptions{Hash: crypto.SHA256})
	s.cfg.Clock = func() (time.Time, error) { return time.Time{}, errors.New("no source agrees") }
	if got := refusal(t, s.open(t).Respond(t.Context(), der)); got != cms.TimeNotAvailable {
		t.Errorf("failure %d", got)
	}
	jumps := 0
	s.cfg.Clock = func() (time.Time, error) { jumps++; return time.Now().Add(time.Duration(jumps) * 2 * time.Second), nil }
	if got := refusal(t, s.open(t).Respond(t.Context(), der)); got != cms.TimeNotAvailable {
		t.Errorf("a jump while signing: failure %d", got)
	}
	calls := 0
	s.cfg.Clock = func() (time.Time, error) {
		if calls++; calls > 1 {
			return time.Time{}, errors.New("lost while signing")
		}
		return time.Now(), nil
	}
	if got := refusal(t, s.open(t).Respond(t.Context(), der)); got != cms.TimeNotAvailable {
		t.Errorf("trust lost while signing: failure %d", got)
	}
}

func TestNothingIsSignedWithoutJournalOrAfterTheKeysUse(t *testing.T) {
	s := newSetup(t)
	der := query(t, &oracle.RequestOptions{Hash: crypto.SHA256})
	key := &countingKey{Signer: s.made.TimeStamping.Key}
	s.cfg.Key = key
	s.journal.fail = errors.New("disk full")
	if got := refusal(t, s.open(t).Respond(t.Context(), der)); got != cms.SystemFailure {
		t.Errorf("failure %d", got)
	}
	s.journal.fail = nil
	for name, at := range map[string]time.Time{ // the key is used for two years of the certificate's five
		"after the key's use": s.cfg.Certificate.NotBefore.Add(3 * 366 * 24 * time.Hour),
		"before":              s.cfg.Certificate.NotBefore.Add(-time.Hour),
	} {
		s.cfg.Clock = func() (time.Time, error) { return at, nil }
		if got := refusal(t, s.open(t).Respond(t.Context(), der)); got != cms.SystemFailure {
			t.Errorf("%s: failure %d", name, got)
		}
	}
	if key.signed != 0 {
		t.Error("a signature was made")
	}
	s.cfg.Clock = func() (time.Time, error) { return time.Now(), nil }
	key.spoil = true
	if got := refusal(t, s.open(t).Respond(t.Context(), der)); got != cms.SystemFailure {
		t.Errorf("a faulty signature: failure %d", got)
	}
}

// countingKey counts its signatures and spoils them on demand.
type countingKey struct {
	crypto.Signer
	signed int
	spoil  bool
}

func (k *countingKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.signed++
	if k.spoil {
		other := sha256.Sum256([]byte("another token"))
		digest = other[:]
	}
	return k.Signer.Sign(rand, digest, opts)
}

func TestUnitMustBeForTimeStampingAlone(t *testing.T) {
	s := newSetup(t)
	for want, change := range map[string]func(*tsa.Config){
		"not for timeStamping":   func(c *tsa.Config) { c.Certificate, c.Key = s.made.OCSP.Certificate, s.made.OCSP.Key },
		"not the certificate's":  func(c *tsa.Config) { c.Key = s.made.OCSP.Key },
		"policy":                 func(c *tsa.Config) { c.Policy = "best effort" },
		"Clock is missing":       func(c *tsa.Config) { c.Clock = nil },
		"Journal is missing":     func(c *tsa.Config) { c.Journal = nil },
		"Key is missing":         func(c *tsa.Config) { c.Key = nil },
		"Certificate is missing": func(c *tsa.Config) { c.Certificate = nil },
		"whole milliseconds":     func(c *tsa.Config) { c.Accuracy = time.Microsecond },
	} {
		cfg := s.cfg
		change(&cfg)
		if _, err := tsa.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAccuracyIsClaimedOnlyWhileTheClockIsVouchedFor(t *testing.T) {
	s := newSetup(t)
	vouched := false
	s.cfg.Vouched = func() bool { return vouched }
	a := s.open(t)
	for _, want := range []time.Duration{0, time.Second} {
		token, err := oracle.ParseResponse(a.Respond(t.Context(), query(t, &oracle.RequestOptions{Hash: crypto.SHA256, Certificates: true})))
		if err != nil || token.Accuracy != want {
			t.Errorf("vouched %v: accuracy %v, %v", vouched, token.Accuracy, err)
		}
		vouched = true
	}
}

func TestSwap(t *testing.T) {
	s := newSetup(t)
	a := s.open(t)
	next := pkitest.Perform(t, "http://127.0.0.1/pki").TimeStamping
	if err := a.Swap(tsa.Unit{Certificate: next.Certificate, Key: s.made.TimeStamping.Key}); err == nil {
		t.Error("a unit with another's key")
	}
	for _, want := range []*ceremony.Authority{s.made.TimeStamping, next} {
		if err := a.Swap(tsa.Unit{Certificate: want.Certificate, Key: want.Key}); err != nil {
			t.Fatal(err)
		}
		token, err := oracle.ParseResponse(a.Respond(t.Context(), query(t, &oracle.RequestOptions{Hash: crypto.SHA256, Certificates: true})))
		if err != nil || !token.Certificates[0].Equal(want.Certificate) {
			t.Errorf("signed by %v, %v", token, err)
		}
	}
}

func TestHTTP(t *testing.T) {
	server := httptest.NewServer(newSetup(t).open(t))
	defer server.Close()
	for _, c := range []struct {
		kind string
		body []byte
		want int
	}{
		{"application/timestamp-query", query(t, &oracle.RequestOptions{Hash: crypto.SHA256}), http.StatusOK},
		{"application/timestamp-query", []byte("nonsense"), http.StatusOK},
		{"text/plain", nil, http.StatusUnsupportedMediaType},
		{"application/timestamp-query", make([]byte, tsa.MaxRequest+1), http.StatusRequestEntityTooLarge},
	} {
		response, err := http.Post(server.URL, c.kind, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != c.want {
			t.Errorf("%s, %d octets: %s, %v", c.kind, len(c.body), response.Status, err)
		}
	}
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s, %v", response.Status, err)
	}
}

// FuzzRespond sends what strangers may send: the answer is always a TimeStampResp, and a token only for a request that parses.
func FuzzRespond(f *testing.F) {
	s := newSetup(f)
	a := s.open(f)
	f.Add(request(1, sha256OID, 32))
	f.Add(request(1, sha256OID, 32, plainExtension...))
	f.Add(request(1, sha256OID, 32, criticalExtension...))
	f.Add(query(f, &oracle.RequestOptions{Hash: crypto.SHA512, Certificates: true, Nonce: big.NewInt(77)}))
	f.Fuzz(func(t *testing.T, der []byte) {
		response, err := cms.ParseTimestampResponse(a.Respond(t.Context(), der))
		if err != nil {
			t.Fatal(err)
		}
		_, malformed := cms.ParseTimestampRequest(der)
		if response.Granted() == (malformed != nil) && malformed != nil {
			t.Errorf("granted for a request that does not parse: %v", malformed)
		}
		if !response.Granted() && (len(response.Failure) != 1 || response.Failure[0] == cms.SystemFailure) {
			t.Errorf("refused with %v", response.Failure)
		}
		clear(s.journal.records)
	})
}

// BenchmarkToken is a token from request to reply without HTTP and store, against the signature alone.
func BenchmarkToken(b *testing.B) {
	s := newSetup(b)
	a := s.open(b)
	der := query(b, &oracle.RequestOptions{Hash: crypto.SHA256, Certificates: true})
	b.Run("token", func(b *testing.B) {
		for b.Loop() {
			a.Respond(b.Context(), der)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	})
	b.Run("signer", func(b *testing.B) {
		digest := sha256.Sum256(der)
		for b.Loop() {
			if _, err := s.cfg.Key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
	})
}
