package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// TestProgress: it tells now and then, and what there is to tell at the end.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := batchProgress{out: &out, total: 1000}
	at := time.Unix(0, 0)
	for i := range 1000 {
		p.add([]exitCode{0, notPassed, notDone, 0}[i%4], at)
		at = at.Add(time.Millisecond)
	}
	p.end()
	told := strings.Split(out.String(), "\r")
	if len(told) != 1+5+1 || !strings.HasPrefix(told[1], "1 of 1000 documents, 0 did not pass") {
		t.Errorf("%q", told)
	}
	if last := told[len(told)-1]; last != "1000 of 1000 documents, 250 did not pass, 250 could not be judged\x1b[K\n" {
		t.Errorf("%q", last)
	}
}

// TestNoProgress: nothing is told of one document, or where nobody looks.
func TestNoProgress(t *testing.T) {
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	before := os.Stderr
	os.Stderr = other
	defer func() { os.Stderr = before }()
	for _, jobs := range [][]job{make([]job, 1), make([]job, 1000)} {
		p := progressOf(jobs, &bytes.Buffer{})
		p.add(notDone, time.Now())
		p.end()
		if p.out != nil {
			t.Errorf("%d jobs: it tells though nobody looks", len(jobs))
		}
	}
	if isTerminal(other) || isTerminal(&bytes.Buffer{}) {
		t.Error("no terminal is taken for one")
	}
}
