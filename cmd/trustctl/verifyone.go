package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/mapped"
	"trustcore/verify"
	"trustcore/verify/keep"
	"trustcore/verify/poland"
	"trustcore/verify/signature"
)

// judgeTimeout bounds the work on one document.
const judgeTimeout = time.Minute

// maxAhead is how many documents may be judged before the verdict on an earlier one is there.
const maxAhead = 256

// outcome is one line of the answer.
type outcome struct {
	File   string  `json:"file"`
	SHA256 string  `json:"sha256"`
	Error  *string `json:"error"`
	*verify.Report

	silent bool  // the file's signature lies beside it, and there is none inside
	size   int64 // of the document, in octets
}

// verifier judges jobs by one set of lists.
type verifier struct {
	*verify.Verifier
	kept   *keeper // nil without --bundle
	policy *verify.Policy
	card   *poland.Card // nil without --service

	passwords passwords // for every document
}

// inOrder judges jobs on all processors and hands on each outcome when those before it were. It returns the worst status.
func (v *verifier) inOrder(ctx context.Context, jobs []job, far batchProgress, tell func(*outcome) error) (exitCode, error) {
	o := ordered{waiting: map[int]outcome{}, progress: far, tell: tell, ahead: make(chan struct{}, maxAhead)}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i, j := range jobs {
		if !o.mayStart(ctx) {
			break
		}
		g.Go(func() error { return o.add(i, v.one(ctx, j)) })
	}
	err := g.Wait()
	o.progress.end()
	if err == nil && o.next < len(jobs) {
		err = fmt.Errorf("interrupted after %d of %d documents", o.next, len(jobs))
	}
	return o.status, err
}

// ordered keeps outcomes until those before them are there.
type ordered struct {
	mu       sync.Mutex
	next     int
	waiting  map[int]outcome
	status   exitCode
	progress batchProgress
	tell     func(*outcome) error
	ahead    chan struct{} // a place for each document that is judged and not told of
}

// mayStart waits for a place, and reports false when ctx ends before.
func (l *ordered) mayStart(ctx context.Context) bool {
	select {
	case l.ahead <- struct{}{}:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (l *ordered) add(i int, o outcome) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[i] = o
	l.progress.add(o.status(), time.Now())
	for {
		o, ready := l.waiting[l.next]
		if !ready {
			return nil
		}
		delete(l.waiting, l.next)
		l.next++
		<-l.ahead
		if o.silent {
			continue
		}
		l.status = l.status.and(o.status())
		if err := l.tell(&o); err != nil {
			return err
		}
	}
}

// notDone is the exit status of a command that could not do its work, or a part of it.
const notDone exitCode = 1

// status is what the exit status says of one document: everything in it passed, something did not, or nobody knows.
func (o *outcome) status() exitCode {
	switch {
	case o.silent:
		return 0
	case o.Error != nil:
		return notDone
	}
	if s := o.Service; s != nil && s.Accepted {
		return 0
	} else if s != nil {
		return notPassed
	}
	if !o.AllPassed() {
		return notPassed
	}
	return 0
}

// and joins the status of another document: what could not be done outweighs what did not pass.
func (c exitCode) and(other exitCode) exitCode {
	if c == notDone || other == notDone {
		return notDone
	}
	return max(c, other)
}

// err is nil for status 0.
func (c exitCode) err() error {
	if c == 0 {
		return nil
	}
	return c
}

// one judges one document; whatever goes wrong is its own line's error.
func (v *verifier) one(ctx context.Context, j job) (o outcome) {
	o.File = j.File
	report, err := v.judge(ctx, j, &o)
	o.silent = j.signedBeside && (errors.Is(err, verify.ErrUnknownFormat) || err == nil && report.Bare())
	if err != nil {
		text := err.Error()
		o.Error = &text
		return o
	}
	if v.card != nil {
		report.For(v.card)
	}
	if err := j.kept(report, o); err != nil {
		text := "--report-file: " + err.Error()
		o.Error = &text
		return o
	}
	o.Report = report.In(j.language)
	return o
}

// kept has the report kept where that is asked for; the trace that it needed is nothing that others asked for.
func (j job) kept(report *verify.Report, o outcome) error {
	if j.keep == nil || o.silent {
		return nil
	}
	r := keep.Report{Verdict: report, Size: o.size, Place: keep.Command, Language: cmp.Or(j.language, verify.Languages[0])}
	if j.File != standardInput {
		r.Name = filepath.Base(j.File)
	}
	err := j.keep(r)
	if !j.trace {
		report.Trace = nil
	}
	return err
}

func (v *verifier) judge(ctx context.Context, j job, o *outcome) (report *verify.Report, err error) {
	files, err := j.open()
	defer func() { err = errors.Join(err, files.close()) }()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	request, err := files.request(j)
	if err != nil {
		return nil, err
	}
	own, err := readPasswords(j.PasswordFiles)
	defer own.wipe()
	if err != nil {
		return nil, fmt.Errorf("password_files: %w", err)
	}
	request.Passwords = slices.Concat(v.passwords, own)
	request.Trace, request.Active, request.Numbers = j.trace || j.keep != nil, j.active, j.numbers
	o.size = int64(len(request.Document))
	request.Any = v.card != nil // to a service a plain file is an unsigned one
	if v.kept != nil {
		request.Found = v.kept.found
	}
	report, err = v.Verify(ctx, request)
	if err != nil {
		sum := sha256.Sum256(files[0].Octets())
		o.SHA256 = hex.EncodeToString(sum[:])
		return nil, v.fault(j.File, err)
	}
	o.SHA256 = report.SHA256
	if v.kept != nil {
		v.kept.Password = len(request.Passwords) > 0
		return report, v.kept.write(files, j, v.policy, report)
	}
	return report, nil
}

// fault tells of a fault of this program what its error does not show.
func (v *verifier) fault(file string, err error) error {
	var fault *verify.Fault
	if errors.As(err, &fault) {
		fmt.Fprintf(os.Stderr, "trustctl: %s: a fault of this program, please report it: %s\n", file, fault.Reason)
	}
	return err
}

func complain(problems []string) {
	for _, p := range problems {
		fmt.Fprintf(os.Stderr, "trustctl: %s\n", p)
	}
}

// openFiles are the document and what it is about.
type openFiles []*mapped.File

func (j job) open() (files openFiles, err error) {
	if j.unread != nil {
		return nil, j.unread
	}
	for i, name := range append([]string{j.File}, j.Detached...) {
		f, err := openFile(name)
		if err != nil && i > 0 {
			err = fmt.Errorf("detached: %w", err)
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

func openFile(name string) (*mapped.File, error) {
	if name == standardInput {
		return mapped.Read(os.Stdin, "standard input", verify.MaxDocument)
	}
	return mapped.Open(name, verify.MaxDocument)
}

// request is about the first file, with the others as its detached ones.
func (files openFiles) request(j job) (verify.Request, error) {
	r := verify.Request{Document: files[0].Octets(), At: j.At, LetGo: files.letGo}
	for i, f := range files[1:] {
		r.Detached = append(r.Detached, signature.Detached{Name: filepath.Base(j.Detached[i]), Content: f.Octets()})
	}
	var err error
	if r.Detached, err = j.digests.Beside(r.Detached); err != nil {
		err = fmt.Errorf("digests: %w", err)
	}
	return r, err
}

func (files openFiles) letGo(octets []byte) {
	for _, f := range files {
		f.LetGo(octets)
	}
}

func (files openFiles) close() error {
	var failed []error
	for _, f := range files {
		failed = append(failed, f.Close())
	}
	return errors.Join(failed...)
}
