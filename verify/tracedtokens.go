package verify

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/cms"
	"trustcore/verify/certificate"
	"trustcore/verify/judge"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// token fills in where a time-stamp stands, and what the token itself says of its kind and signer; unit is nil where
// that is not known.
func (t *tracer) token(out *trace.Timestamp, s *signature.Timestamp, unit *certificate.Certificate) {
	out.Filename, out.PDF, out.Renewal = prose.Text(s.Filename), dictionary(s.Dictionary), string(s.Renewal)
	sd, err := cms.Parse(s.Token)
	if err != nil {
		return
	}
	for _, si := range sd.Signers {
		out.Identifiers = append(out.Identifiers,
			*signerIdentifier(&signature.SignerIdentifier{Issuer: si.Issuer, Serial: si.Serial,
				KeyID: si.SubjectKeyID}))
	}
	if info, err := cms.ParseTSTInfo(sd.Content.Bytes()); err == nil {
		out.TSA = authority(info.TSA, unit)
	}
	out.Archive = t.archiveKind(out.Owner, s, sd)
}

// signerIdentifier is nil for none.
func signerIdentifier(s *signature.SignerIdentifier) *trace.SignerIdentifier {
	if s == nil {
		return nil
	}
	out := &trace.SignerIdentifier{KeyID: bytes.Clone(s.KeyID)}
	if name, err := certificate.ParseName(s.Issuer); err == nil && s.Issuer != nil {
		out.Issuer = prose.Text(name.String())
	}
	if s.Serial != nil {
		out.Serial = decimal(s.Serial)
	}
	return out
}

// authority is the field tsa of a token, nil for none that can be read.
func authority(der []byte, unit *certificate.Certificate) *trace.AuthorityName {
	input := cryptobyte.String(der)
	name, err := certificate.ReadGeneralName(&input)
	if err != nil || der == nil {
		return nil
	}
	out := &trace.AuthorityName{Name: prose.Text(name.String())}
	if name.Directory != nil {
		out.Name = prose.Text(name.Directory.String())
	}
	if name.Directory != nil && unit != nil {
		out.InOrder = name.Directory.Equal(unit.Subject)
		out.Matches = out.InOrder || sameAttributes(*name.Directory, unit.Subject)
	}
	return out
}

// sameAttributes compares names whatever the order of their attributes.
func sameAttributes(a, b certificate.Name) bool {
	list := func(n certificate.Name) []string {
		var all []string
		for i := range n.Attributes {
			all = append(all, string(n.Attributes[i].Type)+"\x00"+n.Attributes[i].Text())
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(list(a), list(b))
}

// archiveKind names the kind of an archive time-stamp, "" for what is none.
func (t *tracer) archiveKind(owner string, s *signature.Timestamp, sd *cms.SignedData) string {
	switch s.Type {
	case signature.DocumentTimestamp:
		return "PAdES"
	case signature.ContainerTimestamp:
		if owner != "" {
			return "CAdES_DETACHED"
		}
		return ""
	case signature.RecordTimestamp:
		return t.recordTypes[owner]
	case signature.ArchiveTimestamp:
	default:
		return ""
	}
	switch {
	case s.Namespace == namespaceXAdES141:
		return "XAdES_141"
	case s.Namespace != "":
		return "XAdES"
	case t.formats[owner] == signature.JAdES || t.formats[owner] == signature.JWS:
		return "JAdES"
	}
	for _, si := range sd.Signers {
		for _, a := range []cms.OID{cms.OIDATSHashIndexV3, cms.OIDATSHashIndexV2, cms.OIDATSHashIndex} {
			if si.Unsigned(a) != nil {
				return "CAdES_V3"
			}
		}
	}
	return "CAdES_V2"
}

// namespaceXAdES141 is that of the archive time-stamps of EN 319 132-1 5.5.2.
const namespaceXAdES141 = "http://uri.etsi.org/01903/v1.4.1#"

// refs are references to certificates, with those of the path that they name, the signer's first.
func (t *tracer) refs(refs []signature.CertificateRef, path []*certificate.Certificate) []trace.CertificateRef {
	var list []trace.CertificateRef
	for _, r := range refs {
		ref := trace.CertificateRef{Digest: kept(r.Digest), IssuerSerial: bytes.Clone(r.IssuerSerial)}
		for i, c := range path {
			if sum := t.sum(r.Algorithm, c); sum != nil && bytes.Equal(sum, r.Value) {
				ref.Certificate, ref.Matches = t.certificate(c), i == 0
				break
			}
		}
		ref.IssuerMatches = len(path) > 0 && names(r.IssuerSerial, path[0])
		list = append(list, ref)
	}
	return list
}

// names tells whether an IssuerSerial is that of the certificate.
func names(issuerSerial []byte, c *certificate.Certificate) bool {
	var in, issuer, serial cryptobyte.String
	der := cryptobyte.String(issuerSerial)
	if !der.ReadASN1(&in, asn1.SEQUENCE) || !in.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!in.ReadASN1(&serial, asn1.INTEGER) ||
		!bytes.Equal(serial, c.Serial) {
		return false
	}
	general, err := certificate.ParseGeneralNames(issuer)
	return err == nil && slices.ContainsFunc(general, func(n certificate.GeneralName) bool {
		return n.Directory != nil && n.Directory.Equal(c.Issuer)
	})
}

// uses are those of the algorithms of something signed and of the path of its signer, nil for none.
func (t *tracer) uses(of policy.Context, list []signature.AlgorithmUse, proof trace.Proof,
	path *judge.Chain) []trace.Crypto {
	uses := judge.Used(t.policy, of, list, proof.Time)
	if path != nil {
		uses = append(uses, path.UsesOfPath(t.policy, of)...)
	}
	return uses
}

// container is what the document says of itself as a container, nil where it is none.
func (t *tracer) container() *trace.Container {
	p := t.doc.Package
	if p == nil {
		return nil
	}
	d := p()
	out := &trace.Container{Type: string(d.Container), Mimetype: prose.Text(d.Mimetype), HasMimetype: d.HasMimetype,
		Comment: prose.Text(d.Comment), Files: t.names(d.Files), Manifests: []trace.Manifest{}}
	for _, m := range d.Manifests {
		if t.room > 0 {
			t.room--
			out.Manifests = append(out.Manifests, trace.Manifest{Name: prose.Text(m.Name), Target: prose.Text(m.Target),
				Files: t.names(m.Files)})
		}
	}
	return out
}

// names are those of files, as many as there is room for.
func (t *tracer) names(list []string) []string {
	out := []string{}
	for _, name := range list[:min(len(list), t.room)] {
		out = append(out, prose.Text(name))
	}
	t.room -= len(out)
	return out
}
