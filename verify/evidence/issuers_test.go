package evidence

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

func asIssuer(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// certsOnly is a CMS message with certificates alone (RFC 5652 5.1), as caIssuers addresses serve them (.p7c).
func certsOnly(ders ...[]byte) []byte {
	oid := func(last byte) []byte {
		return []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, last}
	}
	var b cryptobyte.Builder
	sequence := func(b *cryptobyte.Builder, f func(b *cryptobyte.Builder)) { b.AddASN1(asn1.SEQUENCE, f) }
	explicit := asn1.Tag(0).Constructed().ContextSpecific()
	sequence(&b, func(b *cryptobyte.Builder) {
		b.AddBytes(oid(2))
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
				sequence(b, func(b *cryptobyte.Builder) { b.AddBytes(oid(1)) })
				b.AddASN1(explicit, func(b *cryptobyte.Builder) {
					for _, der := range ders {
						b.AddBytes(der)
					}
				})
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	return b.BytesOrPanic()
}

// distant is a signer below an authority whose certificate nobody has but a caIssuers address.
func (w *world) distant(middle *holder, address string) *holder {
	return w.mint(middle, "officer-9", func(c *x509.Certificate) { c.IssuingCertificateURL = []string{w.url + address} })
}

func (w *world) wantIssuer(f Found, middle *holder, why string) {
	w.t.Helper()
	if len(f.Certificates) != 1 || !bytes.Equal(f.Certificates[0], middle.x.Raw) {
		w.t.Errorf("%s: %d certificates; problems: %q", why, len(f.Certificates), f.Problems)
	}
}

// TestIssuersAreFetchedOnce: for all documents, in each form, from memory and after a new start, without the network
// too.
func TestIssuersAreFetchedOnce(t *testing.T) {
	w := newWorld(t)
	middle := w.mint(w.ca, "Office CA 2", asIssuer)
	stranger := w.mint(nil, "Other CA", asIssuer)
	for address, body := range map[string][]byte{
		"/ca.cer": middle.x.Raw, "/ca.p7c": certsOnly(stranger.x.Raw, middle.x.Raw),
	} {
		w.instead(address, func(out http.ResponseWriter, _ *http.Request) { w.write(out, body) })
		g := w.gatherer(nil)
		for range 10 {
			w.wantIssuer(w.gather(g, w.distant(middle, address)), middle, address)
		}
		w.wantIssuer(w.gather(w.gatherer(nil), w.distant(middle, address)), middle, address+" after a new start")
		w.wantIssuer(w.gather(w.gatherer(func(c *Config) { c.Offline = true }), w.distant(middle, address)), middle,
			address+" offline")
		w.wantAsked(address, 1)
	}
}

// TestAnIssuerThatIsNone is asked for again soon, and puts away none that was relied on.
func TestAnIssuerThatIsNone(t *testing.T) {
	for name, wrong := range map[string]func(w *world) []byte{
		"another":             func(w *world) []byte { return w.mint(nil, "Other CA", asIssuer).x.Raw },
		"another of the name": func(w *world) []byte { return w.mint(nil, "Office CA 2", asIssuer).x.Raw },
		"page":                func(*world) []byte { return []byte("<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			middle := w.mint(w.ca, "Office CA 2", asIssuer)
			g, leaf := w.gatherer(nil), w.distant(middle, "/ca.cer")
			serve := func(der []byte) {
				w.instead("/ca.cer", func(out http.ResponseWriter, _ *http.Request) { w.write(out, der) })
			}
			reached := func(why string) {
				t.Helper()
				f := w.gather(g, leaf)
				for _, der := range f.Certificates {
					if bytes.Equal(der, middle.x.Raw) {
						return
					}
				}
				t.Errorf("%s: the issuer is not among %d certificates; problems: %q", why, len(f.Certificates), f.Problems)
			}
			serve(wrong(w))
			w.gather(g, leaf)
			w.pass(failureAge)
			serve(middle.x.Raw)
			reached("at last")
			w.pass(2 * issuerAge)
			serve(wrong(w))
			reached("poisoned")
			w.wantAsked("/ca.cer", 3)
		})
	}
}

// TestASlowIssuerLeavesTimeForTheRest: half of the time of a document is for what its other signers need.
func TestASlowIssuerLeavesTimeForTheRest(t *testing.T) {
	w := newWorld(t)
	w.instead("/ca.cer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	leaf, lost := w.leaf("/ocsp"), w.distant(w.mint(w.ca, "Office CA 2", asIssuer), "/ca.cer")
	doc := &signature.Document{}
	for _, h := range []*holder{lost, lost, leaf} {
		doc.Signatures = append(doc.Signatures, &signature.Signature{Signer: h.x.Raw})
	}
	started := time.Now()
	f := w.gatherer(func(c *Config) { c.Wait = time.Second }).Gather(budget.New(t.Context(), 0), doc, w.trust(), w.clock())
	w.wantFound(f, 1, 0)
	if took := time.Since(started); took > 5*time.Second || len(f.Later) != 1 {
		t.Errorf("it took %s; later: %v", took, f.Later)
	}
}

// TestAStrangersAddressesCloseNoHost: who names addresses at a vouched host that fail keeps nobody from what the host
// serves, its issuers if it answers at all, and each document asks so often and no more.
func TestAStrangersAddressesCloseNoHost(t *testing.T) {
	for name, test := range map[string]struct {
		do     http.HandlerFunc
		closes bool
	}{
		"missing": {http.NotFound, false},
		"page":    {func(out http.ResponseWriter, _ *http.Request) { _, _ = out.Write([]byte("<html>")) }, false},
		"broken off": {func(out http.ResponseWriter, _ *http.Request) {
			out.Header().Set("Content-Length", "9")
			_, _ = out.Write([]byte{0x30})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g, middle := w.gatherer(nil), w.mint(w.ca, "Office CA 2", asIssuer)
			w.instead("/ca.cer", func(out http.ResponseWriter, _ *http.Request) { w.write(out, middle.x.Raw) })
			stranger := w.mint(nil, "Stranger", asIssuer)
			doc := &signature.Document{}
			for i := range 2 * maxRequests {
				address := fmt.Sprint("/stranger/", i)
				w.instead(address, test.do)
				doc.Signatures = append(doc.Signatures, &signature.Signature{Signer: w.distant(stranger, address).x.Raw})
			}
			f := g.Gather(budget.New(t.Context(), 0), doc, w.trust(), w.clock())
			if len(f.Problems) != maxRequests {
				t.Errorf("%d addresses were asked, want %d", len(f.Problems), maxRequests)
			}
			if hosts := g.Hosts(); (len(hosts) == 1 && hosts[0].Use == string(sourceIssuers)) != test.closes {
				t.Errorf("%+v", hosts)
			}
			w.wantFound(w.gather(g, w.leaf("/ocsp")), 1, 0)
			w.wantFound(w.gather(g, w.leaf("/crl")), 0, 1)
			if f := w.gather(g, w.distant(middle, "/ca.cer")); (len(f.Certificates) == 1) == test.closes {
				t.Errorf("%d issuers; problems: %q", len(f.Certificates), f.Problems)
			}
		})
	}
}
