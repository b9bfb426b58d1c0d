package console

import (
	"net/http"
	"time"
)

// Choice narrows what a part is asked for; empty fields do not.
type Choice struct{ Partner, ID string } // ID: of a key, or the serial number of a certificate

// Key is one key of the HSM.
type Key struct {
	ID, Partner, Order, Label, Algorithm string // Partner is "" for the data centre's own
	State                                string // "pending", "active", "suspended" or "destroyed"
	NeverExtractable                     bool   // as the token itself says
	Created                              time.Time

	Mechanisms []string  // that the token's key does
	PublicKey  string    // SHA-256 of the SubjectPublicKeyInfo, hex; "" while it is pending
	SignsOn    time.Time // from when on this version signs; zero for at once
	Replaced   time.Time // from when on another version signs in its place; zero while none does
}

// keyRow is a key with the name of its office.
type keyRow struct {
	Key
	PartnerName string
}

// Suspendable and Suspended say what may be asked of a key. The data centre's own are nobody's here.
func (k keyRow) Suspendable() bool { return k.Partner != "" && k.State == "active" }
func (k keyRow) Suspended() bool   { return k.Partner != "" && k.State == "suspended" }

func keyRows(keys []Key, names map[string]string) []keyRow {
	rows := make([]keyRow, len(keys))
	for i, k := range keys {
		rows[i] = keyRow{k, names[k.Partner]}
	}
	return rows
}

type keysPage struct {
	frame
	Keys list[keyRow]
}

// showKeys lists the keys of the HSM.
func (c *Console) showKeys(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	names, err := c.names(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	world := c.read(ctx, "", partKeys)
	found := listOf(r, "keys", keyRows(world.keys, names), world.failed[partKeys], func(k keyRow) []string {
		return []string{k.ID, k.Label, k.Partner, k.PartnerName, k.Order, k.Algorithm, v.speech.term("key", k.State)}
	})
	c.render(w, r, v, http.StatusOK, "keys", &keysPage{c.framed(r, v, "keys", v.word("keys")), found})
}
