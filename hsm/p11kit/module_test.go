package p11kit_test

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"trustcore/hsm/p11kit"
)

// sanitizers are what the module and the programs of its tests are built with here: a fault in it ends them.
var sanitizers = []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}

// moduleSources are embedded, so that what takes checks out of them (deploy/mutants.sh) reaches gcc too.
//
//go:embed module/*.c module/*.h
var moduleSources embed.FS

// made are the files that compile made, by the arguments of gcc; TestMain removes their folder.
var (
	makeMu  sync.Mutex
	made    = map[string]string{}
	madeDir string
)

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(madeDir)
	os.Exit(code)
}

// extract puts the module's sources into the folder, once.
func extract(t testing.TB) {
	t.Helper()
	if madeDir != "" {
		return
	}
	madeDir = must(os.MkdirTemp("", "p11"))(t)
	if err := os.CopyFS(madeDir, moduleSources); err != nil {
		t.Fatal(err)
	}
}

// compile has gcc make a file of C; the test is skipped where it, or p11-kit's header, is not installed.
func compile(t testing.TB, out string, args ...string) string {
	t.Helper()
	makeMu.Lock()
	defer makeMu.Unlock()
	what := strings.Join(args, " ")
	if made[what] != "" {
		return made[what]
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed (apt-get install gcc libc6-dev)")
	}
	if _, err := os.Stat("/usr/include/p11-kit-1/p11-kit/pkcs11.h"); err != nil {
		t.Skip("p11-kit's header is not installed (apt-get install libp11-kit-dev)")
	}
	extract(t)
	out = filepath.Join(madeDir, strconv.Itoa(len(made))+out)
	args = slices.Concat([]string{"-std=c2x", "-g", "-O0", "-Wall", "-Wextra", "-Werror",
		"-I/usr/include/p11-kit-1", "-I" + filepath.Join(madeDir, "module"), "-o", out}, args)
	if said, err := exec.CommandContext(t.Context(), "gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, said)
	}
	made[what] = out
	return out
}

// moduleForUnix is the module as it can be tried here.
func moduleForUnix(t testing.TB, flags ...string) string {
	t.Helper()
	extract(t)
	sources := must(filepath.Glob(filepath.Join(madeDir, "module/*.c")))(t)
	sources = slices.DeleteFunc(sources, func(name string) bool { return strings.HasSuffix(name, "_windows.c") })
	return compile(t, "trustlink-pkcs11.so", slices.Concat(flags, []string{"-fPIC", "-shared", "-fvisibility=hidden"}, sources)...)
}

// soon has calls of the module end after so many milliseconds.
func soon(ms string) []string { return []string{"-DCALL_TIME=" + ms, "-DOPEN_TIME=" + ms} }

// tale is a program in the middle of one of its stories.
type tale struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer
}

func tell(t *testing.T, socket, story string, flags ...string) *tale {
	t.Helper()
	program := compile(t, "program", append(slices.Clone(sanitizers), "testdata/program.c", "-ldl")...)
	c := &tale{t: t, cmd: exec.CommandContext(t.Context(), program, moduleForUnix(t, slices.Concat(sanitizers, flags)...), story)}
	c.cmd.Env = append(os.Environ(), "TRUSTLINK_PKCS11="+socket)
	c.cmd.Stderr = &c.said
	c.in = must(c.cmd.StdinPipe())(t)
	c.out = bufio.NewReader(must(c.cmd.StdoutPipe())(t))
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// ready waits until the program says so.
func (c *tale) ready() {
	c.t.Helper()
	if line, _ := c.out.ReadString('\n'); line != "ready\n" {
		c.t.Fatalf("%s\n%s", line, &c.said)
	}
}

func (c *tale) goOn() { _, _ = io.WriteString(c.in, "\n") }

// ends wants that it was as it had to be.
func (c *tale) ends() {
	c.t.Helper()
	said, _ := io.ReadAll(c.out)
	if err := c.cmd.Wait(); err != nil || !strings.Contains(string(said), "as it has to be") {
		c.t.Errorf("%v: %s\n%s", err, said, &c.said)
	}
}

// A program finds keys, signs, verifies and is refused through the module, from several threads, with data larger than a
// call may be and with handles that it guessed; gcc's sanitizers see no fault.
func TestModuleStory(t *testing.T) {
	b := fill(t)
	tell(t, serve(t, b), "story").ends()
	if want := 3 + 4*10; b.signed != want {
		t.Errorf("%d uses of keys, want %d", b.signed, want)
	}
}

// listenerAt serves a box at a path until stop.
func listenerAt(t *testing.T, path string, b p11kit.Backend) (stop func()) {
	t.Helper()
	_ = os.Remove(path)
	l := must(net.Listen("unix", path))(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				_ = p11kit.Serve(ctx, conn, p11kit.Config{Backend: b, Label: "office", Serial: "0001", Logger: slog.New(slog.DiscardHandler)})
			})
		}
	})
	return func() { cancel(); _ = l.Close(); running.Wait() }
}

