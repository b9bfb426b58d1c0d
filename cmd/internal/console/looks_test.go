package console_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/cmd/internal/browsertest"
)

// looker is an officer who looks at the console in a real browser.
type looker struct {
	*browsertest.Browser
	b *browser
}

// look begins in a session, over a day's worth of matter.
func look(t *testing.T) *looker {
	t.Helper()
	d := open(t)
	d.furnish()
	l := &looker{browsertest.Start(t), d.login(two)}
	l.cookie("__Secure-console", l.b.cookies["__Secure-console"], l.b.home+"/")
	return l
}

func (l *looker) cookie(name, value, path string) {
	l.Helper()
	l.Call("Network.setCookie", map[string]any{"name": name, "value": value, "url": l.b.server.URL, "path": path, "secure": true}, nil)
}

func (l *looker) as(language, theme, size string, width int) {
	l.Helper()
	l.Size(width)
	for name, value := range map[string]string{"language": language, "theme": theme, "size": size} {
		l.cookie("__Host-"+name, value, "/")
	}
}

func (l *looker) at(path string) {
	l.Helper()
	l.Open(l.b.server.URL + l.b.home + path)
	l.Eval(`for (const d of document.querySelectorAll("details")) d.open = true`, nil)
}

// looks are the pages, and what people see when something can't be done.
func (l *looker) looks() map[string]string {
	key := strings.Repeat("5c", 16)
	id := ""
	open, err := l.b.registry.OpenMotions(l.Context())
	l.b.must(err)
	if len(open) > 0 {
		id = open[0].ID
	}
	return map[string]string{
		"start": "/", "orders": "/orders", "orders-none": "/orders?q=nothing", "order-waits": "/order?id=ZU-2026-004", "order-change": "/order?id=ZZ-2026-001",
		"order-active": "/order?id=ZU-2026-001", "order-running": "/order?id=ZU-2026-002", "order-rejected": "/order?id=ZU-2026-003",
		"partners": "/partners", "partner": "/partner?id=um-przykladowo", "partner-waits": "/partner?id=sp-wzorowo", "keys": "/keys", "key": "/key?id=" + key,
		"certificates": "/certificates", "certificate": "/certificate?id=" + strings.Repeat("0d", 16), "tunnels": "/tunnels",
		"tunnel": "/tunnel?partner=um-przykladowo&site=main", "expiring": "/expiring", "motions": "/motions", "audit": "/audit", "audit-wrong": "/audit?from=3.03.2026",
		"entry": "/entry?index=1", "uses": "/uses?key=" + key, "uses-wrong": "/uses?key=x", "documents": "/documents", "settings": "/settings", "submit": "/submit",
		"confirm-approve": "/confirm?act=order-approve&id=ZZ-2026-001", "confirm-reject": "/confirm?act=order-reject&id=ZU-2026-004",
		"confirm-suspend": "/confirm?act=key-suspend&id=" + key, "confirm-revoke": "/confirm?act=certificate-revoke&id=" + strings.Repeat("0d", 16),
		"confirm-tunnel": "/confirm?act=tunnel-key&id=um-przykladowo&site=main", "confirm-motion": "/confirm?act=motion-approve&id=" + id, "missing": "/nothing",
	}
}

