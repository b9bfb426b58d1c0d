package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/batch"
	"trustcore/cmd/internal/identity"
)

// batchFlags choose who asks for batches, and whom.
type batchFlags struct {
	officerFlags
	token, ca string // files
}

func batchCommand() *cobra.Command {
	var f batchFlags
	c := f.group("batch", "Have many documents verified by batchd",
		`A batch is a set of documents, up to a million, each of which gets exactly one result. batchd keeps what was
sent until it is judged, and the results for 30 days.

  trustctl batch submit FOLDER --watch                    all files of a folder, each under its path
  trustctl batch submit LIST --root archive               a path a line, below a folder of batchd's configuration
  trustctl batch results ID --output results.ndjson       again, where it broke off: goes on
  trustctl batch erase ID                                 documents and results, now

Without --token-file an officer asks (--as). Exit status: 1 where something could not be done or some document has
a problem for its result, 3 where each has a report and some did not pass.`)
	p := c.PersistentFlags()
	p.StringVar(&f.token, "token-file", "", "`file` with an application's token, in place of an officer's certificate")
	p.StringVar(&f.ca, "ca", "", "PEM `file` with the authority of batchd's certificate (default from the state)")
	p.Lookup("server").Usage = "https `URL` of batchd (default from the state's configuration)"
	c.AddCommand(batchSubmit(&f), batchStatus(&f), batchResults(&f))
	for _, what := range []struct{ name, short string }{
		{"close", "Say that no more documents come"}, {"pause", "Hand no more documents over until resume"},
		{"resume", "Go on"},
		{"cancel", "End a batch; documents without a result get none"},
	} {
		c.AddCommand(f.command(what.name+" ID", what.short, cobra.ExactArgs(1),
			func(ctx context.Context, b *batches, args []string) (any, error) {
				var i batchInfo
				return &i, b.call(ctx, http.MethodPost, batchPath(args[0])+"/"+what.name, nil, &i)
			}))
	}
	c.AddCommand(f.command("erase ID", "Erase a batch with its documents and results, now", cobra.ExactArgs(1),
		func(ctx context.Context, b *batches, args []string) (any, error) {
			return nil, b.call(ctx, http.MethodDelete, batchPath(args[0]), nil, nil)
		}))
	return c
}

func batchPath(id string) string { return "/v1/batches/" + url.PathEscape(id) }

// batches is a batchd.
type batches struct {
	*officer
	token string // of an application; "" for an officer
	out   io.Writer
}

// command makes a subcommand that asks batchd and shows the answer.
func (f *batchFlags) command(use, short string, args cobra.PositionalArgs,
	run func(ctx context.Context, b *batches, args []string) (any, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, args []string) error {
		b, err := f.open(c.OutOrStdout())
		if err != nil {
			return err
		}
		answer, err := run(c.Context(), b, args)
		if answer != nil && (err == nil || errors.As(err, new(exitCode))) {
			err = errors.Join(show(c.OutOrStdout(), answer, f.asJSON), err)
		}
		return err
	}}
}

// open finds batchd, and takes on who asks.
func (f *batchFlags) open(out io.Writer) (*batches, error) {
	server := f.server
	st, err := openState(f.state)
	if err != nil {
		return nil, err
	}
	if server == "" {
		l, err := st.layout()
		if err != nil {
			return nil, fmt.Errorf("%w; start the appliance with `trustctl up`, or name --state or --server", err)
		}
		server = l.batchd()
	}
	id := st.officer(f.as)
	if f.ca != "" {
		id.CA = f.ca
	}
	b := &batches{out: out}
	if f.token == "" {
		b.officer, err = newOfficer(server, id)
	} else {
		b.officer, err = b.asApplication(server, f.token, id)
	}
	if err != nil {
		return nil, err
	}
	b.daemon, b.client.Timeout = "batchd", 0 // an upload takes as long as it does
	return b, nil
}

// asApplication speaks as who has a token, without a certificate.
func (b *batches) asApplication(server, file string, id identity.Identity) (*officer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	b.token = strings.TrimSpace(string(text))
	client, err := identity.Anonymous(id.CA)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	client.Transport = withToken{client.Transport, b.token}
	return &officer{url: strings.TrimSuffix(server, "/"), client: client}, nil
}

// withToken shows a token with each request.
type withToken struct {
	http.RoundTripper
	token string
}

// RoundTrip is part of http.RoundTripper.
func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+t.token)
	return t.RoundTripper.RoundTrip(r)
}

// batchInfo is a batch as people see it.
type batchInfo struct{ batch.Info }

