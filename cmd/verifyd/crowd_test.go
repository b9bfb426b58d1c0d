package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestCrowd opens 10,000 connections to verifyd, each of which holds on: idle after the handshake of TLS or before it,
// with half a head, and with a body that trickles. Good requests are answered beside them, and memory stays bounded.
func TestCrowd(t *testing.T) {
	s := startTarget(t)
	raiseFiles(t)
	before := s.peak()
	if status, err := s.validate(t.Context(), strings.NewReader("<a/>")); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	c := &crowd{target: s}
	defer c.leave()
	begun := time.Now()
	c.come(crowdSize)
	came := time.Since(begun)
	var took []time.Duration
	for deadline := time.Now().Add(10 * time.Second); len(took) < 200 || time.Now().Before(deadline); {
		if len(took)%10 == 0 {
			s.client.CloseIdleConnections() // the next one comes anew
		}
		started := time.Now()
		if status, err := s.validate(t.Context(), strings.NewReader("<a/>")); err != nil || status != http.StatusOK {
			t.Fatalf("a good request after %d: %d %v", len(took), status, err)
		}
		took = append(took, time.Since(started))
		c.trickle(len(took))
	}
	slices.Sort(took)
	t.Logf("%d came in %s, %d were turned away while they came; %d good requests: half in %s, 99 of 100 in %s, "+
		"all in %s; %d MB at most, %d MB before", crowdSize, came.Round(time.Millisecond), c.turnedAway, len(took),
		took[len(took)/2], took[len(took)*99/100], took[len(took)-1], s.peak()>>20, before>>20)
	if grown := s.peak() - before; grown > crowdMemory {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
	if took[len(took)*99/100] >= time.Second {
		t.Errorf("99 of 100 good requests took up to %s", took[len(took)*99/100])
	}
}

// TestMoreThanCanBeJudged: 300 clients ask without a pause, where 64 may wait; who finds no room is told to come again,
// and memory stays bounded.
func TestMoreThanCanBeJudged(t *testing.T) {
	s := startTarget(t)
	s.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 300
	before := s.peak()
	document := strings.Repeat("<a>text</a>", 5_000)
	var mu sync.Mutex
	count := map[int]int{}
	var clients sync.WaitGroup
	end := time.Now().Add(5 * time.Second)
	for range 300 {
		clients.Go(func() {
			for time.Now().Before(end) {
				status, err := s.validate(t.Context(), strings.NewReader("<d>"+document+"</d>"))
				if err != nil { // which was ended before its body had come
					status = 0
				}
				mu.Lock()
				count[status]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	t.Logf("answers by status: %v; %d MB at most, %d MB before", count, s.peak()>>20, before>>20)
	if grown := s.peak() - before; grown > overloadMemory {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
	if count[http.StatusOK] == 0 || count[http.StatusServiceUnavailable] == 0 ||
		count[http.StatusOK]+count[http.StatusServiceUnavailable]+count[0] != total(count) {
		t.Errorf("answers by status: %v", count)
	}
}

func total(count map[int]int) (sum int) {
	for _, n := range count {
		sum += n
	}
	return sum
}

const (
	crowdSize   = 10_000
	crowdMemory = 150 << 20 // 1,024 connections at 50 KB, and what judging leaves to be collected

	overloadMemory = 300 << 20 // what four documents of 55 KB take that are judged, and what they leave to be collected
)

// raiseFiles lets this process have as many files open as it may.
func raiseFiles(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < crowdSize+100 {
		t.Skipf("%d files may be open, %v", limit.Cur, err)
	}
}

// crowd are clients that hold on.
type crowd struct {
	*target
	mu         sync.Mutex
	conns      []net.Conn
	slow       []net.Conn // whose bodies trickle
	turnedAway int        // before they had said what they say first
}

// come has so many clients come, as fast as 64 of them can.
func (c *crowd) come(n int) {
	var coming sync.WaitGroup
	turns := make(chan struct{}, 64)
	for i := range n {
		turns <- struct{}{}
		coming.Go(func() {
			c.one(i)
			<-turns
		})
	}
	coming.Wait()
}

// one is one client, of the i-th kind.
func (c *crowd) one(i int) {
	conn, err := net.DialTimeout("tcp", c.cfg.Listen, time.Minute)
	if err != nil {
		c.t.Error(err)
		return
	}
	kind := i % 4
	if kind > 0 {
		secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		said := [...]string{"", "", "POST /v1/validations HTTP/1.1\r\nHost: a\r\nContent-Le",
			fmt.Sprintf("POST /v1/validations HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nx", 60_000)}[kind]
		if err = secured.HandshakeContext(c.t.Context()); err == nil {
			_, err = secured.Write([]byte(said))
		}
		conn = secured
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	switch {
	case err != nil:
		c.turnedAway++
	case kind == 3:
		c.slow = append(c.slow, conn)
	}
}

// trickle has some of the slow ones send a byte.
func (c *crowd) trickle(turn int) {
	for i := turn % 50; i < len(c.slow); i += 50 {
		_, _ = c.slow[i].Write([]byte("x")) // the daemon may have ended it
	}
}

func (c *crowd) leave() {
	for _, conn := range c.conns {
		if t, is := conn.(*tls.Conn); is {
			conn = t.NetConn()
		}
		_ = conn.Close()
	}
}
