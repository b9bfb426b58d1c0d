package judge

import (
	"fmt"
	"slices"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/signature"
)

// identify checks the format and identifies the signing certificate (5.2.2, 5.2.3). The signer is nil where it is not
// known whose signature it is: a certificate that the signature itself denies has no name here.
func (v *validator) identify(s *signature.Signature) (*certificate.Certificate, Conclusion) {
	if s.Unchecked != "" {
		return nil, indeterminate(Generic, "the signature was not checked to its end: %s", s.Unchecked)
	}
	signer, c := v.signer(s.Signer, "the document holds no certificate of the signer")
	if c.passed() && s.Binding == signature.BindingMismatch {
		signer, c = nil, indeterminate(NoSigningCertificateFound, "the signed attribute names another certificate than the one whose key made the signature")
	}
	switch {
	case len(s.Structure) > 0:
		return signer, Conclusion{TotalFailed, FormatFailure, slices.Clone(s.Structure)}
	case s.NoManifest && v.refuses(policy.Container, policy.ManifestFilePresent):
		return signer, failed(FormatFailure, "the container has no manifest that says which files belong to it (EN 319 162-1, 4.4)")
	case c.passed() && s.Binding == signature.BindingAbsent && v.refuses(contextOf(s), policy.SigningCertificatePresent):
		return signer, indeterminate(SigConstraintsFailure, "the signature does not bind the signing certificate")
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
	if c := covered(s); !c.passed() {
		return c
	}
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
func covered(s *signature.Signature) Conclusion {
	for _, ref := range s.References {
		switch {
		case !ref.Found && leftToApplication(s, ref):
		case !ref.Found:
			return indeterminate(SignedDataNotFound, "%s %q was not given", ref.Type, ref.Name)
		case ref.Unchecked != "":
			return indeterminate(SignedDataNotFound, "%s %q can't be checked: %s", ref.Type, ref.Name, ref.Unchecked)
		}
	}
	content := false
	for _, ref := range s.References {
		if !ref.Intact && !leftToApplication(s, ref) {
			return failed(HashFailure, "%s %q was changed after signing", ref.Type, ref.Name)
		}
		content = content || ref.Intact && !ref.Empty && IsContent(ref.Type)
	}
	if !content {
		return indeterminate(SignedDataNotFound, "the signature covers no data: nothing of the document is signed")
	}
	return passed()
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
	c := passed()
	for _, change := range s.Changes {
		if change.Rule == signature.RuleNone || !v.refuses(policy.Signature, policy.Name(change.Rule)) || len(c.Reasons) == MaxTold {
			continue
		}
		c.Indication, c.SubIndication = TotalFailed, FormatFailure
		c.Reasons = append(c.Reasons, Tell(change))
	}
	return c
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
	if c := v.algorithms(contextOf(s), s.Algorithms, best); !c.passed() {
		if content := v.content(s); !content.IsZero() && !v.algorithms(contextOf(s), s.Algorithms, content).passed() {
			c.SubIndication = CryptoConstraints // it was too weak already when what was signed began to exist (5.3.4)
		}
		return c
	}
	list := slices.Clone(s.Constraints)
	if v.refuses(policy.Product, policy.UnsignedContent) {
		list = append(list, Strays(s)...)
	}
	if len(list) > 0 {
		return Conclusion{Indeterminate, SigConstraintsFailure, list}
	}
	return passed()
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
		if ok, why := v.policy.Acceptable(c, u.Algorithm, u.KeyBits, at); !ok {
			return indeterminate(CryptoConstraintsNoPOE, "%s (%s): %s", u.Algorithm, u.Purpose, why)
		}
	}
	return passed()
}
