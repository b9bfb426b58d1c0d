package revocation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

const (
	// maxCRLSigners bounds the keys that one CRL's signature is tried with: names of CAs rarely have more than three keys. It
	// bounds the deltas that are tried with one CRL, too.
	maxCRLSigners = 8
	// maxCRLTries bounds the CRLs about one certificate whose signatures are checked: a document may carry thousands.
	maxCRLTries = 32
)

// crlEngine is one run of RFC 5280 6.3.3.
type crlEngine struct {
	q      *Question
	deltas []*CRL
	mask   certificate.ReasonFlags // reasons_mask
	good   Result                  // what was used so far
	failed Result                  // the failure that came closest
	stage  int                     // how far that came
	signed map[*CRL]signerVerdict  // a list may serve several distribution points
}

// lookCost is what it costs to hold a list against a distribution point, in units of the budget; a pair of names, or a delta,
// costs it again.
const lookCost = 100

// signerVerdict is what is known of a list's signer.
type signerVerdict struct {
	key    *algorithm.PublicKey
	signer *certificate.Certificate // nil where the issuing key signed
	notes  []string
	uses   []Use // that its authority rests on
	code   Code
	detail string
}

// The stages of a failure, in the order of the checks.
const (
	stageScope = iota + 1
	stageReasons
	stageForm
	stageTime
	stageSigner
	stageCoverage
)

// CheckCRL judges by CRLs (RFC 5280 6.3.3): every distribution point of the certificate, then its issuer's own; all
// reasons must be covered for Good. Newer lists come first. Deltas among crls are used with their base.
func CheckCRL(q Question, crls []*CRL) Result {
	e := &crlEngine{q: &q, failed: Result{Code: NoEvidence}, signed: map[*CRL]signerVerdict{}}
	e.good = Result{Status: Good, Source: "CRL", Named: true}
	complete := e.sort(crls)
	for _, point := range distributionPoints(&q) {
		for _, crl := range complete {
			if e.q.work(lookCost); e.q.spent() {
				return Result{Status: Invalid, Code: BudgetSpent, Source: "CRL", Named: true}
			}
			if revoked, ok := e.try(point, crl); ok {
				return revoked
			}
			if e.mask == certificate.AllReasons {
				return e.good
			}
		}
	}
	if e.mask != 0 && e.stage <= stageReasons {
		return Result{Status: Invalid, Code: ReasonsNotCovered, Source: "CRL", Named: true, ThisUpdate: e.good.ThisUpdate}
	}
	if len(complete) == 0 && e.deltaAlone() {
		return Result{Status: Invalid, Code: DeltaWithoutBase, Source: "CRL", Named: true}
	}
	return e.failed
}

// sort puts deltas aside and the newest first.
func (e *crlEngine) sort(crls []*CRL) (complete []*CRL) {
	for _, crl := range crls {
		if crl.Delta() {
			e.deltas = append(e.deltas, crl)
		} else {
			complete = append(complete, crl)
		}
	}
	newest := func(a, b *CRL) int { return b.ThisUpdate.Compare(a.ThisUpdate) }
	slices.SortStableFunc(complete, newest)
	slices.SortStableFunc(e.deltas, newest)
	return complete
}

func (e *crlEngine) deltaAlone() bool {
	return slices.ContainsFunc(e.deltas, func(d *CRL) bool { return d.Issuer.Equal(e.q.Certificate.Issuer) })
}

// distributionPoints are those of the certificate and the one that RFC 5280 6.3.3 assumes for lists that the issuer itself
// publishes elsewhere.
func distributionPoints(q *Question) []certificate.DistributionPoint {
	own := certificate.GeneralName{Kind: certificate.DirectoryName, Value: q.Certificate.RawIssuer, Directory: &q.Certificate.Issuer}
	implicit := certificate.DistributionPoint{Name: &certificate.DistributionPointName{Full: []certificate.GeneralName{own}}}
	return append(slices.Clip(q.Certificate.CRLDistributionPoints), implicit)
}

