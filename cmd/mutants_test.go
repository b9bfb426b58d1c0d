package cmd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutant is a security check taken out of a file, and the test that must notice.
type mutant struct {
	line                   int
	file, snippet, instead string
	pkg, test, expected    string
}

// readMutants reads deploy/mutants.txt, whose head says what a line holds.
func readMutants(t *testing.T) []mutant {
	t.Helper()
	text, err := os.ReadFile("../deploy/mutants.txt")
	if err != nil {
		t.Fatal(err)
	}
	unescape := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t")
	var mutants []mutant
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) != 6 {
			t.Fatalf("mutants.txt:%d: %d fields, want 6 with ' | ' between", i+1, len(f))
		}
		for k := range f {
			f[k] = strings.TrimSpace(f[k])
		}
		mutants = append(mutants, mutant{
			line: i + 1, file: f[0], snippet: unescape.Replace(f[1]), instead: unescape.Replace(f[2]),
			pkg: f[3], test: f[4], expected: f[5],
		})
	}
	return mutants
}

// mutate returns the file without the check.
func (m mutant) mutate() (string, error) {
	source, err := os.ReadFile(filepath.Join("..", m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.snippet); n != 1 {
		return "", fmt.Errorf("%q stands %d times in %s, want once", m.snippet, n, m.file)
	}
	if m.snippet == m.instead {
		return "", fmt.Errorf("%q is put in its own place", m.snippet)
	}
	return strings.Replace(string(source), m.snippet, m.instead, 1), nil
}

// TestMutantsFit keeps deploy/mutants.txt up with the sources: each check stands where it says, once, and its
// package has the test.
func TestMutantsFit(t *testing.T) {
	for _, m := range readMutants(t) {
		if _, err := m.mutate(); err != nil {
			t.Errorf("mutants.txt:%d: %v", m.line, err)
		}
		if m.expected == "" || !m.hasTest() {
			t.Errorf("mutants.txt:%d: %s has no test %s, or nothing is expected of it", m.line, m.pkg, m.test)
		}
	}
}

// hasTest reports whether the package has a test that the expression names; subtests are not looked at.
func (m mutant) hasTest() bool {
	top, _, _ := strings.Cut(m.test, "/")
	name, err := regexp.Compile(top)
	if err != nil {
		return false
	}
	tests, _ := filepath.Glob(filepath.Join("..", m.pkg, "*_test.go"))
	for _, file := range tests {
		source, _ := os.ReadFile(file)
		for _, found := range testFunc.FindAllStringSubmatch(string(source), -1) {
			if name.MatchString(found[1]) {
				return true
			}
		}
	}
	return false
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(`)

// TestMutants runs each mutant against its test, which must fail for the reason that is expected. Sources stay as
// they are: go builds with one file overlaid. It runs by deploy/mutants.sh alone.
func TestMutants(t *testing.T) {
	options, wanted := os.LookupEnv("TRUSTCORE_MUTANTS")
	if !wanted {
		t.Skip("deploy/mutants.sh runs it")
	}
	only := os.Getenv("TRUSTCORE_MUTANTS_ONLY")
	mutants := slices.DeleteFunc(readMutants(t), func(m mutant) bool { return !strings.Contains(m.file+" "+m.test, only) })
	passWithChecks(t, mutants, strings.Fields(options))
	noticed := 0
	for _, m := range mutants {
		fault := m.run(t, strings.Fields(options))
		if fault == "" {
			noticed++
			fault = "noticed"
		}
		fmt.Printf("%s: %s: %q: %s\n", m.file, m.test, m.snippet, fault)
	}
	fmt.Printf("mutants: %d of %d noticed\n", noticed, len(mutants))
	if noticed != len(mutants) || noticed == 0 {
		t.Fail()
	}
}

// passWithChecks fails at once when a test that is to notice a mutant fails without one.
func passWithChecks(t *testing.T, mutants []mutant, options []string) {
	t.Helper()
	tests := map[string]string{}
	for _, m := range mutants {
		tests[m.pkg] += "|" + m.test
	}
	for pkg, all := range tests {
		if out, err := goTest(pkg, all[1:], "", options); err != nil {
			t.Fatalf("%s: the tests don't pass as it is:\n%s", pkg, last(out))
		}
	}
}

// run returns why the mutant doesn't count as noticed, "" when it does.
func (m mutant) run(t *testing.T, options []string) string {
	source, err := m.mutate()
	if err != nil {
		return err.Error()
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(filepath.Join("..", m.file))
	if err != nil {
		return err.Error()
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return err.Error()
	}
	for name, data := range map[string]string{changed: source, overlay: string(list)} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			return err.Error()
		}
	}
	out, err := goTest(m.pkg, m.test, " -overlay="+overlay, options)
	switch {
	case err == nil:
		return "NOT NOTICED"
	case !strings.Contains(out, "--- FAIL"):
		return "NO TEST RAN: " + last(out)
	case !strings.Contains(out, m.expected):
		return fmt.Sprintf("FAILS FOR ANOTHER REASON than %q: %s", m.expected, last(out))
	}
	return ""
}

// goTest runs tests with further flags of go, which hold for programs that they build themselves too.
func goTest(pkg, tests, flags string, options []string) (string, error) {
	args := append([]string{"test", "-count=1", "-vet=off", "-timeout=5m", "-run", tests}, options...)
	cmd := exec.Command("go", append(args, "./"+pkg)...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+flags)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// last is the end of what a test said.
func last(out string) string { return out[max(0, len(out)-600):] }
