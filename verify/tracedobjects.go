package verify

import (
	"bytes"
	"crypto/sha256"
	"math/big"
	"slices"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
)

// carriers tell where in the document certificates and revocation data lie. What several signatures share is digested
// once.
type carriers struct {
	digests      map[*byte][32]byte
	sources      map[[32]byte][]trace.Source
	certificates [][]byte // DER, in the document's order, each once
}

func newCarriers(doc *signature.Document) *carriers {
	c := &carriers{digests: map[*byte][32]byte{}, sources: map[[32]byte][]trace.Source{}}
	stamps := func(list []*signature.Timestamp) {
		for _, t := range list {
			c.carries(trace.FromTimestamp, t.Certificates, t.CRLs, t.OCSPs)
		}
	}
	records := func(list []*signature.EvidenceRecord) {
		for _, e := range list {
			for _, t := range e.Timestamps {
				c.carries(trace.FromTimestamp, t.Certificates, t.CRLs, t.OCSPs)
			}
		}
	}
	for _, s := range doc.Signatures {
		c.carries(trace.FromSignature, s.Certificates, s.CRLs, s.OCSPs)
		stamps(s.Timestamps)
		records(s.EvidenceRecords)
	}
	stamps(doc.Timestamps)
	records(doc.EvidenceRecords)
	return c
}

func (c *carriers) carries(from trace.Source, certificates [][]byte, evidence ...[][]byte) {
	for _, der := range certificates {
		if first := c.enter(from, der); first {
			c.certificates = append(c.certificates, der)
		}
	}
	for _, list := range evidence {
		for _, der := range list {
			c.enter(from, der)
		}
	}
}

// enter reports whether the piece was not met before.
func (c *carriers) enter(from trace.Source, der []byte) bool {
	digest := c.digest(der)
	known := c.sources[digest]
	if !slices.Contains(known, from) {
		c.sources[digest] = append(known, from)
	}
	return known == nil
}

// digest is the SHA-256 of a piece of evidence. Readers hand out no two pieces that begin at one octet.
func (c *carriers) digest(der []byte) [32]byte {
	if len(der) == 0 {
		return sha256.Sum256(nil)
	}
	digest, known := c.digests[&der[0]]
	if !known {
		digest = sha256.Sum256(der)
		c.digests[&der[0]] = digest
	}
	return digest
}

// existence is the earliest proof for the object.
func (t *tracer) existence(object [32]byte) trace.Proof {
	if p, ok := t.Steps.Proofs[object]; ok {
		return p
	}
	return trace.Proof{Time: t.at}
}

// chain enters the certificates of a path with what evidence says of them, and returns the path.
func (t *tracer) chain(c *judge.Chain) []trace.ChainItem {
	certificates := c.Path.Chain
	if a := c.Path.Anchor; a != nil && a.Certificate != nil &&
		(len(certificates) == 0 || certificates[len(certificates)-1].Fingerprint != a.Certificate.Fingerprint) {
		certificates = c.Certificates()
	}
	var items []trace.ChainItem
	for _, cert := range certificates {
		id := t.certificate(cert)
		items = append(items, trace.ChainItem{Certificate: id, Source: t.out.Certificates[t.certificates[id]].Sources[0]})
	}
	for i := range certificates {
		t.onPath(c, certificates, i, items)
	}
	for i := range c.Path.Chain {
		if r, asked := c.Statuses[i]; asked {
			t.statuses(certificates, items, i, r, true)
		}
	}
	t.paths = append(t.paths, tracedPath{certificates, items})
	return items
}

// onPath fills in what a path says of its i-th certificate, once.
func (t *tracer) onPath(c *judge.Chain, certificates []*certificate.Certificate, i int, items []trace.ChainItem) {
	cert := certificates[i]
	out := &t.out.Certificates[t.certificates[items[i].Certificate]]
	if out.Chain == nil && i+1 < len(items) {
		out.Chain = items[i+1:]
	}
	if out.Basic.KeyBits == 0 && i+1 < len(items) {
		if key, err := certificates[i+1].Key(); err == nil {
			out.Basic.KeyBits, out.Basic.Intact = key.Bits(), c.Path.Anchor != nil || t.issued(cert, certificates[i+1], key)
			out.Basic.Valid = out.Basic.Intact
		}
	}
	a := c.Path.Anchor
	if a == nil || a.Certificate == nil {
		return
	}
	if a.Certificate.Fingerprint == cert.Fingerprint {
		out.Trusted, out.From, out.Until = true, moment(a.NotBefore), moment(a.NotAfter)
	}
	if out.Services == nil {
		out.Services = t.services(a.Certificate, cert)
	}
}

