package timestamp_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
	"trustcore/verify/timestamp"
)

func writer(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func TestOpen(t *testing.T) {
	data := []byte("dane")
	at := cmstest.Now.Add(1500 * time.Millisecond)
	for _, kind := range []string{"rsa", "p256", "p384"} {
		tsu := cmstest.NewTSU(t, kind, "TSU 1")
		token := tsu.Stamp(t, data, at)
		ts := timestamp.Open(budget.New(t.Context(), 0), "", signature.SignatureTimestamp, token, nil)
		if !ts.Intact || len(ts.Structure) != 0 || !bytes.Equal(ts.Signer, tsu.Cert.Raw) || ts.Binding != signature.BindingMatches {
			t.Errorf("%s: %+v", kind, ts.Timestamp)
		}
		if !ts.Time.Equal(at) || ts.ID != timestamp.ID(token) || len(ts.Algorithms) != 4 {
			t.Errorf("%s: %v %s %v", kind, ts.Time, ts.ID, ts.Algorithms)
		}
		for _, c := range []struct {
			write          func(io.Writer) error
			found, imprint bool
		}{{writer(data), true, true}, {writer([]byte("inne")), true, false}, {nil, false, false},
			{func(io.Writer) error { return errors.New("gone") }, false, false}} {
			ts.Compare(c.write)
			if ts.Found != c.found || ts.Imprint != c.imprint {
				t.Errorf("%s: found %v, imprint %v", kind, ts.Found, ts.Imprint)
			}
		}
	}
}

// TestWithoutCertificate: a token that embeds none is judged only with one from outside.
func TestWithoutCertificate(t *testing.T) {
	tsu, other := cmstest.NewTSU(t, "p256", "TSU 1"), cmstest.NewTSU(t, "p256", "TSU 2")
	sum := sha256.Sum256(nil)
	token, err := cms.SignTimestamp(cms.TimestampConfig{Signer: tsu.Key, Certificate: tsu.Cert.Raw, OmitCertificates: true,
		Hash: crypto.SHA256, Policy: cmstest.Policy, HashAlgorithm: []byte("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
		Imprint: sum[:], Serial: big.NewInt(1), Time: cmstest.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		extra  [][]byte
		intact bool
	}{{"none", nil, false}, {"another", [][]byte{other.Cert.Raw}, false}, {"right", [][]byte{other.Cert.Raw, tsu.Cert.Raw}, true}} {
		ts := timestamp.Open(budget.New(t.Context(), 0), "t", signature.DocumentTimestamp, token, c.extra)
		if ts.Intact != c.intact || (ts.Signer != nil) != c.intact {
			t.Errorf("%s: intact %v, signer %v", c.name, ts.Intact, ts.Signer != nil)
		}
	}
}

// TestBroken changes every octet of a token: it is never intact with another content, and never panics.
func TestBroken(t *testing.T) {
	tsu := cmstest.NewTSU(t, "p256", "TSU 1")
	token := tsu.Stamp(t, []byte("dane"), cmstest.Now)
	good := timestamp.Open(budget.New(t.Context(), 0), "", signature.SignatureTimestamp, token, nil)
	for i := range token {
		broken := bytes.Clone(token)
		broken[i] ^= 1
		ts := timestamp.Open(budget.New(t.Context(), 0), "", signature.SignatureTimestamp, broken, nil)
		if ts.Intact && (!ts.Time.Equal(good.Time) || !bytes.Equal(ts.Info.Raw, good.Info.Raw)) {
			t.Errorf("octet %d: intact with another TSTInfo", i)
		}
	}
}

// TestNotATimestamp: a signature about something else is no token, even when it verifies.
func TestNotATimestamp(t *testing.T) {
	tsu := cmstest.NewTSU(t, "p256", "TSU 1")
	token := tsu.Stamp(t, nil, cmstest.Now)
	sd, err := cms.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	data, err := cms.Sign(cms.SignConfig{Signer: tsu.Key, Certificate: tsu.Cert.Raw, Hash: crypto.SHA256, Content: sd.Content.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	// The same octets under the type TSTInfo: the signed content-type attribute still says data.
	forged := bytes.Replace(data, append([]byte{0x06, 9}, cms.OIDData...), append([]byte{0x06, 11}, cms.OIDTSTInfo...), 1)
	for name, der := range map[string][]byte{"data": data, "forged": forged, "empty": nil, "text": []byte("token")} {
		ts := timestamp.Open(budget.New(t.Context(), 0), "", signature.SignatureTimestamp, der, nil)
		if ts.Intact || len(ts.Structure) == 0 {
			t.Errorf("%s: intact %v, %v", name, ts.Intact, ts.Structure)
		}
	}
}

// TestOpenSSLToken opens a token that openssl made.
func TestOpenSSLToken(t *testing.T) {
	dir := t.TempDir()
	tsu := cmstest.NewTSU(t, "rsa", "TSU 1")
	cert, key := tsu.Files(t, dir, "tsu")
	conf, data := filepath.Join(dir, "ts.cnf"), filepath.Join(dir, "data")
	cmstest.Write(t, filepath.Join(dir, "serial"), []byte("0A\n"))
	cmstest.Write(t, data, []byte("dane"))
	cmstest.Write(t, conf, fmt.Appendf(nil, "[t]\nserial=%s/serial\ncrypto_device=builtin\nsigner_cert=%s\nsigner_key=%s\n"+
		"signer_digest=sha512\ndefault_policy=1.3.6.1.4.1.32473.1.1\ndigests=sha256\n", dir, cert, key))
	q, a := filepath.Join(dir, "q"), filepath.Join(dir, "a")
	cmstest.OpenSSL(t, "ts", "-query", "-data", data, "-sha256", "-cert", "-out", q)
	for _, hash := range []string{"sha1", "sha256"} { // ESSCertID and ESSCertIDv2
		cmstest.OpenSSL(t, "ts", "-reply", "-config", conf, "-section", "t", "-queryfile", q, "-out", a)
		resp, err := cms.ParseTimestampResponse(cmstest.Read(t, a))
		if err != nil {
			t.Fatal(err)
		}
		ts := timestamp.Open(budget.New(t.Context(), 0), "", signature.ContentTimestamp, resp.Token, nil)
		ts.Compare(writer([]byte("dane")))
		if !ts.Intact || !ts.Imprint || ts.Binding != signature.BindingMatches || len(ts.Structure) != 0 {
			t.Errorf("%s: %+v", hash, ts.Timestamp)
		}
		cmstest.Write(t, conf, append(cmstest.Read(t, conf), "ess_cert_id_alg=sha256\n"...))
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(cmstest.NewTSU(f, "p256", "TSU 1").Stamp(f, []byte("dane"), cmstest.Now))
	f.Fuzz(func(t *testing.T, data []byte) {
		ts := timestamp.Open(budget.New(t.Context(), 0), "", signature.SignatureTimestamp, data, nil)
		ts.Compare(writer([]byte("dane")))
		if ts.Intact && (ts.Info == nil || ts.Signer == nil || len(ts.Structure) != 0) {
			t.Fatalf("intact: %+v", ts.Timestamp)
		}
	})
}

// TestDemands: what RFC 3161 asks of a token beside being well-formed and intact.
func TestDemands(t *testing.T) {
	tsu := cmstest.NewTSU(t, "p256", "TSU 1")
	other := cmstest.NewTSU(t, "p256", "TSU 2")
	named := named(t, "tsa.example.org")
	extension := func(critical ...byte) []byte { return wrap(0x30, []byte{6, 2, 0x2a, 3}, critical, []byte{4, 0}) }
	for _, c := range []struct {
		name       string
		id         cmstest.Identity
		tsa        []byte
		extensions [][]byte
		demands    int
		structure  int
	}{
		{"none", tsu, nil, nil, 0, 0},
		{"its name", tsu, wrap(0xa4, tsu.Cert.RawSubject), nil, 0, 0},
		{"another's name", tsu, wrap(0xa4, other.Cert.RawSubject), nil, 1, 0},
		{"no name", tsu, wrap(0xa4, wrap(0x30)), nil, 1, 0},
		{"an alternative name", named, wrap(0x82, []byte("tsa.example.org")), nil, 0, 0},
		{"its name beside an alternative", named, wrap(0xa4, named.Cert.RawSubject), nil, 0, 0},
		{"another alternative name", named, wrap(0x82, []byte("tsa.example.com")), nil, 1, 0},
		{"the name of another form", named, wrap(0x86, []byte("tsa.example.org")), nil, 1, 0},
		{"what is no name", tsu, wrap(0xa4, []byte{1, 1, 1}), nil, 1, 0},
		{"extension", tsu, nil, [][]byte{extension()}, 0, 0},
		{"critical extension", tsu, nil, [][]byte{extension(1, 1, 0xff)}, 0, 1},
		{"critical in BER", tsu, nil, [][]byte{extension(1, 1, 1)}, 0, 1},
		{"malformed extension", tsu, nil, [][]byte{{0x30, 0}}, 0, 1},
	} {
		sum := sha256.Sum256(nil)
		token, err := cms.SignTimestamp(cms.TimestampConfig{Signer: c.id.Key, Certificate: c.id.Cert.Raw, Hash: crypto.SHA256, Policy: cmstest.Policy,
			HashAlgorithm: []byte("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"), Imprint: sum[:], Serial: big.NewInt(1), Time: cmstest.Now,
			TSA: c.tsa, Extensions: c.extensions})
		if err != nil {
			t.Fatal(err)
		}
		ts := timestamp.Open(budget.New(t.Context(), 0), "", signature.SignatureTimestamp, token, nil)
		if !ts.Intact || len(ts.Demands) != c.demands || len(ts.Structure) != c.structure {
			t.Errorf("%s: intact %v, demands %q, structure %q", c.name, ts.Intact, ts.Demands, ts.Structure)
		}
	}
}

// named is a time-stamping unit with a subjectAltName.
func named(t *testing.T, name string) cmstest.Identity {
	t.Helper()
	key := cmstest.NewKey(t, "p256")
	template := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "TSU 3"}, DNSNames: []string{name},
		NotBefore: cmstest.Now, NotAfter: cmstest.Now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cmstest.Identity{Key: key, Cert: cert}
}

// wrap is an element of less than 128 octets.
func wrap(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append([]byte{tag, byte(len(body))}, body...)
}

// TestBudgetEnds: a token of a document beyond its budget is not intact.
func TestBudgetEnds(t *testing.T) {
	token := cmstest.NewTSU(t, "p256", "TSU 1").Stamp(t, nil, cmstest.Now)
	for _, work := range []int64{0, 20_000, 500_000} {
		b := budget.Of(t.Context(), work, 1<<20)
		if ts := timestamp.Open(b, "", signature.SignatureTimestamp, token, nil); ts.Intact || b.Err() == nil {
			t.Errorf("%d units: %+v", work, ts.Timestamp)
		}
	}
	b := budget.Of(t.Context(), 5_000_000, 1<<20)
	ts := timestamp.Open(b, "", signature.SignatureTimestamp, token, nil)
	if ts.Compare(writer(make([]byte, 4<<20))); ts.Found || b.Err() == nil {
		t.Errorf("%+v", ts.Timestamp)
	}
}
