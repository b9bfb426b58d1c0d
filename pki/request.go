package pki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"trustcore/pki/profile"
	"trustcore/pki/weak"
)

// Limits of a request for a certificate.
const (
	maxRequest = 64 << 10 // octets of DER
	maxNames   = 32       // DNS names and IP addresses
	minRSABits = 3072     // TS 119 312: 3000 bits and more beyond 2025
	maxRSABits = 8192     // larger keys only cost those who verify
)

func refuse(field, remedy, problem string, a ...any) error {
	return &RequestError{Field: field, Problem: fmt.Sprintf(problem, a...), Remedy: remedy}
}

// CheckRequest refuses (*RequestError) a request that asks for something else than the subject, or brings a key that is not good
// enough: what Issue would refuse, but for what only the inventory knows. It costs no signature. The first fault is reported.
func CheckRequest(kind Profile, csr *x509.CertificateRequest, subject Subject) error {
	if csr == nil || len(csr.Raw) == 0 {
		return refuse("request", "send a PKCS #10 request", "is missing")
	}
	if len(csr.Raw) > maxRequest {
		return refuse("request", "ask for fewer names", "has %d octets, at most %d are read", len(csr.Raw), maxRequest)
	}
	for _, check := range []func() error{
		func() error { return CheckSubject(kind, subject) },
		func() error { return checkPublicKey(csr.PublicKey) },
		func() error { return checkProof(csr) },
		func() error { return checkNames(csr, subject) },
		func() error { return checkExtensions(kind, csr) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// hostShape is a DNS name of letters, digits and hyphens, without a wildcard; the last label is not a number.
var hostShape = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckSubject refuses (*RequestError) a subject that no certificate of this kind can be made for, such as a common name that is too
// long: ask it before an order is taken.
func CheckSubject(kind Profile, s Subject) error {
	if !kind.Known() {
		return refuse("profile", "choose one that is issued from a request", "%q is not known", kind)
	}
	if err := checkText("common name", s.CommonName); err != nil {
		return err
	}
	if s.Partner != "" {
		if err := checkText("partner", s.Partner); err != nil {
			return err
		}
	}
	if kind == PartnerClient && s.Partner == "" {
		return refuse("partner", "name the office that the order is for", "is missing in a partner's certificate")
	}
	allowed, needed := kind.Hosts()
	count := len(s.DNS) + len(s.IPs)
	switch {
	case s.Partner == "" && (kind == PartnerServer || kind == PartnerPeer):
		return refuse("partner", "name the office that the order is for", "is missing in the certificate of a partner's server")
	case count > 0 && !allowed:
		return refuse("names", "leave DNS names and IP addresses out", "profile %s names no hosts", kind)
	case count == 0 && needed:
		return refuse("names", "give a DNS name or an IP address", "profile %s needs a host", kind)
	case count > maxNames:
		return refuse("names", "ask for several certificates", "%d names, at most %d are allowed", count, maxNames)
	}
	for _, name := range s.DNS {
		if len(name) > 253 || !hostShape.MatchString(name) {
			return refuse("names", "write a host name in lower case without a wildcard", "%q is no host name", name)
		}
	}
	for _, ip := range s.IPs {
		if ip.To16() == nil || ip.IsUnspecified() || ip.IsMulticast() {
			return refuse("names", "write the address of one host", "%v is no address of a host", ip)
		}
	}
	return nil
}

func checkText(field, text string) error {
	if !profile.IsName(text) {
		remedy := fmt.Sprintf("write 1 to %d characters that can be seen, without spaces around", profile.MaxName)
		return refuse(field, remedy, "%q can't be used", text)
	}
	return nil
}

func checkPublicKey(public any) error {
	const remedy = "make a P-256 or P-384 key, or RSA of 3072 bits and more with exponent 65537"
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve.Params().Name {
		case "P-256", "P-384", "P-521":
			return nil
		}
		return refuse("public key", remedy, "curve %s is not allowed", key.Curve.Params().Name)
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return refuse("public key", remedy, "RSA of %d bits is not allowed", bits)
		}
		// With one exponent for all, a modulus is a key: nobody gets another certificate for it by changing the exponent.
		if key.E != 65537 {
			return refuse("public key", remedy, "RSA exponent %d is not allowed", key.E)
		}
		if fault := weak.RSA(key.N); fault != "" {
			return refuse("public key", remedy, "%s", fault)
		}
		return nil
	}
	return refuse("public key", remedy, "keys of type %T are not allowed", public)
}

// checkProof checks that the request was signed by the key that it brings.
func checkProof(csr *x509.CertificateRequest) error {
	switch csr.SignatureAlgorithm {
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
	default:
		return refuse("signature", "sign the request with SHA-256 or better", "algorithm %v is not allowed", csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return refuse("signature", "make the request anew with the key it is for", "does not prove possession of the key (%v)", err)
	}
	return nil
}

// checkNames refuses names that the order does not have. The certificate takes its names from the order alone.
func checkNames(csr *x509.CertificateRequest, s Subject) error {
	if cn := csr.Subject.CommonName; cn != "" && cn != s.CommonName {
		return refuse("common name", fmt.Sprintf("ask for %q or leave it out", s.CommonName), "the request asks for %q", cn)
	}
	for _, name := range csr.DNSNames {
		if !slices.Contains(s.DNS, strings.ToLower(name)) {
			return refuse("names", "ask only for names of the order", "the request asks for %q", name)
		}
	}
	for _, ip := range csr.IPAddresses {
		if !slices.ContainsFunc(s.IPs, func(allowed net.IP) bool { return allowed.Equal(ip) }) {
			return refuse("names", "ask only for addresses of the order", "the request asks for %v", ip)
		}
	}
	if len(csr.EmailAddresses) > 0 {
		return refuse("names", "leave e-mail addresses out", "the request asks for %q", csr.EmailAddresses[0])
	}
	if len(csr.URIs) > 0 {
		return refuse("names", "leave URIs out", "the request asks for %q", csr.URIs[0])
	}
	return nil
}

// Extensions that a request may bring.
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

func checkExtensions(kind Profile, csr *x509.CertificateRequest) error {
	seen := map[string]bool{}
	for _, extension := range csr.Extensions {
		if seen[extension.Id.String()] {
			return refuse("extensions", "ask for each extension once", "%v is there twice", extension.Id)
		}
		seen[extension.Id.String()] = true
		var err error
		switch {
		case extension.Id.Equal(oidSubjectKeyID), extension.Id.Equal(oidSubjectAltName): // the first is ours to make, the names are checked
		case extension.Id.Equal(oidBasicConstraints):
			err = checkBasicConstraints(extension)
		case extension.Id.Equal(oidKeyUsage):
			err = checkKeyUsage(extension)
		case extension.Id.Equal(oidExtKeyUsage):
			err = checkPurposes(kind, extension)
		default:
			err = refuse("extensions", "leave it out", "%v can't be asked for", extension.Id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkBasicConstraints(extension pkix.Extension) error {
	var constraints struct {
		CA         bool `asn1:"optional"`
		PathLength int  `asn1:"optional,default:-1"`
	}
	if rest, err := asn1.Unmarshal(extension.Value, &constraints); err != nil || len(rest) > 0 {
		return refuse("basic constraints", "leave the extension out", "can't be read")
	}
	if constraints.CA {
		return refuse("basic constraints", "leave CA:TRUE out", "the request asks to become a certification authority")
	}
	return nil
}

func checkKeyUsage(extension pkix.Extension) error {
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(extension.Value, &bits); err != nil || len(rest) > 0 || bits.BitLength > 9 {
		return refuse("key usage", "leave the extension out", "can't be read")
	}
	const keyCertSign, cRLSign = 5, 6
	if bits.At(keyCertSign) == 1 || bits.At(cRLSign) == 1 {
		return refuse("key usage", "leave keyCertSign and cRLSign out", "the request asks to sign certificates or lists")
	}
	return nil
}

// checkPurposes takes any purpose of the profile; the certificate has all of them anyway.
func checkPurposes(kind Profile, extension pkix.Extension) error {
	var asked []asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(extension.Value, &asked); err != nil || len(rest) > 0 {
		return refuse("extended key usage", "leave the extension out", "can't be read")
	}
	for _, oid := range asked {
		if !kind.Allows(oid) {
			return refuse("extended key usage", "leave the extension out", "profile %s does not serve %v", kind, oid)
		}
	}
	return nil
}
