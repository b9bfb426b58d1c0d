package verify

import (
	"slices"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// book is the parsed evidence for one signature: its own and what was gathered beside it.
type book struct {
	pool      *path.Pool
	crls      []*revocation.CRL
	responses []*revocation.Response
}

// maxEmbedded bounds the certificates, CRLs and OCSP responses, of each kind, that one signature may
// bring; archives with many time-stamps have some dozens.
const maxEmbedded = 2000

func (j *judge) book(s *signature.Signature) *book {
	b := &book{}
	var certificates []*certificate.Certificate
	for _, der := range limited(s.Certificates, j.ev.Certificates) {
		if c, err := j.ev.Cache.Parse(der); err == nil {
			certificates = append(certificates, c)
		}
	}
	for _, der := range limited(s.CRLs, j.ev.CRLs) {
		if l, err := revocation.ParseCRL(der); err == nil {
			b.crls = append(b.crls, l)
		}
	}
	for _, der := range limited(s.OCSPs, j.ev.OCSPs) {
		if r, err := revocation.ParseOCSP(der); err == nil {
			b.responses = append(b.responses, r)
		}
	}
	b.pool = path.NewPool(certificates...)
	return b
}

func limited(own, gathered [][]byte) [][]byte {
	return slices.Concat(own[:min(len(own), maxEmbedded)], gathered)
}

// revocation judges by the newest evidence known at the validation time, read for the time at which the
// signature is proven to have existed (EN 319 102-1, 5.6.2.4).
func (j *judge) revocation(b *book) *path.RevocationRule {
	return &path.RevocationRule{
		Evidence:       func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return b.responses, b.crls },
		Required:       true,
		ShortTerm:      true,
		AfterIssuance:  true,
		KnownUntil:     j.at,
		LocalResponder: j.listed,
	}
}

// listed reports whether the certificate itself is that of a trust service: Estonian responders, for one,
// are listed services of their own.
func (j *judge) listed(c *certificate.Certificate) bool { return len(j.ev.Lists.Holding(c)) > 0 }
