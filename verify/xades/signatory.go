package xades

import (
	"strings"

	"trustcore/internal/xmldsig"
)

// Namespaces of podpis zaufany, the Polish trusted signature: the minister's seal signs, the citizen is named
// in a claimed role.
const (
	nsEPSignature = "http://crd.gov.pl/xml/schematy/podpis_zaufany/"
	nsPodpisZP    = "http://crd.gov.pl/xml/schematy/ppzp/"
	nsOsoba       = "http://crd.gov.pl/xml/schematy/osoba/2009/03/06/"
)

const maxRoleText = 1024 // bytes of a claimed role that are kept

// readRoles reads the claimed roles. It is called with covered signed properties only: what the signature
// does not cover names nobody.
func (s *signed) readRoles(claimed xmldsig.Node) {
	for role := range claimed.Elements() {
		switch ep, zp := role.Child(nsEPSignature, "EPSignature"), role.Child(nsPodpisZP, "PodpisZP"); {
		case !ep.IsZero():
			s.readEPSignature(ep)
		case !zp.IsZero():
			s.readPodpisZP(zp)
		default:
			text := strings.Join(strings.Fields(role.Text()), " ")
			s.facts.Signatory.Roles = append(s.facts.Signatory.Roles, text[:min(len(text), maxRoleText)])
		}
	}
}

func (s *signed) readEPSignature(e xmldsig.Node) {
	person := e.Child(nsEPSignature, "NaturalPerson")
	field := func(local string) string { return strings.TrimSpace(person.Child(nsEPSignature, local).Text()) }
	who := &s.facts.Signatory
	who.FamilyName = field("CurrentFamilyName")
	who.GivenName = field("FirstName")
	who.PESEL = field("PersonalIdentifier")
	who.Account = anywhere(e, "IdKontaUzytkownikaEpuap")
}

func (s *signed) readPodpisZP(e xmldsig.Node) {
	who := &s.facts.Signatory
	var family []string
	for n := range e.Descendants(nsOsoba, "Nazwisko") {
		family = append(family, strings.TrimSpace(n.Text()))
	}
	who.FamilyName = strings.Join(family, "-")
	for n := range e.Descendants(nsOsoba, "Imie") {
		who.GivenName = strings.TrimSpace(n.Text())
		break
	}
	for n := range e.Descendants(nsOsoba, "PESEL") {
		who.PESEL = strings.TrimSpace(n.Text())
		break
	}
	who.Account = anywhere(e, "IdKontaUzytkownikaEpuap")
}

// anywhere returns the text of the first element of that name of podpis zaufany below e.
func anywhere(e xmldsig.Node, local string) string {
	for _, space := range [...]string{nsPodpisZP, nsEPSignature} {
		for n := range e.Descendants(space, local) {
			return strings.TrimSpace(n.Text())
		}
	}
	return ""
}
