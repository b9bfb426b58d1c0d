package xades

import (
	"fmt"
	"strings"

	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
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
			s.readPerson(signature.FormEPSignature, func() person { return readEPSignature(ep) })
		case !zp.IsZero():
			s.readPerson(signature.FormPodpisZP, func() person { return readPodpisZP(zp) })
		default:
			text := strings.Join(strings.Fields(role.Text()), " ")
			s.facts.Signatory.Roles = append(s.facts.Signatory.Roles, text[:min(len(text), maxRoleText)])
		}
	}
}

// person is what a form says of the citizen, or what of the form is not as it has to be.
type person struct {
	given, family, pesel, account string
	flaw                          string
}

// readPerson keeps whom the first form names. All of the signed properties are searched for others: where there are
// two, another reader may take the other one.
func (s *signed) readPerson(form string, read func() person) {
	who := &s.facts.Signatory
	if who.Form != "" {
		return
	}
	who.Form = form
	for _, f := range [...][2]string{{nsEPSignature, "EPSignature"}, {nsPodpisZP, "PodpisZP"}} {
		for range s.props.signed.Descendants(f[0], f[1]) {
			who.Persons++
		}
	}
	p := read()
	if who.Flaw = p.flaw; who.Flaw == "" {
		who.GivenName, who.FamilyName, who.PESEL, who.Account = p.given, p.family, p.pesel, p.account
	}
}

func readEPSignature(e xmldsig.Node) (p person) {
	holder := p.only(e, nsEPSignature, "NaturalPerson")
	p.family = p.text(holder, nsEPSignature, "CurrentFamilyName")
	p.given = p.text(holder, nsEPSignature, "FirstName")
	p.pesel = p.text(holder, nsEPSignature, "PersonalIdentifier")
	p.account = anywhere(e, "IdKontaUzytkownikaEpuap")
	return p
}

// readPodpisZP reads a family name of one or more parts; of given names the first one is told.
func readPodpisZP(e xmldsig.Node) (p person) {
	holder := p.only(p.only(e, nsPodpisZP, "DaneZP"), nsPodpisZP, "DaneZPOsobyFizycznej")
	var family []string
	for _, n := range holder.All(nsOsoba, "Nazwisko") {
		family = append(family, p.plain(n))
	}
	p.family = strings.Join(family, "-")
	if given := holder.Child(nsOsoba, "Imie"); !given.IsZero() {
		p.given = p.plain(given)
	}
	p.pesel = p.text(holder, nsOsoba, "PESEL")
	if p.family == "" || p.given == "" {
		p.fault("a name is missing")
	}
	p.account = anywhere(e, "IdKontaUzytkownikaEpuap")
	return p
}

// only returns the one child of that name; none, or a second one that another reader may take, is a flaw.
func (p *person) only(e xmldsig.Node, space, local string) xmldsig.Node {
	if e.IsZero() {
		return e
	}
	all := e.All(space, local)
	if len(all) != 1 {
		p.fault(fmt.Sprintf("%s occurs %d times", local, len(all)))
		return xmldsig.Node{}
	}
	return all[0]
}

func (p *person) text(e xmldsig.Node, space, local string) string {
	n := p.only(e, space, local)
	if n.IsZero() {
		return ""
	}
	return p.plain(n)
}

// plain is the text of an element that holds nothing else.
func (p *person) plain(n xmldsig.Node) string {
	for range n.Elements() {
		p.fault(n.Local() + " holds elements")
		break
	}
	text := strings.TrimSpace(n.Text())
	if text == "" {
		p.fault(n.Local() + " is empty")
	}
	return text
}

// fault keeps the first flaw.
func (p *person) fault(why string) {
	if p.flaw == "" {
		p.flaw = why
	}
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
