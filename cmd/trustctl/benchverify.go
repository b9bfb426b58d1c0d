package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/budget"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

func verifyFlags(c *cobra.Command, s *benchSettings) {
	f := c.Flags()
	f.StringVar(&s.files, "files", "", "`list` of documents: a path or a job of trustctl verify a line (default: a mix made for the run)")
	f.IntVar(&s.megabytes, "megabytes", 0, "judge documents of this size instead, each in a process of its own, and tell the memory that it takes")
	f.StringVar(&s.verify.at, "at", "", "time of validation of --files, RFC 3339 (default now)")
	f.StringVar(&s.verify.lists.Dir, "trust-lists", "", "`folder` with trusted lists for --files")
	f.StringVar(&s.verify.lists.LOTLSigners, "lotl-signers", "", "`folder` with PEM certificates that may sign the list of the lists")
	f.StringArrayVar(&s.verify.lists.Extra, "extra-list", nil, "trusted list `file` outside the list of the lists")
	f.StringArrayVar(&s.verify.lists.Anchors, "anchors", nil, "PEM `file` with further anchors")
}

// benchVerify measures documents with a warm cache and a cold one against their bare cryptography.
func benchVerify(ctx context.Context, s *benchSettings) (*measurement, error) {
	if s.megabytes != 0 {
		return benchLarge(ctx, s)
	}
	s.note("preparing documents")
	defer debug.SetGCPercent(debug.SetGCPercent(verify.GCPercent)) // as verifyd has it
	mix, err := s.mix(ctx)
	if err != nil {
		return nil, err
	}
	left := mix.leaveOut(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(mix.documents) == 0 {
		return nil, errors.New("none of the files is a signed document that can be judged")
	}
	m := &measurement{Unit: "documents", Details: map[string]any{"documents": len(mix.documents), "workers": s.workers(1)}}
	if left > 0 {
		m.Details["left_out"] = left
	}
	formats := mix.byFormat()
	shares := len(formats)
	if shares > 1 {
		shares++ // all together come first, with half of the time
	}
	s.note("all documents")
	rates, err := mix.measure(ctx, s, mix.documents, share(s.duration(), shares > 1, 0))
	if err != nil {
		return nil, err
	}
	m.set(rates[warmWay], "the public-key operations and hashes of the same documents", rates[bareWay])
	m.Details["cold"] = rates[coldWay].figures(rates[bareColdWay])
	m.Details["processor_time"] = map[string]any{"warm_ratio": processorRatio(rates[warmWay], rates[bareWay]),
		"cold_ratio": processorRatio(rates[coldWay], rates[bareColdWay])}
	for name, subjects := range mix.bySize() {
		of := func(way int) rate { return rates[way].of(subjects, s.workers(1)) }
		m.Details[name] = map[string]any{"documents": len(subjects),
			"warm": of(warmWay).figures(of(bareWay)), "cold": of(coldWay).figures(of(bareColdWay))}
	}
	for _, name := range sortedKeys(formats) {
		s.note(name)
		rates, err := mix.measure(ctx, s, formats[name], share(s.duration(), true, len(formats)))
		if err != nil {
			return nil, err
		}
		m.Details[name] = map[string]any{"warm": rates[warmWay].figures(rates[bareWay]), "cold": rates[coldWay].figures(rates[bareColdWay])}
	}
	s.note("phases")
	m.Details["phases_us"], err = mix.phases(ctx)
	return m, err
}

// share divides the time: half for the headline, the other half for the parts.
func share(total time.Duration, parted bool, parts int) time.Duration {
	switch {
	case !parted:
		return total
	case parts == 0:
		return total / 2
	}
	return total / time.Duration(2*parts)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// mix makes the documents or reads those of --files.
func (s *benchSettings) mix(ctx context.Context) (*benchMix, error) {
	if s.files == "" {
		return mint(ctx)
	}
	at := time.Now()
	if s.verify.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, s.verify.at); err != nil {
			return nil, fmt.Errorf("--at: %q: write a time such as 2026-03-03T12:00:00Z", s.verify.at)
		}
	}
	jobs, err := readList(s.files, at)
	if err != nil {
		return nil, err
	}
	mix := &benchMix{}
	for _, j := range jobs {
		d, err := j.load()
		if err != nil {
			return nil, fmt.Errorf("--files: %w", err)
		}
		mix.documents = append(mix.documents, d)
	}
	s.note("loading trusted lists")
	if mix.evidence.Lists, err = trustlist.Load(ctx, s.verify.lists); err != nil {
		return nil, err
	}
	mix.evidence.Cache, err = cache.New(cache.Config{
		Certificates: cachedCertificates, Verdicts: cachedVerdicts, Evidence: cachedEvidence,
	})
	return mix, err
}

