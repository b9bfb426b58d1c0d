package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/vpn/namespace"
)

// The demonstration: one partner from the first order to the last. It is also the end-to-end test, so
// every step checks what it claims, with programs that are not ours where there are such.

// demonstration is one run.
type demonstration struct {
	*appliance
	corpus string
	number string // makes order numbers unique over several runs on one state
	dir    string // the office's state and the documents

	one, two *officer
	token    *token
	office   *namespace.Namespace // the office's network as root; nil without
	tunnel   *exec.Cmd            // trustlink up
	ended    chan error
}

type demoStep struct {
	name string
	do   func(context.Context) (detail string, err error)
}

// tidy switches off what an interrupted demonstration on the same state left on.
func (d *demonstration) tidy(ctx context.Context) error {
	var all []registry.Record
	if err := d.one.call(ctx, "GET", "/v1/orders", nil, &all); err != nil {
		return err
	}
	for _, rec := range all {
		if rec.Partner.ID == demoPartner && rec.Kind == registry.Activation && (rec.State == registry.Active || rec.State == registry.Approved) {
			number := d.number
			d.number += "-tidy"
			_, err := d.change(ctx)
			d.number = number
			return err
		}
	}
	return nil
}

// demoTimeout bounds one step.
const demoTimeout = 2 * time.Minute

// outerLink joins the office's namespace to the hub's (RFC 5737).
var outerLink = namespace.Link{Outer: netip.MustParsePrefix(outerHost + "/30"), Inner: netip.MustParsePrefix("192.0.2.2/30")}

// demonstrate plays all steps, a line each, and stops at the first that fails.
func (a *appliance) demonstrate(ctx context.Context, corpus string) (err error) {
	d := &demonstration{appliance: a, corpus: corpus, number: time.Now().UTC().Format("20060102-150405")}
	d.dir = a.state.path("demo", d.number)
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := d.identities(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.end()) }()
	if err := d.tidy(ctx); err != nil {
		return fmt.Errorf("ending an interrupted demonstration: %w", err)
	}
	steps := d.steps()
	fmt.Fprintf(a.out, "\ndemonstration: %d steps, files in %s\n", len(steps), d.dir)
	for i, s := range steps {
		started := time.Now()
		limited, cancel := context.WithTimeout(ctx, demoTimeout)
		detail, err := s.do(limited)
		cancel()
		if err != nil {
			fmt.Fprintf(a.out, "%2d  FAILED  %s\n", i+1, s.name)
			return fmt.Errorf("demonstration: %d of %d steps passed; step %d (%s): %w", i, len(steps), i+1, s.name, err)
		}
		fmt.Fprintf(a.out, "%2d  %7s  %s%s\n", i+1, since(started), s.name, detail)
	}
	fmt.Fprintf(a.out, "demonstration: %d of %d steps passed\n", len(steps), len(steps))
	return nil
}

func (d *demonstration) identities() (err error) {
	if d.one, err = newOfficer(d.layout.Trustd, d.state.officer(officers[0])); err != nil {
		return err
	}
	d.two, err = newOfficer(d.layout.Trustd, d.state.officer(officers[1]))
	return err
}

func (d *demonstration) steps() []demoStep {
	steps := []demoStep{
		{"officer-1 submits an activation order with B_HSM and P_VPN", d.submit},
		{"officer-1 may not approve it", d.approveBySubmitter},
		{"officer-2 approves it and gets a one-time token for the office", d.approve},
		{"the office makes its keys and enrols; certificate and HSM key are there", d.enrol},
		{"the tunnel is up, and its secrets are rotated through it", d.upAndRotated},
		{"the partner reaches the gateway and nothing else", d.isolation},
		{"openssl accepts the office's certificate and asks OCSP about it", d.certificate},
		{"a PDF is sealed through the tunnel with the HSM key and time-stamped", d.sealPDF},
		{"an XML document is sealed in the same way", d.sealXML},
		{"verifyd judges the PDF TOTAL-PASSED", d.judge("document-sealed.pdf", "PAdES")},
		{"verifyd judges the XML TOTAL-PASSED", d.judge("document-sealed.xml", "XAdES")},
		{"an application has both verified as a batch, by its token, until it is revoked", d.batch},
		{"openssl agrees about the PDF", d.opensslPDF},
		{"xmlsec1 agrees about the XML", d.xmlsec},
		{"a changed document is found out", d.tampered},
	}
	if d.layout.Reports != "" {
		steps = append(steps, demoStep{"verifyd's report on the PDF is sealed with an HSM key of its own, by an order", d.sealedReport},
			demoStep{"verifyd judges the report TOTAL-PASSED", d.judge(demoReport, "PAdES")})
	}
	if d.corpus != "" {
		steps = append(steps, demoStep{"a public sample is verified against the Union's trusted lists", d.publicSample})
	}
	return append(steps,
		demoStep{"officer-2 submits a change order, officer-1 approves it", d.change},
		demoStep{"the tunnel is refused", d.tunnelRefused},
		demoStep{"the certificate is revoked, says OCSP to openssl", d.revoked},
		demoStep{"the key is refused to the same certificate", d.keyRefused},
		demoStep{"the audit log proves the story", d.audit},
	)
}

