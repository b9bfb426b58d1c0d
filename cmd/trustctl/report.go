package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"trustcore/verify/keep"
)

// reportForm is a form of a report that is kept, by what --report calls it.
func reportForm(name string) (keep.Form, bool) {
	if name == "etsi" {
		name = "etsi-xml" // what it was called first
	}
	form, known := keep.Forms[name]
	return form, known
}

// formBundle is --bundle as a form of a report.
const formBundle = "bundle"

var (
	errOneReport = errors.New("--report: name one file, without --json, --table and --jobs, or a --report-file")
	errNoForm    = errors.New("--report-file: say by --report in which form: pdf, html, etsi-xml or bundle")
)

// checkReport tells whether the flags about reports fit together.
func (o *verifyOptions) checkReport() error {
	_, known := reportForm(o.report)
	switch {
	case o.report == "" && o.reportFile == "":
		return nil
	case o.report == "":
		return errNoForm
	case o.report == formBundle && (o.reportFile == "" || o.bundle != ""):
		return errors.New("--report bundle: name its file by --report-file, and leave out --bundle")
	case o.report == formBundle:
		o.bundle, o.report, o.reportFile = o.reportFile, "", ""
		return nil
	case !known:
		return fmt.Errorf("--report: %q is no form of a report: write pdf, html, etsi-xml or bundle", o.report)
	case o.reportFile == "" && (o.json || o.table || o.jobs != ""):
		return errOneReport
	}
	return nil
}

// place says of each job into which file its report goes: of one, the file of --report-file; of several, files in the
// folder of that name, called like the documents. No file that is there is written over.
func (o *verifyOptions) place(jobs []job) error {
	if o.reportFile == "" {
		return nil
	}
	form, _ := reportForm(o.report)
	taken := map[string]bool{}
	for i := range jobs {
		file := o.reportFile
		if len(jobs) > 1 {
			file = filepath.Join(o.reportFile, free(filepath.Base(jobs[i].File), form.End, taken))
		}
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("--report-file: %s is there already: name a new file or folder", file)
		}
		jobs[i].keep = func(r keep.Report) error {
			data, err := form.Write(r)
			if err != nil {
				return err
			}
			return writeNew(file, data)
		}
	}
	if len(jobs) > 1 {
		if err := os.MkdirAll(o.reportFile, 0o700); err != nil {
			return fmt.Errorf("--report-file: %w", err)
		}
	}
	return nil
}

// free is a name for the report on a document which no other one has: documents of two folders may share theirs.
func free(document, end string, taken map[string]bool) string {
	name := document + ".report" + end
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s.report-%d%s", document, n, end)
	}
	taken[name] = true
	return name
}

// writeNew writes a file that is not there yet; one that somebody has put there meanwhile stays.
func writeNew(file string, data []byte) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}

// write writes the report on one document and nothing else, with the exit status of the verdict.
func (v *verifier) write(ctx context.Context, jobs []job, name string, out io.Writer) error {
	if len(jobs) != 1 {
		return errOneReport
	}
	form, _ := reportForm(name)
	j := jobs[0]
	j.keep = func(r keep.Report) error {
		data, err := form.Write(r)
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	}
	o := v.one(ctx, j)
	if o.Error != nil {
		return errors.New(*o.Error)
	}
	return o.status().err()
}
