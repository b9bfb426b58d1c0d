package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/identity"
	"trustcore/internal/store/storetest"
	"trustcore/vpn"
	"trustcore/vpn/office"
)

const nodeArgument = "trustd-one-of-several"

// nodeConfig is what the process of a node is told.
type nodeConfig struct{ Dir, Node, Database string }

// serveNode is the process of a node over a shared database. It says its addresses on standard output.
func serveNode(text string) error {
	var c nodeConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	w := &world{dir: c.Dir}
	cfg := w.config()
	cfg.Node, cfg.Database = c.Node, c.Database
	log, err := os.OpenFile(filepath.Join(c.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.NewJSONHandler(log, nil))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	d, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	ports := map[string]string{}
	for _, s := range d.servers {
		ports[s.Name] = s.Listener.Addr().String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(ports); err != nil {
		return err
	}
	return errors.Join(d.run(ctx), d.close())
}

// peer is a node that runs as a process of its own.
type peer struct {
	dir, name, database string
	cmd                 *exec.Cmd

	mu    sync.Mutex
	ports map[string]string // by listener; guarded by mu
}

// at is where a listener of the node is, or was before it died.
func (p *peer) at(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ports[listener]
}

// join starts a node over the database with a state of its own: what the ceremony left, the token, and an audit log of the node's own.
func join(t *testing.T, founded, database, name string) *peer {
	t.Helper()
	p := &peer{dir: t.TempDir(), name: name, database: database}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(exec.CommandContext(t.Context(), "cp", "-a", founded+"/.", p.dir).Run())
	must(os.RemoveAll(filepath.Join(p.dir, "trustd", "audit")))
	// The token is one, as that of an HSM in the network is: both nodes' SoftHSM2 keep it in one folder.
	tokens := filepath.Join(p.dir, "trustd", "hsm", "tokens")
	must(os.RemoveAll(tokens))
	must(os.Symlink(filepath.Join(founded, "trustd", "hsm", "tokens"), tokens))
	t.Cleanup(func() { p.kill() })
	p.start(t)
	return p
}

// start starts the node's process, also again.
func (p *peer) start(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(nodeConfig{p.dir, p.name, p.database})
	must(err)
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "/proc/self/exe", nodeArgument, string(text))
	p.cmd.SysProcAttr, p.cmd.Stderr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, os.Stderr
	said, err := p.cmd.StdoutPipe()
	must(err)
	must(p.cmd.Start())
	line, err := bufio.NewReader(said).ReadBytes('\n')
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		t.Fatalf("node %s does not start: %v; %s", p.name, err, log)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	must(json.Unmarshal(line, &p.ports))
}

// kill ends the node without a warning.
func (p *peer) kill() {
	_ = p.cmd.Process.Kill() // it may be dead
	_ = p.cmd.Wait()         // it was killed
}

// cluster is two nodes and somebody who asks them: the one that answered last, and the other when that one does not.
type cluster struct {
	*world
	nodes  [2]*peer
	first  atomic.Int32 // the node that is asked first
	lost   atomic.Int64 // calls that a node took and did not answer
	failed atomic.Int64 // calls that neither answered
	served atomic.Int64
}

// contentTypes are those of bodies, by path; RFC 6960 and RFC 3161 name theirs.
var contentTypes = map[string]string{"/pki/ocsp": "application/ocsp-request", "/pki/tsa": "application/timestamp-query"}

// call asks with a client until a node answers, each at most once.
func (c *cluster) call(client *http.Client, method, scheme, listener, path string, body []byte) (answer, error) {
	var all error
	first := c.first.Load()
	for i := range c.nodes {
		n := (int(first) + i) % len(c.nodes)
		request, err := http.NewRequestWithContext(context.Background(), method, scheme+"://"+c.nodes[n].at(listener)+path, bytes.NewReader(body))
		if err != nil {
			return answer{}, err
		}
		request.Header.Set("Content-Type", contentTypes[path])
		response, err := client.Do(request)
		if err == nil {
			var data []byte
			data, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err == nil && response.StatusCode < http.StatusInternalServerError {
				c.served.Add(1)
				return answer{response.StatusCode, data}, nil
			}
			err = errors.Join(err, fmt.Errorf("node %s: %s %.200s", c.nodes[n].name, response.Status, data))
		}
		all = errors.Join(all, err)
		if i == 0 && !errors.Is(err, syscall.ECONNREFUSED) {
			c.lost.Add(1)
		}
		c.first.CompareAndSwap(int32(n), int32((n+1)%len(c.nodes)))
	}
	c.failed.Add(1)
	return answer{}, all
}

// newCluster founds an authority over PostgreSQL and starts both nodes.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	runtime.LockOSThread() // the kernel ends the nodes when the thread that started them ends
	c := &cluster{world: &world{t: t, dir: t.TempDir()}}
	database := storetest.Postgres(t)
	cfg := c.config()
	cfg.Node, cfg.Database = "founder", database
	c.perform(cfg.Config)
	for i, name := range []string{"a", "b"} {
		c.nodes[i] = join(t, c.dir, database, name)
	}
	return c
}

