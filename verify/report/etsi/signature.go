package etsi

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"

	"trustcore/verify"
	"trustcore/verify/trace"
)

// signature is the report on one signature (TS 119 102-2 4.3).
func (w *writer) signature(s *trace.Signature) signatureReport {
	report := signatureReport{
		Identifier: &identifier{ID: s.ID, Digest: digestOf(s.DataToBeSigned), Value: encode(s.Value),
			DocHashOnly: s.HashOnly, Name: s.Name},
		Constraints: &constraintsReport{
			Policy:      w.policy(),
			Constraints: w.constraints(s.Blocks, signatureBlocks),
		},
		Time:       w.timeInfo(s.BestSignatureTime),
		Document:   w.document(s),
		Attributes: w.attributes(s),
		Signer:     w.signer(s.SigningCertificate),
		Quality:    &quality{signatureQualificationURI + qualification(s.Qualification.Value)},
		Process:    processOf(s.Processes),
		Status:     w.status(s.Conclusion, append(s.Blocks[:len(s.Blocks):len(s.Blocks)], s.Processes...)),
	}
	d := report.Status.Data
	if d.Anchor, d.Chain = w.chain(s.SigningCertificate, s.Chain); d.Crypto == nil {
		d.Crypto = w.valueOf(s.ID, s.Uses)
	}
	d.Related = w.references(s.EvidenceRecords)
	report.Status.Data = d.orNothing()
	return report
}

// unread is the entry of the compact report that stands for no signature: a limit kept the file from being read. Its
// status is all that there is.
func (w *writer) unread(r *verify.SignatureReport) signatureReport {
	s := w.status(trace.Conclusion{Indication: string(r.Indication), SubIndication: string(r.SubIndication),
		Reasons: r.Reasons}, nil)
	s.Data = s.Data.orNothing()
	return signatureReport{Time: w.timeInfo(trace.Proof{Time: w.ValidationTime}), Status: s}
}

// policy is the one that the validation followed (4.3.4.3), known by the digest of its canonical data.
func (w *writer) policy() *policy {
	p := w.Policy
	value, err := hex.DecodeString(p.Digest)
	if err != nil || p.Name == "" {
		return nil
	}
	id := own + "policy:" + url.QueryEscape(p.Name)
	if p.Version != "" {
		id += ":" + url.QueryEscape(p.Version)
	}
	return &policy{policyID{id, digest{method{algorithm("SHA-256")}, encode(value)}},
		strings.TrimSpace(p.Name + " " + p.Version)}
}

func (w *writer) timeInfo(best trace.Proof) *timeInfo {
	at, proof := dateTime(&w.ValidationTime), w.poe(best)
	if at == "" || proof == nil {
		return nil
	}
	return &timeInfo{at, *proof}
}

// document is what was signed (4.3.6): by its digest where it is one thing, else by the objects that are signed.
func (w *writer) document(s *trace.Signature) *signersDocument {
	var ids []string
	seen := map[string]bool{}
	for _, scope := range s.Scopes {
		if w.data[scope.SignedData] != nil && !seen[scope.SignedData] {
			seen[scope.SignedData] = true
			ids = append(ids, scope.SignedData)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	d := &signersDocument{Representation: &reference{strings.Join(ids, " ")}}
	if len(ids) == 1 {
		d.Digest = digestOf(w.data[ids[0]].Digest)
	}
	return d
}

// signer is whose signature it is (4.3.8), nil where that is not known.
func (w *writer) signer(id string) *signer {
	c := w.certificates[id]
	if c == nil {
		return nil
	}
	if c.CommonName != "" {
		return &signer{c.Pseudonym, reference{id}, c.CommonName}
	}
	return &signer{c.Pseudonym, reference{id}, c.Subject}
}

// chain is the path of a signing certificate (4.3.12.4) and its anchor.
func (w *writer) chain(signing string, items []trace.ChainItem) (*reference, *chain) {
	if w.certificates[signing] == nil {
		return nil, nil
	}
	c := &chain{Signing: reference{signing}}
	for i, item := range items {
		known := w.certificates[item.Certificate]
		switch {
		case known == nil:
		case known.Trusted && i == len(items)-1:
			c.Anchor = &reference{item.Certificate}
		case item.Certificate != signing:
			c.Intermediate = append(c.Intermediate, reference{item.Certificate})
		}
	}
	return c.Anchor, c
}

// processOf is the furthest of the processes that were gone through (4.3.11).
func processOf(blocks []trace.Block) *process {
	names := map[trace.Kind]string{trace.BasicValidation: "Basic", trace.WithTime: "LTVM", trace.ArchivalData: "LTA"}
	var p *process
	for _, b := range blocks {
		if name := names[b.Kind]; name != "" {
			p = &process{processURI + name}
		}
	}
	return p
}

// digestOf is a digest with its algorithm, nil where it is not known.
func digestOf(d trace.Digest) *digest {
	if d.Algorithm == "" || len(d.Value) == 0 {
		return nil
	}
	return &digest{method{algorithm(d.Algorithm)}, encode(d.Value)}
}

func encode(octets []byte) string { return base64.StdEncoding.EncodeToString(octets) }
