package verify

import (
	"path/filepath"
	"regexp"
	"testing"

	"trustcore/verify/policy"
)

// The kinds of differences from the oracle under dss-default; docs/conformance.md has each with its reason.
const (
	containerRule    = "a container that its readers may take in different ways"
	signedNothing    = "a manifest whose entries are all absent signs nothing"
	unknownAlgorithm = "an algorithm that is not known accuses nobody"
	otherSigner      = "which certificate is the signer's"
	formRule         = "a form that the standard forbids"
	otherFirst       = "another of several faults comes first"
	formatOfData     = "a DataObjectFormat for references that have no Id"
	detachedData     = "the file was given"
	oldQualified     = "whether a certificate that is not trusted was qualified"
	flake            = "the oracle says one or the other from run to run"
)

// differences are the samples whose verdict, level or qualification is not the oracle's under dss-default, each with its
// kind. The list may only shrink.
var differences = map[string]string{
	"AsiceContainerMimetypeFilenameWithExtraSpace.asice":       containerRule,
	"datafile-name-in-signature-contains-path-separator.asice": containerRule,
	"bdoc-tm-with-changed-data-file-name.bdoc":                 containerRule,
	"Signature-X-CZ_SEF-5.xml":                                 signedNothing,
	"Signature-P-HU_NET-2.pdf":                                 unknownAlgorithm,
	"xades-unknown-digest-algo.xml":                            unknownAlgorithm,
	"IB-4183_3.4kaart_RSA2047_TS.asice":                        otherSigner,
	"document.signed.t.bes.badsignedprops.xml":                 otherSigner,
	"document.signed.bes.signedpropsrefnotype.xml":             otherSigner,
	"cades-duplicated-signed-attrs.p7m":                        formRule,
	"pdf-sig-with-econtent.pdf":                                formRule,
	"tail-uncovered.pdf":                                       formRule,
	"Baltic MoU digital signing_EST_LT_LV.bdoc":                otherFirst,
	"AdocContainerMimetypeWithExtraFields.adoc":                formatOfData,
	"jades-detached-by-uri-encoded-pars.json":                  detachedData,
	"cades-invalid-digest-algo.asics":                          oldQualified,
	"ed448-shake256-nolen.pdf":                                 flake,
}

// listed demands that a difference under dss-default is in the list.
func (c *conformance) listed(t *testing.T, s sample, bad string) {
	t.Helper()
	name := filepath.Base(s.File)
	if differences[name] == "" {
		t.Errorf("%s: %s differs from the oracle, and belongs to no kind", s.File, bad)
	}
	c.seen[name] = true
}

// relaxation is the policy strict with some of its demands given up for those of dss-default.
type relaxation struct {
	demand string
	policy *policy.Policy
}

// demands are those of strict that dss-default does not have, each with what takes its place there.
var demands = []struct{ demand, pattern, level string }{
	{"freshness", `RevocationFreshnessNextUpdate: (FAIL|WARN)`, "RevocationFreshnessNextUpdate: IGNORE"},
	{"changes after a PDF signature", `(PdfVisualDifference|DocMDP|FieldMDP|SigFieldLock|UndefinedChanges): FAIL`, "$1: WARN"},
	{"manifest of ASiC-E", `ManifestFilePresent: INFORM`, "ManifestFilePresent: FAIL"},
	{"time-stamping service", `TimestampServiceListed: FAIL`, "TimestampServiceListed: IGNORE"},
	{"RFC 3161 2.4.2", `(SigningCertificatePresent|TSAGeneralNameContentMatch): FAIL`, "$1: WARN"},
	{"purpose alone", `TimestampUnitPurposeAlone: FAIL`, "TimestampUnitPurposeAlone: IGNORE"},
	{"use of the signer's key", `SignerUse: FAIL`, "SignerUse: WARN"},
	{"content that nobody signed", `UnsignedContent: FAIL`, "UnsignedContent: WARN"},
}

// relaxations give up one demand of strict, then two.
func relaxations(t *testing.T) []relaxation {
	t.Helper()
	strict := string(policy.ShippedSource(policy.Strict))
	var one, two []relaxation
	relaxed := func(demand, text string) relaxation {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", demand, err)
		}
		return relaxation{demand, p}
	}
	for i, d := range demands {
		text := regexp.MustCompile(d.pattern).ReplaceAllString(strict, d.level)
		if text == strict {
			t.Fatalf("%s stands not in the policy", d.demand)
		}
		one = append(one, relaxed(d.demand, text))
		for _, e := range demands[:i] {
			two = append(two, relaxed(e.demand+" and "+d.demand, regexp.MustCompile(e.pattern).ReplaceAllString(text, e.level)))
		}
	}
	return append(one, two...)
}

// explained demands that a difference under strict is one under dss-default too, or that one demand of strict, or
// two, make it.
func (c *conformance) explained(t *testing.T, s sample, p pair, loose *Report, bad string) {
	t.Helper()
	if c.seen[filepath.Base(s.File)] {
		return
	}
	at := func(r *Report) string {
		for i := range r.Signatures {
			if a := &r.Signatures[i]; a.ID == p.ours.ID {
				return string(a.Indication) + string(a.SubIndication) + a.Level + a.Qualification
			}
		}
		return ""
	}
	for _, r := range c.relaxed {
		if again := judgeUnder(t, c.corpus, s, c.evidence, r.policy, c.at); again != nil && at(again) == at(loose) {
			t.Logf("%s: %s differs by the demand of %s", s.File, bad, r.demand)
			return
		}
	}
	t.Errorf("%s: %s differs from the oracle under strict, by no demand that is named", s.File, bad)
}
