package quota_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"trustcore/hsm/quota"
	"trustcore/internal/store"
	"trustcore/internal/store/storetest"
)

func open(t *testing.T, url string) *quota.Meter {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	m, err := quota.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func both(t *testing.T, do func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { do(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { do(t, storetest.Postgres(t)) })
}

// used takes one use after the other until the totals are spent.
func used(t *testing.T, m *quota.Meter, totals ...quota.Total) (n int) {
	t.Helper()
	for {
		err := m.Take(t.Context(), totals, 1)
		var spent *quota.Spent
		if errors.As(err, &spent) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

// Two nodes that take at the same time give no use twice, and all of them in the end but for what one holds.
func TestTwoNodesGiveNoUseTwice(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		nodes := []*quota.Meter{open(t, url), open(t, url)}
		total := []quota.Total{{Name: "key/1", Limit: 1000}}
		var taken atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for nodes[i%2].Take(t.Context(), total, 3) == nil {
					taken.Add(3)
				}
			})
		}
		all.Wait()
		if n := taken.Load(); n > 1000 || n < 1000-2*(15+3) {
			t.Errorf("%d uses of 1,000", n)
		}
	})
}

// A crash loses the rest of a block, and gives none of it again; an end in order gives it back.
func TestCrashLosesTheRestOfABlock(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		total := quota.Total{Name: "key/1", Limit: 640} // in blocks of 10
		for range 3 {
			if err := open(t, url).Take(t.Context(), []quota.Total{total}, 1); err != nil { // and it dies
				t.Fatal(err)
			}
		}
		orderly := open(t, url)
		if err := errors.Join(orderly.Take(t.Context(), []quota.Total{total}, 1), orderly.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		if err := orderly.Take(t.Context(), []quota.Total{total}, 1); err == nil {
			t.Error("a closed meter gives")
		}
		if n := used(t, open(t, url), total); n != 640-3*10-1 {
			t.Errorf("%d uses are left, want %d", n, 640-3*10-1)
		}
	})
}

// A period has its own count; another clock's yesterday is not given anew.
func TestPeriods(t *testing.T) {
	url := storetest.SQLite(t)
	m := open(t, url)
	day := func(d int) quota.Total {
		return quota.Total{Name: "order/1", Period: fmt.Sprintf("2026-03-%02d", d), Limit: 5}
	}
	for d := 1; d <= 20; d++ {
		if n := used(t, m, day(d)); n != 5 {
			t.Errorf("day %d: %d uses", d, n)
		}
	}
	if n := used(t, open(t, url), day(19)); n != 0 {
		t.Errorf("%d uses of yesterday anew", n)
	}
}

// All totals count a use, or none does.
func TestAllOrNone(t *testing.T) {
	m := open(t, storetest.SQLite(t))
	wide, narrow := quota.Total{Name: "wide", Limit: 10}, quota.Total{Name: "narrow", Limit: 4}
	if n := used(t, m, wide, narrow); n != 4 {
		t.Errorf("%d uses of the narrow one", n)
	}
	var spent *quota.Spent
	if err := m.Take(t.Context(), []quota.Total{wide, narrow}, 1); !errors.As(err, &spent) || spent.Total != narrow {
		t.Errorf("%v", err)
	}
	m.Give([]quota.Total{wide, narrow}, 1)
	if err := m.Take(t.Context(), []quota.Total{wide, narrow}, 1); err != nil {
		t.Errorf("a use that did not happen: %v", err)
	}
	if n := used(t, m, wide); n != 6 {
		t.Errorf("%d uses of the wide one are left, want 6", n)
	}
	if err := m.Take(t.Context(), []quota.Total{wide}, 11); !errors.As(err, &spent) {
		t.Errorf("more than there ever were: %v", err)
	}
}

// A caller that has gone does not wait for the database.
func TestTakeEndsWithItsCaller(t *testing.T) {
	m := open(t, storetest.SQLite(t))
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := m.Take(gone, []quota.Total{{Name: "key/1", Limit: 10}}, 1); err == nil {
		t.Error("it is given to nobody")
	}
}
