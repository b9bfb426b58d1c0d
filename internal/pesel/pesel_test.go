package pesel_test

import (
	"testing"

	"trustcore/internal/pesel"
)

func TestValid(t *testing.T) {
	for text, want := range map[string]bool{
		"44051401359": true, "02070803628": true, "31451701024": true, "62520303153": true,
		"44051401358": false, "00000000000": false, "44023000008": false, "4405140135": false, "440514013590": false, "": false,
		"4405140135a": false, "44 51401359": false, "４４０５１４": false, "44131400004": false, "44130101237": false,
	} {
		if pesel.Valid(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
	leap := 0
	for _, head := range []string{"000229", "010229", "002229", "004229", "808229"} { // 1900, 1901, 2000, 2100, 1880
		for _, tail := range []string{"0000", "0001", "0002"} {
			for digit := '0'; digit <= '9'; digit++ {
				if pesel.Valid(head + tail + string(digit)) {
					leap++
					break
				}
			}
		}
	}
	if leap != 6 { // 2000 and 1880 have that day
		t.Errorf("%d of numbers with 29 February are taken, want 6", leap)
	}
}
