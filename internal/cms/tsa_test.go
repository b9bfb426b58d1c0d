package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
)

// TestTimestampVerifiedByOpenSSL answers openssl's queries and lets openssl check the answers.
func TestTimestampVerifiedByOpenSSL(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	cmstest.Write(t, data, []byte("dane"))
	for _, c := range []struct{ key, md string }{{"rsa", "-sha256"}, {"p256", "-sha384"}, {"p384", "-sha512"}} {
		t.Run(c.key+c.md, func(t *testing.T) {
			tsu := cmstest.NewTSU(t, c.key, "TSU 1")
			dir := t.TempDir()
			cert, _ := tsu.Files(t, dir, "tsu")
			query, answer := filepath.Join(dir, "q.tsq"), filepath.Join(dir, "a.tsr")
			cmstest.OpenSSL(t, "ts", "-query", "-data", data, c.md, "-cert", "-out", query)
			der, err := os.ReadFile(query)
			if err != nil {
				t.Fatal(err)
			}
			req, err := cms.ParseTimestampRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			if !req.CertReq || req.Nonce == nil || req.Policy != "" {
				t.Errorf("request was read as %+v", req)
			}
			at := time.Date(2026, 11, 2, 11, 0, 0, 250_999_999, time.FixedZone("CET", 3600))
			cfg := tstConfig(tsu, req, at)
			token, err := cms.SignTimestamp(cfg)
			if err != nil {
				t.Fatal(err)
			}
			cmstest.Write(t, answer, cms.NewTimestampResponse(token))
			out := cmstest.OpenSSL(t, "ts", "-verify", "-queryfile", query, "-in", answer, "-CAfile", cert, "-attime", cmstest.Unix)
			if !bytes.Contains(out, []byte("Verification: OK")) {
				t.Errorf("openssl: %s", out)
			}
			text := cmstest.OpenSSL(t, "ts", "-reply", "-in", answer, "-text")
			if !bytes.Contains(text, []byte("Nov  2 10:00:00.25 2026 GMT")) || !bytes.Contains(text, []byte("0x01 seconds, 0x01F4 millis")) {
				t.Errorf("openssl reads time or accuracy in another way: %s", text)
			}
			checkToken(t, token, cfg)
		})
	}
}

func tstConfig(tsu cmstest.Identity, req *cms.TimestampRequest, at time.Time) cms.TimestampConfig {
	return cms.TimestampConfig{
		Signer: tsu.Key, Certificate: tsu.Cert.Raw, OmitCertificates: !req.CertReq, Hash: crypto.SHA256,
		Policy: cmstest.Policy, HashAlgorithm: req.HashAlgorithm, Imprint: req.Imprint, Serial: big.NewInt(0x80),
		Time: at, Accuracy: cms.Accuracy{Seconds: 1, Millis: 500}, Ordering: true, Nonce: req.Nonce,
	}
}

