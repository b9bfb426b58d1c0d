package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit writes a unit that systemd takes, and whose command this program does.
func TestUnit(t *testing.T) {
	for _, name := range []string{"state", "with space", `hostile "%n$HOME\x`} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			text, err := trustlink(t.Context(), "service", "unit", "--state", dir, "--renew-only")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(text, "ExecStart=") != 1 || !strings.Contains(text, "CapabilityBoundingSet=CAP_NET_ADMIN\n") || strings.Contains(text, "%!") {
				t.Errorf("unit:\n%s", text)
			}
			verifyUnit(t, "trustlink.service", text)
		})
	}
	command, _, err := newCommand().Find(unit{state: "/s", ifname: "tc"}.arguments())
	if err != nil || command.Name() != "up" {
		t.Fatalf("%v, %v", command.Name(), err)
	}
	if err := command.ParseFlags(unit{state: "/s", ifname: "tc", renewOnly: true}.arguments()[1:]); err != nil {
		t.Error(err)
	}
	if _, err := trustlink(t.Context(), "service", "unit", "--state", "a\nb"); err == nil {
		t.Error("a line break in a path was taken")
	}
}

// TestHotfolderUnit writes a unit that systemd takes, whose command this program does from any folder, and which can
// move documents between its folders.
func TestHotfolderUnit(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text, err := trustlink(t.Context(), "service", "unit", "--state", "s", "--user", "ezd", "--", "hotfolder", "run", "--in", `a "%n/in`, "--out", "/srv/out", "--level", "B-LT")
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.NewReplacer(`"`, `\"`, "%", "%%").Replace(here + `/a "%n`)
	for _, line := range []string{"\nUser=ezd\nCapabilityBoundingSet=\n", "\nReadWritePaths=\"" + quoted + "\" \"/srv/out\"\n",
		` "hotfolder" "run" "--state" "` + here + `/s" "--in=` + quoted + `/in" "--level=B-LT" "--out=/srv/out"` + "\n"} {
		if strings.Count(text, line) != 1 || strings.Contains(text, "%!") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	verifyUnit(t, "trustlink-ezd.service", text)
	if text, err = trustlink(t.Context(), "service", "unit", "--state", "s", "--", "hotfolder", "run", "--in", "/srv/ezd/in", "--out", "/srv/ezd/out", "--originals", "remove"); err != nil ||
		!strings.Contains(text, "\nReadWritePaths=\"/srv/ezd\"\n") || !strings.Contains(text, "\nCapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER\n") {
		t.Errorf("%v\n%s", err, text)
	}
	for says, args := range map[string][]string{
		"behind --":        {"--", "up"},
		"--out is missing": {"--", "hotfolder", "run", "--in", "/srv/in"},
		"is no flag":       {"--", "hotfolder", "run", "--in", "/srv/in", "--out", "/srv/out", "more"},
		"unknown flag":     {"--", "hotfolder", "run", "--nothing"},
		"in common":        {"--", "hotfolder", "run", "--in", "/srv/in", "--out", "/srv/out", "--work", "/var/work"},
		"no name of":       {"--user", "ezd\nExecStart=x", "--", "hotfolder", "run", "--in", "/srv/in/x", "--out", "/srv/out"},
		"for a hot folder": {"--user", "ezd"},
		"can't hold":       {"--", "hotfolder", "run", "--in", "/srv/in/x\n", "--out", "/srv/out"},
	} {
		if _, err := trustlink(t.Context(), append([]string{"service", "unit", "--state", "s"}, args...)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want %q", args, err, says)
		}
	}
}

// verifyUnit has systemd read the unit, where it is installed.
func verifyUnit(t *testing.T, name, text string) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed: the unit is not verified")
		return
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "verify", "--man=no", file).CombinedOutput()
	for line := range strings.SplitSeq(string(out), "\n") {
		if strings.Contains(line, name) { // what it says of the host's other units is the host's affair
			t.Errorf("%v: %s", err, line)
		}
	}
}

// TestExport writes the tunnel for other systems, with the key only when it is asked for.
func TestExport(t *testing.T) {
	c, dir := startCore(t), t.TempDir()
	if _, err := trustlink(t.Context(), "enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"); err != nil {
		t.Fatal(err)
	}
	private := strings.TrimSpace(read(t, dir, wireguardKeyFile))
	for format, files := range map[string][]string{"networkd": {"90-tc-office.netdev", "90-tc-office.network"}, "openwrt": {"network", "firewall"},
		"mikrotik": {"tc-office.rsc"}, "opnsense": {"tc-office.xml"}, "wg-quick": nil} {
		plain, err := trustlink(t.Context(), "show", "--state", dir, "--format", format)
		if err != nil || strings.Contains(plain, private) || !strings.Contains(plain, "10.64.0.1/32") {
			t.Errorf("%s: %q, %v", format, plain, err)
		}
		out := t.TempDir()
		if len(files) == 0 {
			continue
		}
		if _, err := trustlink(t.Context(), "show", "--state", dir, "--format", format, "--with-private-key", "--out", out); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		all := ""
		for _, name := range files {
			if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
				continue
			}
			all += read(t, out, name)
		}
		if strings.Count(all, private) != 1 {
			t.Errorf("%s: the key stands there %d times", format, strings.Count(all, private))
		}
	}
	if _, err := trustlink(t.Context(), "show", "--state", dir, "--format", "cisco"); err == nil {
		t.Error("a format that there is not was taken")
	}
}
