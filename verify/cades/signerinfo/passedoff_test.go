package signerinfo

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
)

func TestPassedOff(t *testing.T) {
	for text, want := range map[string]bool{
		`<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`: true, "<SignedInfo>": true, "<SignedInformation>": false, "<pismo>SignedInfo</pismo>": false,
		"eyJhbGciOiJSUzI1NiJ9.dW1vd2E": true, "umowa.pdf": false, "v1.2": false, "": false, "0": false, "0\x80": false, "0\xff0": false,
		strings.Repeat(" ", 64) + "TLS 1.3, client CertificateVerify\x00abc": true, strings.Repeat(" ", 64) + "TLS 1.3": false,
		"\x84jSignature1C\xa1\x01\x26@": true, "\x84jSignature": false,
	} {
		if got := passedOff([]byte(text)) != ""; got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

// TestPassedOffDER: what a key signs to issue, to ask or to answer is no document; what is made of it is one.
func TestPassedOffDER(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "CA 1")
	must := func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	issuer := *id.Cert
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	listed := []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: cmstest.Now}}
	crl := must(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: cmstest.Now, NextUpdate: cmstest.Now.Add(time.Hour),
		RevokedCertificateEntries: listed}, &issuer, id.Key))
	csr := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}}, id.Key))
	answer := must(ocsp.CreateResponse(id.Cert, id.Cert, ocsp.Response{SerialNumber: big.NewInt(7), ThisUpdate: cmstest.Now}, id.Key))
	query := must(ocsp.CreateRequest(id.Cert, id.Cert, nil))
	spki := id.Cert.RawSubjectPublicKeyInfo
	parsed, err := ocsp.ParseResponse(answer, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := cms.Parse(id.Stamp(t, []byte("a"), cmstest.Now))
	if err != nil {
		t.Fatal(err)
	}
	list := inner(t, crl)
	version1 := members(t, list)[1:] // of a CRL, without the version
	tbs := inner(t, id.Cert.Raw)
	oid := asn1.RawValue{FullBytes: []byte{6, 3, 0x2a, 3, 4}}
	version1Certificate := sequence(t, members(t, tbs)[1:7]...)
	for name, c := range map[string]struct {
		der  []byte
		want string
	}{
		"certificate":              {id.Cert.RawTBSCertificate, "part of a certificate"},
		"certificate, version 1":   {version1Certificate, "part of a certificate"},
		"certificate, much more":   {append(id.Cert.RawTBSCertificate, 0), "part of a certificate"},
		"certificate, cut off":     {id.Cert.RawTBSCertificate[:180], "part of a certificate"},
		"CRL":                      {list, "part of a CRL"},
		"CRL, version 1":           {sequence(t, version1...), "part of a CRL"},
		"OCSP answer":              {parsed.TBSResponseData, "OCSP answer"},
		"OCSP request":             {members(t, query)[0], "OCSP request"},
		"OCSP request with a name": {sequence(t, append([][]byte{{0xa1, 2, 0x82, 0}}, members(t, members(t, query)[0])...)...), "OCSP request"},
		"TSTInfo":                  {token.Content.Bytes(), "TSTInfo"},
		"request":                  {inner(t, csr), "RFC 2986"},
		"request of CRMF":          {sequence(t, []byte{2, 1, 0}, sequence(t, []byte{0xa5, 2, 0x30, 0})), "RFC 4211"},
		"message of CMP":           {sequence(t, sequence(t, []byte{2, 1, 2}, []byte{0xa4, 2, 0x30, 0}), []byte{0xa0, 2, 0x30, 0}), "RFC 9810"},
		"attribute certificate": {sequence(t, []byte{2, 1, 1}, sequence(t, []byte{0xa0, 2, 0x30, 0}), []byte{0xa0, 2, 0x30, 0}, sequence(t, oid.FullBytes), []byte{2, 1, 1},
			sequence(t, []byte{24, 1, 0})), "RFC 5755"},
		"key and challenge": {sequence(t, spki, []byte{0x16, 1, 'a'}), "challenge"},

		"a whole certificate": {id.Cert.Raw, ""}, "a whole CRL": {crl, ""}, "a whole request": {csr, ""}, "a whole answer": {answer, ""}, "a whole token": {token.Raw, ""},
		"a key": {spki, ""}, "a private key": {must(x509.MarshalPKCS8PrivateKey(id.Key)), ""}, "a text": {sequence(t, []byte{12, 1, 'a'}), ""},
		"a number and a text": {sequence(t, []byte{2, 1, 0}, []byte{12, 1, 'a'}), ""},
	} {
		if got := passedOff(c.der); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q: %s", name, got, c.want, outline(c.der))
		}
	}
}

// inner is the first member of a SEQUENCE.
func inner(t *testing.T, der []byte) []byte { return members(t, der)[0] }

func members(t *testing.T, der []byte) [][]byte {
	t.Helper()
	var list []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &list); err != nil {
		t.Fatal(err)
	}
	all := make([][]byte, len(list))
	for i, m := range list {
		all[i] = m.FullBytes
	}
	return all
}

func sequence(t *testing.T, parts ...[]byte) []byte {
	t.Helper()
	list := make([]asn1.RawValue, len(parts))
	for i, p := range parts {
		list[i].FullBytes = p
	}
	der, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
