package api

import (
	"context"
	"time"

	"trustcore/verify"
	"trustcore/verify/trustlist"
)

// judgeForReal judges with the product's own judge, trusting nobody.
func judgeForReal(ctx context.Context, r verify.Request) (*verify.Report, error) {
	lists, err := trustlist.Load(ctx, trustlist.Sources{})
	if err != nil {
		return nil, err
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		return nil, err
	}
	return v.Verify(ctx, r)
}
