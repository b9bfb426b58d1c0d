package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/identity"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
)

// officer speaks to trustd, or another daemon, as one officer.
type officer struct {
	daemon   string
	identity identity.Identity
	url      string
	client   *http.Client
}

// officerFlags choose the officer and the appliance.
type officerFlags struct {
	state, as, server string
	asJSON            bool
}

func (f *officerFlags) add(c *cobra.Command) {
	stateFlag(c, &f.state)
	c.PersistentFlags().StringVar(&f.as, "as", "officer-1", "which `officer` acts: the name of a certificate in the state's folder officers")
	c.PersistentFlags().StringVar(&f.server, "server", "", "https `URL` of trustd (default from the state's configuration)")
}

// group makes a command of subcommands that an officer runs, all of which can answer in JSON.
func (f *officerFlags) group(use, short, long string) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long}
	f.add(c)
	c.PersistentFlags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// do makes a subcommand that asks trustd and shows the answer.
func (f *officerFlags) do(use, short string, args cobra.PositionalArgs,
	run func(ctx context.Context, o *officer, args []string) (any, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, args []string) error {
		o, err := f.open()
		if err != nil {
			return err
		}
		answer, err := run(c.Context(), o, args)
		if err != nil {
			return err
		}
		return show(c.OutOrStdout(), answer, f.asJSON)
	}}
}

// again repeats the flags that choose the appliance, for a command that another officer is told to run.
func (f *officerFlags) again(as string) string {
	text := " --as " + as
	if f.state != defaultState {
		text += " --state " + f.state
	}
	if f.server != "" {
		text += " --server " + f.server
	}
	return text
}

func (f *officerFlags) open() (*officer, error) {
	st, err := openState(f.state)
	if err != nil {
		return nil, err
	}
	url := f.server
	if url == "" {
		l, err := st.layout()
		if err != nil {
			return nil, fmt.Errorf("%w; start the appliance with `trustctl up`, or name --state or --server", err)
		}
		url = l.Trustd
	}
	return newOfficer(url, st.officer(f.as))
}

func newOfficer(url string, id identity.Identity) (*officer, error) {
	client, err := id.HTTP(2 * time.Minute)
	if err != nil {
		return nil, fmt.Errorf("--as: %w", err)
	}
	return &officer{daemon: "trustd", identity: id, url: strings.TrimSuffix(url, "/"), client: client}, nil
}

// maxAnswer bounds an answer of trustd in bytes.
const maxAnswer = 64 << 20

// call sends in (JSON, or bytes as they are) and decodes the answer into out. A refusal is a *problem.Problem.
func (o *officer) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(in)
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, o.url+path, body)
	if err != nil {
		return err
	}
	response, err := o.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", o.daemon, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s's answer: %w", o.daemon, err)
	}
	if response.StatusCode/100 != 2 {
		return problemIn(o.daemon, response, data)
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, out)
}

func problemIn(daemon string, response *http.Response, data []byte) error {
	var p problem.Problem
	if err := json.Unmarshal(data, &p); err != nil || p.Title == "" {
		return fmt.Errorf("%s answered %s", daemon, response.Status)
	}
	if p.Field != "" {
		p.Detail = p.Field + ": " + p.Detail
	}
	return &p
}

// show writes an answer for people, or as JSON for programs.
func show(out io.Writer, v any, asJSON bool) error {
	if asJSON {
		return writeJSON(out, v)
	}
	switch v := v.(type) {
	case *registry.Record:
		return showOrder(out, v)
	case *[]registry.Record:
		return showOrders(out, *v)
	case interface{ show(out io.Writer) error }:
		return v.show(out)
	}
	return nil
}

// table aligns columns; the first row is their names.
func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// printJSON writes a value for programs.
func printJSON(v any) error { return writeJSON(os.Stdout, v) }

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
