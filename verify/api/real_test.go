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
	doc, err := verify.Open(data, detached...)
	if err != nil {
		return nil, err
	}
	lists, err := trustlist.Load(ctx, trustlist.Sources{})
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = time.Now()
	}
	return verify.Judge(ctx, doc, &verify.Evidence{Lists: lists}, verify.DefaultPolicy(), at)
}
