package console_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
)

const chromium = "/usr/bin/chromium" // Debian's

// driver is a script that plays an officer in the browser. The page's policy lets it run because it
// comes from the page's own server, as the page's scripts do.
const driver = `"use strict";
addEventListener("load", async () => {
  const report = (name) => fetch("/driven?" + name, {method: "POST", body: document.documentElement.outerHTML});
  const until = async (what) => { while (!what()) await new Promise((go) => setTimeout(go, 20)); };
  document.addEventListener("securitypolicyviolation", (e) => report("violation=" + e.violatedDirective));
  const page = location.pathname.split("/").pop();
  if (page === "login") return document.querySelector("button.primary").click();
  if (page === "") return document.querySelector("a[href^='confirm?act=order-approve']").click();
  if (page === "confirm") return document.querySelector("form[action='orders/approve'] button").click();
  if (page === "order") {
    await report("page=order");
    return document.querySelector("nav.sections a[href$='documents']").click();
  }
  if (page === "documents") {
    const files = new DataTransfer();
    files.items.add(new File(["one"], "one.pdf"));
    files.items.add(new File(["two"], "two.pdf"));
    document.getElementById("document").files = files.files;
    document.querySelector("#documents > button").click();
    await until(() => document.querySelectorAll("#verdicts .verdict").length === 2 && !document.querySelector(".progress"));
    document.getElementById("pause").click();
    await report("page=documents");
    return document.querySelector("nav.sections a[href$='audit']").click();
  }
  if (page === "audit" && location.search === "") {
    const filter = document.querySelector("form.filter");
    filter.elements.subject.value = "console";
    return filter.requestSubmit();
  }
  report("done");
});
`

// driven serves the console with the driver in every page, and hands what the driver reports to done.
func driven(handler http.Handler, done chan<- [2]string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /driver.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, driver)
	})
	mux.HandleFunc("POST /driven", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		done <- [2]string{r.URL.RawQuery, string(text)}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(bytes.Replace(answer.Body.Bytes(), []byte("</head>"), []byte(`<script src="/driver.js" defer></script></head>`), 1))
	})
	return mux
}

// removeProfile ends the helpers that outlive the browser and write into its profile, and removes that.
func removeProfile(t *testing.T, browser *exec.Cmd, profile string) {
	t.Helper()
	if browser.Process != nil {
		_ = syscall.Kill(-browser.Process.Pid, syscall.SIGKILL) // none is left where this fails
	}
	var err error
	for range 200 { // a helper that is being killed may still finish what it writes
		if err = os.RemoveAll(profile); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the browser's profile: %v", err)
}

func chromiumCommand(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("Chromium is not installed: apt-get install chromium lets this test look at the page in a real browser")
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, chromium, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors",
		"--user-data-dir=" + profile}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	t.Cleanup(func() { removeProfile(t, c, profile) })
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // it ends its helpers and its writing to the profile first
	c.WaitDelay = 10 * time.Second
	return c
}

// TestInABrowser plays the officer's morning: log in, approve, verify two documents, filter the audit log.
func TestInABrowser(t *testing.T) {
	d := open(t)
	d.submit(one, orderYAML)
	d.verify = func(_ context.Context, next func() (*console.File, error)) ([]byte, error) {
		if _, err := next(); err != nil {
			return nil, err
		}
		return report("TOTAL-PASSED", "The signature is valid.", "Podpis jest ważny."), nil
	}
	done := make(chan [2]string, 16)
	server := httptest.NewTLSServer(driven(d.console.Handler(), done))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := chromiumCommand(ctx, t, "--remote-debugging-port=0", "--accept-lang=pl", server.URL+"/login?code="+d.code(two))
	d.must(c.Start())
	defer func() { cancel(); _ = c.Wait() }()
	for seen := ""; ; {
		select {
		case got := <-done:
			if seen += got[1]; strings.HasPrefix(got[0], "page=") {
				continue
			}
			if got[0] != "done" {
				t.Fatalf("the browser reports %s", got[0])
			}
			d.wants(seen, `<html lang="pl"`, "trustlink enrol --url", "Podpis jest ważny.", "one.pdf", "two.pdf", "Wyczyść filtr", `aria-pressed="true"`)
			return
		case <-ctx.Done():
			t.Fatal("the browser does not come to the end")
		}
	}
}

