package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/vpn"
)

// TestKilledGatewayIsNotMissed kills vpnd while an office sends numbered datagrams: none is lost, since device, firewall and routes
// outlive it and the next one finds them as they are to be.
func TestKilledGatewayIsNotMissed(t *testing.T) {
	l := newLAN(t)
	space, site := l.join("port1", "192.0.2.1"), l.join("port3", "192.0.2.30")
	var c *core
	var cfg Config
	if err := space.Do(func() error {
		c, cfg = startCore(t)
		return echoDatagrams(t, newOffice(t).peer.Services[0].Addr)
	}); err != nil {
		t.Fatal(err)
	}
	o := newOffice(t)
	gateway := startDaemon(t, space, cfg)
	t.Cleanup(func() { gateway.Process.Kill(); gateway.Wait() })
	c.put(t, vpn.Wish{Revision: 1, Peers: []vpn.PeerWish{o.peer}})
	eventually(t, "the wish is in force", func() bool { return c.report().Revision == 1 })
	if err := site.Do(func() error { return o.up(t, c.report().PublicKey, "192.0.2.1") }); err != nil {
		t.Fatal(err)
	}
	o.flow(t)
	eventually(t, "the datagrams are answered", o.flows)
	o.settle(t)
	before := o.sent.Load() - o.came.Load() // the first ones came before the tunnel was up
	o.pause.Store(false)
	eventually(t, "the datagrams are answered", o.flows)
	for range 3 {
		gap := o.gap(t, "killed", func() {
			gateway.Process.Kill()
			gateway.Wait()
			c.forget()
			gateway = startDaemon(t, space, cfg)
		}, func() bool { return c.report().Revision == 1 })
		t.Logf("without an answer for %v", gap.Round(time.Millisecond))
	}
	o.settle(t)
	if lost := o.sent.Load() - o.came.Load() - before; lost > 0 {
		t.Errorf("%d datagrams of %d were lost", lost, o.sent.Load())
	}
	o.pause.Store(false)
	c.put(t, vpn.Wish{Revision: 2, Peers: []vpn.PeerWish{}})
	eventually(t, "the wish without the office is in force", func() bool { return c.report().Revision == 2 })
	came := o.came.Load()
	gateway.Process.Kill()
	gateway.Wait()
	gateway = startDaemon(t, space, cfg)
	c.forget()
	eventually(t, "the next process reports", func() bool { return c.report().Revision == 2 })
	if o.came.Load() != came {
		t.Error("what was taken away came back with the next process")
	}
	gateway.Process.Signal(os.Interrupt)
	if err := gateway.Wait(); err != nil {
		t.Error(err)
	}
	eventually(t, "an orderly end leaves no interface", func() bool {
		return space.Do(func() error {
			if _, err := net.InterfaceByName("tc-kill"); err == nil {
				return errors.New("it is there")
			}
			return nil
		}) == nil
	})
}

// settle stops the flow, and waits until no more answers come.
func (o *realOffice) settle(t *testing.T) {
	t.Helper()
	o.pause.Store(true)
	last := int64(-1)
	eventually(t, "no more answers come", func() bool {
		now := o.came.Load()
		same := now == last
		last = now
		time.Sleep(200 * time.Millisecond)
		return same
	})
}

// TestHolderOfAnotherFolder: a folder that is not there is an error that says so, and so is a life that is none.
func TestHolderOfAnotherFolder(t *testing.T) {
	for _, args := range [][]string{{holdArgument, filepath.Join(t.TempDir(), "none"), "1s"}, {holdArgument, t.TempDir(), "long"}} {
		if err := run(t.Context(), args, nil); err == nil || !strings.Contains(err.Error(), "hold") {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{holdArgument, t.TempDir(), "1ms"}, nil); err != nil {
		t.Errorf("alone: %v", err)
	}
}