// as is a client with a holder's certificate.
func (c *cluster) as(holder string) *http.Client {
	var settings *tls.Config
	var err error
	settings, err = identity.Identity(c.identity(holder)).Client()
	c.must(err)
	transport := &http.Transport{TLSClientConfig: settings, MaxIdleConnsPerHost: callers}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// callers is how many calls are in flight at a time.
const callers = 8

// TestANodeIsKilled runs two nodes over one PostgreSQL and kills the one that has everything to do, while officers, OCSP clients, lists and
// an office's signatures are served: no more calls are lost than were in flight, and orders are carried out by the other node without anybody doing anything.
func TestANodeIsKilled(t *testing.T) {
	c := newCluster(t)
	officer := c.as("officer-1")
	c.carryOut(officer, "ZU-1")
	signing := c.enrol(officer, "ZU-1", "ezd-1")

	stop := make(chan struct{})
	var running sync.WaitGroup
	calls := append(c.calls(officer), signing)
	for i := range callers {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := calls[i%len(calls)](); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	serve := func(calls int64) {
		t.Helper()
		for until := c.served.Load() + calls; c.served.Load() < until && !t.Failed(); {
			<-time.After(10 * time.Millisecond)
		}
	}
	serve(200)
	c.nodes[0].kill()
	serve(200)
	begun := time.Now()
	c.carryOut(officer, "ZU-2")
	taken := time.Since(begun)
	close(stop)
	running.Wait()
	t.Logf("%d calls served, %d lost, %d failed; an order after the death of the node took %v", c.served.Load(), c.lost.Load(),
		c.failed.Load(), taken.Round(time.Millisecond))
	if c.lost.Load() > callers || c.failed.Load() != 0 {
		t.Errorf("%d calls lost of %d in flight, %d failed", c.lost.Load(), callers, c.failed.Load())
	}
}

// calls are what people and programs ask: an order, the standing of a certificate, a list, and a time-stamp, which takes the token and
// the database. Each says what is wrong with the answer.
func (c *cluster) calls(officer *http.Client) []func() error {
	issuing, err := custody.ReadCertificate(filepath.Join(c.dir, "trustd", "pki", "issuing.pem"))
	c.must(err)
	subject, err := custody.ReadCertificate(c.identity("officer-2").Certificate)
	c.must(err)
	question, err := ocsp.CreateRequest(subject, issuing, nil)
	c.must(err)
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}, Timeout: time.Minute}
	ask := func(client *http.Client, method, scheme, listener, path string, body []byte, right func(answer) error) func() error {
		return func() error {
			a, err := c.call(client, method, scheme, listener, path, body)
			if err == nil && a.status != http.StatusOK {
				err = fmt.Errorf("status %d: %.200s", a.status, a.body)
			}
			if err == nil {
				err = right(a)
			}
			if err != nil {
				err = fmt.Errorf("%s %s: %w", method, path, err)
			}
			return err
		}
	}
	return []func() error{
		ask(officer, "GET", "https", "admin", "/v1/orders?id=ZU-1", nil, func(a answer) error {
			return json.Unmarshal(a.body, &struct{}{})
		}),
		ask(plain, "POST", "http", "pki", "/pki/ocsp", question, func(a answer) error {
			found, err := ocsp.ParseResponseForCert(a.body, subject, issuing)
			if err == nil && found.Status != ocsp.Good {
				err = fmt.Errorf("OCSP status %d", found.Status)
			}
			return err
		}),
		ask(plain, "GET", "http", "pki", "/pki/crl/issuing.crl", nil, func(a answer) error {
			list, err := x509.ParseRevocationList(a.body)
			if err == nil {
				err = list.CheckSignatureFrom(issuing)
			}
			return err
		}),
		ask(plain, "POST", "http", "pki", "/pki/tsa", c.stampRequest(), func(a answer) error {
			var token struct {
				Status struct{ Status int }
				Token  asn1.RawValue `asn1:"optional"`
			}
			_, err := asn1.Unmarshal(a.body, &token)
			if err == nil && token.Status.Status != 0 {
				err = fmt.Errorf("PKIStatus %d", token.Status.Status)
			}
			return err
		}),
	}
}

