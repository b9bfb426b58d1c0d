package api

import (
	"errors"
	"testing"
)

// TestServicesOfACaller: who may not ask about a service is refused before its card is looked for.
func TestServicesOfACaller(t *testing.T) {
	no := errors.New("not yours")
	s := &Server{cfg: Config{Cards: cardsOf(t, officeCards), MayAsk: func(caller, service string) error {
		if caller == "ezd" {
			return nil
		}
		return no
	}}}
	for id := range s.cfg.Cards() {
		if card, err := s.cardOf("ezd", id); err != nil || card == nil {
			t.Errorf("%s: %v", id, err)
		}
		if card, err := s.cardOf("peup", id); !errors.Is(err, no) || card != nil {
			t.Errorf("another's %s: %v", id, err)
		}
	}
}