// fail remembers the failure that came closest to success.
func (e *crlEngine) fail(stage int, crl *CRL, code Code, detail string) {
	if stage < e.stage {
		return
	}
	named := e.failed.Named || stage > stageScope
	status := Invalid
	if !named {
		status = Unknown
	}
	e.stage = stage
	e.failed = Result{Status: status, Code: code, Detail: detail, Source: "CRL", Named: named,
		ThisUpdate: crl.ThisUpdate, NextUpdate: crl.NextUpdate}
}

// try processes one complete CRL for one distribution point: steps b to l. The second result is true when the certificate
// is revoked.
func (e *crlEngine) try(point certificate.DistributionPoint, crl *CRL) (Result, bool) {
	if ok, issuer := e.inScope(point, crl); !ok {
		if issuer {
			e.fail(stageScope, crl, OutOfScope, crl.Issuer.String())
		}
		return Result{}, false
	}
	reasons := interimReasons(point, crl)
	if reasons&^e.mask == 0 {
		return Result{}, false
	}
	if !algorithm.SameIdentifiers(crl.SignatureAlgorithm, crl.TBSSignatureAlgorithm) {
		e.fail(stageForm, crl, Malformed, "the algorithms inside and outside of the signed part differ (RFC 5280 5.1.1.2)")
		return Result{}, false
	}
	if why := crl.departs(); e.q.Strict && why != "" {
		e.fail(stageForm, crl, NotStrict, why)
		return Result{}, false
	}
	code, current := e.q.serves(crl.ThisUpdate, crl.NextUpdate)
	if !current && code != Stale && code != NotFresh {
		e.fail(stageTime, crl, code, "")
		return Result{}, false
	}
	deltas := e.deltasFor(crl)
	if !current && len(deltas) == 0 {
		e.fail(stageTime, crl, code, "")
		return Result{}, false
	}
	signer := e.signerOf(crl)
	if signer.key == nil {
		e.fail(stageSigner, crl, signer.code, signer.detail)
		return Result{}, false
	}
	delta := e.signedDelta(deltas, signer)
	if delta == nil && !current {
		e.fail(stageTime, crl, code, "")
		return Result{}, false
	}
	return e.look(crl, delta, reasons, signer)
}

// look searches the delta, then the complete list (steps i to l).
func (e *crlEngine) look(crl, delta *CRL, reasons certificate.ReasonFlags, signer signerVerdict) (Result, bool) {
	issuer, serial := e.q.Certificate.Issuer, e.q.Certificate.Serial
	newest := crl
	entry, listed := crl.Find(issuer, serial)
	if delta != nil {
		newest = delta
		if change, ok := delta.Find(issuer, serial); ok {
			entry, listed = applyDelta(entry, listed, change)
		}
	}
	result := Result{Source: "CRL", Named: true, Status: Revoked, Code: CertificateRevoked,
		ThisUpdate: newest.ThisUpdate, NextUpdate: newest.NextUpdate, Notes: signer.notes,
		Evidence: [][32]byte{crl.Digest()}, Uses: []Use{useOf(crl.SignatureAlgorithm, signer.key, crl.Digest())}}
	if delta != nil {
		result.Evidence = append(result.Evidence, delta.Digest())
		result.Uses = append(result.Uses, useOf(delta.SignatureAlgorithm, signer.key, delta.Digest()))
	}
	result.signedBy(signer.signer)
	if listed { // removeFromCRL on a complete list takes nothing away (RFC 5280 5.3.1)
		result.RevocationTime, result.Reason, result.InvalidityDate = entry.RevocationDate, entry.Reason, entry.InvalidityDate
		if entry.Reason == CertificateHold {
			result.Code = CertificateOnHold
		}
		return result, true
	}
	if id := unknownCritical(crl, delta); id != "" {
		e.fail(stageCoverage, crl, UnknownCritical, id.String())
		return Result{}, false
	}
	if !e.q.covers(newest.ThisUpdate, crl.ExpiredCertsSince) {
		e.fail(stageCoverage, crl, ExpiredNotCovered, "")
		return Result{}, false
	}
	if why := e.q.Refuses(result.Uses); why != "" {
		e.fail(stageCoverage, crl, WeakAlgorithm, why)
		return Result{}, false
	}
	e.mask |= reasons
	e.use(result)
	return Result{}, false
}

