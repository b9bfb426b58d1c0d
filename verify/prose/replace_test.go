package prose

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestReplace: every text is reached, wherever it lies; identifiers, numbers, octets and texts of a type of their own
// stay.
func TestReplace(t *testing.T) {
	type own string
	type inner struct {
		Name string
		ID   string `text:"-"`
	}
	type outer struct {
		Text    string
		Own     own
		Ref     string
		Pointer *inner
		None    *inner
		List    []string
		Many    []inner
		Octets  []byte
		Any     map[string]any
		Time    time.Time
	}
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	v := outer{"a", "own", "ref", &inner{"b", "id"}, nil, []string{"c", "ref"}, []inner{{"d", "id"}}, []byte("e"),
		map[string]any{"f": "f", "g": []any{"g", 1, nil}, "h": map[string]any{"h": []string{"h"}}, "i": inner{"i", "id"}}, at}
	Replace(&v, map[string]bool{"ref": true}, strings.ToUpper)
	want := outer{"A", "own", "ref", &inner{"B", "id"}, nil, []string{"C", "ref"}, []inner{{"D", "id"}}, []byte("e"),
		map[string]any{"f": "F", "g": []any{"G", 1, nil}, "h": map[string]any{"h": []string{"H"}}, "i": inner{"I", "id"}}, at}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("%+v", v)
	}
}