// enrol enrols the office of an order and waits until its key can be used. What it returns has it sign, and holds the signature against
// the key.
func (c *cluster) enrol(officer *http.Client, order, holder string) func() error {
	c.t.Helper()
	client := c.as("officer-2")
	var token struct{ Token string }
	c.said(client, "admin", "/v1/orders/token", map[string]string{"id": order}, &token)
	tunnel, err := vpn.GeneratePrivateKey() // which an office without a tunnel sends too
	c.must(err)
	private, csr := c.request("")
	var enrolled office.Enrolment
	c.said(client, "enrolment", "/v1/enrolments", enrolRequest{Token: token.Token, PublicKey: tunnel.Public().String(), CSR: csr}, &enrolled)
	c.install(holder, enrolled.Certificate, private)
	var seal use
	for deadline := time.Now().Add(2 * time.Minute); !seal.Usable; <-time.After(50 * time.Millisecond) {
		var said struct{ Keys []use }
		a, err := c.call(c.as(holder), "GET", "https", "gateway", "/v1/keys", nil)
		if err == nil && json.Unmarshal(a.body, &said) == nil && len(said.Keys) == 1 {
			seal = said.Keys[0]
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the office has no key: %d %s %v", a.status, a.body, err)
		}
	}
	certificate, err := x509.ParseCertificate(seal.Chain[0])
	c.must(err)
	caller := c.as(holder)
	return func() error {
		a, err := c.call(caller, "POST", "https", "gateway", "/v1/keys/"+seal.ID+"/sign", []byte(digestToSign))
		var said struct{ Signature []byte }
		if err == nil && (a.status != http.StatusOK || json.Unmarshal(a.body, &said) != nil) {
			err = fmt.Errorf("status %d: %.200s", a.status, a.body)
		}
		if err == nil {
			err = certificate.CheckSignature(x509.ECDSAWithSHA256, nil, said.Signature)
		}
		return err
	}
}

// said asks for JSON, which has to come.
func (c *cluster) said(client *http.Client, listener, path string, in, out any) {
	c.t.Helper()
	body, err := json.Marshal(in)
	c.must(err)
	a, err := c.call(client, "POST", "https", listener, path, body)
	if err != nil || a.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s %v", path, a.status, a.body, err)
	}
	c.must(json.Unmarshal(a.body, out))
}

// stampRequest asks for a time-stamp (RFC 3161 2.4.1).
func (c *cluster) stampRequest() []byte {
	type imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	der, err := asn1.Marshal(struct {
		Version int
		Imprint imprint
	}{1, imprint{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}, make([]byte, 32)}})
	c.must(err)
	return der
}

// carryOut submits and approves an order, and waits until its key was made: then it waits for the office.
func (c *cluster) carryOut(officer *http.Client, id string) {
	c.t.Helper()
	text := activationOf(id, "", keysOnly, "ezd-"+id[3:], key("seal", ""), inYears(2))
	a, err := c.call(officer, "POST", "https", "admin", "/v1/orders", []byte(text))
	if err != nil || a.status != http.StatusOK {
		c.t.Fatalf("submitted: %d %s %v", a.status, a.body, err)
	}
	a, err = c.call(c.as("officer-2"), "POST", "https", "admin", "/v1/orders/approve", []byte(`{"id":"`+id+`"}`))
	if err != nil || a.status != http.StatusOK {
		c.t.Fatalf("approved: %d %s %v", a.status, a.body, err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(50 * time.Millisecond) {
		var rec struct{ Steps []struct{ Name string } }
		a, err := c.call(officer, "GET", "https", "admin", "/v1/orders?id="+id, nil)
		if err == nil && json.Unmarshal(a.body, &rec) == nil && len(rec.Steps) > 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("order %s is not carried out: %s %v", id, a.body, err)
		}
	}
}