func checkToken(t *testing.T, token []byte, cfg cms.TimestampConfig) {
	t.Helper()
	resp, err := cms.ParseTimestampResponse(cms.NewTimestampResponse(token))
	if err != nil || !resp.Granted() || !bytes.Equal(resp.Token, token) {
		t.Fatalf("response: %v %+v", err, resp)
	}
	sd, err := cms.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	info, err := cms.ParseTSTInfo(sd.Content.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if want := cfg.Time.UTC().Truncate(time.Millisecond); !info.Time.Equal(want) || info.Time.Location() != time.UTC {
		t.Errorf("time %v, want %v", info.Time, want)
	}
	if info.Accuracy != cfg.Accuracy || !info.Ordering || info.Policy != cfg.Policy || info.Version != 1 ||
		info.Nonce.Cmp(cfg.Nonce) != 0 || !bytes.Equal(info.Imprint, cfg.Imprint) || !bytes.Equal(info.Serial, []byte{0, 0x80}) {
		t.Errorf("token was read as %+v", info)
	}
	v2, v1, err := sd.Signers[0].SigningCertificates()
	if err != nil || len(v2) != 1 || v1 != nil {
		t.Fatalf("ESSCertIDv2: %v", err)
	}
	if sum := sha256.Sum256(cfg.Certificate); !bytes.Equal(v2[0].Hash, sum[:]) {
		t.Error("ESSCertIDv2 names another certificate")
	}
}

// TestParseOpenSSLReply reads a token of openssl.
func TestParseOpenSSLReply(t *testing.T) {
	dir := t.TempDir()
	tsu := cmstest.NewTSU(t, "rsa", "TSU 1")
	cert, key := tsu.Files(t, dir, "tsu")
	serial, conf := filepath.Join(dir, "serial"), filepath.Join(dir, "ts.cnf")
	cmstest.Write(t, serial, []byte("0A\n"))
	cmstest.Write(t, conf, fmt.Appendf(nil, "[tsa]\ndefault_tsa=t\n[t]\nserial=%s\ncrypto_device=builtin\nsigner_cert=%s\ncerts=%s\nsigner_key=%s\n"+
		"signer_digest=sha256\ndefault_policy=1.3.6.1.4.1.32473.1.1\ndigests=sha256\naccuracy=secs:2,microsecs:7\nclock_precision_digits=3\n", serial, cert, cert, key))
	digest := sha256.Sum256([]byte("dane"))
	query, err := cms.NewTimestampRequest(crypto.SHA256, digest[:], cmstest.Policy, big.NewInt(1<<40), true)
	if err != nil {
		t.Fatal(err)
	}
	q, a := filepath.Join(dir, "q"), filepath.Join(dir, "a")
	cmstest.Write(t, q, query)
	cmstest.OpenSSL(t, "ts", "-reply", "-config", conf, "-section", "t", "-queryfile", q, "-out", a)
	der, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := cms.ParseTimestampResponse(der)
	if err != nil || !resp.Granted() {
		t.Fatalf("%v %+v", err, resp)
	}
	sd, err := cms.Parse(resp.Token)
	if err != nil {
		t.Fatal(err)
	}
	info, err := cms.ParseTSTInfo(sd.Content.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if info.Accuracy != (cms.Accuracy{Seconds: 2, Micros: 7}) || info.Nonce.Int64() != 1<<40 || info.Policy != cmstest.Policy {
		t.Errorf("read as %+v", info)
	}
	if !bytes.Equal(info.Imprint, digest[:]) || time.Since(info.Time).Abs() > time.Hour {
		t.Errorf("imprint or time %v", info.Time)
	}
}

func TestTimestampRequestRefused(t *testing.T) {
	digest := sha256.Sum256([]byte("dane"))
	good, err := cms.NewTimestampRequest(crypto.SHA256, digest[:], "", big.NewInt(7), true)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, fresh []byte) []byte { return bytes.Replace(good, old, fresh, 1) }
	critical := append(bytes.Clone(good), 0xa0, 0x0e, 0x30, 0x0c, 0x06, 3, 0x2a, 3, 4, 1, 1, 0xff, 4, 2, 5, 0)
	critical[1] += 16
	for _, c := range []struct {
		name    string
		der     []byte
		failure cms.FailureInfo
	}{
		{"empty", nil, cms.BadDataFormat},
		{"version 7", replace([]byte{2, 1, 1}, []byte{2, 1, 7}), cms.BadRequest},
		{"unknown hash", replace([]byte{0x60, 0x86, 0x48, 1}, []byte{0x60, 0x86, 0x48, 2}), cms.BadAlgorithm},
		{"imprint of SHA-384", replace([]byte{3, 4, 2, 1}, []byte{3, 4, 2, 2}), cms.BadDataFormat},
		{"octets after it", append(bytes.Clone(good), 0), cms.BadDataFormat},
		{"critical extension", critical, cms.UnacceptedExtension},
		{"negative nonce", replace([]byte{2, 1, 7}, []byte{2, 1, 0x87}), cms.BadDataFormat},
		{"too long", make([]byte, 1<<20), cms.BadDataFormat},
	} {
		_, err := cms.ParseTimestampRequest(c.der)
		var refused *cms.RequestError
		if !errors.As(err, &refused) || refused.Failure != c.failure {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	critical[len(critical)-5] = 0 // not critical: taken
	if req, err := cms.ParseTimestampRequest(critical); err != nil || len(req.Extensions) != 1 {
		t.Errorf("extension that is not critical: %v", err)
	}
}

func TestRefuseTimestamp(t *testing.T) {
	for _, f := range []cms.FailureInfo{cms.BadAlgorithm, cms.BadRequest, cms.TimeNotAvailable, cms.SystemFailure} {
		der := cms.RefuseTimestamp(f, "brak czasu")
		resp, err := cms.ParseTimestampResponse(der)
		if err != nil || resp.Granted() || resp.Status != 2 || resp.Text != "brak czasu" || len(resp.Failure) != 1 || resp.Failure[0] != f {
			t.Errorf("failure %d: %v %+v", f, err, resp)
		}
		name := filepath.Join(t.TempDir(), "r")
		cmstest.Write(t, name, der)
		if out := cmstest.OpenSSL(t, "ts", "-reply", "-in", name, "-text"); !bytes.Contains(out, []byte("Status: Rejected.")) {
			t.Errorf("openssl: %s", out)
		}
	}
}

func TestSignTimestampRefuses(t *testing.T) {
	tsu := cmstest.NewTSU(t, "p256", "TSU 1")
	digest := sha256.Sum256(nil)
	query, err := cms.NewTimestampRequest(crypto.SHA256, digest[:], "", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	req, err := cms.ParseTimestampRequest(query)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*cms.TimestampConfig){
		"no policy":       func(c *cms.TimestampConfig) { c.Policy = "" },
		"no time":         func(c *cms.TimestampConfig) { c.Time = time.Time{} },
		"no serial":       func(c *cms.TimestampConfig) { c.Serial = nil },
		"negative serial": func(c *cms.TimestampConfig) { c.Serial = big.NewInt(-1) },
		"long serial":     func(c *cms.TimestampConfig) { c.Serial = new(big.Int).Lsh(large.Or(large, big.NewInt(1)), 160) },
		"no imprint":      func(c *cms.TimestampConfig) { c.Imprint = nil },
		"bad accuracy":    func(c *cms.TimestampConfig) { c.Accuracy.Millis = 1000 },
	} {
		cfg := tstConfig(tsu, req, cmstest.Now)
		change(&cfg)
		if _, err := cms.SignTimestamp(cfg); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	token, err := cms.SignTimestamp(tstConfig(tsu, req, cmstest.Now))
	if err != nil {
		t.Fatal(err)
	}
	if sd, err := cms.Parse(token); err != nil || len(sd.Certificates) != 0 {
		t.Errorf("certificates without being asked for: %v", err)
	}
}
