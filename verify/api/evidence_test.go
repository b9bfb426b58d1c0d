package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"trustcore/verify/exchange"
	"trustcore/verify/poland"
)

// TestEvidence: a question reaches who answers it with the card of its service, and what is no question does not.
func TestEvidence(t *testing.T) {
	var asked *exchange.Question
	var card *poland.Card
	s := newService(t, func(c *Config) {
		c.Cards = cardsOf(t, officeCards)
		c.Evidence = func(_ context.Context, q *exchange.Question, of *poland.Card) (*exchange.Answer, error) {
			if _, err := q.Document(); err != nil {
				return nil, err
			}
			asked, card = q, of
			return &exchange.Answer{Policy: exchange.Piece{SHA256: "ab"}}, nil
		}
	})
	const path, question = "/v1/evidence", `{"octets":["MAA="],"signatures":[{"signer":0}],"timestamps":[],"records":[]%s}`
	status, answer, _ := s.post(path, "application/json", strings.NewReader(fmt.Sprintf(question, `,"service":"skargi"`)))
	if status != http.StatusOK || asked == nil || len(asked.Octets) != 1 || card == nil || card.ID != "skargi" || fmt.Sprint(answer["policy"]) != "map[sha256:ab]" {
		t.Errorf("%d %v, asked %v for %v", status, answer, asked, card)
	}
	s.wantProblem(path, "application/json", fmt.Sprintf(question, `,"service":"inne"`), 400, "service")
	s.wantProblem(path, "application/json", fmt.Sprintf(question, `,"document":"PGE+"`), 400, "document")
	s.wantProblem(path, "application/json", `{"signatures":[{"signer":7}]}`, 400, "")
	s.wantProblem(path, "application/json", `{"octets":["`+strings.Repeat("A", exchange.MaxQuestion)+`"]}`, 413, "")
	if status, _, _ := newService(t, nil).post(path, "application/json", strings.NewReader("{}")); status != http.StatusNotFound {
		t.Errorf("where nobody answers: %d", status)
	}
}
