package dss

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"trustcore/verify/certificate"
	"trustcore/verify/trace"
)

// OrphanTokens are certificates and revocation data on which no conclusion rests.
type OrphanTokens struct {
	OrphanCertificate []OrphanCertificateToken `json:"OrphanCertificate"`
	OrphanRevocation  []OrphanRevocationToken  `json:"OrphanRevocation"`
}

// OrphanCertificateToken is a certificate that stands in no path.
type OrphanCertificateToken struct {
	ID                       string              `json:"Id"`
	SubjectDistinguishedName []DistinguishedName `json:"SubjectDistinguishedName"`
	IssuerDistinguishedName  []DistinguishedName `json:"IssuerDistinguishedName"`
	SerialNumber             *json.Number        `json:"SerialNumber"`
	NotAfter                 *Time               `json:"NotAfter"`
	NotBefore                *Time               `json:"NotBefore"`
	EntityKey                *string             `json:"EntityKey"`
	Trusted                  *bool               `json:"Trusted"`
	SelfSigned               *bool               `json:"SelfSigned"`
	Token
	Duplicated        *bool  `json:"Duplicated"`
	EncapsulationType string `json:"EncapsulationType"`
}

// OrphanRevocationToken is a CRL or an OCSP answer that settled nothing.
type OrphanRevocationToken struct {
	ID             string `json:"Id"`
	RevocationType string `json:"RevocationType"`
	Token
	Duplicated        *bool  `json:"Duplicated"`
	EncapsulationType string `json:"EncapsulationType"`
}

// encapsulated is how a token that stands there in its octets is called.
const encapsulated = "BINARIES"

// orphanTokens are nil where there are none.
func (w *writer) orphanTokens() *OrphanTokens {
	if len(w.trace.Orphans) == 0 {
		return nil
	}
	d := &OrphanTokens{[]OrphanCertificateToken{}, []OrphanRevocationToken{}}
	for i := range w.trace.Orphans {
		o := &w.trace.Orphans[i]
		if o.Kind == "certificate" {
			d.OrphanCertificate = append(d.OrphanCertificate, w.orphanCertificate(o))
			continue
		}
		d.OrphanRevocation = append(d.OrphanRevocation, OrphanRevocationToken{ID: o.ID, RevocationType: o.Kind,
			Token: token(o.DER, idDigest(o.ID), w.Tokens.Revocations), EncapsulationType: encapsulated})
	}
	return d
}

func (w *writer) orphanCertificate(o *trace.Orphan) OrphanCertificateToken {
	d := OrphanCertificateToken{ID: o.ID, SubjectDistinguishedName: []DistinguishedName{},
		IssuerDistinguishedName: []DistinguishedName{}, EncapsulationType: encapsulated,
		Token: token(o.DER, idDigest(o.ID), w.Tokens.Certificates)}
	c, err := certificate.Parse(o.DER)
	if err != nil {
		return d
	}
	serial := json.Number(new(big.Int).SetBytes(c.Serial).String())
	trusted, selfSigned := false, c.SelfIssued()
	d.SerialNumber, d.Trusted, d.SelfSigned = &serial, &trusted, &selfSigned
	d.SubjectDistinguishedName = []DistinguishedName{{w.shown(c.Subject.String()), "RFC2253"}}
	d.IssuerDistinguishedName = []DistinguishedName{{w.shown(c.Issuer.String()), "RFC2253"}}
	d.NotBefore, d.NotAfter = momentOrNil(&c.NotBefore), momentOrNil(&c.NotAfter)
	key := fmt.Sprintf("%s%X", entityKey, c.KeyFingerprint)
	d.EntityKey = &key
	return d
}

// FoundCertificates are the certificates that something carries.
type FoundCertificates struct {
	RelatedCertificate []RelatedCertificate `json:"RelatedCertificate"`
	OrphanCertificate  []OrphanCertificate  `json:"OrphanCertificate"`
}

// foundCertificate is one with the parts that carry it and the references that name it.
type foundCertificate struct {
	Origin         []string         `json:"Origin"`
	CertificateRef []CertificateRef `json:"CertificateRef"`
}

// RelatedCertificate is one that conclusions rest on.
type RelatedCertificate struct {
	foundCertificate
	Certificate string `json:"Certificate"`
}

// OrphanCertificate is one that none rests on.
type OrphanCertificate struct {
	foundCertificate
	Token string `json:"Token"`
}

// CertificateRef names a certificate by its digest.
type CertificateRef struct {
	Origin       string        `json:"Origin"`
	IssuerSerial *IssuerSerial `json:"IssuerSerial"`
	Digest       *Digest       `json:"DigestAlgoAndValue"`
	SerialInfo   *SignerInfo   `json:"SerialInfo"`
	X509URL      none          `json:"X509Url"`
}

