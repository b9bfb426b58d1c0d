package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/hsm/mechanism"
	"trustcore/pki"
	"trustcore/pki/profile"
	"trustcore/vpn"
)

// canCarryOut says before an order is taken what could not be made of it: names that no certificate takes, keys that
// are not as they would have to be, authorisations too short for a certificate, a gateway out of the office's reach.
func (d *daemon) canCarryOut(ctx context.Context, o registry.Order, kept map[string]string) error {
	if (o.Has(registry.NetworkHSM) || o.Has(registry.VPN)) && !profile.IsName(clientName(o)) {
		return &registry.FieldError{Field: "hsm_authorization.application", Remedy: fmt.Sprintf(
			"%q is the name in the office's certificate, which has at most %d characters: shorten it or partner.id by %d",
			clientName(o), profile.MaxName, tooMany(clientName(o)))}
	}
	if err := d.cfg.Tunnel.canServe(o); err != nil {
		return err
	}
	if err := d.canHaveSites(o); err != nil {
		return err
	}
	if err := d.canHaveServers(o); err != nil {
		return err
	}
	if o.HSMAuthorization == nil {
		return nil
	}
	for i, k := range o.HSMAuthorization.Keys {
		field := fmt.Sprintf("hsm_authorization.keys[%d]", i)
		if name := sealName(o, k.Name); !profile.IsName(name) {
			return &registry.FieldError{Field: "partner.name", Remedy: fmt.Sprintf(
				"with %s.name it is the name in the certificate of the key, %q, which has at most %d characters: shorten it by %d",
				field, name, profile.MaxName, tooMany(name))}
		}
		if err := d.canDecrypt(ctx, field, k, kept[k.Name]); err != nil {
			return err
		}
		if err := d.canKeep(ctx, field, k, kept[k.Name], o.Resume != ""); err != nil {
			return err
		}
		certified := kept[k.Name] != "" && o.Renews != ""
		if !certified && time.Until(o.HSMAuthorization.Until(k.Name)) < shortest {
			return tooShort(field, k)
		}
	}
	return d.canReach(ctx, o)
}

// canDecrypt asks the token whether it decrypts as a new key is to: what it can't is told before anybody decides.
func (d *daemon) canDecrypt(ctx context.Context, field string, k registry.HSMKey, kept string) error {
	if k.Purpose != registry.Decrypt || kept != "" {
		return nil
	}
	for i, name := range k.Mechanisms {
		err := d.custody.HSM.CanDecrypt(ctx, mechanism.Mechanism(name))
		if errors.Is(err, hsm.ErrNoDecryption) {
			return &registry.FieldError{Field: fmt.Sprintf("%s.mechanisms[%d]", field, i), Remedy: fmt.Sprintf(
				"the HSM of the data centre can't decrypt by %s: write RSA-OAEP-SHA1, which is as good for this, or use another HSM", name)}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shortest is how long an authorisation has to hold from now on: people still have to approve it and enrol.
const shortest = 2 * pki.MinimumLife

func tooShort(field string, k registry.HSMKey) error {
	if k.NotAfter.IsZero() {
		field = "hsm_authorization"
	}
	return &registry.FieldError{Field: field + ".not_after", Remedy: fmt.Sprintf(
		"it ends in less than %s, too soon for a certificate: write a later one", shortest)}
}

// canKeep holds a key that an order takes over against what the HSM has.
func (d *daemon) canKeep(ctx context.Context, field string, k registry.HSMKey, id string, resumed bool) error {
	if id == "" {
		return nil
	}
	is, err := d.custody.HSM.Key(ctx, id)
	if err != nil && !errors.Is(err, hsm.ErrUnknownKey) {
		return err
	}
	switch {
	case err != nil || is.State == hsm.Destroyed:
		return &registry.FieldError{Field: field + ".name",
			Remedy: fmt.Sprintf("the key %s was destroyed: give a new one another name", k.Name)}
	case !resumed && is.State != hsm.Active:
		return &registry.FieldError{Field: field + ".name",
			Remedy: fmt.Sprintf("the key %s is %s: give a new one another name", k.Name, is.State)}
	}
	for i, name := range k.Mechanisms {
		if m := mechanism.Mechanism(name); !is.Allows(m) {
			return &registry.FieldError{Field: fmt.Sprintf("%s.mechanisms[%d]", field, i), Remedy: fmt.Sprintf(
				"the key %s was made for %v: write some of these, or give a new key another name", k.Name, is.Mechanisms)}
		}
	}
	return nil
}

// canReach refuses keys to an office that could not reach the gateway.
func (d *daemon) canReach(ctx context.Context, o registry.Order) error {
	if o.Has(registry.VPN) || len(d.direct()) > 0 {
		return nil
	}
	if own, err := d.forVerifyd(ctx, o); own || err != nil {
		return err
	}
	tunnel, err := d.registry.IsOn(ctx, o.Partner.ID, registry.VPN)
	if err != nil || tunnel {
		return err
	}
	return &registry.FieldError{Field: "components",
		Remedy: "without a tunnel the office does not reach the gateway: add P_VPN, " +
			"or have the data centre say in `direct` of trustd's configuration how offices reach it"}
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
	request, err := readRequest(e.CSR)
	if err != nil {
		return &registry.FieldError{Field: "csr", Remedy: err.Error()}
	}
	err = pki.CheckRequest(pki.PartnerClient, request, pki.Subject{Partner: o.Partner.ID, CommonName: siteName(o, e.Site)})
	var wrong *pki.RequestError
	if errors.As(err, &wrong) {
		return &registry.FieldError{Field: "csr", Remedy: wrong.Error()}
	}
	return err
}
