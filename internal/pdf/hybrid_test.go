package pdf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// twoPlaces is a file whose page's content a table and a stream that only XRefStm names have at two places; row is the
// table's line for it, in which %010d is the place of the table's.
func twoPlaces(t *testing.T, row string, same bool) []byte {
	t.Helper()
	out := []byte("%PDF-1.7\n")
	at := map[int]int{}
	object := func(number int, body string) {
		at[number] = len(out)
		out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", number, body)
	}
	content := func(text string) string { return fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(text), text) }
	object(1, "<</Type /Catalog /Pages 2 0 R>>")
	object(2, "<</Type /Pages /Kids [3 0 R] /Count 1>>")
	object(3, "<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R>>")
	object(4, content("(10) Tj"))
	table := at[4]
	if !same {
		object(4, content("(9999) Tj"))
	}
	stream := len(out)
	rows := []byte{1, byte(at[4] >> 8), byte(at[4]), 0}
	object(5, fmt.Sprintf("<</Type /XRef /W [1 2 1] /Index [4 1] /Size 6 /Root 1 0 R /Length %d>>\nstream\n%s\nendstream", len(rows), rows))
	start := len(out)
	out = append(out, "xref\n0 4\n0000000000 65535 f \n"...)
	for number := 1; number < 4; number++ {
		out = fmt.Appendf(out, "%010d 00000 n \n", at[number])
	}
	if row != "" {
		out = fmt.Appendf(out, "4 1\n%s", strings.Replace(row, "%010d", fmt.Sprintf("%010d", table), 1))
	}
	return fmt.Appendf(out, "trailer\n<</Size 6 /Root 1 0 R /XRefStm %d>>\nstartxref\n%d\n%%%%EOF\n", stream, start)
}

// TestTwoPlacesInAHybridFile: what one program shows and another does not is told, though nothing came after it.
func TestTwoPlacesInAHybridFile(t *testing.T) {
	const note = "object 4 lies at two places in a hybrid file: programs show one or the other"
	for name, c := range map[string]struct {
		row  string
		same bool
		told bool
	}{
		"two places":           {"%010d 00000 n \n", false, true},
		"the same place":       {"%010d 00000 n \n", true, false},
		"hidden from the rest": {"0000000000 00000 f \n", false, false},
		"in the stream alone":  {"", false, false},
	} {
		d := mustOpen(t, twoPlaces(t, c.row, c.same))
		if slices.Contains(d.Problems(), note) != c.told {
			t.Errorf("%s: problems %q; want the two places told: %t", name, d.Problems(), c.told)
		}
	}
	// an update whose stream moves the object, and whose table says nothing
	base := twoPlaces(t, "%010d 00000 n \n", true)
	later := bytes.Clone(base)
	stream := len(later) + len("4 0 obj\n<</Length 9>>\nstream\n(9999) Tj\nendstream\nendobj\n")
	moved := []byte{1, byte(len(base) >> 8), byte(len(base)), 0}
	later = append(later, "4 0 obj\n<</Length 9>>\nstream\n(9999) Tj\nendstream\nendobj\n"...)
	later = fmt.Appendf(later, "6 0 obj\n<</Type /XRef /W [1 2 1] /Index [4 1] /Size 7 /Root 1 0 R /Length 4>>\nstream\n%s\nendstream\nendobj\n", moved)
	start := len(later)
	later = fmt.Appendf(later, "xref\n0 0\ntrailer\n<</Size 7 /Root 1 0 R /Prev %d /XRefStm %d>>\nstartxref\n%d\n%%%%EOF\n",
		bytes.Index(base, []byte("xref\n0 4")), stream, start)
	if d := mustOpen(t, later); !slices.Contains(d.Problems(), note) {
		t.Errorf("in an update: problems %q", d.Problems())
	}
}
