package api

import (
	"testing"

	"trustcore/verify"
)

// TestSubIndicationIsOneOfDSS: a stock client fails on a constant that it does not know.
func TestSubIndicationIsOneOfDSS(t *testing.T) {
	for in, want := range map[verify.SubIndication]string{verify.Generic: "UNEXPECTED_ERROR", verify.TryLater: "TRY_LATER"} {
		if got := subIndication(in); got == nil || *got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
	if got := subIndication(""); got != nil {
		t.Error(*got)
	}
}