// IssuerSerial is that of RFC 5035, DER.
type IssuerSerial struct {
	Value []byte `json:"value"`
	Match bool   `json:"match"`
}

// FoundRevocations are the revocation data that something carries.
type FoundRevocations struct {
	RelatedRevocation []RelatedRevocation `json:"RelatedRevocation"`
	OrphanRevocation  []OrphanRevocation  `json:"OrphanRevocation"`
}

// foundRevocation is one with the parts that carry it.
type foundRevocation struct {
	Type          string     `json:"Type"`
	Origin        []string   `json:"Origin"`
	RevocationRef []struct{} `json:"RevocationRef"`
}

// RelatedRevocation is one that conclusions rest on.
type RelatedRevocation struct {
	foundRevocation
	Revocation string `json:"Revocation"`
}

// OrphanRevocation is one that none rests on.
type OrphanRevocation struct {
	foundRevocation
	Token string `json:"Token"`
}

func (w *writer) foundCertificates(f trace.Found, refs []trace.CertificateRef) FoundCertificates {
	d := FoundCertificates{RelatedCertificate: []RelatedCertificate{}, OrphanCertificate: []OrphanCertificate{}}
	named := map[string][]CertificateRef{}
	for _, r := range refs {
		sum := digest(r.Digest)
		ref := CertificateRef{Origin: "SIGNING_CERTIFICATE", Digest: &sum}
		if ref.Digest.Match = &r.Matches; r.IssuerSerial != nil {
			ref.IssuerSerial = &IssuerSerial{r.IssuerSerial, r.IssuerMatches}
		}
		named[r.Certificate] = append(named[r.Certificate], ref)
	}
	for _, c := range f.Certificates {
		found := foundCertificate{origins(c.Origins, nil), list(named[c.Object])}
		switch {
		case w.certificates[c.Object] != nil:
			d.RelatedCertificate = append(d.RelatedCertificate, RelatedCertificate{found, c.Object})
			delete(named, c.Object)
		case w.orphans[c.Object] != nil:
			d.OrphanCertificate = append(d.OrphanCertificate, OrphanCertificate{found, c.Object})
		}
	}
	for _, r := range refs {
		if more := named[r.Certificate]; w.certificates[r.Certificate] != nil && more != nil {
			d.RelatedCertificate = append(d.RelatedCertificate,
				RelatedCertificate{foundCertificate{[]string{}, more}, r.Certificate})
			delete(named, r.Certificate)
		}
	}
	return d
}

// certificatesOf are those in an OCSP answer, with the responderID at that of who signed it.
func (w *writer) certificatesOf(r *trace.Revocation) FoundCertificates {
	d := FoundCertificates{RelatedCertificate: []RelatedCertificate{}, OrphanCertificate: []OrphanCertificate{}}
	refs := func(id string) []CertificateRef {
		if r.Responder == nil || id != r.SigningCertificate {
			return []CertificateRef{}
		}
		info := signerInfo(*r.Responder, nil)
		return []CertificateRef{{Origin: "SIGNING_CERTIFICATE", SerialInfo: &info}}
	}
	for _, id := range w.known(r.Carries) {
		d.RelatedCertificate = append(d.RelatedCertificate,
			RelatedCertificate{foundCertificate{[]string{"BASIC_OCSP_RESP"}, refs(id)}, id})
	}
	if id := r.SigningCertificate; r.Responder != nil && w.certificates[id] != nil && !slices.Contains(r.Carries, id) {
		d.RelatedCertificate = append(d.RelatedCertificate, RelatedCertificate{foundCertificate{[]string{}, refs(id)}, id})
	}
	return d
}

func (w *writer) foundRevocations(f trace.Found) FoundRevocations {
	d := FoundRevocations{RelatedRevocation: []RelatedRevocation{}, OrphanRevocation: []OrphanRevocation{}}
	for _, c := range f.Revocations {
		found := foundRevocation{Origin: origins(c.Origins, revocationOrigins), RevocationRef: []struct{}{}}
		if r := w.revocations[c.Object]; r != nil {
			found.Type = r.Kind
			d.RelatedRevocation = append(d.RelatedRevocation, RelatedRevocation{found, c.Object})
		} else if o := w.orphans[c.Object]; o != nil {
			found.Type = o.Kind
			d.OrphanRevocation = append(d.OrphanRevocation, OrphanRevocation{found, c.Object})
		}
	}
	return d
}

// revocationOrigins are DSS's names for parts that it calls otherwise where they carry revocation data.
var revocationOrigins = map[trace.Origin]string{"SIGNED_DATA": "CMS_SIGNED_DATA", "KEY_INFO": "INPUT_DOCUMENT"}

func origins(from []trace.Origin, names map[trace.Origin]string) []string {
	out := []string{}
	for _, o := range from {
		name := names[o]
		if name == "" {
			name = string(o)
		}
		out = append(out, name)
	}
	return out
}
