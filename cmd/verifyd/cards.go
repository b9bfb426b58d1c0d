package main

import (
	"fmt"
	"log/slog"

	"trustcore/internal/durable"
	"trustcore/verify/poland"
)

// cards are the service cards.
type cards struct {
	reloaded[poland.Cards]
}

// newCards reads a file of service cards; "" has none.
func newCards(file string, log *slog.Logger) (*cards, error) {
	c := &cards{reloaded[poland.Cards]{what: "the service cards", remedy: "put the file of service_cards right",
		paths: []string{file},
		read:  func() (poland.Cards, error) { return readCards(file) }, log: log}}
	return c, c.start()
}

func readCards(file string) (poland.Cards, error) {
	if file == "" {
		return nil, nil
	}
	data, err := durable.ReadFile(file, poland.MaxCards)
	if err != nil {
		return nil, fmt.Errorf("service_cards: %w", err)
	}
	list, err := poland.ParseCards(data)
	if err != nil {
		return nil, fmt.Errorf("service_cards: %s: %w", file, err)
	}
	return list, nil
}

// all are the cards by the identifiers of their services.
func (c *cards) all() poland.Cards { return *c.current.Load() }
