package judge

import (
	"fmt"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// identify checks the format and identifies the signing certificate (5.2.2, 5.2.3). The signer is nil where it is not
// known whose signature it is: a certificate that the signature itself denies has no name here.
func (v *validator) identify(s *signature.Signature) (*certificate.Certificate, Conclusion) {
	format := v.block(trace.FormatChecking, time.Time{}, func() Conclusion { return v.format(s) })
	if s.Unchecked != "" {
		return nil, format
	}
	var signer *certificate.Certificate
	identified := v.block(trace.SigningCertificate, time.Time{}, func() (c Conclusion) {
		signer, c = v.bound(s)
		return c
	})
	v.context()
	return signer, format.then(func() Conclusion { return identified })
}

// context initializes the validation context (5.2.4): policies of signers are read and not processed.
func (v *validator) context() {
	v.block(trace.ValidationContext, time.Time{}, func() Conclusion {
		v.steps.add(trace.Constraint{Name: string(policy.PolicyAvailable), Context: policy.Signature.String(), Status: trace.Ignored})
		return passed()
	})
}

// format checks the format (5.2.2).
func (v *validator) format(s *signature.Signature) Conclusion {
	c := contextOf(s)
	switch {
	case s.Unchecked != "":
		return v.check(c, trace.CheckedToItsEnd, indeterminate(Generic, "the signature was not checked to its end: %s", s.Unchecked))
	case len(s.Structure) > 0:
		return v.check(c, trace.WellFormed, Conclusion{TotalFailed, FormatFailure, slices.Clone(s.Structure)})
	}
	v.check(c, trace.WellFormed, passed())
	if s.Container != signature.ASiCE && !s.NoManifest {
		return passed()
	}
	return v.demand(policy.Container, policy.ManifestFilePresent, !s.NoManifest, func() Conclusion {
		return failed(FormatFailure, "the container has no manifest that says which files belong to it (EN 319 162-1, 4.4)")
	})
}

// bound identifies the signing certificate (5.2.3).
func (v *validator) bound(s *signature.Signature) (*certificate.Certificate, Conclusion) {
	context := contextOf(s)
	signer, c := v.signer(s.Signer, "the document holds no certificate of the signer")
	if v.check(context.Signer(), policy.Recognition, c); !c.passed() {
		return nil, c
	}
	c = v.demand(context, policy.SigningCertificatePresent, s.Binding != signature.BindingAbsent, func() Conclusion {
		return indeterminate(SigConstraintsFailure, "the signature does not bind the signing certificate")
	})
	switch s.Binding {
	case signature.BindingMatches:
		v.check(context, policy.CertDigestMatch, passed())
	case signature.BindingMismatch:
		return nil, v.check(context, policy.CertDigestMatch, indeterminate(NoSigningCertificateFound,
			"the signed attribute names another certificate than the one whose key made the signature"))
	}
	return signer, c
}

// signer reads the certificate of whoever signed.
func (v *validator) signer(der []byte, missing string) (*certificate.Certificate, Conclusion) {
	if der == nil {
		return nil, indeterminate(NoSigningCertificateFound, "%s", missing)
	}
	c, err := v.ev.Cache.Parse(der)
	if err != nil {
		return nil, indeterminate(NoSigningCertificateFound, "the signing certificate can't be read: %v", err)
	}
	return c, passed()
}

// cryptographic verifies what is covered, then the value (5.2.7).
func (v *validator) cryptographic(s *signature.Signature) Conclusion {
	return v.block(trace.CryptographicVerification, time.Time{}, func() Conclusion {
		return v.covered(s).then(func() Conclusion { return v.check(contextOf(s), policy.SignatureIntact, verified(s)) })
	})
}

// verified judges the signature value.
func verified(s *signature.Signature) Conclusion {
	switch {
	case !s.Intact && s.Unsupported != "":
		return indeterminate(CryptoConstraintsNoPOE, "the signature value can't be checked: %s", s.Unsupported)
	case !s.Intact:
		return failed(SigCryptoFailure, "the signature value does not verify with the signer's key")
	}
	return passed()
}

// covered judges what is signed (5.2.7.4): what could not be found or computed is missing, and accuses nobody; what was
// found and differs was changed; and a signature that covers no octet of anything that a reader takes for content signs
// nothing.
func (v *validator) covered(s *signature.Signature) Conclusion {
	context := contextOf(s)
	for _, ref := range s.References {
		if leftToApplication(s, ref) {
			v.remark(context, existenceOf(ref), ref.Name, func() string { return "not at hand, and not checked (XMLDSig 5.1)" })
		} else if c := v.checkOf(context, existenceOf(ref), ref.Name, atHand(s, ref)); !c.passed() {
			return c
		}
	}
	content := false
	for _, ref := range s.References {
		if leftToApplication(s, ref) {
			continue
		}
		if c := v.checkOf(context, intactnessOf(ref), ref.Name, intact(ref)); !c.passed() {
			return c
		}
		content = content || !ref.Empty && IsContent(ref.Type)
	}
	if !content {
		return v.check(context, trace.DataSigned,
			indeterminate(SignedDataNotFound, "the signature covers no data: nothing of the document is signed"))
	}
	return v.check(context, trace.DataSigned, passed())
}

// atHand is found, but for what the value alone speaks for, as in a JWS: where that can't be checked for its
// algorithm, it is judged as in formats that have digests.
func atHand(s *signature.Signature, ref signature.Reference) Conclusion {
	if ref.Found && s.Unsupported != "" && ref.Unchecked == s.Unsupported {
		return verified(s)
	}
	return found(ref)
}

// found judges whether what a reference names is at hand and could be digested.
func found(ref signature.Reference) Conclusion {
	switch {
	case !ref.Found:
		return indeterminate(SignedDataNotFound, "%s %q was not given", ref.Type, ref.Name)
	case ref.Unchecked != "":
		return indeterminate(SignedDataNotFound, "%s %q can't be checked: %s", ref.Type, ref.Name, ref.Unchecked)
	}
	return passed()
}

// intact judges whether it is what was signed.
func intact(ref signature.Reference) Conclusion {
	if !ref.Intact {
		return failed(HashFailure, "%s %q was changed after signing", ref.Type, ref.Name)
	}
	return passed()
}

// existenceOf and intactnessOf name the constraints that a reference has to meet.
func existenceOf(ref signature.Reference) policy.Name {
	if ref.Type == "manifest-entry" {
		return policy.ManifestEntryObjectExistence
	}
	return policy.ReferenceDataExistence
}

func intactnessOf(ref signature.Reference) policy.Name {
	if ref.Type == "manifest-entry" {
		return policy.ManifestEntryObjectIntact
	}
	return policy.ReferenceDataIntact
}

// leftToApplication reports whether the reference is one of a ds:Manifest whose data are not at hand: XMLDSig 5.1 leaves
// those to the application. They are out of what is signed, and told. Manifests of ASiC are not meant.
func leftToApplication(s *signature.Signature, ref signature.Reference) bool {
	xml := s.Format == signature.XAdES || s.Format == signature.XMLDSig
	return xml && ref.Type == "manifest-entry" && !ref.Found
}

// Absent names the entries of ds:Manifest whose data are not at hand.
func Absent(s *signature.Signature) []string {
	var list []string
	for _, ref := range s.References {
		if leftToApplication(s, ref) {
			list = append(list, ref.Name)
		}
	}
	return list
}

// IsContent tells references to data from those to what a signature says about itself.
func IsContent(kind string) bool {
	return kind != "signed-properties" && kind != "key-info" && kind != "manifest"
}

// MaxTold bounds the later changes, unsigned files and parts that are told one by one.
const MaxTold = 64

// changes refuses what later revisions must not do, each with the constraint as DSS names it.
func (v *validator) changes(s *signature.Signature) Conclusion {
	if len(s.Changes) == 0 {
		return passed()
	}
	return v.block(trace.FormatChecking, time.Time{}, func() Conclusion {
		c := passed()
		for _, change := range s.Changes {
			if change.Rule == signature.RuleNone || len(c.Reasons) == MaxTold {
				continue
			}
			refused := v.demand(policy.Signature, policy.Name(change.Rule), false, func() Conclusion {
				return Conclusion{TotalFailed, FormatFailure, []string{Tell(change)}}
			})
			if !refused.passed() {
				c.Indication, c.SubIndication = refused.Indication, refused.SubIndication
				c.Reasons = append(c.Reasons, refused.Reasons...)
			}
		}
		return c
	})
}

// Tell says in words, for experts, what a change of a PDF did, and what does not allow it.
func Tell(c signature.Change) string {
	text := "after the signature: " + c.What
	if c.Revision > 0 {
		text = fmt.Sprintf("revision %d, %s", c.Revision, text)
	}
	if c.Page > 0 {
		text += fmt.Sprintf(" (page %d)", c.Page)
	}
	if c.Object != "" {
		text += fmt.Sprintf(" (object %s)", c.Object)
	}
	if c.Rule != signature.RuleNone {
		text += fmt.Sprintf("; %s (%s)", forbidden[c.Rule], c.Rule)
	}
	return text
}

// forbidden says why a rule does not allow a change.
var forbidden = map[signature.Rule]string{
	signature.RulePageDifference: "a signature does not allow other pages",
	signature.RuleVisual:         "a signature does not allow pages to show or do anything else",
	signature.RuleDocMDP:         "the certification of the document does not allow it",
	signature.RuleFieldMDP:       "a signature locked the field",
	signature.RuleLock:           "the lock of the signature's field does not allow it",
	signature.RuleUndefined:      "no signature allows it",
	signature.RuleFieldName:      "two fields have one full name",
}

// notForDocuments says why a certificate is for no signatures of documents, "" where it may be. A signature that its key
// made over a certificate, a list or an answer could be passed off as one over a document.
func notForDocuments(c *certificate.Certificate) string {
	if c.HasKeyUsage && c.KeyUsage&(certificate.DigitalSignature|certificate.ContentCommitment) == 0 {
		return "the keyUsage of the signer's certificate allows no signatures of documents (RFC 5280 4.2.1.3)"
	}
	for _, p := range c.EKU {
		if p != certificate.PurposeOCSPSigning && p != certificate.PurposeTimeStamping {
			return ""
		}
	}
	if c.HasEKU {
		return "the extended key usage of the signer's certificate is for OCSP answers or time-stamps alone (RFC 5280 4.2.1.12)"
	}
	return ""
}

// acceptance judges algorithms, references and properties (5.2.8), and what stands in the signature though nobody signed it.
func (v *validator) acceptance(s *signature.Signature, best time.Time) Conclusion {
	return v.block(trace.SignatureAcceptance, best, func() Conclusion {
		context := contextOf(s)
		if c := v.algorithms(context, s.Algorithms, best); !c.passed() {
			weak := func(at time.Time) bool { return !v.algorithms(context, s.Algorithms, at).passed() }
			if content := v.content(s); !content.IsZero() && silently(v.steps, func() bool { return weak(content) }) {
				c.SubIndication = CryptoConstraints // it was too weak already when what was signed began to exist (5.3.4)
			}
			return c
		}
		c := passed()
		if len(s.Constraints) > 0 {
			c = v.check(context, trace.Acceptable, Conclusion{Indeterminate, SigConstraintsFailure, slices.Clone(s.Constraints)})
		}
		strays := v.demand(policy.Product, policy.UnsignedContent, len(s.Strays) == 0, func() Conclusion {
			return Conclusion{Indeterminate, SigConstraintsFailure, Strays(s)}
		})
		if !strays.passed() {
			strays.Reasons = append(c.Reasons, strays.Reasons...)
			return strays
		}
		return c
	})
}

// Strays tells what stands in the signature unsigned and is defined nowhere.
func Strays(s *signature.Signature) []string {
	var list []string
	for _, stray := range s.Strays {
		list = append(list, "in the signature there is what nobody signed and no standard defines there: "+stray)
	}
	return list
}

// algorithms judges every use of an algorithm at the proven time (5.2.8).
func (v *validator) algorithms(c policy.Context, uses []signature.AlgorithmUse, at time.Time) Conclusion {
	for _, u := range uses {
		if u.Purpose == "signing-certificate" {
			continue // a digest inside the signed attributes: who could use its weakness would have to be the signer
		}
		ok, why := v.policy.Acceptable(c, u.Algorithm, u.KeyBits, at)
		if v.used(c, u, at, ok, why); !ok {
			return indeterminate(CryptoConstraintsNoPOE, "%s (%s): %s", u.Algorithm, u.Purpose, why)
		}
	}
	return passed()
}
