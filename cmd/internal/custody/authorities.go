package custody

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"trustcore/pki"
	"trustcore/pki/ceremony"
)

// roots are those that the ceremonies left: one whose key is not in this token is offline.
func (c *Custody) roots(ctx context.Context, keys map[string]string) (all []pki.Root, err error) {
	for n := 1; ; n++ {
		r := pki.Root{Name: numbered("root", n)}
		r.Certificate, err = ReadCertificate(c.pki(r.Name + ".pem"))
		if errors.Is(err, fs.ErrNotExist) && n > 1 {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if r.List, err = os.ReadFile(c.pki(r.Name + ".crl")); err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		if r.Crosses, err = c.crosses(r.Name); err != nil {
			return nil, err
		}
		if id := keys[r.Name]; id != "" {
			if r.Key, err = c.openKey(ctx, id); err != nil {
				return nil, fmt.Errorf("root key: %w", err)
			}
		}
		all = append(all, r)
	}
}

// issuers are the issuing authorities, the first one first.
func (c *Custody) issuers(ctx context.Context, keys map[string]string) (all []pki.Issuer, err error) {
	for n := 1; n <= authorities(keys); n++ {
		i := pki.Issuer{Name: numbered("issuing", n)}
		if i.Certificate, err = ReadCertificate(c.pki(i.Name + ".pem")); err != nil {
			return nil, err
		}
		if i.Key, err = c.openKey(ctx, keys[i.Name]); err != nil {
			return nil, fmt.Errorf("key of the authority %s: %w", i.Name, err)
		}
		if i.OCSP, err = c.delegate(numbered("ocsp", n)+".pem", keys[numbered("ocsp", n)]); err != nil {
			return nil, err
		}
		if i.Crosses, err = c.crosses(i.Name); err != nil {
			return nil, err
		}
		meant, err := c.meant(i.Name)
		if err != nil {
			return nil, err
		}
		i.Purposes, i.Planned = meant.Purposes, meant.Planned
		all = append(all, i)
	}
	return all, nil
}

// crossFile holds the certificate of an authority by a further root.
func crossFile(authority, root string) string { return authority + "-by-" + root + ".pem" }

// crosses are the certificates of an issuing authority or a root by further roots.
func (c *Custody) crosses(name string) (all []*x509.Certificate, err error) {
	for n := 1; ; n++ {
		root := numbered("root", n)
		if _, err := os.Stat(c.pki(root + ".pem")); errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		cross, err := ReadCertificate(c.pki(crossFile(name, root)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, cross)
	}
}

// meant is what the ceremony of an issuing authority decided beyond its certificate. The database takes it over at the first start, and
// files that say another later are refused.
type meant struct {
	Purposes []pki.Purpose `json:"purposes,omitempty"` // all when there are none
	Planned  bool          `json:"planned,omitempty"`  // it waits for officers to activate it
}

// meantBy is what a plan decides, as it is kept.
func meantBy(plan *ceremony.Plan) ([]byte, error) {
	text, err := json.Marshal(meant{Purposes: plan.For(), Planned: plan.Begins == ceremony.BeginsPlanned})
	if err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	return text, nil
}

func (c *Custody) meant(name string) (m meant, err error) {
	text, err := os.ReadFile(c.pki(name + ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil // it was made for all purposes, and issues from its first start
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("authority %s: %w", name, err)
	}
	return m, nil
}
