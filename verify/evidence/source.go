package evidence

import (
	"crypto/sha1" // RFC 6960 4.3: every responder knows it; here it only names the certificate
	"crypto/sha256"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// kind is what is asked for at an address.
type kind string

const (
	sourceOCSP    kind = "OCSP"
	sourceCRL     kind = "CRL"
	sourceIssuers kind = "issuers"
)

// source is one address and what is asked there.
type source struct {
	kind    kind
	url     string
	request []byte // an OCSPRequest
}

// key names the source in the cache and in the keep.
func (s source) key() [32]byte {
	return sha256.Sum256(append([]byte(string(s.kind)+"\x00"+s.url+"\x00"), s.request...))
}

// sources returns the http addresses of the certificate's OCSP responders, then of its CRL distribution points.
func sources(q revocation.Question) []source {
	var responders, lists []source
	for _, a := range q.Certificate.AIA {
		if a.Method == certificate.AccessOCSP && isHTTP(a.Location) && len(responders) < maxSources {
			responders = append(responders, source{sourceOCSP, string(a.Location.Value), ocspRequest(q)})
		}
	}
	for _, p := range q.Certificate.CRLDistributionPoints {
		if p.Name == nil {
			continue
		}
		for _, n := range p.Name.Full {
			if isHTTP(n) && len(lists) < maxSources {
				lists = append(lists, source{kind: sourceCRL, url: string(n.Value)})
			}
		}
	}
	return append(responders, lists...)
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
