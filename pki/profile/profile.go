// Package profile says what kinds of certificates the CA issues: key usages, purposes, names, longest
// validity and extensions of each kind. Ceremonies and daily issuing make their certificates here.
package profile

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"
)

// Profile names a kind of certificate.
type Profile string

// The kinds of certificates.
const (
	Root          Profile = "root"           // made by a ceremony
	Issuing       Profile = "issuing"        // made by a ceremony
	DaemonServer  Profile = "daemon-server"  // TLS server of a daemon, serves TLS clients to its peers too
	DaemonClient  Profile = "daemon-client"  // TLS client of a daemon or application
	PartnerClient Profile = "partner-client" // TLS client of a partner office; its key was born there
	PartnerServer Profile = "partner-server" // TLS server of a partner office, by ACME
	PartnerPeer   Profile = "partner-peer"   // TLS server of a partner office that is a client to its peers too, by ACME
	Officer       Profile = "officer"        // TLS client of a security admin
	Auditor       Profile = "auditor"        // TLS client of somebody who reads and proves, and changes nothing
	Seal          Profile = "seal"           // document signing with a key in the HSM
	OCSPResponder Profile = "ocsp-responder" // delegated responder, id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2)
	TimeStamping  Profile = "time-stamping"  // time-stamping unit, critical sole purpose (RFC 3161 2.3)
)

const day = 24 * time.Hour

// Purpose is what an issuing authority is for: whose certificates it makes.
type Purpose string

// The purposes of issuing authorities.
const (
	Services Purpose = "services" // the data centre's own daemons, applications and time-stamping unit
	Offices  Purpose = "offices"  // offices' clients and servers
	Seals    Purpose = "seals"    // document signing with keys in the HSM
	Persons  Purpose = "persons"  // people: officers and auditors
)

// Purposes are all purposes, in their order.
func Purposes() []Purpose { return []Purpose{Services, Offices, Seals, Persons} }

// kind is what a Profile means.
type kind struct {
	by       Purpose // of the authority that issues it
	usage    x509.KeyUsage
	purposes []x509.ExtKeyUsage
	longest  time.Duration // of the certificate
	keyUse   time.Duration // privateKeyUsagePeriod, 0 means none
	hosts    bool          // DNS names and IP addresses are allowed
	needHost bool          // at least one is needed
	noCheck  bool
}

