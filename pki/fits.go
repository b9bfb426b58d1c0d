package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"trustcore/pki/profile"
)

// fits checks that certificates, keys and names belong together.
func (c *Config) fits() error {
	c.Roots, c.Issuers = slices.Clone(c.Roots), slices.Clone(c.Issuers)
	ids, names := map[string]bool{}, map[string]bool{}
	roots := slices.Clone(c.Roots)
	add := func(name, standard string, certificate *x509.Certificate) (string, error) {
		if name == "" {
			name = standard
		}
		if id := keyIdentifier(certificate); id == "" {
			return name, fmt.Errorf("%s: its certificate has no subject key identifier", name)
		} else if ids[id] || names[name] {
			return name, fmt.Errorf("%s: two authorities have one key or the name", name)
		} else {
			ids[id], names[name] = true, true
		}
		return name, nil
	}
	for n := range c.Roots {
		r := &c.Roots[n]
		if err := r.fits(roots); err != nil {
			return err
		}
		var err error
		if r.Name, err = add(r.Name, profile.FirstRoot, r.Certificate); err != nil {
			return err
		}
	}
	for n := range c.Issuers {
		i := &c.Issuers[n]
		if err := i.fits(c); err != nil {
			return err
		}
		var err error
		if i.Name, err = add(i.Name, profile.FirstIssuing, i.Certificate); err != nil {
			return err
		}
	}
	return nil
}

func (r *Root) fits(all []Root) error {
	if r.Certificate == nil {
		return errors.New("root or issuing authority is missing: a certificate of a root")
	}
	if err := r.Certificate.CheckSignatureFrom(r.Certificate); err != nil {
		return fmt.Errorf("the root's certificate: %w", err)
	}
	if r.Key == nil && len(r.List) == 0 {
		return errors.New("neither the root's CRL nor its key is there")
	}
	if err := byEachOnce("root", r.Certificate, append([]*x509.Certificate{r.Certificate}, r.Crosses...), all); err != nil {
		return err
	}
	if r.Key == nil {
		return nil
	}
	if err := sameKey(r.Key, r.Certificate); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	return nil
}

func (i *Issuer) fits(c *Config) error {
	switch {
	case i.Certificate == nil:
		return errors.New("root or issuing authority is missing: a certificate of an issuing authority")
	case i.Key == nil:
		return errors.New("key of the issuing authority is missing")
	case !i.OCSP.complete(c.OpenKey != nil):
		return errors.New("delegate of the OCSP responder is missing")
	}
	for _, p := range i.Purposes {
		if !slices.Contains(profile.Purposes(), p) {
			return fmt.Errorf("issuing authority: %q is none of the purposes %v", p, profile.Purposes())
		}
	}
	if err := sameKey(i.Key, i.Certificate); err != nil {
		return fmt.Errorf("issuing authority: %w", err)
	}
	return byEachOnce("issuing authority", i.Certificate, append([]*x509.Certificate{i.Certificate}, i.Crosses...), c.Roots)
}

// byEachOnce checks that each certificate of an authority is by another one of the roots, and says what its own one says.
func byEachOnce(whose string, own *x509.Certificate, certificates []*x509.Certificate, roots []Root) error {
	by := map[int]bool{}
	for _, c := range certificates {
		n := slices.IndexFunc(roots, func(r Root) bool { return r.Certificate != nil && c.CheckSignatureFrom(r.Certificate) == nil })
		if n < 0 {
			return fmt.Errorf("the %s's certificate is not from the root, or another one that is here", whose)
		}
		if by[n] {
			return fmt.Errorf("the %s has two certificates of one root", whose)
		}
		by[n] = true
		if err := CheckCross(own, c); err != nil {
			return err
		}
	}
	return nil
}

// CheckCross refuses a further certificate of an authority by another root that is not for the same name and key, or that
// would let it do more, or longer: chains of either root mean the same.
func CheckCross(own, cross *x509.Certificate) error {
	switch {
	case !bytes.Equal(own.RawSubject, cross.RawSubject):
		return errors.New("cross-certificate: is for another name")
	case !bytes.Equal(own.RawSubjectPublicKeyInfo, cross.RawSubjectPublicKeyInfo):
		return errors.New("cross-certificate: is for another key")
	case cross.NotAfter.After(own.NotAfter):
		return errors.New("cross-certificate: lives longer than the authority's own certificate")
	}
	if name := profile.Wider(own, cross); name != "" {
		return fmt.Errorf("cross-certificate: its %s is not that of the authority's own certificate", name)
	}
	return nil
}
