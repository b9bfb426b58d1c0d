package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/docket"
	"trustcore/cmd/internal/papers"
	"trustcore/internal/durable"
	"trustcore/verify"
	"trustcore/verify/client"
	"trustcore/verify/keep"
)

func verifyCommand(dir *string) *cobra.Command {
	o := verifying{}
	c := &cobra.Command{
		Use:   "verify FILE|FOLDER...",
		Short: "Have signed documents verified by the data centre",
		Long: `Has signed documents verified by verifyd of the data centre, through the tunnel and with the office's own
certificate. The documents are sent there and not kept. A folder is looked through with the folders in it; a signature
beside its file (FILE.p7s, FILE.sig, FILE.xades and the like) is about that file.

  trustlink verify contract.pdf
  trustlink verify --service podatki incoming/
  trustlink verify --report pdf --report-file contract-report.pdf contract.pdf

With --report the data centre makes a report that can be kept, beside the verdict; of several documents --report-file
is a folder. No file is written over.

Exit status: 0 everything in every document passed; 3 something did not, or a document holds no signature; 1 a document
could not be judged, or the command not be carried out. With --service 0 means that every document was accepted for the
service, and 3 that one was not, or not yet.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := openLink(state{*dir})
			if err != nil {
				return err
			}
			return o.run(c.Context(), l, args, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "one JSON object a line")
	f.StringVar(&o.language, "language", verify.Languages[0], "language of the verdict: pl or en")
	f.StringVar(&o.options.Service, "service", "", "`id` of the service card that the documents are for")
	f.StringVar(&o.options.Policy, "policy", "", "`name` of a validation policy that verifyd offers")
	f.StringVar(&o.at, "at", "", "time of validation, RFC 3339 (default now)")
	f.StringVar(&o.report, "report", "", "a report in a `form` to be kept: pdf, html or etsi-xml; with --report-file")
	f.StringVar(&o.reportFile, "report-file", "", "new `file` for --report, of several documents a folder")
	f.StringVar(&o.door, "verifyd", "verify", "`name` of the tunnel's service behind which verifyd is")
	return c
}

// verifying is one run of the command.
type verifying struct {
	json               bool
	language, at, door string
	report, reportFile string
	options            client.Options
}

// judgement is one line of the answer.
type judgement struct {
	File   string  `json:"file"`
	SHA256 string  `json:"sha256"`
	Error  *string `json:"error"`
	*verify.Report
}

func (o *verifying) run(ctx context.Context, l *link, args []string, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	asks, err := o.client(l)
	if err != nil {
		return err
	}
	defer asks.Close()
	found, _ := papers.Find(args)
	if len(found) == 0 {
		return errors.New("verify: there is no file in what is named")
	}
	files, err := o.place(found)
	if err != nil {
		return fmt.Errorf("--report-file: %w", err)
	}
	return o.tell(out, func(each func(*judgement) error) error {
		for i := range found {
			j := o.judge(ctx, asks, &found[i], files[i])
			if j.Report != nil && found[i].SignedBeside && j.Bare() {
				continue // its signature lies beside it
			}
			if err := each(j); err != nil {
				return err
			}
		}
		return nil
	})
}

// check tells whether the flags are right, and takes over what they say.
func (o *verifying) check() (err error) {
	_, known := keep.Forms[o.report]
	switch {
	case o.language != "pl" && o.language != "en":
		return fmt.Errorf("--language: %q is neither pl nor en", o.language)
	case (o.report == "") != (o.reportFile == ""):
		return errors.New("--report and --report-file go together: a form, and where it goes")
	case o.report != "" && !known:
		return fmt.Errorf("--report: %q is no form of a report: write pdf, html or etsi-xml", o.report)
	case o.at == "":
		return nil
	}
	if o.options.At, err = time.Parse(time.RFC3339, o.at); err != nil {
		return fmt.Errorf("--at: %q: write a time such as 2026-03-03T12:00:00Z", o.at)
	}
	return nil
}

// client asks verifyd through the tunnel, with the office's certificate.
func (o *verifying) client(l *link) (*client.Client, error) {
	address, err := l.address(o.door)
	if err != nil {
		return nil, err
	}
	settings, err := l.state.identity().Client()
	if err != nil {
		return nil, fmt.Errorf("the office's certificate: %w", err)
	}
	return client.New(client.Config{URL: "https://" + address, TLS: settings, Language: o.language})
}

// place is where the report on each document goes, "" where none is asked for.
func (o *verifying) place(found []papers.Paper) ([]string, error) {
	if o.report == "" {
		return make([]string, len(found)), nil
	}
	var names []string
	for i := range found {
		names = append(names, found[i].File)
	}
	return papers.Place(o.reportFile, keep.Forms[o.report].End, names)
}

// judge has one document judged; whatever goes wrong is its own line's error.
func (o *verifying) judge(ctx context.Context, asks *client.Client, p *papers.Paper, file string) *judgement {
	j := &judgement{File: p.File}
	report, err := o.ask(ctx, asks, p, file)
	if err != nil {
		text := err.Error()
		j.Error = &text
		return j
	}
	j.SHA256, j.Report = report.SHA256, report
	return j
}

func (o *verifying) ask(ctx context.Context, asks *client.Client, p *papers.Paper, file string) (
	*verify.Report, error) {
	if p.Unread != nil {
		return nil, p.Unread
	}
	document, err := durable.ReadFile(p.File, verify.MaxDocument)
	if err != nil {
		return nil, err
	}
	options := o.options
	options.Name = filepath.Base(p.File)
	for _, name := range p.Detached {
		content, err := durable.ReadFile(name, verify.MaxDocument)
		if err != nil {
			return nil, fmt.Errorf("detached: %w", err)
		}
		options.Detached = append(options.Detached, client.File{Name: filepath.Base(name), Content: content})
	}
	v, err := asks.Validate(ctx, bytes.NewReader(document), options)
	switch {
	case err != nil:
		return nil, err
	case file == "":
		return v.Report, nil
	}
	data, err := asks.Kept(ctx, bytes.NewReader(document), options, o.report)
	if err == nil {
		err = papers.WriteNew(file, data)
	}
	if err != nil {
		return nil, fmt.Errorf("--report-file: %w", err)
	}
	return v.Report, nil
}

// tell writes each judgement, and returns the exit status of the worst.
func (o *verifying) tell(out io.Writer, judgements func(each func(*judgement) error) error) error {
	encoder := json.NewEncoder(out)
	var table *docket.Table
	if !o.json {
		table = docket.New(out, o.language)
	}
	worst := 0
	err := judgements(func(j *judgement) error {
		status := j.status()
		if worst != docket.NotDone && status != 0 {
			worst = status
		}
		if o.json {
			return encoder.Encode(j)
		}
		table.Add(j.File, j.Report, j.Error, status)
		return nil
	})
	if table != nil && err == nil {
		table.Sum()
	}
	if err == nil && worst != 0 {
		err = exitCode(worst)
	}
	return err
}

// status is what the exit status says of a document.
func (j *judgement) status() int {
	switch {
	case j.Error != nil:
		return docket.NotDone
	case j.Service != nil && !j.Service.Accepted, j.Service == nil && !j.AllPassed():
		return notWell
	}
	return 0
}
