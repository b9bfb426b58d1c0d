package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/mapped"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/evidence"
	"trustcore/verify/poland"
	"trustcore/verify/policy"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// judgeTimeout bounds the work on one document.
const judgeTimeout = time.Minute

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
	detached      []string
	digests       []string
	digestList    string
	passwordFiles []string
	allow         []string
	at            string
	lists         trustlist.Sources
	jobs          string
	language      string
	policy        string
	bundle        string
	report        string
	pins          string
	cards         string
	service       string
	numbers       bool

	withoutDocument bool
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify [flags] FILE...",
		Short: "Verify signed documents",
		Long: `Verifies signed documents (XAdES, CAdES, PAdES, JAdES, ASiC), time-stamps and evidence records as
ETSI EN 319 102-1 says and prints one verdict a signature. With --json one line of JSON a file; a file that
can't be judged is that line's "error".

Trust comes from --trust-lists (a folder with the Union's list of the lists and national lists, plain or
gzip), with --lotl-signers (PEM certificates that may sign the list of the lists), from --extra-list, and
from --anchors (PEM certificates trusted at all times). Without any of them nothing leads to an anchor.

Nothing is fetched unless --offline=false: then OCSP answers, CRLs and missing issuers that a document lacks
are asked for where its certificates say. Private addresses are not asked, but for those of --fetch-allow.

  trustctl verify --trust-lists lists/ --lotl-signers signers/ contract.pdf
  trustctl verify --anchors ca.pem --detached data.bin signature.p7s
  trustctl verify --offline=false --trust-lists lists/ --lotl-signers signers/ contract.pdf
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

With --bundle everything that the verdict rests on is kept in a file, by which trustctl replay gives it again:

  trustctl verify --bundle contract.zip --trust-lists lists/ --lotl-signers signers/ contract.pdf

Exit status: 0 everything in every document passed; 3 something did not, or a document holds no signature; 1 a document
could not be judged, or the command not be carried out: the reason is in the document's line, or on standard error. With
--service 0 means that every document was accepted for the service, and 3 that one was not, or not yet.`,
		RunE: func(c *cobra.Command, files []string) error { return o.run(c.Context(), c.OutOrStdout(), files) },
	}
	f := c.Flags()
	f.BoolVar(&o.json, "json", false, "one JSON object a line")
	f.BoolVar(&o.trace, "trace", false, "with --json, also how each verdict was come to: building blocks, constraints, what they rest on")
	f.BoolVar(&o.offline, "offline", true, "judge by what the documents and the lists hold; nothing is fetched")
	f.StringArrayVar(&o.allow, "fetch-allow", nil, "private `address:port` that may be asked with --offline=false; may be repeated")
	f.StringArrayVar(&o.detached, "detached", nil, "`file` that a detached signature is about; may be repeated")
	f.StringArrayVar(&o.digests, "detached-digest", nil,
		"`[NAME=]ALGORITHM:VALUE`, a digest in place of such a file, hexadecimal or base64; may be repeated")
	f.StringVar(&o.digestList, "digest-list", "", "`file` with digests in place of such files, as sha256sum writes it")
	f.StringArrayVar(&o.passwordFiles, "password-file", nil,
		"`file` with the password of encrypted PDFs, - for standard input; may be repeated")
	f.StringVar(&o.at, "at", "", "time of validation, RFC 3339 (default now)")
	f.StringVar(&o.lists.Dir, "trust-lists", "", "`folder` with trusted lists, told apart by content")
	f.StringVar(&o.lists.LOTLSigners, "lotl-signers", "", "`folder` with PEM certificates that may sign the list of the lists")
	f.StringArrayVar(&o.lists.Extra, "extra-list", nil, "trusted list `file` outside the list of the lists, taken with the signer in its own signature")
	f.StringArrayVar(&o.lists.Anchors, "anchors", nil, "PEM `file` with further anchors, trusted at all times")
	f.StringVar(&o.jobs, "jobs", "", "`file` with one job a line, - for standard input")
	f.StringVar(&o.policy, "policy", "strict", "what a signature must meet: strict, dss-default as the Commission's DSS has it, or a `file` (trustctl policy)")
	f.StringVar(&o.language, "language", "", "language of sentences, reasons and notes: pl or en (default pl; with --json reasons and notes in English)")
	f.StringVar(&o.bundle, "bundle", "", "new `file` (ZIP) for what the verdict rests on: document, evidence, lists, policy, time")
	f.StringVar(&o.report, "report", "", "the report as another `form` of it: etsi, XML of ETSI TS 119 102-2, not signed")
	f.StringVar(&o.pins, "pins", "", "`file` with the pinned keys of Polish law, in place of those that are shipped")
	f.StringVar(&o.cards, "service-cards", "", "`file` (YAML or JSON) with the kinds that services accept (also --cards)")
	f.StringVar(&o.service, "service", "", "`id` of the service in --service-cards that the documents are for")
	f.BoolVar(&o.numbers, "personal-numbers", false, "show personal numbers such as PESEL as a whole")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "cards" {
			name = "service-cards"
		}
		return pflag.NormalizedName(name)
	})
	f.BoolVar(&o.withoutDocument, "without-document", false, "keep the document's digest in the bundle instead of the document")
	return c
}