// applyDelta changes what the complete list says by the entry of a delta. A removal undoes a hold and nothing else
// (RFC 5280 5.3.1).
func applyDelta(entry Entry, listed bool, change Entry) (Entry, bool) {
	if change.Reason != RemoveFromCRL {
		return change, true
	}
	if listed && entry.Reason != CertificateHold {
		return entry, true
	}
	return Entry{}, false
}

func unknownCritical(crl, delta *CRL) certificate.OID {
	if len(crl.Critical) > 0 {
		return crl.Critical[0]
	}
	if delta != nil && len(delta.Critical) > 0 {
		return delta.Critical[0]
	}
	return ""
}

// use adds a list that says nothing against the certificate. With several lists the oldest tells how current the answer is.
func (e *crlEngine) use(r Result) {
	g := &e.good
	if g.ThisUpdate.IsZero() || r.ThisUpdate.Before(g.ThisUpdate) {
		g.ThisUpdate = r.ThisUpdate
	}
	if g.NextUpdate.IsZero() || !r.NextUpdate.IsZero() && r.NextUpdate.Before(g.NextUpdate) {
		g.NextUpdate = r.NextUpdate
	}
	g.Evidence = append(g.Evidence, r.Evidence...)
	g.Signers = append(g.Signers, r.Signers...)
	g.ByIssuer = g.ByIssuer || r.ByIssuer
	g.Notes = append(g.Notes, r.Notes...)
	g.Uses = append(g.Uses, r.Uses...)
}

func useOf(algID []byte, key *algorithm.PublicKey, object [32]byte) Use {
	scheme, err := algorithm.FromCertificate(algID)
	if err != nil {
		return Use{Object: object}
	}
	return Use{Algorithm: scheme.Name(), Bits: key.Bits(), Object: object}
}

// interimReasons is step d.
func interimReasons(point certificate.DistributionPoint, crl *CRL) certificate.ReasonFlags {
	reasons := certificate.AllReasons
	if crl.IssuingPoint != nil && crl.IssuingPoint.HasSomeReasons {
		reasons &= crl.IssuingPoint.SomeReasons
	}
	if point.Reasons != 0 {
		reasons &= point.Reasons
	}
	return reasons
}

// inScope is step b. The second result tells whether at least the issuer is the right one.
func (e *crlEngine) inScope(point certificate.DistributionPoint, crl *CRL) (ok, issuer bool) {
	idp := crl.IssuingPoint
	if len(point.CRLIssuer) > 0 {
		if !hasDirectoryName(point.CRLIssuer, crl.Issuer) || idp == nil || !idp.Indirect {
			return false, false
		}
	} else if !crl.Issuer.Equal(e.q.Certificate.Issuer) {
		return false, false
	}
	if idp == nil {
		return true, true
	}
	bc := e.q.Certificate.BasicConstraints
	ca := bc != nil && bc.CA
	if idp.OnlyUser && ca || idp.OnlyCA && !ca || idp.OnlyAttribute {
		return false, true
	}
	if idp.Name == nil {
		return true, true
	}
	base := e.q.Certificate.Issuer
	if len(point.CRLIssuer) > 0 {
		base = crl.Issuer
	}
	names, wanted := fullNames(idp.Name, crl.Issuer), point.CRLIssuer
	if point.Name != nil {
		wanted = fullNames(point.Name, base)
	}
	e.q.work(lookCost * int64(len(names)*len(wanted)))
	return !e.q.spent() && anyShared(names, wanted), true
}

