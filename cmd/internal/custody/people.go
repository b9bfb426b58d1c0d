package custody

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"trustcore/internal/durable"
	"trustcore/pki/ceremony"
	"trustcore/pki/clock"
)

// sessionFile is the ceremony that is open and waits for its people.
const sessionFile = "opening.json"

// timeSource is the fact that may change between the opening and the ceremony.
const timeSource = "time_source"

// machine tells what the keys are made with: HSM, programs and clock.
func (c *Custody) machine() (ceremony.Machine, error) {
	t := c.HSM.Token()
	m := ceremony.Machine{"hsm_manufacturer": t.Manufacturer, "hsm_model": t.Model, "hsm_serial": t.Serial, "hsm_label": t.Label,
		"hsm_firmware": t.Firmware, "hsm_hardware": t.Hardware, "hsm_library": t.Library,
		"program_version": "unknown", timeSource: "the clock of the machine; its kernel can't be asked whether it is synchronised"}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m["program"] = filepath.Base(self)
	if m["program_sha256"], err = fileDigest("/proc/self/exe"); err != nil { // what runs, whatever lies there by now
		return nil, err
	}
	if m["worker_sha256"], err = fileDigest(c.worker); err != nil {
		return nil, err
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		m["program_version"] = strings.TrimSpace(info.Main.Version + " " + revision(info))
	}
	if k, err := clock.ReadKernel(); err == nil {
		m[timeSource] = "the kernel's clock, which no time daemon steers: compare it with another"
		if k.Synchronised {
			m[timeSource] = "the kernel's clock, steered by a time daemon"
		}
	}
	for name, value := range m {
		if value == "" {
			m[name] = "not told"
		}
	}
	return m, nil
}

// revision is the commit that a program was built from.
func revision(info *debug.BuildInfo) string {
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

func fileDigest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// OpenCeremony opens a ceremony and returns what the people of its plan sign to agree. Opened again by the same plan it is the same
// ceremony; another plan takes the place of one that was not performed.
func (c *Custody) OpenCeremony(ctx context.Context, plan *ceremony.Plan) ([]ceremony.Message, error) {
	if !plan.Keyed() {
		return nil, errors.New("plan: its attendees have no keys: nobody has to sign, and the ceremony can be performed")
	}
	if err := plan.Lint(ctx, c.cfg.Now); err != nil {
		return nil, err
	}
	machine, err := c.machine()
	if err != nil {
		return nil, err
	}
	if s, err := c.session(plan, machine); err == nil {
		return s.Messages(plan), nil
	}
	s, err := ceremony.NewSession(plan, machine, c.cfg.Now())
	if err != nil {
		return nil, err
	}
	text, err := s.JSON()
	if err != nil {
		return nil, err
	}
	err = c.act(ctx, "ceremony.open", plan.Title, map[string]string{"plan_sha256": plan.Digest(), "opening": s.ID}, func() error {
		return c.writeAll(map[string][]byte{sessionFile: text})
	})
	return s.Messages(plan), err
}

// session is the open ceremony of a plan, on this very machine.
func (c *Custody) session(plan *ceremony.Plan, machine ceremony.Machine) (*ceremony.Session, error) {
	text, err := durable.ReadFile(c.pki(sessionFile), ceremony.MaxExchange)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no ceremony is open here: `trustctl ceremony open`, and have its people sign")
	}
	if err != nil {
		return nil, err
	}
	s, err := ceremony.ReadSession(text)
	if err != nil {
		return nil, err
	}
	if s.Plan != plan.Digest() {
		return nil, errors.New("opening: it is of another plan")
	}
	then, now := maps.Clone(s.Machine), maps.Clone(machine)
	delete(then, timeSource)
	delete(now, timeSource)
	if !maps.Equal(then, now) {
		return nil, errors.New("opening: HSM or program are not those that people agreed to: open the ceremony anew")
	}
	return s, nil
}

