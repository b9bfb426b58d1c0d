package cms_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
)

// TestSignVerifiedByOpenSSL lets openssl check what Sign makes.
func TestSignVerifiedByOpenSSL(t *testing.T) {
	content := []byte("Zlecenie uruchomienia (+)\n")
	for _, c := range []struct {
		name, key string
		hash      crypto.Hash
		pss, ski  bool
		detached  bool
	}{
		{"RSA attached", "rsa", crypto.SHA256, false, false, false},
		{"RSA detached", "rsa", crypto.SHA512, false, false, true},
		{"RSA-PSS", "rsa", crypto.SHA256, true, false, true},
		{"RSA-PSS SHA-384", "rsa", crypto.SHA384, true, false, false},
		{"ECDSA P-256", "p256", crypto.SHA256, false, false, true},
		{"ECDSA P-384", "p384", crypto.SHA384, false, false, false},
		{"key identifier", "p256", crypto.SHA256, false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := cmstest.NewSigner(t, c.key, "officer-1")
			cfg := cms.SignConfig{Signer: id.Key, Certificate: id.Cert.Raw, Hash: c.hash, PSS: c.pss, SigningTime: cmstest.Now}
			if c.ski {
				cfg.SubjectKeyID = id.Cert.SubjectKeyId
			}
			if c.detached {
				h := c.hash.New()
				h.Write(content)
				cfg.Digest = h.Sum(nil)
			} else {
				cfg.Content = content
			}
			der, err := cms.Sign(cfg)
			if err != nil {
				t.Fatal(err)
			}
			verifyByOpenSSL(t, id, der, content, c.detached)
			sd, err := cms.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if when, err := sd.Signers[0].SigningTime(); err != nil || !when.Equal(cmstest.Now) {
				t.Errorf("signing time %v, %v", when, err)
			}
			grown, err := cms.AddUnsignedAttribute(der, 0, cms.NewTimestampAttribute([]byte{0x30, 0}))
			if err != nil {
				t.Fatal(err)
			}
			if grown, err = cms.AddEvidence(grown, [][]byte{id.Cert.Raw}, nil, [][]byte{cms.WrapBasicOCSP([]byte{0x30, 0})}); err != nil {
				t.Fatal(err)
			}
			verifyByOpenSSL(t, id, grown, content, c.detached)
			if sd, err = cms.Parse(grown); err != nil || sd.Signers[0].Unsigned(cms.OIDSignatureTimestamp) == nil || len(sd.OCSPs) != 1 {
				t.Errorf("what was added is not there: %v", err)
			}
		})
	}
}

func verifyByOpenSSL(t *testing.T, id cmstest.Identity, der, content []byte, detached bool) {
	t.Helper()
	dir := t.TempDir()
	cert, _ := id.Files(t, dir, "signer")
	signed, data, out := filepath.Join(dir, "s.p7m"), filepath.Join(dir, "data"), filepath.Join(dir, "out")
	cmstest.Write(t, signed, der)
	cmstest.Write(t, data, content)
	args := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signed, "-CAfile", cert, "-out", out,
		"-purpose", "any", "-attime", cmstest.Unix}
	if detached {
		args = append(args, "-content", data)
	}
	cmstest.OpenSSL(t, args...)
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, content) {
		t.Errorf("openssl read %q, %v", got, err)
	}
}

