package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"slices"
	"sync"
	"testing"

	"trustcore/hsm/mechanism"
)

func TestFramesComeBack(t *testing.T) {
	var b bytes.Buffer
	frames := []Frame{
		{Call: 1, Kind: Ping},
		{Call: 1<<64 - 1, Kind: Sign, Body: SignBody(ID{1}, mechanism.ECDSASHA256, [][]byte{make([]byte, 32)})},
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
	good := SignBody(ID{1}, mechanism.RSAPSSSHA384, [][]byte{make([]byte, 48), make([]byte, 48)})
	if _, _, digests, err := ParseSign(good); err != nil || len(digests) != 2 {
		t.Fatal(digests, err)
	}
	bad := map[string][]byte{
		"empty":             nil,
		"cut":               good[:len(good)-1],
		"long":              append(bytes.Clone(good), 0),
		"no mechanism":      good[:IDSize],
		"unknown mechanism": append(append(bytes.Clone(good[:IDSize]), 200), good[IDSize+1:]...),
		"mechanism 0":       append(append(bytes.Clone(good[:IDSize]), 0), good[IDSize+1:]...),
		"endless":           make([]byte, 4096),
		"one too many":      SignBody(ID{1}, mechanism.ECDSASHA256, slices.Repeat([][]byte{make([]byte, 32)}, MaxDigests+1)),
	}
	for name, b := range bad {
		if _, _, _, err := ParseSign(b); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestSignedComesBack(t *testing.T) {
	all := Signed{Kind: OK, Signatures: [][]byte{{1}, {2, 3}}}
	part := Signed{Kind: Failed, Signatures: [][]byte{{1}}, Reason: []byte("away")}
	for _, want := range []Signed{all, part} {
		got, err := ParseSigned(SignedBody(want), 2)
		if err != nil || !reflect.DeepEqual(got.Signatures, want.Signatures) || got.Kind != want.Kind || string(got.Reason) != string(want.Reason) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for name, body := range map[string][]byte{
		"empty": nil, "too many": SignedBody(Signed{Kind: OK, Signatures: [][]byte{{1}, {2}, {3}}}), "too few": SignedBody(Signed{Kind: OK, Signatures: [][]byte{{1}}}),
		"cut": SignedBody(all)[:6], "an empty signature": SignedBody(Signed{Kind: OK, Signatures: [][]byte{{1}, {}}}),
	} {
		if _, err := ParseSigned(body, 2); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	for _, frame := range []Frame{{Call: 3, Kind: Ping}, {Call: 4, Kind: Sign, Body: SignBody(ID{9}, mechanism.ECDSASHA256, [][]byte{make([]byte, 32), make([]byte, 32)})}} {
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
			if id, m, digests, err := ParseSign(frame.Body); err == nil && !bytes.Equal(SignBody(id, m, digests), frame.Body) {
				t.Fatalf("%s with %d digests", m, len(digests))
			}
			if s, err := ParseSigned(frame.Body, MaxDigests); err == nil && !bytes.Equal(SignedBody(s), frame.Body) {
				t.Fatalf("%d signatures", len(s.Signatures))
			}
			if n, err := ParseRandom(frame.Body); err == nil && !bytes.Equal(RandomBody(n), frame.Body) {
				t.Fatalf("%d random octets", n)
			}
			if ids, err := ParseIDs(frame.Body); err == nil && len(ids)*IDSize != len(frame.Body) {
				t.Fatal("IDs lost")
			}
		}
	})
}
