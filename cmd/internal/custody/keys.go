package custody

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"trustcore/hsm"
	"trustcore/internal/audit"
)

// authority acts when keys of the authority's own are made and destroyed.
var authority = audit.Actor{Kind: "daemon", ID: "pki"}

// newKey makes a key of the data centre's own, or finds the one that an earlier try with this label made.
func (c *Custody) newKey(ctx context.Context, label, algorithm string) (string, crypto.Signer, error) {
	keys, err := c.HSM.Keys(ctx, hsm.Filter{})
	if err != nil {
		return "", nil, err
	}
	for _, k := range keys {
		if k.Partner == "" && k.Order == "" && k.Label == label && k.Algorithm == hsm.Algorithm(algorithm) && k.State == hsm.Active {
			key, err := c.openKey(ctx, k.ID)
			return k.ID, key, err
		}
	}
	made, err := c.HSM.Generate(ctx, authority, hsm.KeySpec{Label: label, Algorithm: hsm.Algorithm(algorithm)})
	if err != nil {
		return "", nil, err
	}
	key, err := c.openKey(ctx, made.ID)
	return made.ID, key, err
}

func (c *Custody) openKey(ctx context.Context, id string) (crypto.Signer, error) {
	key, err := c.HSM.Signer(ctx, id)
	if err != nil {
		return nil, err // not key: a nil *hsm.Key is no nil crypto.Signer
	}
	return key, nil
}

// retireKey destroys a key that has a successor; one that is gone already is fine.
func (c *Custody) retireKey(ctx context.Context, id string) error {
	if err := c.HSM.Destroy(ctx, authority, id); err != nil && !errors.Is(err, hsm.ErrUnknownKey) {
		return err
	}
	return nil
}

// recorded is the time of the newest audit entry, zero when there is none.
func (c *Custody) recorded(context.Context) (time.Time, error) { return c.Audit.Newest(), nil }

// CanIssue says why the issuing authority of a name can't sign now, by the token's last use.
func (c *Custody) CanIssue(name string) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	if keys[name] == "" {
		return fmt.Errorf("no authority %q issues here", name)
	}
	return c.HSM.Has(keys[name])
}
