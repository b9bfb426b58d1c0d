package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// chainVerdict is the outcome of X.509 validation of a signer or a time-stamping unit.
type chainVerdict struct {
	verdict
	result path.Result
	notes  []string
	// covered is true when the document itself carries revocation information about every certificate
	// below the anchor, as the levels from LT on ask for.
	covered bool
}

// chain validates the certificate's path at the time at which the signature is proven to have existed
// (EN 319 102-1, 5.2.6 and, for an earlier time, 5.6.2.4): every certificate must have been valid then,
// and not revoked before it as far as the newest evidence tells. Evidence and certificates count in whole
// seconds, so the fraction of a time-stamp's is dropped: what was issued in the same second serves.
func (j *judge) chain(c *certificate.Certificate, s *signature.Signature, best time.Time, stamp bool) *chainVerdict {
	book := j.book(s)
	req := path.Request{
		Target: c, Pool: book.pool, Anchors: j.ev.Lists.Anchors(), Time: best.Truncate(time.Second),
		Algorithm: j.policy.Acceptable, DirectTrust: true, Budget: j.budget, Cache: j.ev.Cache,
	}
	if stamp {
		req.Purposes, req.PurposeRule = []certificate.OID{certificate.PurposeTimeStamping}, path.PurposeAlone
		if j.policy.LooseStamps {
			req.PurposeRule = path.PurposeStated
		}
	}
	if j.policy.Revocation {
		req.Revocation = j.revocation(book)
	}
	v := &chainVerdict{result: path.Validate(j.budget.Context(), req)}
	v.notes = v.result.Notes
	v.covered = j.covered(book.own(), &v.result)
	if v.result.Valid {
		v.verdict = j.signersOfEvidence(v.result.Revocation)
	} else {
		v.verdict = j.conclude(book, &v.result, req.Time)
	}
	return v
}

// signersOfEvidence checks that whoever signed the evidence had a valid certificate when the evidence is
// proven to have existed: a key that has run out may have signed it afterwards. Trusted services count as
// long as their list says so.
func (j *judge) signersOfEvidence(results []revocation.Result) verdict {
	for _, r := range results {
		for _, signer := range r.Signers {
			if j.ev.Lists.Responder(signer) || len(r.Evidence) == 0 {
				continue
			}
			if proven := j.poe.of(r.Evidence[0]); signer.NotAfter.Before(proven) {
				return unclear(RevocationOutOfBounds, "the certificate of %s, which signed the revocation information, ended on %s, and nothing proves that the information is older",
					prose.Name(signer.Subject.CommonName()), signer.NotAfter.Format(time.RFC3339))
			}
		}
	}
	return verdict{indication: TotalPassed}
}

// conclude turns the reasons of a path that is not valid into an indication. What leads to no anchor, or
// to one that is not trusted at the time, comes first; then the certificates in turn, the signer's first.
func (j *judge) conclude(b *book, result *path.Result, at time.Time) verdict {
	v := verdict{indication: Indeterminate}
	for _, r := range result.Reasons {
		v.reasons = append(v.reasons, r.String())
	}
	first := result.Reason()
	switch {
	case result.Anchor == nil || first.Code >= path.BadKey:
		v.sub = SubIndication(first.SubIndication())
	case slices.ContainsFunc(result.Reasons, func(r path.Reason) bool { return r.Code == path.AnchorOutOfTime }):
		v.sub = NoCertificateChainNoPOE
	default:
		for i := range result.Chain {
			if sub, why := j.weigh(b, result, i, at); sub != "" {
				v.sub = sub
				if why != "" {
					v.reasons = append([]string{why}, v.reasons...)
				}
				break
			}
		}
	}
	if v.sub == "" {
		v.sub = ChainGeneralFailure
	}
	return v
}

// weigh says what is wrong with the i-th certificate of the path, in the order in which the checks are
// made: revocation, constraints and algorithms, validity, the signer of the evidence (EN 319 102-1,
// 5.2.6.4). why is set where the path has no reason of its own.
func (j *judge) weigh(b *book, result *path.Result, i int, at time.Time) (sub SubIndication, why string) {
	c := result.Chain[i]
	status := j.status(b, result, i)
	switch status.Status {
	case revocation.Revoked:
		if status.RevocationTime.After(at) {
			break
		}
		sub = RevokedNoPOE
		if i > 0 {
			sub = RevokedCANoPOE
		}
		return sub, fmt.Sprintf("%s was revoked on %s", prose.Name(c.Subject.String()), status.RevocationTime.UTC().Format(time.RFC3339))
	case revocation.Unknown, revocation.Invalid:
		if status.Code == revocation.WeakAlgorithm {
			return CryptoConstraintsNoPOE, fmt.Sprintf("the revocation information for %s may not be relied on: %s", prose.Name(c.Subject.String()), status.Detail)
		}
		if !status.Code.Outdated() {
			return ChainGeneralFailure, fmt.Sprintf("no revocation information that serves is at hand for %s: %s", prose.Name(c.Subject.String()), status.Code)
		}
	}
	signers := j.signersOfEvidence([]revocation.Result{status})
	expired, late := false, false
	for _, r := range result.Reasons {
		switch {
		case r.Position != i:
		case r.Code == path.RevocationUnknown:
			late = true
		case r.Code == path.Expired || r.Code == path.NotYetValid:
			expired = true
		default:
			return SubIndication(r.SubIndication()), ""
		}
	}
	switch {
	case expired && i == 0 && status.Status == revocation.Good && signers.passed():
		return OutOfBoundsNotRevoked, ""
	case expired:
		return OutOfBoundsNoPOE, ""
	case !signers.passed():
		return signers.sub, signers.reasons[0]
	case late:
		return TryLater, ""
	}
	return "", ""
}

