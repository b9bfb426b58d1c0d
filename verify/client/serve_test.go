package client_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"time"

	"trustcore/internal/problem"
	"trustcore/verify"
	"trustcore/verify/api"
	"trustcore/verify/chain"
	"trustcore/verify/path"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
)

// verifyd is the interface as verifyd has it, with the root of the identity cards as the one anchor and a service card.
func verifyd(change func(*api.Config)) (*httptest.Server, error) {
	lists, err := trustlist.Load(context.Background(), trustlist.Sources{National: poland.Shipped().Anchors()})
	if err != nil {
		return nil, err
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		return nil, err
	}
	cards, err := poland.ParseCards([]byte("version: 1\ncards:\n- {id: podatki, name: {pl: Podatki i opłaty, en: Taxes}, accepts: [qualified, trusted], days: 14}\n"))
	if err != nil {
		return nil, err
	}
	cfg := api.Config{Judge: v.Verify, Certificate: judge(lists.Anchors()), Cards: func() poland.Cards { return cards },
		Logger: slog.New(slog.DiscardHandler), SpoolDir: os.TempDir(), MaxDocument: 1 << 20}
	if change != nil {
		change(&cfg)
	}
	server, err := api.New(cfg)
	if err != nil {
		return nil, err
	}
	door := problem.Door{Name: "api", Logger: cfg.Logger, Body: api.Bodies(cfg.MaxDocument), Speak: api.Speak}
	return httptest.NewServer(door.Guard(server)), nil
}

func judge(anchors *path.Anchors) api.JudgeCertificate {
	return func(ctx context.Context, q api.CertificateQuestion) (*chain.Report, error) {
		at := q.At
		if at.IsZero() {
			at = time.Now()
		}
		return chain.Judge(ctx, chain.Question{Target: q.Target, Further: q.Further, Anchors: anchors, Time: at, Mode: q.Mode,
			Purposes: q.Purposes, Policies: q.Policies, Policy: verify.DefaultPolicy()})
	}
}
