package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trustcore/hsm"
	"trustcore/hsm/gateway"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
)

// addOpener makes the office a key that decrypts.
func (w *sealWorld) addOpener() {
	w.t.Helper()
	how := []mechanism.Mechanism{mechanism.RSAOAEPSHA1}
	info, err := w.tok.Generate(w.t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, hsm.KeySpec{Partner: "office-1", Order: "ZU-1",
		Label: "open", Algorithm: hsm.RSA2048, Mechanisms: how})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grants = append(w.grants, gateway.Grant{Partner: "office-1", Application: "ezd", KeyID: info.ID, Order: "ZU-1", Active: true,
		Mechanisms: how})
}

// servePrograms serves the office's keys to PKCS#11 programs of this account.
func (w *sealWorld) servePrograms() (keys *officeKeys, socket string) {
	w.t.Helper()
	keys = newOfficeKeys(state{w.dir})
	return keys, serveKeys(w.t, keys, uint32(os.Geteuid()))
}

// programs are those that blocks of the manual are about, each before what it needs beside.
var programs = []string{"nginx", "cmsutil", "jarsigner", "keytool", "curl", "p11tool", "ssh-keygen", "pkcs11-tool", "openssl"}

// says is what a program says when it did what its block is for.
var says = map[string]string{
	"nginx": "Verification: OK", "cmsutil": "Verification successful", "jarsigner": "jar verified.", "keytool": "seal, PrivateKeyEntry", "curl": "let in",
	"p11tool": "Type: Private key", "ssh-keygen": "ecdsa-sha2-nistp256 ", "pkcs11-tool": "",
}

// programOf is the program that a block is about.
func programOf(block string) string {
	i := slices.IndexFunc(programs, func(name string) bool {
		return regexp.MustCompile("(?m)^(OPENSSL_CONF=\\S+ )?" + name + " ").MatchString(block)
	})
	if i < 0 {
		return "none"
	}
	return programs[i]
}

// around puts what blocks of the manual take for granted into a folder, and returns their variables: the authority's
// root, a service that lets in who shows the certificate of the office's key, and a port that nobody uses.
func (w *sealWorld) around(t *testing.T, dir string) []string {
	t.Helper()
	w.mu.Lock()
	der := w.chains[w.grants[0].KeyID][0]
	w.mu.Unlock()
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || !bytes.Equal(r.TLS.PeerCertificates[0].Raw, der) {
			a.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintln(a, "let in")
	}))
	service.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	service.StartTLS()
	t.Cleanup(service.Close)
	for name, c := range map[string]*x509.Certificate{"service-ca.pem": service.Certificate(), "ca.pem": w.authority.Root.Certificate} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return []string{"SERVICE=" + service.URL, "OFFICE=" + newOfficeKeys(state{w.dir}).label(), "PORT=" + port}
}

// blocksOfPrograms are what docs/programs.md says to type for PKCS#11 programs, behind the line that names the socket.
func (w *sealWorld) blocksOfPrograms(socket string) []string {
	w.t.Helper()
	if _, err := os.Stat(pkcs11Module()); err != nil {
		w.t.Skip("p11-kit-client.so is not installed (apt-get install p11-kit-modules)")
	}
	manual, err := os.ReadFile("../../docs/programs.md")
	if err != nil {
		w.t.Fatal(err)
	}
	var env bytes.Buffer
	if err := printPKCS11Env(&env, socket); err != nil {
		w.t.Fatal(err)
	}
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(manual), -1) {
		blocks = append(blocks, env.String()+block[1])
	}
	if len(blocks) != 10 {
		w.t.Fatalf("%d blocks", len(blocks))
	}
	return blocks
}

// types types a block, and wants that the program did what it is for.
func (w *sealWorld) types(t *testing.T, program, block string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	if engines, _ := filepath.Glob("/usr/lib/*/engines-*/pkcs11.so"); strings.Contains(block, "engine") && len(engines) == 0 {
		t.Skip("the engine pkcs11 is not installed (apt-get install libengine-pkcs11-openssl)")
	}
	c := exec.CommandContext(t.Context(), "sh", "-e", "-c", block)
	c.Dir = t.TempDir()
	c.Env = append(append(os.Environ(), "HOME="+c.Dir), w.around(t, c.Dir)...)
	t.Cleanup(func() { endServer(t, filepath.Join(c.Dir, "nginx.pid")) })
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), says[program]) || len(out) == 0 {
		t.Errorf("%v\n%s; want %q", err, out, says[program])
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "signature")); err != nil && strings.Contains(block, " signature") {
		t.Errorf("%v\n%s", err, out)
	}
}

// endServer ends a server that a block has started and did not come to end.
func endServer(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || syscall.Kill(pid, syscall.SIGTERM) != nil {
		t.Logf("%s: process %s is not ended", file, text)
	}
}

// The lines that docs/programs.md says to type do what it says.
func TestLinesOfTheManual(t *testing.T) {
	w := newSealWorld(t)
	w.addOpener()
	_, socket := w.servePrograms()
	for _, block := range w.blocksOfPrograms(socket) {
		program := programOf(block)
		t.Run(program, func(t *testing.T) { w.types(t, program, block) })
	}
}

// Every program goes on where the gateway is away when it begins, and comes back while the program waits: what lists is
// answered from memory, what signs waits. It takes a minute, and runs with the samples (make conformance).
func TestProgramsThroughAnOutage(t *testing.T) {
	if os.Getenv("TRUSTCORE_CORPUS") == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples: this is a test of make conformance")
	}
	w := newSealWorld(t)
	w.addOpener()
	keys, socket := w.servePrograms()
	if listed, err := keys.Keys(t.Context()); err != nil || len(listed) != 2 {
		t.Fatalf("%d keys, %v", len(listed), err)
	}
	const outage = 5 // requests that are sent away: more than a client without patience makes
	for _, block := range w.blocksOfPrograms(socket) {
		program := programOf(block)
		t.Run(program, func(t *testing.T) {
			keys.mu.Lock()
			keys.next = time.Now().Add(time.Hour) // a list that is old is asked for, which is not what is tried
			keys.mu.Unlock()
			w.turned.Store(0)
			w.away.Store(true)
			ctx, stop := context.WithCancel(t.Context())
			var waiting sync.WaitGroup
			waiting.Go(func() {
				for w.turned.Load() < outage && ctx.Err() == nil {
					select {
					case <-ctx.Done():
					case <-time.After(20 * time.Millisecond):
					}
				}
				w.away.Store(false)
			})
			w.types(t, program, block)
			stop()
			waiting.Wait()
		})
	}
}
