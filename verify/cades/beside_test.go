package cades_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/signature"
)

// TestBesideTheCMS: what stands in the file of a CMS and is no part of it was signed by nobody.
func TestBesideTheCMS(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der := sign(t, id, nil)
	detached := sign(t, id, detachedFrom(content))
	armoured := string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}))
	text := base64.StdEncoding.EncodeToString(der)
	message := "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime;\r\n smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n"
	for name, c := range map[string]struct{ data, beside string }{
		"nothing": {string(der), ""}, "zeros": {string(der) + strings.Repeat("\x00", 100), ""}, "a line's end": {string(der) + "\r\n", ""},
		"PEM": {armoured, ""}, "PEM and a line": {armoured + "\n", ""}, "base64": {text, ""}, "a message": {message + "\r\n" + text, ""},

		"text":              {string(der) + "pay", "3 octets that follow"},
		"blanks and text":   {string(der) + "\n\n pay", "octets that follow"},
		"a second CMS":      {string(der) + string(der), "octets that follow"},
		"an octet":          {string(der) + "\xff", "1 octets that follow"},
		"zeros and text":    {string(der) + "\x00\x00pay", "5 octets that follow"},
		"within base64":     {base64.StdEncoding.EncodeToString(append(bytes.Clone(der), "pay"...)), "3 octets that follow"},
		"within PEM":        {string(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: append(bytes.Clone(der), "pay"...)})), "3 octets that follow"},
		"after PEM":         {armoured + "pay", "text around"},
		"before the block":  {"-----BEGIN pay\nMallory 9999\n" + armoured, "text around"},
		"in the block":      {strings.Replace(armoured, "-----\n", "-----\nPay: Mallory\n\n", 1), "text around"},
		"a message's title": {"Subject: pay\r\n" + message + "\r\n" + text, "header fields"},
		"fields behind":     {message + "X-Pay: Mallory\r\nFrom: a\r\n\r\n" + text, "header fields"},
	} {
		s := only(t, []byte(c.data))
		r := s.References[0]
		if !s.Intact || !r.Intact || r.Full != (c.beside == "") || !strings.Contains(r.Scope, c.beside) || strings.Contains(r.Scope, "but not") != (c.beside != "") {
			t.Errorf("%s: intact %t, full %t, scope %q", name, s.Intact, r.Full, r.Scope)
		}
	}
	file := signature.Detached{Name: "zlecenie.txt", Content: content}
	if r := only(t, append(detached, "pay"...), file).References[0]; r.Full || !strings.Contains(r.Scope, "zlecenie.txt, but not 3 octets") {
		t.Errorf("beside a detached signature: full %t, scope %q", r.Full, r.Scope)
	}
}

// TestPassedOffAsContent: the value that a CA made over a certificate verifies, and is over no document.
func TestPassedOffAsContent(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "CA 1")
	sd, err := cms.Parse(sign(t, id, nil))
	if err != nil {
		t.Fatal(err)
	}
	si := sd.Signers[0]
	for name, c := range map[string]struct {
		octets []byte
		intact bool
	}{"certificate": {id.Cert.RawTBSCertificate, false}, "control": {[]byte("pismo"), true}} {
		sum := sha256.Sum256(c.octets)
		value, err := id.Key.Sign(nil, sum[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		s := only(t, rebuild(t, sd, c.octets, [][]byte{si.RawVersion, si.RawIdentifier, si.DigestAlgorithm, si.SignatureAlgorithm, tlv(0x04, value)}))
		if s.Intact != c.intact || s.ReferencesIntact() != c.intact {
			t.Errorf("%s: intact %t, %q", name, s.Intact, s.Notes)
		}
	}
}

// TestUnknownSignatureAlgorithm: what can't be checked accuses nobody.
func TestUnknownSignatureAlgorithm(t *testing.T) {
	der := sign(t, cmstest.NewSigner(t, "p256", "officer-1"), nil)
	unknown := bytes.Replace(der, []byte("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x04"), []byte("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x7f\x04"), 1)
	if s := only(t, unknown); s.Intact || !strings.Contains(s.Unsupported, "unsupported") || !s.ReferencesIntact() {
		t.Errorf("unknown: intact %t, unsupported %q, %q", s.Intact, s.Unsupported, s.Notes)
	}
	der[len(der)-1] ^= 1
	if s := only(t, der); s.Intact || s.Unsupported != "" {
		t.Errorf("a wrong value: intact %t, unsupported %q", s.Intact, s.Unsupported)
	}
}
