package console

import (
	"net/http"

	"trustcore/cmd/internal/registry"
)

// partnerRow is one partner with what is on.
type partnerRow struct {
	registry.Partner
	Components []registry.Component
}

type partnersPage struct {
	frame
	Partners list[partnerRow]
}

// showPartners lists the partners. The search looks at names, ids, agreements and units too.
func (c *Console) showPartners(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	world := new(world)
	if err := world.learn(ctx, c.cfg.Registry, ""); err != nil {
		c.fault(w, r, err)
		return
	}
	rows := make([]partnerRow, len(world.partners))
	for i, p := range world.partners {
		rows[i] = partnerRow{p, world.componentsOf(p.ID)}
	}
	found := listOf(r, "partners", rows, false, func(p partnerRow) []string {
		words := []string{p.ID, p.Name, p.Agreement.Number}
		for _, u := range p.Units {
			words = append(words, u.ID, u.Name)
		}
		return words
	})
	c.render(w, r, v, http.StatusOK, "partners", &partnersPage{c.framed(r, v, "partners", v.word("partners")), found})
}