// TestAccessible has axe-core look at every page, in both languages, the themes and the widest and the narrowest window, with
// everything unfolded; a window of 320 pixels shows all without scrolling sideways, in the largest letters too.
// TRUSTCORE_AXE names the file axe.min.js of the npm package axe-core.
func TestAccessible(t *testing.T) {
	file := os.Getenv("TRUSTCORE_AXE")
	if file == "" {
		t.Skip("TRUSTCORE_AXE names no axe.min.js (of the npm package axe-core): the pages were not looked at by axe-core")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := look(t)
	for name, path := range l.looks() {
		for _, as := range []struct {
			language, theme, size string
			width                 int
		}{{"pl", "light", "normal", 1280}, {"en", "light", "normal", 320}, {"en", "dark", "normal", 1280}, {"pl", "dark", "normal", 320},
			{"pl", "contrast", "normal", 1280}, {"en", "contrast", "largest", 320}, {"pl", "light", "largest", 320}, {"en", "light", "large", 1280}} {
			l.as(as.language, as.theme, as.size, as.width)
			l.at(path)
			for _, found := range l.findings(string(axe)) {
				t.Errorf("%s %v: %s", name, as, found)
			}
		}
	}
}

// findings are what axe-core says of a page as it is, and what is wider than the window.
func (l *looker) findings(axe string) (found []string) {
	l.Helper()
	l.Eval(axe+`; axe.run(document, {resultTypes: ["violations"]}).then((r) => {
		const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
		const past = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".vh, .stack thead"));
		return r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 120) + " " + n.failureSummary).join("; "))
			.concat(wide > 0 ? ["the page is " + wide + " pixels wider than the window: " + past.slice(0, 3).map((e) => e.outerHTML.slice(0, 100)).join(" ")] : []);
	})`, &found)
	return found
}

// TestKeyboard goes through pages by Tab alone: everything that can be used gets the focus, and the focus can be seen.
func TestKeyboard(t *testing.T) {
	l := look(t)
	l.as("en", "light", "normal", 1280)
	for _, path := range []string{"/partners", "/order?id=ZU-2026-004", "/confirm?act=order-reject&id=ZU-2026-004", "/audit", "/submit", "/settings"} {
		l.at(path)
		var want int
		l.Eval(`document.querySelectorAll("a[href], button:not(:disabled):not([hidden]), input:not([type=hidden]):not([type=radio]), input[type=radio]:checked, select, textarea:not([hidden]), summary").length`, &want)
		l.Eval(`document.activeElement.blur()`, nil)
		var way []string
		for range 3 * want {
			l.Press("Tab")
			var at struct{ Name, Outline string }
			l.Eval(`(() => { const e = document.activeElement; window.way = window.way || []; if (e !== document.body && !window.way.includes(e)) window.way.push(e);
				return {name: e.localName + " " + (e.textContent || e.name || "").slice(0, 40), outline: getComputedStyle(e).outlineStyle}; })()`, &at)
			if strings.HasPrefix(at.Name, "body") {
				break
			}
			if at.Outline == "none" {
				t.Errorf("%s: the focus on %s can't be seen", path, at.Name)
			}
			way = append(way, at.Name)
		}
		var reached int
		l.Eval(`window.way.length`, &reached)
		if reached < want {
			t.Errorf("%s: %d of %d things get the focus: %q", path, reached, want, way)
		}
		if len(way) > 0 && !strings.HasPrefix(way[0], "a Skip to the content") {
			t.Errorf("%s begins with %q", path, way[0])
		}
	}
}

// TestLooks takes pictures of the pages for a person to look at: TRUSTCORE_SCREENSHOTS names the folder.
func TestLooks(t *testing.T) {
	dir := os.Getenv("TRUSTCORE_SCREENSHOTS")
	if dir == "" {
		t.Skip("pictures of the pages are taken when TRUSTCORE_SCREENSHOTS names a folder for them")
	}
	l := look(t)
	for name, path := range l.looks() {
		for _, as := range []struct {
			language, theme, size string
			width                 int
		}{{"pl", "light", "normal", 1280}, {"pl", "dark", "normal", 320}, {"pl", "contrast", "large", 800}} {
			l.as(as.language, as.theme, as.size, as.width)
			l.at(path)
			var clip json.RawMessage
			l.Eval(`({x: 0, y: 0, width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight, scale: 1})`, &clip)
			var shot struct{ Data string }
			l.Call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": clip}, &shot)
			data, err := base64.StdEncoding.DecodeString(shot.Data)
			if err = errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d.png", name, as.language, as.theme, as.width)), data, 0o600)); err != nil {
				t.Error(err)
			}
		}
	}
}
