// Package browsertest plays people in a real browser: Debian's Chromium, spoken to in its DevTools protocol. Tests that use it
// are skipped where it is not installed.
package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

const chromium = "/usr/bin/chromium" // Debian's

// Browser is one tab of a Chromium, spoken to in its DevTools protocol.
type Browser struct {
	*testing.T
	socket *websocket.Conn

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
}

type reply struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Start starts a browser with a profile of its own and opens a tab.
func Start(t *testing.T) *Browser {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("Chromium is not installed: apt-get install chromium lets this test look at the page in a real browser")
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors", "--remote-debugging-port=0",
		"--remote-allow-origins=*", "--user-data-dir="+profile, "about:blank")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endBrowser(t, c, profile) })
	b := &Browser{T: t, waiting: map[int]chan reply{}}
	b.connect(addressOf(t, bufio.NewScanner(said)))
	return b
}

// addressOf reads where the browser listens.
func addressOf(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), "DevTools listening on "); found {
			go func() {
				for lines.Scan() { // a full pipe would stop the browser
				}
			}()
			return address
		}
	}
	t.Fatal("the browser does not say where it listens")
	return ""
}

// endBrowser ends the browser with its helpers, which write into the profile, and removes that.
func endBrowser(t *testing.T, c *exec.Cmd, profile string) {
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	_ = c.Wait()
	var err error
	for range 200 { // a helper that is being killed may still finish what it writes
		if err = os.RemoveAll(profile); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the browser's profile: %v", err)
}

func (b *Browser) connect(address string) {
	b.Helper()
	root, err := websocket.Dial(address, "", "http://127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	b.socket = root
	b.socket.MaxPayloadBytes = 256 << 20
	go b.listen()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	host := strings.Split(address, "/")[2]
	tab, err := websocket.Dial("ws://"+host+"/devtools/page/"+target.TargetID, "", "http://127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	b.mu.Lock()
	b.socket = tab
	b.mu.Unlock()
	tab.MaxPayloadBytes = 256 << 20
	b.Cleanup(func() { _, _ = root.Close(), tab.Close() })
	go b.listen()
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		b.Call(domain+".enable", nil, nil)
	}
}

// listen hands answers to who asked, until the connection ends.
func (b *Browser) listen() {
	socket := b.socket
	for {
		var message struct {
			reply
			ID int `json:"id"`
		}
		if err := websocket.JSON.Receive(socket, &message); err != nil {
			return
		}
		b.mu.Lock()
		waiting := b.waiting[message.ID]
		delete(b.waiting, message.ID)
		b.mu.Unlock()
		if waiting != nil {
			waiting <- message.reply
		}
	}
}

// patience is how long anything in the browser may take: the machine may do a lot beside.
const patience = 2 * time.Minute

// Call asks the browser and reads its answer into what is given, nil for none.
func (b *Browser) Call(method string, params, into any) {
	b.Helper()
	if err := b.try(method, params, into); err != nil {
		b.Fatalf("%s: %v", method, err)
	}
}

func (b *Browser) try(method string, params, into any) error {
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.next++
	id, socket := b.next, b.socket
	b.waiting[id] = answer
	b.mu.Unlock()
	if err := websocket.JSON.Send(socket, map[string]any{"id": id, "method": method, "params": params}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	select {
	case r := <-answer:
		if r.Error != nil {
			return errors.New(r.Error.Message)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(r.Result, into)
	case <-ctx.Done():
		return errors.New("no answer in time")
	}
}

// Eval runs a script in the page, waits for its promise, and reads its value.
func (b *Browser) Eval(script string, into any) {
	b.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.Exception != nil {
		b.Fatalf("%.200s: %s %s", script, answer.Exception.Text, answer.Exception.Exception.Description)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Result.Value, into); err != nil {
			b.Fatalf("%.200s: %v in %s", script, err, answer.Result.Value)
		}
	}
}

// Until waits for a condition of the page, a script.
func (b *Browser) Until(condition string) {
	b.Helper()
	b.Eval(`(async () => { while (!(`+condition+`)) await new Promise((go) => setTimeout(go, 20)); return true; })()`, nil)
}

// Open loads a page to its end.
func (b *Browser) Open(url string) {
	b.Helper()
	b.Call("Page.navigate", map[string]any{"url": url}, nil)
	b.Until(`location.href === ` + Quote(url) + ` && document.readyState === "complete"`)
}

// Size makes the window so wide.
func (b *Browser) Size(width int) {
	b.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Press types keys, such as Tab.
func (b *Browser) Press(keys ...string) {
	b.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Space": 32}
	for _, key := range keys {
		text := map[string]string{"Enter": "\r", "Space": " "}[key]
		name := strings.Replace(key, "Space", " ", 1)
		b.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": name, "code": key, "windowsVirtualKeyCode": codes[key], "text": text}, nil)
		b.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name, "code": key, "windowsVirtualKeyCode": codes[key]}, nil)
	}
}

// Quote writes a text as a script does.
func Quote(text string) string {
	data, _ := json.Marshal(text) // a string
	return string(data)
}
