package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestVerifySettings: a file says what no flag does; that of the state's verifyd where no flag says whom to trust.
func TestVerifySettings(t *testing.T) {
	file, anchor, host := fetchable(t)
	root, err := os.ReadFile(anchor)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeDeep(t, string(root), dir, "own.pem")
	own := writeDeep(t, "anchors: [own.pem]\nfetch_allow: ['"+host+"']\n", dir, "verify.yaml")
	state := filepath.Join(dir, "state")
	writeDeep(t, "listen: x\nstate_dir: "+filepath.Join(state, "verifyd")+"\nanchors: [../../own.pem]\nfetch_allow: ['"+host+"']\n",
		state, "config", "verifyd.yaml")
	alone := writeDeep(t, "anchors: [own.pem]\noffline: true\nfetch_allow: ['"+host+"']\n", dir, "alone.yaml")
	other := writeDeep(t, "anchors: [none.pem]\n", dir, "other.yaml")
	for _, c := range []struct {
		args         []string
		passed, says string
	}{
		{[]string{"--settings", own}, "TOTAL-PASSED", ""},
		{[]string{"--settings", own, "--offline"}, "INDETERMINATE", ""},
		{[]string{"--settings", alone}, "INDETERMINATE", ""},
		{[]string{"--state", state}, "TOTAL-PASSED", "judged as " + filepath.Join(state, "config", "verifyd.yaml")},
		{[]string{"--state", state, "--settings", "none"}, "INDETERMINATE", ""},
		{[]string{"--state", filepath.Join(dir, "none")}, "INDETERMINATE", ""},
		{[]string{"--state", state, "--settings", "none", "--offline=false", "--anchors", anchor, "--fetch-allow", host}, "TOTAL-PASSED", ""},
		{[]string{"--state", state, "--anchors", anchor, "--offline=false"}, "INDETERMINATE", ""}, // a flag says whom to trust: nothing of the state
		{[]string{"--settings", other, "--anchors", anchor, "--fetch-allow", host}, "TOTAL-PASSED", ""},
	} {
		out, _ := runVerify(t, append(c.args, file)...)
		told := strings.Contains(out, "judged as")
		if !strings.Contains(out, c.passed) || !strings.Contains(out, c.says) || told != (c.says != "") {
			t.Errorf("%q: want %s, %q:\n%s", c.args, c.passed, c.says, out)
		}
	}
	for want, content := range map[string]string{
		`no key "anchor"`: "anchor: [a.pem]\n", "cannot unmarshal": "anchors: {}\n", "none.pem": "anchors: [none.pem]\n",
		"this is no http": "proxy: 'proxy:3128'\n", "more than": strings.Repeat("#", 1<<20+1),
	} {
		wrong := writeDeep(t, content, dir, "wrong.yaml")
		if _, err := runVerify(t, "--settings", wrong, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", content, err, want)
		}
	}
}

// TestSettingsAreVerifyds: each key of verifyd's configuration is one of a settings file, or known to say nothing of how
// documents are judged.
func TestSettingsAreVerifyds(t *testing.T) {
	source, err := os.ReadFile("../verifyd/config.go")
	if err != nil {
		t.Fatal(err)
	}
	known, err := os.ReadFile("verifysettings.go")
	if err != nil {
		t.Fatal(err)
	}
	config, _, _ := strings.Cut(string(source), "\n}\n")
	keys := regexp.MustCompile(`koanf:"(\w+)"`).FindAllStringSubmatch(config, -1)
	for _, key := range keys {
		if !slices.Contains(ofVerifyd, key[1]) && !strings.Contains(string(known), `yaml:"`+key[1]+`"`) {
			t.Errorf("%s of verifyd's configuration is refused in a settings file", key[1])
		}
	}
	if len(keys) < 20 {
		t.Errorf("%d keys are found", len(keys))
	}
}