// certificate enters a certificate, and returns its id.
func (t *tracer) certificate(c *certificate.Certificate) string {
	id := judge.CertificateID(c)
	if _, known := t.certificates[id]; known {
		return id
	}
	t.certificates[id] = len(t.out.Certificates)
	t.people.Add(c.Subject)
	out := trace.Certificate{ID: id, DER: bytes.Clone(c.Raw), Subject: prose.Text(c.Subject.String()),
		Issuer: prose.Text(c.Issuer.String()),
		Serial: decimal(c.Serial), CommonName: prose.Short(c.Subject.CommonName()), NotBefore: c.NotBefore,
		NotAfter: c.NotAfter,
		KeyID:    identifier("", c.KeyFingerprint), KeyUsage: keyUsage(c), Sources: t.sources(c),
		Pseudonym: c.Subject.First(certificate.AttrPseudonym) != "", Existence: t.existence(c.Fingerprint)}
	for _, o := range c.EKU {
		out.ExtKeyUsage = append(out.ExtKeyUsage, o.String())
	}
	if scheme, err := algorithm.FromCertificate(c.SignatureAlgorithm); err == nil {
		out.Basic.Algorithm, out.Basic.Scheme, out.Basic.Digest = parts(scheme.Name())
	}
	if key, err := c.Key(); err == nil {
		out.KeyAlgorithm, out.KeyBits = key.Name(), key.Bits()
		if c.SelfIssued() && (c.AKI == nil || len(c.AKI.KeyID) == 0 || slices.Equal(c.AKI.KeyID, c.SKI)) {
			out.SelfSigned = t.issued(c, c, key)
		}
	}
	if out.SelfSigned {
		out.Basic.KeyBits, out.Basic.Intact, out.Basic.Valid = out.KeyBits, true, true
	}
	t.out.Certificates, t.entered = append(t.out.Certificates, out), append(t.entered, c)
	return id
}

// issued tells whether the key of the issuer made the signature on the certificate.
func (t *tracer) issued(c, issuer *certificate.Certificate, key *algorithm.PublicKey) bool {
	_, err := t.ev.Cache.VerifyIssued(c, key, issuer.KeyFingerprint, func() error { return nil })
	return err == nil
}

// decimal writes the content octets of an INTEGER.
func decimal(octets []byte) string {
	n := new(big.Int).SetBytes(octets)
	if len(octets) > 0 && octets[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(octets))))
	}
	return n.String()
}

// usages are the bits of keyUsage, in their order (RFC 5280 4.2.1.3).
var usages = []string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"keyCertSign",
	"crlSign", "encipherOnly", "decipherOnly"}

