package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSealingManual: the blocks of docs/sealing.md do what they say, one after the other in one folder, and the
// commands beside them are taken as they are written.
func TestSealingManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/sealing.md")
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := filepath.Abs("../../hsm/receipt")
	if err != nil {
		t.Fatal(err)
	}
	w := newSealWorld(t)
	dir, bin := t.TempDir(), t.TempDir()
	put(t, smallPDF(), dir, "letter.pdf")
	for _, file := range []string{"application.xml", "outgoing/a.xml", "outgoing/deep/b.xml"} {
		put(t, "<pismo>"+file+"</pismo>", dir, file)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' %s --state '%s' \"$@\"\n", os.Args[0], programArgument, w.dir)
	if err := os.WriteFile(filepath.Join(bin, "trustlink"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(sh)?\n(.*?)```").FindAllStringSubmatch(string(manual), -1)
	if len(blocks) != 5 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		if block[1] == "" {
			readCommands(t, block[2])
			continue
		}
		c := exec.CommandContext(t.Context(), "sh", "-e", "-c", block[2])
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "RECEIPT_SCHEMAS="+schemas)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, block[2], out)
		}
	}
	for file, level := range map[string]string{"letter-sealed.pdf": "B-LT", "application-sealed.xml": "B-LT", "outgoing/deep/b-sealed.xml": "B-LT",
		"sealed/b-sealed.xml": "B-LT", "application.xml.upp.xml": "B-LT", "out/letter.pdf": "B-LT"} {
		w.judge(filepath.Join(dir, file), level)
	}
}

// readCommands has the command line read what the manual tells to type as an administrator.
func readCommands(t *testing.T, block string) {
	t.Helper()
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " > ")
		words := strings.Fields(line)
		if words[0] != "trustlink" || words[2] != "unit" { // the others are of systemd, and of Windows
			continue
		}
		if out, err := trustlink(t.Context(), words[1:]...); err != nil || !strings.Contains(out, "/srv/ezd") {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}
