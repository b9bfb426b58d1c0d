package pdf

import (
	"testing"

	"trustcore/internal/budget"
)

// TestShared: what one view of the file found serves another only where that one would find the same.
func TestShared(t *testing.T) {
	const before, object = "%PDF-1.7\n", "4 0 obj<</A(x)>>"
	file := []byte(before + object + "stream\nabc\nendstream endobj")
	at := entry{kind: entryOffset, offset: int64(len(before))}
	for end := len(before) + len(object); end <= len(file); end++ {
		for _, order := range [][2]int{{end, len(file)}, {len(file), end}} {
			m := newMeter(budget.New(t.Context(), len(file)))
			for _, n := range order {
				view := func(m *meter) *Document {
					return &Document{data: file[:n], meter: m, repeated: map[int]bool{}, rebuilt: map[int]entry{}}
				}
				d := view(m)
				shared, alone := d.load(4, at), view(newMeter(budget.New(t.Context(), n))).load(4, at)
				d.share(at, shared)
				s, isStream := shared.Object.(*Stream)
				a, wantStream := alone.Object.(*Stream)
				if isStream != wantStream || isStream && s.start != a.start {
					t.Errorf("%v: the view of %d octets finds %v, alone %v", order, n, shared, alone)
				}
			}
		}
	}
}
