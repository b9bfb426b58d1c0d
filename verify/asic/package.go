package asic

import (
	"trustcore/internal/asic"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
)

// describePackage tells what the container says of itself.
func (r *reader) describePackage() *signature.Package {
	p := &signature.Package{Container: r.kind(), Mimetype: r.container.Mimetype,
		HasMimetype: r.container.Find("mimetype") != nil, Comment: r.container.Comment}
	for _, e := range r.container.Data() {
		p.Files = append(p.Files, e.Name)
	}
	for _, m := range r.manifests {
		p.Manifests = append(p.Manifests, m.described())
	}
	for _, e := range r.container.WithRole(asic.PackageManifest) {
		p.Manifests = append(p.Manifests, r.packageManifest(e))
	}
	return p
}

func (m *manifest) described() signature.Manifest {
	out := signature.Manifest{Name: m.entry.Name}
	if m.target != nil {
		out.Target = m.target.Name
	}
	for _, o := range m.objects {
		out.Files = append(out.Files, o.uri)
	}
	return out
}

// namespacePackage is that of the manifest of OpenDocument (ODF 1.2 part 3, 3.2), which ASiC-E with XML signatures has
// too.
const namespacePackage = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"

// packageManifest tells which of the container's data objects the manifest lists. It names no signature.
func (r *reader) packageManifest(e *asic.Entry) signature.Manifest {
	out := signature.Manifest{Name: e.Name}
	content, err := r.container.Read(e)
	if err != nil {
		return out
	}
	doc, err := xmldsig.Parse(content, xmldsig.Limits{Budget: r.budget})
	if err != nil {
		return out
	}
	for n := range doc.Root().Descendants(namespacePackage, "file-entry") {
		if r.budget.Nodes(1) != nil || len(out.Files) == asic.MaxEntries {
			return out
		}
		name, _ := n.Attr(namespacePackage, "full-path")
		if listed := r.container.Find(name); listed != nil && listed.Role() == asic.Data {
			out.Files = append(out.Files, name)
		}
	}
	return out
}
