package evidence

import (
	"crypto/sha1" // RFC 6960 4.3: every responder knows it; here it only names the certificate
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// sources returns the http URLs of the certificate's OCSP responders and CRL distribution points.
func sources(c *certificate.Certificate) (responders, lists []string) {
	for _, a := range c.AIA {
		if a.Method == certificate.AccessOCSP && isHTTP(a.Location) && len(responders) < maxSources {
			responders = append(responders, string(a.Location.Value))
		}
	}
	for _, p := range c.CRLDistributionPoints {
		if p.Name == nil {
			continue
		}
		for _, n := range p.Name.Full {
			if isHTTP(n) && len(lists) < maxSources {
				lists = append(lists, string(n.Value))
			}
		}
	}
	return responders, lists
}

func isHTTP(n certificate.GeneralName) bool {
	v := strings.ToLower(string(n.Value))
	return n.Kind == certificate.URIName && (strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://"))
}

// ocspRequest is an OCSPRequest for one certificate, without nonce so that responders may answer from their
// cache (RFC 6960 4.1.1, RFC 5019 2.1).
func ocspRequest(q revocation.Question) []byte {
	name, key := sha1.Sum(q.Certificate.RawIssuer), sha1.Sum(q.IssuerKey.BitString())
	var b cryptobyte.Builder
	sequence := func(b *cryptobyte.Builder, f func(b *cryptobyte.Builder)) { b.AddASN1(asn1.SEQUENCE, f) }
	sequence(&b, func(b *cryptobyte.Builder) { // OCSPRequest
		sequence(b, func(b *cryptobyte.Builder) { // TBSRequest
			sequence(b, func(b *cryptobyte.Builder) { // requestList
				sequence(b, func(b *cryptobyte.Builder) { // Request
					sequence(b, func(b *cryptobyte.Builder) { // CertID
						sequence(b, func(b *cryptobyte.Builder) {
							b.AddBytes([]byte{0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a}) // 1.3.14.3.2.26
							b.AddASN1NULL()
						})
						b.AddASN1OctetString(name[:])
						b.AddASN1OctetString(key[:])
						b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(q.Certificate.Serial) })
					})
				})
			})
		})
	})
	return b.BytesOrPanic() // lengths are bounded by the certificate that was parsed
}
