package api

import (
	"context"
	"net/http"
	"reflect"

	"trustcore/verify/exchange"
	"trustcore/verify/poland"
)

// Evidence answers what a verifier asks that runs elsewhere, such as in a browser (exchange.Source.Answer). card is that of the
// service that the question names, nil where it names none.
type Evidence func(ctx context.Context, q *exchange.Question, card *poland.Card) (*exchange.Answer, error)

var docEvidence = documentation{
	id: "evidence", tag: tagDocuments,
	summary: "Evidence and lists by which a document is judged that does not come here: of its certificates, for a verifier that runs in a browser.",
	bodies:  map[string]reflect.Type{"application/json": reflect.TypeFor[exchange.Question]()},
	answer:  reflect.TypeFor[exchange.Answer](),
}

// evidenceRoutes are those for verifiers elsewhere, none where nobody answers them.
func (s *Server) evidenceRoutes() []route {
	if s.cfg.Evidence == nil {
		return nil
	}
	return []route{{http.MethodPost, "/v1/evidence", exchange.MaxQuestion, workCertificate, nil, s.evidence, nil, docEvidence}}
}

func (s *Server) evidence(ctx context.Context, c *call) (any, error) {
	q := new(exchange.Question)
	if err := decode(c.body, q); err != nil {
		return nil, err
	}
	card, err := s.cardOf(c.caller, q.Service)
	if err != nil {
		return nil, err
	}
	answer, err := s.cfg.Evidence(ctx, q, card)
	if exchange.ErrQuestion(err) {
		return nil, refuse(http.StatusBadRequest, "", "%v", err)
	}
	return answer, err
}