// readList reads a path or a job a line; lines that begin with # are comments.
func readList(file string, at time.Time) (jobs []job, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--files: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		j := job{At: at}
		switch text := strings.TrimSpace(lines.Text()); {
		case text == "", strings.HasPrefix(text, "#"):
			continue
		case !strings.HasPrefix(text, "{"):
			j.File = text
		case json.Unmarshal([]byte(text), &j) != nil || j.File == "":
			return nil, fmt.Errorf("--files, line %d: neither a path nor a job {\"file\", \"detached\", \"at\"}", n)
		}
		jobs = append(jobs, j)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--files: %w", err)
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("--files: %s names no document", file)
	}
	return jobs, nil
}

func (j job) load() (*benchDocument, error) {
	data, err := os.ReadFile(j.File)
	if err != nil {
		return nil, err
	}
	d := &benchDocument{name: j.File, data: data, at: j.At}
	for _, file := range j.Detached {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		d.detached = append(d.detached, signature.Detached{Name: filepath.Base(file), Content: content})
	}
	return d, nil
}

// leaveOut drops documents that hold no signature or cannot be judged, judges the others once, and says how many were dropped.
func (mix *benchMix) leaveOut(ctx context.Context) int {
	before := len(mix.documents)
	mix.documents = slices.DeleteFunc(mix.documents, func(d *benchDocument) bool {
		report, err := d.judge(ctx, &mix.evidence)
		if err != nil || len(report.Signatures) == 0 {
			return true
		}
		if d.format == "" {
			d.format = report.Signatures[0].Format
		}
		return false
	})
	return before - len(mix.documents)
}

func (mix *benchMix) byFormat() map[string][]*benchDocument {
	formats := map[string][]*benchDocument{}
	for _, d := range mix.documents {
		formats[d.format] = append(formats[d.format], d)
	}
	return formats
}

// sizeClasses are bounds of what is read for a document, in octets, with the class of what is less.
var sizeClasses = []struct {
	below int
	name  string
}{{10_000, "below_10_kB"}, {100_000, "10_to_100_kB"}, {1_000_000, "100_kB_to_1_MB"}}

// bySize are the documents of each class, and those of all classes below 1 MB, by their places.
func (mix *benchMix) bySize() map[string][]int {
	classes := map[string][]int{}
	for i, d := range mix.documents {
		size, class := d.size(), "1_MB_and_more"
		for _, c := range slices.Backward(sizeClasses) {
			if size < c.below {
				class = c.name
			}
		}
		classes[class] = append(classes[class], i)
		if size < 1_000_000 {
			classes["below_1_MB"] = append(classes["below_1_MB"], i)
		}
	}
	return classes
}

func (d *benchDocument) size() int {
	n := len(d.data)
	for _, f := range d.detached {
		n += len(f.Content)
	}
	return n
}

// The ways of verification, the slowest first.
const (
	coldWay = iota
	warmWay
	bareColdWay
	bareWay
)

// The cold way's cache serves one document.
const (
	coldCertificates = 1_000
	coldVerdicts     = 1_000
	coldEvidence     = 32 << 20
)

// measure lets the ways take turns on documents.
func (mix *benchMix) measure(ctx context.Context, s *benchSettings, documents []*benchDocument, total time.Duration) ([]rate, error) {
	limits := make([]*bareWork, len(documents))
	for i, d := range documents {
		doc, err := verify.Open(budget.New(ctx, len(d.data)), d.data, d.detached...)
		if err != nil {
			return nil, err
		}
		limits[i] = bare(doc, d.data, d.detached, mix.roots, &mix.evidence)
	}
	judge := func(ctx context.Context, d *benchDocument, ev *verify.Evidence) error {
		_, err := d.judge(ctx, ev)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		return nil
	}
	return alternate(ctx, total, s.workers(1), len(documents), []way{
		coldWay: {name: "cold", do: func(ctx context.Context, n int) error {
			ev := mix.evidence
			var err error
			if ev.Cache, err = cache.New(cache.Config{
				Certificates: coldCertificates, Verdicts: coldVerdicts, Evidence: coldEvidence,
			}); err != nil {
				return err
			}
			return judge(ctx, documents[n], &ev)
		}},
		warmWay:     {name: "warm", do: func(ctx context.Context, n int) error { return judge(ctx, documents[n], &mix.evidence) }},
		bareColdWay: {name: "limit of cold", do: func(_ context.Context, n int) error { return limits[n].do(true) }},
		bareWay:     {name: "limit", do: func(_ context.Context, n int) error { return limits[n].do(false) }},
	})
}
