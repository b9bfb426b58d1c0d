package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"

	"trustcore/hsm/mechanism"
)

func TestFramesComeBack(t *testing.T) {
	var b bytes.Buffer
	frames := []Frame{
		{Call: 1, Kind: Ping},
		{Call: 1<<64 - 1, Kind: Sign, Body: SignBody(ID{1}, mechanism.ECDSASHA256, make([]byte, 32))},
		{Kind: OK, Body: bytes.Repeat([]byte{7}, MaxBody)},
	}
	w := NewWriter(&b)
	for _, f := range frames {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range frames {
		got, err := Read(&b)
		if err != nil || got.Call != want.Call || got.Kind != want.Kind || !bytes.Equal(got.Body, want.Body) {
			t.Fatalf("got call %d kind %d body of %d, %v", got.Call, got.Kind, len(got.Body), err)
		}
	}
	if _, err := Read(&b); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	if err := w.Write(Frame{Body: make([]byte, MaxBody+1)}); !errors.Is(err, ErrFrame) {
		t.Fatalf("too long a body: %v", err)
	}
}

func TestFramesOfManyWritersAllLeave(t *testing.T) {
	r, w := io.Pipe()
	const writers, each = 16, 50
	out := NewWriter(w)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range each {
				if err := out.Write(Frame{Call: uint64(i*each + j), Kind: OK, Body: []byte{byte(i)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[uint64]bool{}
	for range writers * each {
		f, err := Read(r)
		if err != nil {
			t.Fatal(err)
		}
		if seen[f.Call] || int(f.Body[0]) != int(f.Call)/each {
			t.Fatalf("frame %d is mixed up", f.Call)
		}
		seen[f.Call] = true
	}
	all.Wait()
}

func TestParseSignRefuses(t *testing.T) {
	good := SignBody(ID{1}, mechanism.RSAPSSSHA384, make([]byte, 48))
	if _, _, _, err := ParseSign(good); err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{
		"empty":             nil,
		"cut":               good[:len(good)-1],
		"long":              append(bytes.Clone(good), 0),
		"no mechanism":      good[:IDSize],
		"unknown mechanism": append(append(bytes.Clone(good[:IDSize]), 200), good[IDSize+1:]...),
		"mechanism 0":       append(append(bytes.Clone(good[:IDSize]), 0), good[IDSize+1:]...),
		"endless":           make([]byte, 4096),
	}
	for name, b := range bad {
		if _, _, _, err := ParseSign(b); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	for _, frame := range []Frame{{Call: 3, Kind: Ping}, {Call: 4, Kind: Sign, Body: SignBody(ID{9}, mechanism.ECDSASHA256, make([]byte, 32))}} {
		if err := NewWriter(&b).Write(frame); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()))
	}
	f.Add(binary.BigEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		for {
			frame, err := Read(r)
			if err != nil {
				return
			}
			if len(frame.Body) > MaxBody {
				t.Fatalf("body of %d bytes", len(frame.Body))
			}
			if _, m, digest, err := ParseSign(frame.Body); err == nil && len(digest) != m.Hash().Size() {
				t.Fatalf("%s with %d bytes", m, len(digest))
			}
			if ids, err := ParseIDs(frame.Body); err == nil && len(ids)*IDSize != len(frame.Body) {
				t.Fatal("IDs lost")
			}
		}
	})
}