// agreed is the plan in the session to which its people agreed. One whose people have no keys is in a session of its own.
func (c *Custody) agreed(plan *ceremony.Plan, signatures []ceremony.Signature) (*ceremony.Plan, error) {
	before, err := c.peopleBefore()
	if err != nil {
		return nil, err
	}
	machine, err := c.machine()
	if err != nil {
		return nil, err
	}
	var s *ceremony.Session
	if plan.Keyed() {
		s, err = c.session(plan, machine)
	} else {
		s, err = ceremony.NewSession(plan, machine, c.cfg.Now())
	}
	if err != nil {
		return nil, err
	}
	return plan.In(s, signatures, before.Plan)
}

// spend ends the session before the first key is made: people agreed to one ceremony.
func (c *Custody) spend(plan *ceremony.Plan) error {
	if !plan.Keyed() {
		return nil
	}
	return durable.Remove(c.pki(sessionFile))
}

// peopleBefore are those of the newest ceremony by the root that is here; nobody where there was none, or they had no keys. A ceremony
// that not all have signed who agreed to it is ended first.
func (c *Custody) peopleBefore() (before ceremony.Attended, err error) {
	all, err := c.transcripts()
	for _, t := range all {
		a, err := t.Attended()
		if err == nil {
			err = a.Complete(before)
		}
		if err != nil {
			return before, fmt.Errorf("the ceremony before: %w", err)
		}
		before = a
	}
	return before, err
}

// The acts on files from another machine that people sign for.
const (
	GrantAct  = "grant"  // the root answers a request
	ImportAct = "import" // an answer is taken
	ListAct   = "list"   // the root signs its next list
)

// ActMessages are what people sign for an act on a file: for the root's answer those of the root's own ceremony, to take an answer those
// of the plan of the request that waits.
func (c *Custody) ActMessages(act string, file []byte) ([]ceremony.Message, error) {
	var plan *ceremony.Plan
	switch act {
	case GrantAct:
		before, err := c.peopleBefore()
		if err != nil {
			return nil, err
		}
		plan = before.Plan
	case ImportAct:
		open, err := c.opened()
		if err != nil {
			return nil, err
		}
		r, err := ceremony.ReadRequest(open.Request)
		if err != nil {
			return nil, err
		}
		plan = r.Written()
	default:
		return nil, fmt.Errorf("act: %q; write %s or %s", act, GrantAct, ImportAct)
	}
	if plan == nil || !plan.Keyed() {
		return nil, errors.New("the people have no keys: they name themselves by --by")
	}
	return plan.ActMessages(act, file), nil
}

// ListMessages are what the people of the root's ceremony sign for its next list, nothing where they have no keys.
func (c *Custody) ListMessages(until time.Time, revoked []*x509.Certificate, reason int) ([]ceremony.Message, error) {
	people, err := c.peopleBefore()
	if err != nil || people.Plan == nil {
		return nil, err
	}
	before, err := os.ReadFile(c.pki(rootCRLFile))
	if err != nil {
		return nil, err
	}
	return people.Plan.ActMessages(ListAct, meantList(before, until, revoked, reason)), nil
}

// meantList is all that a root's next list is made of.
func meantList(before []byte, until time.Time, revoked []*x509.Certificate, reason int) []byte {
	text := fmt.Appendf(nil, "list after %s until %s, reason %d\n", ceremony.Digest(before), until.UTC().Format(time.RFC3339), reason)
	for _, r := range revoked {
		text = fmt.Appendf(text, "revoked %s\n", ceremony.Digest(r.Raw))
	}
	return text
}

// by are who do an act on a file together: people who sign it where the plan has their keys, else two who are named.
func by(plan, named *ceremony.Plan, act string, file []byte, names []string, signatures []ceremony.Signature) ([]string, error) {
	switch {
	case plan == nil || !plan.Keyed():
		if len(signatures) > 0 {
			return nil, errors.New("signatures: the people of this ceremony have no keys")
		}
		return names, twoOf(named, names)
	case len(names) > 0:
		return nil, errors.New("by: the people have keys, and sign: leave the names out")
	}
	return plan.ActBy(act, file, signatures)
}

