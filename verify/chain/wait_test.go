package chain

import (
	"testing"
	"time"

	"trustcore/verify/judge"
)

// TestWait: the time is that of the certificate of the chain that needs longest, and only where waiting may help.
func TestWait(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later := map[[32]byte]time.Time{{1}: at, {2}: at.Add(time.Hour), {3}: at.Add(2 * time.Hour)}
	chain := []Link{{SHA256: "01" + zeros}, {SHA256: "02" + zeros}, {SHA256: ""}}
	for sub, waits := range map[judge.SubIndication]bool{
		judge.TryLater: true, judge.NoCertificateChainFound: true, judge.RevokedNoPOE: false, judge.ChainGeneralFailure: false, "": false,
	} {
		text := string(sub)
		r := Report{SubIndication: &text, Chain: chain}
		if r.Wait(later); (r.TryAgain != nil) != waits || waits && !r.TryAgain.Equal(at.Add(time.Hour)) {
			t.Errorf("%s: %v", sub, r.TryAgain)
		}
	}
	r := Report{Chain: chain}
	if r.Wait(later); r.TryAgain != nil {
		t.Errorf("passed: %v", r.TryAgain)
	}
}

const zeros = "00000000000000000000000000000000000000000000000000000000000000"
