package trustlist

import (
	"slices"
	"strings"
)

// entry is a service above a certificate in its state at a time, with what it says over that certificate.
type entry struct {
	service    *Service
	period     *Period
	qualifiers []string
}

// The words of TS 119 612 5.5.1.1, 5.5.4 and 5.5.9.4.
const (
	uriTypeQC   = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
	uriStatus   = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
	uriInfo     = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/"
	forESig     = "QCForESig"
	forESeal    = "QCForESeal"
	forWebsites = "QCForWSA"
)

// usages are the qualifiers that name the use of a certificate.
var usages = map[string]Type{forESig: ForSignatures, forESeal: ForSeals, forWebsites: ForWebsites}

func (c *entry) has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(c.qualifiers, n) })
}

// new tells whether the state began under the regulation.
func (c *entry) new() bool { return since(c.period.From) }

func (c *entry) issuesQualified() bool { return c.period.Type == uriTypeQC }

// entitles tells whether the status lets a service issue qualified certificates: granted under the regulation, supervised
// or accredited before it (TS 119 615 4.4.4). What a state recognises for itself is trusted, and qualifies nothing.
func (p *Period) entitles() bool {
	status, ok := strings.CutPrefix(p.Status, uriStatus)
	if !ok || p.Unknown {
		return false
	}
	if since(p.From) {
		return status == "granted"
	}
	return slices.Contains([]string{"undersupervision", "supervisionincessation", "accredited"}, status)
}

// issues tells whether the service issues certificates of the stated type, or says of this one that it is of another type
// that it issues. Certificates from before the regulation, and those of no known type, are of none.
func (c *entry) issues(said statement) bool {
	if !said.new || said.kind == UnknownType {
		return true
	}
	if c.isFor(said.kind) {
		return true
	}
	uses := c.uses()
	return len(uses) == 1 && c.isFor(uses[0])
}

// uses are the types that qualifiers name.
func (c *entry) uses() []Type {
	var list []Type
	for _, name := range c.qualifiers {
		if of, ok := usages[name]; ok && !slices.Contains(list, of) {
			list = append(list, of)
		}
	}
	return list
}

// isFor reports whether the service issues certificates of the type (additionalServiceInformation). Certificates of legal
// persons are none for signatures.
func (c *entry) isFor(t Type) bool {
	return c.listedFor(t) && (t != ForSignatures || !c.has("QCForLegalPerson"))
}

// qualifies tells whether the certificate is qualified, and why.
func (c *entry) qualifies(said statement) (is bool, because string) {
	switch {
	case !c.period.entitles():
		return false, ""
	case c.has("NotQualified"):
		return false, "the list says that it is not qualified"
	case c.has("QCStatement"):
		return true, "the list says that it is qualified"
	}
	if !said.qualified {
		return false, ""
	}
	return true, said.because
}

// typeOf is the use of a certificate that is qualified.
func (c *entry) typeOf(said statement) Type {
	if !c.new() {
		return ForSignatures
	}
	switch uses := c.uses(); len(uses) {
	case 0:
		return said.kind
	case 1:
		return uses[0]
	}
	return UnknownType
}

// inDevice tells whether the key of a qualified certificate lies in a qualified device. Each time has words of its own.
func (c *entry) inDevice(said statement) bool {
	with, none, asStated := []string{"QCWithSSCD"}, "QCNoSSCD", "QCSSCDStatusAsInCert"
	if c.new() {
		with, none, asStated = []string{"QCWithQSCD", "QCQSCDManagedOnBehalf"}, "QCNoQSCD", "QCQSCDStatusAsInCert"
	}
	switch {
	case c.has(with...):
		return true
	case !c.has(asStated) && c.has(none):
		return false
	}
	return said.device
}

// ifAgreed is the entry for each of the three questions, nil where its words on that one contradict each other.
func (c *entry) ifAgreed() (qualification, kind, device *entry) {
	if !c.has("QCStatement") || !c.has("NotQualified") {
		qualification = c
	}
	if c.agreedOnType() {
		kind = c
	}
	if c.agreedOnDevice() {
		device = c
	}
	return qualification, kind, device
}

// agreedOnType tells whether the words on the use fit together: at most one, none for signatures of a legal person, one of
// those that the service is listed for, and before the regulation for nothing but signatures.
func (c *entry) agreedOnType() bool {
	uses, listed := c.uses(), c.period.Additional
	switch {
	case len(uses) > 1 || c.has("QCForLegalPerson") && c.has(forESig):
		return false
	case len(uses) == 1 && len(listed) > 0 && !c.listedFor(uses[0]):
		return false
	case !c.new() && (c.has(forESeal, forWebsites) || c.listedForOnly(ForSeals) || c.listedForOnly(ForWebsites)):
		return false
	}
	return true
}

func (c *entry) listedFor(t Type) bool {
	want := map[Type]string{ForSignatures: "ForeSignatures", ForSeals: "ForeSeals", ForWebsites: "ForWebSiteAuthentication"}[t]
	return slices.Contains(c.period.Additional, uriInfo+want)
}

func (c *entry) listedForOnly(t Type) bool {
	for _, other := range []Type{ForSignatures, ForSeals, ForWebsites} {
		if (other == t) != c.listedFor(other) {
			return false
		}
	}
	return true
}

// agreedOnDevice tells whether the words on the device fit together, and are those of their time.
func (c *entry) agreedOnDevice() bool {
	with := c.has("QCWithQSCD", "QCWithSSCD", "QCQSCDManagedOnBehalf")
	none, asStated := c.has("QCNoQSCD", "QCNoSSCD"), c.has("QCQSCDStatusAsInCert", "QCSSCDStatusAsInCert")
	switch {
	case (with || asStated) && none, with && asStated:
		return false
	case c.new() && c.has("QCWithSSCD", "QCNoSSCD"):
		return c.has("QCWithQSCD", "QCNoQSCD")
	}
	return true
}
