package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// Bounds of a measurement's settings.
const (
	maxBenchSeconds     = 3600
	maxBenchConcurrency = 4096
)

// benchSettings are the flags that every measurement has.
type benchSettings struct {
	json        bool
	seconds     float64
	concurrency int // 0: each measurement's own
	note        func(string)
	keyID       string // hsm
	cases       string // chain
	peers       int    // vpn
	files       string // verify
	megabytes   int    // verify
	documents   int    // batch
	verify      verifyOptions
}

func (s *benchSettings) duration() time.Duration {
	return time.Duration(s.seconds * float64(time.Second))
}

// workers is the concurrency: what was asked for, or the measurement's own.
func (s *benchSettings) workers(own int) int {
	if s.concurrency > 0 {
		return s.concurrency
	}
	return own
}

// measurement is what one run says. Ratio is PerSecond by the limit's; both were taken in turns in this run.
type measurement struct {
	What      string         `json:"what"`
	Unit      string         `json:"unit"`
	PerSecond float64        `json:"per_second"`
	P50       float64        `json:"p50_us"`
	P99       float64        `json:"p99_us"`
	RSS       float64        `json:"rss_mb"` // the process at its largest
	Limit     measuredLimit  `json:"limit"`
	Ratio     float64        `json:"ratio"`
	Details   map[string]any `json:"details"`
}

type measuredLimit struct {
	What      string  `json:"what"`
	PerSecond float64 `json:"per_second"`
}

// figures is one rate in the details.
type figures struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	Ratio     float64 `json:"ratio,omitempty"`           // to the limit that belongs to it
	Processor float64 `json:"processor_ratio,omitempty"` // the same by processor time, where that is measured
}

// set fills in the headline.
func (m *measurement) set(r rate, limitIs string, limit rate) {
	m.PerSecond, m.P50, m.P99 = r.perSecond, microseconds(r.p50), microseconds(r.p99)
	m.Limit = measuredLimit{limitIs, limit.perSecond}
	m.Ratio = ratio(r, limit)
}

func (r rate) figures(limit rate) figures {
	return figures{PerSecond: r.perSecond, P50: microseconds(r.p50), P99: microseconds(r.p99), Ratio: ratio(r, limit)}
}

func ratio(r, limit rate) float64 {
	if limit.perSecond == 0 {
		return 0
	}
	return r.perSecond / limit.perSecond
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// benchmark is one WHAT of trustctl bench.
type benchmark struct {
	what, short string
	flags       func(*cobra.Command, *benchSettings)
	measure     func(context.Context, *benchSettings) (*measurement, error)
}

func benchmarks() []benchmark {
	return []benchmark{
		{"verify", "documents judged in process", verifyFlags, benchVerify},
		{"chain", "certificate chains validated", chainFlags, benchChain},
		{"hsm", "signatures through the gateway", hsmFlags, benchHSM},
		{"ocsp", "OCSP answers over HTTP", nil, benchOCSP},
		{"tsa", "time-stamps over HTTP", nil, benchTSA},
		{"vpn", "a gateway's peers kept as wished", vpnFlags, benchVPN},
		{"api", "validations over HTTPS", nil, benchAPI},
		{"batch", "batches of documents", benchBatchFlags, benchBatch},
	}
}

func benchCommand() *cobra.Command {
	var s benchSettings
	c := &cobra.Command{
		Use:   "bench WHAT",
		Short: "Measure this machine, with the limit in the same run",
		Long: `Measures this machine, now. Since absolute figures do not last from one machine to the next, each
measurement takes turns with its limit: what no implementation could go below, such as the bare signature
checks of the documents. Keys, certificates and documents are made for the run in a temporary folder that
is removed; only loopback addresses are used.

  trustctl bench verify                              a mix of documents made for the run
  trustctl bench verify --files LIST --at TIME       files of one's own; LIST has a path or a job a line
  trustctl bench verify --megabytes 100              documents of that size, each in a process of its own
  trustctl bench hsm --json --seconds 10 --concurrency 32`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("bench: %q is not measured: name one of %s", args[0], strings.Join(benchNames(), ", "))
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("bench: name what to measure: %s", strings.Join(benchNames(), ", "))
		},
	}
	f := c.PersistentFlags()
	f.BoolVar(&s.json, "json", false, "one JSON object")
	f.Float64Var(&s.seconds, "seconds", 5, "how long to measure; preparing comes on top")
	f.IntVar(&s.concurrency, "concurrency", 0, "workers or clients at a time (default: what suits the measurement)")
	for _, b := range benchmarks() {
		sub := &cobra.Command{Use: b.what, Short: "Measure " + b.short, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return s.run(c.Context(), b, c.OutOrStdout()) }}
		if b.flags != nil {
			b.flags(sub, &s)
		}
		c.AddCommand(sub)
	}
	return c
}