// job is one document to verify.
type job struct {
	File     string    `json:"file"`
	Detached []string  `json:"detached"`
	At       time.Time `json:"at"`

	Digests       []string `json:"digests"`
	PasswordFiles []string `json:"password_files"`

	digests  verify.Digests
	trace    bool
	numbers  bool
	language string // of reasons and notes, "" as they are written
}

// outcome is one line of the answer.
type outcome struct {
	File   string  `json:"file"`
	SHA256 string  `json:"sha256"`
	Error  *string `json:"error"`
	*verify.Report
}

func (o *verifyOptions) run(ctx context.Context, out io.Writer, files []string) error {
	at, err := o.time(time.Time{})
	if err != nil {
		return err
	}
	if err := o.checkReport(files); err != nil {
		return err
	}
	if err := o.checkLanguage(); err != nil {
		return err
	}
	if o.trace && !o.json {
		return errors.New("--trace is part of --json")
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
		jobs[i].trace, jobs[i].numbers, jobs[i].language = o.trace, o.numbers, o.language
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
	if o.json {
		return v.all(ctx, jobs, out)
	}
	if o.report != "" {
		return v.write(ctx, jobs[0], out)
	}
	return o.print(ctx, jobs, v, out)
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

// read returns the jobs of --jobs or of the arguments.
func (o *verifyOptions) read(files []string, at time.Time) ([]job, error) {
	if o.jobs == "" {
		if len(files) == 0 {
			return nil, errors.New("verify: name at least one file, or --jobs")
		}
		digests, err := o.readDigests()
		if err != nil {
			return nil, err
		}
		var jobs []job
		for _, f := range files {
			jobs = append(jobs, job{File: f, Detached: o.detached, At: at, digests: digests})
		}
		return jobs, nil
	}
	switch {
	case len(files) > 0 || len(o.detached) > 0 || len(o.digests) > 0 || o.digestList != "":
		return nil, errors.New("verify: files, --detached and digests stand in the jobs when --jobs is given")
	case o.jobs == "-" && slices.Contains(o.passwordFiles, "-"):
		return nil, errors.New("verify: standard input has the jobs: name a file by --password-file")
	}
	in := os.Stdin
	if o.jobs != "-" {
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

// verifier judges jobs by one set of lists.
type verifier struct {
	*verify.Verifier
	kept   *keeper // nil without --bundle
	policy *verify.Policy
	card   *poland.Card // nil without --service

	passwords passwords // for every document
}

// all writes one line a job, in their order. The exit status is the worst of them.
func (v *verifier) all(ctx context.Context, jobs []job, out io.Writer) error {
	w := bufio.NewWriter(out)
	lines := lines{encoder: json.NewEncoder(w), waiting: map[int]outcome{}, progress: progressOf(jobs, out)}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i, j := range jobs {
		g.Go(func() error { return lines.add(i, v.one(ctx, j)) })
	}
	err := g.Wait()
	lines.progress.end()
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	return lines.status.err()
}

// lines writes outcomes in the order of their jobs, as soon as those before are there.
type lines struct {
	mu      sync.Mutex
	encoder *json.Encoder
	next    int
	waiting map[int]outcome
	status  exitCode

	progress batchProgress
}

func (l *lines) add(i int, o outcome) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[i] = o
	l.progress.add(o.status(), time.Now())
	for {
		o, ready := l.waiting[l.next]
		if !ready {
			return nil
		}
		delete(l.waiting, l.next)
		l.next++
		l.status = l.status.and(o.status())
		if err := l.encoder.Encode(o); err != nil {
			return err
		}
	}
}

// notDone is the exit status of a command that could not do its work, or a part of it.
const notDone exitCode = 1

// status is what the exit status says of one document: everything in it passed, something did not, or nobody knows.
func (o *outcome) status() exitCode {
	if o.Error != nil {
		return notDone
	}
	if s := o.Service; s != nil && s.Accepted {
		return 0
	} else if s != nil {
		return notPassed
	}
	passed := len(o.Signatures)+len(o.Timestamps)+len(o.EvidenceRecords) > 0
	for i := range o.Signatures {
		passed = passed && o.Signatures[i].Indication == verify.TotalPassed
	}
	for i := range o.Timestamps {
		passed = passed && o.Timestamps[i].Indication == verify.Passed
	}
	for i := range o.EvidenceRecords {
		passed = passed && o.EvidenceRecords[i].Indication == verify.Passed
	}
	if !passed {
		return notPassed
	}
	return 0
}

// and joins the status of another document: what could not be done outweighs what did not pass.
func (c exitCode) and(other exitCode) exitCode {
	if c == notDone || other == notDone {
		return notDone
	}
	return max(c, other)
}

// err is nil for status 0.
func (c exitCode) err() error {
	if c == 0 {
		return nil
	}
	return c
}

// one judges one document; whatever goes wrong is its own line's error.
func (v *verifier) one(ctx context.Context, j job) (o outcome) {
	o.File = j.File
	report, err := v.judge(ctx, j, &o)
	if err != nil {
		text := err.Error()
		o.Error = &text
		return o
	}
	if v.card != nil {
		report.For(v.card)
	}
	o.Report = report.In(j.language)
	return o
}

func (v *verifier) judge(ctx context.Context, j job, o *outcome) (report *verify.Report, err error) {
	files, err := j.open()
	defer func() { err = errors.Join(err, files.close()) }()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	request, err := files.request(j)
	if err != nil {
		return nil, err
	}
	own, err := readPasswords(j.PasswordFiles)
	defer own.wipe()
	if err != nil {
		return nil, fmt.Errorf("password_files: %w", err)
	}
	request.Passwords = slices.Concat(v.passwords, own)
	request.Trace, request.Numbers = j.trace, j.numbers
	if v.kept != nil {
		request.Found = v.kept.found
	}
	report, err = v.Verify(ctx, request)
	if err != nil {
		sum := sha256.Sum256(files[0].Octets())
		o.SHA256 = hex.EncodeToString(sum[:])
		return nil, v.fault(j.File, err)
	}
	o.SHA256 = report.SHA256
	if v.kept != nil {
		v.kept.Password = len(request.Passwords) > 0
		return report, v.kept.write(files, j, v.policy, report)
	}
	return report, nil
}

// fault tells of a fault of this program what its error does not show.
func (v *verifier) fault(file string, err error) error {
	var fault *verify.Fault
	if errors.As(err, &fault) {
		fmt.Fprintf(os.Stderr, "trustctl: %s: a fault of this program, please report it: %s\n", file, fault.Reason)
	}
	return err
}

func complain(problems []string) {
	for _, p := range problems {
		fmt.Fprintf(os.Stderr, "trustctl: %s\n", p)
	}
}

// openFiles are the document and what it is about.
type openFiles []*mapped.File

func (j job) open() (openFiles, error) {
	var files openFiles
	for i, name := range append([]string{j.File}, j.Detached...) {
		f, err := mapped.Open(name, verify.MaxDocument)
		if err != nil && i > 0 {
			err = fmt.Errorf("detached: %w", err)
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// request is about the first file, with the others as its detached ones.
func (files openFiles) request(j job) (verify.Request, error) {
	r := verify.Request{Document: files[0].Octets(), At: j.At, LetGo: files.letGo}
	for i, f := range files[1:] {
		r.Detached = append(r.Detached, signature.Detached{Name: filepath.Base(j.Detached[i]), Content: f.Octets()})
	}
	var err error
	if r.Detached, err = j.digests.Beside(r.Detached); err != nil {
		err = fmt.Errorf("digests: %w", err)
	}
	return r, err
}

func (files openFiles) letGo(octets []byte) {
	for _, f := range files {
		f.LetGo(octets)
	}
}

func (files openFiles) close() error {
	var failed []error
	for _, f := range files {
		failed = append(failed, f.Close())
	}
	return errors.Join(failed...)
}

// print writes verdicts for people, with the exit status of the worst.
func (o *verifyOptions) print(ctx context.Context, jobs []job, v *verifier, out io.Writer) error {
	var status exitCode
	far := progressOf(jobs, out)
	for _, j := range jobs {
		r := v.one(ctx, j)
		status = status.and(r.status())
		o.printOutcome(out, &r)
		far.add(r.status(), time.Now())
	}
	far.end()
	return status.err()
}

func (o *verifyOptions) printOutcome(out io.Writer, r *outcome) {
	if r.Error != nil {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), prose.Text(*r.Error))
		return
	}
	if len(r.Signatures) != 1 {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), r.Summary[o.language])
	}
	for _, t := range r.Timestamps {
		fmt.Fprintf(out, "%s: %s: %s %s\n", prose.Text(r.File), o.word("a time-stamp"), t.Indication, t.SubIndication)
	}
	for _, e := range r.EvidenceRecords {
		fmt.Fprintf(out, "%s: %s: %s %s\n", prose.Text(r.File), o.word("an evidence record"), e.Indication, e.SubIndication)
	}
	for i := range r.Signatures {
		o.printSignature(out, r, &r.Signatures[i])
	}
	if s := r.Service; s != nil {
		fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), s.Sentence[o.language])
		if ask := s.Ask[o.language]; ask != "" {
			fmt.Fprintf(out, "  %s\n", ask)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "%s: %s: %s\n", prose.Text(r.File), o.word("note"), prose.Text(note))
	}
}

