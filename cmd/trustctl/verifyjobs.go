package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/papers"
	"trustcore/verify"
	"trustcore/verify/keep"
)

// standardInput is the name of the document that is read from there.
const standardInput = "-"

// job is one document to verify.
type job struct {
	File     string    `json:"file"`
	Detached []string  `json:"detached"`
	At       time.Time `json:"at"`

	Digests       []string `json:"digests"`
	PasswordFiles []string `json:"password_files"`

	digests  verify.Digests
	trace    bool
	active   bool
	numbers  bool
	language string // of reasons and notes, "" as they are written

	keep func(keep.Report) error // writes the report that is kept; nil where none is asked for

	signedBeside bool  // a file beside it holds its signature: that it has none inside is nothing to tell
	unread       error // why the folder could not be looked through
}

// read returns the jobs of --jobs or of the arguments.
func (o *verifyOptions) read(args []string, at time.Time) ([]job, error) {
	if o.jobs != "" {
		return o.readFile(args, at)
	}
	switch n := countOf(args, standardInput); {
	case len(args) == 0:
		return nil, errors.New("verify: name at least one file or folder, - for standard input, or --jobs")
	case n > 1 || n == 1 && slices.Contains(o.passwordFiles, standardInput):
		return nil, errors.New("verify: standard input holds one document, or a password: name files for the others")
	}
	digests, err := o.readDigests()
	if err != nil {
		return nil, err
	}
	found, folders := papers.Find(args)
	o.table = o.table || folders && !o.json
	var jobs []job
	for _, p := range found {
		jobs = append(jobs, job{File: p.File, Detached: append(p.Detached, o.detached...), At: at, digests: digests,
			signedBeside: p.SignedBeside, unread: p.Unread})
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("verify: there is no file in %s", strings.Join(args, ", "))
	}
	return jobs, nil
}

func countOf(list []string, text string) (n int) {
	for _, s := range list {
		if s == text {
			n++
		}
	}
	return n
}

// readFile returns the jobs of --jobs.
func (o *verifyOptions) readFile(args []string, at time.Time) ([]job, error) {
	switch {
	case len(args) > 0 || len(o.detached) > 0 || len(o.digests) > 0 || o.digestList != "":
		return nil, errors.New("verify: files, --detached and digests stand in the jobs when --jobs is given")
	case o.jobs == standardInput && slices.Contains(o.passwordFiles, standardInput):
		return nil, errors.New("verify: standard input has the jobs: name a file by --password-file")
	}
	in := os.Stdin
	if o.jobs != standardInput {
		f, err := os.Open(o.jobs)
		if err != nil {
			return nil, fmt.Errorf("--jobs: %w", err)
		}
		defer f.Close()
		in = f
	}
	return readJobs(in, at)
}

func readJobs(in io.Reader, at time.Time) ([]job, error) {
	const maxLine = 1 << 20
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var jobs []job
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		j := job{At: at}
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil || j.File == "" {
			return nil, fmt.Errorf("--jobs, line %d: not a job "+
				"{\"file\", \"detached\", \"digests\", \"password_files\", \"at\"}: %v", n, err)
		}
		for _, text := range j.Digests {
			if err := j.digests.Add(text); err != nil {
				return nil, fmt.Errorf("--jobs, line %d, digests: %w", n, err)
			}
		}
		jobs = append(jobs, j)
	}
	return jobs, lines.Err()
}
