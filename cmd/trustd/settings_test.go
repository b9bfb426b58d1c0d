package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/store"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

// showsItself gives trustd a certificate of its own.
func (c *core) showsItself() *x509.CertPool {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "trustd"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	c.must(err)
	cert, err := x509.ParseCertificate(der)
	c.must(err)
	c.shown = func() (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots
}

// TestSettingsOfAnOffice numbers them by content, higher than before the database was taken back, and leaves them to the gateway
// that heard the office last.
func TestSettingsOfAnOffice(t *testing.T) {
	url, _ := databaseFile(t)
	c := newCore(t, url)
	c.on()
	roots := c.showsItself()
	own := c.onlyPeer()
	enrolled := office.Enrolment{Partner: "um", Site: "main", Address: own.Addresses, Hub: office.Hub{PublicKey: vpn.Key{9}}}
	get := func(have int64) (office.Settings, error) {
		t.Helper()
		tunnel, err := c.registry.TunnelOf(t.Context(), "ZU-1", "")
		c.must(err)
		text, err := c.settings(t.Context(), tunnel)
		c.must(err)
		if text == "" {
			return office.Settings{}, errNone
		}
		return office.OpenSettings(text, enrolled, have, roots, time.Now())
	}
	if _, err := get(0); !errors.Is(err, errNone) {
		t.Errorf("no gateway has the office: %v", err)
	}
	has := func(name string, hub string, at time.Time) {
		c.gateways.put(name, vpn.Status{PublicKey: vpn.Key{9}, Addresses: []netip.Prefix{netip.MustParsePrefix(hub)}, ListenPort: 51820,
			Peers: []vpn.PeerStatus{{PublicKey: own.PublicKey, LastHandshake: at}}})
	}
	c.cfg.Tunnel.Endpoint = "hub.example.org:0"
	now := time.Now()
	has("vpnd", "10.64.0.1/32", now)
	has("vpnd-2", "10.64.0.9/32", now.Add(-time.Minute))
	first, err := get(0)
	c.must(err)
	if first.Endpoint != "hub.example.org:51820" || len(first.Services) != 1 || first.Addresses[0].String() != "10.64.0.1/32" || first.Serial < now.Unix() {
		t.Errorf("%+v", first)
	}
	if again, err := get(first.Serial); err != nil || again.Serial != first.Serial {
		t.Errorf("the same: %+v, %v", again, err)
	}
	c.cfg.Tunnel.Services = append(c.cfg.Tunnel.Services, TunnelService{Name: "registry", Addr: netip.MustParseAddrPort("10.80.0.7:443")})
	more, err := get(first.Serial)
	if err != nil || more.Serial <= first.Serial || len(more.Services) != 2 {
		t.Errorf("a service more: %+v, %v", more, err)
	}
	c.cfg.Tunnel.MTU = 1300
	if shorter, err := get(more.Serial); err != nil || shorter.Serial <= more.Serial || shorter.MTU != 1300 {
		t.Errorf("shorter packets: %+v, %v", shorter, err)
	}
	has("vpnd-2", "10.64.0.9/32", now.Add(time.Minute))
	if other, err := get(more.Serial); err != nil || other.Addresses[0].String() != "10.64.0.9/32" {
		t.Errorf("at the other gateway: %+v, %v", other, err)
	}
	db, err := store.Open(t.Context(), url)
	c.must(err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `UPDATE tunnels SET settings_serial = 3, settings_digest = ''`)
	c.must(err)
	if back, err := get(first.Serial); err != nil || back.Serial < first.Serial {
		t.Errorf("after the database was taken back: %+v, %v", back, err)
	}
}

var errNone = errors.New("no settings")

// TestCarrierOfAnOffice is the gateway that heard it by one of its keys.
func TestCarrierOfAnOffice(t *testing.T) {
	g := newGateways(vpn.DefaultLease, vpn.BootTime)
	own, next, other := officeKey(t), officeKey(t), officeKey(t)
	g.put("vpnd", vpn.Status{ListenPort: 1, Peers: []vpn.PeerStatus{{PublicKey: other, LastHandshake: time.Now()}}})
	tunnel := &registry.Tunnel{PublicKey: own.String(), Rotation: registry.Rotation{NextKey: next.String()}}
	if s, known := g.carrier(tunnel); known {
		t.Errorf("another office's gateway: %+v", s)
	}
	g.put("vpnd-2", vpn.Status{ListenPort: 2, Peers: []vpn.PeerStatus{{PublicKey: own}}})
	if s, known := g.carrier(tunnel); known {
		t.Errorf("never heard: %+v", s)
	}
	g.put("vpnd-3", vpn.Status{ListenPort: 3, Peers: []vpn.PeerStatus{{PublicKey: next, LastHandshake: time.Now()}}})
	if s, known := g.carrier(tunnel); !known || s.ListenPort != 3 {
		t.Errorf("by its next key: %+v, %v", s, known)
	}
}

// TestSettingsByTheCertificateOfTheCeremony signs with what trustd has, for offices that have what they are given when they enrol.
func TestSettingsByTheCertificateOfTheCeremony(t *testing.T) {
	w := newWorld(t, nil)
	key := officeKey(t)
	s := office.Settings{Serial: 1, Partner: "um", Site: "main", Address: []netip.Prefix{netip.MustParsePrefix("10.64.0.2/32")},
		PublicKey: key, Endpoint: "hub.example.org:51820", Services: []office.Service{}}
	text, err := w.sign(s)
	w.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(custody.PEM(w.ca.Authorities()...))
	e := office.Enrolment{Partner: "um", Site: "main", Address: s.Address, Hub: office.Hub{PublicKey: key}}
	if got, err := office.OpenSettings(text, e, 0, roots, time.Now()); err != nil || got.Serial != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
