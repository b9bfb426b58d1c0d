package main

import (
	"net/http"
	"time"

	"trustcore/hsm"
	"trustcore/internal/audit"
)

// keyOfPartner is a row of the HSM's inventory as officers see it.
type keyOfPartner struct {
	ID        string    `json:"id"`
	Partner   string    `json:"partner,omitempty"`
	Order     string    `json:"order,omitempty"`
	Label     string    `json:"label"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
}

func keyOf(k hsm.KeyInfo) keyOfPartner {
	return keyOfPartner{k.ID, k.Partner, k.Order, k.Label, string(k.Algorithm), string(k.State), k.Created}
}

func (d *daemon) listKeys(r *http.Request, _ audit.Actor) (any, error) {
	found, err := d.custody.HSM.Keys(r.Context(), hsm.Filter{Partner: r.URL.Query().Get("partner"), Order: r.URL.Query().Get("order")})
	if err != nil {
		return nil, err
	}
	list := []keyOfPartner{}
	for _, k := range found {
		list = append(list, keyOf(k))
	}
	return list, nil
}
