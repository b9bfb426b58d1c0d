package path

import (
	"bytes"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
)

// serverChain checks what the CA/Browser Baseline Requirements demand of every certificate of the path.
func (l *linter) serverChain() {
	const clause = "CA/Browser BR 6.1.5"
	l.demand(l.c.Version == 3, "CA/Browser BR 7.1.1", "not version 3")
	l.demand(!l.c.Has(certificate.ExplicitParameters), "CA/Browser BR 7.1.3.1.2", "explicit curve parameters")
	key, err := l.c.Key()
	if err != nil {
		l.fail(clause, err.Error())
		return
	}
	switch key.Kind() {
	case algorithm.KindRSA:
		l.demand(key.Bits() >= 2048 && key.Bits()%8 == 0, clause, "RSA key of a size that is not allowed")
	case algorithm.KindEC:
		curve := key.Curve()
		l.demand(curve == "P-256" || curve == "P-384" || curve == "P-521", clause, "curve "+curve)
	default:
		l.fail(clause, "key of "+key.Name())
	}
}

// serverTarget checks what they demand of the server's own certificate (7.1.2.7).
func (l *linter) serverTarget(r *Request) {
	c := l.c
	if eku := c.Extension(certificate.ExtExtendedKeyUsage); eku == nil {
		l.fail("CA/Browser BR 7.1.2.7.6", "no extended key usage")
	} else {
		l.demand(!eku.Critical, "CA/Browser BR 7.1.2.7.6", "extended key usage is critical")
	}
	for _, purpose := range c.EKU {
		l.demand(purpose != certificate.PurposeAny, "CA/Browser BR 7.1.2.7.10", "anyExtendedKeyUsage")
	}
	l.demand(!l.isCA(), "CA/Browser BR 7.1.2.7.8", "the certificate is a CA's")
	l.demand(c.KeyUsage&(certificate.CertSign|certificate.CRLSign) == 0, "CA/Browser BR 7.1.2.7.11", "keyCertSign or cRLSign")
	if san := c.Extension(certificate.ExtSubjectAltName); san == nil {
		l.fail("CA/Browser BR 7.1.2.7.12", "no subjectAltName")
	} else {
		l.demand(!san.Critical || c.Subject.Empty(), "CA/Browser BR 7.1.2.7.12", "subjectAltName is critical")
	}
	for _, name := range c.Subject.All(certificate.AttrCommonName) {
		l.demand(commonNameInSAN(name, c), "CA/Browser BR 7.1.4.3", "common name "+name+" is no copy of an alternative name")
	}
	if name := r.Name; name != nil && name.DNS != "" && !heldBelowSuffix(name.DNS, c) {
		l.fail("CA/Browser BR 3.2.2.6", "the name is held by a wildcard below a public suffix alone")
	}
}

// commonNameInSAN compares character by character; addresses in the text form of RFC 3986 and RFC 5952. A host name is
// let pass where the alternative names hold no host but wildcards: that is common, and no client is misled by it.
func commonNameInSAN(name string, c *certificate.Certificate) bool {
	hosts := false
	for i := range c.SAN {
		g := &c.SAN[i]
		switch g.Kind {
		case certificate.DNSName:
			if string(g.Value) == name {
				return true
			}
			hosts = hosts || !strings.HasPrefix(string(g.Value), "*.")
		case certificate.IPName:
			if a, ok := netip.AddrFromSlice(g.Value); ok && a.String() == name {
				return true
			}
		}
	}
	return !hosts && validHost(name, false) && strings.Contains(name, ".")
}

// heldBelowSuffix reports whether an alternative name holds the host, be it by a wildcard, without the wildcard standing for
// the registered domains of a public suffix.
func heldBelowSuffix(host string, c *certificate.Certificate) bool {
	for i := range c.SAN {
		g := &c.SAN[i]
		if g.Kind != certificate.DNSName || !matchHost(host, string(g.Value)) {
			continue
		}
		parent, wildcard := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(string(g.Value), ".")), "*.")
		if suffix, _ := publicsuffix.PublicSuffix(parent); !wildcard || suffix != parent {
			return true
		}
	}
	return false
}

// serverRoot checks what they demand of a root (7.1.2.1).
func (l *linter) serverRoot() {
	if !l.selfSigned() {
		return
	}
	l.demand(!l.c.HasEKU, "CA/Browser BR 7.1.2.1.2", "root with extended key usage")
	if aki := l.c.AKI; aki != nil {
		l.demand(bytes.Equal(aki.KeyID, l.c.SKI) && aki.KeyID != nil && aki.Issuer == nil && aki.Serial == nil,
			"CA/Browser BR 7.1.2.1.3", "authority key identifier of a root that is not its subject key identifier alone")
	}
}