const demoPartner = "um-przykladowo"

func (d *demonstration) order() string { return "ZU-" + d.number }

func (d *demonstration) submit(ctx context.Context) (string, error) {
	now := time.Now().UTC()
	file := fmt.Sprintf(`id: %s
kind: activation
partner: {id: %s, name: Urząd Miasta Przykładowo}
agreement: {number: UR/1/2026, signed: 2026-01-15}
units:
  - {id: mops, name: Miejski Ośrodek Pomocy Społecznej}
components: [B_HSM, P_VPN]
vpn_request: {site: main}
hsm_authorization:
  application: ezd
  keys:
    - {name: seal, algorithm: P-256, mechanisms: [ECDSA-SHA256]}
  not_before: %s
  not_after: %s
`, d.order(), demoPartner, now.Format(time.RFC3339), now.AddDate(1, 0, 0).Format(time.RFC3339))
	if err := os.WriteFile(d.file("order.yaml"), []byte(file), 0o600); err != nil {
		return "", err
	}
	rec, err := d.one.submit(ctx, []byte(file))
	if err != nil {
		return "", err
	}
	return " (" + rec.ID + ")", nil
}

func (d *demonstration) approveBySubmitter(ctx context.Context) (string, error) {
	_, err := d.one.approve(ctx, d.order())
	return refusal(err)
}

// refusal makes of an expected refusal a detail, and of its absence an error.
func refusal(err error) (string, error) {
	if err == nil {
		return "", errors.New("it was not refused")
	}
	return ": " + firstLine(err.Error()), nil
}

func firstLine(s string) string {
	line, _, _ := bytes.Cut([]byte(s), []byte("\n"))
	return string(line)
}

func (d *demonstration) approve(ctx context.Context) (string, error) {
	answer, err := d.two.approve(ctx, d.order())
	if err != nil {
		return "", err
	}
	t, ok := answer.(*token)
	if !ok || t.Token == "" {
		return "", errors.New("there is no token")
	}
	d.token = t
	return "", nil
}

func (d *demonstration) file(name string) string { return d.dir + "/" + name }

