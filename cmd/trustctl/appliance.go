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
	"slices"
	"syscall"
	"time"

	"trustcore/internal/problem"
	"trustcore/vpn/namespace"
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

	users   map[string]uint32    // of the daemons; nil: they run as who started them
	space   *namespace.Namespace // where the daemons of a demonstration with interfaces live; nil: on the host
	doors   doors                // of a demonstration
	daemons []*process
}

// start starts the daemons in order and returns when all are ready.
func (a *appliance) start(ctx context.Context) error {
	for _, d := range []struct {
		name       string
		operations int
	}{{"trustd", portTrustdOperations}, {"verifyd", portVerifydOperations}, {"batchd", portBatchdOperations}, {"vpnd", portVPNOperations}} {
		started := time.Now()
		p, err := a.launch(ctx, d.name)
		if err != nil {
			return err
		}
		if err := a.await(ctx, p, a.layout.local(d.operations)); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%-8s ready in %s\n", d.name, since(started))
	}
	return nil
}

// launch starts a daemon, which runs until stop.
func (a *appliance) launch(ctx context.Context, name string) (*process, error) {
	program, err := sibling(name)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, ended: make(chan struct{})}
	p.say = func(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }
	p.begin = func(ctx context.Context) (*exec.Cmd, error) { return a.begin(ctx, name, program) }
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.daemons = append(a.daemons, p)
	go p.keep(ctx)
	return p, nil
}

// begin starts a daemon's program.
func (a *appliance) begin(ctx context.Context, name, program string) (*exec.Cmd, error) {
	log, err := os.OpenFile(a.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := a.doors.command(ctx, name, program, "--config", a.state.path("config", name+".yaml"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.state.dir, log, log
	cmd.SysProcAttr = a.credential(name)
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGTERM, true
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	return cmd, a.inside(func() error { return startBound(cmd) })
}

// spawn starts a command where the daemons are.
func (a *appliance) spawn(cmd *exec.Cmd) error { return a.inside(cmd.Start) }

func (a *appliance) inside(do func() error) error {
	if a.space != nil {
		return a.space.Do(do)
	}
	return do()
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
func (a *appliance) await(ctx context.Context, p *process, operations string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	go func() { // its door stays open when it ends, and a question would wait there
		select {
		case <-p.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	why := "it does not answer"
	for {
		if ok, reason := ready(ctx, operations); ok {
			p.ready.Store(true)
			return nil
		} else if reason != "" {
			why = reason
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%w: %s", p.err, a.lastLine(p.name))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s (log: %s)", p.name, why, a.log(p.name))
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

// stop ends the daemons in reverse order and takes their network away.
func (a *appliance) stop() error {
	var all error
	for _, p := range slices.Backward(a.daemons) {
		all = errors.Join(all, p.end())
	}
	a.doors.close()
	if a.space != nil {
		all = errors.Join(all, a.space.Close())
	}
	return all
}

// describe prints what to open and try.
func (a *appliance) describe() {
	self := os.Args[0]
	fmt.Fprintf(a.out, `
The appliance serves; end it with Ctrl-C.
  console          %s   (log in: %s console --state %s --as officer-2)
  verification     curl --cacert %s --data-binary @FILE %s/v1/validations   (or drop files into the console)
  batches          %s batch submit FOLDER --watch --state %s
  OCSP, CRL, TSA   %s/{ocsp,crl/issuing.crl,tsa}
  orders           %s order show --state %s
  audit            %s audit verify --state %s
  logs             %s
`, a.layout.Console, self, a.state.dir, a.state.ca(), a.layout.Verifyd, self, a.state.dir, a.pki(), self, a.state.dir, self, a.state.dir, a.state.path("log"))
}

// pki is where people find OCSP, CRLs and time-stamps: the address in certificates may be one of the tunnel.
func (a *appliance) pki() string {
	if a.space != nil {
		return "http://" + a.layout.local(portPKI) + "/pki"
	}
	return a.layout.PKIURL
}