// covered reports whether the evidence says something about every certificate of the path below the anchor.
func (j *judge) covered(b *book, result *path.Result) bool {
	for i, c := range result.Chain {
		if j.listed(c) || result.Anchor == nil && c.SelfIssued() {
			break
		}
		if st := j.status(b, result, i); !st.Named && st.Status != revocation.Good {
			return false
		}
	}
	return true
}

// evidenceCost is what it costs to ask one piece of evidence about one certificate, its signature aside.
const evidenceCost = 2_000

// status is what the newest evidence says about the i-th certificate of a path, of whatever age: the path
// asks only when everything else holds. Certificates for which none is published are good.
func (j *judge) status(b *book, result *path.Result, i int) revocation.Result {
	c := result.Chain[i]
	if j.budget.Work(evidenceCost*int64(1+len(b.responses)+len(b.crls))) != nil {
		return revocation.Result{}
	}
	if !j.policy.Revocation || c.ShortTerm() {
		return revocation.Result{Status: revocation.Good}
	}
	if i < len(result.Revocation) && result.Revocation[i].Named && len(j.ev.CRLs)+len(j.ev.OCSPs) == 0 {
		return result.Revocation[i]
	}
	anyAge := revocation.AnyAge
	q := revocation.Question{
		Certificate: c, Time: j.at, Freshness: &anyAge, WithoutNextUpdate: revocation.AnyAge, AfterIssuance: true,
		LocalResponder: j.ev.Lists.Responder, Responders: j.responders(b), Acceptable: j.acceptable, Budget: j.budget,
		Verify: j.ev.Cache.VerifyWithin(j.budget),
	}
	switch a := result.Anchor; {
	case i+1 == len(result.Chain) && a == nil:
		return revocation.Result{}
	case i+1 == len(result.Chain):
		q.IssuerName, q.IssuerKey, q.Issuer = a.Name, a.Key, a.Certificate
	default:
		issuer := result.Chain[i+1]
		key, err := issuer.Key()
		if err != nil {
			return revocation.Result{}
		}
		q.IssuerName, q.IssuerKey, q.Issuer = issuer.Subject, key, issuer
	}
	return revocation.Check(q, b.responses, b.crls)
}

// responders are the certificates in which one may be found that is not in its answer.
func (j *judge) responders(b *book) []*certificate.Certificate {
	return append(slices.Clip(b.pool.All()), j.ev.Lists.Responders()...)
}

func (v *chainVerdict) describe() []Certificate {
	var list []Certificate
	for i, c := range v.result.Chain {
		d := describeCertificate(c)
		if i < len(v.result.Revocation) {
			st := v.result.Revocation[i]
			d.Status = st.Status.String()
			if st.Source != "" {
				d.Status += " (" + st.Source + ")"
			}
			if !st.RevocationTime.IsZero() {
				at := st.RevocationTime.UTC()
				d.RevokedAt = &at
			}
		}
		list = append(list, d)
	}
	if a := v.result.Anchor; a != nil && a.Certificate != nil {
		if n := len(list); n == 0 || list[n-1].SHA256 != hex.EncodeToString(a.Certificate.Fingerprint[:]) {
			list = append(list, describeCertificate(a.Certificate))
		}
		list[len(list)-1].Anchor = true
	}
	return list
}

func describeCertificate(c *certificate.Certificate) Certificate {
	return Certificate{SHA256: hex.EncodeToString(c.Fingerprint[:]), Subject: c.Subject.String(), NotBefore: c.NotBefore, NotAfter: c.NotAfter}
}

func describeSigner(c *certificate.Certificate) Signer {
	return Signer{
		CertificateSHA256: hex.EncodeToString(c.Fingerprint[:]),
		CommonName:        c.Subject.CommonName(), GivenName: c.Subject.GivenName(), Surname: c.Subject.Surname(),
		Organization: c.Subject.Organization(), Country: c.Subject.Country(), Issuer: c.Issuer.CommonName(),
	}
}
