package ers

import (
	"crypto/sha256"
	"slices"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

// Split parts the evidence records among files that were given beside a document from the others.
func Split(files []signature.Detached) (records, others []signature.Detached) {
	for _, f := range files {
		if Looks(f.Content[:min(len(f.Content), headWindow)]) {
			records = append(records, f)
		} else {
			others = append(others, f)
		}
	}
	return records, others
}

// headWindow is how far into a file Looks has to see.
const headWindow = 1024

// Seal reads records that were given beside a document and its detached files. One that is about the document belongs
// to each of its signatures, which it proves to have existed; any other stands in the document, as one that is about
// something else. The error is that of the budget.
func Seal(b *budget.Budget, doc *signature.Document, data []byte, detached, records []signature.Detached) error {
	objects, err := sealed(b, doc, data, detached)
	if err != nil {
		return err
	}
	for _, f := range records {
		record := Parse(b, f.Content, objects...)
		refs := record.References[:min(len(objects), len(record.References))]
		about := len(refs) > 0 && refs[0].Intact
		if about && slices.ContainsFunc(refs, func(ref signature.Reference) bool { return !ref.Intact }) {
			var group []Object // the files that it is not about are no fault of it
			for i, ref := range refs {
				if ref.Intact {
					group = append(group, objects[i])
				}
			}
			record = Parse(b, f.Content, group...)
		}
		record.Origin, record.Filename = signature.RecordOutside, f.Name
		if !about || len(doc.Signatures) == 0 {
			doc.EvidenceRecords = append(doc.EvidenceRecords, record)
			continue
		}
		for _, s := range doc.Signatures {
			s.EvidenceRecords = append(s.EvidenceRecords, record)
		}
	}
	return b.Err()
}

// sealed are the document, and the files beside it, as objects.
func sealed(b *budget.Budget, doc *signature.Document, data []byte, detached []signature.Detached) ([]Object, error) {
	var objects []Object
	for _, f := range append([]signature.Detached{{Name: "document", Content: data}}, detached...) {
		o, err := file(b, f)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	objects[0].Signature = len(doc.Signatures) > 0
	for _, s := range doc.Signatures {
		objects[0].Covers = append(objects[0].Covers, s.Value)
	}
	held, err := heldBy(b, doc)
	objects[0].Covers = append(objects[0].Covers, held...)
	return objects, err
}

// heldBy are SHA-256 digests of the tokens and the evidence in a document, each once.
func heldBy(b *budget.Budget, doc *signature.Document) ([][32]byte, error) {
	var lists [][][]byte
	stamps := slices.Clone(doc.Timestamps)
	for _, s := range doc.Signatures {
		lists = append(lists, s.Certificates, s.CRLs, s.OCSPs)
		stamps = append(stamps, s.Timestamps...)
	}
	for _, t := range stamps {
		lists = append(lists, [][]byte{t.Token}, t.Certificates, t.CRLs, t.OCSPs)
	}
	seen := map[[32]byte]bool{}
	var held [][32]byte
	for _, octets := range slices.Concat(lists...) {
		if err := b.Octets(len(octets)); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(octets)
		if seen[sum] {
			continue
		}
		if err := b.Hold(heldAHash); err != nil {
			return nil, err
		}
		seen[sum] = true
		held = append(held, sum)
	}
	return held, nil
}
