package past

import (
	"slices"
	"time"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
)

// maxRevocations bounds the older evidence that is asked, of each kind, whether it revokes a certificate: each may cost
// several public-key operations.
const maxRevocations = 32

// choose finds the evidence about the i-th certificate that decides at control-time (EN 319 102-1 5.6.2.2 (2)(a), (b)): the
// newest that revokes it, else the newest.
func (r *Request) choose(i int, control time.Time) revocation.Result {
	q := r.question(i, control)
	if q.IssuerKey == nil {
		return revocation.Result{Code: revocation.UnsupportedAlgorithm}
	}
	responses, crls := r.proven(&q, control)
	newest := revocation.Check(q, responses, crls)
	if newest.Status != revocation.Good {
		return newest
	}
	if revoked := revokedBefore(q, responses, crls); revoked.Status == revocation.Revoked {
		return revoked
	}
	return newest
}

// question asks about the i-th certificate. All evidence serves that was issued before control-time; how old it may be is
// for Fresh to say.
func (r *Request) question(i int, control time.Time) revocation.Question {
	q := revocation.Question{Certificate: r.Chain[i]}
	q.IssuerName, q.IssuerKey, q.Issuer = r.issuer(i)
	if r.Prepare != nil {
		r.Prepare(&q)
	}
	anyAge := revocation.AnyAge
	q.Freshness, q.MaxAge, q.WithoutNextUpdate, q.Skew = &anyAge, 0, revocation.AnyAge, 0
	q.Time, q.IssuedAfter, q.AfterIssuance = control.Add(-time.Nanosecond), time.Time{}, true
	q.Acceptable = nil // how strong its algorithms were is for the sliding
	return q
}

// issuer returns who issued the i-th certificate; the key is nil where it can't be read.
func (r *Request) issuer(i int) (name certificate.Name, key *algorithm.PublicKey, cert *certificate.Certificate) {
	if i+1 == len(r.Chain) || isAnchor(r.Anchor, r.Chain[i+1]) {
		return r.Anchor.Name, r.Anchor.Key, r.Anchor.Certificate
	}
	cert = r.Chain[i+1]
	key, err := cert.Key()
	if err != nil {
		return cert.Subject, nil, cert
	}
	_, above, _ := r.issuer(i + 1)
	if above != nil {
		key = key.InheritParameters(above)
	}
	return cert.Subject, key, cert
}

// proven leaves the evidence that existed by control-time. A responder that no longer knows a certificate after its expiry
// says nothing about it.
func (r *Request) proven(q *revocation.Question, control time.Time) (responses []*revocation.Response, crls []*revocation.CRL) {
	allResponses, allCRLs := r.Evidence(q)
	for _, e := range allResponses {
		if r.Existence.By(e.Digest(), control) && !forgotten(q, e) {
			responses = append(responses, e)
		}
	}
	for _, e := range allCRLs {
		if r.Existence.By(e.Digest(), control) {
			crls = append(crls, e)
		}
	}
	return responses, crls
}

// about returns the answers of a response about the question's certificate.
func about(q *revocation.Question, r *revocation.Response) []revocation.Single {
	return slices.DeleteFunc(slices.Clone(r.Singles), func(s revocation.Single) bool {
		return !s.Names(q.Certificate.Serial, q.IssuerKey, q.Certificate.RawIssuer, q.IssuerName.Raw)
	})
}

func forgotten(q *revocation.Question, r *revocation.Response) bool {
	answers := about(q, r)
	return len(answers) > 0 && !slices.ContainsFunc(answers, func(s revocation.Single) bool {
		return s.Status != revocation.Unknown || !s.ThisUpdate.After(q.Certificate.NotAfter)
	})
}

// revokedBefore looks for evidence that revokes the certificate for good though newer evidence does not tell: an issuer may
// drop it from its lists after expiry, and one source may lag behind another. The newest such counts.
func revokedBefore(q revocation.Question, responses []*revocation.Response, crls []*revocation.CRL) (found revocation.Result) {
	tries := 0
	take := func(check func() revocation.Result) {
		if tries++; tries > maxRevocations {
			return
		}
		if r := check(); r.Status == revocation.Revoked && (found.Code == "" || r.ThisUpdate.After(found.ThisUpdate)) {
			found = r
		}
	}
	for _, e := range responses {
		if slices.ContainsFunc(about(&q, e), func(s revocation.Single) bool { return s.Status == revocation.Revoked && final(s.Reason) }) {
			take(func() revocation.Result { return revocation.CheckOCSP(q, e) })
		}
	}
	tries = 0
	for _, e := range crls {
		if entry, listed := e.Find(q.Certificate.Issuer, q.Certificate.Serial); listed && !e.Delta() && final(entry.Reason) {
			take(func() revocation.Result { return revocation.CheckCRL(q, []*revocation.CRL{e}) })
		}
	}
	return found
}

// final reports whether a revocation can't be lifted.
func final(r revocation.Reason) bool {
	return r != revocation.CertificateHold && r != revocation.RemoveFromCRL
}
