package asic

import (
	"fmt"

	"trustcore/internal/asic"
	"trustcore/verify/signature"
)

// packageManifest is where the manifest of OpenDocument and of ASiC-E with XML signatures stands.
const packageManifest = "META-INF/manifest.xml"

// heldAName is a name in a list of unsigned files.
const heldAName = 16

// coverage tells for each signature what of the container it covers, and what not.
func (r *reader) coverage() {
	foreign := r.foreign()
	seen := r.seen(foreign == string(asic.OpenDocument) || r.container.Kind == asic.OpenDocument)
	for _, s := range r.out.Signatures {
		covered := r.coveredBy(s)
		if r.budget.Hold(heldAName*len(seen)) != nil || r.budget.Nodes(len(seen)) != nil {
			return
		}
		for _, e := range seen {
			if !covered[e] {
				s.Unsigned = append(s.Unsigned, e.Name)
			}
		}
		r.checkForeign(s, foreign)
		r.checkDocument(s)
	}
	if len(r.out.Signatures) == 0 {
		r.noteUncovered(seen)
	}
}

// seen are the files that whoever opens the container sees: its data objects, and what lies in META-INF and is no
// part of the container's own working. A signature of an OpenDocument package covers all files but those of
// signatures (ODF 1.2 part 3, 5.2): the manifest tells the type of each file there, and so it does in what is one too
// for office programs.
func (r *reader) seen(office bool) []*asic.Entry {
	var list []*asic.Entry
	for _, e := range r.container.Entries {
		switch e.Role() {
		case asic.Folder:
		case asic.MimetypeEntry:
			if r.container.Kind == asic.OpenDocument {
				list = append(list, e)
			}
		case asic.PackageManifest:
			if e.Name != packageManifest || office {
				list = append(list, e)
			}
		case asic.Data:
			list = append(list, e)
		default:
			if !r.used[e] {
				list = append(list, e)
			}
		}
	}
	return list
}

// coveredBy finds the entries that a signature covers. A reference to the mimetype entry, to a file of META-INF or
// into the signature file itself covers nothing that whoever opens the container takes for content.
func (r *reader) coveredBy(s *signature.Signature) map[*asic.Entry]bool {
	covered := map[*asic.Entry]bool{}
	for i := range s.References {
		ref := &s.References[i]
		if ref.Type == "signed-properties" || ref.Type == "counter-signature" || r.budget.Nodes(1) != nil {
			continue
		}
		e := r.find(ref.Name)
		switch {
		case e == nil && r.given(ref.Name) != nil: // it is no part of the container, and content all the same
		case e == nil:
			ref.Empty = ref.Empty || !r.guessed[ref.Name]
		case e.Role() != asic.Data:
			ref.Empty = true
		}
		if ref.Found && (ref.Full || r.container.Kind != asic.OpenDocument) {
			covered[e] = true
		}
	}
	return covered
}

// checkForeign looks at containers that another program takes for a document of its own type: that shows what this
// signature does not cover.
func (r *reader) checkForeign(s *signature.Signature, foreign string) {
	if foreign == "" {
		return
	}
	text := fmt.Sprintf("the container is %s too for programs that go by its parts, whatever its mimetype says", foreign)
	if len(s.Unsigned) > 0 {
		s.Structure = append(s.Structure, text+", and files of it are not signed")
		return
	}
	s.Notes = append(s.Notes, text)
}

// maxNoted bounds the files that are named in notes.
const maxNoted = 16

// noteUncovered names what no time-stamp covers, in a container without signatures.
func (r *reader) noteUncovered(seen []*asic.Entry) {
	for _, e := range seen {
		if !r.covered[e] && len(r.out.Notes) < maxNoted {
			r.out.Notes = append(r.out.Notes, fmt.Sprintf("no time-stamp covers the file %q of the container", e.Name))
		}
	}
	for _, n := range r.container.Remarks {
		r.out.Notes = append(r.out.Notes, "container: "+n)
	}
}