// fullNames are the names of a distribution point; a relative one is put under the CRL issuer's name (RFC 5280 4.2.1.13).
func fullNames(name *certificate.DistributionPointName, issuer certificate.Name) []certificate.GeneralName {
	if name.Relative == nil {
		return name.Full
	}
	rdn, err := certificate.ParseRelativeName(name.Relative)
	if err != nil {
		return nil
	}
	full := issuer.Extended(rdn)
	return []certificate.GeneralName{{Kind: certificate.DirectoryName, Directory: &full}}
}

func hasDirectoryName(list []certificate.GeneralName, name certificate.Name) bool {
	return slices.ContainsFunc(list, func(g certificate.GeneralName) bool {
		return g.Directory != nil && g.Directory.Equal(name)
	})
}

// anyShared reports whether two lists have a name in common.
func anyShared(a, b []certificate.GeneralName) bool {
	return slices.ContainsFunc(a, func(x certificate.GeneralName) bool {
		return slices.ContainsFunc(b, func(y certificate.GeneralName) bool { return sameName(x, y) })
	})
}

func sameName(x, y certificate.GeneralName) bool {
	if x.Kind != y.Kind {
		return false
	}
	if x.Directory != nil && y.Directory != nil {
		return x.Directory.Equal(*y.Directory)
	}
	return x.Kind != certificate.DirectoryName && bytes.Equal(x.Value, y.Value)
}

// deltasFor are the deltas that may be combined with a complete list (step c, RFC 5280 5.2.4) and that serve, newest first.
func (e *crlEngine) deltasFor(crl *CRL) (fitting []*CRL) {
	if crl.Number == nil {
		return nil
	}
	e.q.work(lookCost * int64(len(e.deltas)))
	for _, delta := range e.deltas {
		if delta.Number == nil || crl.Number.Cmp(delta.Base) < 0 || crl.Number.Cmp(delta.Number) >= 0 || !sameScope(crl, delta) {
			continue
		}
		_, serves := e.q.serves(delta.ThisUpdate, delta.NextUpdate)
		if serves && algorithm.SameIdentifiers(delta.SignatureAlgorithm, delta.TBSSignatureAlgorithm) {
			fitting = append(fitting, delta)
		}
	}
	return fitting
}

func sameScope(crl, delta *CRL) bool {
	if !crl.Issuer.Equal(delta.Issuer) || (crl.IssuingPoint == nil) != (delta.IssuingPoint == nil) {
		return false
	}
	if crl.IssuingPoint != nil && !bytes.Equal(crl.IssuingPoint.Raw, delta.IssuingPoint.Raw) {
		return false
	}
	return sameKeyID(crl.AKI, delta.AKI)
}

func sameKeyID(a, b *certificate.AuthorityKeyID) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return bytes.Equal(a.KeyID, b.KeyID) && bytes.Equal(a.Serial, b.Serial)
}

// signedDelta is the delta with the highest number that the signer of the complete list signed too (step h).
func (e *crlEngine) signedDelta(deltas []*CRL, signer signerVerdict) (best *CRL) {
	for i, delta := range deltas {
		if i == maxCRLSigners {
			break
		}
		if best != nil && delta.Number.Cmp(best.Number) <= 0 {
			continue
		}
		if _, err := e.verify(delta, signer.key); err == nil {
			best = delta
		}
	}
	return best
}

func (e *crlEngine) verify(crl *CRL, key *algorithm.PublicKey) ([]string, error) {
	scheme, err := algorithm.FromCertificate(crl.SignatureAlgorithm)
	if err != nil {
		return nil, err
	}
	return e.q.verify(scheme, key, Signed{crl.Digest(), crl.RawTBS, crl.Signature})
}

