package revocation

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"iter"
	"slices"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// maxResponderTries bounds the certificates of the responder's name or key that one signature is tried with.
const maxResponderTries = 8

// CheckOCSP judges by one OCSP response (RFC 6960 3.2): CertID, times, certHash, the responder's authorisation and its
// signature. Of several answers about the certificate the worst counts.
func CheckOCSP(q Question, r *Response) Result {
	if r.Status != 0 {
		return Result{Status: Unknown, Code: ResponderError, Detail: r.Status.String(), Source: "OCSP"}
	}
	singles := q.matching(r)
	if len(singles) == 0 {
		return Result{Status: Unknown, Code: CertIDMismatch, Source: "OCSP"}
	}
	result := Result{Status: Invalid, Source: "OCSP", Named: true, ProducedAt: r.ProducedAt}
	if len(r.Critical) > 0 {
		result.Code, result.Detail = UnknownCritical, r.Critical[0].String()
		return result
	}
	if code := q.checkNonce(r); code != "" {
		result.Code = code
		return result
	}
	if r.ProducedAt.After(q.Time.Add(q.Skew)) {
		result.Code = NotYetValid
		return result
	}
	if why := q.produced(r, singles); why != "" {
		result.Code, result.Detail = NotStrict, why
		return result
	}
	single, code, detail := q.worst(singles)
	if single == nil {
		result.Code, result.Detail = code, detail
		result.ThisUpdate, result.NextUpdate = singles[0].ThisUpdate, singles[0].NextUpdate
		return result
	}
	result.ThisUpdate, result.NextUpdate = single.ThisUpdate, single.NextUpdate
	signer := q.responder(r)
	if signer.key == nil {
		result.Code, result.Detail = signer.code, signer.detail
		return result
	}
	result.Notes, result.Evidence = signer.notes, [][32]byte{r.Digest()}
	result.Uses = append(signer.uses, useOf(r.SignatureAlgorithm, signer.key, r.Digest()))
	result.signedBy(signer.signer)
	return q.answer(result, r, single)
}

// productionSkew is how far the clocks of a responder's parts may differ under the strict profile.
const productionSkew = 5 * time.Minute

// produced says, under the strict profile, what is wrong with the time at which the response was signed: RFC 6960 4.2.2.1 has
// it after thisUpdate, and nobody answers for a certificate that is still to come.
func (q *Question) produced(r *Response, singles []*Single) string {
	if !q.Strict {
		return ""
	}
	latest := r.ProducedAt.Add(productionSkew)
	if latest.Before(q.Certificate.NotBefore) {
		return "produced before the certificate became valid"
	}
	if slices.ContainsFunc(singles, func(s *Single) bool { return latest.Before(s.ThisUpdate) }) {
		return "produced before thisUpdate (RFC 6960 4.2.2.1)"
	}
	return ""
}

// A look at a single response costs matchCost units, and one at a certificate that may be the responder's candidateCost.
const (
	matchCost     = 100
	candidateCost = 100
)

// matching are the single responses about the certificate.
func (q *Question) matching(r *Response) (list []*Single) {
	for i := range r.Singles {
		if bytes.Equal(shortest(r.Singles[i].Serial), shortest(q.Certificate.Serial)) {
			q.work(budget.Octet * int64(len(q.IssuerKey.BitString())+len(q.IssuerName.Raw))) // both are hashed
		}
		if q.work(matchCost); q.spent() {
			return nil
		}
		if r.Singles[i].Names(q.Certificate.Serial, q.IssuerKey, q.Certificate.RawIssuer, q.IssuerName.Raw) {
			list = append(list, &r.Singles[i])
		}
	}
	return list
}

// checkNonce compares the nonce with that of the request. Pre-produced answers have none, which freshness must make up for
// (RFC 5019 4); a different one is another request's answer.
func (q *Question) checkNonce(r *Response) Code {
	switch {
	case q.Nonce == nil:
		return ""
	case r.HasNonce && !bytes.Equal(r.Nonce, q.Nonce):
		return NonceMismatch
	case !r.HasNonce && q.NonceRequired:
		return NonceMissing
	}
	return ""
}

