package journal

import (
	"bytes"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
)

// FuzzJournal reads octets as a segment: nothing breaks, nothing costs more than its size allows, and what is read is
// what would be written.
func FuzzJournal(f *testing.F) {
	whole, err := head{"log", 1, 3, sum{}.String()}.encode()
	if err != nil {
		f.Fatal(err)
	}
	at := place{next: 3}
	for i, payload := range []string{`{"time":"2026-03-03T12:00:00Z"}`, "second", ""} {
		kind := byte(kindGroup)
		if i == 1 {
			kind = kindNext
		}
		whole, at = appendRecord(whole, kind, at, []byte(payload))
	}
	torn := append(bytes.Clone(whole[:len(whole)-40]), make([]byte, 64)...)
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-100] ^= 1
	for _, seed := range [][]byte{whole, torn, damaged, append(bytes.Clone(whole), make([]byte, 100)...), whole[:30], bytes.Repeat(mark, 300)} {
		f.Add(seed)
	}
	limit := budgettest.Limit{Time: 50 * time.Millisecond, TimeAnOctet: 2 * time.Microsecond, Alloc: 1 << 20, AllocAnOctet: 64}
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), limit, func() { readOctets(t, data) })
	})
}

func readOctets(t *testing.T, data []byte) {
	s, err := parseSegment(data)
	if err != nil {
		return
	}
	begun := len(data) - len(s.data)
	start, next := s.at, s.First
	var again []byte
	at := start
	for {
		kind := byte(kindGroup)
		if isHead(s.data, kindNext) {
			kind = kindNext
		}
		payload, ok := s.record()
		if !ok {
			break
		}
		again, at = appendRecord(again, kind, at, payload)
		next++
	}
	if s.at.next != next || at != s.at || !bytes.HasPrefix(data[begun:], again) {
		t.Errorf("%d records read are not those that would be written", next-start.next)
	}
	damaged, cut := s.rest()
	if damaged && cut != 0 || cut > len(s.data) {
		t.Errorf("damaged %v, %d octets cut of %d", damaged, cut, len(s.data))
	}
}
