package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"trustcore/verify/report/etsi"
)

// checkReport: a report in another form is of one document, and all that is written.
func (o *verifyOptions) checkReport(files []string) error {
	switch {
	case o.report == "":
		return nil
	case o.report != "etsi":
		return fmt.Errorf("--report: %q is no form of a report: write etsi", o.report)
	case o.json || o.jobs != "" || len(files) != 1:
		return errOneReport
	}
	return nil
}

var errOneReport = errors.New("--report: name one file, without --json and --jobs")

// write writes the report on one document as ETSI TS 119 102-2 has it, with the exit status of the verdict.
func (v *verifier) write(ctx context.Context, jobs []job, out io.Writer) error {
	if len(jobs) != 1 {
		return errOneReport
	}
	j := jobs[0]
	j.trace, j.language = true, ""
	o := v.one(ctx, j)
	if o.Error != nil {
		return errors.New(*o.Error)
	}
	report, err := etsi.Marshal(o.Report)
	if err != nil {
		return err
	}
	if _, err := out.Write(report); err != nil {
		return err
	}
	return o.status().err()
}
