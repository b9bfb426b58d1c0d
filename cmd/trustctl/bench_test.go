package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/cmd/internal/custody"
)

// checkMeasurement holds an answer of bench against the contract.
func checkMeasurement(t *testing.T, what string, answer []byte, details ...string) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(answer, &fields); err != nil {
		t.Fatalf("no JSON object: %v: %s", err, answer)
	}
	for _, name := range []string{"what", "unit", "per_second", "p50_us", "p99_us", "rss_mb", "limit", "ratio", "details"} {
		if fields[name] == nil {
			t.Errorf("%s is missing: %s", name, answer)
		}
	}
	var m measurement
	if err := json.Unmarshal(answer, &m); err != nil {
		t.Fatal(err)
	}
	if m.What != what || m.Unit == "" || m.PerSecond <= 0 || m.P50 <= 0 || m.P99 < m.P50 || m.RSS <= 0 || m.Limit.What == "" || m.Limit.PerSecond <= 0 {
		t.Errorf("%+v", m)
	}
	if want := m.PerSecond / m.Limit.PerSecond; m.Ratio < want*0.999 || m.Ratio > want*1.001 {
		t.Errorf("ratio %g of %g to %g", m.Ratio, m.PerSecond, m.Limit.PerSecond)
	}
	for _, name := range details {
		if m.Details[name] == nil {
			t.Errorf("details without %s: %v", name, m.Details)
		}
	}
}

// bench runs the command in this process.
func bench(t *testing.T, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	c := root()
	c.SetArgs(append([]string{"bench"}, args...))
	c.SetOut(&out)
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBench(t *testing.T) {
	left := temporary(t)
	for what, details := range map[string][]string{
		"verify": {"cold", "phases_us", "XAdES", "PAdES", "CAdES", "ASiC"},
		"chain":  {"cold", "cached", "from_der", "crypto_x509"},
		"api":    {"clients_1", "clients_8", "clients_64"},
		"batch":  {"processor_ratio"},
		"vpn":    {"no_op", "one_change", "full"},
	} {
		t.Run(what, func(t *testing.T) {
			args := []string{what, "--json", "--seconds", "0.2"}
			if what == "vpn" {
				args = append(args, "--peers", "20")
			}
			checkMeasurement(t, what, bench(t, args...), details...)
		})
	}
	if table := bench(t, "chain", "--seconds", "0.1"); !bytes.Contains(table, []byte("ratio")) || json.Valid(table) {
		t.Errorf("the table for people: %s", table)
	}
	left()
}

// temporary gives the test a folder for temporary files; the result checks that nothing was left in it.
func temporary(t *testing.T) func() {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return func() {
		t.Helper()
		if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) > 0 {
			t.Errorf("left behind: %v, %v", names, err)
		}
	}
}

// TestBenchInHSM runs the built program, since the HSM's worker is a program of its own beside it.
func TestBenchInHSM(t *testing.T) {
	if _, err := os.Stat(custody.SoftHSM); err != nil {
		t.Skip("SoftHSM2 is not installed (apt-get install softhsm2)")
	}
	bin := programs(t)
	left := temporary(t)
	for what, details := range map[string][]string{"hsm": {"P-256", "RSA-3072"}, "ocsp": {"nonce", "cached"}, "tsa": {"nonce"}} {
		t.Run(what, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), filepath.Join(bin, "trustctl"), "bench", what, "--json", "--seconds", "0.3", "--concurrency", "2")
			var problems bytes.Buffer
			c.Stderr = &problems
			answer, err := c.Output()
			if err != nil || problems.Len() > 0 {
				t.Fatalf("%v: %s", err, problems.Bytes())
			}
			checkMeasurement(t, what, answer, details...)
		})
	}
	left()
}

func TestBenchReadsDocumentsAndCases(t *testing.T) {
	mix, err := mint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	signed, plain, junk, list := filepath.Join(dir, "signed.xml"), filepath.Join(dir, "plain.xml"), filepath.Join(dir, "junk"), filepath.Join(dir, "list")
	for file, text := range map[string][]byte{signed: mix.documents[0].data, plain: []byte("<a/>"), junk: []byte("nothing"),
		list: []byte("# of the corpus\n" + signed + "\n" + `{"file": "` + signed + `", "at": "2027-03-03T12:00:00Z"}` + "\n\n" + junk + "\n" + plain + "\n")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readChainCases(t.Context(), junk); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("cases that are none: %v", err)
	}
	s := benchSettings{files: list, seconds: 0.05, note: func(string) {}}
	m, err := benchVerify(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	if m.Details["documents"] != 2 || m.Details["left_out"] != 2 || m.Details["XAdES"] == nil {
		t.Errorf("%+v", m.Details)
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{}, "name what to measure"},
		{[]string{"weather"}, "name one of verify"},
		{[]string{"chain", "--seconds", "0"}, "--seconds"},
		{[]string{"chain", "--seconds", "NaN"}, "--seconds"},
		{[]string{"chain", "--concurrency", "-1"}, "--concurrency"},
		{[]string{"chain", "--cases", "/nonexistent"}, "--cases"},
		{[]string{"verify", "--files", "/nonexistent"}, "--files"},
		{[]string{"vpn", "--peers", "0"}, "0 peers"},
	} {
		command := root()
		command.SetArgs(append([]string{"bench"}, c.args...))
		command.SetOut(new(bytes.Buffer))
		if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("bench %v says %v, not %q", c.args, err, c.says)
		}
	}
}
