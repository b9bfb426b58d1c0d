package past_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"trustcore/verify/past"
)

func TestExistence(t *testing.T) {
	now := on(2026, 1, 1)
	a, b := past.Digest(sha256.Sum256([]byte("a"))), past.Digest(sha256.Sum256([]byte("b")))
	first := past.NewExistence(now)
	stamped := first.With(on(2020, 1, 1), a, b)
	again := stamped.With(on(2022, 1, 1), a).With(on(2018, 1, 1), b).With(on(2030, 1, 1), sha256.Sum256([]byte("c")))
	for _, test := range []struct {
		name string
		set  past.Existence
		of   past.Digest
		want time.Time
	}{
		{"at hand", first, a, now},
		{"stamped", stamped, a, on(2020, 1, 1)},
		{"a later proof adds nothing", again, a, on(2020, 1, 1)},
		{"an earlier one does", again, b, on(2018, 1, 1)},
		{"the set before is as it was", stamped, b, on(2020, 1, 1)},
		{"a proof from the future adds nothing", again, sha256.Sum256([]byte("c")), now},
		{"zero value", past.Existence{}, a, time.Time{}},
		{"zero value with a proof", past.Existence{}.With(on(2020, 1, 1), a), a, on(2020, 1, 1)},
	} {
		if got := test.set.Earliest(test.of); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if !stamped.By(a, on(2020, 1, 1)) || stamped.By(a, on(2020, 1, 1).Add(-1)) || (past.Existence{}).By(a, now) {
		t.Error("By is at or before, and nothing without a proof")
	}
}
