package asic

import (
	"path"
	"strings"
)

// Role is what an entry is for (EN 319 162-1 4.3 and 4.4, 319 162-2).
type Role int

// The roles of entries.
const (
	Data              Role = iota // a signed or unsigned file
	Folder                        //
	MimetypeEntry                 //
	XAdESSignatures               // META-INF/*signature*.xml
	CAdESSignature                // META-INF/*signature*.p7s
	TimestampToken                // META-INF/*timestamp*.tst
	EvidenceRecord                // META-INF/*evidencerecord*.ers or .xml
	SignatureManifest             // META-INF/ASiCManifest*.xml: for a CAdES signature or a time-stamp
	ArchiveManifest               // META-INF/ASiCArchiveManifest*.xml
	RecordManifest                // META-INF/ASiCEvidenceRecordManifest*.xml
	PackageManifest               // META-INF/manifest.xml
	Meta                          // anything else in META-INF
)

// Role tells by its name what the entry is for.
func (e *Entry) Role() Role { return e.role }

// roleOf takes folder names in any case, as DSS and libdigidocpp do.
func roleOf(entry string) Role {
	name := normal(entry)
	if strings.HasSuffix(entry, "/") || strings.HasSuffix(entry, "\\") {
		return Folder
	}
	if name == "mimetype" {
		return MimetypeEntry
	}
	if len(name) < 9 || !strings.EqualFold(name[:9], "META-INF/") {
		return Data
	}
	file := strings.ToLower(path.Base(name))
	xml := strings.HasSuffix(file, ".xml")
	switch {
	case xml && strings.Contains(file, "asicarchivemanifest"):
		return ArchiveManifest
	case xml && strings.Contains(file, "asicevidencerecordmanifest"):
		return RecordManifest
	case xml && strings.Contains(file, "asicmanifest"):
		return SignatureManifest
	case file == "manifest.xml":
		return PackageManifest
	case strings.Contains(file, "evidencerecord") && (xml || strings.HasSuffix(file, ".ers")):
		return EvidenceRecord
	case xml && strings.Contains(file, "signature"): // BDOC 1.0 writes signature0.xml
		return XAdESSignatures
	case strings.Contains(file, "signature") && strings.HasSuffix(file, ".p7s"):
		return CAdESSignature
	case strings.Contains(file, "timestamp") && strings.HasSuffix(file, ".tst"):
		return TimestampToken
	}
	return Meta
}

// WithRole lists the entries of a role in the order of the directory, those with equal names included.
func (c *Container) WithRole(r Role) []*Entry {
	var out []*Entry
	for _, e := range c.Entries {
		if e.role == r {
			out = append(out, e)
		}
	}
	return out
}

// Data lists the files that a container is about: neither mimetype nor META-INF nor folders.
func (c *Container) Data() []*Entry { return c.WithRole(Data) }
