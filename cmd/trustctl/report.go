package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trustcore/cmd/internal/papers"
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

// place says of each job into which file its report goes (papers.Place).
func (o *verifyOptions) place(jobs []job) error {
	if o.reportFile == "" {
		return nil
	}
	form, _ := reportForm(o.report)
	var names []string
	for i := range jobs {
		names = append(names, jobs[i].File)
	}
	files, err := papers.Place(o.reportFile, form.End, names)
	if err != nil {
		return fmt.Errorf("--report-file: %w", err)
	}
	for i := range jobs {
		jobs[i].keep = func(r keep.Report) error {
			data, err := form.Write(r)
			if err != nil {
				return err
			}
			return papers.WriteNew(files[i], data)
		}
	}
	return nil
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