var kinds = map[Profile]kind{
	DaemonServer: {by: Services, usage: x509.KeyUsageDigitalSignature, longest: 397 * day, hosts: true, needHost: true,
		purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
	DaemonClient: {by: Services, usage: x509.KeyUsageDigitalSignature, longest: 397 * day, hosts: true,
		purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	PartnerClient: {by: Offices, usage: x509.KeyUsageDigitalSignature, longest: 397 * day, purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	PartnerServer: {by: Offices, usage: x509.KeyUsageDigitalSignature, longest: 90 * day, hosts: true, needHost: true,
		purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
	PartnerPeer: {by: Offices, usage: x509.KeyUsageDigitalSignature, longest: 90 * day, hosts: true, needHost: true,
		purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
	Officer: {by: Persons, usage: x509.KeyUsageDigitalSignature, longest: 397 * day, purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	Auditor: {by: Persons, usage: x509.KeyUsageDigitalSignature, longest: 397 * day, purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	Seal:    {by: Seals, usage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, longest: 3 * 366 * day},
	OCSPResponder: {by: Services, usage: x509.KeyUsageDigitalSignature, longest: 397 * day, noCheck: true,
		purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}},
	TimeStamping: {by: Services, usage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, longest: 11 * 366 * day,
		keyUse: 2 * 366 * day},
}

// Known reports whether p is a kind that the CA issues from a certificate request.
func (p Profile) Known() bool { _, known := kinds[p]; return known }

// Purpose is what an authority has to be for that issues p. A responder's delegate is its own authority's, whatever that is for.
func (p Profile) Purpose() Purpose { return kinds[p].by }

// Hosts reports whether p may name hosts, and whether it has to.
func (p Profile) Hosts() (allowed, needed bool) { return kinds[p].hosts, kinds[p].needHost }

// Longest is the longest validity of p, and what a certificate gets when nothing else is asked.
func (p Profile) Longest() time.Duration { return kinds[p].longest }

// Places are the URLs that certificates of an issuer carry; an empty one is left out.
type Places struct {
	Issuer string // the issuer's certificate, DER (AIA caIssuers)
	OCSP   string // the responder (AIA ocsp)
	CRL    string // the full CRL (CRL distribution point)
}

// Extension identifiers.
var (
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidDocumentSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36} // RFC 9336
	oidOCSPNoCheck     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidPrivateKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 16}
)

// Template returns what is particular to p, valid from notBefore to notAfter at the latest: key usage, purposes,
// basic constraints, places and extensions. Serial number, subject, names and key are the caller's.
func (p Profile) Template(notBefore, notAfter time.Time, places Places) (*x509.Certificate, error) {
	k, known := kinds[p]
	if !known {
		return nil, fmt.Errorf("profile %q is not one that is issued from a request", p)
	}
	notBefore, notAfter = notBefore.UTC().Truncate(time.Second), notAfter.UTC().Truncate(time.Second)
	if last := notBefore.Add(k.longest); notAfter.After(last) {
		notAfter = last
	}
	if !notAfter.After(notBefore) {
		return nil, fmt.Errorf("profile %s: validity ends (%s) before it begins (%s)", p, notAfter, notBefore)
	}
	template := &x509.Certificate{
		NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage: k.usage, ExtKeyUsage: k.purposes,
		BasicConstraintsValid: true,
	}
	if err := extend(template, p, k); err != nil {
		return nil, fmt.Errorf("profile %s: %w", p, err)
	}
	if places.Issuer != "" {
		template.IssuingCertificateURL = []string{places.Issuer}
	}
	// Nobody asks for the status of a certificate that says nocheck.
	if !k.noCheck {
		addStatus(template, places)
	}
	return template, nil
}

func addStatus(template *x509.Certificate, places Places) {
	if places.OCSP != "" {
		template.OCSPServer = []string{places.OCSP}
	}
	if places.CRL != "" {
		template.CRLDistributionPoints = []string{places.CRL}
	}
}

// extend adds the extensions that x509.CreateCertificate has no field for.
func extend(template *x509.Certificate, p Profile, k kind) error {
	if k.noCheck {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidOCSPNoCheck, Value: asn1.NullBytes})
	}
	switch p {
	case TimeStamping: // RFC 3161 2.3: critical, and alone
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
		if err != nil {
			return err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidExtKeyUsage, Critical: true, Value: value})
	case Seal:
		template.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidDocumentSigning}
	}
	if k.keyUse == 0 {
		return nil
	}
	last := template.NotBefore.Add(k.keyUse)
	if last.After(template.NotAfter) {
		last = template.NotAfter
	}
	value, err := asn1.Marshal([]asn1.RawValue{ // RFC 5280's PrivateKeyUsagePeriod of RFC 3280 4.2.1.4
		{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: generalizedTime(template.NotBefore)},
		{Class: asn1.ClassContextSpecific, Tag: 1, Bytes: generalizedTime(last)},
	})
	if err != nil {
		return err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidPrivateKeyUsage, Value: value})
	return nil
}

func generalizedTime(t time.Time) []byte { return []byte(t.UTC().Format("20060102150405Z")) }

// Allows reports whether certificates of p serve the purpose with this identifier.
func (p Profile) Allows(purpose asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(p.extended(), purpose.Equal)
}

// extended are the purposes of p's certificates as they stand in extKeyUsage.
func (p Profile) extended() (all []asn1.ObjectIdentifier) {
	switch p {
	case TimeStamping:
		return []asn1.ObjectIdentifier{oidTimeStamping}
	case Seal:
		return []asn1.ObjectIdentifier{oidDocumentSigning}
	}
	for _, own := range kinds[p].purposes {
		all = append(all, purposeOIDs[own])
	}
	return all
}

// Outside returns a purpose of p's that certificates below an authority's don't have, because the authority's extKeyUsage limits them;
// nil when there is none.
func (p Profile) Outside(authority *x509.Certificate) asn1.ObjectIdentifier {
	if len(authority.ExtKeyUsage)+len(authority.UnknownExtKeyUsage) == 0 || slices.Contains(authority.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	for _, purpose := range p.extended() {
		known := func(u x509.ExtKeyUsage) bool { return purposeOIDs[u].Equal(purpose) }
		if !slices.ContainsFunc(authority.ExtKeyUsage, known) && !slices.ContainsFunc(authority.UnknownExtKeyUsage, purpose.Equal) {
			return purpose
		}
	}
	return nil
}

var purposeOIDs = map[x509.ExtKeyUsage]asn1.ObjectIdentifier{
	x509.ExtKeyUsageServerAuth:   {1, 3, 6, 1, 5, 5, 7, 3, 1},
	x509.ExtKeyUsageClientAuth:   {1, 3, 6, 1, 5, 5, 7, 3, 2},
	x509.ExtKeyUsageOCSPSigning:  {1, 3, 6, 1, 5, 5, 7, 3, 9},
	x509.ExtKeyUsageTimeStamping: oidTimeStamping,
}

// KeyUse is how long a key of p signs at the longest: its privateKeyUsagePeriod, or the certificate's life.
func (p Profile) KeyUse() time.Duration {
	if use := kinds[p].keyUse; use != 0 {
		return use
	}
	return kinds[p].longest
}
