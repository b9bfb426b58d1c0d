package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"trustcore/internal/problem"
)

// Time-outs of starting and stopping.
const (
	readyTimeout = 90 * time.Second // SoftHSM and the namespaces of a slow machine included
	pollInterval = 50 * time.Millisecond
	stopTimeout  = 20 * time.Second
)

// appliance is the running daemons.
type appliance struct {
	state  state
	layout *layout
	out    io.Writer

	daemons []*process
	failed  chan error // the first daemon that ended by itself
}

// process is one daemon.
type process struct {
	name  string
	cmd   *exec.Cmd
	ended chan error
}

// start starts the daemons in order and returns when all are ready.
func (a *appliance) start(ctx context.Context) error {
	a.failed = make(chan error, 8)
	for _, d := range []struct {
		name       string
		operations int
	}{{"trustd", portTrustdOperations}, {"verifyd", portVerifydOperations}, {"vpnd", portVPNOperations}} {
		started := time.Now()
		if err := a.launch(d.name); err != nil {
			return err
		}
		if err := a.await(ctx, d.name, a.layout.local(d.operations)); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%-8s ready in %s\n", d.name, since(started))
	}
	return nil
}

func (a *appliance) launch(name string) error {
	program, err := sibling(name)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(a.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p := &process{name: name, ended: make(chan error, 1)}
	p.cmd = exec.Command(program, "--config", a.state.path("config", name+".yaml"))
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = a.state.dir, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.daemons = append(a.daemons, p)
	go func() {
		err := p.cmd.Wait()
		p.ended <- err
		a.failed <- fmt.Errorf("%s ended (%v): %s", name, err, a.lastLine(name))
	}()
	return nil
}

func (a *appliance) log(name string) string { return a.state.path("log", name+".log") }

// lastLine is what a daemon said last, for the person who started it.
func (a *appliance) lastLine(name string) string {
	data, err := os.ReadFile(a.log(name))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(lines[len(lines)-1])
}

// await polls the daemon's readiness.
func (a *appliance) await(ctx context.Context, name, operations string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	why := "it does not answer"
	for {
		if ok, reason := ready(ctx, operations); ok {
			return nil
		} else if reason != "" {
			why = reason
		}
		select {
		case err := <-a.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s (log: %s)", name, why, a.log(name))
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, operations string) (ok bool, reason string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+operations+"/readyz", nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, ""
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return true, ""
	}
	var p problem.Problem
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&p); err != nil {
		return false, err.Error()
	}
	return false, p.Detail
}

// stop ends the daemons in reverse order.
func (a *appliance) stop() error {
	var all error
	for i := len(a.daemons) - 1; i >= 0; i-- {
		p := a.daemons[i]
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			all = errors.Join(all, fmt.Errorf("%s: %w", p.name, err))
		}
		select {
		case <-p.ended:
		case <-time.After(stopTimeout):
			all = errors.Join(all, fmt.Errorf("%s did not end in %s and was killed", p.name, stopTimeout), p.cmd.Process.Kill())
		}
	}
	a.daemons = nil
	return all
}

// describe prints what to open and try.
func (a *appliance) describe() {
	self := os.Args[0]
	fmt.Fprintf(a.out, `
The appliance serves; end it with Ctrl-C.
  console          %s   (log in: %s console --state %s --as officer-2)
  verification     curl --cacert %s --data-binary @FILE %s/v1/validations   (or drop files into the console)
  OCSP, CRL, TSA   %s/{ocsp,crl/issuing.crl,tsa}
  orders           %s order show --state %s
  audit            %s audit verify --state %s
  logs             %s
`, a.layout.Console, self, a.state.dir, a.state.ca(), a.layout.Verifyd, a.layout.PKIURL, self, a.state.dir, self, a.state.dir, a.state.path("log"))
}