// What serves goes away and comes back with its keys in another order: a handle of before is none of now, and the
// program goes on without being started again.
func TestModuleSurvivesAnOutage(t *testing.T) {
	path := filepath.Join(must(os.MkdirTemp("", "p11"))(t), "s")
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(path)) })
	b := fill(t)
	stop := listenerAt(t, path, b)
	c := tell(t, path, "outage")
	c.ready()
	stop()
	c.goOn()
	c.ready()
	slices.Reverse(b.keys)
	defer listenerAt(t, path, b)()
	c.goOn()
	c.ends()
}

// hostileAt serves programs by answer until the test ends.
func hostileAt(t *testing.T, answer func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(must(os.MkdirTemp("", "p11"))(t), "s")
	l := must(net.Listen("unix", path))(t)
	t.Cleanup(func() { _ = l.Close(); _ = os.RemoveAll(filepath.Dir(path)) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); answer(conn) }()
		}
	}()
	return path
}

// Calls end when nobody answers, before the greeting and after it.
func TestModuleNeverHangs(t *testing.T) {
	t.Run("silent", func(t *testing.T) {
		tell(t, hostileAt(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), "silent", soon("300")...).ends()
	})
	t.Run("stuck", func(t *testing.T) {
		behind := serve(t, fill(t))
		quiet := make(chan struct{})
		c := tell(t, hostileAt(t, func(conn net.Conn) {
			to := must(net.Dial("unix", behind))(t)
			defer to.Close()
			go func() {
				buffer := make([]byte, 1<<16)
				for n, err := to.Read(buffer); err == nil; n, err = to.Read(buffer) {
					select {
					case <-quiet:
						return
					default:
					}
					_, _ = conn.Write(buffer[:n])
				}
			}()
			_, _ = io.Copy(to, conn)
		}), "stuck", soon("3000")...)
		c.ready()
		close(quiet)
		c.goOn()
		c.ends()
	})
}

// warp is a connection whose answers are changed: lengths, counts, numbers and values. What it does is the seed's.
func warp(conn net.Conn, behind string, r *rand.Rand) {
	to, err := net.Dial("unix", behind)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(to, conn); _ = to.Close() }()
	if _, err := io.CopyN(conn, to, 1); err != nil {
		return
	}
	for {
		head := make([]byte, 12)
		if _, err := io.ReadFull(to, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[8:]))
		if _, err := io.ReadFull(to, body); err != nil {
			return
		}
		if r.IntN(3) == 0 {
			distort(&head, &body, r)
		}
		if _, err := conn.Write(append(head, body...)); err != nil {
			return
		}
	}
}

