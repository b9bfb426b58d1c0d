package page_test

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

// browser is one tab of a Chromium, spoken to in its DevTools protocol.
type browser struct {
	*testing.T
	socket *websocket.Conn

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	heard   func(method string, params json.RawMessage) // of every event; guarded by mu
}

type reply struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// startBrowser starts a browser with a profile of its own and opens a tab.
func startBrowser(t *testing.T) *browser {
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
	b := &browser{T: t, waiting: map[int]chan reply{}}
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

func (b *browser) connect(address string) {
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
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
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
		b.call(domain+".enable", nil, nil)
	}
}

// listen hands answers to who asked, until the connection ends.
func (b *browser) listen() {
	socket := b.socket
	for {
		var message struct {
			reply
			ID     int             `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		if err := websocket.JSON.Receive(socket, &message); err != nil {
			return
		}
		b.mu.Lock()
		waiting, heard := b.waiting[message.ID], b.heard
		delete(b.waiting, message.ID)
		b.mu.Unlock()
		if waiting != nil {
			waiting <- message.reply
		} else if heard != nil {
			heard(message.Method, message.Params)
		}
	}
}

// patience is how long anything in the browser may take: the machine may do a lot beside.
const patience = 2 * time.Minute

// call asks the browser and reads its answer into what is given, nil for none.
func (b *browser) call(method string, params, into any) {
	b.Helper()
	if err := b.try(method, params, into); err != nil {
		b.Fatalf("%s: %v", method, err)
	}
}

func (b *browser) try(method string, params, into any) error {
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

// eval runs a script in the page, waits for its promise, and reads its value.
func (b *browser) eval(script string, into any) {
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
	b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.Exception != nil {
		b.Fatalf("%.200s: %s %s", script, answer.Exception.Text, answer.Exception.Exception.Description)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Result.Value, into); err != nil {
			b.Fatalf("%.200s: %v in %s", script, err, answer.Result.Value)
		}
	}
}

// until waits for a condition of the page, a script.
func (b *browser) until(condition string) {
	b.Helper()
	b.eval(`(async () => { while (!(`+condition+`)) await new Promise((go) => setTimeout(go, 20)); return true; })()`, nil)
}

// open loads a page to its end.
func (b *browser) open(url string) {
	b.Helper()
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until(`location.href === ` + quote(url) + ` && document.readyState === "complete"`)
}

// size makes the window so wide.
func (b *browser) size(width int) {
	b.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// press types keys, such as Tab.
func (b *browser) press(keys ...string) {
	b.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Space": 32}
	for _, key := range keys {
		text := map[string]string{"Enter": "\r", "Space": " "}[key]
		name := strings.Replace(key, "Space", " ", 1)
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": name, "code": key, "windowsVirtualKeyCode": codes[key], "text": text}, nil)
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name, "code": key, "windowsVirtualKeyCode": codes[key]}, nil)
	}
}

func quote(text string) string {
	data, _ := json.Marshal(text) // a string
	return string(data)
}
