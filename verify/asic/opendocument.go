package asic

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"trustcore/internal/asic"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// macroSignatures is the file in which the macros of an OpenDocument package are signed (ODF 1.2 part 3, 5.3).
const macroSignatures = "macrosignatures.xml"

// officeTypes are the beginnings of the media types of packages that office programs open by META-INF/manifest.xml.
var officeTypes = []string{"application/vnd.oasis.opendocument.", "application/vnd.sun.xml."}

// wholeFiles makes references to XML files of an OpenDocument package whole ones where they digest the canonical
// form: office programs write and check them so, and what it leaves out they don't show. The exclusive form is none
// of these: it leaves out what a prefix in a formula stands for.
func (r *reader) wholeFiles(s *signature.Signature) {
	if r.container.Kind != asic.OpenDocument {
		return
	}
	for i := range s.References {
		ref := &s.References[i]
		if !ref.Outside || !ref.Found || ref.Unchecked != "" || len(ref.Transforms) != 1 {
			continue
		}
		if form, ok := xmldsig.CanonicalizationByURI(ref.Transforms[0]); ok && form.Form != xmldsig.Exclusive {
			ref.Full, ref.Scope = true, fmt.Sprintf("the whole file %q", ref.Name)
		}
	}
}

// checkDocument demands of a signature of an OpenDocument package that it covers the document: every file but those
// with signatures (ODF 1.2 part 3, 5.2). A program shows such a package as one, so that whatever is not signed
// changes what is seen; a signature of the macros is none of the document.
func (r *reader) checkDocument(s *signature.Signature) {
	switch {
	case r.container.Kind != asic.OpenDocument || s.CounterSignatureOf != "":
	case strings.EqualFold(path.Base(s.Filename), macroSignatures):
		s.Constraints = append(s.Constraints, "the signature is one of the macros, not of the document (ODF 1.2 part 3, 5.3)")
	case len(s.Unsigned) > 0:
		s.Constraints = append(s.Constraints, fmt.Sprintf("%d files of the document are not signed in full, such as %q, and "+
			"programs may show them (ODF 1.2 part 3, 5.2)", len(s.Unsigned), s.Unsigned[0]))
	}
}

// foreign names the other type of package that the container is too, by its parts or by what its manifest says of it.
func (r *reader) foreign() string {
	if name := r.container.Foreign(); name != "" || r.container.Kind == asic.OpenDocument || !r.declaresOffice() {
		return name
	}
	return string(asic.OpenDocument)
}

// declaresOffice tells whether a manifest gives the package a type that office programs open, whatever the mimetype
// says.
func (r *reader) declaresOffice() bool {
	for _, e := range r.container.WithRole(asic.PackageManifest) {
		content, err := r.container.Read(e)
		if err != nil {
			continue
		}
		doc, err := xmldsig.Parse(content, xmldsig.Limits{Budget: r.budget})
		if err != nil {
			continue
		}
		for n := range doc.Root().Descendants(namespacePackage, "file-entry") {
			name, _ := n.Attr(namespacePackage, "full-path")
			kind, _ := n.Attr(namespacePackage, "media-type")
			office := slices.ContainsFunc(officeTypes, func(t string) bool { return strings.HasPrefix(strings.ToLower(kind), t) })
			if r.budget.Nodes(1) != nil || name == "/" && office {
				return true
			}
		}
	}
	return false
}
