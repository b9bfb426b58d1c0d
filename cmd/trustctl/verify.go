package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/evidence"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/trustlist"
)

// The caches of one run; a run over thousands of documents meets the same issuers again and again.
const (
	cachedCertificates = 20_000
	cachedVerdicts     = 200_000
	cachedEvidence     = 32 << 20
)

// verifyOptions are the flags of trustctl verify.
type verifyOptions struct {
	json, offline bool
	trace         bool
	active        bool
	detached      []string
	digests       []string
	digestList    string
	passwordFiles []string
	allow         []string
	proxy         string
	at            string
	lists         trustlist.Sources
	jobs          string
	language      string
	policy        string
	bundle        string
	report        string
	reportFile    string
	pins          string
	cards         string
	service       string
	settings      string
	state         string
	table         bool
	numbers       bool

	withoutDocument bool
}

const verifyHelp = `Verifies signed documents (XAdES, CAdES, PAdES, JAdES, ASiC), time-stamps and evidence records as
ETSI EN 319 102-1 says and prints one verdict a signature. With --json one line of JSON a file; a file that
can't be judged is that line's "error".

A folder is looked through with the folders in it, and told of in a table; a signature beside its file (FILE.p7s,
FILE.sig, FILE.xades and the like) is about that file. "-" is a document on standard input.

  trustctl verify contract.pdf
  trustctl verify incoming/
  trustctl verify --json "incoming/*.pdf"

Trust comes from --trust-lists (a folder with the Union's list of the lists and national lists, plain or gzip), with
--lotl-signers (PEM certificates that may sign the list of the lists), from --extra-list, and from --anchors (PEM
certificates trusted at all times). Where none of these is given the verifyd of --state is followed: its lists, anchors,
pins, service cards and policy, as its configuration says, of which standard error tells. --settings names another such
file, with any of trust_lists, lotl_signers, extra_lists, anchors, pins, service_cards, policy, offline, fetch_allow and
proxy; relative paths are those of its folder, and a flag takes the place of its key. Without all of them nothing leads
to an anchor.

Nothing is fetched unless --offline=false or a settings file is followed that does not say offline: true: then OCSP
answers, CRLs and missing issuers that a document lacks are asked for where its certificates say. Private addresses are
not asked, but for those of --fetch-allow.

  trustctl verify --trust-lists lists/ --lotl-signers signers/ contract.pdf
  trustctl verify --anchors ca.pem --detached data.bin signature.p7s
  trustctl verify --offline=false --trust-lists lists/ --lotl-signers signers/ contract.pdf
  trustctl verify --settings verify.yaml contract.pdf
  trustctl verify --json --jobs jobs.jsonl

A line of --jobs is {"file", "detached": [FILE], "digests": [DIGEST], "password_files": [FILE], "at": TIME}, of which
all but file may be left out. On a terminal, standard error tells how far it is.

Of a file that must not leave its office a digest does: --detached-digest, or a list that sha256sum wrote. The report
says so where it says what is covered. SHA-1 and its elders are refused, since two files can share such a digest. It
stands in for a file beside the signature, for a data object that an ASiC-E container does not hold, and for the byte
range of a PDF whose signature (the octets of Contents) is given as a CMS.

  trustctl verify --anchors ca.pem --detached-digest data.bin=SHA-256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 signature.p7s
  trustctl verify --anchors ca.pem --digest-list SHA256SUMS signature.p7s

The password of an encrypted PDF stands alone in a file, without or with an end of line: it is taken from no argument
and no environment, and kept nowhere. A document whose password is missing or wrong is INDETERMINATE, with a note.

  trustctl verify --anchors ca.pem --password-file password.txt contract.pdf

Kinds of Polish law are told by keys that are pinned with their days: by the list that comes with the program, or by that
of --pins, which takes its place (docs/pins.md). With --service the outcome is told for a service, by the kinds that its
card accepts: accepted, a formal defect (brak formalny, art. 64 § 2 k.p.a.) with the text of the summons, or open.
Personal numbers are hidden but for their last digits, unless --personal-numbers asks for them.

  trustctl verify --pins pins.json --service-cards cards.yaml --service podatki FILE

Scripts, macros, programs, attachments and content from elsewhere are told with --active-content, apart from the verdict:

  trustctl verify --active-content --anchors ca.pem contract.pdf

With --report a report is made that can be kept beside the document, printed and shown (docs/reports.md): PDF with pictures,
HTML of one file, XML of ETSI TS 119 102-2. Of several documents --report-file is a folder. No file is written over:

  trustctl verify --report pdf --report-file contract-report.pdf --anchors ca.pem contract.pdf
  trustctl verify --report html --report-file reports/ --anchors ca.pem contract.pdf signature.p7s
  trustctl verify --report etsi-xml --anchors ca.pem contract.pdf > report.xml

With --bundle everything that the verdict rests on is kept in a file, by which trustctl replay gives it again:

  trustctl verify --bundle contract.zip --trust-lists lists/ --lotl-signers signers/ contract.pdf

Exit status: 0 everything in every document passed; 3 something did not, or a document holds no signature; 1 a document
could not be judged, or the command not be carried out: the reason is in the document's line, or on standard error. With
--service 0 means that every document was accepted for the service, and 3 that one was not, or not yet.`

func verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify [flags] FILE|FOLDER...",
		Short: "Verify signed documents",
		Long:  verifyHelp,
		RunE: func(c *cobra.Command, files []string) error {
			if err := o.adopt(c.Flags(), c.ErrOrStderr()); err != nil {
				return err
			}
			return o.run(c.Context(), c.OutOrStdout(), files)
		},
	}
	stateFlag(c, &o.state)
	o.inputFlags(c.Flags())
	o.trustFlags(c.Flags())
	o.outputFlags(c.Flags())
	return c
}

// inputFlags say what is judged, and of when.
func (o *verifyOptions) inputFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.detached, "detached", nil, "`file` that a detached signature is about; may be repeated")
	f.StringArrayVar(&o.digests, "detached-digest", nil,
		"`[NAME=]ALGORITHM:VALUE`, a digest in place of such a file, hexadecimal or base64; may be repeated")
	f.StringVar(&o.digestList, "digest-list", "", "`file` with digests in place of such files, as sha256sum writes it")
	f.StringArrayVar(&o.passwordFiles, "password-file", nil,
		"`file` with the password of encrypted PDFs, - for standard input; may be repeated")
	f.StringVar(&o.at, "at", "", "time of validation, RFC 3339 (default now)")
	f.StringVar(&o.jobs, "jobs", "", "`file` with one job a line, - for standard input")
	f.StringVar(&o.service, "service", "", "`id` of the service in --service-cards that the documents are for")
}

// trustFlags say what is trusted and asked for, and what a signature must meet.
func (o *verifyOptions) trustFlags(f *pflag.FlagSet) {
	f.StringVar(&o.settings, "settings", "",
		"`file` (YAML) with what flags leave open (default that of the verifyd of --state; none for nothing)")
	f.BoolVar(&o.offline, "offline", true, "judge by what the documents and the lists hold; nothing is fetched")
	f.StringArrayVar(&o.allow, "fetch-allow", nil, "private `address:port` that may be asked with --offline=false; may be repeated")
	f.StringVar(&o.proxy, "proxy", "", "http or https `URL` of the proxy through which is fetched")
	f.StringVar(&o.lists.Dir, "trust-lists", "", "`folder` with trusted lists, told apart by content")
	f.StringVar(&o.lists.LOTLSigners, "lotl-signers", "", "`folder` with PEM certificates that may sign the list of the lists")
	f.StringArrayVar(&o.lists.Extra, "extra-list", nil, "trusted list `file` outside the list of the lists, taken with the signer in its own signature")
	f.StringArrayVar(&o.lists.Anchors, "anchors", nil, "PEM `file` with further anchors, trusted at all times")
	f.StringVar(&o.policy, "policy", "strict", "what a signature must meet: strict, dss-default as the Commission's DSS has it, or a `file` (trustctl policy)")
	f.StringVar(&o.pins, "pins", "", "`file` with the pinned keys of Polish law, in place of those that are shipped")
	f.StringVar(&o.cards, "service-cards", "", "`file` (YAML or JSON) with the kinds that services accept (also --cards)")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "cards" {
			name = "service-cards"
		}
		return pflag.NormalizedName(name)
	})
}

// outputFlags say what is printed and kept.
func (o *verifyOptions) outputFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.table, "table", false, "one line a signature (the default for folders)")
	f.BoolVar(&o.json, "json", false, "one JSON object a line")
	f.BoolVar(&o.trace, "trace", false, "with --json, also how each verdict was come to: building blocks, constraints, what they rest on")
	f.BoolVar(&o.active, "active-content", false, "also tell what runs, opens, is sent or lies hidden in the documents")
	f.StringVar(&o.language, "language", "", "language of sentences, reasons and notes: pl or en (default pl; with --json reasons and notes in English)")
	f.StringVar(&o.bundle, "bundle", "", "new `file` (ZIP) for what the verdict rests on: document, evidence, lists, policy, time")
	f.StringVar(&o.report, "report", "",
		"the report in a `form` to be kept: pdf, html, etsi-xml (ETSI TS 119 102-2) or bundle; not signed")
	f.StringVar(&o.reportFile, "report-file", "",
		"new `file` for --report, of several documents a folder (default standard output, with nothing else)")
	f.BoolVar(&o.numbers, "personal-numbers", false, "show personal numbers such as PESEL as a whole")
	f.BoolVar(&o.withoutDocument, "without-document", false, "keep the document's digest in the bundle instead of the document")
}