func (o *verifyOptions) printSignature(out io.Writer, r *outcome, s *verify.SignatureReport) {
	head := s.Sentence
	if len(r.Signatures) == 1 && r.DocumentType != poland.NoReceipt {
		head = r.Summary
	}
	fmt.Fprintf(out, "%s: %s\n", prose.Text(r.File), head[o.language])
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(head, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", o.word(head), value)
		}
	}
	name := o.name
	told := s.Rows[o.language]
	row("integrity", told.Integrity)
	row("signatory", told.Signatory)
	row("kind", told.Kind)
	row("time", told.Time)
	row("trust", told.Trust)
	row("indication", strings.TrimSpace(string(s.Indication)+" "+string(s.SubIndication)))
	row("signer", name(s.Signer.CommonName))
	row("issuer", name(s.Signer.Issuer))
	row("format", strings.TrimSpace(s.Format+" "+s.Level))
	row("qualification", s.Qualification)
	row("proven at", s.BestSignatureTime.Format(time.RFC3339))
	for _, reason := range s.Reasons {
		row("because", reason)
	}
	for _, scope := range s.Scopes {
		row("covers", name(scope.Scope))
	}
	for _, warning := range s.Warnings() {
		row("beware", verify.Wording(o.language, warning))
	}
	for _, note := range s.Notes {
		row("note", note)
	}
	_ = w.Flush() // to a terminal or file that already took the line above
}

// words are the heads of the rows, English to Polish.
var words = map[string]string{
	"integrity": "integralność", "signatory": "podpisujący", "kind": "rodzaj", "time": "czas", "trust": "źródło zaufania",
	"indication": "wynik", "signer": "certyfikat", "issuer": "wystawca", "format": "format", "qualification": "kwalifikacja",
	"proven at": "dowód istnienia", "because": "przyczyna", "covers": "obejmuje", "beware": "uwaga", "note": "adnotacja",
	"a time-stamp": "oznaczenie czasu", "an evidence record": "rekord dowodowy",
}

func (o *verifyOptions) word(english string) string {
	if o.language == "pl" {
		return words[english]
	}
	return english
}

// name shows what a stranger chose; nothing is shown of nothing.
func (o *verifyOptions) name(text string) string {
	if text == "" {
		return ""
	}
	return prose.In(o.language, text)
}
