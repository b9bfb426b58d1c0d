package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/custody"
	"trustcore/hsm/seal"
	"trustcore/verify/policy"
)

// told are the commands of a text: lines that begin with one, and what stands between backquotes.
var told = regexp.MustCompile("(?m)^ {2,4}(?:bin/)?trustctl (.*)$|`(?:bin/)?trustctl ([^`]+)`")

// commandsIn finds the commands that a text tells, without what is said beside them.
func commandsIn(text string) []string {
	var list []string
	for _, m := range told.FindAllStringSubmatch(text, -1) {
		command := strings.TrimSpace(m[1] + m[2])
		command, _, _ = strings.Cut(command, "  ") // a remark
		list = append(list, strings.TrimSpace(command))
	}
	return list
}

// everyCommand are those of the manuals and of all help texts, in their order.
func everyCommand(t *testing.T) []string {
	t.Helper()
	var list []string
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		list = append(list, commandsIn(c.Long+"\n"+c.Example)...)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
	manuals, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(manuals) == 0 {
		t.Fatal(manuals, err)
	}
	for _, file := range append(manuals, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, commandsIn(string(text))...)
	}
	return list
}

// runs are the commands that need no appliance: they are run as they are told. The others are run by the tests of what
// they do; that they are taken as they are told is asked of all.
var runs = []string{"verify", "replay", "policy", "chain", "trust"}

// TestCommandsOfTheManual: every command in the manuals and help texts is taken as it is written, and those about
// documents, policies and certificates do their work in a folder with the files that they name.
func TestCommandsOfTheManual(t *testing.T) {
	commands := everyCommand(t)
	counted := map[bool]int{}
	manualFolder(t)
	for _, command := range commands {
		command = strings.NewReplacer("check|show|diff", "check FILE", "NAME|FILE", "NAME", `"`, "").Replace(command)
		line, target, _ := strings.Cut(command, " > ")
		line, _, _ = strings.Cut(line, " | ") // what another program makes of it
		args := strings.Fields(line)
		c, rest, err := root().Find(args)
		if err != nil {
			t.Errorf("trustctl %s: %v", command, err)
			continue
		}
		c.InitDefaultHelpFlag()
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("trustctl %s: %v", command, err)
			continue
		}
		run := slices.Contains(runs, args[0]) && len(rest) > 0 && isWhole(c, command)
		if counted[run]++; run {
			runTold(t, command, args, target)
		}
	}
	if counted[true] < 25 || counted[false] < 40 {
		t.Errorf("%d commands are run, %d are read: are the manuals still found?", counted[true], counted[false])
	}
}

// isWhole tells whether a command is told with all that it takes, and no placeholder for what a reader has.
func isWhole(c *cobra.Command, command string) bool {
	for word := range strings.FieldsSeq(command) {
		if word == "..." || word == strings.ToUpper(word) && word != "SHA256SUMS" || strings.HasPrefix(word, "FILE") {
			return false
		}
	}
	if c.Flags().Lookup("keep") != nil { // trust: of a verifyd, or of a folder without one, and nothing is fetched here
		return c.Flags().Changed("keep") && !strings.Contains(command, "refresh") && os.Getenv("TRUSTCORE_CORPUS") != ""
	}
	return c.ValidateArgs(c.Flags().Args()) == nil && (c.Flags().NArg() > 0 || c.Flags().Changed("jobs"))
}

// unionsLists are how the manuals name them; they are those of the corpus, and an anchor where there is none.
var unionsLists = strings.NewReplacer("--trust-lists lists/ --lotl-signers signers/", "--anchors ca.pem", "--trust-lists kept/", "--anchors ca.pem")

// runTold runs a command as it is told. It may find that something does not pass, or differs, and must do its work.
func runTold(t *testing.T, command string, args []string, target string) {
	t.Helper()
	if os.Getenv("TRUSTCORE_CORPUS") == "" {
		args = strings.Fields(unionsLists.Replace(strings.Join(args, " ")))
	}
	for _, flag := range []string{"--bundle", "--report-file"} {
		if i := slices.Index(args, flag); i >= 0 {
			_ = os.RemoveAll(args[i+1]) // of another command that is told; to keep it would be an error of this test
		}
	}
	out, err := runCommand(t, root(), args...)
	var status exitCode
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		status = exitCode(coded.ExitCode())
	}
	if err != nil && status == 0 || status == notDone && !strings.HasPrefix(command, "policy diff") {
		t.Errorf("trustctl %s: %v\n%s", command, err, out)
	}
	if target != "" {
		if err := os.WriteFile(target, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// manualFolder goes to a folder with the files that the manuals name.
func manualFolder(t *testing.T) {
	t.Helper()
	m, anchor, _ := newMinting(t)
	ctx := t.Context()
	contract, err := seal.PAdES(ctx, demoPDF(), m.ec, seal.PDFOptions{Time: time.Now(), TSA: m.stamp})
	if err != nil {
		t.Fatal(err)
	}
	detached, err := m.cades(ctx, m.ec, []byte("test"), nil)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := fetchLoopback(ctx, "GET", m.base+"/crl/issuing.crl", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(anchor)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("test"))
	for name, content := range map[string]string{
		"contract.pdf": string(contract), "signature.p7s": string(detached), "data.bin": "test", "password.txt": "tajne\n",
		"SHA256SUMS": hex.EncodeToString(sum[:]) + "  data.bin\n", "ca.pem": string(root), "root.pem": string(root),
		"issuing.pem": string(custody.PEM(m.issuing.Raw)), "officer-1.pem": string(custody.PEM(m.ec.Certificate.Raw)), "ca.crl": string(crl),
		"verify.yaml":    "anchors: [ca.pem]\n",
		"office.yaml":    string(policy.ShippedSource(policy.Strict)),
		"constraint.xml": string(policy.ShippedSource(policy.Strict)), // the form is told by the content; DSS's has its own tests
		"jobs.jsonl":     fmt.Sprintf("{%q: %q}\n{%q: %q, %q: [%q]}\n", "file", "contract.pdf", "file", "signature.p7s", "detached", "data.bin"),
	} {
		writeFile(t, dir, name, content)
	}
	writeDeep(t, string(contract), dir, "incoming", "contract.pdf")
	if corpus := os.Getenv("TRUSTCORE_CORPUS"); corpus != "" {
		lists := filepath.Join(corpus, "trustlists")
		err := errors.Join(os.Symlink(filepath.Join(lists, "eu-2023-10"), filepath.Join(dir, "lists")),
			os.Symlink(filepath.Join(lists, "lotl-signers"), filepath.Join(dir, "signers")))
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}