func benchNames() (names []string) {
	for _, b := range benchmarks() {
		names = append(names, b.what)
	}
	return names
}

func (s *benchSettings) run(ctx context.Context, b benchmark, out io.Writer) error {
	if !(s.seconds > 0 && s.seconds <= maxBenchSeconds) {
		return fmt.Errorf("--seconds: %v is not above 0 and at most %d", s.seconds, maxBenchSeconds)
	}
	if s.concurrency < 0 || s.concurrency > maxBenchConcurrency {
		return fmt.Errorf("--concurrency: %d is not within 1 to %d", s.concurrency, maxBenchConcurrency)
	}
	var done func()
	s.note, done = progress(b.what)
	m, err := b.measure(ctx, s)
	done()
	if err != nil {
		return fmt.Errorf("bench %s: %w", b.what, err)
	}
	m.What = b.what
	if m.RSS, err = largestResident(); err != nil {
		return fmt.Errorf("bench %s: %w", b.what, err)
	}
	m.Details["cpus"] = runtime.GOMAXPROCS(0)
	if s.json {
		return json.NewEncoder(out).Encode(m)
	}
	return m.print(out)
}

// progress writes what is being done on a terminal's last line, and nowhere else.
func progress(what string) (note func(string), done func()) {
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func(string) {}, func() {}
	}
	note = func(text string) { fmt.Fprintf(os.Stderr, "\r\x1b[Kbench %s: %s", what, text) }
	return note, func() { fmt.Fprint(os.Stderr, "\r\x1b[K") }
}

// print writes a table for people.
func (m *measurement) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%.6g a second (%s)\tp50 %.6g us\tp99 %.6g us\n", m.What, m.PerSecond, m.Unit, m.P50, m.P99)
	if m.Limit.What != "" {
		fmt.Fprintf(w, "limit\t%.6g a second (%s)\tratio %.3g\n", m.Limit.PerSecond, m.Limit.What, m.Ratio)
	}
	fmt.Fprintf(w, "memory\t%.0f MB at most\n", m.RSS)
	printDetails(w, "", m.Details)
	return errors.Join(w.Flush())
}

func printDetails(w io.Writer, prefix string, details map[string]any) {
	names := make([]string, 0, len(details))
	for name := range details {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch v := details[name].(type) {
		case map[string]any:
			printDetails(w, prefix+name+" ", v)
		case figures:
			fmt.Fprintf(w, "%s%s\t%.6g a second\tp50 %.6g us\tp99 %.6g us", prefix, name, v.PerSecond, v.P50, v.P99)
			if v.Ratio > 0 {
				fmt.Fprintf(w, "\tratio %.3g", v.Ratio)
			}
			fmt.Fprintln(w)
		case float64:
			fmt.Fprintf(w, "%s%s\t%.6g\n", prefix, name, v)
		default:
			fmt.Fprintf(w, "%s%s\t%v\n", prefix, name, v)
		}
	}
}
