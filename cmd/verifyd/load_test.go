package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Load tests run verifyd in a process of its own, so that its memory and processor time can be told from the clients'.
// They take some minutes: set TRUSTCORE_LOAD to how long the attack lasts, such as 30s, and TRUSTCORE_ATTACKS to the folder
// with control-xsw-good.xml and documents whose names begin with dos- or bomb-.

// runEnv makes the test program verifyd itself.
const runEnv = "TRUSTCORE_RUN_VERIFYD"

func TestMain(m *testing.M) {
	if file := os.Getenv(runEnv); file != "" {
		if err := command().Run(context.Background(), []string{"--config", file}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// target is a verifyd under load.
type target struct {
	t      *testing.T
	cfg    Config
	client *http.Client
	pid    int
}

func startTarget(t *testing.T) *target {
	t.Helper()
	if os.Getenv("TRUSTCORE_LOAD") == "" {
		t.Skip("TRUSTCORE_LOAD is not set: no load")
	}
	o := newOffice(t)
	cfg := o.daemonConfig()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), runEnv+"="+o.path("verifyd.yaml"))
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGKILL), ignoreExit(cmd.Wait())); err != nil {
			t.Error(err)
		}
	})
	pool := x509.NewCertPool()
	pool.AddCert(o.root)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	s := &target{t: t, cfg: cfg, client: &http.Client{Transport: transport, Timeout: 5 * time.Minute}, pid: cmd.Process.Pid}
	var ready struct{ Status string }
	o.wait("verifyd", func() bool {
		time.Sleep(10 * time.Millisecond)
		return get(s.client, "http://"+cfg.Operations+"/readyz?service=verify", &ready)
	})
	return s
}

func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// validate sends a document and returns the status of the answer.
func (s *target) validate(ctx context.Context, document io.Reader) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.cfg.Listen+"/v1/validations", document)
	if err != nil {
		return 0, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// processorTime is what the daemon has used.
func (s *target) processorTime() time.Duration {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		s.t.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// peak is the most memory that the daemon has had, in bytes.
func (s *target) peak() int64 {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n << 10
}

func attacks(t *testing.T) (folder string, documents map[string][]byte) {
	t.Helper()
	if folder = os.Getenv("TRUSTCORE_ATTACKS"); folder == "" {
		t.Skip("TRUSTCORE_ATTACKS is not set: no attack")
	}
	documents = map[string][]byte{}
	for _, pattern := range []string{"dos-*", "bomb-*"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			documents[filepath.Base(file)] = readFile(t, file)
		}
	}
	return folder, documents
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return data
	}
	unzip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(unzip); err != nil {
		t.Fatal(err)
	}
	return data
}

// worst returns the names of the two documents that take most processor time.
func (s *target) worst(documents map[string][]byte) []string {
	s.t.Helper()
	took := map[string]time.Duration{}
	var names []string
	for name, data := range documents {
		before := s.processorTime()
		status, err := s.validate(s.t.Context(), bytes.NewReader(data))
		if err != nil {
			s.t.Fatal(name, err)
		}
		took[name] = s.processorTime() - before
		s.t.Logf("%-40s %9d bytes: %d, %s of processor time", name, len(data), status, took[name])
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(took[b] - took[a]) })
	return names[:2]
}

// TestGoodRequestsUnderAttack: two clients without end send the two worst documents; good requests are answered, and nothing
// burns when the two are gone.
func TestGoodRequestsUnderAttack(t *testing.T) {
	folder, documents := attacks(t)
	s := startTarget(t)
	lasts, err := time.ParseDuration(os.Getenv("TRUSTCORE_LOAD"))
	if err != nil {
		t.Fatal(err)
	}
	good := readFile(t, filepath.Join(folder, "control-xsw-good.xml"))
	worst := s.worst(documents)
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var attackers sync.WaitGroup
	for _, name := range worst {
		attackers.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.validate(ctx, bytes.NewReader(documents[name])) // the attackers don't care
			}
		})
	}
	var took []time.Duration
	for ctx.Err() == nil {
		started := time.Now()
		if status, err := s.validate(t.Context(), bytes.NewReader(good)); err != nil || status != http.StatusOK {
			t.Errorf("a good request: %d %v", status, err)
		}
		took = append(took, time.Since(started))
		time.Sleep(20 * time.Millisecond) // a clerk thinks
	}
	attackers.Wait()
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d good requests: half in %s, 99 of 100 in %s, all in %s; %d MB at most", len(took), took[len(took)/2], p99, took[len(took)-1], s.peak()>>20)
	if p99 >= time.Second {
		t.Errorf("99 of 100 good requests took up to %s", p99)
	}
	time.Sleep(500 * time.Millisecond) // for those that were being judged
	before := s.processorTime()
	time.Sleep(2 * time.Second)
	if burnt := s.processorTime() - before; burnt > 100*time.Millisecond {
		t.Errorf("%s of processor time in 2 s after the attackers are gone", burnt)
	}
}

// TestUploadsUnderTheCeiling: 66 uploads of 100 MB at once, half of them text to parse; verifyd stays below max_memory, and
// answers good requests beside them.
func TestUploadsUnderTheCeiling(t *testing.T) {
	s := startTarget(t)
	large := slices.Concat([]byte("<document>"), bytes.Repeat([]byte("<part>of a large document</part>"), 100_000_000/32), []byte("</document>"))
	shapeless := make([]byte, 100_000_000)
	shapeless[0] = 1
	var mu sync.Mutex
	count := map[int]int{}
	var uploads sync.WaitGroup
	done := make(chan struct{})
	for i := range 66 {
		uploads.Go(func() {
			status, err := s.validate(t.Context(), bytes.NewReader([][]byte{large, shapeless}[i%2]))
			if err != nil { // a server that refuses early closes the connection under the upload
				status = 0
			}
			mu.Lock()
			count[status]++
			mu.Unlock()
		})
	}
	go func() { uploads.Wait(); close(done) }()
	var worst time.Duration
	good := 0
	for running := true; running; {
		started := time.Now()
		if status, err := s.validate(t.Context(), strings.NewReader("<a/>")); err != nil || status != http.StatusOK {
			t.Errorf("a good request: %d %v", status, err)
		}
		worst, good = max(worst, time.Since(started)), good+1
		select {
		case <-done:
			running = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	peak := s.peak()
	t.Logf("answers by status: %v; %d good requests in at most %s; %d MB at most", count, good, worst, peak>>20)
	if peak > s.cfg.MaxMemory {
		t.Errorf("%d bytes, %d are the ceiling", peak, s.cfg.MaxMemory)
	}
	for status := range count {
		if !slices.Contains([]int{0, 200, 422, 503}, status) {
			t.Errorf("an upload was answered %d", status)
		}
	}
}
