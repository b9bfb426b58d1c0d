package audit_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
)

// TestAppendAllStandsTogether: entries of one call stand one behind the other from the receipt's index on, whatever
// others append beside.
func TestAppendAllStandsTogether(t *testing.T) {
	l := audittest.Open(t)
	const callers, size = 8, 50
	firsts := make([]uint64, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			group := make([]audit.Entry, size)
			for i := range group {
				group[i] = entry(c*size + i)
			}
			receipt, err := l.AppendAll(t.Context(), group)
			if err != nil {
				t.Error(err)
			}
			firsts[c] = receipt.Index
			if _, err := l.Append(t.Context(), entry(callers*size+c)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	recorded, err := l.List(t.Context(), audit.Filter{})
	if err != nil || len(recorded) != callers*(size+1) {
		t.Fatal(len(recorded), err)
	}
	for c, first := range firsts {
		for i := range size {
			if got, want := recorded[first+uint64(i)].Subject, entry(c*size+i).Subject; got != want {
				t.Fatalf("entry %d of caller %d is about %s, not %s", i, c, got, want)
			}
		}
	}
}

func TestAppendAllRefuses(t *testing.T) {
	l := audittest.Open(t)
	wrong := entry(1)
	wrong.Action = ""
	large := entry(2)
	large.Reason = strings.Repeat("x", 20<<10)
	for name, group := range map[string][]audit.Entry{
		"none": nil, "too many": slices.Repeat([]audit.Entry{entry(1)}, audit.MaxGroup+1), "one that is wrong": {entry(1), wrong},
		"too large together": {large, large, large, large, large, large, large, large, large, large, large, large, large, large,
			large, large, large, large, large, large, large, large, large, large, large, large, large, large},
	} {
		if _, err := l.AppendAll(t.Context(), group); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	receipt, err := l.Append(t.Context(), entry(3))
	if err != nil || receipt.Index != 0 {
		t.Errorf("entries of refused groups stand in the log: %v, %v", receipt, err)
	}
}
