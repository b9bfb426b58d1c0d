package hotfolder

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveArgument makes this binary a process that works on the folders of a site.
const serveArgument = "serve-hot-folder"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == serveArgument {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve seals by a line that tells of the use of a key, of which a log is kept.
func serve(dir string) error {
	uses, err := os.OpenFile(filepath.Join(dir, "uses"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	f, err := Open(Config{In: at("in"), Out: at("out"), Failed: at("failed"), Done: at("done"), Work: at("work"),
		MaxBytes: 1 << 20, InFlight: 4, Poll: time.Millisecond, Mode: 0o640, Log: slog.New(slog.DiscardHandler),
		Report: func(r Result) { _ = json.NewEncoder(os.Stdout).Encode(r) },
		Seal: func(_ context.Context, name string, content []byte) (Sealed, error) {
			if strings.HasPrefix(name, "bad") {
				return Sealed{}, &Refusal{PL: "Nie.", EN: "No."}
			}
			if _, err := fmt.Fprintln(uses, name); err != nil {
				return Sealed{}, err
			}
			return Sealed{Content: append(content, "\nsealed"...), Suffix: suffixOf(name)}, nil
		}})
	if err != nil {
		return err
	}
	return f.Run(context.Background())
}

// TestKilledAgainAndAgain kills the process without warning after each so many documents, while results are taken away
// as they come: each document has one result or one reason in the end, and keys are used in vain for what was in flight
// alone.
func TestKilledAgainAndAgain(t *testing.T) {
	const documents, kills = 240, 8
	s := newSite(t)
	taken := map[string]int{} // results by content
	for i := range documents {
		name := fmt.Sprintf("%03d.xml", i)
		if i%20 == 0 {
			name = fmt.Sprintf("bad-%03d.xml", i)
		}
		s.put("in", name, name)
	}
	collect := func(some bool) {
		for i, name := range s.names("out") {
			if !strings.HasPrefix(name, ".") && (!some || i%2 == 0) {
				taken[s.content("out", name)]++
				if err := os.Remove(s.at("out", name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for range kills {
		runUntil(t, s, documents/(kills+2))
		collect(true)
	}
	runUntil(t, s, -1)
	collect(false)
	for content, n := range taken {
		if n != 1 || !strings.HasSuffix(content, "\nsealed") {
			t.Errorf("%q: %d results", content, n)
		}
	}
	used := strings.Count(s.content("", "uses"), "\n")
	results, failed := len(taken), len(s.names("failed"))
	if results != documents-documents/20 || failed != 2*documents/20 || used < results || used > results+4*kills {
		t.Errorf("%d results, %d files in failed, %d uses", results, failed, used)
	}
	t.Logf("%d documents, %d kills: %d results, %d refused, %d uses in vain", documents, kills, results, failed/2, used-results)
	s.want("in")
	s.want("out")
	if !s.settled() {
		t.Errorf("work holds %q", s.names("work"))
	}
}

// runUntil starts the process and kills it when it has told of so many documents; -1 waits until nothing is left.
func runUntil(t *testing.T, s *site, documents int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], serveArgument, s.dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	told := json.NewDecoder(out)
	for range max(documents, 0) {
		if err := told.Decode(new(Result)); err != nil {
			t.Fatal(err)
		}
	}
	if documents < 0 {
		go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
		for len(s.names("in")) > 0 || !s.settled() {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // killed
}

// settled tells whether no document is in work.
func (s *site) settled() bool {
	s.t.Helper()
	for _, name := range s.names("work") {
		if strings.HasSuffix(name, claimedEnd) || strings.Contains(name, stagedPart) {
			return false
		}
	}
	return true
}
