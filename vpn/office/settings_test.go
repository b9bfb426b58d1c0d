package office_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

var settingsTime = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

var settingsHub = vpn.Key{31: 9}

// signer is a certificate with its key, signed by another or by itself.
type signer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newSigner(t *testing.T, name string, curve elliptic.Curve, by *signer) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: settingsTime.Add(-time.Hour),
		NotAfter: settingsTime.Add(time.Hour), IsCA: by == nil, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	parent, parentKey := template, key
	if by != nil {
		parent, parentKey = by.cert, by.key
	} else {
		template.ExtKeyUsage = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &signer{key, cert}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func settings() office.Settings {
	return office.Settings{Serial: 7, PublicKey: settingsHub, Partner: "um", Site: "main", Address: []netip.Prefix{netip.MustParsePrefix("10.64.0.2/32")},
		Endpoint: "hub.example.org:51820", Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.1/32")}, MTU: 1300,
		Services: []office.Service{{Name: "gateway", Addr: netip.MustParseAddrPort("10.64.0.1:9443")}}}
}

// TestSettingsAreTheCores takes what trustd signed for the office, and newer than what it has, and nothing else.
func TestSettingsAreTheCores(t *testing.T) {
	root := newSigner(t, "root", elliptic.P256(), nil)
	trustd := newSigner(t, "trustd", elliptic.P256(), root)
	own, _ := exported(t, func(e *office.Enrolment) {
		e.Partner, e.Site, e.Address, e.Hub.PublicKey = "um", "main", settings().Address, settingsHub
	})
	for name, c := range map[string]struct {
		change func(*office.Settings)
		by     *signer
		have   int64
		later  time.Duration
		spoil  func(string) string
		want   string // "" is taken
	}{
		"as they are":       {},
		"the same again":    {have: 7},
		"older":             {have: 8, want: "older than number 8"},
		"another partner's": {change: func(s *office.Settings) { s.Partner = "gm" }, want: "another office's"},
		"another site's":    {change: func(s *office.Settings) { s.Site = "east" }, want: "another office's"},
		"another address's": {change: func(s *office.Settings) { s.Address[0] = netip.MustParsePrefix("10.64.0.3/32") }, want: "another office's"},
		"nobody's":          {change: func(s *office.Settings) { s.Address = nil }, want: "another office's"},
		"everything routed": {change: func(s *office.Settings) { s.Addresses = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }, want: "single address"},
		"no endpoint":       {change: func(s *office.Settings) { s.Endpoint = "" }, want: "hub.endpoint"},
		"an MTU of nothing": {change: func(s *office.Settings) { s.MTU = 1 }, want: "MTU 1"},
		"another hub's":     {change: func(s *office.Settings) { s.PublicKey = vpn.Key{31: 8} }, want: "another hub"},
		"followed already": {change: func(s *office.Settings) {
			s.PublicKey, s.Next = vpn.Key{31: 8}, &office.NextHub{PublicKey: settingsHub, Endpoint: "hub2.example.org:1"}
		}},
		"nowhere next":        {change: func(s *office.Settings) { s.Next = &office.NextHub{PublicKey: vpn.Key{31: 8}} }, want: "next.endpoint"},
		"by another daemon":   {by: newSigner(t, "verifyd", elliptic.P256(), root), want: "which is not trustd"},
		"by another CA":       {by: newSigner(t, "trustd", elliptic.P256(), newSigner(t, "root", elliptic.P256(), nil)), want: "certificate"},
		"by itself":           {by: newSigner(t, "trustd", elliptic.P256(), nil), want: "certificate"},
		"certificate too old": {later: 2 * time.Hour, want: "expired"},
		"changed":             {spoil: replacePart(1, "um", "gm"), want: "signature is wrong"},
		"another algorithm":   {spoil: replacePart(0, "ES256", "none."), want: `alg "none."`},
		"another type":        {spoil: replacePart(0, "office", "oficce"), want: "typ"},
		"no signature":        {spoil: func(s string) string { return s[:strings.LastIndex(s, ".")+1] }, want: "another length"},
		"two parts":           {spoil: func(s string) string { return s[:strings.LastIndex(s, ".")] }, want: "no compact JWS"},
		"another's signature": {spoil: func(s string) string { return s[:len(s)-8] + "AAAAAAAA" }, want: "signature is wrong"},
		"too long":            {spoil: func(s string) string { return s + strings.Repeat("A", 64<<10) }, want: "no compact JWS"},
	} {
		t.Run(name, func(t *testing.T) {
			s, by := settings(), trustd
			if c.change != nil {
				c.change(&s)
			}
			if c.by != nil {
				by = c.by
			}
			text, err := s.Sign(by.key, []*x509.Certificate{by.cert})
			must(t, err)
			if c.spoil != nil {
				text = c.spoil(text)
			}
			roots := x509.NewCertPool()
			roots.AddCert(root.cert)
			got, err := office.OpenSettings(text, own, c.have, roots, settingsTime.Add(c.later))
			if c.want == "" {
				if err != nil || got.Serial != 7 || got.MTU != 1300 || len(got.Services) != 1 {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := settings().Sign(newSigner(t, "trustd", elliptic.P384(), root).key, nil); err == nil {
		t.Error("signed with a key of P-384")
	}
	if _, err := settings().Sign(failing{trustd.key}, nil); err == nil {
		t.Error("a key that does not sign")
	}
}

// replacePart changes the octets of a part of a compact JWS.
func replacePart(i int, from, to string) func(string) string {
	return func(s string) string {
		parts := strings.Split(s, ".")
		octets, _ := base64.RawURLEncoding.DecodeString(parts[i])
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(octets), from, to, 1)))
		return strings.Join(parts, ".")
	}
}

// failing is a key that answers with no signature.
type failing struct{ crypto.Signer }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte{1}, nil
}

// FuzzOpenSettings takes nothing that the core did not sign.
func FuzzOpenSettings(f *testing.F) {
	f.Add("e30.e30.AA")
	f.Add("..")
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6InRydXN0Y29yZS1vZmZpY2Utc2V0dGluZ3MiLCJ4NWMiOlsiTUFBPSJdfQ.e30.AA")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := office.OpenSettings(text, office.Enrolment{}, 0, x509.NewCertPool(), settingsTime); err == nil {
			t.Errorf("%q was taken", text)
		}
	})
}