// transcripts are those that lie here, the oldest first.
func (c *Custody) transcripts() (all []*ceremony.Transcript, err error) {
	keys, err := c.anyKeys()
	if errors.Is(err, ErrNoCeremony) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	root, err := ReadCertificate(c.pki(rootFile))
	if err != nil {
		return nil, err
	}
	for n := 1; n <= max(authorities(keys), 1); n++ { // a root alone has one, too
		text, err := durable.ReadFile(c.pki(TranscriptFile(n)), ceremony.MaxTranscript)
		if errors.Is(err, fs.ErrNotExist) && c.elsewhere(n) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the ceremony before: %w: restore its transcript", err)
		}
		t, err := ceremony.VerifyTranscript(text, root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", TranscriptFile(n), err)
		}
		all = append(all, t)
	}
	return all, nil
}

// elsewhere reports whether a root on another machine certified the issuing authority with a number, whose ceremony has no transcript here.
func (c *Custody) elsewhere(n int) bool {
	files, _ := filepath.Glob(c.pki(fmt.Sprintf(requestOf, numbered("issuing", n)+"-by-*"))) // the pattern is fixed
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := durable.ReadFile(file, ceremony.MaxExchange)
		if err != nil {
			return false
		}
		r, err := ceremony.ReadRequest(text)
		return err == nil && !r.Crosses()
	})
}

// Elsewhere reports whether a root on another machine certified the issuing authority with a number.
func Elsewhere(cfg Config, n int) bool { return (&Custody{dir: cfg.StateDir}).elsewhere(n) }

// ProtocolFile is the name of the protocol of the ceremony with a number, in one of ceremony.Languages.
func ProtocolFile(n int, language string) string {
	return numbered("protocol", n) + "." + language + ".html"
}

// TextFile is the name of the transcript as text.
func TextFile(n int) string { return numbered("transcript", n) + ".txt" }

// recordsOf are the files that a ceremony leaves about itself.
func recordsOf(t *ceremony.Transcript, n int) (map[string][]byte, error) {
	text, err := t.JSON()
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	files := map[string][]byte{TranscriptFile(n): text, TextFile(n): []byte(t.Text())}
	for _, language := range ceremony.Languages() {
		if files[ProtocolFile(n, language)], err = t.Protocol(language); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// ToSign are the messages that those sign who agreed to the ceremony with a number and have not signed its transcript.
func ToSign(cfg Config, n int) ([]ceremony.Message, error) {
	t, err := (&Custody{dir: cfg.StateDir}).transcript(n)
	if err != nil {
		return nil, err
	}
	return t.Messages()
}

// SignTranscript adds people's signatures to the transcript of the ceremony with a number, and returns who is absent still.
func SignTranscript(cfg Config, n int, signatures []ceremony.Signature) (absent []string, err error) {
	c := &Custody{dir: cfg.StateDir}
	t, err := c.transcript(n)
	if err != nil {
		return nil, err
	}
	if absent, err = t.Sign(signatures); err != nil {
		return nil, err
	}
	text, err := t.JSON()
	if err != nil {
		return nil, err
	}
	return absent, durable.WriteFile(c.pki(TranscriptFile(n)), text, 0o600)
}

func (c *Custody) transcript(n int) (*ceremony.Transcript, error) {
	root, err := ReadCertificate(c.pki(rootFile))
	if err != nil {
		return nil, err
	}
	text, err := durable.ReadFile(c.pki(TranscriptFile(n)), ceremony.MaxTranscript)
	if err != nil {
		return nil, err
	}
	return ceremony.VerifyTranscript(text, root)
}