// worst chooses among the answers that serve: revoked, then unknown, then good. One with an unknown critical extension or with the
// hash of another certificate spoils the response, since what it says is not understood.
func (q *Question) worst(singles []*Single) (worst *Single, code Code, detail string) {
	for _, s := range singles {
		if len(s.Critical) > 0 {
			return nil, UnknownCritical, s.Critical[0].String()
		}
		if s.CertHash != nil && !q.hashMatches(s) {
			return nil, HashMismatch, ""
		}
	}
	for _, s := range singles {
		if why, ok := q.serves(s.ThisUpdate, s.NextUpdate); !ok {
			code = why
			continue
		}
		if worst == nil || badness(s) > badness(worst) {
			worst = s
		}
	}
	return worst, code, ""
}

func badness(s *Single) int {
	switch s.Status {
	case Revoked:
		return 2
	case Unknown:
		return 1
	}
	return 0
}

func (q *Question) hashMatches(s *Single) bool {
	hash, err := algorithm.HashByIdentifier(s.CertHashAlg)
	return err == nil && bytes.Equal(hash.Sum(q.Certificate.Raw), s.CertHash)
}

// answer turns a single response of an authorised responder into the result.
func (q *Question) answer(result Result, r *Response, s *Single) Result {
	result.Positive = s.CertHash != nil
	switch s.Status {
	case Revoked:
		result.Status, result.Code = Revoked, CertificateRevoked
		result.RevocationTime, result.Reason = s.RevocationTime, s.Reason
		if s.Reason == CertificateHold {
			result.Code = CertificateOnHold
			if r.ExtendedRevoke && s.RevocationTime.Equal(time.Unix(0, 0)) {
				result.Code = NeverIssued
			}
		}
	case Unknown:
		result.Status, result.Code = Unknown, StatusUnknown
	default:
		if !result.Positive && !q.covers(s.ThisUpdate, s.ArchiveCutoff) {
			result.Code = ExpiredNotCovered
			return result
		}
		if why := q.Refuses(result.Uses); why != "" {
			result.Code, result.Detail = WeakAlgorithm, why
			return result
		}
		result.Status = Good
	}
	return result
}

// responder finds who signed the response and whether it may (RFC 6960 4.2.2.2): the key that issued the certificate, a
// delegate that this key certified for OCSP, or a locally trusted one. All certificates of the response are looked at.
func (q *Question) responder(r *Response) signerVerdict {
	scheme, err := algorithm.FromCertificate(r.SignatureAlgorithm)
	if err != nil {
		return failedSignature(err)
	}
	signed := Signed{r.Digest(), r.RawTBS, r.Signature}
	verdict := signerVerdict{code: SignerNotFound, detail: "no certificate for the responder's identifier"}
	if r.identifies(q.IssuerName, q.IssuerKey) {
		notes, err := q.verify(scheme, q.IssuerKey, signed)
		if err == nil {
			return signerVerdict{key: q.IssuerKey, notes: notes}
		}
		verdict = failedSignature(err)
	}
	tries := 0
	for candidate := range q.candidates(r) {
		if q.work(candidateCost); q.spent() {
			return signerVerdict{code: BudgetSpent}
		}
		if r.ResponderName != nil && !r.ResponderName.Equal(candidate.Subject) {
			continue
		}
		key, err := candidate.Key()
		if err != nil || !r.identifies(candidate.Subject, key) {
			continue
		}
		if tries++; tries > maxResponderTries {
			break
		}
		notes, err := q.verify(scheme, key, signed)
		if err != nil {
			if verdict.code == SignerNotFound {
				verdict = failedSignature(err)
			}
			continue
		}
		uses, code, detail := q.authorised(r, candidate, key)
		if code != "" {
			verdict = signerVerdict{code: code, detail: detail}
			continue
		}
		return signerVerdict{key: key, signer: candidate, notes: notes, uses: uses}
	}
	return verdict
}

