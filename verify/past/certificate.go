package past

import (
	"context"
	"time"

	"trustcore/verify/path"
)

// Certificate is past certificate validation (EN 319 102-1 5.6.2.1) of a chain at hand: the path must be valid, without
// revocation and the strength of algorithms, at a time within the validity of all its certificates; then the time is slid.
// The context bounds the effort of path.Validate.
func Certificate(ctx context.Context, r Request) (Control, Reason) {
	if why := r.path(ctx); why.Code != OK {
		return Control{}, why
	}
	return Slide(r)
}

// path runs path.Validate over the chain alone. In the chain model there may be no common time; there each certificate
// must have been valid when it issued the next.
func (r *Request) path(ctx context.Context) Reason {
	if missing := r.missing(); missing != "" {
		return reason(PathInvalid, nil, 0, r.Time, missing)
	}
	anchors, err := path.NewAnchors(*r.Anchor)
	if err != nil {
		return reason(PathInvalid, nil, len(r.Chain), time.Time{}, err.Error())
	}
	p := r.Path
	p.Target, p.Pool, p.Anchors, p.Time = r.Chain[0], path.NewPool(r.Chain[1:]...), anchors, r.common()
	p.Algorithm, p.Revocation = nil, nil
	p.DirectTrust = p.DirectTrust || isAnchor(r.Anchor, r.Chain[0])
	for _, why := range path.Validate(ctx, p).Reasons {
		if r.Model == Chain && why.Code == path.Expired && r.issuedInTime(why.Position) {
			continue
		}
		out := reason(PathInvalid, why.Certificate, why.Position, p.Time, why.Code.String()+": "+why.Detail)
		if code, ok := timely[why.Code]; ok {
			out = reason(code, why.Certificate, why.Position, p.Time, why.Detail)
		}
		out.SubIndication = why.SubIndication()
		return out
	}
	return Reason{}
}

// timely are the reasons of a path that are about time.
var timely = map[path.Code]Code{path.Expired: Expired, path.NotYetValid: NotYetValid, path.AnchorOutOfTime: AnchorOutOfTime}

// common returns the first time at which all certificates and the anchor may have been valid.
func (r *Request) common() time.Time {
	start := opening(r.Anchor)
	for _, c := range r.Chain {
		if !isAnchor(r.Anchor, c) && c.NotBefore.After(start) {
			start = c.NotBefore
		}
	}
	return start
}

// issuedInTime is the rule of the chain model for a CA of the chain.
func (r *Request) issuedInTime(i int) bool {
	if i == 0 || i >= len(r.Chain) {
		return false
	}
	c, issued := r.Chain[i], r.Chain[i-1].NotBefore
	return !issued.Before(c.NotBefore) && !issued.After(c.NotAfter)
}