func TestSignRefuses(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	digest := make([]byte, 32)
	good := cms.SignConfig{Signer: id.Key, Certificate: id.Cert.Raw, Hash: crypto.SHA256, Digest: digest}
	for name, change := range map[string]func(*cms.SignConfig){
		"no signer":           func(c *cms.SignConfig) { c.Signer = nil },
		"no certificate":      func(c *cms.SignConfig) { c.Certificate = nil },
		"broken certificate":  func(c *cms.SignConfig) { c.Certificate = []byte{0x30, 0x80} },
		"no hash":             func(c *cms.SignConfig) { c.Hash = 0 },
		"SHA-1":               func(c *cms.SignConfig) { c.Hash, c.Digest = crypto.SHA1, make([]byte, 20) },
		"short digest":        func(c *cms.SignConfig) { c.Digest = digest[:20] },
		"content and digest":  func(c *cms.SignConfig) { c.Content = []byte("x") },
		"repeated attribute":  func(c *cms.SignConfig) { c.Attributes = []cms.Attribute{cms.NewAttribute(cms.OIDMessageDigest)} },
		"Ed25519 and SHA-256": func(c *cms.SignConfig) { c.Signer = cmstest.NewKey(t, "ed25519") },
	} {
		cfg := good
		change(&cfg)
		if _, err := cms.Sign(cfg); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := cms.Sign(good); err != nil {
		t.Error(err)
	}
}

// TestParseOpenSSL reads what openssl writes: BER with indefinite lengths, several signers, PSS.
func TestParseOpenSSL(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("pismo ogólne "), 5000)
	data := filepath.Join(dir, "data")
	cmstest.Write(t, data, content)
	a, b := cmstest.NewSigner(t, "rsa", "officer-1"), cmstest.NewSigner(t, "p256", "officer-2")
	certA, keyA := a.Files(t, dir, "a")
	certB, keyB := b.Files(t, dir, "b")
	for _, c := range []struct {
		name     string
		args     []string
		signers  int
		attached bool
		ski      bool
	}{
		{"attached", []string{"-nodetach"}, 1, true, false},
		{"stream", []string{"-nodetach", "-stream"}, 1, true, false},
		{"detached", nil, 1, false, false},
		{"key identifier", []string{"-nodetach", "-keyid"}, 1, true, true},
		{"PSS", []string{"-nodetach", "-keyopt", "rsa_padding_mode:pss"}, 1, true, false},
		{"two signers", []string{"-nodetach", "-stream", "-signer", certB, "-inkey", keyB}, 2, true, false},
		{"no attributes", []string{"-nodetach", "-noattr"}, 1, true, false},
		{"CAdES", []string{"-nodetach", "-cades"}, 1, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "s.p7m")
			args := append([]string{"cms", "-sign", "-binary", "-md", "sha256", "-in", data, "-outform", "DER", "-out", out,
				"-signer", certA, "-inkey", keyA}, c.args...)
			cmstest.OpenSSL(t, args...)
			der, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			sd, err := cms.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if len(sd.Signers) != c.signers || sd.Content.Present != c.attached || len(sd.Rest) != 0 {
				t.Fatalf("%d signers, attached %v, %d octets left", len(sd.Signers), sd.Content.Present, len(sd.Rest))
			}
			if c.attached && !bytes.Equal(sd.Content.Bytes(), content) {
				t.Error("the content is another one")
			}
			for _, si := range sd.Signers {
				checkSigner(t, si, content, c.ski)
			}
		})
	}
}

func checkSigner(t *testing.T, si *cms.SignerInfo, content []byte, ski bool) {
	t.Helper()
	if (si.SubjectKeyID != nil) != ski || (si.Issuer == nil) != ski {
		t.Error("the signer is identified in another way")
	}
	if si.RawSignedAttributes == nil {
		return
	}
	sum := sha256.Sum256(content)
	if !bytes.Equal(si.MessageDigest(), sum[:]) || si.ContentType() != cms.OIDData {
		t.Error("message-digest or content-type is another one")
	}
	message, err := si.SignedMessage()
	if err != nil || !bytes.Equal(message, si.EncodedAttributes()) {
		t.Errorf("the attributes are in DER but were rewritten: %v", err)
	}
}

func TestOID(t *testing.T) {
	for dotted, want := range map[string]cms.OID{
		"1.2.840.113549.1.7.2": cms.OIDSignedData, "0.4.0.19122.1.5": cms.OIDATSHashIndexV3, "2.999.3": "\x88\x37\x03",
		"1.2.616.1.113791.1.2.3": "\x2a\x84\x68\x01\x86\xf8\x7f\x01\x02\x03",
	} {
		got, err := cms.ParseOID(dotted)
		if err != nil || got != want || got.String() != dotted {
			t.Errorf("%s: %x %s %v", dotted, string(got), got, err)
		}
	}
	for _, bad := range []string{"", "1", "3.1", "1.40", "1..2", "1.2.x", "-1.2"} {
		if _, err := cms.ParseOID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
