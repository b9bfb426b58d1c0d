package dss

import "trustcore/verify/trace"

// none is what DSS has and nothing is known of: null.
type none = *struct{}

// DiagnosticData is DSS's (DiagnosticData.xsd).
type DiagnosticData struct {
	DocumentName    string                     `json:"DocumentName"`
	ValidationDate  Time                       `json:"ValidationDate"`
	ContainerInfo   *ContainerInfo             `json:"ContainerInfo"`
	PDFAInfo        none                       `json:"PDFAInfo"`
	ConnectionInfo  none                       `json:"ConnectionInfo"`
	Signatures      []DiagnosticSignature      `json:"Signature"`
	EvidenceRecords []DiagnosticEvidenceRecord `json:"EvidenceRecord"`
	Certificates    []DiagnosticCertificate    `json:"Certificate"`
	Revocations     []DiagnosticRevocation     `json:"Revocation"`
	Timestamps      []DiagnosticTimestamp      `json:"Timestamp"`
	OrphanTokens    *OrphanTokens              `json:"OrphanTokens"`
	SignerData      []SignerData               `json:"SignerData"`
	TrustedLists    []TrustedList              `json:"TrustedList"`
}

// ContainerInfo is about an ASiC container.
type ContainerInfo struct {
	ContainerType       *string        `json:"ContainerType"`
	ZipComment          *string        `json:"ZipComment"`
	MimeTypeFilePresent bool           `json:"MimeTypeFilePresent"`
	MimeTypeContent     *string        `json:"MimeTypeContent"`
	ManifestFile        []ManifestFile `json:"ManifestFile"`
	ContentFile         []string       `json:"ContentFile"`
}

// ManifestFile is a manifest of a container.
type ManifestFile struct {
	Filename          string   `json:"Filename"`
	SignatureFilename *string  `json:"SignatureFilename"`
	Entry             []string `json:"Entry"`
}

func (w *writer) diagnosticData() *DiagnosticData {
	d := &DiagnosticData{DocumentName: w.Name, ValidationDate: moment(w.trace.ValidationTime),
		Signatures: []DiagnosticSignature{}, EvidenceRecords: []DiagnosticEvidenceRecord{},
		Certificates: []DiagnosticCertificate{},
		Revocations:  []DiagnosticRevocation{}, Timestamps: []DiagnosticTimestamp{}, SignerData: []SignerData{},
		TrustedLists: []TrustedList{}}
	if c := w.trace.Container; container(c) != nil {
		d.ContainerInfo = containerInfo(c)
	}
	for i := range w.trace.Signatures {
		d.Signatures = append(d.Signatures, w.diagnosticSignature(&w.trace.Signatures[i]))
	}
	for i := range w.trace.EvidenceRecords {
		d.EvidenceRecords = append(d.EvidenceRecords, w.diagnosticRecord(&w.trace.EvidenceRecords[i]))
	}
	for i := range w.trace.Certificates {
		d.Certificates = append(d.Certificates, w.certificate(&w.trace.Certificates[i]))
	}
	for i := range w.trace.Revocations {
		d.Revocations = append(d.Revocations, w.revocation(&w.trace.Revocations[i]))
	}
	for i := range w.trace.Timestamps {
		d.Timestamps = append(d.Timestamps, w.diagnosticTimestamp(&w.trace.Timestamps[i]))
	}
	for _, s := range w.trace.SignedData {
		d.SignerData = append(d.SignerData, SignerData{ID: s.ID, ReferencedName: orNil(s.Name),
			Digest: digest(s.Digest)})
	}
	for i := range w.trace.TrustedLists {
		if l := w.lists[w.trace.TrustedLists[i].ID]; l != nil {
			d.TrustedLists = append(d.TrustedLists, w.trustedList(l))
		}
	}
	d.OrphanTokens = w.orphanTokens()
	return d
}

func containerInfo(c *trace.Container) *ContainerInfo {
	d := &ContainerInfo{ContainerType: container(c), ZipComment: orNil(c.Comment), MimeTypeFilePresent: c.HasMimetype,
		ManifestFile: []ManifestFile{}, ContentFile: list(c.Files)}
	if c.HasMimetype {
		d.MimeTypeContent = orNil(c.Mimetype)
	}
	for _, m := range c.Manifests {
		d.ManifestFile = append(d.ManifestFile, ManifestFile{m.Name, orNil(m.Target), list(m.Files)})
	}
	return d
}
