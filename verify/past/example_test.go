package past_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"trustcore/verify/past"
	"trustcore/verify/revocation"
)

// A certificate was revoked in March 2012 and expired in 2014. A time-stamp proves that the signature is of February 2012,
// so it can be relied on in 2018 still.
func ExampleSignature() {
	var fatal testing.TB = exampleFatal{}
	w := newWorld(fatal)
	now := on(2018, 6, 1)
	crls := []*revocation.CRL{
		list(fatal, w.root, on(2018, 5, 20), on(2018, 6, 20)),
		list(fatal, w.middle, on(2013, 6, 1), on(2013, 7, 1), mark{w.leaf, on(2012, 3, 1), revocation.KeyCompromise}),
	}
	value := sha256.Sum256([]byte("the signature's value"))
	decision := past.Signature(context.Background(), value, past.Current{SubIndication: past.RevokedNoPOE}, past.Request{
		Chain: w.chain(), Anchor: anchorOf(fatal, w.root), Time: now,
		Existence: past.NewExistence(now).With(on(2012, 2, 1), value),
		Evidence:  func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return nil, crls },
	})
	fmt.Println(decision.Indication)
	for _, step := range decision.Control.Steps {
		fmt.Printf("control-time %s: %s: %s\n", step.To.Format("2006-01-02"), step.Certificate.Subject.CommonName(), step.Why)
	}
	// Output:
	// PASSED
	// control-time 2012-03-01: leaf: the certificate is revoked since 2012-03-01T00:00:00Z
}

// exampleFatal lets an example mint: it has no testing.T of its own.
type exampleFatal struct{ testing.TB }

func (exampleFatal) Helper()           {}
func (exampleFatal) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
