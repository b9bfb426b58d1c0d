package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/tunnel"
)

// shifted is a clock that a test sets forward.
type shifted struct{ by atomic.Int64 }

func (s *shifted) now() time.Duration              { return vpn.BootTime() + time.Duration(s.by.Load()) }
func (s *shifted) forward(d time.Duration)         { s.by.Add(int64(d)) }
func (s *shifted) wall() time.Time                 { return time.Now().Add(time.Duration(s.by.Load())) }
func refused(probe func(time.Duration) error) bool { return probe(500*time.Millisecond) != nil }

// runGateway runs a vpnd on that clock and returns what ends it.
func runGateway(t *testing.T, cfg Config, clock *shifted) (logs *safeBuffer, stop func()) {
	t.Helper()
	logs = &safeBuffer{}
	g, err := newGateway(cfg, slog.New(slog.NewJSONHandler(logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	g.clock, g.memory.now, g.memory.wall = clock.now, clock.now, clock.wall
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return logs, stop
}

// leased is a gateway with one office whose tunnel is up.
type leased struct {
	*core
	cfg    Config
	clock  *shifted
	stop   func()
	wish   vpn.Wish
	probe  func(wait time.Duration) error // through the tunnel
	tunnel *tunnel.Tunnel
}

func newLeased(t *testing.T) *leased {
	t.Helper()
	c, cfg := startCore(t)
	l := &leased{core: c, cfg: cfg, clock: &shifted{}}
	c.lease = vpn.MinLease
	l.cfg.ListenPort = freeUDPPort(t)
	logs, stop := runGateway(t, l.cfg, l.clock)
	l.stop = stop
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(logs)
		}
	})
	key, err := vpn.LoadOrCreateKey(filepath.Join(t.TempDir(), "office.key"))
	if err != nil {
		t.Fatal(err)
	}
	service := vpn.Service{Name: "gateway", Proto: "tcp", Addr: netip.MustParseAddrPort("10.64.0.1:9443"), Backend: echoService(t)}
	peer := vpn.PeerWish{Partner: "office-1", Site: "main", PublicKey: key.Public(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.1.2/32")}, Services: []vpn.Service{service}}
	l.wish = vpn.Wish{Epoch: "a", Revision: 5, Peers: []vpn.PeerWish{peer}}
	c.put(t, l.wish)
	eventually(t, "the wish is in force", func() bool { return c.report().Revision == 5 })
	l.tunnel = bringUp(t, key, c.report(), peer)
	l.probe = func(wait time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		conn, err := l.tunnel.Dial(ctx, service.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(wait))
		conn.Write([]byte("x"))
		_, err = io.ReadFull(conn, make([]byte, 1))
		return err
	}
	if err := l.probe(patience); err != nil {
		t.Fatal(err)
	}
	return l
}

func freeUDPPort(t *testing.T) uint16 {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return uint16(socket.LocalAddr().(*net.UDPAddr).Port)
}

func (l *leased) silence() { l.change(func() { l.mute = true }) }

// wantNobodyIn asks until readyz says that the lease has ended, and probes.
func (l *leased) wantNobodyIn(t *testing.T, why string) {
	t.Helper()
	eventually(t, why, func() bool {
		code, body := get(t, l.cfg, "/readyz?service=vpn")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "lease")
	})
	if !refused(l.probe) {
		t.Errorf("%s: the office still gets in", why)
	}
}

// TestLeaseEndsEveryTunnel cuts the gateway off from trustd.
func TestLeaseEndsEveryTunnel(t *testing.T) {
	l := newLeased(t)
	l.silence()
	l.clock.forward(vpn.MinLease / 2)
	if err := l.probe(patience); err != nil {
		t.Errorf("within the lease: %v", err)
	}
	eventually(t, "health says that trustd is silent, and until when tunnels go on", func() bool {
		_, body := get(t, l.cfg, "/health")
		return strings.Contains(body, `"status":"amber"`) && strings.Contains(body, "the lease ends in")
	})
	if _, body := get(t, l.cfg, "/metrics"); !regexp.MustCompile("trustcore_vpn_lease_seconds [1-9]").MatchString(body) {
		t.Errorf("metrics: %s", body)
	}
	l.clock.forward(vpn.MinLease)
	l.wantNobodyIn(t, "the lease ended")
	if _, err := os.Stat(filepath.Join(l.cfg.StateDir, leaseFile)); !os.IsNotExist(err) {
		t.Errorf("a lease is still on disk: %v", err)
	}
	l.change(func() { l.mute = false })
	eventually(t, "trustd is back and so is the office", func() bool { return !refused(l.probe) })
}

// TestLeaseIsRenewed lets more than a lease pass, step by step, while trustd answers.
func TestLeaseIsRenewed(t *testing.T) {
	l := newLeased(t)
	for range 3 {
		l.clock.forward(vpn.MinLease * 3 / 4)
		l.forget()
		eventually(t, "another report", func() bool { return l.report().Digest != "" })
	}
	if err := l.probe(patience); err != nil {
		t.Error(err)
	}
}

// TestUnreadableWishGivesNoLease has a trustd whose wish says something that this program does not know.
func TestUnreadableWishGivesNoLease(t *testing.T) {
	l := newLeased(t)
	l.change(func() { l.raw, l.digest = []byte(`{"revision":6,"peers":[],"deny":["all"]}`), "newer" })
	eventually(t, "it was read", func() bool { _, body := get(t, l.cfg, "/health"); return strings.Contains(body, "deny") })
	l.clock.forward(vpn.MinLease)
	l.wantNobodyIn(t, "reports went on and renewed the lease")
}

// TestRestartServesTheLastWish starts vpnd again while trustd is away.
func TestRestartServesTheLastWish(t *testing.T) {
	l := newLeased(t)
	l.silence()
	l.stop()
	if !refused(l.probe) {
		t.Fatal("the gateway is not gone: this test proves nothing")
	}
	for _, name := range []string{wishFile, leaseFile} {
		if info, err := os.Stat(filepath.Join(l.cfg.StateDir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	logs, _ := runGateway(t, l.cfg, l.clock)
	eventually(t, "the office is let in again", func() bool { return !refused(l.probe) })
	if code, body := get(t, l.cfg, "/readyz?service=vpn"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	l.clock.forward(vpn.MinLease)
	l.wantNobodyIn(t, "the lease ended")
	if !strings.Contains(logs.String(), "what is left of its lease") {
		t.Errorf("the log does not say that the last wish is served: %s", logs)
	}
}

// TestRestartBringsNothingBack revokes the office, restarts vpnd without trustd, and takes the database back.
func TestRestartBringsNothingBack(t *testing.T) {
	l := newLeased(t)
	l.put(t, vpn.Wish{Epoch: "a", Revision: 6})
	eventually(t, "the office is gone", func() bool { return l.report().Revision == 6 })
	l.silence()
	l.stop()
	runGateway(t, l.cfg, l.clock)
	eventually(t, "the last wish is served", func() bool { code, _ := get(t, l.cfg, "/readyz"); return code == http.StatusOK })
	if !refused(l.probe) {
		t.Error("a restart let a revoked office in")
	}
	older := vpn.Wish{Epoch: "b", Revision: 2, Peers: l.wish.Peers}
	l.change(func() { l.mute = false })
	l.put(t, older)
	eventually(t, "the wish of the database that was taken back", func() bool { return l.report().Epoch == "b" && l.report().Revision == 2 })
	eventually(t, "the office is in", func() bool { return !refused(l.probe) })
}

// TestWishThatCantBeKept has a state folder where neither the new wish nor the end of the old one can be written.
func TestWishThatCantBeKept(t *testing.T) {
	l := newLeased(t)
	for _, name := range []string{wishFile, leaseFile} {
		path := filepath.Join(l.cfg.StateDir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l.put(t, vpn.Wish{Epoch: "a", Revision: 6})
	eventually(t, "the office is refused all the same", func() bool { return refused(l.probe) })
	eventually(t, "the report says why the wish does not count", func() bool { return strings.Contains(l.report().Problem, wishFile) })
	if s := l.report(); s.Revision == 6 || s.Digest != "" {
		t.Errorf("reported as carried out: %+v", s.Applied)
	}
	for _, name := range []string{wishFile, leaseFile} {
		if err := os.RemoveAll(filepath.Join(l.cfg.StateDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the disk is well again and the wish counts", func() bool { return l.report().Revision == 6 })
}

func TestLastWishOnDisk(t *testing.T) {
	start := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	raw := []byte(`{"epoch":"a","revision":1,"peers":[]}`)
	for name, c := range map[string]struct {
		later time.Duration // on both clocks
		spoil func(t *testing.T, l *lastWish)
		left  time.Duration // 0: it is not served
		wrong bool          // and somebody should know
	}{
		"as it was":            {time.Minute, func(*testing.T, *lastWish) {}, 14 * time.Minute, false},
		"the lease is over":    {15 * time.Minute, func(*testing.T, *lastWish) {}, 0, false},
		"another start":        {0, func(_ *testing.T, l *lastWish) { l.boot = "other" }, 0, false},
		"wall clock ahead":     {0, func(_ *testing.T, l *lastWish) { l.wall = func() time.Time { return start.Add(10 * time.Minute) } }, 5 * time.Minute, false},
		"wall clock far ahead": {0, func(_ *testing.T, l *lastWish) { l.wall = func() time.Time { return start.Add(time.Hour) } }, 0, false},
		"wall clock back":      {0, func(_ *testing.T, l *lastWish) { l.wall = func() time.Time { return start.Add(-time.Second) } }, 0, false},
		"no lease":             {0, func(t *testing.T, l *lastWish) { remove(t, l.path(leaseFile)) }, 0, false},
		"no wish":              {0, func(t *testing.T, l *lastWish) { remove(t, l.path(wishFile)) }, 0, true},
		"wish damaged": {0, func(t *testing.T, l *lastWish) {
			overwrite(t, l.path(wishFile), `{"epoch":"a","revision":1,"peers":[ ]}`)
		}, 0, true},
		"wish cut":                {0, func(t *testing.T, l *lastWish) { overwrite(t, l.path(wishFile), string(raw[:9])) }, 0, true},
		"lease damaged":           {0, func(t *testing.T, l *lastWish) { overwrite(t, l.path(leaseFile), `{"boot":`) }, 0, true},
		"lease empty":             {0, func(t *testing.T, l *lastWish) { overwrite(t, l.path(leaseFile), ``) }, 0, true},
		"lease too long":          {0, func(t *testing.T, l *lastWish) { overwrite(t, l.path(leaseFile), strings.Repeat(" ", maxAnswer+1)) }, 0, true},
		"lease of nothing at all": {0, func(t *testing.T, l *lastWish) { overwrite(t, l.path(leaseFile), `{}`) }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := lastWish{dir: t.TempDir(), boot: "this", now: func() time.Duration { return time.Hour }, wall: func() time.Time { return start }}
			if err, void := l.keep(raw, lease{length: 15 * time.Minute, until: time.Hour + 15*time.Minute}); err != nil || !void {
				t.Fatal(err)
			}
			l.now, l.wall = func() time.Duration { return time.Hour + c.later }, func() time.Time { return start.Add(c.later) }
			c.spoil(t, &l)
			got, held, err := l.load()
			if (err != nil) != c.wrong || (got != nil) != (c.left > 0) || held.left(l.now()) != c.left {
				t.Errorf("%q, %v left, %v; want %v", got, held.left(l.now()), err, c.left)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLeaseIsWithinLimits(t *testing.T) {
	for seconds, good := range map[int64]bool{-1: false, 0: false, 59: false, 60: true, 86400: true, 86401: false, 1 << 62: false} {
		var l lease
		if err := l.renew(time.Hour, vpn.Answer{LeaseSeconds: seconds}); (err == nil) != good || good != (l.until > time.Hour) {
			t.Errorf("%d s: %v, %+v", seconds, err, l)
		}
	}
	l := lease{length: time.Hour, until: 3 * time.Hour}
	if err := l.renew(time.Hour, vpn.Answer{LeaseSeconds: 60}); err != nil || l.until != 3*time.Hour || l.seconds(2*time.Hour) != 3600 {
		t.Errorf("an answer that was overtaken: %v, %+v", err, l)
	}
}
