package console_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
)

// waitingChange has a change order wait that ends an order with one key.
func waitingChange(t *testing.T) (d *desk, b *browser) {
	d = open(t)
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(t.Context(), two, "ZU-2026-001"))
	d.must(d.registry.Finish(t.Context(), "ZU-2026-001", registry.Active))
	d.keys = []console.Key{{ID: strings.Repeat("0f", 16), Label: "seal-key", Order: "ZU-2026-001", Partner: "um-przykladowo", State: "active"}}
	d.submit(one, "id: ZZ-1\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\n")
	return d, d.login(two)
}

func (d *desk) orderIs(id string, want registry.State) {
	d.Helper()
	if rec, err := d.registry.Order(d.Context(), id); err != nil || rec.State != want {
		d.Errorf("the order is %+v, %v", rec, err)
	}
}

// TestDecisionIsAboutWhatWasShown: an order is not approved once it does something else than its page showed, nor by who
// has seen no page of it.
func TestDecisionIsAboutWhatWasShown(t *testing.T) {
	d, b := waitingChange(t)
	shown := b.shown("order", "ZZ-1")
	d.keys = append(d.keys, console.Key{ID: strings.Repeat("0e", 16), Label: "another", Order: "ZU-2026-001", Partner: "um-przykladowo", State: "active"})
	for _, seen := range []string{"", "no digest", shown} {
		status, _, header := b.post("/orders/approve", "order", "ZZ-1", "shown", seen)
		if to := header.Get("Location"); status != http.StatusSeeOther || !strings.Contains(to, "confirm?act=order-approve&id=ZZ-1") {
			t.Errorf("%q leads to %d %s", seen, status, to)
		}
		d.wants(b.at("/confirm?act=order-approve&id=ZZ-1"), "has changed since its page was shown", "key another")
		d.orderIs("ZZ-1", registry.Submitted)
	}
	b.approve("order", "ZZ-1")
	d.orderIs("ZZ-1", registry.Approved)
}

func TestMotionIsAboutWhatWasShown(t *testing.T) {
	d := open(t)
	id := d.propose(registry.RevokeCertificates, "certificates of partner um-przykladowo")
	d.touched = []console.Certificate{{Serial: strings.Repeat("0a", 16), Subject: "ezd", Partner: "um-przykladowo", State: "valid"}}
	b := d.login(two)
	shown := b.shown("motion", id)
	d.touched = append(d.touched, console.Certificate{Serial: strings.Repeat("0b", 16), Subject: "peup", Partner: "um-przykladowo", State: "valid"})
	for _, seen := range []string{"", shown} {
		b.post("/motions/approve", "motion", id, "shown", seen)
		d.wants(b.page(), "has changed since its page was shown")
		d.motionIs(id, registry.Submitted)
	}
	b.approve("motion", id)
	d.motionIs(id, registry.CarriedOut)
}

// TestWhatEndsIsNotKnown: a page that could not read what an order brought does not say that nothing stops.
func TestWhatEndsIsNotKnown(t *testing.T) {
	d, b := waitingChange(t)
	d.keys, d.keysFail = nil, errors.New("the HSM is away")
	text := b.at("/confirm?act=order-approve&id=ZZ-1")
	d.wants(text, "more may end than stands here")
	d.lacks(text, "No tunnel, key or certificate stops working", "the HSM is away")
	b.approve("order", "ZZ-1") // it can be switched off all the same
	d.orderIs("ZZ-1", registry.Approved)
}
