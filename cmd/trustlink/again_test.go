package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/vpn/office"
)

// again is an office that is enrolled, and the core's next token.
func again(t *testing.T) (c *core, dir string, enrol []string) {
	t.Helper()
	c, dir = startCore(t), t.TempDir()
	enrol = []string{"enrol", "--state", dir, "--url", c.server.URL, "--ca", c.caFile(t), "--token", "right"}
	c.spoil = func(e *office.Enrolment) {
		*e = office.Enrolment{Partner: e.Partner, Certificate: e.Certificate, CA: e.CA}
	}
	if _, err := trustlink(t.Context(), enrol...); err != nil {
		t.Fatal(err)
	}
	data := read(t, dir, officeFile) // as if it had been another token
	if err := os.WriteFile(filepath.Join(dir, officeFile), []byte(strings.Replace(data, digest("right"),
		digest("old"), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.first = request{}
	return c, dir, enrol
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEnrolAgain takes another token in the folder of an enrolled office: new keys, and the old ones kept.
func TestEnrolAgain(t *testing.T) {
	c, dir, enrol := again(t)
	old := map[string]string{}
	files := []string{wireguardKeyFile, tlsKeyFile, requestFile, certificateFile, officeFile}
	for _, name := range files {
		old[name] = read(t, dir, name)
	}
	if _, err := trustlink(t.Context(), append(enrol, "--token", "wrong")...); err == nil {
		t.Error("a wrong token was taken")
	}
	for _, name := range files {
		if read(t, dir, name) != old[name] {
			t.Errorf("a wrong token changed %s", name)
		}
	}
	if _, err := trustlink(t.Context(), enrol...); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if read(t, dir, name) == old[name] {
			t.Errorf("%s is the one of before", name)
		}
		if read(t, filepath.Join(dir, beforeFolder), name) != old[name] {
			t.Errorf("%s of before is not kept", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, nextFolder)); err == nil {
		t.Error("the folder of the enrolment under way is left")
	}
	if out, err := trustlink(t.Context(), enrol...); err != nil || !strings.Contains(out, "already enrolled") ||
		c.seen != 3 {
		t.Errorf("once more: %q, %v, %d requests", out, err, c.seen)
	}
}

// TestEnrolAgainInterrupted ends while the old enrolment is kept, or while the new one takes its place, and is run once
// more.
func TestEnrolAgainInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		kept    bool // the old one is kept already
		blocked string
	}{
		"keeping the old one":   {false, beforeFolder + "/" + requestFile},
		"the very last of it":   {false, beforeFolder + "/" + officeFile},
		"installing the new":    {true, certificateFile},
		"after the keys' files": {true, requestFile},
	} {
		t.Run(name, func(t *testing.T) {
			core, dir, enrol := again(t)
			old := read(t, dir, tlsKeyFile)
			before := state{filepath.Join(dir, beforeFolder)}
			must(t, before.prepare())
			if c.kept {
				must(t, state{dir}.copyTo(before))
			}
			blocked := filepath.Join(dir, c.blocked)
			must(t, os.RemoveAll(blocked))
			must(t, os.Mkdir(blocked, 0o700)) // no file can be written there
			if _, err := trustlink(t.Context(), enrol...); err == nil {
				t.Fatal("it was not interrupted")
			}
			must(t, os.Remove(blocked))
			if _, err := trustlink(t.Context(), enrol...); err != nil {
				t.Fatal(err)
			}
			if read(t, dir, tlsKeyFile) == old || read(t, before.dir, tlsKeyFile) != old || core.seen != 2 {
				t.Errorf("the new key is there: %v; %d requests", read(t, dir, tlsKeyFile) != old, core.seen)
			}
		})
	}
}

// TestKeepBeforeOnce finds the folder half changed, as a repetition does.
func TestKeepBeforeOnce(t *testing.T) {
	_, dir, _ := again(t)
	s := state{dir}
	present, err := s.present()
	must(t, err)
	old := read(t, dir, tlsKeyFile)
	must(t, s.keepBefore(*present))
	must(t, s.write(tlsKeyFile, []byte("the new key")))
	must(t, s.keepBefore(*present))
	if read(t, s.path(beforeFolder), tlsKeyFile) != old {
		t.Error("the old key is lost")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEnrolAgainAsAnother leaves the folder of one partner to that one.
func TestEnrolAgainAsAnother(t *testing.T) {
	c, dir, enrol := again(t)
	old := read(t, dir, officeFile)
	c.spoil = func(e *office.Enrolment) {
		*e = office.Enrolment{Partner: "other", Certificate: e.Certificate, CA: e.CA}
	}
	if _, err := trustlink(t.Context(), enrol...); err == nil || !strings.Contains(err.Error(), "partner other") {
		t.Errorf("got %v", err)
	}
	if read(t, dir, officeFile) != old {
		t.Error("the folder was changed")
	}
}
