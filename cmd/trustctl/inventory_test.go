package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is wrong with the token's keys is said, each of it, and is no agreement.
func TestInventoryIsShown(t *testing.T) {
	for what, i := range map[string]tokenInventory{
		"ab\t its CKA_EXTRACTABLE is not as it was made":     {Weak: []weakKey{{"ab", "CKA_EXTRACTABLE"}}},
		"ab\t several keys of the token have this ID":        {Doubles: []string{"ab"}},
		"(2 keys)\t another program made them in this token": {Foreign: 2},
		"ab\t nobody knows it":                               {Unknown: []string{"ab"}},
	} {
		var out bytes.Buffer
		if err := i.show(&out); err != nil {
			t.Fatal(err)
		}
		id, said, _ := strings.Cut(what, "\t ")
		if i.whole() || !strings.Contains(out.String(), "\n"+id) || !strings.Contains(out.String(), said) || strings.Contains(out.String(), "agree\n") {
			t.Errorf("want %q:\n%s", what, &out)
		}
	}
	if whole := new(tokenInventory); !whole.whole() {
		t.Error("nothing is wrong with it")
	}
}