// trustlink prepares a command of the office's program.
func (d *demonstration) trustlink(ctx context.Context, args ...string) (*exec.Cmd, error) {
	program, err := sibling("trustlink")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, append(args, "--state", d.file("office"))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

func (d *demonstration) enrol(ctx context.Context) (string, error) {
	cmd, err := d.trustlink(ctx, "enrol", "--url", d.layout.Enrolment, "--token", "-", "--ca", d.state.ca())
	if err != nil {
		return "", err
	}
	cmd.Stdin = bytes.NewReader([]byte(d.token.Token + "\n")) // not in argv, where every user of the machine could read it
	if _, err := output(cmd, (*exec.Cmd).Start); err != nil {
		return "", err
	}
	rec, err := d.two.order(ctx, d.order())
	if err != nil {
		return "", err
	}
	if rec.State != registry.Active {
		return "", fmt.Errorf("the order is %s: %s", rec.State, rec.Waiting)
	}
	return "", nil
}

// up starts trustlink up, as root in a network of its own, and waits for its ready line.
func (d *demonstration) up(ctx context.Context) (detail string, err error) {
	args := []string{"up", "--json"}
	if d.space == nil {
		args = append(args, "--mode", netstack)
	} else if err := d.space.Do(func() (err error) { d.office, err = namespace.New(outerLink); return err }); err != nil {
		return "", err
	}
	if d.tunnel, err = d.trustlink(context.WithoutCancel(ctx), args...); err != nil {
		return "", err
	}
	log, err := os.Create(d.file("trustlink.log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	d.tunnel.Stderr = log
	out, err := d.tunnel.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := d.start(d.tunnel); err != nil {
		return "", err
	}
	line := make(chan string, 1)
	go func() {
		buffer := make([]byte, 64<<10)
		n, _ := io.ReadAtLeast(out, buffer, 1) // an early end shows as an empty line
		line <- firstLine(string(buffer[:n]))
	}()
	d.ended = make(chan error, 1)
	go func() { d.ended <- d.tunnel.Wait() }()
	select {
	case l := <-line:
		if l == "" {
			return "", fmt.Errorf("trustlink ended: see %s", log.Name())
		}
		return map[bool]string{true: " inside vpnd (no right to interfaces)", false: " in a network namespace of its own"}[d.office == nil], nil
	case <-ctx.Done():
		return "", fmt.Errorf("no handshake: see %s", log.Name())
	}
}

// upAndRotated rotates both secrets of the tunnel after the first handshake.
func (d *demonstration) upAndRotated(ctx context.Context) (detail string, err error) {
	if detail, err = d.up(ctx); err != nil {
		return "", err
	}
	cmd, err := d.trustlink(ctx, "rotate")
	if err != nil {
		return "", err
	}
	_, err = output(cmd, d.start)
	return detail, err
}

// start starts a command where the office is.
func (d *demonstration) start(cmd *exec.Cmd) error {
	if d.office != nil {
		return d.office.Start(cmd)
	}
	return cmd.Start()
}

// output runs a command where start starts it and returns what it says.
func output(cmd *exec.Cmd, start func(*exec.Cmd) error) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%v: %s", err, bytes.TrimSpace(out.Bytes())) // not %w: its exit status is not ours
	}
	return out.String(), nil
}

// isolation tries doors: the gateway's must open, all others stay shut. Without root there is no network
// of the office's own to try them from: what vpnd forwards is all there is.
func (d *demonstration) isolation(ctx context.Context) (string, error) {
	if d.office == nil {
		return " (forwarded ports only)", nil
	}
	if err := d.dial(ctx, tunnelGateway); err != nil {
		return "", fmt.Errorf("the gateway is out of reach: %w", err)
	}
	for _, shut := range []string{hubAddress + ":22", hubAddress + ":8440", hubAddress + ":8443", "10.64.0.3:9443", outerHost + ":9443"} {
		if err := d.dial(ctx, shut); err == nil {
			return "", fmt.Errorf("%s can be reached", shut)
		}
	}
	return "", nil
}

// dialTimeout tells a shut door from an open one; firewalls drop without a word.
const dialTimeout = 700 * time.Millisecond

func (d *demonstration) dial(ctx context.Context, address string) error {
	return d.office.Do(func() error {
		dialer := net.Dialer{Timeout: dialTimeout}
		c, err := dialer.DialContext(ctx, "tcp4", address)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

func (d *demonstration) change(ctx context.Context) (string, error) {
	file := fmt.Sprintf("id: ZZ-%s\nkind: change\npartner: {id: %s}\ncomponents: [B_HSM, P_VPN]\n", d.number, demoPartner)
	rec, err := d.two.submit(ctx, []byte(file))
	if err != nil {
		return "", err
	}
	if _, err := d.one.approve(ctx, rec.ID); err != nil {
		return "", err
	}
	started := time.Now()
	for rec.State != registry.CarriedOut {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("it is %s: %s", rec.State, rec.Waiting)
		case <-time.After(pollInterval):
		}
		if rec, err = d.two.order(ctx, rec.ID); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(" (carried out %s after the approval)", since(started)), nil
}

// end takes the office's end down.
func (d *demonstration) end() error {
	var all error
	if d.tunnel != nil && d.ended != nil {
		if err := d.tunnel.Process.Signal(syscall.SIGTERM); err == nil {
			select {
			case <-d.ended:
			case <-time.After(stopTimeout):
				all = errors.Join(errors.New("trustlink did not end and was killed"), d.tunnel.Process.Kill())
			}
		}
	}
	if d.office != nil {
		all = errors.Join(all, d.office.Close())
	}
	return all
}