// distort changes one answer.
func distort(head, body *[]byte, r *rand.Rand) {
	large := []uint32{0, 1, 0xff, 1 << 20, 1<<20 + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	at := func() int { return r.IntN(max(1, len(*body)-4)) }
	switch r.IntN(6) {
	case 0: // a length or the number in the head
		binary.BigEndian.PutUint32((*head)[4*r.IntN(3):], large[r.IntN(len(large))])
	case 1: // a count or a length within
		if len(*body) > 4 {
			binary.BigEndian.PutUint32((*body)[at():], large[r.IntN(len(large))])
		}
	case 2:
		if len(*body) > 0 {
			(*body)[r.IntN(len(*body))] ^= byte(1 << r.IntN(8))
		}
	case 3: // cut short, with a head that says so
		*body = (*body)[:r.IntN(len(*body)+1)]
		binary.BigEndian.PutUint32((*head)[8:], uint32(len(*body)))
	case 4: // longer
		*body = append(*body, make([]byte, r.IntN(64))...)
		binary.BigEndian.PutUint32((*head)[8:], uint32(len(*body)))
	case 5: // cut off
		*body = (*body)[:r.IntN(len(*body)+1)]
	}
}

// seeds is how many ways of changing answers are tried.
func seeds(t *testing.T) int {
	t.Helper()
	if n := os.Getenv("TRUSTCORE_HOSTILE_ANSWERS"); n != "" {
		return must(strconv.Atoi(n))(t)
	}
	return 1
}

// Answers that were changed on the way, and frames larger than anybody may send, break connections and nothing else.
func TestModuleBearsHostileAnswers(t *testing.T) {
	behind := serve(t, fill(t))
	for seed := range uint64(seeds(t)) {
		var mu sync.Mutex
		connections := uint64(0)
		path := hostileAt(t, func(conn net.Conn) {
			mu.Lock()
			connections++
			r := rand.New(rand.NewPCG(seed, connections))
			mu.Unlock()
			warp(conn, behind, r)
		})
		tell(t, path, "hostile", soon("20")...).ends()
		mu.Lock()
		t.Logf("%d connections", connections)
		if connections < 50 {
			t.Errorf("%d connections: hardly anything was changed", connections)
		}
		mu.Unlock()
	}
}

// The module tells the same attributes' forms apart as the server.
func TestModuleKnowsTheForms(t *testing.T) {
	source := string(must(moduleSources.ReadFile("module/message.c"))(t))
	for name, want := range map[string][]uint32{"ulongs": p11kit.Forms("ulong"), "octets": p11kit.Forms("octet"),
		"arrays": p11kit.Forms("array")} {
		table := regexp.MustCompile(`(?s)\b` + name + `\[\] = \{(.*?)\}`).FindStringSubmatch(source)
		if table == nil {
			t.Fatalf("no table %s", name)
		}
		var got []uint32
		for _, n := range regexp.MustCompile(`0x[0-9a-f]+`).FindAllString(table[1], -1) {
			got = append(got, uint32(must(strconv.ParseUint(n, 0, 32))(t)))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %x, the server has %x", name, got, want)
		}
	}
}

// pkcs11-tool finds the same objects through the module as through p11-kit's own, signs and decrypts.
func TestModuleWithPkcs11Tool(t *testing.T) {
	stock := module(t, "pkcs11-tool")
	b, dir := opener(t)
	socket := serve(t, b)
	ours := moduleForUnix(t)
	run := func(module string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "pkcs11-tool", append([]string{"--module", module}, args...)...)
		c.Env = append(os.Environ(), "P11_KIT_SERVER_ADDRESS=unix:path="+socket, "TRUSTLINK_PKCS11="+socket)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("pkcs11-tool %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	slot := regexp.MustCompile(`(?m)^Using slot.*\n`)
	want, got := slot.ReplaceAllString(run(stock, "-O"), ""), slot.ReplaceAllString(run(ours, "-O"), "")
	if got != want || strings.Count(want, "Private Key Object") != 3 {
		t.Errorf("the objects: %s\nthrough p11-kit's module: %s", got, want)
	}
	file := filepath.Join(dir, "plain")
	run(ours, "--decrypt", "-m", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256", "--id", strings.Repeat("09", 16), "-i",
		encrypt(t, dir, "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"), "-o", file)
	if got := must(os.ReadFile(file))(t); string(got) != "tajne" {
		t.Errorf("decrypted: %q", got)
	}
	for _, how := range [][]string{{"-m", "ECDSA-SHA256"}, {"-m", "SHA256-RSA-PKCS"}, {"-m", "SHA256-RSA-PKCS-PSS"}} {
		id := strings.Repeat("01", 16)
		if how[1] == "ECDSA-SHA256" {
			id = strings.Repeat("02", 16)
		}
		run(ours, append(how, "-s", "--id", id, "-i", filepath.Join(dir, "cert.pem"), "-o", filepath.Join(dir, "signature"))...)
		out := run(ours, append(how, "--verify", "--id", id, "-i", filepath.Join(dir, "cert.pem"), "--signature-file", filepath.Join(dir, "signature"))...)
		if !strings.Contains(out, "Signature is valid") {
			t.Errorf("%v: %s", how, out)
		}
	}
}

// FuzzModuleAnswers plays octets as answers to the module's parsers, under gcc's sanitizers.
func FuzzModuleAnswers(f *testing.F) {
	answer := func(which byte, number uint32, values string, rest ...byte) {
		data := binary.BigEndian.AppendUint32([]byte{which}, number)
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(values))), values...)
		f.Add(append(data, rest...))
	}
	answer(0, 24, "aAu", bytes.Repeat([]byte{0, 0, 0, 1}, 12)...)
	answer(0, 24, "aAu", 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2, 1, 0, 0, 0, 2, 0, 0, 0, 2, 7, 7)
	answer(1, 27, "au", 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9)
	answer(1, 27, "au", 0, 0xff, 0xff, 0xff, 0xff)
	answer(2, 43, "ay", 1, 0, 0, 0, 2, 7, 7)
	answer(2, 43, "ay", 1, 0xff, 0xff, 0xff, 0xff)
	answer(2, 0, "u", 0, 0, 0, 0, 0, 0, 0, 0x30)
	answer(3, 6, "ssss", append([]byte{0, 0, 0, 32}, make([]byte, 32+11*8+2)...)...)
	answer(4, 12, "")
	answer(2, 43, "ay", append([]byte{1, 0, 0, 0, 200}, make([]byte, 200)...)...) // more than there is room for
	answer(1, 27, "au", append([]byte{1, 0, 0, 0, 20}, make([]byte, 8*20)...)...) // the same of a list
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})                 // a head that tells too long a body
	f.Add([]byte{0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0})                 // or options
	extract(f)
	program := compile(f, "answers", append(slices.Clone(sanitizers), "testdata/answers.c", filepath.Join(madeDir, "module/message.c"))...)
	var said bytes.Buffer
	c := exec.Command(program)
	c.Stderr = &said
	in, out := must(c.StdinPipe())(f), must(c.StdoutPipe())(f)
	if err := c.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
		if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
			_ = c.Wait()
			t.Fatalf("the module's parsers broke:\n%s", &said)
		}
	})
}
