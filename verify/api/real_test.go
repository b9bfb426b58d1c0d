package api

import (
	"context"
	"time"

	"trustcore/verify"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// judgeForReal judges with the product's own judge, trusting nobody.
func judgeForReal(ctx context.Context, data []byte, detached []signature.Detached, at time.Time) (*verify.Report, error) {
	lists, err := trustlist.Load(ctx, trustlist.Sources{})
	if err != nil {
		return nil, err
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		return nil, err
	}
	return v.Verify(ctx, verify.Request{Document: data, Detached: detached, At: at})
}
