package parcel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
)

// write is a parcel with these documents.
func write(all ...Document) (data []byte) {
	for _, d := range all {
		data = append(AppendDocument(data, len(d.Content)), d.Content...)
		for _, f := range d.Beside {
			data = append(AppendBeside(data, f.Name, len(f.Content)), f.Content...)
		}
	}
	return data
}

// TestParcel comes out as it went in, and is as large as Size says.
func TestParcel(t *testing.T) {
	in := []Document{{Content: []byte("one")}, {Content: []byte{}},
		{Content: []byte("two"), Beside: []File{{"a.txt", []byte("signed")}, {"", []byte("too")}}}}
	data := write(in...)
	out, err := Read(data)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%q, %v", out, err)
	}
	if want := Size(0, 3) + Size(0, 0) + Size(0, 3) + Size(5, 6) + Size(0, 3); int64(len(data)) != want {
		t.Errorf("%d bytes, want %d", len(data), want)
	}
}

// TestBrokenParcels: lengths that lie, frames out of place, and too many of them.
func TestBrokenParcels(t *testing.T) {
	one := write(Document{Content: []byte("one")})
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"empty":              {nil, "it is empty"},
		"half a head":        {one[:5], "within a head"},
		"half a content":     {one[:len(one)-1], "longer than what there is"},
		"a length that lies": {[]byte("d\x00\x00\xff\xff\xff\xff1234"), "longer than what there is"},
		"unknown kind":       {append(bytes.Clone(one), "x\x00\x00\x00\x00\x00\x00"...), "kind 120"},
		"beside nothing":     {AppendBeside(nil, "a", 0), "kind 98"},
		"a named document":   {[]byte("d\x00\x01\x00\x00\x00\x00a"), "kind 100"},
		"many documents":     {bytes.Repeat(one, MaxDocuments+1), "more than 64 documents"},
		"many beside": {append(bytes.Clone(one), bytes.Repeat(AppendBeside(nil, "", 0), MaxBeside+1)...),
			"kind 98"},
	} {
		if _, err := Read(c.data); !errors.Is(err, ErrBroken) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: got %v; want %q", name, err, c.says)
		}
	}
}

// TestAnswers are read one by one, to a clean end; what breaks off or is too large is told.
func TestAnswers(t *testing.T) {
	large := strings.Repeat("x", 3*atOnce)
	data := append(AppendAnswer(nil, 200, 2), "{}"...)
	data = append(AppendAnswer(data, 422, len(large)), large...)
	from := bytes.NewReader(data)
	for _, want := range []struct {
		status int
		text   string
	}{{200, "{}"}, {422, large}} {
		status, content, err := ReadAnswer(from, 1<<20)
		if status != want.status || string(content) != want.text || err != nil {
			t.Errorf("%d with %d bytes, %v", status, len(content), err)
		}
	}
	if _, _, err := ReadAnswer(from, 1<<20); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for name, c := range map[string]struct {
		data []byte
		is   error
	}{
		"half a head":         {data[:3], io.ErrUnexpectedEOF},
		"no content":          {data[:6], io.ErrUnexpectedEOF},
		"half a content":      {data[:7], io.ErrUnexpectedEOF},
		"more than may be":    {AppendAnswer(nil, 200, 1<<21), ErrBroken},
		"a status of nothing": {AppendAnswer(nil, 7, 0), ErrBroken},
	} {
		if _, _, err := ReadAnswer(bytes.NewReader(c.data), 1<<20); !errors.Is(err, c.is) {
			t.Errorf("%s: got %v; want %v", name, err, c.is)
		}
	}
}

// cost is what frames may cost: what points to them, and the answers' own copies.
var cost = budgettest.Limit{Time: 50 * time.Millisecond, TimeAnOctet: time.Microsecond, Alloc: 1 << 20,
	AllocAnOctet: 64}

// FuzzRead: whatever comes is read at the cost of its size, and holds no more than was sent.
func FuzzRead(f *testing.F) {
	f.Add(write(Document{Content: []byte("one"), Beside: []File{{"a", []byte("b")}}}, Document{Content: []byte("two")}))
	f.Add([]byte("d\x00\x00\xff\xff\xff\xff1234"))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), cost, func() {
			all, err := Read(data)
			if err == nil && !bytes.Equal(write(all...), data) {
				t.Errorf("%q is read as %q", data, all)
			}
		})
	})
}

// FuzzReadAnswer: what a service that was taken over may send costs no more than it sends.
func FuzzReadAnswer(f *testing.F) {
	f.Add(append(AppendAnswer(nil, 200, 2), "{}"...))
	f.Add(AppendAnswer(nil, 200, 16<<20))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), cost, func() {
			from := bytes.NewReader(data)
			for {
				_, content, err := ReadAnswer(from, 16<<20)
				if err != nil {
					return
				}
				if len(content) > len(data) {
					t.Errorf("%d bytes hold %d", len(data), len(content))
				}
			}
		})
	})
}
