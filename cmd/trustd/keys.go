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
	Version   int       `json:"version"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`

	// Where the key has versions by orders; see registry.KeyVersion.
	SignsOn  time.Time `json:"signs_on,omitzero"`
	Replaced time.Time `json:"replaced,omitzero"`
}

func keyOf(k hsm.KeyInfo) keyOfPartner {
	return keyOfPartner{k.ID, k.Partner, k.Order, k.Label, k.Version, string(k.Algorithm), string(k.State), k.Created, time.Time{}, time.Time{}}
}

func (d *daemon) listKeys(r *http.Request, _ audit.Actor) (any, error) {
	found, err := d.custody.HSM.Keys(r.Context(), hsm.Filter{Partner: r.URL.Query().Get("partner"), Order: r.URL.Query().Get("order")})
	if err != nil {
		return nil, err
	}
	versions, err := d.registry.AllVersions(r.Context())
	if err != nil {
		return nil, err
	}
	list := []keyOfPartner{}
	for _, k := range found {
		row := keyOf(k)
		row.SignsOn, row.Replaced = versions[k.ID].SignsOn, versions[k.ID].Replaced
		list = append(list, row)
	}
	return list, nil
}
