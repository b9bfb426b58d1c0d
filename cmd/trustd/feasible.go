package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf8"

	"trustcore/cmd/internal/registry"
	"trustcore/pki"
	"trustcore/pki/profile"
	"trustcore/vpn"
)

// canCarryOut says before an order is taken what could not be made of it: names that no certificate takes.
func canCarryOut(o registry.Order) error {
	if (o.Has(registry.NetworkHSM) || o.Has(registry.VPN)) && !profile.IsName(clientName(o)) {
		return &registry.FieldError{Field: "hsm_authorization.application", Remedy: fmt.Sprintf(
			"%q is the name in the office's certificate, which has at most %d characters: shorten it or partner.id by %d",
			clientName(o), profile.MaxName, tooMany(clientName(o)))}
	}
	if o.HSMAuthorization == nil {
		return nil
	}
	for i, k := range o.HSMAuthorization.Keys {
		if name := sealName(o, k.Name); !profile.IsName(name) {
			return &registry.FieldError{Field: "partner.name", Remedy: fmt.Sprintf(
				"with hsm_authorization.keys[%d].name it is the name in the certificate of the key, %q, which has at most %d characters: shorten it by %d",
				i, name, profile.MaxName, tooMany(name))}
		}
	}
	return nil
}

func tooMany(name string) int { return utf8.RuneCountInString(name) - profile.MaxName }

// canUse refuses what an office sent before its token is used up: a key that WireGuard or the authority would refuse.
func (d *daemon) canUse(o registry.Order, e registry.Enrolment) error {
	hubs, err := d.hubKeys()
	if err != nil {
		return err
	}
	if _, err := vpn.ParsePeerKey(e.PublicKey, hubs...); err != nil {
		return &registry.FieldError{Field: "wireguard_public_key", Remedy: err.Error()}
	}
	block, rest := pem.Decode([]byte(e.CSR))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) != 0 {
		return &registry.FieldError{Field: "csr", Remedy: "send one PKCS #10 request in PEM"}
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return &registry.FieldError{Field: "csr", Remedy: "send a PKCS #10 request: this one can't be read"}
	}
	err = pki.CheckRequest(pki.PartnerClient, request, pki.Subject{Partner: o.Partner.ID, CommonName: clientName(o)})
	var wrong *pki.RequestError
	if errors.As(err, &wrong) {
		return &registry.FieldError{Field: "csr", Remedy: wrong.Error()}
	}
	return err
}