// signerOf finds who signed a list: the issuing key of the certificate, or a certificate of the list's issuer with cRLSign and
// a valid path (steps f and g).
func (e *crlEngine) signerOf(crl *CRL) signerVerdict {
	if v, ok := e.signed[crl]; ok {
		return v
	}
	v := signerVerdict{code: SignerNotFound, detail: fmt.Sprintf("more than %d lists about one certificate", maxCRLTries)}
	if len(e.signed) < maxCRLTries {
		v = e.findSigner(crl)
	}
	e.signed[crl] = v
	return v
}

func (e *crlEngine) findSigner(crl *CRL) signerVerdict {
	verdict := signerVerdict{code: SignerNotFound, detail: crl.Issuer.String()}
	if crl.Issuer.Equal(e.q.IssuerName) {
		if v := e.issuingKey(crl); v.key != nil || v.code == UnsupportedAlgorithm {
			return v
		} else {
			verdict = v
		}
	}
	if e.q.CRLIssuers == nil {
		return verdict
	}
	tried := 0
	for _, candidate := range byKeyID(e.q.CRLIssuers(crl.Issuer), crl.AKI) {
		if tried == maxCRLSigners {
			break
		}
		tried++
		v := e.candidate(crl, candidate)
		if v.key != nil {
			return v
		}
		if verdict.code == SignerNotFound || v.code != BadSignature {
			verdict = v
		}
	}
	return verdict
}

// issuingKey tries the key that signed the certificate itself.
func (e *crlEngine) issuingKey(crl *CRL) signerVerdict {
	if issuer := e.q.Issuer; issuer != nil && !maySignCRLs(issuer) {
		return signerVerdict{code: SignerNotAuthorised, detail: "key usage of " + issuer.Subject.String() + " is without cRLSign"}
	}
	notes, err := e.verify(crl, e.q.IssuerKey)
	if err != nil {
		return failedSignature(err)
	}
	return signerVerdict{key: e.q.IssuerKey, notes: notes}
}

// candidate tries another certificate of the list's issuer.
func (e *crlEngine) candidate(crl *CRL, candidate *certificate.Certificate) signerVerdict {
	if !maySignCRLs(candidate) {
		return signerVerdict{code: SignerNotAuthorised, detail: "key usage of " + candidate.Subject.String() + " is without cRLSign"}
	}
	key, err := candidate.Key()
	if err != nil {
		return failedSignature(err)
	}
	notes, err := e.verify(crl, key)
	if err != nil {
		return failedSignature(err)
	}
	if e.q.Trusted == nil {
		return signerVerdict{code: SignerNotTrusted, detail: candidate.Subject.String()}
	}
	if err := e.q.Trusted(candidate); err != nil {
		return signerVerdict{code: SignerNotTrusted, detail: fmt.Sprintf("%s: %v", candidate.Subject, err)}
	}
	return signerVerdict{key: key, signer: candidate, notes: notes}
}

func failedSignature(err error) signerVerdict {
	if errors.Is(err, algorithm.ErrUnsupported) || errors.Is(err, algorithm.ErrMalformed) {
		return signerVerdict{code: UnsupportedAlgorithm, detail: err.Error()}
	}
	return signerVerdict{code: BadSignature, detail: err.Error()}
}

// maySignCRLs is RFC 5280 6.3.3 f: cRLSign, where there is a key usage at all.
func maySignCRLs(c *certificate.Certificate) bool {
	return !c.HasKeyUsage || c.KeyUsage&certificate.CRLSign != 0
}

// byKeyID puts the certificates that the authority key identifier names first.
func byKeyID(list []*certificate.Certificate, aki *certificate.AuthorityKeyID) []*certificate.Certificate {
	if aki == nil || aki.KeyID == nil {
		return list
	}
	sorted := slices.Clone(list)
	rank := func(c *certificate.Certificate) int {
		if bytes.Equal(c.SKI, aki.KeyID) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(sorted, func(a, b *certificate.Certificate) int { return rank(a) - rank(b) })
	return sorted
}
