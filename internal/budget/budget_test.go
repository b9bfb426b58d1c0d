package budget_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"trustcore/internal/budget"
)

func TestWorkEndsAndStays(t *testing.T) {
	b := budget.Of(t.Context(), 100, 100)
	if err := b.Work(100); err != nil {
		t.Fatal("what the budget has can't be spent:", err)
	}
	err := b.Work(1)
	if !errors.Is(err, budget.ErrExceeded) || !strings.Contains(err.Error(), "work") {
		t.Fatal("one unit more:", err)
	}
	for name, again := range map[string]error{"work": b.Work(0), "hold": b.Hold(0), "err": b.Err()} {
		if again == nil || again.Error() != err.Error() {
			t.Errorf("%s after the end: %v", name, again)
		}
	}
}

func TestHoldCountsWhatIsReleased(t *testing.T) {
	b := budget.Of(t.Context(), 100, 100)
	for range 10 {
		if err := b.Hold(100); err != nil {
			t.Fatal(err)
		}
		b.Release(100)
	}
	if err := b.Hold(101); !errors.Is(err, budget.ErrExceeded) || !strings.Contains(err.Error(), "memory") {
		t.Fatal(err)
	}
}

func TestContextEndsWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := budget.Of(ctx, 1<<40, 0)
	if err := b.Work(1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := b.Work(10_000_000); !errors.Is(err, context.Canceled) {
		t.Fatal("nobody waits, and the work goes on:", err)
	}
	if err := b.Err(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestSizeBuysWork: what is larger may take longer, and an input up to 1 MiB always the same.
func TestSizeBuysWork(t *testing.T) {
	small, same, large := budget.New(t.Context(), 0), budget.New(t.Context(), 1<<20), budget.New(t.Context(), 101<<20)
	if small.Left() != same.Left() {
		t.Error(small.Left(), same.Left())
	}
	if got := large.Left() - same.Left(); got != 20*100<<20 {
		t.Error(got)
	}
}

// TestWriteSpendsByPiece: what is written was paid for, and what was written is let go of.
func TestWriteSpendsByPiece(t *testing.T) {
	data := bytes.Repeat([]byte("dane"), 1<<20)
	b := budget.Of(t.Context(), int64(budget.Octet*len(data)), 0)
	var out bytes.Buffer
	left := 0
	b.LetGo(func(p []byte) { left += len(p) })
	if err := b.Write(&out, data); err != nil || !bytes.Equal(out.Bytes(), data) || left != len(data) {
		t.Fatal(err, out.Len(), left)
	}
	if b.Left() != 0 {
		t.Error("unspent:", b.Left())
	}
	small := budget.Of(t.Context(), int64(budget.Octet*len(data)/2), 0)
	out.Reset()
	if err := small.Write(&out, data); !errors.Is(err, budget.ErrExceeded) || out.Len() > len(data)/2 {
		t.Error("written beyond the budget:", err, out.Len())
	}
}