// furnish gives the console a day's worth to show.
func (d *desk) furnish() {
	d.Helper()
	d.submit(one, orderYAML)
	d.must(d.registry.Approve(d.Context(), two, "ZU-2026-001"))
	d.must(d.registry.StepDone(d.Context(), "ZU-2026-001", "partition", "seal="+strings.Repeat("5c", 16)))
	d.must(d.registry.StepDone(d.Context(), "ZU-2026-001", "certificate", "client=3f9a01 seal=3f9a02"))
	d.must(d.registry.StepDone(d.Context(), "ZU-2026-001", "tunnel", "10.64.0.2"))
	d.must(d.registry.Finish(d.Context(), "ZU-2026-001", "active"))
	d.pass(3 * time.Hour)
	next := func(id, partner, name, components string) string {
		return "id: " + id + "\nkind: activation\npartner: {id: " + partner + ", name: " + name + "}\nagreement: {number: UR/13/2026, signed: 2026-02-01}\ncomponents: " + components
	}
	d.submit(two, next("ZU-2026-002", "sp-wzorowo", "Starostwo Powiatowe w Wzorowie", "[P_VPN, B_PeUP]\nvpn_request: {site: main}"))
	d.must(d.registry.Approve(d.Context(), one, "ZU-2026-002"))
	_, err := d.registry.NewToken(d.Context(), one, "ZU-2026-002")
	d.must(err)
	d.submit(two, next("ZU-2026-003", "ug-probne", "Urząd Gminy Próbne", "[P_eMail]"))
	d.must(d.registry.Reject(d.Context(), one, "ZU-2026-003", "Umowa ramowa nie jest jeszcze podpisana."))
	d.pass(time.Hour)
	d.submit(one, "id: ZZ-2026-001\nkind: change\npartner: {id: um-przykladowo}\ncomponents: [B_HSM]\n")
	d.submit(two, next("ZU-2026-004", "ug-probne", "Urząd Gminy Próbne", "[B_HSM, P_VPN]\nvpn_request: {site: main}\nhsm_authorization: {application: ezd, not_before: 2026-03-01T00:00:00Z, not_after: 2027-03-01T00:00:00Z, keys: [{name: seal, algorithm: P-256, mechanisms: [ECDSA-SHA256]}]}"))
	d.pass(10 * time.Minute)
	now := d.clock()
	d.keys = []console.Key{
		{ID: strings.Repeat("a1", 16), Label: "issuing", Algorithm: "RSA-4096", State: "active", NeverExtractable: true, Created: now.AddDate(0, -2, 0)},
		{ID: strings.Repeat("5c", 16), Partner: "um-przykladowo", Order: "ZU-2026-001", Label: "seal", Algorithm: "RSA-3072", State: "active", NeverExtractable: true, Created: now},
		{ID: strings.Repeat("77", 16), Partner: "um-dawne", Order: "ZU-2025-009", Label: "seal", Algorithm: "P-256", State: "suspended", NeverExtractable: true, Created: now.AddDate(-1, 0, 0)},
	}
	d.tunnels = []console.Tunnel{
		{Partner: "um-przykladowo", Site: "main", Order: "ZU-2026-001", Address: "10.64.0.2", State: "up", LastHandshake: now.Add(-42 * time.Second), Received: 73 << 20, Sent: 9 << 20},
		{Partner: "sp-wzorowo", Site: "main", Order: "ZU-2026-002", Address: "10.64.0.3", State: "never"},
		{Partner: "um-dawne", Site: "filia", State: "down", LastHandshake: now.Add(-26 * time.Hour), Received: 1 << 34, Sent: 5120},
	}
	certificate := func(serial, subject, profile, partner, state string, days int) console.Certificate {
		return console.Certificate{Serial: strings.Repeat(serial, 16), Subject: subject, Profile: profile, Partner: partner, State: state, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 0, days)}
	}
	d.certificates = []console.Certificate{
		certificate("0a", "um-przykladowo ezd", "partner-client", "um-przykladowo", "valid", 340),
		certificate("0b", "officer-1", "officer", "", "valid", 12),
		certificate("0c", "Urząd Miasta Dawne - seal", "seal", "um-dawne", "revoked", 200),
		certificate("0d", "Urząd Miasta Przykładowo - seal", "seal", "um-przykladowo", "valid", 300),
		certificate("0e", "Trustcore OCSP", "ocsp-responder", "", "valid", 60),
	}
	end := func(kind, subject, partner string, days, step int, remedy string, itself bool) console.Expiry {
		return console.Expiry{Kind: kind, Subject: subject, Partner: partner, NotAfter: now.AddDate(0, 0, days), Step: step,
			Act: !itself && days < 366, Remedy: remedy, ByItself: itself}
	}
	d.expiring = []console.Expiry{
		end("enrolment-token", "sp-wzorowo", "sp-wzorowo", 1, 1, "token", false), end("crl", "Trustcore issuing", "", 6, 7, "authority", true),
		end("officer", "officer-1", "", 12, 14, "officer", false), end("authorisation", "um-przykladowo ezd", "um-przykladowo", 59, 60, "authorisation", false),
		end("issuing", "Trustcore issuing", "", 300, 60, "ceremony", false), end("root", "Trustcore root", "", 7000, 60, "ceremony", false),
	}
	d.touched = d.certificates[:1]
	_, err = d.registry.Propose(d.Context(), one, registry.RevokeCertificates, "certificates of partner um-przykladowo", nil)
	d.must(err)
	d.certificates[2].Order = "ZU-2025-009"
	d.certificates[3].Order = "ZU-2026-001"
	_, err = d.audit.Append(d.Context(), audit.Entry{Time: now, Actor: audit.Actor{Kind: "application", ID: "ezd"}, Action: "hsm.sign", Subject: strings.Repeat("5c", 16),
		Partner: "um-przykladowo", Outcome: audit.Refused, Reason: "the authorisation does not allow RSA-PSS-SHA512"})
	d.must(err)
	d.recorded("hsm.sign", 1)
}
