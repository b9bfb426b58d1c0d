package crl_test

import (
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"trustcore/pki/crl"
	"trustcore/pki/pkitest"
)

func entries(count int) []crl.Entry {
	list := make([]crl.Entry, 0, count)
	for i := range count {
		serial := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 126), big.NewInt(int64(i)))
		list = append(list, crl.Entry{Serial: serial, RevokedAt: time.Now().Add(-time.Hour), Reason: []int{0, 1, 4, 5}[i%4]})
	}
	return list
}

func TestCreate(t *testing.T) {
	made := pkitest.Perform(t, "http://127.0.0.1/pki")
	now := time.Now()
	der, err := crl.Create(made.Issuing.Certificate, made.Issuing.Key, crl.List{Number: big.NewInt(7), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		Entries: entries(5), KeptSince: made.Issuing.Certificate.NotBefore})
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(made.Issuing.Certificate); err != nil {
		t.Error(err)
	}
	if list.Number.Int64() != 7 || len(list.RevokedCertificateEntries) != 5 || list.RevokedCertificateEntries[1].ReasonCode != 1 ||
		string(list.AuthorityKeyId) != string(made.Issuing.Certificate.SubjectKeyId) {
		t.Errorf("number %v, %d entries", list.Number, len(list.RevokedCertificateEntries))
	}
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed (apt-get install openssl)")
	}
	out, err := exec.Command(path, "crl", "-in", pkitest.WritePEM(t, "X509 CRL", der), "-noout", "-text",
		"-CAfile", pkitest.WritePEM(t, "CERTIFICATE", made.Issuing.Certificate.Raw)).CombinedOutput()
	for _, want := range []string{"verify OK", "2.5.29.60", "Superseded"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("openssl does not say %q: %v\n%s", want, err, out)
		}
	}
}

func TestCreateRefusals(t *testing.T) {
	made := pkitest.Perform(t, "http://127.0.0.1/pki")
	now := time.Now()
	for want, list := range map[string]crl.List{
		"Number":     {ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
		"NextUpdate": {Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now},
	} {
		if _, err := crl.Create(made.Issuing.Certificate, made.Issuing.Key, list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := crl.Create(made.Issuing.Certificate, made.Root.Key, crl.List{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}); err == nil {
		t.Error("signed with another key")
	}
}

func TestPublication(t *testing.T) {
	made := pkitest.Perform(t, "http://127.0.0.1/pki")
	var publication crl.Publication
	server := httptest.NewServer(&publication)
	defer server.Close()
	get := func(etag string) (*http.Response, []byte) {
		request, err := http.NewRequest(http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("If-None-Match", etag)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return response, body
	}
	if response, _ := get(""); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without a list: %s", response.Status)
	}
	if err := publication.Set([]byte("no list")); err == nil {
		t.Error("published nonsense")
	}
	for _, number := range []int64{2, 1} { // the older one does not come back
		der, err := crl.Create(made.Root.Certificate, made.Root.Key, crl.List{Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if err := publication.Set(der); err != nil {
			t.Fatal(err)
		}
	}
	response, body := get("")
	list, err := x509.ParseRevocationList(body)
	if err != nil || list.Number.Int64() != 2 || response.Header.Get("Content-Type") != "application/pkix-crl" {
		t.Errorf("%v, %v, %s", list, err, response.Header)
	}
	if again, _ := get(response.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("known ETag: %s", again.Status)
	}
}

// BenchmarkCreate signs a list of 60,000.
func BenchmarkCreate(b *testing.B) {
	made := pkitest.Perform(b, "http://127.0.0.1/pki")
	list := crl.List{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour), Entries: entries(60_000)}
	for b.Loop() {
		if _, err := crl.Create(made.Issuing.Certificate, made.Issuing.Key, list); err != nil {
			b.Fatal(err)
		}
	}
}
