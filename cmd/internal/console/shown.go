package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"trustcore/cmd/internal/registry"
)

// A decision is about what its page showed. The form brings a digest of that back, and where it is another one by now,
// nothing is decided: the officer looks again. What other rules refuse is left to them, for they say why.

// fieldShown is the field of a form with the digest.
const fieldShown = "shown"

// shown is a digest of what an order is about and does.
func (o order) shown() string {
	c := o.Consequence
	does := []any{o.Order, o.Lines, c.Unknown}
	for _, t := range c.Tunnels {
		does = append(does, [2]string{t.Partner, t.Site})
	}
	for _, k := range c.Keys {
		does = append(does, k.ID)
	}
	for _, x := range c.Certificates {
		does = append(does, x.Serial)
	}
	return digestOf(does)
}

// shown is a digest of what a motion is about and touches.
func (m motion) shown() string {
	does := []any{m.ID, m.Kind, m.Subject, m.Body, m.Key, m.Partners}
	for _, x := range m.Certificates {
		does = append(does, x.Serial)
	}
	return digestOf(does)
}

func digestOf(what []any) string {
	text, err := json.Marshal(what)
	if err != nil {
		return "" // which no form brings back
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// orderChanged reports whether an order that the officer may decide is not what was shown any more.
func (c *Console) orderChanged(ctx context.Context, id, shown string, v view) (bool, error) {
	p, err := c.orderPage(ctx, id, v)
	var no *registry.Refusal
	if errors.As(err, &no) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	decidable := p.Order.State == registry.Submitted && !p.Order.Own
	return decidable && (shown == "" || shown != p.Order.shown()), nil
}

// motionChanged reports that of a motion.
func (c *Console) motionChanged(ctx context.Context, id, shown string, v view) (bool, error) {
	m, err := c.waitingMotion(ctx, id, v)
	if errors.Is(err, errNotThere) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !m.Own && (shown == "" || shown != m.shown()), nil
}

// unseen leads back to the page of a decision that is about something else by now.
func (c *Console) unseen(w http.ResponseWriter, r *http.Request, v view, page string, changed bool, err error) bool {
	switch {
	case err != nil:
		c.fault(w, r, err)
	case changed:
		c.tell(w, r, v, notice{Message: "notice-changed", Refused: true, To: page})
	}
	return changed || err != nil
}
