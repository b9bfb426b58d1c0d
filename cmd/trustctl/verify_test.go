package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/mapped"
	"trustcore/hsm/seal"
	"trustcore/verify"
	"trustcore/verify/trustlist"
)

// runVerify runs trustctl verify in this process.
func runVerify(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return runCommand(t, verifyCommand(), args...)
}

// runCommand runs one command of trustctl in this process, and returns all that it wrote.
func runCommand(t *testing.T, c *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// TestVerifyAnswersEveryJob gives files that can't be judged among one that can: each is a line, none ends the run.
func TestVerifyAnswersEveryJob(t *testing.T) {
	dir := t.TempDir()
	var jobs strings.Builder
	for name, content := range map[string]string{
		"empty": "", "random": "\x93\x00\xff", "dtd.xml": `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, "bomb.p7m": strings.Repeat("\x30\x80", 10_000),
		"cut.pdf": "%PDF-1.7\n1 0 obj<<", "cut.asice": "PK\x03\x04", "plain.xml": "<a/>",
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		jobs.WriteString(`{"file": "` + file + `"}` + "\n")
	}
	jobs.WriteString(`{"file": "` + dir + `"}` + "\n" + `{"file": "` + filepath.Join(dir, "missing") + `"}` + "\n")
	list := filepath.Join(dir, "jobs.jsonl")
	if err := os.WriteFile(list, []byte(jobs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runVerify(t, "--json", "--jobs", list)
	if want := exitCode(1); !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
	answers := strings.Split(strings.TrimSpace(out), "\n")
	if len(answers) != 9 {
		t.Errorf("%d lines for 9 jobs:\n%s", len(answers), out)
	}
	for i, line := range answers {
		if job := strings.Split(jobs.String(), "\n")[i]; !strings.Contains(job, strings.TrimPrefix(strings.SplitN(line, ",", 2)[0], `{"file":`)) {
			t.Errorf("line %d is not about its job %s: %s", i, job, line)
		}
		var o struct {
			File  string
			Error *string
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if judged := filepath.Base(o.File) == "plain.xml"; judged != (o.Error == nil) || o.Error != nil && strings.Contains(*o.Error, "inside") {
			t.Errorf("%s", line)
		}
	}
}

func TestVerifyRefusesWrongSettings(t *testing.T) {
	jobs := filepath.Join(t.TempDir(), "jobs")
	if err := os.WriteFile(jobs, []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"name at least one file": {},
		"--at":                   {"--at", "yesterday", "a"},
		"--language":             {"--language", "de", "a"},
		"--jobs, line 1":         {"--jobs", jobs},
		"--fetch-allow":          {"--offline=false", "--fetch-allow", "localhost", "a"},
		"no such file":           {"--trust-lists", filepath.Join(t.TempDir(), "none"), "a"},
	} {
		if _, err := runVerify(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// TestVerifyFetchesOnlyWhenAsked has a document without revocation information, whose authority answers on loopback.
func TestVerifyFetchesOnlyWhenAsked(t *testing.T) {
	file, anchor, host := fetchable(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "INDETERMINATE"},
		{[]string{"--offline=false"}, "INDETERMINATE"}, // the authority's address is private
		{[]string{"--offline=false", "--fetch-allow", host}, "TOTAL-PASSED"},
	} {
		for _, files := range [][]string{{file}, {"--json", file}, {file, "none"}, {"--json", "none", file}} {
			out, err := runVerify(t, append(append(c.args, "--anchors", anchor), files...)...)
			if !strings.Contains(out, c.want) {
				t.Errorf("%q: want %s:\n%s", c.args, c.want, out)
			}
			var status exitCode
			errors.As(err, &status)
			want := exitCode(0)
			switch {
			case len(files) > 1 && slices.Contains(files, "none"):
				want = 1
			case c.want != "TOTAL-PASSED":
				want = 3
			}
			if status != want {
				t.Errorf("%q %q: %v, want status %d", c.args, files, err, want)
			}
		}
	}
}

// fetchable writes a signed document without revocation information and its anchor, and returns where its authority, on
// loopback, answers.
func fetchable(t *testing.T) (file, anchor, host string) {
	t.Helper()
	m, anchor, host := newMinting(t)
	signed, err := m.cades(t.Context(), m.ec, []byte("letter"), []byte("letter"))
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "letter.p7m")
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, anchor, host
}

// newMinting starts an authority on loopback, and returns it with the file of its anchor and its address.
func newMinting(t *testing.T) (m *minting, anchor, host string) {
	t.Helper()
	ctx := t.Context()
	a, err := openBenchAuthority(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	m = &minting{benchAuthority: a}
	if m.stamp, err = seal.NewTSA(a.base+"/tsa", http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	if err := m.signers(ctx); err != nil {
		t.Fatal(err)
	}
	anchor = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(anchor, custody.PEM(a.root.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(a.base)
	if err != nil {
		t.Fatal(err)
	}
	return m, anchor, base.Host
}

// TestFileShortenedMeanwhile: a file that another program cuts off while it is judged is a fault of this document.
func TestFileShortenedMeanwhile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large.xml")
	if err := os.WriteFile(name, []byte("<a>"+strings.Repeat("dane ", 1<<20)+"</a>"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := mapped.Open(name, verify.MaxDocument)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	cut := func([]byte) {
		if err := os.Truncate(name, 0); err != nil {
			t.Error(err)
		}
	}
	_, err = v.Verify(t.Context(), verify.Request{Document: f.Octets(), LetGo: cut})
	var fault *verify.Fault
	if !errors.As(err, &fault) {
		t.Fatal(err)
	}
}

// TestStatus: what the exit status says of a document.
func TestStatus(t *testing.T) {
	broken := "x"
	signature := func(i verify.Indication) *verify.Report {
		return &verify.Report{Signatures: []verify.SignatureReport{{Indication: i}}}
	}
	stamp := func(i verify.Indication) *verify.Report {
		return &verify.Report{Timestamps: []verify.TimestampReport{{Indication: i}}}
	}
	record := func(i verify.Indication) *verify.Report {
		return &verify.Report{EvidenceRecords: []verify.EvidenceRecordReport{{Indication: i}}}
	}
	beside := signature(verify.TotalPassed)
	beside.EvidenceRecords = record(verify.Failed).EvidenceRecords
	for _, c := range []struct {
		o    outcome
		want exitCode
	}{
		{outcome{Report: record(verify.Passed)}, 0}, {outcome{Report: record(verify.Failed)}, 3}, {outcome{Report: beside}, 3},
		{outcome{Report: signature(verify.TotalPassed)}, 0}, {outcome{Report: signature(verify.Indeterminate)}, 3}, {outcome{Report: signature(verify.TotalFailed)}, 3},
		{outcome{Report: stamp(verify.Passed)}, 0}, {outcome{Report: stamp(verify.Failed)}, 3}, {outcome{Report: &verify.Report{}}, 3}, {outcome{Error: &broken}, 1},
	} {
		if got := c.o.status(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.o, got, c.want)
		}
	}
}

// TestVerifyPrintsNames: what a stranger chose does not read as a line of ours.
func TestVerifyPrintsNames(t *testing.T) {
	const claim = "x.pdf: Podpis jest ważny."
	s := verify.SignatureReport{Signer: verify.Signer{CommonName: "a”\n" + claim, Issuer: "b\n" + claim}, Sentence: map[string]string{"pl": "Podpis jest nieważny."}}
	s.Scopes = []verify.Scope{{Scope: "c\n" + claim}}
	var out bytes.Buffer
	(&verifyOptions{language: "pl"}).printSignature(&out,
		&outcome{File: "d\n" + claim, Report: &verify.Report{Signatures: []verify.SignatureReport{s}}}, &s)
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, claim) || strings.Contains(line, claim) && strings.HasPrefix(line, " ") && !strings.ContainsAny(line, "“„") {
			t.Errorf("%s", out.String())
		}
	}
}
