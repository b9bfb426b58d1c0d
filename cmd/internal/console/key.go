package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"trustcore/cmd/internal/registry"
)

// keyPage is all of a key.
type keyPage struct {
	frame
	Key           keyRow
	Authorisation *registry.HSMAuthorization // of the order that the key is of, or of the one in force in its line
	Order         string                     // that has it
	InForce       bool
	Until         time.Time // the authorisation lets the key be used
	Certificates  table[certificateRow]
	Today         string
}

func (c *Console) showKey(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	p, err := c.keyPage(ctx, r.URL.Query().Get("id"))
	if c.answered(w, r, v, err) {
		return
	}
	p.frame = c.framed(r, v, "keys", v.word("key-title", "Label", p.Key.Label))
	p.Today = v.speech.day()
	c.render(w, r, v, http.StatusOK, "key", p)
}

// keyPage reads a key with what it is used by. The error is errNotThere when there is none.
func (c *Console) keyPage(ctx context.Context, id string) (*keyPage, error) {
	found, err := c.cfg.Keys(ctx, Choice{ID: id})
	if err != nil {
		return nil, err
	}
	found = keep(found, func(k Key) bool { return k.ID == id })
	if id == "" || len(found) == 0 {
		return nil, errNotThere
	}
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	p := &keyPage{Key: keyRow{found[0], names[found[0].Partner]}}
	if p.Key.Order != "" {
		if err := c.authorise(ctx, p); err != nil {
			return nil, err
		}
	}
	certificates, err := c.cfg.Certificates(ctx, Choice{Partner: p.Key.Partner})
	if err != nil {
		return nil, err
	}
	certificates = keep(certificates, func(x Certificate) bool {
		return p.Key.PublicKey != "" && x.PublicKey == p.Key.PublicKey
	})
	p.Certificates = tableOf(certificateRows(certificates, names, c.cfg.Now()), false)
	return p, nil
}

// authorise finds the authorisation by which the key is used, or was.
func (c *Console) authorise(ctx context.Context, p *keyPage) error {
	rec, err := c.cfg.Registry.InForce(ctx, p.Key.Order)
	if err != nil {
		return err
	}
	if p.InForce = rec != nil && rec.HSMAuthorization != nil; !p.InForce {
		var no *registry.Refusal
		if rec, err = c.cfg.Registry.Order(ctx, p.Key.Order); errors.As(err, &no) {
			return nil // a key of an order that is not known: the page says whose it is
		} else if err != nil {
			return err
		}
	}
	p.Order, p.Authorisation = rec.ID, rec.HSMAuthorization
	return nil
}
