package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/hsm/seal"
)

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestDetachedDigest: a digest in place of the file gives the file's verdict, in each way in which it is handed in, and
// the bundle gives it again.
func TestDetachedDigest(t *testing.T) {
	m, anchor, host := newMinting(t)
	signed, err := m.cades(t.Context(), m.ec, []byte("letter"), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, data := writeFile(t, dir, "letter.p7s", string(signed)), writeFile(t, dir, "letter.txt", "letter")
	sum, other := sha256.Sum256([]byte("letter")), sha256.Sum256([]byte("Letter"))
	digest, list := hex.EncodeToString(sum[:]), writeFile(t, dir, "SHA256SUMS", hex.EncodeToString(sum[:])+"  letter.txt\n")
	jobs := writeFile(t, dir, "jobs.jsonl", `{"file": "`+file+`", "digests": ["letter.txt=SHA-256:`+digest+`"]}`)
	bundle := filepath.Join(dir, "letter.zip")
	settings := []string{"--json", "--anchors", anchor, "--offline=false", "--fetch-allow", host}
	for _, c := range []struct {
		args   []string
		status exitCode
		want   string
	}{
		{[]string{"--detached", data, file}, 0, `"scope":"the whole file letter.txt","full":true`},
		{[]string{"--detached-digest", "SHA-256:" + digest, file}, 0, "of which a digest alone was given"},
		{[]string{"--detached-digest", "a.txt=sha256:" + base64.StdEncoding.EncodeToString(sum[:]), file}, 0, "the whole file a.txt, of which a digest"},
		{[]string{"--digest-list", list, file}, 0, "the whole file letter.txt, of which a digest alone was given"},
		{[]string{"--digest-list", list, "--bundle", bundle, file}, 0, "of which a digest alone was given"},
		{[]string{"--jobs", jobs}, 0, "the whole file letter.txt, of which a digest alone was given"},
		{[]string{"--detached-digest", "SHA-256:" + hex.EncodeToString(other[:]), file}, notPassed, "HASH_FAILURE"},
		{[]string{file}, notPassed, "SIGNED_DATA_NOT_FOUND"},
	} {
		out, err := runVerify(t, append(settings, c.args...)...)
		var status exitCode
		if errors.As(err, &status); status != c.status || err != nil && status == 0 || !strings.Contains(out, c.want) {
			t.Errorf("%q: %v, want %d, %s:\n%s", c.args, err, c.status, c.want, out)
		}
	}
	if out, err := runReplay(t, "--json", bundle); err != nil || !strings.Contains(out, `"identical":true`) || !strings.Contains(out, "a digest alone") {
		t.Errorf("%v: %s", err, out)
	}
	for want, args := range map[string][]string{
		"--detached-digest: a digest by SHA-1": {"--detached-digest", "sha1:" + digest[:40], file},
		"--digest-list " + data + ": line 1":   {"--digest-list", data, file},
		"--digest-list: open":                  {"--digest-list", data + ".none", file},
		"stand in the jobs":                    {"--jobs", jobs, "--detached-digest", "SHA-256:" + digest},
		"--jobs, line 1, digests: a digest by": {"--jobs", writeFile(t, dir, "sha1.jsonl", `{"file": "a", "digests": ["sha1:`+digest[:40]+`"]}`)},
	} {
		if _, err := runVerify(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	out, err := runVerify(t, append(settings, "--detached", data, "--digest-list", list, file)...)
	if !errors.Is(err, exitCode(notDone)) || !strings.Contains(out, "give one of them") {
		t.Errorf("the file and a digest of it: %v %s", err, out)
	}
}

// encrypted is a signed PDF that opens with a password only; to encrypt it broke its signature.
func encrypted(t *testing.T, dir, password string) string {
	t.Helper()
	if _, err := exec.LookPath("qpdf"); err != nil {
		t.Skip("qpdf is not installed")
	}
	m, _, _ := newMinting(t)
	signed, err := seal.PAdES(t.Context(), demoPDF(), m.ec, seal.PDFOptions{Time: time.Now(), TSA: m.stamp, Reason: "tajny powod"})
	if err != nil {
		t.Fatal(err)
	}
	in, out := writeFile(t, dir, "plain.pdf", string(signed)), filepath.Join(dir, "encrypted.pdf")
	said, err := exec.CommandContext(t.Context(), "qpdf", "--encrypt", password, "owner", "256", "--", in, out).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(said))
	}
	return out
}

// TestPasswordFile: the password opens the document, and stands in no report, bundle or error. What the document says of a
// signature that does not verify is not repeated.
func TestPasswordFile(t *testing.T) {
	const password = "zażółć-7319"
	dir := t.TempDir()
	file := encrypted(t, dir, password)
	right, wrong := writeFile(t, dir, "right", password+"\r\n"), writeFile(t, dir, "wrong", "Zażółć-7319")
	bundle := filepath.Join(dir, "kept.zip")
	jobs := writeFile(t, dir, "jobs.jsonl", `{"file": "`+file+`", "password_files": ["`+right+`"]}`)
	var all strings.Builder
	for _, c := range []struct {
		args []string
		open bool
		want string
	}{
		{[]string{"--language", "en", file}, false, "opens only with a password (verify it again"},
		{[]string{"--language", "en", "--password-file", wrong, file}, false, "none of the passwords that were given (verify it again"},
		{[]string{"--password-file", wrong, "--password-file", right, file}, true, "Signer EC"},
		{[]string{"--json", "--password-file", right, "--bundle", bundle, file}, true, "Signer EC"},
		{[]string{"--json", "--jobs", jobs}, true, "Signer EC"},
	} {
		out, err := runVerify(t, c.args...)
		all.WriteString(out)
		if !errors.Is(err, exitCode(notPassed)) || !strings.Contains(out, c.want) || strings.Contains(out, "what it says is not shown") == c.open || strings.Contains(out, "tajny powod") {
			t.Errorf("%q: %v:\n%s", c.args, err, out)
		}
	}
	out, err := runReplay(t, "--json", "--password-file", right, bundle)
	if all.WriteString(out); !errors.Is(err, exitCode(notPassed)) || !strings.Contains(out, `"identical":true`) {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := runReplay(t, bundle); err == nil || !strings.Contains(err.Error(), "--password-file: the verdict was given with") {
		t.Error(err)
	}
	kept, err := os.ReadFile(bundle)
	if err != nil || strings.Contains(all.String()+string(kept), "7319") {
		t.Errorf("the password is told: %v\n%s", err, all.String())
	}
	for want, content := range map[string]string{
		"1 to 512 octets": "", "more than one line": password + "\n" + password, "octets of UTF-8": "\xff7319",
		"1 to 512": strings.Repeat("7319", 200),
	} {
		name := writeFile(t, dir, "bad", content)
		_, err := runVerify(t, "--password-file", name, file)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--password-file: "+name) || strings.Contains(err.Error(), "7319") {
			t.Errorf("%.20q: %v, want %q", content, err, want)
		}
		jobs := writeFile(t, dir, "bad.jsonl", `{"file": "`+file+`", "password_files": ["`+name+`"]}`)
		out, err := runVerify(t, "--json", "--jobs", jobs)
		if !errors.Is(err, exitCode(notDone)) || !strings.Contains(out, want) || strings.Contains(out, "7319") {
			t.Errorf("a job, %.20q: %v, want %q: %s", content, err, want, out)
		}
	}
	if _, err := runVerify(t, "--jobs", "-", "--password-file", "-"); err == nil || !strings.Contains(err.Error(), "standard input has the jobs") {
		t.Error(err)
	}
}

// TestPasswordsAreWiped: what was read from files is zero when it is no longer needed.
func TestPasswordsAreWiped(t *testing.T) {
	list, err := readPasswords([]string{writeFile(t, t.TempDir(), "a", "tajne\n")})
	if err != nil || string(list[0]) != "tajne" {
		t.Fatal(list, err)
	}
	list.wipe()
	if strings.Trim(string(list[0]), "\x00") != "" {
		t.Errorf("%q is left", list[0])
	}
}
