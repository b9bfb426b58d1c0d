package trustlist

import (
	"slices"

	"trustcore/verify/certificate"
)

// statement is what a certificate says of itself (TS 119 615 4.4.4, table 1).
type statement struct {
	qualified, device bool
	kind              Type
	new               bool // issued under the regulation
	because           string
}

// statedBy reads the QCStatements (EN 319 412-5) and, for certificates that were issued before the regulation, whenever
// they are used, the policies QCP and QCP+ (TS 101 456; TS 119 615 4.4.4). Before the regulation all of them are for
// signatures. What names the law of another state says nothing of the Union's.
func statedBy(cert *certificate.Certificate) statement {
	const qcp, qcpPlus = "0.4.0.1456.1.2", "0.4.0.1456.1.1"
	policy := func(id string) bool {
		return slices.ContainsFunc(cert.Policies, func(p certificate.PolicyInformation) bool { return p.Policy.String() == id })
	}
	s := statement{new: since(cert.NotBefore)}
	var types []Type
	says, union := false, true
	if qc := cert.QC; qc != nil {
		says, s.device, types, union = qc.Compliance, qc.SSCD, typesOf(qc.Types), len(qc.Legislation) == 0
	}
	if says {
		s.because = "the certificate says that it is qualified"
	}
	if !s.new {
		if !says && (policy(qcp) || policy(qcpPlus)) {
			says, s.because = true, "the certificate has a policy for qualified certificates"
		}
		s.device, types = s.device || policy(qcpPlus), nil
	}
	switch {
	case len(types) == 1:
		s.kind = types[0]
	case len(types) == 0 && says:
		s.kind = ForSignatures // EN 319 412-5, 4.2.3: without the statement it is for signatures
	}
	s.qualified = says && union
	return s
}

// typesOf are the known ones of those that are stated; a list alone can say which of several it is.
func typesOf(stated []certificate.OID) []Type {
	const esign, eseal, web = "0.4.0.1862.1.6.1", "0.4.0.1862.1.6.2", "0.4.0.1862.1.6.3"
	var types []Type
	for _, id := range stated {
		t, known := map[string]Type{esign: ForSignatures, eseal: ForSeals, web: ForWebsites}[id.String()]
		if known && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// under is what becomes of a statement by what services say over it: of qualification, of the type, and of the device. nil
// is a service that contradicts itself there.
func (s statement) under(qualification, kind, device *entry) Qualified {
	q := Qualified{Type: s.kind}
	if qualification == nil {
		q.Because = []string{"the list contradicts itself about whether it is qualified"}
	} else {
		var because string
		if q.Certificate, because = qualification.qualifies(s); because != "" {
			q.Because = []string{because}
		}
	}
	if !q.Certificate { // the list names the use and the device of qualified certificates alone
		return q
	}
	if q.Type = UnknownType; kind != nil {
		q.Type = kind.typeOf(s)
	}
	q.Device = q.Type != ForWebsites && device != nil && device.inDevice(s)
	return q
}