func keyUsage(c *certificate.Certificate) []string {
	var list []string
	for i, name := range usages {
		if c.KeyUsage&(certificate.DigitalSignature<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// sources are where a certificate was come by, the anchors first.
func (t *tracer) sources(c *certificate.Certificate) []trace.Source {
	var list []trace.Source
	add := func(s trace.Source) {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	held := t.ev.Lists.Holding(c)
	if slices.ContainsFunc(held, func(a trustlist.Anchor) bool { return a.Service == nil }) {
		add(trace.FromTrustedStore)
	}
	if slices.ContainsFunc(held, func(a trustlist.Anchor) bool { return a.Service != nil }) {
		add(trace.FromTrustedList)
	}
	for _, s := range t.carriers.sources[c.Fingerprint] {
		add(s)
	}
	if len(list) == 0 {
		add(t.outside(c.Fingerprint))
	}
	return list
}

// outside is where evidence beside the document is from.
func (t *tracer) outside(piece [32]byte) trace.Source {
	switch s := trace.Source(t.ev.Origins[piece]); s {
	case trace.FromCache, trace.FromNetwork:
		return s
	}
	return trace.FromOutside
}

// services are the trust services that the anchor stands for, with the qualifiers that apply to the certificate.
func (t *tracer) services(anchor, cert *certificate.Certificate) []trace.TrustService {
	var list []trace.TrustService
	for _, a := range t.ev.Lists.Holding(anchor) {
		if a.Service == nil {
			continue
		}
		s := trace.TrustService{List: t.list(a.Service.Territory), Territory: prose.Short(a.Service.Territory),
			Provider: prose.Text(a.Service.Provider), Name: prose.Text(a.Service.Name), Certificate: t.certificate(anchor),
			Names: localized(a.Service.Names), ProviderNames: localized(a.Service.ProviderNames),
			TradeNames: localized(a.Service.TradeNames), SupplyPoints: texts(a.Service.SupplyPoints)}
		for i := range a.Service.Periods {
			s.Periods = append(s.Periods, period(&a.Service.Periods[i], cert))
		}
		list = append(list, s)
	}
	return list
}

func period(p *trustlist.Period, cert *certificate.Certificate) trace.ServicePeriod {
	out := trace.ServicePeriod{From: p.From, To: moment(p.To), Type: prose.Text(p.Type), Status: prose.Text(p.Status),
		Additional: texts(p.Additional), ExpiredCertsRevocation: moment(p.ExpiredCertsRevocation)}
	for i := range p.Qualifications {
		if q := &p.Qualifications[i]; q.Criteria.Match(cert) == trustlist.Yes {
			out.Qualifiers = append(out.Qualifiers, texts(q.Qualifiers)...)
			if q.Critical {
				out.Critical = append(out.Critical, texts(q.Qualifiers)...)
			}
		}
	}
	return out
}

func localized(list []trustlist.Text) []trace.Localized {
	var out []trace.Localized
	for _, t := range list {
		out = append(out, trace.Localized{Language: prose.Short(t.Language), Text: prose.Text(t.Value)})
	}
	return out
}

// list is the id of the trusted list of a territory, "" where it is not known which.
func (t *tracer) list(territory string) string {
	for _, s := range t.ev.Lists.Status() {
		if s.Territory == territory && s.Role != "lotl" && s.Role != "pivot" {
			return listID(s)
		}
	}
	return ""
}

func listID(s trustlist.Status) string {
	return identifier(trace.TrustedListID, sha256.Sum256([]byte(s.File)))
}

// lists enters the lists that services of the trace are from, and those above them.
func (t *tracer) lists() {
	named := map[string]bool{}
	for _, c := range t.out.Certificates {
		for _, s := range c.Services {
			named[s.List] = true
		}
	}
	t.out.TrustedLists = []trace.TrustedList{}
	lotl := ""
	for _, s := range t.ev.Lists.Status() {
		if s.Role == "lotl" {
			lotl = listID(s)
		}
	}
	for _, s := range t.ev.Lists.Status() {
		if id := listID(s); named[id] || len(named) > 0 && id == lotl {
			list := trace.TrustedList{ID: id, File: prose.Text(s.File), Territory: prose.Short(s.Territory),
				Sequence: s.Sequence, Issued: s.Issued, NextUpdate: s.NextUpdate, Role: s.Role, Services: s.Services,
				WellSigned: s.Error == "", Error: prose.Text(s.Error), Type: prose.Text(s.Type), Version: s.Version,
				Location: prose.Text(s.Location)}
			if s.Role == "national" {
				list.Parent = lotl
			}
			t.out.TrustedLists = append(t.out.TrustedLists, list)
		}
	}
}

// reasons5280 are the names of RFC 5280 5.3.1.
var reasons5280 = map[revocation.Reason]string{
	revocation.Unspecified: "unspecified", revocation.KeyCompromise: "keyCompromise",
	revocation.CACompromise:       "cACompromise",
	revocation.AffiliationChanged: "affiliationChanged", revocation.Superseded: "superseded",
	revocation.CessationOfOperation: "cessationOfOperation", revocation.CertificateHold: "certificateHold",
	revocation.RemoveFromCRL: "removeFromCRL", revocation.PrivilegeWithdrawn: "privilegeWithdrawn",
	revocation.AACompromise: "aACompromise",
}

// statuses enters the evidence about the i-th certificate of a path; relied is that conclusions rest on it.
func (t *tracer) statuses(certificates []*certificate.Certificate, items []trace.ChainItem, i int, r revocation.Result,
	relied bool) {
	for _, piece := range r.Evidence {
		id := t.revocation(piece, certificates, items, i, r, relied)
		if id == "" {
			continue
		}
		out := &t.out.Certificates[t.certificates[items[i].Certificate]]
		if slices.ContainsFunc(out.Revocations, func(s trace.CertificateStatus) bool { return s.Revocation == id }) {
			continue
		}
		status := trace.CertificateStatus{Revocation: id, Status: "unknown"}
		switch {
		case !r.RevocationTime.IsZero() || r.Status == revocation.Revoked:
			status.Status, status.RevocationTime, status.Reason = "revoked", moment(r.RevocationTime), reasons5280[r.Reason]
		case r.Status == revocation.Good:
			status.Status = "good"
		}
		out.Revocations = append(out.Revocations, status)
	}
}

// revocation enters one piece of evidence, and returns its id, "" for one that is not at hand.
func (t *tracer) revocation(piece [32]byte, certificates []*certificate.Certificate, items []trace.ChainItem, i int,
	r revocation.Result,
	relied bool) string {
	id := identifier(trace.RevocationID, piece)
	if _, known := t.revocations[id]; known {
		return id
	}
	out := trace.Revocation{ID: id, Source: t.outside(piece), ThisUpdate: moment(r.ThisUpdate),
		NextUpdate: moment(r.NextUpdate),
		Existence:  t.existence(piece), Blocks: []trace.Block{}}
	if from := t.carriers.sources[piece]; len(from) > 0 {
		out.Source = from[0]
	}
	var algorithmID []byte
	if l := t.Steps.CRLs[piece]; l != nil {
		ofList(&out, l)
		algorithmID = l.SignatureAlgorithm
	} else if o := t.Steps.Responses[piece]; o != nil {
		t.ofAnswer(&out, o, certificates[i])
		algorithmID = o.SignatureAlgorithm
	} else {
		return ""
	}
	if scheme, err := algorithm.FromCertificate(algorithmID); err == nil {
		out.Basic.Algorithm, out.Basic.Scheme, out.Basic.Digest = parts(scheme.Name())
	}
	t.revocationSigner(&out, certificates, items, i, r)
	if r.Status == revocation.Good || r.Status == revocation.Revoked {
		if out.Basic.Intact, out.Basic.Valid = true, true; relied {
			out.Blocks = reliedOn(id)
		}
	}
	out.Uses = t.uses(policy.Revocation, []signature.AlgorithmUse{{Purpose: "revocation", Algorithm: out.Basic.Algorithm,
		KeyBits: out.Basic.KeyBits}}, out.Existence, nil)
	t.revocations[id] = len(t.out.Revocations)
	t.out.Revocations = append(t.out.Revocations, out)
	return id
}

// ofList fills in what a CRL says of itself.
func ofList(out *trace.Revocation, l *revocation.CRL) {
	out.Kind, out.DER, out.ProducedAt, out.ThisUpdate, out.NextUpdate = "CRL", bytes.Clone(l.Raw), moment(l.ThisUpdate),
		moment(l.ThisUpdate), moment(l.NextUpdate)
	out.ExpiredCertsSince = moment(l.ExpiredCertsSince)
	if l.Number != nil {
		out.Number = l.Number.String()
	}
}

// ofAnswer fills in what an OCSP answer says of itself and of a certificate.
func (t *tracer) ofAnswer(out *trace.Revocation, o *revocation.Response, about *certificate.Certificate) {
	out.Kind, out.DER, out.ProducedAt = "OCSP", bytes.Clone(o.Raw), moment(o.ProducedAt)
	out.Responder = &trace.SignerIdentifier{KeyID: bytes.Clone(o.ResponderKey)}
	if o.ResponderName != nil {
		out.Responder.Issuer = prose.Text(o.ResponderName.String())
	}
	for _, c := range o.Certificates() {
		if t.room > 0 {
			t.room--
			out.Carries = append(out.Carries, t.certificate(c))
		}
	}
	for i := range o.Singles {
		s := &o.Singles[i]
		if !bytes.Equal(s.Serial, about.Serial) {
			continue
		}
		out.ArchiveCutoff, out.CertHash = moment(s.ArchiveCutoff), s.CertHash != nil
		if h, err := algorithm.HashByIdentifier(s.CertHashAlg); err == nil {
			out.CertHashMatches = bytes.Equal(h.Sum(about.Raw), s.CertHash)
		}
		return
	}
}

// revocationSigner fills in who signed the evidence about the i-th certificate: whoever the result names, else the
// issuer.
func (t *tracer) revocationSigner(out *trace.Revocation, certificates []*certificate.Certificate,
	items []trace.ChainItem, i int, r revocation.Result) {
	var signer *certificate.Certificate
	switch {
	case len(r.Signers) > 0:
		signer = r.Signers[0]
		id := t.certificate(signer)
		out.SigningCertificate = id
		out.Chain = []trace.ChainItem{{Certificate: id, Source: t.out.Certificates[t.certificates[id]].Sources[0]}}
		if i+1 < len(items) && signer.Issuer.Equal(certificates[i+1].Subject) {
			out.Chain = append(out.Chain, items[i+1:]...)
		}
	case i+1 < len(items):
		signer = certificates[i+1]
		out.SigningCertificate, out.Chain = items[i+1].Certificate, items[i+1:]
	default:
		return
	}
	if key, err := signer.Key(); err == nil {
		out.Basic.KeyBits = key.Bits()
	}
}

// reliedOn are the blocks of evidence that a conclusion rests on: it is taken only where all of them pass.
func reliedOn(id string) []trace.Block {
	block := func(kind trace.Kind, names ...policy.Name) trace.Block {
		b := trace.Block{ID: id + "-" + string(kind), Kind: kind, Object: id,
			Conclusion: trace.Conclusion{Indication: string(Passed)}}
		for _, n := range names {
			b.Constraints = append(b.Constraints,
				trace.Constraint{Name: string(n), Context: policy.Revocation.String(), Status: trace.OK})
		}
		return b
	}
	return []trace.Block{block(trace.SigningCertificate, policy.RevocationIssuerKnown),
		block(trace.CryptographicVerification, policy.SignatureIntact),
		block(trace.SignatureAcceptance, policy.Cryptographic)}
}
