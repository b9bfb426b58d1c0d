package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wine is a Windows of its own in a folder.
type wine struct {
	t      *testing.T
	prefix string
}

// newWine makes one, where wine and the compilers for Windows are installed.
func newWine(t *testing.T) *wine {
	t.Helper()
	for _, program := range []string{"/usr/lib/wine/wine64", "x86_64-w64-mingw32-gcc", "i686-w64-mingw32-gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (deploy/install.sh wine)", program)
		}
	}
	w := &wine{t, filepath.Join(t.TempDir(), "wine")}
	t.Cleanup(func() { // the test's context has ended by then
		for _, how := range []string{"-k", "-w"} {
			c := exec.Command("/usr/lib/wine/wineserver64", how)
			c.Env = append(os.Environ(), "WINEPREFIX="+w.prefix)
			_ = c.Run()
		}
	})
	w.run("/usr/lib/wine/wine64", "wineboot", "-i")
	// Go 1.26 wants ProcessPrng, which wine 8 lacks. Only this test has one of its own.
	shim := filepath.Join(t.TempDir(), "shim.c")
	source := "#include <windows.h>\nBOOLEAN NTAPI SystemFunction036(PVOID, ULONG);\n" +
		"__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }\n"
	if err := os.WriteFile(shim, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("x86_64-w64-mingw32-gcc", "-shared", "-o", filepath.Join(w.prefix, "drive_c/windows/system32/bcryptprimitives.dll"), shim, "-ladvapi32")
	return w
}

func (w *wine) command(program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(w.t.Context(), program, args...)
	c.Env = append(os.Environ(), "WINEPREFIX="+w.prefix, "WINEDEBUG=-all", "DISPLAY=")
	return c
}

// run runs a program to its end. What it says goes to a file: what it leaves running in the background, as Windows
// does, would keep a pipe open.
func (w *wine) run(program string, args ...string) {
	w.t.Helper()
	c := w.command(program, args...)
	said := w.file()
	c.Stdout, c.Stderr = said, said
	if err := c.Run(); err != nil {
		w.t.Fatalf("%s %v: %v\n%s", program, args, err, content(said))
	}
}

func (w *wine) file() *os.File {
	w.t.Helper()
	f, err := os.CreateTemp(w.t.TempDir(), "said")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = f.Close() })
	return f
}

func content(f *os.File) string {
	text, _ := os.ReadFile(f.Name())
	return string(text)
}

// spoken is a program whose lines are read.
type spoken struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *os.File
}

func (w *wine) start(args ...string) *spoken {
	w.t.Helper()
	s := &spoken{Cmd: w.command("/usr/lib/wine/wine64", args...), err: w.file()}
	s.Stderr = s.err
	var err error
	if s.in, err = s.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := s.Start(); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// says wants a line that begins so.
func (s *spoken) says(t *testing.T, what string) (line string) {
	t.Helper()
	if line, _ = s.out.ReadString('\n'); !strings.HasPrefix(line, what) {
		_ = s.Process.Kill()
		_ = s.Wait()
		t.Fatalf("%q, want %q\n%s", line, what, content(s.err))
	}
	return line
}

// A Windows program signs with the office's key in the data centre, through trustlink-pkcs11.dll, the account's pipe and
// trustlink.exe, from several threads; trustlink ends in the middle and comes back. A pipe of that name that another account made is not
// spoken to.
func TestWindowsProgramsUseTheKeys(t *testing.T) {
	if os.Getenv("TRUSTCORE_CORPUS") == "" {
		t.Skip("TRUSTCORE_CORPUS names no folder of public samples: this is a test of make conformance")
	}
	windows, office := newWine(t), newSealWorld(t)
	dir := t.TempDir()
	windows.run("../../deploy/dll.sh", dir)
	program, trustlink := filepath.Join(dir, "program.exe"), filepath.Join(dir, "trustlink.exe")
	windows.run("x86_64-w64-mingw32-gcc", "-std=c2x", "-Wall", "-Wextra", "-Werror", "-I/usr/include/p11-kit-1", "-o", program, "../../hsm/p11kit/testdata/program.c")
	build := windows.command("go", "build", "-trimpath", "-tags", "nobadger,nobadgerv1,nobadgerv2,nobbolt,nomysql,nopgx", "-o", trustlink, ".")
	build.Env = append(build.Env, "GOOS=windows", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var name string
	serve := func() *spoken {
		t.Helper()
		s := windows.start(trustlink, "pkcs11", "--state", `Z:`+strings.ReplaceAll(office.dir, "/", `\`))
		line := s.says(t, `serving PKCS#11 at \\.\pipe\trustlink-pkcs11-S-1-5-`)
		name = strings.TrimSpace(strings.TrimPrefix(line, "serving PKCS#11 at "))
		return s
	}
	serving := serve()
	story := windows.start(program, filepath.Join(dir, "trustlink-pkcs11.dll"), "office")
	story.says(t, "ready")
	if err := serving.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = serving.Wait()
	_, _ = io.WriteString(story.in, "\n")
	story.says(t, "ready")
	squatter := windows.start(program, filepath.Join(dir, "trustlink-pkcs11.dll"), "squatter")
	squatter.says(t, "ready")
	_, _ = io.WriteString(squatter.in, name+"\n")
	squatter.says(t, "as it has to be")
	_ = squatter.Wait()
	serving = serve()
	defer func() { _ = serving.Process.Kill(); _ = serving.Wait() }()
	_, _ = io.WriteString(story.in, "\n")
	story.says(t, "as it has to be")
	if err := story.Wait(); err != nil {
		t.Error(err)
	}
}
