package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/trustlink/internal/hotfolder"
)

// many is how many documents the tests of kills take: some, and a thousand where the public samples are at hand, in
// make conformance.
func many() int {
	if os.Getenv("TRUSTCORE_CORPUS") == "" {
		return 30
	}
	return 1000
}

const (
	killings = 3
	inFlight = 4
)

// hot are the folders of a hot folder.
type hot struct {
	*sealWorld
	root string
}

func newHot(w *sealWorld) *hot {
	h := &hot{w, w.t.TempDir()}
	for _, name := range []string{"in", "out"} {
		if err := os.Mkdir(h.at(name), 0o700); err != nil {
			w.t.Fatal(err)
		}
	}
	return h
}

func (h *hot) at(elements ...string) string {
	return filepath.Join(append([]string{h.root}, elements...)...)
}

func (h *hot) args(more ...string) []string {
	return append([]string{"hotfolder", "run", "--in", h.at("in"), "--out", h.at("out"), "--settle", "0", "--poll", "20ms"}, more...)
}

// visible are the names in a folder that are not hidden.
func visible(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// until waits for something that a process does; the process must live meanwhile.
func until(t *testing.T, c *exec.Cmd, log *bytes.Buffer, holds func() bool) {
	t.Helper()
	ended := make(chan error, 1)
	if c != nil {
		go func() { ended <- c.Wait() }()
	}
	defer func() {
		if c != nil {
			_ = c.Process.Kill()
			if err := <-ended; err == nil {
				t.Errorf("the process had ended")
			}
		}
	}()
	for deadline := time.Now().Add(10 * time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the process ended: %v\n%s", err, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain\n%s", log)
		}
	}
}

// TestHotFolderKilled: a process over a folder of documents is killed again and again in the middle; each original has
// exactly one seal in the end, and the key was used in vain for what was in flight alone.
func TestHotFolderKilled(t *testing.T) {
	w, n := newSealWorld(t), many()
	h := newHot(w)
	for i := range n {
		put(t, fmt.Sprintf("<pismo>numer %d</pismo>", i), h.at("in"), fmt.Sprintf("%04d.xml", i))
	}
	for k := 1; k <= killings; k++ {
		c, log := w.start(h.args()...)
		until(t, c, log, func() bool { return len(visible(t, h.at("out"))) >= n*k/(killings+1) })
	}
	c, log := w.start(h.args()...)
	until(t, c, log, func() bool { return len(visible(t, h.at("in-done"))) >= n && h.workIsEmpty() })
	h.eachOnce(n, "out", "numer")
	vain := w.uses(n) - n
	if vain > killings*inFlight {
		t.Errorf("%d uses of the key in vain, %d kills with %d documents in flight", vain, killings, inFlight)
	}
	t.Logf("%d documents, %d kills: %d uses of the key in vain", n, killings, vain)
	if left := visible(t, h.at("in-failed")); len(left) > 0 || len(visible(t, h.at("in"))) > 0 {
		t.Errorf("failed: %q", left)
	}
	entries, err := os.ReadDir(h.at("out"))
	if err != nil || len(entries) != n+1 { // and the mark
		t.Errorf("%d names in out, %v", len(entries), err)
	}
}

func (h *hot) workIsEmpty() bool {
	s, err := hotfolder.Inspect(h.at("in-work"), h.at("in-failed"))
	if err != nil {
		h.t.Fatal(err)
	}
	return s.InWork == 0
}

// eachOnce holds each number to be in one result, with one seal.
func (h *hot) eachOnce(n int, folder, word string) {
	h.t.Helper()
	number := regexp.MustCompile(word + ` (\d+)<`)
	seen := map[string]int{}
	for _, name := range visible(h.t, h.at(folder)) {
		text, err := os.ReadFile(h.at(folder, name))
		if err != nil {
			h.t.Fatal(err)
		}
		m := number.FindAllSubmatch(text, -1)
		if len(m) != 1 || bytes.Count(text, []byte("<ds:Signature ")) != 1 {
			h.t.Errorf("%s is not one sealed document:\n%.500s", name, text)
			continue
		}
		if seen[string(m[0][1])]++; seen[string(m[0][1])] > 1 {
			h.t.Errorf("%s has a second result, %s", m[0][1], name)
		}
		if len(seen)%max(n/10, 1) == 0 { // verifying each of a thousand takes minutes
			h.judge(h.at(folder, name), "B-LT")
		}
	}
	if len(seen) != n {
		h.t.Errorf("%d of %d documents have a result", len(seen), n)
	}
}

