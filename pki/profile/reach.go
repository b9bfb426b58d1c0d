package profile

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
)

// placed are the extensions that say by whom a certificate is and where its status is told: all that differs between certificates
// of one authority by two roots.
var placed = []asn1.ObjectIdentifier{
	{2, 5, 29, 35},              // authorityKeyIdentifier
	{2, 5, 29, 31},              // cRLDistributionPoints
	{1, 3, 6, 1, 5, 5, 7, 1, 1}, // authorityInfoAccess
}

// Wider compares what two certificates of one authority let it do: basic constraints, usages, purposes, policies, name constraints and
// whatever else they say. It returns the identifier of the first extension that differs, "" when none does.
func Wider(own, other *x509.Certificate) string {
	for _, pair := range [][2]*x509.Certificate{{own, other}, {other, own}} {
		for _, e := range pair[0].Extensions {
			if slices.ContainsFunc(placed, e.Id.Equal) {
				continue
			}
			same := func(o pkix.Extension) bool {
				return o.Id.Equal(e.Id) && o.Critical == e.Critical && bytes.Equal(o.Value, e.Value)
			}
			if !slices.ContainsFunc(pair[1].Extensions, same) {
				return "extension " + e.Id.String()
			}
		}
	}
	return ""
}
