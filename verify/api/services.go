package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"trustcore/verify/client"
	"trustcore/verify/poland"
)

// maxNamed is how many services a refusal names; the rest is what GET /v1/services is for.
const maxNamed = 20

// services answers GET /v1/services: the cards by their identifiers.
func (s *Server) services(context.Context, *call) (any, error) {
	cards := s.cfg.Cards()
	list := client.Services{Services: []client.Service{}}
	for _, id := range slices.Sorted(maps.Keys(cards)) {
		c := cards[id]
		list.Services = append(list.Services, client.Service{ID: c.ID, Name: c.Name, Accepts: c.Accepts, Days: c.Days})
	}
	return list, nil
}

// cardOf is the card of a service by its identifier, for a caller; "" is none.
func (s *Server) cardOf(caller, id string) (*poland.Card, error) {
	if id == "" {
		return nil, nil
	}
	if s.cfg.MayAsk != nil {
		if err := s.cfg.MayAsk(caller, id); err != nil {
			return nil, err
		}
	}
	cards := s.cfg.Cards()
	if card := cards[id]; card != nil {
		return card, nil
	}
	if len(cards) == 0 {
		return nil, refuse(http.StatusBadRequest, "service",
			"there are no service cards here: leave the service out, or have them configured")
	}
	names := slices.Sorted(maps.Keys(cards))
	if len(names) > maxNamed {
		return nil, refuse(http.StatusBadRequest, "service",
			"%.100q is none of the %d services here, such as %s: GET /v1/services lists them", id, len(names), strings.Join(names[:maxNamed], ", "))
	}
	return nil, refuse(http.StatusBadRequest, "service",
		"%.100q is no service here: name one of %s", id, strings.Join(names, ", "))
}
