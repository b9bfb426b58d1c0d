package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"

	"trustcore/vpn/hub"
)

// holdArgument has this program be a holder: vpnd hold FOLDER DURATION. vpnd starts it for itself.
const holdArgument = "hold"

// hold has one device of mode userspace for vpnd, and outlives it: the sessions of all offices are there, and what may pass is in
// the kernel's firewall, which ends it with the lease.
func hold(ctx context.Context, dir, alone string) error {
	life, err := time.ParseDuration(alone)
	if err != nil {
		return fmt.Errorf("%s: %w", holdArgument, err)
	}
	debug.SetGCPercent(hub.GCPercent)
	return hub.Hold(ctx, dir, life, slog.New(slog.DiscardHandler))
}

// startHolder starts a holder of this very program, also where its file was replaced since, that no signal to vpnd's group ends, and does not wait for it: it ends when vpnd closes its hub, or
// when it has been alone for too long.
func (g *gateway) startHolder(dir string) error {
	cmd := exec.Command("/proc/self/exe", holdArgument, dir, g.cfg.Outlive.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { // so that it leaves no entry behind
		if err := cmd.Wait(); err != nil {
			g.log.Warn("the holder of a device has ended", "error", err)
		}
	}()
	return nil
}
