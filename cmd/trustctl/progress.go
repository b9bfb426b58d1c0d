package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// batchProgress tells on a terminal how far a run over many documents is. The zero value tells nothing. It is not safe for
// concurrent use.
type batchProgress struct {
	out                     io.Writer // nil for none
	total                   int
	done, failing, unjudged int
	next                    time.Time // when it tells again
}

// progressEvery is how often it tells.
const progressEvery = 200 * time.Millisecond

// progressOf tells of jobs on standard error, where that is a terminal and what is said of the documents goes elsewhere.
func progressOf(jobs []job, out io.Writer) batchProgress {
	if len(jobs) < 2 || os.Getenv("TERM") == "dumb" || !isTerminal(os.Stderr) || isTerminal(out) {
		return batchProgress{}
	}
	return batchProgress{out: os.Stderr, total: len(jobs)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// add counts a document, and tells when it is time to.
func (p *batchProgress) add(status exitCode, now time.Time) {
	if p.out == nil {
		return
	}
	p.done++
	switch status {
	case notDone:
		p.unjudged++
	case notPassed:
		p.failing++
	}
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(progressEvery)
	p.tell()
}

// tell writes over what it told before; a terminal that went away is no fault of the documents.
func (p *batchProgress) tell() {
	fmt.Fprintf(p.out, "\r%d of %d documents, %d did not pass, %d could not be judged\x1b[K", p.done, p.total, p.failing, p.unjudged)
}

// end leaves the last word on a line of its own.
func (p *batchProgress) end() {
	if p.out != nil {
		p.tell()
		fmt.Fprintln(p.out)
	}
}