func (o *verifyOptions) run(ctx context.Context, out io.Writer, files []string) error {
	at, err := o.time(time.Time{})
	if err != nil {
		return err
	}
	if err := o.checkReport(); err != nil {
		return err
	}
	if err := o.checkLanguage(); err != nil {
		return err
	}
	switch {
	case o.trace && !o.json:
		return errors.New("--trace is part of --json")
	case o.table && o.json:
		return errors.New("--table: leave it out with --json")
	}
	chosen, err := policy.Open(o.policy)
	if err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	jobs, err := o.read(files, at)
	if err != nil {
		return err
	}
	for i := range jobs {
		jobs[i].trace, jobs[i].active, jobs[i].numbers, jobs[i].language = o.trace, o.active, o.numbers, o.language
	}
	if err := o.place(jobs); err != nil {
		return err
	}
	passwords, err := readPasswords(o.passwordFiles)
	defer passwords.wipe()
	if err != nil {
		return fmt.Errorf("--password-file: %w", err)
	}
	pins, err := o.readPins()
	if err != nil {
		return err
	}
	card, err := o.card()
	if err != nil {
		return err
	}
	lists, kept, err := o.trust(ctx, jobs, pins)
	if err != nil {
		return err
	}
	warn(lists)
	judge, err := o.verifier(lists, chosen, pins.Pins)
	if err != nil {
		return err
	}
	v := &verifier{judge, kept, chosen, card, passwords}
	boundMemory(jobs)
	if o.report != "" && o.reportFile == "" {
		return v.write(ctx, jobs, o.report, out)
	}
	return o.show(ctx, jobs, v, out)
}

// verifier judges by the lists, the policy and the pins; unless it is offline it fetches what documents lack.
func (o *verifyOptions) verifier(lists *trustlist.Snapshot, policy *verify.Policy, pins *poland.Pins) (*verify.Verifier, error) {
	cache, err := cache.New(cache.Config{Certificates: cachedCertificates, Verdicts: cachedVerdicts, Evidence: cachedEvidence})
	if err != nil {
		return nil, err
	}
	cfg := verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Cache: cache, Policy: policy, Now: time.Now, Complain: complain,
		Pins: pins}
	if !o.offline {
		if cfg.Gatherer, err = o.gatherer(cache); err != nil {
			return nil, err
		}
	}
	return verify.New(cfg)
}

func (o *verifyOptions) checkLanguage() error {
	if o.language == "" && !o.json {
		o.language = verify.Languages[0] // what people read; programs get it as it is written
	}
	if o.language != "" && o.language != "pl" && o.language != "en" {
		return fmt.Errorf("--language: %q is neither pl nor en", o.language)
	}
	return nil
}

// time is that of --at, or another one where it is not given.
func (o *verifyOptions) time(other time.Time) (time.Time, error) {
	if o.at == "" {
		return other, nil
	}
	at, err := time.Parse(time.RFC3339, o.at)
	if err != nil {
		return at, fmt.Errorf("--at: %q: write a time such as 2026-03-03T12:00:00Z", o.at)
	}
	return at, nil
}

// boundMemory makes the collector keep up with documents that make much garbage: beside what is there already, a
// document may take 64 MiB and two octets an octet of it.
func boundMemory(jobs []job) {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	var largest int64
	for _, j := range jobs {
		if info, err := os.Stat(j.File); err == nil {
			largest = max(largest, info.Size())
		}
	}
	atOnce := int64(min(len(jobs), runtime.NumCPU()))
	debug.SetMemoryLimit(int64(now.Sys) + atOnce*(64<<20+2*min(largest, verify.MaxDocument)))
}

// gatherer returns what fetches the evidence that documents lack.
func (o *verifyOptions) gatherer(cache *cache.Cache) (*evidence.Gatherer, error) {
	cfg := evidence.Config{Cache: cache, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	if o.proxy != "" {
		u, err := url.Parse(o.proxy)
		if err != nil || u.Host == "" {
			return nil, errors.New("--proxy: this is no http or https URL") // which may hold a password
		}
		cfg.Proxy = u
	}
	for _, text := range o.allow {
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("--fetch-allow: %q: write an address such as 10.0.0.7:80", text)
		}
		cfg.Allow = append(cfg.Allow, address)
	}
	return evidence.New(cfg)
}

// warn tells of lists that could not be used; their countries' signatures will not be confirmed.
func warn(lists *trustlist.Snapshot) {
	for _, s := range lists.Status() {
		if s.Error != "" {
			fmt.Fprintf(os.Stderr, "trustctl: trusted list %s is not used: %s\n", s.File, s.Error)
		}
	}
}
