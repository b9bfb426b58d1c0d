package etsi

import (
	"slices"
	"strings"

	"trustcore/verify/trace"
)

// passed tells of what is no signature.
func passed(c trace.Conclusion) bool { return c.Indication == "PASSED" }

// block is a building block and DSS's name of it.
type block struct {
	kind trace.Kind
	name string
}

// evidenceBlocks are the building blocks of whatever is signed, signatureBlocks those of signatures and time-stamps.
var (
	evidenceBlocks = []block{
		{trace.FormatChecking, "formatChecking"},
		{trace.SigningCertificate, "identificationOfTheSigningCertificate"},
		{trace.ValidationContext, "validationContextInitialization"},
		{trace.CryptographicVerification, "cryptographicVerification"},
		{trace.SignatureAcceptance, "signatureAcceptanceValidation"},
		{trace.CertificateValidation, "x509CertificateValidation"},
	}
	signatureBlocks = append(slices.Clone(evidenceBlocks), []block{
		{trace.PastSignatureValidation, "pastSignatureValidation"},
		{trace.PastCertificateValidation, "pastCertificateValidation"},
		{trace.ValidationTimeSliding, "validationTimeSliding"},
	}...)
)

// constraints tells what each building block came to (4.3.4.4); one that was not gone through is disabled.
func (w *writer) constraints(gone []trace.Block, all []block) []constraint {
	var list []constraint
	for _, b := range all {
		c := constraint{ID: blockURI + b.name, Applied: constraintURI + "disabled"}
		if i := slices.IndexFunc(gone, func(g trace.Block) bool { return g.Kind == b.kind }); i >= 0 {
			s := w.status(gone[i].Conclusion, gone[i:i+1])
			s.Data.Crypto, s.Data.Revocation = nil, nil // the status of the whole has them
			s.Data = s.Data.orNothing()
			c.Applied, c.Status = constraintURI+"applied", &s
		}
		list = append(list, c)
	}
	return list
}

// status is what something came to (4.3.12) by the blocks that led to it. Its data is never nil.
func (w *writer) status(c trace.Conclusion, blocks []trace.Block) status {
	s := status{Indication: indicationURI + strings.ToLower(c.Indication), Data: &data{Messages: tell(c.Reasons, blocks)}}
	if c.SubIndication != "" {
		s.SubIndication = subIndicationURI + c.SubIndication
	}
	s.Data.Crypto = w.crypto(blocks)
	if strings.HasPrefix(c.SubIndication, "REVOKED") {
		s.Data.Revocation = w.revoked(blocks)
	}
	return s
}

// orNothing is nil where there is nothing to tell.
func (d *data) orNothing() *data {
	if d.Anchor == nil && d.Chain == nil && d.Related == nil && d.Revocation == nil && d.Crypto == nil &&
		d.Messages == nil {
		return nil
	}
	return d
}

// each calls f for every block and its sub-blocks.
func each(blocks []trace.Block, f func(*trace.Block)) {
	for i := range blocks {
		f(&blocks[i])
		each(blocks[i].Blocks, f)
	}
}

// kinds of messages by the status of the constraint.
var kinds = map[trace.Status]string{trace.NotOK: "error", trace.Warning: "warning", trace.Information: "information"}

// tell lists the reasons, then what the blocks object to or remark, each once.
func tell(reasons []string, blocks []trace.Block) *messages {
	var m messages
	seen := map[string]bool{"": true}
	add := func(kind, value string) {
		if kind != "" && !seen[value] {
			seen[value] = true
			m.List = append(m.List, message{messageURI + kind, text{"xs:string", value}})
		}
	}
	for _, reason := range reasons {
		add("error", reason)
	}
	each(blocks, func(b *trace.Block) {
		for _, c := range b.Constraints {
			add(kinds[c.Status], c.Message)
		}
	})
	if m.List == nil {
		return nil
	}
	return &m
}

// crypto is the algorithm that may not be relied on, or else that of the value of what the blocks are about (4.3.12.6).
func (w *writer) crypto(blocks []trace.Block) *crypto {
	var weak, value *crypto
	each(blocks, func(b *trace.Block) {
		for _, c := range b.Constraints {
			if c.Crypto == nil || c.Crypto.Algorithm == "" {
				continue
			}
			own := c.Object == "" || c.Object == b.Object
			switch {
			case weak == nil && !c.Crypto.Secure:
				weak = w.use(&c, b.Object)
			case value == nil && own && strings.HasSuffix(c.Crypto.Purpose, "signature"):
				value = w.use(&c, b.Object)
			}
		}
	})
	if weak != nil {
		return weak
	}
	return value
}

// valueOf is the algorithm of the value of something among its uses; nil where that is not known.
func (w *writer) valueOf(id string, uses []trace.Crypto) *crypto {
	i := slices.IndexFunc(uses, func(u trace.Crypto) bool {
		return u.Algorithm != "" && (strings.HasSuffix(u.Purpose, "signature") || u.Purpose == "revocation")
	})
	object := w.reference(id)
	if i < 0 || object == nil {
		return nil
	}
	return &crypto{*object, algorithm(uses[i].Algorithm), uses[i].Secure, dateTime(uses[i].NotAfter)}
}

// use is the use of an algorithm that a constraint is about; nil where the report does not hold the object.
func (w *writer) use(c *trace.Constraint, block string) *crypto {
	object := w.reference(c.Object)
	if object == nil {
		object = w.reference(block)
	}
	if object == nil {
		return nil
	}
	return &crypto{*object, algorithm(c.Crypto.Algorithm), c.Crypto.Secure, dateTime(c.Crypto.NotAfter)}
}

// revoked is the revocation that the blocks speak of (4.3.12.5).
func (w *writer) revoked(blocks []trace.Block) *revoked {
	var found *revoked
	each(blocks, func(b *trace.Block) {
		c := w.certificates[b.Object]
		if found != nil || b.Kind != trace.SubCertificateValidation || passed(b.Conclusion) || c == nil {
			return
		}
		for _, r := range c.Revocations {
			at := dateTime(r.RevocationTime)
			if r.Status != "revoked" || at == "" {
				continue
			}
			found = &revoked{Certificate: reference{c.ID}, Time: at, Object: w.reference(r.Revocation)}
			if r.Reason != "" {
				found.Reason = reasonURI + r.Reason
			}
			return
		}
	})
	return found
}