// TestReceiptsKilled makes official receipts of a folder of documents, is killed again and again in the middle, and
// goes on: each document has exactly one receipt.
func TestReceiptsKilled(t *testing.T) {
	w, n := newSealWorld(t), many()
	h := newHot(w)
	facts := put(t, "issuer: {name: Urząd}\naddressee: {name: Urząd}\nsender: {name: Jan Testowy}\n", h.at("office.yaml"))
	for i := range n {
		put(t, fmt.Sprint("wniosek ", i), h.at("in"), fmt.Sprintf("wniosek %04d", i))
	}
	args := []string{"seal", "--receipt", "upo", "--facts", facts, "--resume", "--out-dir", h.at("out"), "--parallel", fmt.Sprint(inFlight), h.at("in")}
	for k := 1; k <= killings; k++ {
		c, log := w.start(args...)
		until(t, c, log, func() bool { return len(visible(t, h.at("out"))) >= n*k/(killings+1) })
	}
	if out, err := w.run(args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.eachOnce(n, "out", `IdentyfikatorDokumentu>wniosek`)
	vain := w.uses(n) - n
	if vain > killings*inFlight {
		t.Errorf("%d uses of the key in vain, %d kills with %d documents in flight", vain, killings, inFlight)
	}
	t.Logf("%d receipts, %d kills: %d uses of the key in vain", n, killings, vain)
}

// TestHotFolderThroughAnOutage: documents of each kind wait for the data centre, bad ones don't, and the status tells.
func TestHotFolderThroughAnOutage(t *testing.T) {
	w := newSealWorld(t)
	h := newHot(w)
	w.away.Store(true)
	c, log := w.start(h.args("--json", "--originals", "remove")...)
	put(t, smallPDF(), h.at("in", "a.pdf"))
	put(t, `{"a": 1}`, h.at("in", "c.json"))
	put(t, "tekst", h.at("in", "d.txt"))
	status := func() (s hotfolder.Status, err error) {
		out, err := w.run("hotfolder", "status", "--in", h.at("in"), "--json")
		if failed := json.Unmarshal([]byte(out), &s); failed != nil {
			t.Fatalf("%v\n%s", failed, out)
		}
		return s, err
	}
	until(t, c, log, func() bool {
		s, err := status()
		if s.Blocked == "" {
			return false
		}
		if !errors.Is(err, exitCode(3)) || !s.Running || s.InFailed > 0 || len(visible(t, h.at("out"))) > 0 {
			t.Errorf("%v, %+v", err, s)
		}
		return true
	})
	if s, err := status(); !errors.Is(err, exitCode(3)) || s.Running || s.InWork != 3 {
		t.Errorf("killed in an outage: %v, %+v", err, s)
	}
	w.away.Store(false)
	c, log = w.start(h.args("--json", "--originals", "remove")...)
	put(t, "<broken", h.at("in", "e.xml"))
	until(t, c, log, func() bool {
		s, err := status()
		done := len(visible(t, h.at("out"))) == 3 && s.InFailed == 1 && s.InWork == 0 && s.Sealed == 3
		if done && (!errors.Is(err, exitCode(3)) || s.Refused != 1) {
			t.Errorf("%v, %+v", err, s)
		}
		return done
	})
	for _, name := range []string{"a.pdf", "c.json", "d.txt.asics"} {
		w.judge(h.at("out", name), "B-LT")
	}
	reason, err := os.ReadFile(h.at("in-failed", "e.xml.reason.txt"))
	if err != nil || !strings.Contains(string(reason), "Dokumentu nie można opieczętować.") || !strings.Contains(string(reason), "The document can't be sealed.") {
		t.Errorf("%v\n%s", err, reason)
	}
	if uses := w.uses(3); uses != 3 {
		t.Errorf("%d uses for 3 documents", uses)
	}
}

// TestHotFolderOfReceipts: what appears are facts.
func TestHotFolderOfReceipts(t *testing.T) {
	w := newSealWorld(t)
	h := newHot(w)
	facts := put(t, "addressee: {name: Urząd Miasta Przykładowo}\n", h.at("office.yaml"))
	put(t, `{"sender": {"name": "Jan Testowy"}, "document": {"id": "RPW/1/2026", "sha256": "`+hexDigest([]byte("x"))+`"}}`, h.at("in", "1.json"))
	put(t, `{"sender": {"name": "Jan Testowy"}, "document": {"id": "RPW/2/2026"}}`, h.at("in", "2.json"))
	put(t, `<pismo/>`, h.at("in", "3.xml"))
	c, log := w.start(h.args("--receipt", "upp", "--facts", facts)...)
	until(t, c, log, func() bool { return len(visible(t, h.at("out"))) == 1 && len(visible(t, h.at("in-failed"))) == 4 })
	if r := w.judge(h.at("out", "1.json.upp.xml"), "B-LT"); r.DocumentType != "upp" {
		t.Errorf("%q", r.DocumentType)
	}
	if reason, err := os.ReadFile(h.at("in-failed", "2.json.reason.txt")); err != nil || !strings.Contains(string(reason), "document.sha256") {
		t.Errorf("%v\n%s", err, reason)
	}
}

// TestTwoHotFoldersOnOne: the second process says that the first is there.
func TestTwoHotFoldersOnOne(t *testing.T) {
	w := newSealWorld(t)
	h := newHot(w)
	c, log := w.start(h.args()...)
	until(t, c, log, func() bool {
		s, err := hotfolder.Inspect(h.at("in-work"), h.at("in-failed"))
		if err != nil || !s.Running {
			return false
		}
		if out, err := w.run(h.args()...); !errors.Is(err, hotfolder.ErrLocked) {
			t.Errorf("%v\n%s", err, out)
		}
		return true
	})
}

func TestHotFolderRefusesWrongFlags(t *testing.T) {
	w := newSealWorld(t)
	h := newHot(w)
	ctx, stop := context.WithCancel(t.Context())
	stop() // what is taken ends at once
	for says, args := range map[string][]string{
		"--in is missing":           {"--in", ""},
		"--out is missing":          {"--out", ""},
		"--mode":                    {"--mode", "7777"},
		"--originals":               {"--originals", "keep"},
		"--max-bytes":               {"--max-bytes", "1000000000"},
		"in work at once":           {"--in-flight", "0"},
		"--level":                   {"--level", "B"},
		"--receipt":                 {"--receipt", "npp"},
		"goes with --receipt":       {"--facts", "x"},
		"the same folder":           {"--out", h.at("in")},
		"lies in the folder in":     {"--out", h.at("in", "out")},
		"no such file or directory": {"--out", h.at("none")},
	} {
		if says == "lies in the folder in" {
			if err := os.Mkdir(h.at("in", "out"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		out, err := trustlink(ctx, append(append([]string{"--state", w.dir}, h.args()...), args...)...)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v\n%s; want %q", args, err, out, says)
		}
	}
}