func (i *batchInfo) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%s  %s  %s\n", i.ID, i.progress(), i.Name)
	return err
}

// progress tells in words how far a batch is.
func (i *batchInfo) progress() string {
	text := fmt.Sprintf("%s: %d of %d judged, %d with a problem", i.State, i.Judged, i.Documents, i.Refused)
	switch {
	case i.Paused && i.Finished == nil:
		text += ", paused"
	case i.Seconds != nil:
		text += fmt.Sprintf(", %s left", time.Duration(*i.Seconds)*time.Second)
	case i.Until != nil:
		text += ", kept until " + i.Until.Format(time.DateOnly)
	}
	return text
}

type batchInfos []batchInfo

func (all *batchInfos) show(out io.Writer) error {
	if len(*all) == 0 {
		_, err := fmt.Fprintln(out, "there is no batch")
		return err
	}
	for i := range *all {
		if err := (*all)[i].show(out); err != nil {
			return err
		}
	}
	return nil
}

func batchStatus(f *batchFlags) *cobra.Command {
	return f.command("status [ID]", "Say how far a batch is, or all of them", cobra.MaximumNArgs(1),
		func(ctx context.Context, b *batches, args []string) (any, error) {
			if len(args) == 0 {
				all := batchInfos{}
				return &all, b.call(ctx, http.MethodGet, "/v1/batches", nil, &all)
			}
			return b.info(ctx, args[0])
		})
}

func (b *batches) info(ctx context.Context, id string) (*batchInfo, error) {
	var i batchInfo
	return &i, b.call(ctx, http.MethodGet, batchPath(id), nil, &i)
}

func batchResults(f *batchFlags) *cobra.Command {
	var output string
	var ordered bool
	c := f.command("results ID", "Print the results, a JSON object a line", cobra.ExactArgs(1),
		func(ctx context.Context, b *batches, args []string) (any, error) {
			return nil, b.results(ctx, args[0], output, ordered)
		})
	c.Flags().StringVar(&output, "output", "", "`file` to put them into; what it holds already is not fetched again")
	c.Flags().BoolVar(&ordered, "ordered", false, "in the order of the documents, as far as there is no gap")
	return c
}

// results writes what is there, and says by its error what the results are.
func (b *batches) results(ctx context.Context, id, output string, ordered bool) error {
	var to io.Writer = b.out
	path, begin := batchPath(id)+"/results", int64(0)
	if ordered {
		path += "?from=0"
	}
	if output != "" {
		if ordered {
			return errors.New("--output goes on where it was, which --ordered does not: leave one out")
		}
		file, err := os.OpenFile(output, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		if begin, err = file.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		to = file
	}
	judged := &verdicts{to: to}
	err := b.download(ctx, path, begin, judged)
	if output != "" && err == nil {
		return judged.ofFile(output)
	}
	return errors.Join(err, judged.status.err())
}

// download copies results from a byte on.
func (b *batches) download(ctx context.Context, path string, begin int64, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		return err
	}
	if begin > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", begin))
	}
	response, err := b.client.Do(request)
	if err != nil {
		return fmt.Errorf("batchd does not answer: %w", err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable: // nothing came since
		return nil
	case response.StatusCode == http.StatusPartialContent, response.StatusCode == http.StatusOK && begin == 0:
		_, err := io.Copy(to, response.Body)
		return err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return errors.Join(problemIn("batchd", response, text), err)
}

// verdicts looks at results while they are written: lines, of which the last may be cut.
type verdicts struct {
	to     io.Writer
	rest   []byte // of a line that has not ended
	status exitCode
}

// Write is part of io.Writer.
func (v *verdicts) Write(p []byte) (int, error) {
	for data := p; len(data) > 0; {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		v.rest = append(v.rest, line...)
		if ended {
			v.status = v.status.and(statusOf(v.rest))
			v.rest = v.rest[:0]
		}
		data = rest
	}
	return v.to.Write(p)
}

// ofFile is what all results in a file say.
func (v *verdicts) ofFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	all := &verdicts{to: io.Discard}
	if _, err := io.Copy(all, file); err != nil {
		return err
	}
	return all.status.err()
}

// statusOf is what one result says, as trustctl verify says it of a document.
func statusOf(line []byte) exitCode {
	var r struct {
		Report  *outcome         `json:"report"`
		Problem *json.RawMessage `json:"problem"`
	}
	if err := json.Unmarshal(line, &r); err != nil || r.Problem != nil || r.Report == nil {
		return notDone
	}
	return r.Report.status()
}
