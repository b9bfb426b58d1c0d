package api

import (
	"encoding/hex"
	"math/big"
	"strings"

	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/prose"
	"trustcore/verify/report/dss"
	"trustcore/verify/trace"
)

// certificateReports are the detailed and the diagnostic report of a certificate.
func certificateReports(r *chain.Report, tokens dss.Tokens) *dss.CertificateReports {
	t := &trace.Trace{ValidationTime: r.Time,
		Policy: trace.Policy{Name: r.Policy, Version: r.PolicyVersion, Digest: r.PolicyDigest}}
	v := dss.CertificateValidation{Trace: t, Tokens: tokens, Path: pathBlock(r)}
	v.AtIssuance, v.AtValidation = qualificationOf(&r.AtIssuance), qualificationOf(&r.AtValidation)
	v.AtIssuance.Time, v.AtValidation.Time = r.Chain[0].NotBefore, &r.Time
	for i := range r.Chain {
		if c := r.Chain[i].Certificate; c != nil {
			t.Certificates = append(t.Certificates, linkOf(r, i))
		}
	}
	for i := range t.Certificates {
		for _, above := range t.Certificates[i+1:] {
			t.Certificates[i].Chain = append(t.Certificates[i].Chain,
				trace.ChainItem{Certificate: above.ID, Source: above.Sources[0]})
		}
	}
	return dss.NewCertificate(v)
}

func qualificationOf(q *chain.Qualification) trace.CertificateQualification {
	out := trace.CertificateQualification{Found: q.Level != "N/A", Qualified: q.Qualified, Device: q.Device,
		Provider: prose.Text(q.Provider)}
	for _, kind := range []string{"ESIG", "ESEAL", "WSA"} {
		if strings.Contains(strings.ToUpper(q.Level), kind) {
			out.Type = kind
		}
	}
	return out
}

// linkOf is a certificate of the path as a trace has it. Where evidence about it lies is not known.
func linkOf(r *chain.Report, i int) trace.Certificate {
	l := &r.Chain[i]
	c := l.Certificate
	out := trace.Certificate{ID: dssID(l), DER: c.Raw, Subject: l.Subject, Issuer: l.Issuer, Serial: decimal(c),
		NotBefore: c.NotBefore,
		NotAfter:  c.NotAfter, CommonName: prose.Short(r.Show(c.Subject.CommonName())), Trusted: l.Anchor,
		KeyID: strings.ToUpper(hex.EncodeToString(c.KeyFingerprint[:])), Sources: []trace.Source{trace.FromOutside}}
	if l.Anchor && l.Service != "" {
		out.Sources = []trace.Source{trace.FromTrustedList}
	} else if l.Anchor {
		out.Sources = []trace.Source{trace.FromTrustedStore}
	}
	if key, err := c.Key(); err == nil {
		out.KeyAlgorithm, out.KeyBits = key.Name(), key.Bits()
	}
	for _, check := range l.Checks {
		if check.Name == "signature" {
			out.Basic.Intact = check.State == chain.Passed
		}
	}
	out.Basic.Valid = out.Basic.Intact
	return out
}

// decimal writes the serial number.
func decimal(c *certificate.Certificate) string {
	n := new(big.Int).SetBytes(c.Serial)
	if len(c.Serial) > 0 && c.Serial[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(c.Serial))))
	}
	return n.String()
}

// pathBlock is the validation of the path with a block for each certificate of it, in which its checks stand.
func pathBlock(r *chain.Report) trace.Block {
	target := dssID(&r.Chain[0])
	path := trace.Block{ID: target + "-XCV", Kind: trace.CertificateValidation, Object: target, Time: &r.Time,
		Conclusion: trace.Conclusion{Indication: r.Indication}}
	if r.SubIndication != nil {
		path.Conclusion.SubIndication = *r.SubIndication
	}
	for i := range r.Chain {
		l := &r.Chain[i]
		if l.Certificate == nil {
			continue
		}
		b := trace.Block{ID: path.ID + "-" + dssID(l), Kind: trace.SubCertificateValidation, Object: dssID(l), Time: &r.Time,
			Anchor: l.Anchor, Conclusion: trace.Conclusion{Indication: "PASSED"}}
		for _, check := range l.Checks {
			b.Constraints = append(b.Constraints, constraintOf(check))
			if check.State == chain.Failed {
				b.Conclusion.Indication, b.Conclusion.SubIndication = r.Indication, path.Conclusion.SubIndication
			}
		}
		path.Blocks = append(path.Blocks, b)
	}
	for _, reason := range r.Reasons {
		text := prose.Text(reason.Code + ": " + reason.Detail)
		path.Conclusion.Reasons = append(path.Conclusion.Reasons, text)
		path.Constraints = append(path.Constraints,
			trace.Constraint{Name: trace.CertificateValid, Status: trace.NotOK, Message: text})
	}
	if r.Reasons == nil {
		path.Constraints = []trace.Constraint{{Name: "ProspectiveCertificateChain", Status: trace.OK}}
	}
	return path
}

// constraintOf is a check of a certificate as a constraint, named by what it asks.
func constraintOf(c chain.Check) trace.Constraint {
	out := trace.Constraint{Name: trace.CertificateValid, Status: trace.OK, Subject: c.Name}
	switch c.State {
	case chain.Failed:
		out.Status, out.Message = trace.NotOK, prose.Text(c.Name+": "+c.Reason)
	case chain.NotChecked:
		out.Status = trace.Ignored
	}
	return out
}
