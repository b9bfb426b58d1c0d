package judge

import (
	"slices"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/policy"
	"trustcore/verify/revocation"
)

// TestUnmet reaches what can't be minted: certificates without identifiers, issued by themselves, lists without an end.
func TestUnmet(t *testing.T) {
	named := certificate.Name{}
	self := link{Certificate: &certificate.Certificate{Subject: named, Issuer: named}}
	whole := link{Certificate: &certificate.Certificate{SKI: []byte{1}, AKI: &certificate.AuthorityKeyID{}}}
	of := func(source string, next time.Time) link {
		return link{Certificate: &certificate.Certificate{}, evidence: revocation.Result{Source: source, NextUpdate: next}}
	}
	some := time.Unix(1, 0)
	for _, c := range []struct {
		name policy.Name
		link link
		met  bool
	}{
		{policy.SubjectKeyIdentifierPresent, whole, true}, {policy.SubjectKeyIdentifierPresent, self, false},
		{policy.AuthorityKeyIdentifierPresent, whole, true}, {policy.AuthorityKeyIdentifierPresent, self, false},
		{policy.SelfSigned, self, true}, {policy.NotSelfSigned, self, false},
		{policy.CRLNextUpdatePresent, of("CRL", some), true}, {policy.CRLNextUpdatePresent, of("CRL", time.Time{}), false},
		{policy.CRLNextUpdatePresent, of("OCSP", time.Time{}), true},
		{policy.OCSPNextUpdatePresent, of("OCSP", some), true}, {policy.OCSPNextUpdatePresent, of("OCSP", time.Time{}), false},
		{policy.OCSPNextUpdatePresent, of("CRL", time.Time{}), true},
	} {
		i := slices.IndexFunc(ofCertificates, func(d constraint[link]) bool { return d.name == c.name })
		if why := ofCertificates[i].unmet(c.link, policy.Constraint{}); (why == "") != c.met {
			t.Errorf("%s: %q, met: %t", c.name, why, c.met)
		}
	}
}

// TestEveryConstraintIsInThePolicies: what is asked for is a constraint of its context, and judged by its level.
func TestEveryConstraintIsInThePolicies(t *testing.T) {
	p, err := policy.Named(policy.Strict)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(in policy.Context, n policy.Name) {
		if l := p.Level(in, n); l == policy.Fail && n != policy.ExtendedKeyUsage && n != policy.SigningTimeInCertRange {
			t.Errorf("%s has no constraint %s", in, n)
		}
	}
	for _, in := range []policy.Context{policy.Signature, policy.CounterSignature} {
		for _, c := range slices.Concat(formal, attributes) {
			ask(in, c.name)
		}
	}
	for _, c := range stamps {
		ask(policy.Timestamp, c.name)
	}
	for _, in := range []policy.Context{policy.Signature, policy.CounterSignature, policy.Timestamp} {
		for _, c := range slices.Concat(ofExtensions, ofCertificates) {
			ask(in.Signer(), c.name)
			ask(in.CA(), c.name)
		}
		ask(in.Signer(), policy.KeyUsage)
	}
}
