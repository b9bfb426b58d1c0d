package original_test

import (
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/original"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// TestOf: nothing is given that the verdict did not find to be what was signed, of no format.
func TestOf(t *testing.T) {
	jws := []byte(`{"payload":"aGVsbG8","protected":"e30","signature":"AA"}`)
	beside := []signature.Detached{{Name: "a.txt", Content: []byte("hello")}}
	reference := func(kind string, found, intact bool) []trace.Reference {
		return []trace.Reference{{Type: kind, Name: "a.txt", Found: found, Intact: intact}}
	}
	for name, c := range map[string]struct {
		file      []byte
		beside    []signature.Detached
		signature trace.Signature
		want      string // the content; "" for none
		fails     bool
	}{
		"payload":           {jws, nil, trace.Signature{Format: "JAdES", References: reference("data", true, true)}, "hello", false},
		"payload, changed":  {jws, nil, trace.Signature{Format: "JAdES", References: reference("data", true, false)}, "", false},
		"payload, absent":   {jws, nil, trace.Signature{Format: "JAdES", References: reference("data", false, false)}, "", false},
		"counter-signature": {jws, nil, trace.Signature{Format: "JAdES", Parent: "S-1", References: reference("data", true, true)}, "", false},
		"detached": {[]byte(`{"protected":"e30","signature":"AA"}`), beside,
			trace.Signature{Format: "JWS", References: reference("data", true, true)}, "hello", false},
		"no CMS":            {jws, nil, trace.Signature{Format: "CAdES", References: reference("message-digest", true, true)}, "", true},
		"no CMS, changed":   {jws, nil, trace.Signature{Format: "CAdES", References: reference("message-digest", true, false)}, "", false},
		"no such signature": {[]byte(`<a/>`), nil, trace.Signature{Format: "XAdES", Value: []byte{1}, References: reference("data", true, true)}, "", true},
		"no container":      {jws, nil, trace.Signature{Format: "CAdES", Filename: "META-INF/signature.p7s"}, "", true},
		"no PDF": {jws, nil, trace.Signature{Format: "PAdES", PDF: &trace.PDF{ByteRange: []int64{0, 1, 2, 3}},
			References: reference("byte-range", true, true)}, "", true},
		"range of another form": {jws, nil, trace.Signature{Format: "PAdES", PDF: &trace.PDF{ByteRange: []int64{0, 1}},
			References: reference("byte-range", true, true)}, "", false},
	} {
		got, err := original.Of(budget.New(t.Context(), len(c.file)), c.file, c.beside, &c.signature)
		content := ""
		for _, d := range got {
			content += string(d.Content)
		}
		if content != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %q %v, want %q", name, content, err, c.want)
		}
	}
}
