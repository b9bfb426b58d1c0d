package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sameJSON holds Report.JSON against json.Marshal.
func sameJSON(t *testing.T, r *Report) {
	t.Helper()
	want, wrong := json.Marshal(r)
	got, err := r.JSON()
	if (err == nil) != (wrong == nil) {
		t.Fatalf("%v, json.Marshal says %v", err, wrong)
	}
	if want = append(want, '\n'); err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%s\njson.Marshal:\n%s", got, want)
	}
}

// fill gives each field of a value something, also those that a later version adds.
func fill(v reflect.Value, depth int) {
	if !v.CanSet() || depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("ąę <%d> \u2028", depth))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(depth + 1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, language := range Languages {
			item := reflect.New(v.Type().Elem()).Elem()
			fill(item, depth+1)
			if v.Type().Key().Kind() == reflect.String {
				v.SetMapIndex(reflect.ValueOf(language).Convert(v.Type().Key()), item)
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 3, 3, 12, 0, depth, depth, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	}
}

// TestReportJSON: a report is written as json.Marshal writes it, with every field and with none, of which a field that
// JSON does not know would be one.
func TestReportJSON(t *testing.T) {
	var full Report
	fill(reflect.ValueOf(&full).Elem(), 0)
	full.Trace = nil
	sameJSON(t, &full)
	sameJSON(t, &Report{})
	sameJSON(t, &Report{Signatures: []SignatureReport{{}}, Timestamps: []TimestampReport{{}},
		EvidenceRecords: []EvidenceRecordReport{{}}})
	bare := Report{Signatures: []SignatureReport{{Timestamps: []TimestampReport{}, Changes: []Change{{}},
		Chain: []Certificate{{}}, Scopes: []Scope{{}}, Rows: map[string]Rows{}, Next: map[string]string{}}}}
	sameJSON(t, &bare)
	bare.ValidationTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	sameJSON(t, &bare)
	bare.ValidationTime = time.Date(2026, 3, 3, 12, 0, 0, 0, time.FixedZone("", 5400))
	sameJSON(t, &bare)
}

// FuzzReportJSON: so are texts that strangers chose.
func FuzzReportJSON(f *testing.F) {
	f.Add("")
	f.Add("Zażółć \"gęślą\" \\ jaźń </script> & \u2027\u2028\u2029\u202a \ufffd")
	f.Add("\xff\xc3(\xed\xa0\x80 \x00\x01\b\t\n\f\r\x1f\x7f\u0080")
	f.Add(strings.Repeat("\u2028\xe2\x80", 50))
	f.Fuzz(func(t *testing.T, text string) {
		sameJSON(t, &Report{SHA256: text, Notes: []string{text, text}, Summary: map[string]string{text: text, "pl": text, "": "x"}})
	})
}
