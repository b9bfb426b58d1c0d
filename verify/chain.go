package verify

import (
	"encoding/hex"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/signature"
)

// chainVerdict is the outcome of X.509 validation of a signer or a time-stamping unit.
type chainVerdict struct {
	verdict
	result path.Result
	notes  []string
}

// chain validates the certificate's path at the time at which the signature is proven to have existed
// (EN 319 102-1, 5.2.6 and, for an earlier time, 5.6.2.4): every certificate must have been valid then,
// and not revoked before it as far as the newest evidence tells.
func (j *judge) chain(c *certificate.Certificate, s *signature.Signature, best time.Time, stamp bool) *chainVerdict {
	book := j.book(s)
	req := path.Request{
		Target: c, Pool: book.pool, Anchors: j.ev.Lists.Anchors(), Time: best,
		Algorithm: j.policy.Acceptable, DirectTrust: true, Cache: j.ev.Cache,
	}
	if stamp {
		req.Purposes = []certificate.OID{certificate.PurposeTimeStamping}
	}
	if j.policy.Revocation {
		req.Revocation = j.revocation(book)
	}
	v := &chainVerdict{result: path.Validate(j.ctx, req)}
	v.notes = v.result.Notes
	v.verdict = j.conclude(c, &v.result, req)
	if v.passed() {
		v.verdict = j.signersOfEvidence(&v.result)
	}
	return v
}

// signersOfEvidence checks that whoever signed the evidence had a valid certificate when the evidence is
// proven to have existed: a key that has run out may have signed it afterwards. Trusted services count as
// long as their list says so.
func (j *judge) signersOfEvidence(result *path.Result) verdict {
	for _, r := range result.Revocation {
		for _, signer := range r.Signers {
			if j.listed(signer) || len(r.Evidence) == 0 {
				continue
			}
			if proven := j.poe.of(r.Evidence[0]); signer.NotAfter.Before(proven) {
				return unclear(RevocationOutOfBounds, "the certificate of %s, which signed the revocation information, ended on %s, and nothing proves that the information is older",
					signer.Subject.CommonName(), signer.NotAfter.Format(time.RFC3339))
			}
		}
	}
	return verdict{indication: TotalPassed}
}

// conclude turns the reasons of a path into an indication.
func (j *judge) conclude(c *certificate.Certificate, result *path.Result, req path.Request) verdict {
	if result.Valid {
		return verdict{indication: TotalPassed}
	}
	reason := result.Reason()
	v := verdict{indication: Indeterminate, sub: SubIndication(reason.SubIndication()), reasons: []string{reason.String()}}
	for _, r := range result.Reasons[min(1, len(result.Reasons)):] {
		v.reasons = append(v.reasons, r.String())
	}
	switch reason.Code {
	case path.AnchorOutOfTime:
		v.sub = NoCertificateChainNoPOE
	case path.Expired:
		v.sub = OutOfBoundsNoPOE
		if req.Revocation != nil && reason.Certificate == c && j.knownGood(c, req) {
			v.sub = OutOfBoundsNotRevoked
		}
	case path.Revoked, path.OnHold:
		v.sub = RevokedNoPOE
		if reason.Certificate != c {
			v.sub = RevokedCANoPOE
		}
	}
	if v.sub == "" {
		v.sub = ChainGeneralFailure
	}
	return v
}

// knownGood reports whether evidence says that the expired certificate was not revoked: the path holds
// at the last moment of its validity.
func (j *judge) knownGood(c *certificate.Certificate, req path.Request) bool {
	req.Time = c.NotAfter
	result := path.Validate(j.ctx, req)
	return result.Valid
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

func describeSigner(c *certificate.Certificate, s *signature.Signature) Signer {
	d := Signer{
		CertificateSHA256: hex.EncodeToString(c.Fingerprint[:]),
		CommonName:        c.Subject.CommonName(), GivenName: c.Subject.GivenName(), Surname: c.Subject.Surname(),
		Organization: c.Subject.Organization(), Country: c.Subject.Country(), Issuer: c.Issuer.CommonName(),
	}
	if s.Signatory.FamilyName != "" {
		d.GivenName, d.Surname = s.Signatory.GivenName, s.Signatory.FamilyName
	}
	return d
}
