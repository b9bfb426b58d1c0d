package acme_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	xacme "golang.org/x/crypto/acme"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/acme"
)

func hmacOf(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// TestStockClient: account, order, http-01, certificate, renewal with the same key, change of the account's key, revocation.
func TestStockClient(t *testing.T) {
	for name, address := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			h := build(t, address(t), nil)
			c := h.registered(partner)
			key := newKey(t)
			leaf := h.issue(c, key, host)
			if leaf.Subject.CommonName != host || len(leaf.Subject.Organization) != 1 || leaf.Subject.Organization[0] != partner ||
				len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth || leaf.IsCA {
				t.Errorf("subject %v, purposes %v", leaf.Subject, leaf.ExtKeyUsage)
			}
			for _, e := range leaf.Extensions {
				if strings.HasPrefix(e.Id.String(), "1.3.6.1.4.1.37476") {
					t.Errorf("the certificate has smallstep's extension %v", e.Id)
				}
			}
			found, err := h.ca.Certificate(t.Context(), leaf.SerialNumber.Text(16))
			if err != nil || found.Profile != pki.PartnerServer || found.Partner != partner || found.Order != "OR.1" || found.Actor.String() != "partner:"+partner {
				t.Errorf("the inventory has %+v, %v", found, err)
			}
			second := h.issue(c, key, host, "bip.przykladowo.example")
			if second.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
				t.Error("a renewal with the same key returned the same certificate")
			}
			h.renewalInfo(leaf, false)

			next := newKey(t)
			h.must(c.AccountKeyRollover(t.Context(), next))
			c.Key = next
			third := h.issue(c, newKey(t), host)
			h.must(c.RevokeCert(t.Context(), nil, leaf.Raw, xacme.CRLReasonSuperseded)) // by the account
			h.must(c.RevokeCert(t.Context(), key, second.Raw, xacme.CRLReasonKeyCompromise))
			for what, serial := range map[string]*x509.Certificate{"superseded": leaf, "by its key": second} {
				if found, err := h.ca.Certificate(t.Context(), serial.SerialNumber.Text(16)); err != nil || found.State != pki.Revoked {
					t.Errorf("%s: %s, %v", what, found.State, err)
				}
			}
			if h.ca.Revoked(third.SerialNumber) {
				t.Error("another certificate was revoked with them")
			}
			h.renewalInfo(leaf, true)
			orders, err := h.server.Bindings(t.Context(), partner)
			if err != nil || len(orders) != 1 || orders[0].State != "bound" || orders[0].Account == "" {
				t.Errorf("keys: %+v, %v", orders, err)
			}
		})
	}
}

// renewalInfo asks as RFC 9773 4.1 says.
func (h *house) renewalInfo(c *x509.Certificate, now bool) {
	h.t.Helper()
	serial, err := asn1.Marshal(c.SerialNumber)
	h.must(err)
	id := base64.RawURLEncoding.EncodeToString(c.AuthorityKeyId) + "." + base64.RawURLEncoding.EncodeToString(serial[2:])
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.at("renewal-info/"+id), nil)
	h.must(err)
	answer := h.do(r)
	var info struct {
		SuggestedWindow struct{ Start, End time.Time }
	}
	h.must(json.Unmarshal(answer.body, &info))
	w := info.SuggestedWindow
	if answer.status != http.StatusOK || answer.header.Get("Retry-After") == "" || !w.Start.Before(w.End) || w.End.Before(time.Now()) != now ||
		w.End.After(c.NotAfter) {
		h.t.Errorf("renewal information: %d %s", answer.status, answer.body)
	}
}

// TestDirectory has what clients look for, at the configured address alone.
func TestDirectory(t *testing.T) {
	h := build(t, storetest.SQLite(t), nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.http.URL+acme.Directory, nil)
	h.must(err)
	answer := h.do(r)
	var directory struct {
		NewNonce, NewAccount, NewOrder, RevokeCert, KeyChange, RenewalInfo string
		Meta                                                               struct{ ExternalAccountRequired bool }
	}
	h.must(json.Unmarshal(answer.body, &directory))
	for _, link := range []string{directory.NewNonce, directory.NewAccount, directory.NewOrder, directory.RevokeCert, directory.KeyChange, directory.RenewalInfo} {
		if !strings.HasPrefix(link, h.http.URL+"/acme/offices/") {
			t.Errorf("the directory leads to %q", link)
		}
	}
	if !directory.Meta.ExternalAccountRequired {
		t.Error("clients are not told that they need a key")
	}
	r.Host = "acme.attacker.example"
	if answer := h.do(r); answer.status != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d %s", answer.status, answer.body)
	}
	r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, h.http.URL+"/acme/others/directory", nil)
	h.must(err)
	if answer := h.do(r); answer.status != http.StatusNotFound || answer.Type != "malformed" {
		t.Errorf("another provisioner: %d %s", answer.status, answer.body)
	}
}