// candidates are the certificates that may be the responder's: those of the response, then the further ones.
func (q *Question) candidates(r *Response) iter.Seq[*certificate.Certificate] {
	return func(yield func(*certificate.Certificate) bool) {
		for _, list := range [...][]*certificate.Certificate{r.Certificates(), q.Responders} {
			for _, c := range list {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// identifies reports whether the ResponderID is that of a name or key.
func (r *Response) identifies(subject certificate.Name, key *algorithm.PublicKey) bool {
	if r.ResponderName != nil {
		return r.ResponderName.Equal(subject)
	}
	sum := sha1.Sum(key.BitString()) // the identifier is defined over SHA-1 (RFC 6960 4.2.1)
	return bytes.Equal(r.ResponderKey, sum[:])
}

// authorised checks the certificate of a responder that signed. The uses are those that its authority rests on.
func (q *Question) authorised(r *Response, responder *certificate.Certificate, key *algorithm.PublicKey) ([]Use, Code, string) {
	if key.Equal(q.IssuerKey) && responder.Subject.Equal(q.IssuerName) {
		return nil, "", ""
	}
	name := responder.Subject.String()
	if own, err := q.Certificate.Key(); err == nil && key.Equal(own) {
		return nil, SignerNotAuthorised, name + ": no key vouches for itself"
	}
	if q.LocalResponder != nil && q.LocalResponder(responder) {
		return nil, "", ""
	}
	if why := q.delegate(r, responder); why != "" {
		return nil, SignerNotAuthorised, name + ": " + why
	}
	if q.DelegateRevoked != nil && !responder.OCSPNoCheck && !responder.ValidityAssured {
		if err := q.DelegateRevoked(responder); err != nil {
			return nil, SignerNotTrusted, fmt.Sprintf("%s: %v", name, err)
		}
	}
	return []Use{useOf(responder.SignatureAlgorithm, q.IssuerKey, responder.Fingerprint)}, "", ""
}

// delegate says what keeps a certificate from being that of a delegate of the issuing key.
func (q *Question) delegate(r *Response, responder *certificate.Certificate) string {
	switch {
	case !slices.Contains(responder.EKU, certificate.PurposeOCSPSigning):
		return "extended key usage is without OCSPSigning (RFC 6960 4.2.2.2)"
	case !responder.Issuer.Equal(q.IssuerName):
		return "issued by another CA than the certificate (RFC 6960 4.2.2.2)"
	case responder.BasicConstraints != nil && responder.BasicConstraints.CA:
		return "a CA certificate must not be a delegate"
	case responder.HasKeyUsage && responder.KeyUsage&(certificate.DigitalSignature|certificate.ContentCommitment) == 0:
		return "key usage is without digitalSignature (RFC 5280 4.2.1.12)"
	case r.ProducedAt.Before(responder.NotBefore) || r.ProducedAt.After(responder.NotAfter):
		return "not valid when the response was produced"
	}
	if why := q.unreadable(responder); why != "" {
		return why
	}
	scheme, err := algorithm.FromCertificate(responder.SignatureAlgorithm)
	if err != nil {
		return err.Error()
	}
	signed := Signed{responder.Fingerprint, responder.RawTBS, responder.Signature}
	if _, err := q.verify(scheme, q.IssuerKey, signed); err != nil {
		return "not signed by the key that issued the certificate (RFC 6960 4.2.2.2)"
	}
	return ""
}

// unreadable says what of a delegate's certificate cannot be understood in one way.
func (q *Question) unreadable(responder *certificate.Certificate) string {
	aia := responder.Extension(certificate.ExtAuthorityInfoAccess)
	switch {
	case len(responder.UnknownCritical()) > 0:
		return "critical extension " + responder.UnknownCritical()[0].String() + " is not known"
	case slices.ContainsFunc(responder.Extensions, func(e certificate.Extension) bool { return e.Malformed }):
		return "malformed extension"
	case responder.Has(certificate.DuplicateExtension):
		return string(certificate.DuplicateExtension)
	case responder.Has(certificate.BadVersion):
		return string(certificate.BadVersion)
	case responder.Has(certificate.BadBitString):
		return "malformed signature"
	case !bytes.Equal(responder.SignatureAlgorithm, responder.TBSSignatureAlgorithm):
		return "the algorithms inside and outside of its signed part differ"
	case q.Strict && aia != nil && aia.Critical:
		return "authorityInfoAccess is critical (RFC 5280 4.2.2.1)"
	}
	return ""
}
